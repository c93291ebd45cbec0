package analyze

import (
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
	if reply.Disposition == model.ExitsCluster && reply.Served.Dst.Addr() == c.src.IP && c.client.Type == model.NetNodeTypeExternal {
		home = true // the client is where the bundle does not show, and so is the answer
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
