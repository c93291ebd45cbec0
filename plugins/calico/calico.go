package calico

import (
	"net/netip"
	"sync"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// Descriptor returns a new description of Calico with default options.
func Descriptor() *plugin.Descriptor {
	cfg := &Config{}
	return &plugin.Descriptor{
		Name:   "calico",
		Doc:    "Calico with IPIP, VXLAN, WireGuard or no encapsulation",
		Config: cfg,
		Detect: marks(),
		New:    func(env plugin.Env) (plugin.Plugin, error) { return open(env, cfg), nil },
	}
}

// marks are by what Calico is known. That its agent runs does not say that it is
// the network: others bring it along for policies, and say so.
func marks() []plugin.Marks {
	return []plugin.Marks{{
		Sets:        []string{"calico-node"},
		Images:      []string{"calico/node", "*calico-node"},
		Configs:     []string{"*-calico.conflist"},
		Types:       []string{"calico"},
		Annotations: []string{snapshot.CalicoPrefix + "IPv4Address", snapshot.CalicoPrefix + "IPv4*TunnelAddr"},
		ConfigMaps:  []string{"calico-config"},
		Resources:   []string{"ippools." + snapshot.CalicoStored, "ippools." + snapshot.CalicoAPI},
		Devices:     []string{"cali*", vxlanDevice, wireguard},
	}}
}

// calico implements [plugin.Plugin].
type calico struct {
	*plugin.Basis
	cfg   *Config
	facts func() *facts // these are read when somebody asks
	felix func(node string) snapshot.CalicoFelixSpec
}

func open(env plugin.Env, cfg *Config) *calico {
	facts := sync.OnceValue(func() *facts { return read(env.Snapshot) })
	felix := sync.OnceValues(env.Snapshot.CalicoFelixConfigurations)
	settings := plugin.Once(func(node string) snapshot.CalicoFelixSpec {
		configs, _ := felix() // what could not be read is not set
		return snapshot.CalicoFelixOf(configs, node)
	})
	return &calico{cfg: cfg, facts: facts, felix: settings, Basis: plugin.NewBasis(env, func(plugin.Census) *plugin.Ranges { return &facts().blocks })}
}

// CreatePod implements [plugin.Plugin].
func (c *calico) CreatePod(pod *k8s.Pod) (model.NetNodeAction, error) {
	return plugin.NewSimpleVEthPod(c.Env, pod, ifName, c.uplink)
}

// uplink asserts the node's side of a pod's veth, and that somebody answers there
// for the pods' gateway.
func (c *calico) uplink(a *assertions.NetstackAssertion, pod *k8s.Pod, _ netip.Addr) {
	f := c.at(pod.NodeName)
	if pod.Object == nil || f.bpf() {
		return
	}
	f.LocalPod(a, pod.Object)
	f.assertGateways(a, pod.Object)
}

// CreateNode implements [plugin.Plugin].
func (c *calico) CreateNode(node *k8s.NodeInfo) (model.NetNodeAction, error) {
	return plugin.NewHost(c.Env, node, c.at(node.NodeName))
}
