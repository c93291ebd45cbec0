package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// setTTL gives a packet that is born here its TTL or hop limit, unless it has
// one: 1 for multicast, else what the sysctls say (ip_select_ttl,
// ip6_dst_hoplimit). It stays 0 where they are not known.
func (r *run) setTTL(res route.Result) {
	p := &r.f.Packet
	switch {
	case p.TTL != 0:
	case p.Dst.Addr().IsMulticast():
		p.TTL = 1
	case res.HopLimit != 0: // RTAX_HOPLIMIT
		p.TTL = uint8(res.HopLimit)
	case p.IPv6():
		limit, _, _ := r.ns.FIB.Conf("ipv6", outDev(res), "hop_limit")
		p.TTL = uint8(limit)
	default:
		p.TTL = uint8(r.sysctlInt("net.ipv4.ip_default_ttl"))
	}
}

// exceeded ends the journey of a packet that is to be forwarded and has come
// its whole way (the heads of ip_forward and ip6_forward). A TTL of 0 is not
// known and lasts.
func (r *run) exceeded() bool {
	if r.f.Packet.TTL != 1 {
		return false
	}
	r.end(model.Dropped, "", fmt.Sprintf("the TTL of the packet to %s has run out", r.f.Packet.Dst.Addr()), r.ns.Info.File)
	if r.f.Packet.IPv6() {
		r.sendError(model.ICMPv6, 3, 0)
	} else {
		r.sendError(model.ICMP, 11, 0)
	}
	return true
}

// aged takes one off the TTL (ip_decrease_ttl). Rules of FORWARD see the rest.
func (r *run) aged() {
	if r.f.Packet.TTL > 0 {
		r.f.Packet.TTL--
	}
}
