package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A tunnelKind is what tunnels of one kind have in common.
type tunnelKind struct {
	kind     string
	ipv6     bool   // of the outer packet
	inner    string // proto of a device that does not say: what it carries
	gre      bool
	ether    bool   // frames, not packets
	fallback string // device that takes what no other does
}

func tunnelKinds() []tunnelKind {
	return []tunnelKind{
		{kind: "ipip", inner: "ipip", fallback: "tunl0"},
		{kind: "sit", inner: "ip6ip", fallback: "sit0"},
		{kind: "gre", gre: true, fallback: "gre0"},
		{kind: "gretap", gre: true, ether: true, fallback: "gretap0"},
		{kind: "ip6tnl", ipv6: true, inner: "ip6ip6", fallback: "ip6tnl0"},
		{kind: "ip6gre", ipv6: true, gre: true, fallback: "ip6gre0"},
		{kind: "ip6gretap", ipv6: true, gre: true, ether: true},
	}
}

func tunnelKindOf(dev *nodedump.Interface) (k tunnelKind, ok bool) {
	for _, k := range tunnelKinds() {
		if k.kind == dev.Kind {
			return k, true
		}
	}
	return k, false
}

// carries reports whether a tunnel takes packets of a family: a GRE tunnel takes
// all, the others what their proto says (ipip_tunnel_xmit, sit_tunnel_xmit,
// ip6_tnl_start_xmit).
func (k tunnelKind) carries(t *nodedump.Tunnel, ipv6 bool) bool {
	proto := t.Proto
	if proto == "" {
		proto = k.inner
	}
	if k.kind == "ipip" && ipv6 {
		return false
	}
	switch proto {
	case "any", "":
		return true
	case "ipip", "ipip6":
		return !ipv6
	case "ip6ip", "ip6ip6":
		return ipv6
	}
	return false
}

// size is what a tunnel puts around a packet: its IP header, the option for the
// limit of IPv6, GRE with its fields, and the inner Ethernet header.
func (k tunnelKind) size(t *nodedump.Tunnel) (n int) {
	const ip4, ip6, option, greBase, greField, ether = 20, 40, 8, 4, 4, 14
	switch {
	case !k.ipv6:
		n = ip4
	case t.NoLimit:
		n = ip6
	default:
		n = ip6 + option
	}
	if k.gre {
		n += greBase
		for _, field := range []bool{t.OCsum, t.OKey != nil, t.OSeq} {
			if field {
				n += greField
			}
		}
	}
	if k.ether {
		n += ether
	}
	return n
}

// ipTunnelOut puts a packet into one of another IP header (ip_tunnel_xmit,
// ipip6_tunnel_xmit, ip6_tnl_xmit).
func (r *run) ipTunnelOut(dev *nodedump.Interface) {
	k, ok := r.sendingTunnel(dev)
	if !ok {
		return
	}
	t := dev.Tunnel
	remote, ok := r.tunnelRemote(dev, k)
	if !ok {
		return
	}
	local, _ := netip.ParseAddr(t.Local)
	if k.ipv6 && !r.mayTunnel(dev, local, remote) {
		return
	}
	if r.f.Packet.Tags[0].Present && !k.ether {
		r.unknown("a frame with a VLAN tag in "+dev.Name, r.ns.at(dev.Line))
		return
	}
	r.step(dev.Kind+" "+dev.Name, "", "encapsulate to "+remote.String(), r.ns.at(dev.Line))
	r.wrap(wrapping{dev: dev, outer: k.outer(t, local, remote, r.f.Packet), oif: r.underlay(t.Link), mark: t.FWMark, headroom: k.size(t), fits: fitsIP,
		tells: k.kind == "sit" || k.ipv6})
}

