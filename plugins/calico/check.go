package calico

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// CheckNode implements [plugin.Checker].
func (c *calico) CheckNode(r assertions.Reporter, node string) {
	f := c.at(node)
	u := plugin.NewCheckup(c.Basis, r, node, f, "calico-node")
	if u.NS() == nil {
		return
	}
	if f.bpf() {
		at := c.resource("felixconfigurations")
		if dev, ok := u.NS().Device(bpfDevice); ok {
			at = u.NS().DeviceEvidence(dev)
		}
		u.At(model.SuspicionLevelInfo).Fail("network/not-checked", at, "",
			"Calico's eBPF data plane is on (bpfEnabled or FELIX_BPFENABLED): what it needs of the node is not checked, and what becomes of packets at its programs is not known")
		return
	}
	f.checkPods(u)
	for _, like := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		f.assertAddress(u.NetstackAssertion, node, like)
		plugin.CheckUnlike(u, "address", func(n *corev1.Node) netip.Addr { return c.told(n.Name, like).Address.Addr() }, findAddress)
	}
	u.CheckLanes(func(peer string, far netip.Addr) (l plugin.Lane, ok bool) {
		if _, pod := c.IPCache.GetPodFromIP(far); !pod && f.perPod() {
			return l, false // felix writes no route for it
		}
		return f.lane(u.NetstackAssertion, far, peer)
	})
	for _, peer := range u.Peers() {
		f.assertSession(u.At(model.SuspicionLevelWarning), peer.Name) // the routes may be there still
	}
	f.checkMTU(u)
	u.CheckMasquerade()
}

// checkPods asserts the pods' veths, the routes to them, who answers them, and
// that their addresses are the node's to give.
func (f *fabric) checkPods(u *plugin.Checkup) {
	for _, pod := range u.Pods() {
		f.LocalPod(u.NetstackAssertion, pod)
		f.assertGateways(u.NetstackAssertion, pod)
		for _, ip := range plugin.PodIPs(pod) {
			u.Sends(ip, f.veth(pod).Peer)
			f.checkPlace(u.NetstackAssertion, pod, ip)
		}
	}
}

// checkPlace asserts that an address is of a pool, and of a block that the node
// claims or borrowed the address from. Without pools nothing is known of them.
func (f *fabric) checkPlace(a *assertions.NetstackAssertion, pod *corev1.Pod, ip netip.Addr) {
	if len(f.facts().pools) == 0 {
		return
	}
	p, ok := f.facts().pool(ip)
	if !ok {
		a.Fail("address/wrong", f.resource("ippools"), "Recreate the pod, or restore the IPPool.",
			"%s, the address of pod %s/%s, is in no IPPool: Calico has no tunnel and no masquerading for it", ip, pod.Namespace, pod.Name)
		return
	}
	if p.Spec.Disabled {
		a.At(model.SuspicionLevelInfo).Fail("address/wrong", f.resource("ippools"), "", "pod %s/%s keeps %s until it is recreated: the IPPool %s is disabled", pod.Namespace, pod.Name, ip, p.Name)
	}
	f.placed(a, ip, f.node)
}

// encapsulations are those that IPv4 packets of the node's pods need
// (felix/dataplane/linux/int_dataplane.go).
func (f *fabric) encapsulations(peers []*corev1.Node) (list []plugin.Encapsulation) {
	used := map[string]bool{}
	for _, peer := range peers {
		for _, p := range f.facts().pools {
			if p.prefix.Addr().Is4() {
				used[f.way(p, peer.Name).Dev] = true
			}
		}
	}
	for _, e := range []plugin.Encapsulation{
		{Name: "IPIP", Device: ipipDevice, Overhead: plugin.OverheadIPIP, PodMTU: f.cfg.IPIPPodMTU, Option: "--calico-ipip-pod-mtu"},
		{Name: "VXLAN", Device: vxlanDevice, Overhead: plugin.OverheadVXLAN, PodMTU: f.cfg.VXLANPodMTU, Option: "--calico-vxlan-pod-mtu"},
		{Name: "WireGuard", Device: f.wireguard(netip.IPv4Unspecified()), Overhead: plugin.OverheadWireGuard},
	} {
		if e.Device != "" && used[e.Device] {
			list = append(list, e)
		}
	}
	if len(list) == 0 {
		list = append(list, plugin.Encapsulation{PodMTU: f.cfg.PodMTU, Option: "--calico-pod-mtu"})
	}
	return list
}

// checkMTU asserts that what pods send gets through the tunnels, and what these
// make of it through the network between the nodes.
func (f *fabric) checkMTU(u *plugin.Checkup) {
	host := u.HostMTU(f.cfg.HostInterface, f.told(f.node, netip.IPv4Unspecified()).Address.Addr())
	if host.Bytes == 0 {
		return
	}
	if f.cfg.HostMTU != 0 {
		host.Bytes, host.Why = f.cfg.HostMTU, fmt.Sprintf("--calico-host-mtu is %d", f.cfg.HostMTU)
	}
	for _, e := range f.encapsulations(u.Peers()) {
		u.CheckMTU(host, e)
	}
}
