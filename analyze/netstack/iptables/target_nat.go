package iptables

import (
	"fmt"
	"math/big"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// maxAddrs bounds the addresses of a range that are followed one by one.
const maxAddrs = 64

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// natRange is what an address and port may become.
type natRange struct {
	lo, hi netip.Addr // invalid if the address stays
	ports  portRange  // not set if the port stays
	base   int        // of shifted ports, else -1
}

// parseNATRange reads "ADDR[-ADDR][:PORT[-PORT[/BASE]]]", with the addresses
// in brackets if they are IPv6 and ports follow.
func parseNATRange(s string) (n natRange, err error) {
	n.base = -1
	addrs, ports := s, ""
	if rest, ok := strings.CutPrefix(s, "["); ok {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return n, fmt.Errorf("%w: %q", errValue, s)
		}
		addrs, ports = rest[:end], strings.TrimPrefix(rest[end+1:], ":")
	} else if strings.Count(s, ":") == 1 {
		addrs, ports, _ = strings.Cut(s, ":")
	}
	if addrs != "" {
		if n.lo, n.hi, err = parseAddrRange(addrs); err != nil {
			return n, err
		}
	}
	if ports != "" {
		err = n.parsePorts(ports)
	}
	return n, err
}

// parsePorts reads "PORT[-PORT[/BASE]]".
func (n *natRange) parsePorts(s string) error {
	span, base, shifted := strings.Cut(s, "/")
	lo, hi, err := parseSpan(span, "-")
	if err != nil {
		return err
	}
	n.ports = portRange{lo: lo, hi: hi, set: true}
	if !shifted {
		return nil
	}
	b, err := parseUint(base, 16)
	n.base = int(b)
	return err
}

// addr chooses the new address in place of now. It reports false if there are
// too many to follow.
func (n *natRange) addr(now netip.Addr, f *netfilter.Frame) (netip.Addr, bool) {
	if !n.lo.IsValid() {
		return now, true
	}
	if n.lo == n.hi {
		return n.lo, true
	}
	count := addrsBetween(n.lo, n.hi)
	if count > maxAddrs {
		return now, false
	}
	weights := make([]float64, count)
	for i := range weights {
		weights[i] = 1
	}
	a := n.lo
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
func (n *natRange) port(now uint16) uint16 {
	switch {
	case !n.ports.set:
		return now
	case n.base >= 0:
		size := int(n.ports.hi) - int(n.ports.lo) + 1
		offset := (int(now) - n.base) & 0xffff
		return n.ports.lo + uint16(offset%size)
	case n.ports.lo <= now && now <= n.ports.hi:
		return now
	}
	return n.ports.lo
}

// translate returns what end becomes.
func (n *natRange) translate(end netip.AddrPort, f *netfilter.Frame) (netip.AddrPort, bool) {
	a, ok := n.addr(end.Addr(), f)
	port := end.Port()
	if f.Packet.Protocol.HasPorts() {
		port = n.port(port)
	}
	return addrPort(a, port), ok
}

// holds reports whether end needs no translation.
func (n *natRange) holds(end netip.AddrPort, hasPorts bool) bool {
	return (!n.lo.IsValid() || within(end.Addr(), n.lo, n.hi)) &&
		(!n.ports.set || !hasPorts || n.base < 0 && n.ports.contains(end.Port()))
}

// setDst gives f its new destination and accepts it.
func setDst(f *netfilter.Frame, to netip.AddrPort, how string) (netfilter.Verdict, string) {
	f.Ct.DNAT = f.Ct.DNAT || f.Packet.Dst != to
	f.Packet.Dst = to
	return netfilter.Accept, how + " to " + endText(f.Packet.Protocol, to)
}

// setSrc gives f its new source and accepts it.
func setSrc(f *netfilter.Frame, to netip.AddrPort, how string) (netfilter.Verdict, string) {
	f.Ct.SNAT = f.Ct.SNAT || f.Packet.Src != to
	f.Packet.Src = to
	return netfilter.Accept, how + " to " + endText(f.Packet.Protocol, to)
}

func endText(p model.Protocol, end netip.AddrPort) string {
	if p.HasPorts() {
		return end.String()
	}
	return end.Addr().String()
}

func tooMany(n *natRange) (netfilter.Verdict, string) {
	return netfilter.Unknown, "unknown: one of many addresses from " + n.lo.String()
}

// natOption finds the option that says what to translate to.
func natOption(options []option, name string) (n natRange, found bool, err error) {
	n.base = -1
	for _, o := range options {
		if o.name != name && o.name+"s" != name { // "--to-port" is short for "--to-ports"
			continue
		}
		if found {
			return n, true, errTwice
		}
		if found = true; name == "to-ports" {
			err = n.parsePorts(o.arg())
		} else {
			n, err = parseNATRange(o.arg())
		}
		if err != nil {
			return n, true, err
		}
	}
	return n, found, nil
}

type dnat struct{ to natRange }

func targetDNAT(options []option) (target, error) {
	n, found, err := natOption(options, "to-destination")
	if err == nil && !found {
		err = errArgs
	}
	return &dnat{n}, err
}

func (t *dnat) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	to, ok := t.to.translate(f.Packet.Dst, f)
	if !ok {
		return tooMany(&t.to)
	}
	return setDst(f, to, "dnat")
}

