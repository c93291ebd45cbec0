package topology

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
)

// A question is one for the hardware address of ip, by ARP or NDP.
type question struct {
	from    End
	ip      netip.Addr
	asker   netip.Addr // the address that asks, invalid if it is not known
	answers bool       // the packet that waits for it answers another one
}

// question is what a device asks for the sake of a packet: by NDP with the packet's
// own source, if that is the device's (ndisc_solicit).
func (t *Topology) question(from End, ip netip.Addr, p model.Packet) question {
	q := question{from: from, ip: ip, answers: p.Innermost().Kind != model.KindOpen}
	src := p.Src.Addr()
	ns := t.atlas.NetNS(from.Place)
	switch {
	case ns == nil:
	case ip.Is4():
		q.asker = ns.FIB.EgressAddr(from.Dev, ip)
	case owns(ns, from.Dev, src):
		q.asker = src
	default:
		q.asker = ns.FIB.EgressAddr(from.Dev, netip.IPv6LinkLocalAllRouters())
	}
	return q
}

// owns reports whether a device has an address.
func owns(ns *netstack.NetNS, name string, ip netip.Addr) bool {
	dev, ok := ns.Device(name)
	if !ok {
		return false
	}
	own, _, _ := carries(dev, ip, netip.Addr{})
	return own
}

// Silenced tells why a question for ip that a device asks for the sake of a
// packet gets no answer though somebody has the address: the namespace where
// netfilter drops it, or the answer, and what became of it there. It reports false
// if that is not so.
func (t *Topology) Silenced(from End, ip netip.Addr, p model.Packet) (at Place, o *netstack.Outcome, ok bool) {
	q := t.question(from, ip, p)
	to, _, _ := t.resolve(q)
	return t.muted(q, to)
}

// muted reports whether netfilter certainly drops a question of NDP or its answer,
// and nobody has told the asker already.
func (t *Topology) muted(q question, to End) (at Place, o *netstack.Outcome, lost bool) {
	here, there := t.atlas.NetNS(q.from.Place), t.atlas.NetNS(to.Place)
	if !q.ip.Is6() || !q.asker.IsValid() || here == nil || there == nil {
		return at, nil, false
	}
	if at, o, lost = t.stopped(q.from, to, discovery(135, q.asker, netstack.Solicited(q.ip))); !lost {
		at, o, lost = t.stopped(to, q.from, discovery(136, q.ip, q.asker))
	}
	return at, o, lost && !t.taught(q, to)
}

// taught reports whether the asker has learned the address from a question that it
// was asked before: of the packet that is answered now (ndisc_recv_ns).
func (t *Topology) taught(q question, to End) bool {
	if !q.answers || !owns(t.atlas.NetNS(to.Place), to.Dev, q.ip) {
		return false
	}
	_, _, lost := t.stopped(to, q.from, discovery(135, q.ip, netstack.Solicited(q.asker)))
	return !lost
}

// stopped reports whether netfilter certainly drops a message of NDP from one device
// to another: unlike ARP it is a packet of IPv6 on its way out (ndisc_send_skb) and
// in, which conntrack leaves alone.
func (t *Topology) stopped(from, to End, p model.Packet) (at Place, o *netstack.Outcome, lost bool) {
	here, there := t.atlas.NetNS(from.Place), t.atlas.NetNS(to.Place)
	if dev, ok := here.Device(from.Dev); ok {
		p.SrcMAC = dev.MAC
	}
	if out := here.Discover(p, from.Dev, here.Alone()); len(out) == 1 && dropped(&out[0]) {
		return from.Place, &out[0], true
	}
	if in := there.Input(p, to.Dev, there.Alone()); len(in) == 1 && dropped(&in[0]) {
		return to.Place, &in[0], true
	}
	return at, nil, false
}

// discovery is a message of NDP.
func discovery(kind uint8, src, dst netip.Addr) model.Packet {
	const hops = 255 // ndisc_rcv takes no other
	return model.Packet{Protocol: model.ICMPv6, Kind: model.KindOpen, ICMPType: kind, TTL: hops, Src: netip.AddrPortFrom(src, 0), Dst: netip.AddrPortFrom(dst, 0)}
}

// dropped reports whether a rule took a packet.
func dropped(o *netstack.Outcome) bool {
	return o.Code == "netfilter/drop" || o.Code == "netfilter/reject"
}
