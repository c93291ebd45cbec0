package calico

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// Names that are the same in every Calico.
const (
	ifName      = "eth0" // of a pod's device
	vxlanDevice = "vxlan.calico"
	ipipDevice  = "tunl0"
	vxlanSix    = "vxlan-v6.calico" // of IPv6
	wireguard   = "wireguard.cali"  // unless felix is told another name
	wireguard6  = "wg-v6.cali"      // of IPv6, likewise
	bpfDevice   = "bpfin.cali"      // of the eBPF data plane (felix/dataplane/linux/dataplanedefs)
)

const (
	tunnel      = "Calico's tunnel device"
	findAddress = "Set IP_AUTODETECTION_METHOD of calico-node so that it finds the right address, and restart it there."
)

// gateway is what a pod's default route of the family of like leads to: of IPv4 an
// address that nobody has, and for which the node answers; of IPv6 what the node's
// end of every veth has (cni-plugin/internal/pkg/utils/network_linux.go,
// felix/dataplane/linux/endpoint_mgr.go).
func gateway(like netip.Addr) netip.Addr {
	if like.Is6() {
		return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: 0xec, 0xee, 0xee, 0xff, 0xfe, 0xee, 0xee, 0xee})
	}
	return netip.AddrFrom4([4]byte{169, 254, 1, 1})
}

// fabric is one node of a Calico network. It implements [plugin.Fabric].
type fabric struct {
	*calico
	node string
}

func (c *calico) at(node string) *fabric { return &fabric{calico: c, node: node} }

// resource is the part of the bundle that has the objects of a kind.
func (c *calico) resource(plural string) string {
	return "cluster/" + c.Snapshot.CalicoResource(plural) + ".yaml"
}

// bpf reports whether eBPF programs do the node's work: then its routes and rules
// mean something else, and what becomes of packets at the programs is unknown. An
// environment variable may say so, too, which no bundle has (FELIX_BPFENABLED): a device
// that felix makes for the programs tells.
func (f *fabric) bpf() bool {
	enabled, made := f.felix(f.node).BPFEnabled, false
	if ns := f.HostNS(f.node); ns != nil {
		_, made = ns.Device(bpfDevice)
	}
	return made || enabled != nil && *enabled
}

// LocalPod implements [plugin.Fabric]: a pod's address is routed to the node's
// end of its veth, and each end knows the hardware address of the other.
func (f *fabric) LocalPod(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	if !f.bpf() {
		f.veth(pod).Assert(a)
	}
}

// veth is a pod's cable.
func (f *fabric) veth(pod *corev1.Pod) plugin.Veth {
	prefix, _, _ := strings.Cut(f.felix(f.node).InterfacePrefix, ",")
	return plugin.VethOf(f.Env, pod, ifName, cmp.Or(prefix, "cali"))
}

// assertGateways asserts that a pod gets an answer for its gateways.
func (f *fabric) assertGateways(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	for _, ip := range plugin.PodIPs(pod) {
		f.veth(pod).AssertGateway(a, gateway(ip), false)
	}
}

// Remote implements [plugin.Fabric].
func (f *fabric) Remote(a *assertions.NetstackAssertion, ip netip.Addr, peer *corev1.Node) {
	if _, ok := f.compared(ip); ok {
		f.assertAddress(a, peer.Name, ip)
	}
	if l, ok := f.lane(a, ip, peer.Name); ok {
		l.Assert(a)
	}
}

// compared returns the pool of ip. It is false if the plugin means nothing about
// packets to it.
func (f *fabric) compared(ip netip.Addr) (pool, bool) {
	p, ok := f.facts().pool(ip)
	return p, ok && !f.bpf()
}

