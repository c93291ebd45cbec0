package analyze

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
)

func ephemeral(p model.Protocol) uint16 {
	if p.HasPorts() {
		return netstack.EphemeralPort
	}
	return 0
}

// silent is what the client sees when nothing comes back from the end of its
// request.
func (c *conversation) silent(end *model.Visit) model.Outcome {
	switch {
	case end.Disposition == model.Unknown, end.Disposition == model.ExitsCluster:
		return model.OutcomeUnknown
	case end.LocalError && end.Node.Hop == c.client:
		return model.OutcomeUnreachable
	}
	return model.OutcomeTimeout
}

// answered is what the client sees when reply is where the answer ended.
func (c *conversation) answered(end, reply *model.Visit) model.Outcome {
	home := reply.Node.Hop == c.client && reply.Disposition == model.Delivered
	if c.leaves(reply) { // the client is where the bundle does not show, and so is the answer
		if home = c.awaited(reply.Served); !home {
			c.walk.found = append(c.walk.found, foreign(c.dst, reply))
			return model.OutcomeTimeout
		}
	}
	switch {
	case end.LocalError && end.Node.Hop == c.client:
		return model.OutcomeUnreachable // before the answer is there
	case home:
		return received(c.protocol, end.Answer)
	case reply.Disposition == model.Unknown, reply.Disposition == model.ExitsCluster:
		return model.OutcomeUnknown
	}
	return model.OutcomeTimeout
}

// leaves reports whether an answer leaves what the bundle shows for a client out
// there.
func (c *conversation) leaves(reply *model.Visit) bool {
	return reply.Disposition == model.ExitsCluster && reply.Served.Dst.Addr() == c.src.IP && c.client.Type == model.NetNodeTypeExternal
}

// awaited reports whether a socket of the client takes an answer: it comes from
// where the client asked, or is an error about what the client sent
// (__inet_lookup_established, __udp4_lib_lookup).
func (c *conversation) awaited(p model.Packet) bool {
	if p.Kind == model.KindError {
		return p.About != nil && p.About.Dst == c.dst.AddrPort()
	}
	return p.Src == c.dst.AddrPort()
}

// foreign is the suspicion about an answer that nobody awaits: it did not come
// back by the node that translated the request.
func foreign(asked model.Endpoint, reply *model.Visit) model.Suspicion {
	s := model.Suspicion{Level: model.SuspicionLevelFatal, Code: "netfilter/masquerade-missing", On: reply.Node.Hop,
		Message: fmt.Sprintf("the answer comes to the client as %s, who asked %s", reply.Served, asked.AddrPort())}
	if reply.Parent != nil {
		s.On = reply.Parent.Node.Hop
	}
	return s
}

// received is what an answer means to the socket of the client.
func received(protocol model.Protocol, answer *model.Packet) model.Outcome {
	switch answer.Kind {
	case model.KindReply:
		return model.OutcomeReached
	case model.KindReset:
		return model.OutcomeRefused
	}
	return errorSeen(protocol, answer)
}

// errorSeen is what an ICMP error does to a socket (icmp_err_convert in
// net/ipv4/icmp.c, icmpv6_err_convert): TCP gives up on any that comes before
// the connection is open; UDP hears only of those that are final, and waits on
// otherwise.
func errorSeen(protocol model.Protocol, e *model.Packet) model.Outcome {
	port := e.Protocol == model.ICMP && e.ICMPType == 3 && e.ICMPCode == 3 || e.Protocol == model.ICMPv6 && e.ICMPType == 1 && e.ICMPCode == 4
	if port {
		return model.OutcomeRefused
	}
	if protocol == model.UDP && !final(e) {
		return model.OutcomeTimeout
	}
	return model.OutcomeUnreachable
}

// final reports whether UDP sockets are told of an error.
func final(e *model.Packet) bool {
	if e.Protocol == model.ICMPv6 {
		return e.ICMPType == 1 && (e.ICMPCode == 1 || e.ICMPCode == 4 || e.ICMPCode == 5 || e.ICMPCode == 6)
	}
	switch e.ICMPCode {
	case 0, 1, 4, 5, 11, 12: // net, host, fragmentation needed, source route, TOS
		return false
	}
	return e.ICMPType == 3
}
