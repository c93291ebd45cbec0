package terway

import (
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
)

// Descriptor returns a new description of terway with default options.
func Descriptor() *plugin.Descriptor {
	cfg := &Config{}
	return &plugin.Descriptor{
		Name:   "terway",
		Doc:    "terway of Alibaba Cloud: VPC, ENIIP with veth or ipvlan, exclusive ENI, VLANs of trunk ENIs",
		Config: cfg,
		Detect: marks(),
		New: func(env plugin.Env) (plugin.Plugin, error) {
			conf := plugin.Once(func(node string) cniConf { return read(env, node) })
			return &terway{plugin.NewBasis(env, env.PodCIDRs), cfg, conf, sync.OnceValue(env.Snapshot.TerwayAddresses)}, nil
		},
	}
}

// marks are by what terway is known. It brings felix or cilium along for policies,
// and in datapath v2 for more. The annotations are those that say how many addresses
// a node has (types/k8s.go).
func marks() []plugin.Marks {
	const group = ".network.alibabacloud.com"
	return []plugin.Marks{{
		Sets:        []string{"terway-eniip", "terway", "terway-eni"},
		Images:      []string{"terway"},
		Configs:     []string{"*-terway.conflist", "*-terway.conf"},
		Types:       []string{"terway"},
		Annotations: []string{"k8s.aliyun.com/max-available-ip", "k8s.aliyun.com/max-member-eni-ip", "k8s.aliyun.com/max-erdma-ip"},
		ConfigMaps:  []string{"eni-config"},
		Resources:   []string{"nodes" + group, "podenis" + group, "podnetworkings" + group},
		Devices:     []string{slavePrefix + "*"},
		Includes:    []string{"calico", "cilium"},
	}}
}

// terway implements [plugin.Plugin].
type terway struct {
	*plugin.Basis
	cfg      *Config
	conf     func(node string) cniConf
	recorded func() map[netip.Addr]snapshot.TerwayAddress // which ENI has which address, read when somebody asks
}

// at is a node of the network.
func (t *terway) at(node string) *fabric { return &fabric{terway: t, node: node} }

// CreateNode implements [plugin.Plugin].
func (t *terway) CreateNode(node *k8s.NodeInfo) (model.NetNodeAction, error) {
	return plugin.NewHost(t.Env, node, t.at(node.NodeName))
}

// CreatePod implements [plugin.Plugin].
func (t *terway) CreatePod(pod *k8s.Pod) (model.NetNodeAction, error) {
	if pod.Object == nil {
		return plugin.NewPlainPod(t.Env, pod)
	}
	switch t.modeOf(pod.Object) {
	case modeExclusive:
		return plugin.NewGuidedPod(t.Env, pod, t.leadExclusive(pod.NodeName), nil)
	case modeIPvlan, modeVLAN:
		return plugin.NewSimpleVEthPod(t.Env, pod, podDevice, nil)
	}
	return plugin.NewSimpleVEthPod(t.Env, pod, podDevice, plugin.LocalUplink(t.Env, func(node string) plugin.Fabric { return t.at(node) }))
}

// leadExclusive is the way out of a pod with an ENI of its own: by that ENI, but what is
// for its node by the veth to it (generateVeth1Cfg).
func (t *terway) leadExclusive(node string) plugin.Leads {
	return plugin.ByRange(exclusiveVeth, "the pod's veth to its node", t.hostStack(node), plugin.ByDefault(podDevice))
}

// Attached implements [plugin.Underlaid].
func (t *terway) Attached(pod *corev1.Pod) (topology.End, bool) {
	place, in := plugin.PodPlace(t.Env, pod)
	ns, at := t.HostNS(pod.Spec.NodeName), topology.End{Place: plugin.PlaceOf(pod.Spec.NodeName)}
	switch m := t.modeOf(pod); {
	case m == modeExclusive || m == modeVLAN:
		return topology.End{Place: place, Dev: podDevice}, in != nil
	case ns == nil:
	case m == modeIPvlan:
		_, at = plugin.PodAttachment(t.Env, pod, podDevice)
	case m == modeVPC:
		at.Dev = ns.FIB.InTable(route.TableMain, route.Query{Dst: plugin.Outside(netip.Addr{}).Dst.Addr()}).Dev
	default:
		if eni := routing().ENI(ns, t.tenant(pod)); eni != nil {
			at.Dev = eni.Name
		}
	}
	return at, at.Dev != ""
}
