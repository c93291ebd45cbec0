package netstack

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/ipvs"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// virtualAnswer is ip_vs_out_hook: what a real server answers, or an error about
// what it was sent, comes from the virtual server. Only translated connections
// are looked for (IP_VS_CONN_F_NOOUTPUT). It reports whether the packet goes on.
func (r *run) virtualAnswer() bool {
	p := &r.f.Packet
	if r.f.Virtual.Served || p.Kind == model.KindError && p.About == nil {
		return true
	}
	for _, c := range r.flow.Conns(onceOf(r.ns.ID)) {
		if p.Kind != model.KindError && p.Tuple() == c.Reply {
			r.unknown("what becomes of an answer to a datagram that IPVS has scheduled by itself (one-packet scheduling)", c.Evidence)
			return false
		}
	}
	for _, c := range r.flow.Conns(virtualOf(r.ns.ID, ipvs.Masq)) {
		switch {
		case p.Kind == model.KindError && p.About.Tuple() == c.Reply.Invert():
			quoted := *p.About
			quoted.Dst = c.Original.Dst
			p.About, p.Src = &quoted, netip.AddrPortFrom(c.Original.Dst.Addr(), 0)
		case p.Kind != model.KindError && p.Tuple() == c.Reply:
			p.Src = c.Original.Dst
		default:
			continue
		}
		r.step("ipvs", "", "answer from "+p.Src.String(), c.Evidence)
		r.take()
		return r.answerRoute()
	}
	return true
}

// answerRoute asks the routes again for an answer: it is sent as if from here,
// by the address of the virtual server (ip_vs_route_me_harder).
func (r *run) answerRoute() bool {
	if r.f.Hook == netfilter.Input || r.routed.Type == route.TypeLocal || r.sysctl("net.ipv4.vs.snat_reroute") == "0" {
		return true
	}
	return r.reroute()
}

// virtualError is ip_vs_in_icmp: an error about what a virtual server has
// answered goes to the real server that answered.
func (r *run) virtualError() bool {
	about := r.f.Packet.About
	if about == nil {
		return true
	}
	sent := about.Tuple().Invert()
	c, method, ok := r.virtualConn(func(c model.Conn) bool { return c.Original == sent })
	if !ok {
		return true
	}
	return r.sendAgain(c, method)
}

// virtualForward is ip_vs_forward_icmp: in FORWARD only errors are looked at.
func (r *run) virtualForward() bool {
	return r.f.Virtual.Served || r.f.Packet.Kind != model.KindError || r.virtualError()
}
