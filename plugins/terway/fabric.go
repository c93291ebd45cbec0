package terway

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
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
// the pod.
func (f *fabric) LocalPod(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	m := f.modeOf(pod)
	switch m {
	case modeVPC, modeVeth:
		f.overVeth(a, pod, podDevice, m == modeVeth)
	case modeExclusive:
		f.overVeth(a, pod, exclusiveVeth, false)
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
		conf, _ := configOf(f.env.Snapshot, f.node)
		return conf.DisableHostPeer
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
	_, local := f.localPod(f.node, p.Src.Addr())
	return local && f.exclusiveNode(f.node)
}

// Leave implements [plugin.Leaver].
func (f *fabric) Leave(a *assertions.NetstackAssertion, p model.Packet, dst netip.Addr) []model.Transmission {
	src := p.Src.Addr()
	pod, local := f.localPod(f.node, src)
	if !local || !src.Is4() || a.NS() == nil || !whole(a.NS()) {
		return nil
	}
	switch f.modeOf(pod) {
	case modeVeth:
		e := &exit{NetstackAssertion: a, ns: a.NS(), pod: pod.Namespace + "/" + pod.Name, veth: f.hostEnd(pod, podDevice), ip: src, record: f.records()[src]}
		if e.assert(dst); e.eni == nil {
			return plugin.By(f.env, "an ENI", e.via, dst)
		}
		return plugin.By(f.env, e.eni.Name, e.via, dst)
	case modeIPvlan, modeVLAN:
		if eni, ok := f.parent(a.NS(), pod); ok {
			a.AssertDevice(eni.Name, "the ENI")
			return plugin.By(f.env, eni.Name, netip.Addr{}, dst)
		}
	case modeVPC:
		return f.toVPC(a, route.Query{Src: src, Dst: dst, IIf: f.hostEnd(pod, podDevice)})
	}
	return nil
}

// toVPC asserts that what pods of the mode VPC send to other nodes leaves as the default
// route says: the VPC's route table leads on from there.
func (f *fabric) toVPC(a *assertions.NetstackAssertion, q route.Query) []model.Transmission {
	main := a.NS().FIB.Routes(route.TableMain, everywhere())
	if _, ok := a.AssertMainTable(q); !ok || len(main) == 0 || main[0].Route == nil || main[0].Route.Dev == "" {
		return nil
	}
	if pod, ok := f.env.IPCache.GetPodFromIP(q.Dst); ok && !pod.Spec.HostNetwork {
		a.AssertRoute(q, assertions.Way{Dst: q.Dst, To: everywhere(), Dev: main[0].Route.Dev})
		via, _ := netip.ParseAddr(main[0].Route.Via)
		return plugin.By(f.env, main[0].Route.Dev, via, q.Dst)
	}
	return nil
}

// overVeth asserts a pod's veth, whose end in the pod is ifName: both ends, the pod's
// entry for its router, which nobody answers for, and the way to the pod.
func (f *fabric) overVeth(a *assertions.NetstackAssertion, pod *corev1.Pod, ifName string, rules bool) {
	if ifName == podDevice && !plugin.AssertPodDevice(f.env, a, pod, ifName) {
		return
	}
	veth, name := f.hostEnd(pod, ifName), pod.Namespace+"/"+pod.Name
	if !a.AssertDevice(veth, "the node's end of the veth of pod "+name) || a.NS() == nil {
		return
	}
	if dev, ok := a.NS().Device(veth); ok {
		place, ns := plugin.PodPlace(f.env, pod)
		if ns != nil && !a.NS().FIB.Switched("ipv4", veth, "proxy_arp") {
			a.In(ns, f.env.HopOf(place)).AssertNeighbour(ifName, linkIP(), dev.MAC, true)
		}
	}
	for _, ip := range plugin.PodIPs(pod) {
		if !ip.Is4() {
			continue
		}
		if rules {
			f.assertRuleTo(a, ip, name)
		}
		a.AssertRoute(route.Query{}, assertions.Way{Dst: ip, To: netip.PrefixFrom(ip, 32), Dev: veth})
	}
}

// assertRuleTo asserts the rule that keeps packets to a pod of the node from the
// tables of ENIs.
func (f *fabric) assertRuleTo(a *assertions.NetstackAssertion, ip netip.Addr, name string) {
	if _, _, ok := ruleTo(a.NS(), ip); !ok && a.NS().Unread("rules") == nil {
		a.Fail("route/missing", a.NS().Info.File, fmt.Sprintf("ip rule add to %s lookup main priority %d", ip, toPodPriority),
			"terway's rule %d to %s (pod %s) is missing, so that packets of other pods of the node leave it by their ENI", toPodPriority, ip, name)
	}
}

// overSlave asserts the way from a node to a pod on an ipvlan: the node has an
// ipvlan on the same ENI (initSlaveName), and a route to the pod by it.
func (f *fabric) overSlave(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	eni, ok := f.parent(a.NS(), pod)
	if !plugin.AssertPodDevice(f.env, a, pod, podDevice) || !ok || !a.AssertDevice(eni.Name, "the ENI") {
		return
	}
	slave := fmt.Sprintf("%s%d", slavePrefix, eni.Index)
	if !a.AssertDevice(slave, "the node's ipvlan on ENI "+eni.Name) {
		return
	}
	for _, ip := range plugin.PodIPs(pod) {
		if ip.Is4() {
			a.AssertRoute(route.Query{}, assertions.Way{Dst: ip, To: netip.PrefixFrom(ip, 32), Dev: slave})
		}
	}
}

// parent is the ENI that a pod's device stands on.
func (f *fabric) parent(ns *netstack.NetNS, pod *corev1.Pod) (*nodedump.Interface, bool) {
	place, in := plugin.PodPlace(f.env, pod)
	if ns == nil || in == nil {
		return nil, false
	}
	dev, ok := in.Device(podDevice)
	if !ok {
		return nil, false
	}
	end, ok := f.env.Topology.Below(place, dev)
	if !ok || end.Place != place.Host() {
		return nil, false
	}
	return ns.Device(end.Dev)
}
