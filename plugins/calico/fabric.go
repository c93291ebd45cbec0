package calico

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// Names that are the same in every Calico.
const (
	ifName      = "eth0" // of a pod's device
	vxlanDevice = "vxlan.calico"
	ipipDevice  = "tunl0"
	wireguard   = "wireguard.cali" // unless felix is told another name
)

// gateway is what a pod's default route leads to: an address that nobody has, and
// for which the node answers (cni-plugin/internal/pkg/utils/network_linux.go).
func gateway() netip.Addr { return netip.AddrFrom4([4]byte{169, 254, 1, 1}) }

// fabric is one node of a Calico network. It implements [plugin.Fabric].
type fabric struct {
	*calico
	node string
}

// bpf reports whether eBPF programs do the node's work: then its routes and rules
// mean something else, and what becomes of packets at the programs is unknown.
func (f *fabric) bpf() bool {
	return f.facts().on(f.node, func(c *snapshot.CalicoFelix) *bool { return c.Spec.BPFEnabled })
}

// LocalPod implements [plugin.Fabric]: a pod's address is routed to the node's
// end of its veth, and each end knows the hardware address of the other.
func (f *fabric) LocalPod(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	if v := f.veth(pod); !f.bpf() && v.AssertEnds(a) {
		v.AssertRoutes(a)
		v.AssertNeighbours(a)
	}
}

// veth is a pod's cable.
func (f *fabric) veth(pod *corev1.Pod) plugin.Veth {
	return plugin.VethOf(f.env, pod, ifName, f.facts().vethPrefix(f.node))
}

// Remote implements [plugin.Fabric].
func (f *fabric) Remote(a *assertions.NetstackAssertion, ip netip.Addr, peer *corev1.Node) {
	if _, ok := f.facts().pool(ip); ok && ip.Is4() && !f.bpf() {
		f.assertAddress(a, peer.Name)
	}
	f.remote(a, ip, peer)
}

// remote asserts the way to an address of another node.
func (f *fabric) remote(a *assertions.NetstackAssertion, ip netip.Addr, peer *corev1.Node) {
	p, ok := f.facts().pool(ip)
	if !ok || !ip.Is4() || f.bpf() {
		return // IPv6 is not compared yet
	}
	to, ok := f.placed(a, ip, peer.Name)
	if !ok {
		return
	}
	w := f.way(p, peer.Name)
	w.Dst, w.To = ip, to
	switch {
	case w.Dev == "":
	case w.Dev == vxlanDevice && !w.Via.IsValid():
		a.Fail("route/missing", "cluster/nodes.yaml", "See why calico-node gave node "+peer.Name+" no address for its VXLAN device.",
			"node %s tells nobody the address of its VXLAN device, so there is no route to its pods", peer.Name)
	case a.AssertDevice(w.Dev, what(w.Dev)) && f.assertWay(a, w, p, peer.Name) && w.Dev == vxlanDevice:
		f.assertVTEP(a, peer.Name)
	}
}

// what a device is, for people.
func what(dev string) string {
	switch dev {
	case vxlanDevice, ipipDevice:
		return "Calico's tunnel device"
	}
	return "the device towards the other nodes"
}

// placed returns the prefix that nodes have a route for because of an address of
// a node: its block, or the address alone if the node borrowed it from another's
// block. What is not known is not asserted.
func (f *fabric) placed(a *assertions.NetstackAssertion, ip netip.Addr, node string) (to netip.Prefix, ok bool) {
	block, nodes, ok := f.facts().block(ip)
	alone := netip.PrefixFrom(ip, ip.BitLen())
	switch {
	case !ok:
		return block, false
	case f.perPod():
		return alone, true
	case slices.Equal(nodes, []string{node}):
		return block, true
	}
	at := "cluster/" + f.env.Snapshot.CalicoResource("blockaffinities") + ".yaml"
	if slices.Contains(nodes, node) {
		return block, a.Fail("address/overlap", at, "Delete the BlockAffinity of the node that has no pods there.", "several nodes claim the block %s: %v", block, nodes)
	}
	addresses := f.facts().ipam()
	if addresses.nodes[ip] == node {
		return alone, true
	}
	if !addresses.known {
		return block, false
	}
	return block, a.Fail("address/wrong", at, "Recreate the pod.", "%s, an address of node %s, is of block %s of node %s, which gave it to nobody there: packets to it go to node %s", ip, node, block, nodes[0], nodes[0])
}

// perPod reports whether felix writes a route for each pod of other nodes, and
// none for their blocks.
func (f *fabric) perPod() bool {
	return f.facts().configured(f.node, func(c *snapshot.CalicoFelix) string { return c.Spec.RouteSource }) == "WorkloadIPs"
}

// way is how packets to pods of a pool on another node travel. A zero device means
// that this is not known, a zero next hop that any will do.
func (f *fabric) way(p pool, node string) (w assertions.Way) {
	own, peer := f.facts().members[f.node], f.facts().members[node]
	if own == nil || peer == nil {
		return w
	}
	mesh := f.facts().mesh && !own.reflector && !peer.reflector
	switch tunnel := p.between(own, peer); {
	case f.encrypts(own, peer): // felix/wireguard: in a table of its own
		return assertions.Way{Dev: f.wireguard()}
	case tunnel == "vxlan": // felix/dataplane/linux/vxlan_mgr.go
		return assertions.Way{Dev: vxlanDevice, Via: peer.vtep}
	case p.tunnel == "vxlan":
		return f.plain(peer, true)
	case p.local: // BIRD tells nobody
		return w
	case tunnel == "": // confd's bird_ipam.cfg.template
		return f.plain(peer, mesh)
	case mesh:
		w.Via = peer.addr.Addr()
	}
	w.Dev = ipipDevice
	return w
}

