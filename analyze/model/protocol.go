package model

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseProtocol reads the name or the number of an IP protocol, upper case or
// not: "tcp", "ICMPv6", "47". What has no name here is named by its number.
func ParseProtocol(s string) (Protocol, error) {
	name := strings.ToLower(s)
	if n, err := strconv.ParseUint(name, 0, 8); err == nil {
		return protocolNumbered(int(n)), nil
	}
	for _, p := range protocols() {
		if string(p.name) == name || p.alias != "" && p.alias == name {
			return p.name, nil
		}
	}
	return "", fmt.Errorf("%q is no IP protocol: write tcp, udp, sctp, icmp, icmpv6, or a number", s)
}

// Number returns the number of p in the IP header, -1 if it is not known.
func (p Protocol) Number() int {
	for _, known := range protocols() {
		if known.name == p {
			return known.number
		}
	}
	if n, err := strconv.ParseUint(string(p), 10, 8); err == nil {
		return int(n)
	}
	return -1
}

func protocolNumbered(n int) Protocol {
	for _, p := range protocols() {
		if p.number == n {
			return p.name
		}
	}
	return Protocol(strconv.Itoa(n))
}

// A protocolRow names one IP protocol.
type protocolRow struct {
	number int
	name   Protocol
	alias  string // another name that people write
}

// protocols lists the protocols with a name, as /etc/protocols has them.
func protocols() []protocolRow {
	return []protocolRow{
		{1, ICMP, ""}, {2, "igmp", ""}, {4, IPIP, "ipv4"}, {6, TCP, ""}, {17, UDP, ""}, {33, "dccp", ""}, {41, "ipv6", ""},
		{46, "rsvp", ""}, {47, "gre", ""}, {50, "esp", ""}, {51, "ah", ""}, {58, ICMPv6, "icmpv6"}, {88, "eigrp", ""},
		{89, "ospf", ""}, {94, "ipip", ""}, {103, "pim", ""}, {108, "ipcomp", ""}, {112, "vrrp", ""}, {115, "l2tp", ""},
		{132, SCTP, ""}, {136, "udplite", ""},
	}
}