type snat struct{ to natRange }

func targetSNAT(options []option) (target, error) {
	n, found, err := natOption(options, "to-source")
	if err == nil && !found {
		err = errArgs
	}
	return &snat{n}, err
}

func (t *snat) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	if t.to.holds(f.Packet.Src, f.Packet.Protocol.HasPorts()) {
		return setSrc(f, f.Packet.Src, "snat")
	}
	to, ok := t.to.translate(f.Packet.Src, f)
	if !ok {
		return tooMany(&t.to)
	}
	return setSrc(f, to, "snat")
}

// masquerade is SNAT to the address of the device that the packet leaves by.
type masquerade struct{ to natRange }

func targetMasquerade(options []option) (target, error) {
	n, _, err := natOption(options, "to-ports")
	return &masquerade{n}, err
}

func (t *masquerade) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	src := f.Packet.Src
	if src.Addr() == netip.IPv4Unspecified() {
		return netfilter.Accept, "accept: no source to masquerade"
	}
	a := f.Env.EgressAddr(f.Out, f.Packet.Dst.Addr())
	if !a.IsValid() {
		return netfilter.Drop, "drop: no address of " + f.Out + " to masquerade with"
	}
	port := src.Port()
	if f.Packet.Protocol.HasPorts() {
		port = t.to.port(port)
	}
	return setSrc(f, addrPort(a, port), "masquerade")
}

// redirect is DNAT to this machine.
type redirect struct{ to natRange }

func targetRedirect(options []option) (target, error) {
	n, _, err := natOption(options, "to-ports")
	return &redirect{n}, err
}

func (t *redirect) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	ipv6 := f.Packet.IPv6()
	var a netip.Addr
	switch {
	case f.Hook != netfilter.Output:
		a = f.Env.InputAddr(f.In, ipv6)
	case ipv6:
		a = netip.IPv6Loopback()
	default:
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if !a.IsValid() {
		return netfilter.Drop, "drop: no address of " + f.In + " to redirect to"
	}
	port := f.Packet.Dst.Port()
	if f.Packet.Protocol.HasPorts() {
		port = t.to.port(port)
	}
	return setDst(f, addrPort(a, port), "redirect")
}

// netmap replaces the network part of an address: of the destination before
// the packet is routed, of the source after.
type netmap struct{ to *addrMatch }

func targetNetmap(options []option) (target, error) {
	if len(options) != 1 {
		return nil, errArgs
	}
	to, err := parseAddrMatch(options[0].arg(), false)
	return &netmap{to}, err
}

func (t *netmap) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	if f.Hook == netfilter.Prerouting || f.Hook == netfilter.Output {
		return setDst(f, addrPort(t.mapped(f.Packet.Dst.Addr()), f.Packet.Dst.Port()), "netmap")
	}
	return setSrc(f, addrPort(t.mapped(f.Packet.Src.Addr()), f.Packet.Src.Port()), "netmap")
}

func (t *netmap) mapped(a netip.Addr) netip.Addr {
	mask := t.to.mask
	if mask == nil {
		mask = prefixMask(t.to.prefix)
	}
	from, to := a.As16(), t.to.prefix.Addr().As16()
	for i := range from {
		from[i] = from[i]&^mask[i] | to[i]&mask[i]
	}
	b := netip.AddrFrom16(from)
	if a.Is4() {
		return b.Unmap()
	}
	return b
}

// prefixMask returns the mask of p for addresses in their 16-byte form.
func prefixMask(p netip.Prefix) *[16]byte {
	n := p.Bits() + 128 - p.Addr().BitLen()
	mask := [16]byte{}
	for i := range mask {
		switch ones := n - 8*i; {
		case ones >= 8:
			mask[i] = 0xff
		case ones > 0:
			mask[i] = ^byte(0xff >> ones)
		}
	}
	return &mask
}