// sendingTunnel returns the kind of a tunnel if that sends the packet.
func (r *run) sendingTunnel(dev *nodedump.Interface) (k tunnelKind, ok bool) {
	k, ok = tunnelKindOf(dev)
	t := dev.Tunnel
	switch {
	case !ok, t == nil, t.External, t.Encap != "", t.Relay != "", t.OSeq, t.OCsum:
		r.unknown(fmt.Sprintf("how %s device %s sends a packet", dev.Kind, dev.Name), r.ns.at(dev.Line))
	case r.elsewhere(dev):
	case !k.ether && !k.carries(t, r.f.Packet.IPv6()):
		r.end(model.Dropped, "", fmt.Sprintf("%s carries no packets of this family (%s)", dev.Name, t.Proto), r.ns.at(dev.Line))
	default:
		return k, true
	}
	return k, false
}

// outer is the packet that a tunnel puts around another one.
func (k tunnelKind) outer(t *nodedump.Tunnel, local, remote netip.Addr, inner model.Packet) model.Packet {
	outer := model.Packet{Protocol: k.outerProtocol(inner), Kind: model.KindOpen, Src: netip.AddrPortFrom(local, 0), Dst: netip.AddrPortFrom(remote, 0), Encap: &inner,
		Ether: k.ether, Mark: inner.Mark, TTL: inherited(t.TTL, inner), TOS: dscp(t.TOS, inner)}
	if !k.ipv6 {
		outer.DF = !t.NoPMTU || inner.DF && !t.IgnoreDF && !inner.IPv6()
	} else if t.TTL == 0 {
		outer.TTL = 0
	}
	if t.OKey != nil {
		outer.Key = model.GREKey{Present: true, Key: *t.OKey}
	}
	if inner.Size > 0 {
		outer.Size = inner.Size + k.size(t)
	}
	return outer
}

// outerProtocol is the protocol of the outer header.
func (k tunnelKind) outerProtocol(inner model.Packet) model.Protocol {
	switch {
	case k.gre:
		return model.GRE
	case inner.IPv6():
		return model.IPv6
	}
	return model.IPIP
}

// tunnelRemote is the other end: that of the device, or, where it has none, the
// next hop that the route names (NBMA). IPv6 packets in IPv4 need a next hop
// with an IPv4 address in it.
func (r *run) tunnelRemote(dev *nodedump.Interface, k tunnelKind) (remote netip.Addr, ok bool) {
	if remote, err := netip.ParseAddr(dev.Tunnel.Remote); err == nil {
		if remote.IsMulticast() {
			r.unknown("which end of "+dev.Name+" takes what is sent to group "+remote.String(), r.ns.at(dev.Line))
			return remote, false
		}
		return remote, true
	}
	inner := r.f.Packet
	if k.ether || !r.nexthop.IsValid() {
		r.end(model.Dropped, "", dev.Name+" has no remote address", r.ns.at(dev.Line))
		return remote, false
	}
	switch next := r.nexthop; {
	case next.Is4() && !k.ipv6, next.Is6() && k.ipv6 && inner.IPv6():
		return next, true
	case !k.ipv6 && next.Is6():
		if a, found := embedded(next); found {
			return a, true
		}
		r.end(model.NeighborUnreachable, "", fmt.Sprintf("%s needs an IPv4 address to send %s to", dev.Name, next), r.ns.at(dev.Line))
		r.icmpError(unreachHost)
		r.out.innerTold = true
		return remote, false
	}
	r.end(model.Dropped, "", dev.Name+" has no remote address", r.ns.at(dev.Line))
	return remote, false
}

// embedded is the IPv4 address in an IPv6 one: that of 6to4 (try_6rd), or the
// last 32 bits of ::/96.
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	if b[0] == 0x20 && b[1] == 0x02 {
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	for _, octet := range b[:12] {
		if octet != 0 {
			return netip.Addr{}, false
		}
	}
	v4 := netip.AddrFrom4([4]byte(b[12:]))
	return v4, !v4.IsUnspecified() && b[12] != 0
}

