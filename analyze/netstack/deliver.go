package netstack

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/netstack/socket"
)

// deliver gives the packet to a socket, or to the part of the kernel that takes
// it (ip_local_deliver_finish, ip6_input_finish).
func (r *run) deliver(in string) {
	p := r.f.Packet
	r.out.Arrived = true
	switch {
	case p.Encap != nil:
		r.noDevice(in)
	case r.to == toAll && (p.Protocol == model.TCP || p.Protocol == model.SCTP): // tcp_v4_rcv, sctp_rcv: PACKET_HOST only
		r.end(model.Dropped, "", fmt.Sprintf("%s takes nothing out of a frame to a group", p.Protocol), r.ns.Info.File)
	case p.Kind != model.KindOpen && (p.Protocol != model.UDP || r.awaits()):
		if !r.opaqueSocket("ingress") {
			r.answerArrived()
		}
	case p.Protocol == model.ICMP, p.Protocol == model.ICMPv6:
		r.deliverICMP()
	case !p.Protocol.HasPorts():
		r.deliverOther()
	default:
		if r.f.TProxy.IsValid() {
			p.Dst = r.f.TProxy
		}
		r.listened(r.ns.Sockets.Lookup(p, in))
	}
}

// noDevice ends the journey of a packet of a tunnel that no device here takes.
// One over UDP goes to a socket, and is answered without one, as any other
// datagram (__udp4_lib_rcv).
func (r *run) noDevice(in string) {
	p := r.f.Packet
	if m := r.ns.Sockets.Lookup(p, in); m.Found && p.Protocol == model.UDP {
		r.unknown(fmt.Sprintf("what %s does with %s", orUnknown(m.Socket), p), m.Evidence)
		return
	}
	r.end(model.NoListener, "link/missing", fmt.Sprintf("no tunnel device takes %s", p), r.ns.Info.File)
	if p.Protocol == model.UDP {
		r.unreachablePort()
	}
}

// unreachablePort answers a datagram that no socket takes.
func (r *run) unreachablePort() {
	r.icmpError(unreachPort)
	if r.out.Answer != nil {
		r.out.Answer.Attached = nil // nf_reset_ct in __udp4_lib_rcv, ip6_protocol_deliver_rcu
	}
}

// listened ends the journey at a socket, or at none.
func (r *run) listened(m socket.Match) {
	p := r.f.Packet
	switch {
	case r.mapped(m):
		r.end(model.Dropped, "", fmt.Sprintf("no TCP server answers %s, an IPv4 address in IPv6", p.Src.Addr()), m.Evidence)
	case r.many() && p.Protocol != model.UDP: // tcp_conn_request
		r.end(model.Dropped, "", fmt.Sprintf("no socket waits for %s to a %s address", p.Protocol, r.cast), r.ns.Info.File)
	case !m.Known && r.alone:
		r.end(model.Delivered, "", "for this host; whether a socket waits is not known", r.ns.Info.File)
	case !m.Known && r.f.Choices.Doubt(model.Doubt{What: fmt.Sprintf("whether something listens on %s", p.Dst), Evidence: r.ns.Info.File}):
		r.end(model.Unknown, "", "the sockets of the namespace were not collected", r.ns.Info.File)
	case m.Found, !m.Known:
		r.taken(m)
	case r.many() && r.cast != route.TypeAnycast: // __udp4_lib_mcast_deliver
		r.end(model.Dropped, "", fmt.Sprintf("no socket waits for %s to a %s address", p.Protocol, r.cast), r.ns.Info.File)
	default:
		r.noListener(m.LoopbackOnly, m.Socket, m.Evidence)
	}
}

// mapped reports whether a TCP server is asked by an IPv4 address in an IPv6 one,
// which it does not answer (tcp_v6_conn_request).
func (r *run) mapped(m socket.Match) bool {
	return r.f.Packet.Protocol == model.TCP && r.f.Packet.Src.Addr().Is4In6() && m.Found
}

// taken ends the journey at a socket, which answers.
func (r *run) taken(m socket.Match) {
	if r.opaqueSocket("ingress") {
		return
	}
	p := r.f.Packet
	r.end(model.Delivered, "", "taken by "+orUnknown(m.Socket), m.Evidence)
	sent := p.Tuple().Invert()
	r.flow = r.flow.With(SocketsOf(r.ns.ID), model.Conn{Original: sent, Reply: sent})
	r.answer(p, m)
}

func orUnknown(socket string) string {
	if socket == "" {
		return "a socket"
	}
	return socket
}

// noListener answers for a port that nobody serves: a reset, or port
// unreachable (tcp_v4_send_reset, __udp4_lib_rcv).
func (r *run) noListener(elsewhere bool, socket, evidence string) {
	p := r.f.Packet
	if elsewhere {
		r.end(model.NoListener, "socket/loopback-only", fmt.Sprintf("%s %d is served only by %s, not on %s", p.Protocol, p.Dst.Port(), socket, p.Dst.Addr()), evidence)
		r.out.Remedy = "bind the server to " + p.Dst.Addr().String() + " or to all addresses"
	} else {
		r.end(model.NoListener, "socket/none", fmt.Sprintf("nobody listens on %s %s", p.Protocol, p.Dst), r.ns.Info.File)
		r.out.Remedy = fmt.Sprintf("start a server on %s port %d, or correct the port", p.Protocol, p.Dst.Port())
	}
	if p.Protocol == model.UDP {
		r.unreachablePort()
		return
	}
	r.resets()
}

