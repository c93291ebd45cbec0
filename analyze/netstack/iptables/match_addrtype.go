package iptables

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// addrtype is one "-m addrtype".
type addrtype struct {
	src, dst          *addrTypes
	limitIn, limitOut bool
}

// addrTypes is a list of types, one of which an address is to have.
type addrTypes struct {
	types []netfilter.AddrType
	not   bool
}

func matchAddrtype(b *building, options []option) error {
	m := &addrtype{}
	for _, o := range options {
		var err error
		switch o.name {
		case "src-type":
			m.src, err = parseAddrTypes(o)
		case "dst-type":
			m.dst, err = parseAddrTypes(o)
		case "limit-iface-in":
			m.limitIn = true
		case "limit-iface-out":
			m.limitOut = true
		}
		if err != nil {
			return err
		}
	}
	return b.add(m)
}

func parseAddrTypes(o option) (*addrTypes, error) {
	m := &addrTypes{not: o.not}
	for word := range strings.SplitSeq(o.arg(), ",") {
		t := netfilter.AddrType(strings.ToUpper(strings.Clone(word)))
		switch t {
		case "LOCAL", "UNICAST", "BROADCAST", "MULTICAST", "ANYCAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "UNSPEC", "THROW", "NAT", "XRESOLVE":
		default:
			return nil, fmt.Errorf("%w: %q", errValue, word)
		}
		m.types = append(m.types, t)
	}
	return m, nil
}

func (m *addrtype) match(f *netfilter.Frame) netfilter.Answer {
	dev := ""
	if m.limitIn {
		dev = f.In
	}
	if m.limitOut {
		dev = f.Out
	}
	if m.src != nil && m.src.unknown(f, f.Packet.Src.Addr(), dev) || m.dst != nil && m.dst.unknown(f, f.Packet.Dst.Addr(), dev) {
		return netfilter.Maybe
	}
	if m.src != nil && !m.src.has(f, f.Packet.Src.Addr(), dev) || m.dst != nil && !m.dst.has(f, f.Packet.Dst.Addr(), dev) {
		return netfilter.No
	}
	return netfilter.Yes
}

func (m *addrtype) doubt() string { return "whether an address is local: no addresses were collected" }

func (m *addrTypes) unknown(f *netfilter.Frame, a netip.Addr, dev string) bool {
	return f.Env.AddrType(a, dev) == netfilter.AddrUnknown
}

func (m *addrTypes) has(f *netfilter.Frame, a netip.Addr, dev string) bool {
	if a.Is6() {
		return m.has6(f, a, dev) != m.not
	}
	return slices.Contains(m.types, f.Env.AddrType(a, dev)) != m.not
}

// has6 asks as the kernel does for IPv6: MULTICAST, UNICAST and UNSPEC are
// properties of the address, which all must hold; the others are the route's.
func (m *addrTypes) has6(f *netfilter.Frame, a netip.Addr, dev string) bool {
	asked, found := false, false
	for _, t := range m.types {
		switch t {
		case netfilter.AddrMulticast:
			if !a.IsMulticast() {
				return false
			}
		case netfilter.AddrUnicast:
			if a.IsMulticast() || a.IsUnspecified() {
				return false
			}
		case netfilter.AddrUnspec:
			if !a.IsUnspecified() {
				return false
			}
		case netfilter.AddrLocal, "ANYCAST", netfilter.AddrUnreachable:
			asked = true
			found = found || f.Env.AddrType(a, dev) == t
		}
	}
	return found || !asked
}