// mayTunnel reports whether an IPv6 tunnel sends: its local address must be this
// host's, its remote one must not (ip6_tnl_xmit_ctl).
func (r *run) mayTunnel(dev *nodedump.Interface, local, remote netip.Addr) bool {
	const allowLocal = 0x40 // IP6_TNL_F_ALLOW_LOCAL_REMOTE
	switch {
	case local.IsValid() && !local.IsMulticast() && !r.ns.FIB.IsLocal(local):
		r.end(model.Dropped, "", fmt.Sprintf("%s, the local address of %s, is none of this host", local, dev.Name), r.ns.at(dev.Line))
	case dev.Tunnel.Flags&allowLocal == 0 && r.ns.FIB.IsLocal(remote):
		r.end(model.Dropped, "", fmt.Sprintf("%s, the other end of %s, is this host itself", remote, dev.Name), r.ns.at(dev.Line))
	default:
		return true
	}
	return false
}

// The smallest MTUs of the families.
const (
	minMTU4 = 68
	minMTU6 = 1280
	minTNL4 = 576 // what an IPv6 tunnel takes of IPv4
)

// fitsIP tells the inner sender of a packet that does not go through whole
// (tnl_update_pmtu, ipip6_tunnel_xmit, ip6_tnl_xmit).
func fitsIP(r *run, w *wrapping, mtu int) bool {
	inner := r.f.Packet
	if mtu == 0 || inner.Size == 0 {
		return true
	}
	mtu -= w.headroom
	switch {
	case w.outer.IPv6():
		return fitsIP6(r, w, mtu)
	case !w.outer.DF:
		return true // it is cut on the way out
	case inner.IPv6() && w.dev.Kind == "sit" && mtu < minMTU6:
		r.unknown("what becomes of a packet in "+w.dev.Name+", whose way takes less than IPv6 needs", r.ns.at(w.dev.Line))
		return false
	case inner.Size > mtu && (inner.DF || inner.IPv6()):
		return r.tooBigInside(mtu, w.dev.Name)
	}
	return true
}

// fitsIP6 is fitsIP for a tunnel in IPv6 through which mtu bytes go.
func fitsIP6(r *run, w *wrapping, mtu int) bool {
	least := minTNL4
	if r.f.Packet.IPv6() {
		least = minMTU6
	}
	if mtu = max(mtu, least); r.f.Packet.Size > mtu {
		return r.tooBigInside(mtu, w.dev.Name)
	}
	return true
}

// ipTunnelIn takes a packet out of the IP header around it (ip_tunnel_rcv,
// ipip6_rcv, ip6_tnl_rcv).
func (r *run) ipTunnelIn(in string) {
	p := r.f.Packet
	dev := r.tunnelFor(in, true)
	if dev == nil {
		r.noTunnel(in)
		return
	}
	k, _ := tunnelKindOf(dev)
	t := dev.Tunnel
	switch {
	case t.External, t.ICsum, t.ISeq, t.Relay != "", t.Encap != "":
		r.unknown(fmt.Sprintf("what %s device %s does with what it gets", dev.Kind, dev.Name), r.ns.at(dev.Line))
		return
	case !k.ether && !k.carries(t, p.Encap.IPv6()):
		r.end(model.Dropped, "", fmt.Sprintf("%s carries no packets of this family (%s)", dev.Name, t.Proto), r.ns.at(dev.Line))
		return
	}
	r.step(dev.Kind+" "+dev.Name, "", fmt.Sprintf("decapsulate from %s", p.Src.Addr()), r.ns.at(dev.Line))
	r.unwrap(dev)
}

// tunnelFor finds the tunnel that takes a packet: that with both addresses of
// it, else with the remote one, else with the local one, else with none
// (ip_tunnel_lookup, ip6_tnl_lookup). Of two alike the one that is bound to the
// device that it came in by wins. Tunnels that are down take nothing: such a one
// is who would have taken it.
func (r *run) tunnelFor(in string, up bool) (best *nodedump.Interface) {
	rank := 0
	for i := range r.ns.Info.Interfaces {
		dev := &r.ns.Info.Interfaces[i]
		n := r.tunnelRank(dev, in)
		if n > rank && Up(dev) == up {
			best, rank = dev, n
		}
	}
	return best
}

