package terway

import (
	"net/netip"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
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
			t.records = sync.OnceValue(func() records { return read(env.Snapshot) })
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
	env     plugin.Env
	cfg     *Config
	census  func() plugin.Census // of who lives where, taken when somebody asks
	records func() records       // which ENI has which address, likewise
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
		return plugin.NewGuidedPod(t.env, pod, t.leadExclusive, nil)
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
// Services by the veth to its node, whose rules translate them (generateVeth1Cfg).
func (t *terway) leadExclusive(a *assertions.NetstackAssertion, dst netip.Addr) string {
	if _, peer := a.NS().Device(exclusiveVeth); peer && dst.Is4() {
		for _, c := range t.env.IPCache.ServiceCIDRs() {
			if c.Prefix.Contains(dst) && a.AssertDevice(exclusiveVeth, "the pod's veth to its node") {
				a.AssertRoute(route.Query{}, assertions.Way{Dst: dst, To: c.Prefix, Dev: exclusiveVeth})
				return exclusiveVeth
			}
		}
		if got := a.NS().FIB.InTable(route.TableMain, route.Query{Dst: dst}); got.Dev == exclusiveVeth && got.Prefix.Bits() > 0 {
			return exclusiveVeth // its node's addresses, host_stack_cidrs
		}
	}
	return plugin.ByDefault(podDevice)(a, dst)
}

// localPod is the pod of a node with an address.
func (t *terway) localPod(node string, ip netip.Addr) (*corev1.Pod, bool) {
	pod, ok := t.env.IPCache.GetPodFromIP(ip)
	return pod, ok && pod.Spec.NodeName == node && !pod.Spec.HostNetwork && slices.Contains(plugin.PodIPs(pod), ip)
}

// Attached implements [plugin.Underlaid].
func (t *terway) Attached(pod *corev1.Pod) (topology.End, bool) {
	place, in := plugin.PodPlace(t.env, pod)
	host := plugin.PlaceOf(pod.Spec.NodeName)
	f, ns := &fabric{terway: t, node: pod.Spec.NodeName}, t.host(pod.Spec.NodeName)
	dev := ""
	switch m := t.modeOf(pod); {
	case m == modeExclusive || m == modeVLAN:
		return topology.End{Place: place, Dev: podDevice}, in != nil
	case ns == nil:
	case m == modeIPvlan:
		if eni, ok := f.parent(ns, pod); ok {
			dev = eni.Name
		}
	case m == modeVPC:
		dev = ns.FIB.InTable(route.TableMain, route.Query{Dst: plugin.Outside(netip.Addr{}).Dst.Addr()}).Dev
	default:
		dev = t.eniOf(ns, pod)
	}
	return topology.End{Place: host, Dev: dev}, dev != ""
}

// eniOf is the ENI of a pod of the mode veth, "" if it is not known: the one that the
// records name, or else the one that the rule from the pod leads to.
func (t *terway) eniOf(ns *netstack.NetNS, pod *corev1.Pod) string {
	for _, ip := range plugin.PodIPs(pod) {
		e := &exit{ns: ns, ip: ip, record: t.records()[ip]}
		if eni := e.owner(); eni != nil {
			return eni.Name
		}
		if r, _, ok := ruleFrom(ns, ip); ok {
			if dev, ok := ns.FIB.DeviceByIndex(r.Table - tableOffset); ok {
				return dev.Name
			}
		}
	}
	return ""
}
