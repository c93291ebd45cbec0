package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// deliverICMP gives an ICMP packet that opens a conversation to the kernel
// (icmp_rcv, icmpv6_rcv).
func (r *run) deliverICMP() {
	p := r.f.Packet
	switch {
	case p.IsEcho():
		r.echo()
	case p.Protocol == model.ICMP && p.ICMPType == 13 && !r.ignoresBroadcasts():
		r.end(model.Delivered, "", "answered by the kernel", "")
		r.replies(14)
	case neighbourDiscovery(p):
		r.discovers()
	default:
		r.end(model.Delivered, "", "taken by the kernel, which does not answer", "")
	}
}

// echo answers an echo request (icmp_echo, icmpv6_echo_reply), unless a sysctl
// forbids it.
func (r *run) echo() {
	name, typ := "net.ipv4.icmp_echo_ignore_all", uint8(0)
	if r.f.Packet.IPv6() {
		name, typ = "net.ipv6.icmp.echo_ignore_all", 129
	}
	switch {
	case r.sysctlInt(name) != 0:
	case r.ignoresBroadcasts():
		name = "net.ipv4.icmp_echo_ignore_broadcasts"
	case r.cast == route.TypeMulticast && r.sysctlInt("net.ipv6.icmp.echo_ignore_multicast") != 0:
		name = "net.ipv6.icmp.echo_ignore_multicast"
	case r.cast == route.TypeAnycast && r.sysctlInt("net.ipv6.icmp.echo_ignore_anycast") != 0:
		name = "net.ipv6.icmp.echo_ignore_anycast"
	default:
		r.end(model.Delivered, "", "answered by the kernel", "")
		r.replies(typ)
		return
	}
	r.end(model.Dropped, "", "echo requests are ignored: "+name, r.sysctlAt(name))
}

// ignoresBroadcasts reports whether the packet came to a broadcast or multicast
// address and is not answered for that. The kernel's default is not to.
func (r *run) ignoresBroadcasts() bool {
	return !r.f.Packet.IPv6() && r.many() && r.sysctl("net.ipv4.icmp_echo_ignore_broadcasts") != "0"
}

// replies answers with an ICMP message of a type, by the TOS and the identifier
// of the request. What came to many is answered from an address that the routes
// choose.
func (r *run) replies(typ uint8) {
	p := r.f.Packet
	reply := p.Reply(model.KindReply)
	reply.ICMPType, reply.TOS, reply.Mark = typ, p.TOS, r.reflected()
	if r.many() {
		reply.Src = netip.AddrPort{}
	}
	r.out.Answer = &reply
}

// discovers gives a message about neighbours, routers or groups to the kernel,
// which takes it only from the same link (ndisc_rcv).
func (r *run) discovers() {
	p := r.f.Packet
	if solicits := p.ICMPType >= 133 && p.ICMPType <= 137; solicits && p.TTL != 0 && p.TTL != 255 {
		r.end(model.Dropped, "", fmt.Sprintf("neighbour discovery with hop limit %d is not from this link", p.TTL), r.ns.Info.File)
		return
	}
	if p.ICMPType == 135 || p.ICMPType == 133 {
		r.unknown("what neighbour discovery answers", r.ns.Info.File)
		return
	}
	r.end(model.Delivered, "", "taken by the kernel, which does not answer", "")
}

// reflected is the mark of what answers the packet without a socket
// (IP4_REPLY_MARK, IP6_REPLY_MARK).
func (r *run) reflected() uint32 {
	name := "net.ipv4.fwmark_reflect"
	if r.f.Packet.IPv6() {
		name = "net.ipv6.fwmark_reflect"
	}
	if r.sysctl(name) == "1" {
		return r.f.Packet.Mark
	}
	return 0
}

// deliverOther gives a packet to whoever takes its protocol: a tunnel, a module
// or a raw socket, none of which the dump tells. What nothing in the kernel can
// take is answered, unless a raw socket takes it (ip_protocol_deliver_rcu,
// ip6_protocol_deliver_rcu).
func (r *run) deliverOther() {
	p := r.f.Packet
	doubt := model.Doubt{What: fmt.Sprintf("whether a raw socket takes protocol %s", p.Protocol), Evidence: r.ns.Info.File}
	switch p.Protocol.Number() {
	case 2:
		r.end(model.Delivered, "", "taken by the kernel, which does not answer", "")
	case 4, 33, 41, 46, 47, 50, 51, 94, 97, 98, 103, 108, 112, 115, 132, 135, 136, 137:
		r.unknown(fmt.Sprintf("who takes a %s packet", p.Protocol), r.ns.Info.File)
	default:
		if r.f.Choices.Doubt(doubt) {
			r.end(model.Delivered, "", "taken by a raw socket", "")
			return
		}
		r.end(model.NoListener, "socket/none", fmt.Sprintf("nobody takes protocol %s", p.Protocol), r.ns.Info.File)
		r.icmpError("icmp-proto-unreachable")
	}
}
