package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// deliver gives the packet to a socket.
func (r *run) deliver(in string) {
	p := r.f.Packet
	r.out.Arrived = true
	if p.Encap != nil {
		r.end(model.NoListener, "link/missing", fmt.Sprintf("no tunnel device takes %s", p), r.ns.Info.File)
		return
	}
	if p.Kind != model.KindOpen {
		r.answerArrived()
		return
	}
	if !p.Protocol.HasPorts() {
		r.echo()
		return
	}
	m := r.ns.Sockets.Lookup(p, in)
	switch {
	case !m.Known && r.alone:
		r.end(model.Delivered, "", "for this host; whether a socket waits is not known", r.ns.Info.File)
	case !m.Known && r.f.Choices.Doubt(model.Doubt{What: fmt.Sprintf("whether something listens on %s", p.Dst), Evidence: r.ns.Info.File}):
		r.end(model.Unknown, "", "the sockets of the namespace were not collected", r.ns.Info.File)
	case m.Found, !m.Known:
		r.end(model.Delivered, "", "taken by "+orUnknown(m.Socket), m.Evidence)
		r.answer(p)
	default:
		r.noListener(m.LoopbackOnly, m.Socket, m.Evidence)
	}
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
		r.icmpError(unreachPort)
		return
	}
	reset := p.Reply(model.KindReset)
	r.out.Answer = &reset
}

// echo answers an echo request (icmp_echo).
func (r *run) echo() {
	p := r.f.Packet
	request := p.Protocol == model.ICMP && p.ICMPType == 8 || p.Protocol == model.ICMPv6 && p.ICMPType == 128
	if !request {
		r.unknown(fmt.Sprintf("who takes a %s packet of type %d", p.Protocol, p.ICMPType), r.ns.Info.File)
		return
	}
	if r.sysctlInt("net.ipv4.icmp_echo_ignore_all") == 1 && !p.IPv6() {
		r.end(model.Dropped, "", "echo requests are ignored", r.sysctlAt("net.ipv4.icmp_echo_ignore_all"))
		return
	}
	r.end(model.Delivered, "", "answered by the kernel", "")
	reply := p.Reply(model.KindReply)
	reply.ICMPType = map[model.Protocol]uint8{model.ICMP: 0, model.ICMPv6: 129}[p.Protocol]
	r.out.Answer = &reply
}

// answer makes the positive answer. TCP answers with the address it was asked
// at. So does a UDP server bound to that address; one that is bound to all
// answers with the address that its routes choose, unless it takes care
// (IP_PKTINFO), which no dump shows.
func (r *run) answer(p model.Packet) {
	reply := p.Reply(model.KindReply)
	r.out.Answer = &reply
	if p.Protocol != model.UDP {
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

// answerArrived ends the journey of an answer: a socket waits for it, or it
// belongs to nothing that this host has sent.
func (r *run) answerArrived() {
	p := r.f.Packet
	if r.began() {
		r.end(model.Delivered, "", fmt.Sprintf("the %s arrived", p.Kind), "")
		return
	}
	if p.Kind == model.KindData {
		r.end(model.Delivered, "", "the data arrived", "")
		return
	}
	r.end(model.Dropped, "", fmt.Sprintf("no socket waits for a %s from %s", p.Kind, p.Src), r.ns.Info.File)
}
