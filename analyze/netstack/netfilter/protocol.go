package netfilter

import (
	"strconv"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A protocolName is a name of /etc/protocols that occurs in rules.
type protocolName struct {
	name   string
	number uint8
}

func protocolNames() [50]protocolName {
	return [...]protocolName{
		{"tcp", 6}, {"udp", 17}, {"icmp", 1}, {"ipv6-icmp", 58}, {"sctp", 132}, {"ipencap", 4}, {"icmpv6", 58}, {"icmp6", 58}, {"ipv4", 4}, {"hopopt", 0}, {"ip", 0},
		{"igmp", 2}, {"ggp", 3}, {"st", 5}, {"egp", 8}, {"igp", 9}, {"pup", 12}, {"hmp", 20}, {"xns-idp", 22}, {"rdp", 27}, {"iso-tp4", 29},
		{"dccp", 33}, {"xtp", 36}, {"ddp", 37}, {"idpr-cmtp", 38}, {"ipv6", 41}, {"ipv6-route", 43}, {"ipv6-frag", 44}, {"idrp", 45}, {"rsvp", 46}, {"gre", 47},
		{"esp", 50}, {"ah", 51}, {"skip", 57}, {"ipv6-nonxt", 59}, {"ipv6-opts", 60}, {"rspf", 73}, {"vmtp", 81}, {"eigrp", 88}, {"ospf", 89},
		{"ospfigp", 89}, {"ax.25", 93}, {"ipip", 94}, {"pim", 103}, {"ipcomp", 108}, {"comp", 108}, {"vrrp", 112}, {"l2tp", 115}, {"mobility-header", 135}, {"udplite", 136},
	}
}

// ProtocolNumber returns the number of an IP protocol: of a name as /etc/protocols
// and nftables spell it, or of a number.
func ProtocolNumber(name string) (uint8, bool) {
	for _, p := range protocolNames() {
		if p.name == name {
			return p.number, true
		}
	}
	n, err := strconv.ParseUint(name, 0, 8)
	return uint8(n), err == nil
}

// NumberOf returns the number of a packet's protocol.
func NumberOf(p model.Protocol) (uint8, bool) {
	switch p {
	case model.TCP:
		return 6, true
	case model.UDP:
		return 17, true
	}
	return ProtocolNumber(string(p))
}
