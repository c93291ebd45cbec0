package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// An unreach is an ICMP error that says that a packet did not get through, in
// both families.
type unreach struct{ type4, code4, type6, code6 uint8 }

// The errors that the kernel itself sends (icmp_send, icmpv6_send).
func unreachOf(name string) (unreach, bool) {
	u, ok := map[string]unreach{
		"icmp-net-unreachable":   {3, 0, 1, 0},
		"icmp-host-unreachable":  {3, 1, 1, 3},
		"icmp-proto-unreachable": {3, 2, 4, 1},
		"icmp-port-unreachable":  {3, 3, 1, 4},
		"icmp-net-prohibited":    {3, 9, 1, 1},
		"icmp-host-prohibited":   {3, 10, 1, 1},
		"icmp-admin-prohibited":  {3, 13, 1, 1},
		"icmp6-no-route":         {3, 0, 1, 0},
		"icmp6-adm-prohibited":   {3, 13, 1, 1},
		"icmp6-addr-unreachable": {3, 1, 1, 3},
		"icmp6-port-unreachable": {3, 3, 1, 4},
		"icmp6-policy-fail":      {3, 13, 1, 5},
		"icmp6-reject-route":     {3, 13, 1, 6},
	}[name]
	return u, ok
}

const (
	unreachNet      = "icmp-net-unreachable"
	unreachHost     = "icmp-host-unreachable"
	unreachPort     = "icmp-port-unreachable"
	unreachFiltered = "icmp-admin-prohibited"
)

// icmpError answers the packet with an ICMP error. Nobody answers an error
// with an error.
func (r *run) icmpError(name string) {
	u, ok := unreachOf(name)
	if !ok {
		u, _ = unreachOf(unreachPort)
	}
	if r.f.Packet.IPv6() {
		r.sendError(model.ICMPv6, u.type6, u.code6)
		return
	}
	r.sendError(model.ICMP, u.type4, u.code4)
}

// packetTooBig is the type of the ICMPv6 error that makes a path's MTU known.
const packetTooBig = 2

// fragNeeded tells the sender that its packet is larger than what dev takes.
func (r *run) fragNeeded(mtu int, dev string) {
	at := r.ns.Info.File
	if d, ok := r.ns.Device(dev); ok {
		at = r.ns.at(d.Line)
	}
	r.end(model.TooBig, "mtu/too-small", fmt.Sprintf("the packet has %d bytes, the way out by %s takes %d", r.f.Packet.Size, dev, mtu), at)
	r.out.Remedy = "let the ICMP error about it reach the sender, or make the MTUs agree"
	if r.f.Packet.IPv6() {
		r.sendError(model.ICMPv6, packetTooBig, 0)
	} else {
		r.sendError(model.ICMP, 3, 4)
	}
	r.out.PathMTU = mtu
}

// sendError answers with an ICMP error, where one may be sent (__icmp_send,
// icmp6_send). Fragments and rates are not looked at.
func (r *run) sendError(proto model.Protocol, typ, code uint8) {
	if r.unmentioned(proto, typ) {
		return
	}
	about := r.f.Packet
	r.out.Answer = &model.Packet{Attached: r.attach(), Protocol: proto, Kind: model.KindError, ICMPType: typ, ICMPCode: code, Mark: r.reflected(),
		Src: netip.AddrPortFrom(r.errorSource(), 0), Dst: netip.AddrPortFrom(about.Src.Addr(), 0), About: &about}
	if proto == model.ICMP {
		const internetControl = 0xc0 // IPTOS_PREC_INTERNETCONTROL
		r.out.Answer.TOS = about.TOS&0x1e | internetControl
	}
}

