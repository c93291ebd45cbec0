package flannel

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// Descriptor returns a new description of flannel with default options.
func Descriptor() *plugin.Descriptor {
	cfg := &Config{IPMasq: true}
	return &plugin.Descriptor{
		Name:   "flannel",
		Doc:    "flannel with the backends vxlan (also DirectRouting), host-gw, wireguard, ipip and alloc",
		Config: cfg,
		Detect: marks(),
		New:    func(env plugin.Env) (plugin.Plugin, error) { return open(env, cfg), nil },
	}
}

// marks are by what flannel is known. k3s runs it in its own process, where only
// the annotations and subnet.env tell. Older installations of it leave the pods
// to the plugin bridge.
func marks() []plugin.Marks {
	return []plugin.Marks{{
		Sets:        []string{"kube-flannel-ds*", "kube-flannel"},
		Images:      []string{"*flannel"},
		Configs:     []string{"*-flannel.conflist", "*-flannel.conf"},
		Types:       []string{"flannel"},
		Files:       []string{"run/flannel/subnet.env"},
		Annotations: []string{snapshot.FlannelPrefix + "*"},
		ConfigMaps:  []string{"kube-flannel-cfg", "*flannel-config"},
		Devices:     []string{"flannel.*", "flannel-v6.*", "flannel-wg*"},
		Includes:    []string{"bridge"},
	}}
}

// ifName is the pod's device.
const ifName = "eth0"

// flannel implements [plugin.Plugin].
type flannel struct {
	env    plugin.Env
	cfg    *Config
	facts  facts
	known  *sync.Map // records of nodes, as they are asked for
	census func() plugin.Census
	ranges func() *plugin.Ranges          // of nodes' pods
	aims   func() map[string][]netip.Addr // of each node, to ask for the ways there
}

func open(env plugin.Env, cfg *Config) *flannel {
	f := &flannel{env: env, cfg: cfg, facts: read(env.Snapshot), known: &sync.Map{}}
	f.census = sync.OnceValue(func() plugin.Census { return plugin.Count(env) }) // these are taken when somebody asks
	f.ranges = sync.OnceValue(f.readRanges)
	f.aims = sync.OnceValue(func() map[string][]netip.Addr { return f.ranges().Aims(f.census()) })
	return f
}

// CreatePod implements [plugin.Plugin].
func (f *flannel) CreatePod(pod *k8s.Pod) (model.NetNodeAction, error) {
	return plugin.NewSimpleVEthPod(f.env, pod, ifName, f.uplink)
}

// uplink asserts the node's side of a pod's veth, and that of the pod of the
// same node that it talks to.
func (f *flannel) uplink(a *assertions.NetstackAssertion, pod *k8s.Pod, dst netip.Addr) {
	fabric := f.at(pod.NodeName)
	if pod.Object != nil {
		fabric.LocalPod(a, pod.Object)
	}
	if to, ok := f.env.IPCache.GetPodFromIP(dst); ok && to.Spec.NodeName == pod.NodeName {
		fabric.LocalPod(a, to)
	}
}

// CreateNode implements [plugin.Plugin].
func (f *flannel) CreateNode(node *k8s.NodeInfo) (model.NetNodeAction, error) {
	return plugin.NewHost(f.env, node, f.at(node.NodeName))
}

// inNetwork reports whether ip is of the pod network.
func (f *flannel) inNetwork(ip netip.Addr) bool {
	return slices.ContainsFunc(f.env.ClusterCIDRs, func(n netip.Prefix) bool { return n.Contains(ip) })
}
