package iptables

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// parseNATRange reads "ADDR[-ADDR][:PORT[-PORT[/BASE]]]", with the addresses
// in brackets if they are IPv6 and ports follow.
func parseNATRange(s string) (n netfilter.NATRange, err error) {
	n.Base = -1
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
		if n.Lo, n.Hi, err = parseAddrRange(addrs); err != nil {
			return n, err
		}
	}
	if ports != "" {
		err = parseNATPorts(&n, ports)
	}
	return n, err
}

// parseNATPorts reads "PORT[-PORT[/BASE]]".
func parseNATPorts(n *netfilter.NATRange, s string) error {
	span, base, shifted := strings.Cut(s, "/")
	lo, hi, err := parseSpan(span, "-")
	if err != nil {
		return err
	}
	n.PortLo, n.PortHi, n.HasPorts = lo, hi, true
	if !shifted {
		return nil
	}
	b, err := parseUint(base, 16)
	n.Base = int(b)
	return err
}

// natOption finds the option that says what to translate to.
func natOption(options []option, name string) (n netfilter.NATRange, found bool, err error) {
	n.Base = -1
	random := false
	for _, o := range options {
		if strings.HasPrefix(o.name, "random") {
			random = true
		}
		if o.name != name && o.name+"s" != name { // "--to-port" is short for "--to-ports"
			continue
		}
		if found {
			return n, true, errTwice
		}
		if found = true; name == "to-ports" {
			err = parseNATPorts(&n, o.arg())
		} else {
			n, err = parseNATRange(o.arg())
		}
		if err != nil {
			return n, true, err
		}
	}
	n.Random = random
	return n, found, nil
}

type dnat struct{ to netfilter.NATRange }

func targetDNAT(options []option) (target, error) {
	n, found, err := natOption(options, "to-destination")
	if err == nil && !found {
		err = errArgs
	}
	return &dnat{n}, err
}

func (t *dnat) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	return netfilter.DNAT(f, &t.to)
}

type snat struct{ to netfilter.NATRange }

func targetSNAT(options []option) (target, error) {
	n, found, err := natOption(options, "to-source")
	if err == nil && !found {
		err = errArgs
	}
	return &snat{n}, err
}

func (t *snat) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	return netfilter.SNAT(f, &t.to)
}

// masquerade is SNAT to the address of the device that the packet leaves by.
type masquerade struct{ to netfilter.NATRange }

func targetMasquerade(options []option) (target, error) {
	n, _, err := natOption(options, "to-ports")
	return &masquerade{n}, err
}

func (t *masquerade) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	return netfilter.Masquerade(f, &t.to)
}

// redirect is DNAT to this machine.
type redirect struct{ to netfilter.NATRange }

func targetRedirect(options []option) (target, error) {
	n, _, err := natOption(options, "to-ports")
	return &redirect{n}, err
}

func (t *redirect) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	return netfilter.Redirect(f, &t.to)
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
		return netfilter.SetDst(f, addrPort(t.mapped(f.Packet.Dst.Addr()), f.Packet.Dst.Port()), "netmap")
	}
	return netfilter.SetSrc(f, addrPort(t.mapped(f.Packet.Src.Addr()), f.Packet.Src.Port()), "netmap")
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