// lane is the way to an address of another node. It is false if none is known, or
// if there cannot be one, which is reported.
func (f *fabric) lane(a *assertions.NetstackAssertion, ip netip.Addr, peer string) (l plugin.Lane, ok bool) {
	p, ok := f.compared(ip)
	if !ok {
		return l, false
	}
	to, ok := f.placed(a, ip, peer)
	if !ok {
		return l, false
	}
	l = f.way(p, peer)
	l.Dst, l.To = ip, to
	return l, l.MAC == "" || l.Via.IsValid() || a.Fail("route/missing", plugin.NodesFile, "See why calico-node gave node "+peer+" no address for its VXLAN device.",
		"node %s tells nobody the address of its VXLAN device, so there is no route to its pods", peer)
}

// placed returns the prefix that nodes have a route for because of an address of
// a node: its block, or the address alone if the node borrowed it from another's
// block. What is not known is not asserted.
func (f *fabric) placed(a *assertions.NetstackAssertion, ip netip.Addr, node string) (to netip.Prefix, ok bool) {
	block, nodes, ok := f.facts().blocks.Of(ip)
	alone := netip.PrefixFrom(ip, ip.BitLen())
	switch {
	case !ok:
		return block, false
	case f.perPod():
		return alone, true
	case slices.Equal(nodes, []string{node}):
		return block, true
	case slices.Contains(nodes, node):
		return block, a.Fail("address/overlap", f.resource("blockaffinities"), "Delete the BlockAffinity of the node that has no pods there.", "several nodes claim the block %s: %v", block, nodes)
	}
	borrower, known := f.facts().blocks.Borrower(ip)
	if borrower == node || !known {
		return alone, known
	}
	return block, a.Fail("address/wrong", f.resource("blockaffinities"), "Recreate the pod.", "%s, an address of node %s, is of block %s of node %s, which gave it to nobody there: packets to it go to node %s", ip, node, block, nodes[0], nodes[0])
}

// perPod reports whether felix writes a route for each pod of other nodes, and
// none for their blocks.
func (f *fabric) perPod() bool { return f.felix(f.node).RouteSource == "WorkloadIPs" }

// way is how packets to pods of a pool on another node travel. Without a device
// this is not known, without a next hop any will do.
func (f *fabric) way(p pool, node string) (l plugin.Lane) {
	ip := p.prefix.Addr()
	own, peer, wireguard := f.told(f.node, ip), f.told(node, ip), f.wireguard(ip)
	if !own.Address.IsValid() || !peer.Address.IsValid() {
		return l
	}
	mesh := f.facts().mesh && !own.Reflector && !peer.Reflector
	if p.tunnel != "vxlan" { // BIRD writes the route
		l.Why = func(a *assertions.NetstackAssertion) { f.assertSession(a, node) }
	}
	switch means := p.between(own, peer); {
	case wireguard != "" && own.Encrypted && peer.Encrypted: // felix/wireguard: in a table of its own
		l.Dev, l.Tunnel, l.ByRule = wireguard, tunnel, true
	case means == "vxlan": // felix/dataplane/linux/vxlan_mgr.go
		l.Dev, l.Tunnel, l.Via, l.MAC, l.Underlay = vxlan(ip), tunnel, peer.VTEP, peer.MAC, peer.Address.Addr()
	case p.tunnel == "vxlan":
		f.plain(&l.Way, peer, true)
	case p.Spec.DisableBGPExport: // BIRD tells nobody
	default:
		f.byBIRD(&l, means == "", peer, mesh)
	}
	return l
}

// byBIRD is the way to another node by a route of BIRD's (confd's
// bird_ipam.cfg.template), without a tunnel or by IPIP.
func (f *fabric) byBIRD(l *plugin.Lane, plain bool, peer snapshot.CalicoNode, mesh bool) {
	if plain {
		l.LinkLocal = peer.Address.Addr().Is6()
		f.plain(&l.Way, peer, mesh)
		return
	}
	l.Dev, l.Tunnel = ipipDevice, tunnel
	if mesh {
		l.Via = peer.Address.Addr()
	}
}