// encrypts reports whether packets between two nodes go through WireGuard.
func (f *fabric) encrypts(own, peer *member) bool {
	on := f.facts().on(f.node, func(c *snapshot.CalicoFelix) *bool { return c.Spec.WireguardEnabled })
	return on && own.encrypted && peer.encrypted
}

// plain is the way to another node without a tunnel. direct says that the next
// hop is that node, or the router that leads to it.
func (f *fabric) plain(peer *member, direct bool) (w assertions.Way) {
	w.Dev, _ = plugin.DeviceToward(f.env, f.node, f.cfg.HostInterface, peer.addr.Addr())
	if direct {
		w.Via = f.nextHop(peer.addr.Addr())
	}
	return w
}

// nextHop is what packets to the address of another node are handed to.
func (f *fabric) nextHop(ip netip.Addr) netip.Addr {
	if ns := f.env.Atlas.NetNS(plugin.PlaceOf(f.node)); ns != nil && ip.IsValid() {
		if r := ns.FIB.Lookup(route.Query{Dst: ip}, nil); r.Type == route.TypeUnicast && r.Via.IsValid() {
			return r.Via
		}
	}
	return ip
}

// wireguard is the name of the node's WireGuard device.
func (f *fabric) wireguard() string {
	if name := f.facts().configured(f.node, func(c *snapshot.CalicoFelix) string { return c.Spec.WireguardInterface }); name != "" {
		return name
	}
	return wireguard
}

// assertWay asserts the route to another node's block. Where BIRD writes it and
// does not talk to the node, that is why it is missing.
func (f *fabric) assertWay(a *assertions.NetstackAssertion, w assertions.Way, p pool, peer string) bool {
	silent := assertions.NewNetstackAssertion(&plugin.Findings{}, a.NS(), model.SuspicionLevelInfo)
	if silent.AssertRoute(route.Query{}, w) {
		return true
	}
	if p.tunnel != "vxlan" {
		f.assertSession(a, peer)
	}
	return a.AssertRoute(route.Query{}, w)
}

// assertSession asserts that the node's BGP session with another node is up, as
// far as somebody asked for the state of sessions.
func (f *fabric) assertSession(a *assertions.NetstackAssertion, peer string) {
	m := f.facts().members[peer]
	for _, s := range f.facts().sessions[f.node] {
		if ip, err := netip.ParseAddr(s.PeerIP); err == nil && m != nil && ip == m.addr.Addr() && s.State != "Established" {
			a.Fail("bgp/not-established", "cluster/"+f.env.Snapshot.CalicoResource("caliconodestatuses")+".yaml",
				fmt.Sprintf("See that calico-node runs on node %s, and that TCP port 179 is open between the nodes.", peer),
				"the BGP session of node %s with node %s (%s) is %s since %s: neither learns the blocks of the other", f.node, peer, ip, s.State, s.Since)
		}
	}
}

// assertVTEP asserts that the node knows where another node's VXLAN device is.
func (f *fabric) assertVTEP(a *assertions.NetstackAssertion, peer string) {
	m := f.facts().members[peer]
	if a.AssertNeighbour(vxlanDevice, m.vtep, m.mac, true) && m.addr.IsValid() {
		a.AssertFDB(vxlanDevice, m.mac, m.addr.Addr())
	}
}

// assertAddress asserts that the address by which the others reach a node is one
// of the node's own: calico-node found it by itself, and may have found another
// network's.
func (f *fabric) assertAddress(a *assertions.NetstackAssertion, node string) {
	m, place := f.facts().members[node], plugin.PlaceOf(node)
	ns := f.env.Atlas.NetNS(place)
	if m == nil || !m.addr.IsValid() || ns == nil || ns.Unread("interfaces") != nil {
		return
	}
	if _, ok := ns.FIB.DeviceOwning(m.addr.Addr()); !ok {
		a.In(ns, f.env.HopOf(place)).Fail("address/wrong", "cluster/nodes.yaml", "Set IP_AUTODETECTION_METHOD of calico-node so that it finds the right address, and restart it there.",
			"Calico tells the other nodes that node %s is at %s, which none of its devices has", node, m.addr.Addr())
	}
}

// Arrival implements [plugin.Fabric]: packets of other nodes' pods come out of the
// tunnel, and the node's own pods send from their own device: felix drops what
// comes from elsewhere.
func (f *fabric) Arrival(a *assertions.NetstackAssertion, upstream *model.Link) {
	ip := upstream.Packet.Src.Addr()
	src, fromPod := f.env.IPCache.GetPodFromIP(ip)
	p, ok := f.facts().pool(ip)
	if !fromPod || !ok || !ip.Is4() || f.bpf() {
		return
	}
	if src.Spec.NodeName == f.node {
		f.veth(src).AssertRoutes(a.At(model.SuspicionLevelFatal))
	} else if dev := f.way(p, src.Spec.NodeName).Dev; dev != "" {
		a.AssertDevice(dev, what(dev))
		if dev == vxlanDevice || dev == ipipDevice { // felix drops what a tunnel brings from an address that no node told
			f.assertAddress(a.At(model.SuspicionLevelFatal), src.Spec.NodeName)
		}
	}
}

// Masquerades implements [plugin.Fabric]: natOutgoing is for packets of a pool to
// what is in no pool (felix/rules/nat.go).
func (f *fabric) Masquerades(p model.Packet) bool {
	from, ok := f.facts().pool(p.Src.Addr())
	_, inside := f.facts().pool(p.Dst.Addr())
	some := f.facts().configured(f.node, func(c *snapshot.CalicoFelix) string { return c.Spec.NATInterfaces })
	return ok && from.nat && !inside && some == "" && !f.bpf()
}
