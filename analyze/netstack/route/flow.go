package route

import (
	"net/netip"
	"strconv"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A flow is a Query as the tables are asked it (struct flowi): in a reverse
// lookup it differs from the packet.
type flow struct {
	src, dst        netip.Addr // src is unset if a sender has not chosen it
	iif, oif        string     // iif is "lo" for packets born here
	vrf             string     // the VRF that the packet is in
	mark            uint32
	tos             uint8
	proto           int
	sport, dport    uint16
	local           bool   // a local sender, whose uid is not known
	near            string // IPv6: routes by this device are preferred
	strict          bool   // IPv6: only routes by near count (RT6_LOOKUP_F_IFACE)
	plain           bool   // IPv6: routes have no scores (ip6_route_lookup)
	least           scope  // IPv4: routes of a larger scope do not count
	ignoreLinkstate bool
	choices         *netfilter.Choices // IPv6: decides multipath routes
}

func (q Query) flow(d *devices) flow {
	fl := flow{src: q.Src, dst: q.Dst, iif: q.IIf, oif: q.OIf, mark: q.Mark, tos: q.TOS,
		proto: protocolNumber(string(q.Protocol)), sport: q.SPort, dport: q.DPort}
	if fl.iif == "" {
		fl.iif, fl.local = loopback, true
	}
	fl.setVRF(d)
	return fl
}

// setVRF is l3mdev_update_flow, and l3mdev_ip_rcv for what came in: a packet
// in by a device of a VRF counts as in by the VRF.
func (fl *flow) setVRF(d *devices) {
	if fl.oif != "" {
		fl.vrf = d.master(fl.oif)
		if fl.vrf == fl.oif {
			fl.oif = ""
		}
		return
	}
	if m := d.master(fl.iif); m != "" {
		fl.vrf, fl.iif = m, m
	}
}

// protocolNumber returns the number of a protocol by its name or number, 0 if
// it is not known.
func protocolNumber(name string) int {
	for _, p := range [...]struct {
		name   model.Protocol
		number int
	}{
		{model.TCP, 6}, {model.UDP, 17}, {model.SCTP, 132}, {model.ICMP, 1}, {model.ICMPv6, 58}, {"icmpv6", 58},
		{"icmp6", 58}, {model.IPIP, 4}, {"ipip", 4}, {"udplite", 136}, {"dccp", 33}, {"gre", 47}, {"esp", 50}, {"ah", 51},
	} {
		if p.name == model.Protocol(name) {
			return p.number
		}
	}
	n, err := strconv.ParseUint(name, 0, 8)
	if err != nil {
		return 0
	}
	return int(n)
}
