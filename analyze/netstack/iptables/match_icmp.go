package iptables

import (
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// icmpType is "--icmp-type TYPE/CODE" and "--icmpv6-type TYPE/CODE".
type icmpType struct {
	any, not  bool
	typ       uint8
	low, high uint8 // of the code
}

func (m *icmpType) match(f *netfilter.Frame) netfilter.Answer {
	p := &f.Packet
	hit := m.any || p.ICMPType == m.typ && m.low <= p.ICMPCode && p.ICMPCode <= m.high
	return answerOf(hit != m.not)
}

func matchICMP(b *building, options []option) error {
	return b.icmp(model.ICMP, icmpNames(), options)
}

func matchICMP6(b *building, options []option) error {
	return b.icmp(model.ICMPv6, icmp6Names(), options)
}

func (b *building) icmp(proto model.Protocol, names []icmpName, options []option) error {
	if err := b.needs(proto); err != nil {
		return err
	}
	for _, o := range options {
		m, err := parseICMPType(o.arg(), names)
		if err != nil {
			return err
		}
		m.not = o.not
		if err := b.add(m); err != nil {
			return err
		}
	}
	return nil
}

// parseICMPType reads a name, "TYPE" or "TYPE/CODE". Type 255 of ICMP is any.
func parseICMPType(s string, names []icmpName) (*icmpType, error) {
	for _, n := range names {
		if strings.EqualFold(n.name, s) {
			return &icmpType{typ: n.typ, low: n.low, high: n.high, any: n.name == "any"}, nil
		}
	}
	typ, code, both := strings.Cut(s, "/")
	t, err := parseUint(typ, 8)
	if err != nil {
		return nil, fmt.Errorf("unknown type %q", s)
	}
	if !both {
		return &icmpType{typ: uint8(t), high: 255, any: t == 255 && names[0].name == "any"}, nil
	}
	c, err := parseUint(code, 8)
	return &icmpType{typ: uint8(t), low: uint8(c), high: uint8(c)}, err
}

type icmpName struct {
	name           string
	typ, low, high uint8
}

func icmpNames() []icmpName {
	return []icmpName{
		{"any", 255, 0, 255},
		{"echo-reply", 0, 0, 255}, {"pong", 0, 0, 255},
		{"destination-unreachable", 3, 0, 255},
		{"network-unreachable", 3, 0, 0}, {"host-unreachable", 3, 1, 1}, {"protocol-unreachable", 3, 2, 2},
		{"port-unreachable", 3, 3, 3}, {"fragmentation-needed", 3, 4, 4}, {"source-route-failed", 3, 5, 5},
		{"network-unknown", 3, 6, 6}, {"host-unknown", 3, 7, 7}, {"network-prohibited", 3, 9, 9},
		{"host-prohibited", 3, 10, 10}, {"TOS-network-unreachable", 3, 11, 11},
		{"TOS-host-unreachable", 3, 12, 12}, {"communication-prohibited", 3, 13, 13},
		{"host-precedence-violation", 3, 14, 14}, {"precedence-cutoff", 3, 15, 15},
		{"source-quench", 4, 0, 255}, {"redirect", 5, 0, 255}, {"network-redirect", 5, 0, 0},
		{"host-redirect", 5, 1, 1}, {"TOS-network-redirect", 5, 2, 2}, {"TOS-host-redirect", 5, 3, 3},
		{"echo-request", 8, 0, 255}, {"ping", 8, 0, 255}, {"router-advertisement", 9, 0, 255},
		{"router-solicitation", 10, 0, 255}, {"time-exceeded", 11, 0, 255}, {"ttl-exceeded", 11, 0, 255},
		{"ttl-zero-during-transit", 11, 0, 0}, {"ttl-zero-during-reassembly", 11, 1, 1},
		{"parameter-problem", 12, 0, 255}, {"ip-header-bad", 12, 0, 0}, {"required-option-missing", 12, 1, 1},
		{"timestamp-request", 13, 0, 255}, {"timestamp-reply", 14, 0, 255},
		{"address-mask-request", 17, 0, 255}, {"address-mask-reply", 18, 0, 255},
	}
}

func icmp6Names() []icmpName {
	return []icmpName{
		{"destination-unreachable", 1, 0, 255}, {"no-route", 1, 0, 0}, {"communication-prohibited", 1, 1, 1},
		{"beyond-scope", 1, 2, 2}, {"address-unreachable", 1, 3, 3}, {"port-unreachable", 1, 4, 4},
		{"failed-policy", 1, 5, 5}, {"reject-route", 1, 6, 6},
		{"packet-too-big", 2, 0, 255}, {"time-exceeded", 3, 0, 255}, {"ttl-exceeded", 3, 0, 255},
		{"ttl-zero-during-transit", 3, 0, 0}, {"ttl-zero-during-reassembly", 3, 1, 1},
		{"parameter-problem", 4, 0, 255}, {"bad-header", 4, 0, 0}, {"unknown-header-type", 4, 1, 1},
		{"unknown-option", 4, 2, 2}, {"echo-request", 128, 0, 255}, {"ping", 128, 0, 255},
		{"echo-reply", 129, 0, 255}, {"pong", 129, 0, 255}, {"mld-listener-query", 130, 0, 255},
		{"mld-listener-report", 131, 0, 255}, {"mld-listener-done", 132, 0, 255},
		{"mld-listener-reduction", 132, 0, 255}, {"router-solicitation", 133, 0, 255},
		{"router-advertisement", 134, 0, 255}, {"neighbour-solicitation", 135, 0, 255},
		{"neighbor-solicitation", 135, 0, 255}, {"neighbour-advertisement", 136, 0, 255},
		{"neighbor-advertisement", 136, 0, 255}, {"redirect", 137, 0, 255},
	}
}
