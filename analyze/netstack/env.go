package netstack

import (
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// env lets rules ask about the namespace around them.
type env struct{ ns *NetNS }

// AddrType implements [netfilter.Env].
func (e *env) AddrType(a netip.Addr, dev string) netfilter.AddrType { return e.ns.FIB.AddrType(a, dev) }

// EgressAddr implements [netfilter.Env]: for IPv4 by the next hop, as
// nf_nat_masquerade_ipv4 does, for IPv6 by the destination.
func (e *env) EgressAddr(dev string, dst netip.Addr) netip.Addr {
	if dst.Is4() {
		res := e.ns.FIB.Lookup(route.Query{Dst: dst, OIf: dev}, nil)
		if res.Dev == dev && res.Via.Is4() {
			return e.ns.FIB.EgressAddr(dev, res.Via)
		}
	}
	return e.ns.FIB.EgressAddr(dev, dst)
}

// InputAddr implements [netfilter.Env].
func (e *env) InputAddr(dev string, ipv6 bool) netip.Addr { return e.ns.FIB.InputAddr(dev, ipv6) }

// ReversePath implements [netfilter.Env].
func (e *env) ReversePath(f *netfilter.Frame, loose, acceptLocal bool) netfilter.Answer {
	if dev, ok := e.ns.Device(f.In); ok && slices.Contains(dev.Flags, "LOOPBACK") || f.In == "lo" {
		return netfilter.Yes // rpfilter_is_loopback
	}
	if e.ns.FIB.Doubt(f.Packet.IPv6()) != nil {
		return netfilter.Maybe
	}
	p := f.Packet
	q := route.Query{Src: p.Src.Addr(), Dst: p.Dst.Addr(), IIf: f.In, TOS: p.TOS, Protocol: p.Protocol}
	if !loose {
		q.OIf = f.In
	}
	return netfilter.AnswerOf(e.ns.FIB.ReversePath(q, loose, acceptLocal))
}

// DevGroup implements [netfilter.Env].
func (e *env) DevGroup(dev string) (int, bool) {
	d, ok := e.ns.Device(dev)
	if !ok {
		return 0, false
	}
	return d.Group, true
}

// HasSocket implements [netfilter.Env].
func (e *env) HasSocket(f *netfilter.Frame) netfilter.Answer {
	if p := f.Packet.Protocol; p != model.TCP && p != model.UDP {
		return netfilter.No // nf_sk_lookup_slow_v4: of ICMP only errors
	}
	m := e.ns.Sockets.Lookup(f.Packet, f.In)
	if !m.Known {
		return netfilter.Maybe
	}
	return netfilter.AnswerOf(m.Found && f.Packet.Kind == model.KindOpen)
}

// Listener implements [netfilter.Env].
func (e *env) Listener(f *netfilter.Frame) netfilter.Socket {
	if p := f.Packet.Protocol; p != model.TCP && p != model.UDP {
		return netfilter.Socket{}
	}
	m := e.ns.Sockets.Lookup(f.Packet, f.In)
	s := netfilter.Socket{Found: netfilter.AnswerOf(m.Found), Wildcard: m.Wildcard, Transparent: netfilter.Maybe}
	if !m.Known {
		s.Found = netfilter.Maybe
	}
	if m.Transparent != "" {
		s.Transparent = netfilter.AnswerOf(m.Transparent == "yes")
	}
	return s
}

// FibDevice implements [netfilter.Router].
func (e *env) FibDevice(f *netfilter.Frame, dst, mark bool, dev string) string {
	p := f.Packet
	q := route.Query{Src: p.Src.Addr(), Dst: p.Dst.Addr(), IIf: dev, TOS: p.TOS, Protocol: p.Protocol}
	if dst { // ReversePath asks for the source
		q.Src, q.Dst = q.Dst, q.Src
	}
	if mark {
		q.Mark = p.Mark
	}
	var choices *netfilter.Choices
	if p.IPv6() {
		choices = f.Choices
	}
	if dev != "" {
		if !e.ns.FIB.ReversePathBy(q, false, false, choices) {
			return ""
		}
		return dev
	}
	if !e.ns.FIB.ReversePath(q, true, false) {
		return ""
	}
	return e.ns.FIB.Lookup(route.Query{Src: q.Dst, Dst: q.Src, Mark: q.Mark, TOS: q.TOS, Protocol: q.Protocol, AnySrc: true}, choices).Dev
}