// tunnelRank says how well a tunnel fits a packet, 0 if it does not.
func (r *run) tunnelRank(dev *nodedump.Interface, in string) int {
	const alone, wildcard, local, remote, bound = 1, 2, 4, 6, 1
	p := r.f.Packet
	k, ok := tunnelKindOf(dev)
	t := dev.Tunnel
	switch {
	case !ok, t == nil, dev.LinkNSID != nil, !k.speaks(t, p), !between(t, p):
		return 0
	case dev.Name == k.fallback && k.fallback != "":
		return alone
	case k.gre && !keyMatches(t, p.Key):
		return 0
	}
	n := wildcard
	if valid(t.Local) {
		n += local - wildcard
	}
	if valid(t.Remote) {
		n += remote - wildcard
	}
	if t.Link != 0 && r.underlay(t.Link) == in {
		n += bound
	}
	return n
}

// between reports whether a packet goes between the ends of a tunnel, as far as
// that names them.
func between(t *nodedump.Tunnel, p model.Packet) bool {
	near, _ := netip.ParseAddr(t.Local)
	far, _ := netip.ParseAddr(t.Remote)
	return (!near.IsValid() || near == p.Dst.Addr()) && (!far.IsValid() || far == p.Src.Addr())
}

func valid(addr string) bool {
	_, err := netip.ParseAddr(addr)
	return err == nil
}

// speaks reports whether tunnels of the kind take packets of the protocol.
func (k tunnelKind) speaks(t *nodedump.Tunnel, p model.Packet) bool {
	six := p.Encap.IPv6()
	switch {
	case k.ipv6 != p.IPv6(), k.gre != (p.Protocol == model.GRE), k.ether != p.Ether:
		return false
	case !k.gre && (p.Protocol == model.IPv6) != (k.kind == "sit" || k.ipv6 && six) && !k.carries(t, six):
		return false
	case k.kind == "ipip":
		return p.Protocol == model.IPIP
	case k.kind == "sit" && p.Protocol == model.IPIP:
		return t.Proto == "any" || t.Proto == "ipip"
	}
	return true
}

// keyMatches is ip_tunnel_key_match: a tunnel with a key takes only that, one
// without takes only what has none.
func keyMatches(t *nodedump.Tunnel, key model.GREKey) bool {
	if t.IKey == nil {
		return !key.Present
	}
	return key.Present && key.Key == *t.IKey
}

// noTunnel answers what no tunnel takes: port unreachable where the kernel knows
// the protocol (tunnel4_rcv, gre_rcv, tunnel6_rcv), protocol unreachable where
// it does not. The dump tells only by tunnels of that kind.
func (r *run) noTunnel(in string) {
	p := r.f.Packet
	if dev := r.tunnelFor(in, false); dev != nil {
		r.end(model.NoListener, "link/down", fmt.Sprintf("device %s, which would take %s, is down", dev.Name, p), r.ns.at(dev.Line))
		r.out.Remedy = fmt.Sprintf("ip link set %s up", dev.Name)
	} else {
		r.end(model.NoListener, "link/missing", fmt.Sprintf("no tunnel device takes %s", p), r.ns.Info.File)
	}
	known := false
	for i := range r.ns.Info.Interfaces {
		k, ok := tunnelKindOf(&r.ns.Info.Interfaces[i])
		same := k.gre == (p.Protocol == model.GRE) && k.ipv6 == p.IPv6()
		known = known || ok && same
	}
	if known {
		r.icmpError(unreachPort)
		return
	}
	r.icmpError(unreachProtocol)
}

const unreachProtocol = "icmp-proto-unreachable"
