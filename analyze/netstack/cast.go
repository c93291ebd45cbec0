package netstack

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// many reports whether the packet came to an address that others may have too:
// no reset and no error answers it (ipv6_unicast_destination, icmp_send), and
// an answer is sent from another address.
func (r *run) many() bool {
	switch r.cast {
	case route.TypeBroadcast, route.TypeMulticast, route.TypeAnycast:
		return true
	}
	return false
}

// castIn takes a packet to a broadcast, multicast or anycast address that came
// in by a device (ip_route_input_slow, ip_route_input_mc, ip6_mc_input).
func (r *run) castIn(in string, res route.Result) {
	r.cast = res.Type
	switch {
	case res.Type == route.TypeMulticast && !r.joined(in):
		r.end(model.Dropped, "", fmt.Sprintf("this host is not in the multicast group %s on %s", r.f.Packet.Dst.Addr(), in), r.ns.Info.File)
	case res.Type == route.TypeBroadcast && res.Prefix.IsValid() && r.forwardsBroadcasts(in):
		r.unknown("where a directed broadcast goes that bc_forwarding passes on", r.sysctlAt("net.ipv4.conf.all.bc_forwarding"))
	default:
		r.localIn(in)
	}
}

// forwardsBroadcasts is IN_DEV_BFORWARD.
func (r *run) forwardsBroadcasts(in string) bool {
	all, _, _ := r.ns.FIB.Conf("ipv4", "all", "bc_forwarding")
	own, _, _ := r.ns.FIB.Conf("ipv4", in, "bc_forwarding")
	return all != 0 && own != 0
}

// joined asks whether this host takes packets to a multicast group. No dump
// lists the groups that sockets have joined; those that the kernel itself has
// joined are known.
func (r *run) joined(in string) bool {
	group := r.f.Packet.Dst.Addr()
	switch r.member(in, group) {
	case netfilter.Yes:
		return true
	case netfilter.No:
		return false
	}
	doubt := model.Doubt{What: fmt.Sprintf("whether this host has joined the multicast group %s", group), Evidence: r.ns.Info.File}
	return r.f.Choices.Doubt(doubt)
}

// member tells the groups that the kernel joins by itself: all hosts
// (ip_mc_up), all nodes, all routers and those of its addresses (ipv6_mc_up,
// dev_forward_change, addrconf_join_solict).
func (r *run) member(in string, group netip.Addr) netfilter.Answer {
	dev, ok := r.ns.Device(in)
	if !ok || !slices.Contains(dev.Flags, "MULTICAST") && !slices.Contains(dev.Flags, "LOOPBACK") {
		return netfilter.Maybe
	}
	switch group {
	case netip.AddrFrom4([4]byte{224, 0, 0, 1}), netip.MustParseAddr("ff02::1"), netip.MustParseAddr("ff01::1"):
		return netfilter.Yes
	case netip.MustParseAddr("ff02::2"), netip.MustParseAddr("ff01::2"), netip.MustParseAddr("ff05::2"):
		if on, _, _ := r.ns.FIB.Conf("ipv6", in, "forwarding"); on != 0 {
			return netfilter.Yes
		}
	}
	for _, a := range dev.Addrs {
		p, err := netip.ParsePrefix(a.Prefix)
		if err == nil && p.Addr().Is6() && Solicited(p.Addr()) == group {
			return netfilter.Yes
		}
	}
	return netfilter.Maybe
}

// Solicited returns the multicast group in which neighbours look for an
// address (addrconf_addr_solict_mult).
func Solicited(a netip.Addr) netip.Addr {
	b, g := a.As16(), netip.MustParseAddr("ff02::1:ff00:0").As16()
	copy(g[13:], b[13:])
	return netip.AddrFrom16(g)
}
