package terway

import (
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
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
			t := &terway{env: env, cfg: cfg}
			t.census = sync.OnceValue(func() plugin.Census { return plugin.Count(env) })
			t.recorded = sync.OnceValue(env.Snapshot.TerwayAddresses)
			return t, nil
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
	env      plugin.Env
	cfg      *Config
	census   func() plugin.Census                         // of who lives where, taken when somebody asks
	recorded func() map[netip.Addr]snapshot.TerwayAddress // which ENI has which address, likewise
}

// host is a node's own namespace, nil if it was not collected.
func (t *terway) host(node string) *netstack.NetNS {
	return t.env.Atlas.NetNS(plugin.PlaceOf(node))
}

// CreateNode implements [plugin.Plugin].
func (t *terway) CreateNode(node *k8s.NodeInfo) (model.NetNodeAction, error) {
	return plugin.NewHost(t.env, node, &fabric{terway: t, node: node.NodeName})
}

// CreatePod implements [plugin.Plugin].
func (t *terway) CreatePod(pod *k8s.Pod) (model.NetNodeAction, error) {
	if pod.Object == nil {
		return plugin.NewPlainPod(t.env, pod)
	}
	switch t.modeOf(pod.Object) {
	case modeExclusive:
		return plugin.NewGuidedPod(t.env, pod, t.leadExclusive(pod.NodeName), nil)
	case modeIPvlan, modeVLAN:
		return plugin.NewSimpleVEthPod(t.env, pod, podDevice, nil)
	}
	return plugin.NewSimpleVEthPod(t.env, pod, podDevice, t.uplink)
}

// uplink asserts the node's side of a pod's veth, and that of the pod of the
// same node that it talks to.
func (t *terway) uplink(a *assertions.NetstackAssertion, pod *k8s.Pod, dst netip.Addr) {
	f := &fabric{terway: t, node: pod.NodeName}
	f.LocalPod(a, pod.Object)
	if to, ok := t.env.IPCache.GetPodFromIP(dst); ok && to.Spec.NodeName == pod.NodeName && to != pod.Object {
		f.LocalPod(a, to)
	}
}

// leadExclusive is the way out of a pod with an ENI of its own: by that ENI, but to
// Services and host_stack_cidrs by the veth to its node (generateVeth1Cfg).
func (t *terway) leadExclusive(node string) plugin.Leads {
	return func(a *assertions.NetstackAssertion, dst netip.Addr) string {
		if _, peer := a.NS().Device(exclusiveVeth); !peer || dst.Is6() {
			return plugin.ByDefault(podDevice)(a, dst)
		}
		for _, to := range t.hostStack(node) {
			if to.Contains(dst) && a.AssertDevice(exclusiveVeth, "the pod's veth to its node") {
				a.AssertRoute(route.Query{}, assertions.Way{Dst: dst, To: to, Dev: exclusiveVeth})
				return exclusiveVeth
			}
		}
		if got := a.NS().FIB.InTable(route.TableMain, route.Query{Dst: dst}); got.Dev == exclusiveVeth && got.Prefix.Bits() > 0 {
			return exclusiveVeth // its node's addresses
		}
		return plugin.ByDefault(podDevice)(a, dst)
	}
}

// Attached implements [plugin.Underlaid].
func (t *terway) Attached(pod *corev1.Pod) (topology.End, bool) {
	place, in := plugin.PodPlace(t.env, pod)
	ns, at := t.host(pod.Spec.NodeName), topology.End{Place: plugin.PlaceOf(pod.Spec.NodeName)}
	switch m := t.modeOf(pod); {
	case m == modeExclusive || m == modeVLAN:
		return topology.End{Place: place, Dev: podDevice}, in != nil
	case ns == nil:
	case m == modeIPvlan:
		_, at = plugin.PodAttachment(t.env, pod, podDevice)
	case m == modeVPC:
		at.Dev = ns.FIB.InTable(route.TableMain, route.Query{Dst: plugin.Outside(netip.Addr{}).Dst.Addr()}).Dev
	default:
		if eni := routing().ENI(ns, t.tenant(pod)); eni != nil {
			at.Dev = eni.Name
		}
	}
	return at, at.Dev != ""
}