// plain is the way to another node without a tunnel. direct says that the next
// hop is that node, or the router that leads to it.
func (f *fabric) plain(w *assertions.Way, peer snapshot.CalicoNode, direct bool) {
	w.Dev, _ = plugin.DeviceToward(f.Env, f.node, f.cfg.HostInterface, peer.Address.Addr())
	if direct {
		w.Via = f.NextHop(f.node, peer.Address.Addr())
	}
}

// vxlan is the name of the VXLAN device of the family of like.
func vxlan(like netip.Addr) string {
	if like.Is6() {
		return vxlanSix
	}
	return vxlanDevice
}

// wireguard is the name of the node's WireGuard device of the family of like, "" if
// felix makes none.
func (f *fabric) wireguard(like netip.Addr) string {
	felix := f.felix(f.node)
	enabled, name := felix.WireguardEnabled, cmp.Or(felix.WireguardInterface, wireguard)
	if like.Is6() {
		enabled, name = felix.WireguardEnabledV6, cmp.Or(felix.WireguardInterfaceV6, wireguard6)
	}
	if enabled == nil || !*enabled {
		return ""
	}
	return name
}

// assertSession asserts that the node's BGP session with another node is up, as
// far as somebody asked for the state of sessions.
func (f *fabric) assertSession(a *assertions.NetstackAssertion, peer string) {
	for _, s := range f.facts().sessions[f.node] {
		if ip, err := netip.ParseAddr(s.PeerIP); err == nil && ip == f.told(peer, ip).Address.Addr() && s.State != "Established" {
			a.Fail("bgp/not-established", f.resource("caliconodestatuses"),
				fmt.Sprintf("See that calico-node runs on node %s, and that TCP port 179 is open between the nodes.", peer),
				"the BGP session of node %s with node %s (%s) is %s since %s: neither learns the blocks of the other", f.node, peer, ip, s.State, s.Since)
		}
	}
}

// assertAddress asserts that the address of the family of like by which the others
// reach a node is one of the node's own: calico-node found it by itself, and may have
// found another network's.
func (f *fabric) assertAddress(a *assertions.NetstackAssertion, node string, like netip.Addr) {
	plugin.NodeAddress{Node: node, IP: f.told(node, like).Address.Addr(), By: "Calico", Remedy: findAddress}.Assert(f.Env, a)
}

// Arrival implements [plugin.Fabric]: packets of other nodes' pods come out of the
// tunnel, and the node's own pods send from their own device: felix drops what
// comes from elsewhere.
func (f *fabric) Arrival(a *assertions.NetstackAssertion, upstream *model.Link) {
	ip := upstream.Packet.Src.Addr()
	src, fromPod := f.IPCache.GetPodFromIP(ip)
	p, ok := f.compared(ip)
	switch {
	case !fromPod || !ok:
	case src.Spec.NodeName == f.node:
		f.veth(src).AssertRoutes(a.At(model.SuspicionLevelFatal))
	default:
		l := f.way(p, src.Spec.NodeName)
		l.AssertDevice(a)
		if l.Tunnel != "" && !l.ByRule { // felix drops what a tunnel brings from an address that no node told
			f.assertAddress(a.At(model.SuspicionLevelFatal), src.Spec.NodeName, ip)
		}
	}
}

// Masquerades implements [plugin.Fabric]: natOutgoing is for packets of a pool to
// what is in no pool, and, where felix is told so, of no node (felix/rules/nat.go).
func (f *fabric) Masquerades(p model.Packet) bool {
	from, ok := f.facts().pool(p.Src.Addr())
	_, inside := f.facts().pool(p.Dst.Addr())
	if f.felix(f.node).NATExclusions == "IPPoolsAndHostIPs" && !inside {
		_, inside = f.IPCache.GetNodeNameFromIP(p.Dst.Addr())
	}
	return ok && from.Spec.NATOutgoing && !inside && f.felix(f.node).NATInterfaces == "" && !f.bpf()
}