// resets answers with a TCP RST or an SCTP ABORT (tcp_v4_send_reset), which
// keeps the TOS of what it answers. IPv4 sends none in the name of an address
// that is not its own, though a route of type local brought the packet here, but
// for a transparent socket (tcp_v4_send_reset, FLOWI_FLAG_ANYSRC).
func (r *run) resets() {
	p := r.f.Packet
	others := p.Protocol == model.TCP && !p.IPv6() && !r.ns.FIB.IsLocal(p.Dst.Addr()) && !r.f.TProxy.IsValid()
	if r.many() || p.Kind == model.KindReset || others {
		return
	}
	reset := r.f.Packet.Reply(model.KindReset)
	reset.TOS, reset.Mark = r.f.Packet.TOS, r.reflected()
	if p.Protocol == model.TCP { // a listener that is no part of the conversation answers by its device
		reset.Bound = r.ns.Sockets.Lookup(p, r.f.In).Dev
	}
	if dev, ok := r.ns.FIB.DeviceOwning(p.Dst.Addr()); ok && p.IPv6() && p.Src.Addr().IsLoopback() && dev.Name != "lo" {
		reset.Dst = netip.AddrPortFrom(reset.Dst.Addr().WithZone(dev.Name), reset.Dst.Port()) // tcp_v6_send_response: rt6_need_strict
	}
	r.out.Answer = &reset
}

// answer makes the positive answer. TCP answers with the address it was asked
// at. So does a UDP server bound to that address; one that is bound to all
// answers with the address that its routes choose, unless it takes care
// (IP_PKTINFO), which no dump shows.
func (r *run) answer(p model.Packet, m socket.Match) {
	reply := p.Reply(model.KindReply)
	r.out.Answer = &reply
	reply.AnySrc, reply.Bound = r.transparent(m), m.Dev
	if p.Protocol == model.TCP && r.sysctl("net.ipv4.tcp_fwmark_accept") == "1" { // inet_request_mark
		reply.Mark = p.Mark
	}
	if r.many() {
		reply.Src = netip.AddrPortFrom(netip.Addr{}, p.Dst.Port())
	}
	if p.Protocol != model.UDP || r.many() {
		return
	}
	res := r.ns.FIB.Lookup(route.Query{Dst: p.Src.Addr(), Protocol: p.Protocol}, nil)
	if !res.Src.IsValid() || res.Src == p.Dst.Addr() || r.boundTo(p.Dst.Addr()) {
		return
	}
	doubt := model.Doubt{What: fmt.Sprintf("whether the UDP server answers from %s or, as the routes choose, from %s", p.Dst.Addr(), res.Src), Evidence: res.Evidence}
	if r.f.Choices.Doubt(doubt) {
		reply.Src = netip.AddrPortFrom(res.Src, p.Dst.Port())
	}
}

// transparent reports whether the TCP server that took a packet may answer in the
// name of an address that is not this host's (inet_csk_route_req).
func (r *run) transparent(m socket.Match) bool {
	p := r.f.Packet
	if !m.Known || p.Protocol != model.TCP || p.IPv6() || r.ns.FIB.IsLocal(p.Dst.Addr()) {
		return false
	}
	if m.Transparent != "" || r.f.TProxy.IsValid() {
		return m.Transparent != "no"
	}
	return r.f.Choices.Doubt(model.Doubt{What: fmt.Sprintf("whether %s is transparent, and answers as %s", m.Socket, p.Dst.Addr()), Evidence: m.Evidence})
}

// boundTo reports whether the socket that takes the packet is bound to addr.
func (r *run) boundTo(addr netip.Addr) bool {
	p := r.f.Packet
	other := p
	other.Dst = netip.AddrPortFrom(unusedAddr(addr), p.Dst.Port())
	return !r.ns.Sockets.Lookup(other, "").Found
}

// unusedAddr is an address that no socket is bound to, of the family of a.
func unusedAddr(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.AddrFrom4([4]byte{192, 0, 2, 1})
	}
	return netip.MustParseAddr("2001:db8::1")
}

// awaits reports whether a socket here has sent from the port that the packet
// goes to.
func (r *run) awaits() bool {
	return slices.ContainsFunc(r.flow.Conns(SocketsOf(r.ns.ID)), func(c model.Conn) bool { return c.Original.Src == r.f.Packet.Dst })
}

// answerArrived ends the journey of a later packet of a conversation: a socket
// waits for it, or it belongs to nothing that this host knows. TCP and SCTP say
// so, but not to a reset (tcp_rcv_state_process, sctp_sf_ootb).
func (r *run) answerArrived() {
	p := r.f.Packet
	if r.began() {
		if p.Src == p.Dst && p.Protocol == model.TCP && p.Kind == model.KindReply && r.f.Choices.Doubt(model.Doubt{What: fmt.Sprintf("whether the socket of %s takes its own answer for one", p.Src), Evidence: r.ns.Info.File}) {
			r.end(model.Unknown, "", "the packet comes from the address and port that it goes to", r.ns.Info.File)
			return
		}
		r.end(model.Delivered, "", fmt.Sprintf("the %s arrived", p.Kind), "")
		return
	}
	r.end(model.Dropped, "", fmt.Sprintf("no socket waits for a %s from %s", p.Kind, p.Src), r.ns.Info.File)
	if p.Protocol == model.TCP || p.Protocol == model.SCTP {
		r.resets()
	}
}
