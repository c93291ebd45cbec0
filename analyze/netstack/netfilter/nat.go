package netfilter

import (
	"fmt"
	"math/big"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// maxAddrs bounds the addresses of a range that are followed one by one.
const maxAddrs = 64

// A NATRange is what an address and port may become (struct nf_nat_range2).
type NATRange struct {
	Lo, Hi         netip.Addr // invalid if the address stays
	PortLo, PortHi uint16
	HasPorts       bool // not so if the port stays
	Base           int  // of shifted ports (NF_NAT_RANGE_PROTO_OFFSET), -1 if there is none
	Random         bool // the port is not kept (NF_NAT_RANGE_PROTO_RANDOM_ALL)
}

// Within reports whether a is one of the addresses from lo to hi.
func Within(a, lo, hi netip.Addr) bool {
	return a.BitLen() == lo.BitLen() && a.Compare(lo) >= 0 && a.Compare(hi) <= 0
}

// addr chooses the new address in place of now. It reports false if there are
// too many to follow.
func (n *NATRange) addr(now netip.Addr, f *Frame) (netip.Addr, bool) {
	if !n.Lo.IsValid() {
		return now, true
	}
	if n.Lo == n.Hi {
		return n.Lo, true
	}
	count := addrsBetween(n.Lo, n.Hi)
	if count > maxAddrs {
		return now, false
	}
	weights := make([]float64, count)
	for i := range weights {
		weights[i] = 1
	}
	a := n.Lo
	for range f.Choices.Pick(weights) {
		a = a.Next()
	}
	return a, true
}

// addrsBetween returns how many addresses there are from lo to hi, at most
// maxAddrs+1.
func addrsBetween(lo, hi netip.Addr) int {
	a, b := new(big.Int).SetBytes(lo.AsSlice()), new(big.Int).SetBytes(hi.AsSlice())
	if n := b.Sub(b, a); n.IsInt64() && n.Int64() < maxAddrs {
		return int(n.Int64()) + 1
	}
	return maxAddrs + 1
}

// port returns the new port in place of now: now if that is in the range,
// else the first of it.
func (n *NATRange) port(now uint16) uint16 {
	switch {
	case !n.HasPorts:
		return now
	case n.Base >= 0:
		size := int(n.PortHi) - int(n.PortLo) + 1
		offset := (int(now) - n.Base) & 0xffff
		return n.PortLo + uint16(offset%size)
	case n.PortLo <= now && now <= n.PortHi:
		return now
	}
	return n.PortLo
}

// source returns the port that a source gets. Where the kernel chooses one at
// random, f notes it: one that must change, unless the ports are shifted or there
// is only one (nf_nat_l4proto_unique_tuple).
func (n *NATRange) source(now uint16, f *Frame) uint16 {
	if !f.Packet.Protocol.HasPorts() {
		return now
	}
	port := n.port(now)
	if n.Base < 0 && (n.Random || port != now) && (!n.HasPorts || n.PortLo < n.PortHi) {
		f.Packet.AnyPort = true
	}
	return port
}

// destination returns the port that a destination gets. It reports false if there
// are too many to follow.
func (n *NATRange) destination(now uint16, f *Frame) (uint16, bool) {
	switch {
	case !f.Packet.Protocol.HasPorts():
		return now, true
	case !n.Random || !n.HasPorts || n.Base >= 0:
		return n.port(now), true
	}
	count := int(n.PortHi) - int(n.PortLo) + 1
	if count > maxAddrs {
		return now, false
	}
	weights := make([]float64, count)
	for i := range weights {
		weights[i] = 1
	}
	return n.PortLo + uint16(f.Choices.Pick(weights)), true
}

// holds reports whether end needs no translation.
func (n *NATRange) holds(end netip.AddrPort, hasPorts bool) bool {
	return (!n.Lo.IsValid() || Within(end.Addr(), n.Lo, n.Hi)) &&
		(!n.HasPorts || !hasPorts || n.Base < 0 && n.PortLo <= end.Port() && end.Port() <= n.PortHi)
}

func (n *NATRange) tooMany() (Verdict, string) {
	return Unknown, "unknown: one of many addresses from " + n.Lo.String()
}

func (n *NATRange) tooManyPorts() (Verdict, string) {
	return Unknown, fmt.Sprintf("unknown: one of many ports from %d", n.PortLo)
}

// SetDst gives f its new destination and accepts it. The action is for the
// trace; how says what did it.
func SetDst(f *Frame, to netip.AddrPort, how string) (v Verdict, action string) {
	f.Bound = true
	f.Ct.DNAT = f.Ct.DNAT || f.Packet.Dst != to
	f.Packet.Dst = to
	return Accept, how + " to " + endText(f.Packet.Protocol, to)
}

// SetSrc gives f its new source and accepts it.
func SetSrc(f *Frame, to netip.AddrPort, how string) (v Verdict, action string) {
	f.Bound = true
	f.Ct.SNAT = f.Ct.SNAT || f.Packet.Src != to
	f.Packet.Src = to
	return Accept, how + " to " + endText(f.Packet.Protocol, to)
}

func endText(p model.Protocol, end netip.AddrPort) string {
	if p.HasPorts() {
		return end.String()
	}
	return end.Addr().String()
}

// DNAT gives f a destination of n (nf_nat_setup_info, NF_NAT_MANIP_DST).
func DNAT(f *Frame, n *NATRange) (v Verdict, action string) {
	a, ok := n.addr(f.Packet.Dst.Addr(), f)
	if !ok {
		return n.tooMany()
	}
	port, ok := n.destination(f.Packet.Dst.Port(), f)
	if !ok {
		return n.tooManyPorts()
	}
	return SetDst(f, netip.AddrPortFrom(a, port), "dnat")
}

// SNAT gives f a source of n, unless it has one (get_unique_tuple).
func SNAT(f *Frame, n *NATRange) (v Verdict, action string) {
	if !n.Random && n.holds(f.Packet.Src, f.Packet.Protocol.HasPorts()) {
		return SetSrc(f, f.Packet.Src, "snat")
	}
	a, ok := n.addr(f.Packet.Src.Addr(), f)
	if !ok {
		return n.tooMany()
	}
	return SetSrc(f, netip.AddrPortFrom(a, n.source(f.Packet.Src.Port(), f)), "snat")
}

// Masquerade gives f the address of the device that it leaves by and a port of
// n (nf_nat_masquerade_ipv4, nf_nat_masquerade_ipv6).
func Masquerade(f *Frame, n *NATRange) (v Verdict, action string) {
	src := f.Packet.Src
	if src.Addr() == netip.IPv4Unspecified() {
		return Accept, "accept: no source to masquerade"
	}
	a := f.Env.EgressAddr(f.Out, f.Packet.Dst.Addr())
	if !a.IsValid() && f.Blind {
		f.Choices.Certain(model.Doubt{What: "the address that masquerading gives the packet: no addresses were given"})
		f.Bound, f.Ct.SNAT, f.Packet.Src = true, true, netip.AddrPort{}
		return Accept, "masquerade to an address that is not known"
	}
	if !a.IsValid() {
		return Drop, "drop: no address of " + f.Out + " to masquerade with"
	}
	return SetSrc(f, netip.AddrPortFrom(a, n.source(src.Port(), f)), "masquerade")
}

// Redirect sends f to this machine, to a port of n (nf_nat_redirect_ipv4,
// nf_nat_redirect_ipv6).
func Redirect(f *Frame, n *NATRange) (v Verdict, action string) {
	ipv6 := f.Packet.IPv6()
	var a netip.Addr
	switch {
	case f.Hook != Output:
		a = f.Env.InputAddr(f.In, ipv6)
	case ipv6:
		a = netip.IPv6Loopback()
	default:
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if !a.IsValid() && f.Blind {
		return Unknown, "unknown: which address of " + f.In + " it is redirected to"
	}
	if !a.IsValid() {
		return Drop, "drop: no address of " + f.In + " to redirect to"
	}
	port, ok := n.destination(f.Packet.Dst.Port(), f)
	if !ok {
		return n.tooManyPorts()
	}
	return SetDst(f, netip.AddrPortFrom(a, port), "redirect")
}
