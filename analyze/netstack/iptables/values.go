package iptables

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// parseUint reads a number as C's strtoul does: decimal, 0x..., 0...
func parseUint(s string, size int) (uint64, error) {
	n, err := strconv.ParseUint(s, 0, size)
	if err != nil || strings.IndexByte(s, '_') >= 0 {
		return 0, fmt.Errorf("%w: %q", errNumber, s)
	}
	return n, nil
}

// parseMark reads "VALUE" or "VALUE/MASK".
func parseMark(s string) (value, mask uint32, err error) {
	v, m, both := strings.Cut(s, "/")
	n, err := parseUint(v, 32)
	if err != nil || !both {
		return uint32(n), 0xffffffff, err
	}
	k, err := parseUint(m, 32)
	return uint32(n), uint32(k), err
}

// parseSpan reads "N", "N:M", ":M" or "N:"; sep is what stands for ":".
func parseSpan(s, sep string) (lo, hi uint16, err error) {
	a, b, both := strings.Cut(s, sep)
	l, h := uint64(0), uint64(0xffff)
	if a != "" || !both {
		if l, err = parseUint(a, 16); err != nil {
			return 0, 0, err
		}
	}
	if !both {
		return uint16(l), uint16(l), nil
	}
	if b != "" {
		if h, err = parseUint(b, 16); err != nil {
			return 0, 0, err
		}
	}
	if l > h {
		return 0, 0, fmt.Errorf("range upside down: %q", s)
	}
	return uint16(l), uint16(h), nil
}

func parsePorts(o option) (portRange, error) {
	lo, hi, err := parseSpan(o.arg(), ":")
	return portRange{lo: lo, hi: hi, set: true, not: o.not}, err
}

func parseIfaceMatch(s string, not bool) *ifaceMatch {
	name, wild := strings.CutSuffix(s, "+")
	return &ifaceMatch{name: name, wild: wild, not: not}
}

// parseAddrMatch reads "ADDR", "ADDR/LENGTH" or "ADDR/MASK".
func parseAddrMatch(s string, not bool) (*addrMatch, error) {
	addr, mask, both := strings.Cut(s, "/")
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Is4In6() || a.Zone() != "" {
		return nil, fmt.Errorf("not an address: %q", s)
	}
	if !both {
		return &addrMatch{prefix: netip.PrefixFrom(a, a.BitLen()), not: not}, nil
	}
	if n, bad := strconv.ParseUint(mask, 10, 8); bad == nil {
		p := netip.PrefixFrom(a, int(n))
		if !p.IsValid() {
			return nil, fmt.Errorf("not a prefix: %q", s)
		}
		return &addrMatch{prefix: p, not: not}, nil
	}
	m, err := netip.ParseAddr(mask)
	if err != nil || m.BitLen() != a.BitLen() {
		return nil, fmt.Errorf("not a mask: %q", s)
	}
	if n, ok := maskLength(m); ok {
		return &addrMatch{prefix: netip.PrefixFrom(a, n), not: not}, nil
	}
	return &addrMatch{prefix: netip.PrefixFrom(a, a.BitLen()), mask: netfilter.WideMask(m), not: not}, nil
}

// maskLength returns the number of leading ones of m, if only zeros follow.
func maskLength(m netip.Addr) (int, bool) {
	n, ended := 0, false
	for _, b := range m.AsSlice() {
		ones := bits.LeadingZeros8(^b)
		if ended && b != 0 || b<<ones != 0 {
			return 0, false
		}
		n += ones
		ended = ended || ones < 8
	}
	return n, true
}

// parseAddrRange reads "ADDR" or "ADDR-ADDR".
func parseAddrRange(s string) (lo, hi netip.Addr, err error) {
	a, b, both := strings.Cut(s, "-")
	if lo, err = netip.ParseAddr(a); err != nil {
		return lo, hi, fmt.Errorf("not an address: %q", s)
	}
	if !both {
		return lo, lo, nil
	}
	if hi, err = netip.ParseAddr(b); err != nil || hi.Less(lo) || hi.BitLen() != lo.BitLen() {
		return lo, hi, fmt.Errorf("not a range of addresses: %q", s)
	}
	return lo, hi, nil
}

var errProtocol = errors.New("unknown protocol")

// parseProtocol returns the name that the model uses, "" for all.
func parseProtocol(s string) (model.Protocol, error) {
	switch s = strings.ToLower(s); s {
	case "tcp":
		return model.TCP, nil
	case "udp":
		return model.UDP, nil
	case "all", "ip":
		return "", nil
	case "icmpv6", "icmp6":
		return model.ICMPv6, nil
	case "ipv4":
		return model.IPIP, nil
	case "mh":
		return "mobility-header", nil
	}
	if n, err := strconv.ParseUint(s, 0, 8); err == nil {
		return protocolNumbered(n), nil
	}
	for _, p := range protocols() {
		if string(p.name) == s {
			return p.name, nil
		}
	}
	return "", fmt.Errorf("%w: %q", errProtocol, s)
}

func protocolNumbered(n uint64) model.Protocol {
	if n == 0 {
		return ""
	}
	for _, p := range protocols() {
		if p.number == n {
			return p.name
		}
	}
	return model.Protocol(strconv.FormatUint(n, 10))
}

type protocolNumber struct {
	number uint64
	name   model.Protocol
}

// protocols returns the names of /etc/protocols that occur in rules.
func protocols() []protocolNumber {
	return []protocolNumber{
		{1, model.ICMP}, {2, "igmp"}, {3, "ggp"}, {4, model.IPIP}, {5, "st"}, {6, model.TCP}, {8, "egp"},
		{9, "igp"}, {12, "pup"}, {17, model.UDP}, {20, "hmp"}, {22, "xns-idp"}, {27, "rdp"}, {29, "iso-tp4"},
		{33, "dccp"}, {36, "xtp"}, {37, "ddp"}, {38, "idpr-cmtp"}, {41, "ipv6"}, {43, "ipv6-route"},
		{44, "ipv6-frag"}, {45, "idrp"}, {46, "rsvp"}, {47, "gre"}, {50, "esp"}, {51, "ah"}, {57, "skip"},
		{58, model.ICMPv6}, {59, "ipv6-nonxt"}, {60, "ipv6-opts"}, {73, "rspf"}, {81, "vmtp"}, {88, "eigrp"},
		{89, "ospf"}, {93, "ax.25"}, {94, "ipip"}, {97, "etherip"}, {98, "encap"}, {103, "pim"},
		{108, "ipcomp"}, {112, "vrrp"}, {115, "l2tp"}, {124, "isis"}, {132, model.SCTP}, {133, "fc"},
		{135, "mobility-header"}, {136, "udplite"}, {137, "mpls-in-ip"}, {138, "manet"}, {139, "hip"},
		{140, "shim6"}, {141, "wesp"}, {142, "rohc"}, {143, "ethernet"}, {262, "mptcp"},
	}
}

// protocolMatch returns the name of the match that goes with "-p proto".
func protocolMatch(p model.Protocol) string {
	if p == model.ICMPv6 {
		return "icmp6"
	}
	return string(p)
}

// fixed is a condition that was decided when the rule was read.
type fixed netfilter.Answer

func (m fixed) match(*netfilter.Frame) netfilter.Answer { return netfilter.Answer(m) }

func answerOf(b bool) netfilter.Answer { return netfilter.AnswerOf(b) }
