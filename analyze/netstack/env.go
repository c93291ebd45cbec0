package netstack

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// env lets rules ask about the namespace around them.
type env struct{ ns *NetNS }

// AddrType implements [netfilter.Env].
func (e *env) AddrType(a netip.Addr, dev string) netfilter.AddrType { return e.ns.FIB.AddrType(a, dev) }

// EgressAddr implements [netfilter.Env]. The next hop is the route's, as
// nf_nat_masquerade_ipv4 takes it.
func (e *env) EgressAddr(dev string, dst netip.Addr) netip.Addr {
	hop := dst
	if res := e.ns.FIB.Lookup(route.Query{Dst: dst, OIf: dev}, nil); res.Dev == dev && res.Via.IsValid() {
		hop = res.Via
	}
	return e.ns.FIB.EgressAddr(dev, hop)
}

// InputAddr implements [netfilter.Env].
func (e *env) InputAddr(dev string, ipv6 bool) netip.Addr { return e.ns.FIB.InputAddr(dev, ipv6) }

// ReversePath implements [netfilter.Env].
func (e *env) ReversePath(f *netfilter.Frame, loose, acceptLocal bool) netfilter.Answer {
	p := f.Packet
	res := e.ns.FIB.Lookup(route.Query{Src: p.Dst.Addr(), Dst: p.Src.Addr(), Mark: p.Mark, TOS: p.TOS}, nil)
	switch {
	case res.Type == "local":
		return netfilter.AnswerOf(acceptLocal)
	case res.Type != "unicast":
		return netfilter.No
	}
	return netfilter.AnswerOf(loose || res.Dev == f.In)
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
	m := e.ns.Sockets.Lookup(f.Packet, f.In)
	if !m.Known {
		return netfilter.Maybe
	}
	return netfilter.AnswerOf(m.Found && f.Packet.Kind == model.KindOpen)
}
