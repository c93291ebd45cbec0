package terway

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// fabric is one node of a terway network. It implements [plugin.Fabric] and
// [plugin.Leaver].
type fabric struct {
	*terway
	node string
}

var (
	_ plugin.Fabric    = (*fabric)(nil)
	_ plugin.Leaver    = (*fabric)(nil)
	_ plugin.Checker   = (*terway)(nil)
	_ plugin.Underlaid = (*terway)(nil)
)

// LocalPod implements [plugin.Fabric]: what packets need to come from the node to
// the pod. Nobody answers for the router of a veth: the pod has an entry for it.
func (f *fabric) LocalPod(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	switch m := f.modeOf(pod); m {
	case modeVPC, modeVeth, modeExclusive:
		v := f.veth(pod)
		if !v.AssertEnds(a) {
			return
		}
		v.AssertGateway(a, linkIP(), true)
		if m == modeVeth {
			routing().AssertRuleTo(a, f.tenant(pod))
		}
		v.AssertRoutes(a)
	case modeIPvlan:
		f.overSlave(a, pod)
	}
}

// Apart implements [plugin.Leaver]: pods on a VLAN have no device in common with
// their node, nor have those with an ENI of their own where the veth is left out.
func (f *fabric) Apart(pod *corev1.Pod) bool {
	switch f.modeOf(pod) {
	case modeVLAN:
		return true
	case modeExclusive:
		return f.conf(f.node).DisableHostPeer
	}
	return false
}

// Remote implements [plugin.Fabric]: Leave knows more.
func (f *fabric) Remote(*assertions.NetstackAssertion, netip.Addr, *corev1.Node) {}

// Arrival implements [plugin.Fabric]: packets come as they are.
func (f *fabric) Arrival(*assertions.NetstackAssertion, *model.Link) {}

// Masquerades implements [plugin.Fabric]: addresses of pods are the VPC's own. Only
// what pods with ENIs of their own send by their node is masqueraded, since the
// VPC would not take it from the node (masq_eni_only in policy/uninstall_policy.sh).
func (f *fabric) Masquerades(p model.Packet) bool {
	_, local := f.localPod(p.Src.Addr())
	return local && f.exclusiveNode(f.node)
}

// Leave implements [plugin.Leaver].
func (f *fabric) Leave(a *assertions.NetstackAssertion, p model.Packet, dst netip.Addr) []model.Transmission {
	src := p.Src.Addr()
	pod, local := f.localPod(src)
	if !local || !src.Is4() || a.NS() == nil {
		return nil
	}
	switch f.modeOf(pod) {
	case modeVeth:
		if eni, via := routing().AssertExit(a, f.tenant(pod), dst); eni != "" {
			return plugin.By(f.Env, f, eni, via, dst)
		}
	case modeIPvlan, modeVLAN:
		if eni, ok := f.below(pod); ok {
			a.AssertDevice(eni.Name, "the ENI")
			return plugin.By(f.Env, f, eni.Name, netip.Addr{}, dst)
		}
	case modeVPC:
		return f.toVPC(a, route.Query{Src: src, Dst: dst, IIf: f.veth(pod).Peer})
	}
	return nil
}

// localPod is the pod of the node with an address.
func (f *fabric) localPod(ip netip.Addr) (*corev1.Pod, bool) {
	pod, ok := f.IPCache.GetPodFromIP(ip)
	return pod, ok && pod.Spec.NodeName == f.node && !pod.Spec.HostNetwork && slices.Contains(plugin.PodIPs(pod), ip)
}

// toVPC asserts that what pods of the mode VPC send to other nodes leaves as the default
// route says: the VPC's route table leads on from there.
func (f *fabric) toVPC(a *assertions.NetstackAssertion, q route.Query) []model.Transmission {
	all := plugin.Everywhere(q.Dst)
	main := a.NS().FIB.Routes(route.TableMain, all)
	if _, ok := a.AssertMainTable(q); !ok || len(main) == 0 || main[0].Route == nil || main[0].Route.Dev == "" {
		return nil
	}
	if pod, ok := f.IPCache.GetPodFromIP(q.Dst); ok && !pod.Spec.HostNetwork {
		a.AssertRoute(q, assertions.Way{Dst: q.Dst, To: all, Dev: main[0].Route.Dev})
		via, _ := netip.ParseAddr(main[0].Route.Via)
		return plugin.By(f.Env, f, main[0].Route.Dev, via, q.Dst)
	}
	return nil
}

// overSlave asserts the way from a node to a pod on an ipvlan: the node has an
// ipvlan on the same ENI (initSlaveName), and a route to the pod by it.
func (f *fabric) overSlave(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	eni, ok := f.below(pod)
	if !plugin.AssertPodDevice(f.Env, a, pod, podDevice) || !ok || !a.AssertDevice(eni.Name, "the ENI") {
		return
	}
	slave := fmt.Sprintf("%s%d", slavePrefix, eni.Index)
	if a.AssertDevice(slave, "the node's ipvlan on ENI "+eni.Name) {
		plugin.AssertPodRoutes(a, pod, slave)
	}
}

// below is the ENI that a pod's device stands on.
func (f *fabric) below(pod *corev1.Pod) (*nodedump.Interface, bool) {
	kind, end := plugin.PodAttachment(f.Env, pod, podDevice)
	ns := f.HostNS(f.node)
	if ns == nil || kind == "veth" || end.Place != plugin.PlaceOf(f.node) {
		return nil, false
	}
	return ns.Device(end.Dev)
}