// unmentioned reports whether no error is sent about the packet: it is one
// itself, came to many, or from nobody in particular.
func (r *run) unmentioned(proto model.Protocol, typ uint8) bool {
	p := r.f.Packet
	from := p.Src.Addr()
	switch {
	case r.local && !r.looped && p.Kind == model.KindReply && !p.Protocol.HasPorts():
		return true // icmp_reply has the socket that icmp_send would need (icmp_xmit_lock)
	case r.to == toAll && (proto == model.ICMP || typ != packetTooBig):
		return true // of what came in a frame to a group only this is told
	case p.Kind == model.KindError, r.cast == route.TypeBroadcast, r.cast == route.TypeMulticast, from.IsUnspecified(), from.IsMulticast():
		return true
	}
	return false
}

// errorSource is the address that an error is sent from: the one that the packet
// was for, if it is this host's or if a route of type local says so (RTCF_LOCAL; in
// another table it may be an address that nothing can be sent from); else the
// routes choose it, which the zero value means. Or the device that the packet came
// in by has it: for IPv4 if a sysctl says so, for IPv6 unless the route back names
// a source (icmpv6_rt_has_prefsrc).
func (r *run) errorSource() netip.Addr {
	dst := r.f.Packet.Dst.Addr()
	switch {
	case r.f.Packet.IPv6() && r.ns.FIB.IsLocal(dst), r.cast == route.TypeAnycast, !r.f.Packet.IPv6() && r.out.Route.Type == route.TypeLocal:
		return dst
	case !r.f.Packet.IPv6() && r.iif != "" && r.sysctl("net.ipv4.icmp_errors_use_inbound_ifaddr") == "1":
		return r.ns.FIB.EgressAddr(r.iif, r.f.Packet.Src.Addr())
	case r.f.Packet.IPv6() && r.iif != "":
		return r.ns.FIB.ErrorSource6(r.iif, route.Query{Dst: r.f.Packet.Src.Addr(), Mark: r.reflected(), Protocol: model.ICMPv6})
	}
	return netip.Addr{}
}

// scopeAnswer sends an answer to a link-local address back by the device that
// the packet came in by (inet6_iif, icmp6_iif).
func (r *run) scopeAnswer() {
	if a := r.out.Answer; a != nil && r.out.AnswerDev == "" && r.iif != "" && a.Dst.Addr().Is6() && a.Dst.Addr().IsLinkLocalUnicast() {
		a.Dst = netip.AddrPortFrom(a.Dst.Addr().WithZone(r.iif), a.Dst.Port())
	}
}

// attach lets the answer belong to the packet's conversation although its entry
// is not confirmed (nf_ct_attach, which icmp_glue_bits and nf_send_reset call):
// so it is translated back. It is nil if the packet has none.
func (r *run) attach() *model.Attachment {
	if r.conn != nil {
		return &model.Attachment{Conn: *r.conn, Reply: !r.f.Ct.Reply}
	}
	if r.f.Ct.State != netfilter.CtNew {
		return nil
	}
	r.flow = r.flow.With(r.ns.ID, r.entry())
	return &model.Attachment{Conn: r.flow.Conn, Reply: true}
}

// rejected answers as the REJECT target does (nf_reject_ipv4.c). A reset for what
// came in by a port of a bridge, and that netfilter was shown there, goes back by
// that port at once, translated by nobody (nf_send_reset, nf_send_reset6).
func (r *run) rejected() {
	if r.f.RejectWith != "tcp-reset" {
		r.icmpError(r.f.RejectWith)
		return
	}
	if r.f.Packet.Kind == model.KindReset || r.cast == route.TypeBroadcast || r.cast == route.TypeMulticast {
		return
	}
	reset := r.f.Packet.Reply(model.KindReset)
	r.out.Answer = &reset
	if r.f.PhysIn != "" {
		reset.SrcMAC, reset.DstMAC = r.f.Packet.DstMAC, r.f.Packet.SrcMAC
		r.out.AnswerDev = r.f.PhysIn
	}
	if r.local && !r.looped && !reset.IPv6() {
		reset.Bound = r.sockDev // ip_route_me_harder is given the sender's socket
	}
	reset.Attached = r.attach()
}
