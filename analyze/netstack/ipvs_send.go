package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/ipvs"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// sendTo sends the packet to a real server, and reports whether it goes on in
// the hook, as it does to a server that is this host (ip_vs_nat_xmit,
// ip_vs_dr_xmit, ip_vs_tunnel_xmit).
func (r *run) sendTo(server *ipvs.Server, to netip.AddrPort) bool {
	r.step("ipvs", server.Text, fmt.Sprintf("%s to %s", server.Method, to), server.Evidence)
	res, ok := r.serverRoute(server)
	if !ok {
		return false
	}
	if r.crosses(server, res) {
		return false
	}
	if res.Type == route.TypeLocal {
		if server.Method == ipvs.Masq {
			r.translate(to)
		}
		r.take()
		return true
	}
	if r.exceeded() {
		return false
	}
	r.aged()
	if mtu := r.mtu(res) - tunnelHeadroom(server); r.tooBig(mtu, res.Dev) && r.heeds(server) {
		r.fragNeeded(mtu, res.Dev)
		return false
	}
	if server.Method == ipvs.Tunnel {
		r.stolen()
		r.tunnelTo(server, res)
		return false
	}
	if server.Method == ipvs.Masq {
		r.translate(to)
	} else if !res.Via.IsValid() {
		res.Via = server.Addr.Addr()
	}
	r.stolen()
	r.settled, r.routed, r.out.Route = true, res, res
	on := r.hook(netfilter.Output, "", outDev(res))
	r.settled = false
	if on {
		r.postrouting(r.routed)
	}
	return false
}

// stolen takes the packet out of its hook. POSTROUTING still sees the device
// that it came in by, and a sender here hears nothing of what comes (NF_STOLEN).
func (r *run) stolen() {
	if r.f.Hook != netfilter.Output {
		r.in = r.f.In
	}
	r.local, r.sockDev = false, ""
	r.take()
}

// translate gives the packet the address of the server (tcp_dnat_handler and
// the like). Of an ICMP error it is what it quotes, too (ip_vs_nat_icmp).
func (r *run) translate(to netip.AddrPort) {
	p := &r.f.Packet
	if p.Kind != model.KindError {
		p.Dst = to
		return
	}
	quoted := *p.About
	quoted.Src = to
	p.About, p.Dst = &quoted, netip.AddrPortFrom(to.Addr(), 0)
}

// crosses ends the journey of a packet that must not go between here and
// elsewhere (crosses_local_route_boundary, ip_vs_nat_xmit). Nobody is told.
func (r *run) crosses(server *ipvs.Server, res route.Result) bool {
	src, why := r.f.Packet.Src.Addr(), ""
	switch {
	case res.Type != route.TypeLocal && src.IsLoopback():
		why = fmt.Sprintf("a packet from %s does not leave this host for a real server", src)
	case res.Type == route.TypeLocal && server.Method == ipvs.Masq && r.f.Hook == netfilter.Input && server.Addr.Addr().IsLoopback() && r.f.In != "lo":
		why = fmt.Sprintf("a packet from outside is not translated to %s", server.Addr.Addr())
	case res.Type == route.TypeLocal && server.Method != ipvs.Masq && r.f.Hook == netfilter.Output && r.routed.Type != route.TypeLocal:
		why = fmt.Sprintf("a packet to %s is not given to this host", r.f.Packet.Dst.Addr())
	default:
		return false
	}
	r.end(model.Dropped, "walk/martian", why, server.Evidence)
	return true
}

// heeds reports whether a packet that is too big is held up: in a tunnel only
// with net.ipv4.vs.pmtu_disc, which is on unless somebody turned it off
// (ensure_mtu_is_adequate).
func (r *run) heeds(server *ipvs.Server) bool {
	return server.Method != ipvs.Tunnel || r.f.Packet.IPv6() || r.sysctl("net.ipv4.vs.pmtu_disc") != "0"
}

// tunnelHeadroom is what a tunnel adds (ip_vs_tunnel_xmit): the outer header, GRE 4
// bytes, and UDP and GUE 8 and 4.
func tunnelHeadroom(server *ipvs.Server) int {
	if server.Method != ipvs.Tunnel {
		return 0
	}
	n := 20
	if server.Addr.Addr().Is6() {
		n = 40
	}
	return n + map[string]int{"gre": 4, "gue": 12}[server.Tunnel]
}

// tunnelTo puts the packet into one to the server, from the address that the route
// gives. Conntrack knows the inner one, and sees another (ip_vs_tunnel_xmit).
func (r *run) tunnelTo(server *ipvs.Server, res route.Result) {
	inner := r.f.Packet
	if r.f.Ct.State != netfilter.CtUntracked {
		r.confirm()
	}
	outer := model.Packet{Protocol: tunnelProtocol(server, inner), Src: netip.AddrPortFrom(res.Src, 0), Dst: netip.AddrPortFrom(server.Addr.Addr(), 0),
		Mark: inner.Mark, TOS: inner.TOS, TTL: inner.TTL, DF: inner.DF && r.sysctl("net.ipv4.vs.pmtu_disc") != "0", Encap: &inner}
	if outer.Protocol == model.UDP {
		outer.Src, outer.Dst = netip.AddrPortFrom(res.Src, vxlanSourcePort), netip.AddrPortFrom(server.Addr.Addr(), server.TunnelPort)
	}
	if inner.Size > 0 {
		outer.Size = inner.Size + tunnelHeadroom(server)
	}
	r.f = netfilter.Frame{Packet: outer, Choices: r.f.Choices, Env: r.f.Env, Blind: r.f.Blind, Virtual: r.f.Virtual.Outer(), Trace: r.f.Trace}
	r.conn, r.looped, r.in, r.out.Route = nil, false, "", res
	r.step("ipvs", server.Text, "in a tunnel: "+outer.String(), server.Evidence)
	r.localOut(res)
}

// tunnelProtocol is the protocol of the outer packet.
func tunnelProtocol(server *ipvs.Server, inner model.Packet) model.Protocol {
	switch {
	case server.Tunnel == "gre":
		return model.GRE
	case server.Tunnel == "gue":
		return model.UDP
	case inner.IPv6():
		return model.IPv6
	}
	return model.IPIP
}
