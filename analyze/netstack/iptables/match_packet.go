package iptables

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// iprange is "--src-range A-B" or "--dst-range".
type iprange struct {
	lo, hi   netip.Addr
	src, not bool
}

func matchIPRange(b *building, options []option) error {
	for _, o := range options {
		lo, hi, err := parseAddrRange(o.arg())
		if err != nil {
			return err
		}
		if err := b.add(&iprange{lo, hi, o.name == "src-range", o.not}); err != nil {
			return err
		}
	}
	return nil
}

func (m *iprange) match(f *netfilter.Frame) netfilter.Answer {
	a := f.Packet.Dst.Addr()
	if m.src {
		a = f.Packet.Src.Addr()
	}
	return answerOf(within(a, m.lo, m.hi) != m.not)
}

func within(a, lo, hi netip.Addr) bool {
	return a.BitLen() == lo.BitLen() && a.Compare(lo) >= 0 && a.Compare(hi) <= 0
}

// length is "--length MIN:MAX".
type length struct {
	lo, hi uint16
	not    bool
}

func matchLength(b *building, options []option) error {
	for _, o := range options {
		lo, hi, err := parseSpan(o.arg(), ":")
		if err != nil {
			return err
		}
		if err := b.add(&length{lo, hi, o.not}); err != nil {
			return err
		}
	}
	return nil
}

func (m *length) match(f *netfilter.Frame) netfilter.Answer {
	lo, hi := sizes(&f.Packet)
	switch {
	case int(m.lo) <= lo && hi <= int(m.hi):
		return answerOf(!m.not)
	case hi < int(m.lo) || int(m.hi) < lo:
		return answerOf(m.not)
	}
	return netfilter.Maybe
}

func (m *length) doubt() string { return "how long the packet is is not said (-m length)" }

// sizes returns the least and the largest length that a packet may have: one of no
// given size fits any MTU.
func sizes(p *model.Packet) (lo, hi int) {
	if p.Size > 0 {
		return p.Size, p.Size
	}
	lo, hi = 20, 576 // every host takes so much (RFC 791)
	if p.IPv6() {
		lo, hi = 40, 1280 // RFC 8200
	}
	switch p.Protocol {
	case model.TCP:
		if p.Kind != model.KindData {
			hi = lo + 60 // only a header
		}
		lo += 20
	case model.UDP, model.ICMP, model.ICMPv6:
		lo += 8
	case model.SCTP:
		lo += 12
	}
	return lo, hi
}

// tos is "--tos VALUE/MASK", and "--dscp VALUE" shifted by the two ECN bits.
type tos struct {
	value, mask uint8
	not         bool
}

func (m *tos) match(f *netfilter.Frame) netfilter.Answer {
	return answerOf((f.Packet.TOS&m.mask == m.value) != m.not)
}

func matchTOS(b *building, options []option) error {
	for _, o := range options {
		value, mask, err := parseTOS(o.arg())
		if err != nil {
			return err
		}
		if err := b.add(&tos{value, mask, o.not}); err != nil {
			return err
		}
	}
	return nil
}

// parseTOS reads "VALUE", "VALUE/MASK" or one of the old names.
func parseTOS(s string) (value, mask uint8, err error) {
	switch s {
	case "Minimize-Delay":
		return 0x10, 0x3f, nil
	case "Maximize-Throughput":
		return 0x08, 0x3f, nil
	case "Maximize-Reliability":
		return 0x04, 0x3f, nil
	case "Minimize-Cost":
		return 0x02, 0x3f, nil
	case "Normal-Service":
		return 0, 0x3f, nil
	}
	v, m, both := strings.Cut(s, "/")
	n, err := parseUint(v, 8)
	if err != nil || !both {
		return uint8(n), 0xff, err
	}
	k, err := parseUint(m, 8)
	return uint8(n), uint8(k), err
}

func matchDSCP(b *building, options []option) error {
	for _, o := range options {
		value, err := parseDSCP(o)
		if err != nil {
			return err
		}
		if err := b.add(&tos{value << 2, 0xfc, o.not}); err != nil {
			return err
		}
	}
	return nil
}

func parseDSCP(o option) (uint8, error) {
	s := strings.ToUpper(o.arg())
	if !strings.HasSuffix(o.name, "class") {
		n, err := parseUint(s, 8)
		if n > 0x3f {
			err = errNumber
		}
		return uint8(n), err
	}
	return dscpClass(s)
}

// dscpClass returns the value of BE, EF, CS0 to CS7 and AF11 to AF43.
func dscpClass(s string) (uint8, error) {
	digit := func(i int, lo, hi byte) bool { return lo <= s[i] && s[i] <= hi }
	switch {
	case s == "BE":
		return 0, nil
	case s == "EF":
		return 0x2e, nil
	case len(s) == 3 && s[:2] == "CS" && digit(2, '0', '7'):
		return (s[2] - '0') << 3, nil
	case len(s) == 4 && s[:2] == "AF" && digit(2, '1', '4') && digit(3, '1', '3'):
		return (s[2]-'0')<<3 | (s[3]-'0')<<1, nil
	}
	return 0, fmt.Errorf("%w: %q", errValue, s)
}
