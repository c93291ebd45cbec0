package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// EphemeralPort stands for the source port that the kernel would choose. It
// lies in the default ip_local_port_range.
const EphemeralPort = 40000

// output sends a packet that is born here (__ip_queue_xmit).
func (r *run) output(p model.Packet, oif string) {
	oif = r.born(p, oif)
	if r.opaqueSender() {
		return
	}
	if r.ns.routeless() {
		r.outputBlind(oif)
		return
	}
	q := r.senderQuery(p, oif)
	res := r.lookup(q)
	if !r.sure(res) {
		return
	}
	if res = r.sourced(q, res); !r.sure(res) {
		return
	}
	r.step("route", res.Text, routeAction(res), res.Evidence)
	if !r.sendable(res) {
		return
	}
	if !p.Src.Addr().IsValid() {
		r.f.Packet.Src = netip.AddrPortFrom(res.Src, r.f.Packet.Src.Port())
		if res = r.connected(res, oif); !r.sendable(res) {
			return
		}
	}
	r.remember()
	r.setTTL(res)
	if mtu := r.mtu(res); r.tooBig(mtu, res.Dev) {
		r.end(model.TooBig, "mtu/too-small", fmt.Sprintf("the packet has %d bytes, %s takes %d", r.f.Packet.Size, res.Dev, mtu), res.Evidence)
		r.out.LocalError = true
		return
	}
	r.localOut(res)
}

// born makes the packet one of this namespace, and returns the device that its
// sender is bound to.
func (r *run) born(p model.Packet, oif string) string {
	r.f.Packet, r.local = p, true
	if oif == "" {
		oif = p.Bound
	}
	oif = r.ends(oif)
	r.sockDev, r.f.Packet.Bound = oif, ""
	if p.Kind == model.KindReset && p.Dst.Addr().IsLoopback() && p.Dst.Addr().Zone() != "" {
		r.sockDev = "" // tcp_v6_send_response asks with a device, and its socket has none
	}
	if r.sysctlInt("net.ipv4.ip_no_pmtu_disc") != 0 && !p.IPv6() && p.Kind != model.KindError && p.Kind != model.KindReset {
		r.f.Packet.DF = false // IP_PMTUDISC_DONT, unless the program wants otherwise (inet_create)
	}
	if p.Attached != nil {
		r.join(*p.Attached)
	}
	return oif
}

// senderQuery is the flow that a sender asks the routes for. A reset of REJECT may
// be sent in the name of another (nf_send_reset). IPv6 routes its resets and echo
// replies without the TOS that they get later (tcp_v6_send_response,
// icmpv6_echo_reply).
func (r *run) senderQuery(p model.Packet, oif string) route.Query {
	q := r.query()
	q.OIf, q.AnySrc = oif, p.AnySrc || p.Kind == model.KindReset
	r.f.Packet.AnySrc = false
	if p.IPv6() && (p.Kind == model.KindReset || p.Kind == model.KindReply && p.Protocol == model.ICMPv6) {
		q.TOS = 0
	}
	return q
}

// remember notes what a socket has sent, so that it takes what comes back.
func (r *run) remember() {
	if p := r.f.Packet; p.Kind != model.KindError && p.Kind != model.KindReset {
		sent := p.Tuple()
		r.flow = r.flow.With(SocketsOf(r.ns.ID), model.Conn{Original: sent, Reply: sent, Dev: r.sockDev})
	}
}

// toSelf gives a packet to no address that of this host: 0.0.0.0 is the
// sender's own (ip_route_output_key_hash_rcu), :: is ::1 (udpv6_sendmsg,
// tcp_v6_connect).
func (r *run) toSelf() {
	p := &r.f.Packet
	dst := p.Src.Addr()
	switch {
	case p.IPv6():
		dst = netip.IPv6Loopback()
	case !dst.IsValid() || dst.IsUnspecified():
		dst = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	p.Dst = netip.AddrPortFrom(dst, p.Dst.Port())
}

// ends gives the packet what its sender has left open but for the address: a
// port, and this host as the destination. It returns the device that the sender
// is bound to.
func (r *run) ends(oif string) string {
	p := &r.f.Packet
	if p.Protocol.HasPorts() && p.Src.Port() == 0 {
		p.Src, p.AnyPort = netip.AddrPortFrom(p.Src.Addr(), EphemeralPort), true
	}
	if p.Dst.Addr().IsUnspecified() {
		r.toSelf()
	}
	return r.zone(oif)
}

// zone takes the zones off the addresses of the packet: the device that an
// IPv6 sender is bound to for the sake of a link-local address.
func (r *run) zone(oif string) string {
	p := &r.f.Packet
	if zone := p.Dst.Addr().Zone(); oif == "" {
		oif = zone
	}
	p.Dst = netip.AddrPortFrom(p.Dst.Addr().WithZone(""), p.Dst.Port())
	p.Src = netip.AddrPortFrom(p.Src.Addr().WithZone(""), p.Src.Port())
	return oif
}

// sourced asks the routes again for an IPv6 sender without an address that they
// have refused, now with the address that it would have: rules may look at it
// (ip6_dst_lookup_tail).
func (r *run) sourced(q route.Query, first route.Result) route.Result {
	p := r.f.Packet
	refused := first.Type == route.TypeNone || first.Type == route.TypeUnreachable || first.Type == route.TypeProhibit || first.Type == route.TypeBlackhole
	if !refused || !p.IPv6() || p.Src.Addr().IsValid() {
		return first
	}
	if q.Src = r.ns.FIB.EgressAddr("", p.Dst.Addr()); !q.Src.IsValid() {
		return first
	}
	return r.lookup(q)
}

// connected asks the routes a second time, now with the source that they chose,
// as connect does for IPv4 (ip_route_connect): rules may look at it. IPv6 keeps
// the route that it found first (ip6_dst_lookup_tail), and what is sent without
// connect has only that (udp_sendmsg, raw_sendmsg): of UDP no dump tells.
func (r *run) connected(first route.Result, oif string) route.Result {
	p := r.f.Packet
	if p.IPv6() || p.Kind == model.KindError || p.Protocol != model.TCP && p.Protocol != model.UDP {
		return first
	}
	q := r.query()
	q.OIf = oif
	res := r.lookup(q)
	if res.Text == first.Text {
		return res
	}
	what := "whether the sender connects its UDP socket: then rules that look at its address have a say in its route"
	if p.Protocol == model.UDP && !r.f.Choices.Doubt(model.Doubt{What: what, Evidence: first.Evidence}) {
		r.out.Route = first
		return first
	}
	r.step("route", res.Text, "with its source: "+routeAction(res), res.Evidence)
	return res
}

// sendable ends the journey of a packet that has no route: its sender is told
// at once, whatever the route's type is.
func (r *run) sendable(res route.Result) bool {
	switch res.Type {
	case route.TypeUnicast, route.TypeLocal, route.TypeAnycast:
		if res.Src.IsValid() || r.f.Packet.Src.Addr().IsValid() {
			return true
		}
		r.end(model.NoRoute, "route/missing", fmt.Sprintf("no address of this host can send to %s", r.f.Packet.Dst.Addr()), res.Evidence)
	case route.TypeBroadcast, route.TypeMulticast:
		if r.f.Packet.Protocol != model.TCP {
			r.unknown(fmt.Sprintf("whether the sender may send to a %s address, and who hears it", res.Type), res.Evidence)
			return false
		}
		r.end(model.NoRoute, "route/missing", fmt.Sprintf("TCP does not connect to the %s address %s", res.Type, r.f.Packet.Dst.Addr()), res.Evidence)
	default:
		r.noRoute(res)
	}
	r.out.LocalError = true
	return false
}

// localOut runs the OUTPUT hook (__ip_local_out).
func (r *run) localOut(res route.Result) {
	r.routed = res
	if !r.hook(netfilter.Output, "", outDev(res)) {
		return
	}
	r.postrouting(r.routed)
}

// reroute asks the routes again for a packet that OUTPUT has changed
// (ip_route_me_harder, ip6_route_me_harder). The sender's address stays, its device
// if it is bound to one, and the device that the rest of the hook sees: nf_hook_slow
// shows all its rules one state. Rules see protocol and ports only where one of them
// is not just for packets born here.
func (r *run) reroute() bool {
	if r.ns.routeless() {
		return r.rerouteBlind()
	}
	q := r.query()
	q.AnySrc, q.OIf = true, r.sockDev
	if !r.ns.FIB.Dissects(q.Dst.Is6()) {
		q.Protocol, q.SPort, q.DPort = "", 0, 0
	}
	if dst := q.Dst; q.OIf == "" && dst.Is6() && (dst.IsLinkLocalUnicast() || dst.IsMulticast()) {
		q.OIf = r.routed.Dev
	}
	res := r.lookup(q)
	if !r.sure(res) {
		return false
	}
	r.step("route", res.Text, "again: "+routeAction(res), res.Evidence)
	switch res.Type {
	case route.TypeUnicast, route.TypeLocal, route.TypeAnycast:
		r.routed = res
		return true
	case route.TypeBroadcast, route.TypeMulticast:
		r.unknown(fmt.Sprintf("what becomes of a packet to a %s address", res.Type), res.Evidence)
		return false
	}
	r.noWayAgain(res)
	return false
}

// noWayAgain ends the journey of a packet that OUTPUT has given a destination
// without a route. TCP is not told. A packet of 127.0.0.0/8 does not leave
// unless route_localnet lets it (__mkroute_output).
func (r *run) noWayAgain(res route.Result) {
	src := r.f.Packet.Src.Addr()
	if on := r.sysctlInt("net.ipv4.conf.all.route_localnet"); src.IsLoopback() && src.Is4() && on == 0 {
		name := "net.ipv4.conf.all.route_localnet"
		r.end(model.Dropped, "sysctl/route-localnet", fmt.Sprintf("a packet from %s does not leave this host: route_localnet is off", src), r.sysctlAt(name))
		r.out.Remedy = "sysctl -w " + name + "=1, or do not ask at a loopback address"
	} else {
		r.noRoute(res)
	}
	r.out.LocalError = r.toldAtOnce()
}

// outDev is the device that rules see: local destinations leave by lo.
func outDev(res route.Result) string {
	if res.Type == route.TypeLocal || res.Type == route.TypeAnycast {
		return "lo"
	}
	return res.Dev
}

// postrouting runs the POSTROUTING hook and hands the packet to its device
// (ip_output, ip_finish_output).
func (r *run) postrouting(res route.Result) {
	dev := outDev(res)
	if !r.hook(netfilter.Postrouting, r.in, dev) {
		return
	}
	r.confirm()
	if res.Type == route.TypeLocal || res.Type == route.TypeAnycast {
		if res.Type == route.TypeAnycast {
			r.cast = res.Type
		}
		r.loopback()
		return
	}
	if !r.cut(res) {
		return
	}
	r.nexthop = r.f.Packet.Dst.Addr()
	if res.Via.IsValid() {
		r.nexthop = res.Via
	}
	if r.ns.deviceless() || dev == "" && r.ns.routeless() {
		r.step("device", "", "out "+dev, res.Evidence)
		r.out.Disposition, r.out.Dev, r.out.NextHop = model.Forwarded, dev, r.nexthop
		return
	}
	device, ok := r.ns.Device(dev)
	if !ok {
		r.end(model.Dropped, "link/missing", fmt.Sprintf("device %s does not exist", dev), res.Evidence)
		return
	}
	r.transmit(device)
}

// loopback delivers a packet of this host to itself. Conntrack and nat have
// seen it, and its route is known (loopback_xmit keeps both).
func (r *run) loopback() {
	if r.tooDeep() {
		return
	}
	r.looped = true
	if !r.hook(netfilter.Prerouting, "lo", "") {
		return
	}
	r.localIn("lo")
}

// mtu is the largest packet that goes out by a route.
func (r *run) mtu(res route.Result) int {
	if res.MTU > 0 {
		return res.MTU
	}
	if dev, ok := r.ns.Device(outDev(res)); ok {
		return dev.MTU
	}
	return 0
}

// cut makes fragments of a packet that does not go out whole, or, if that must
// not be, tells its sender (ip_fragment). Of the fragments the largest goes on;
// whoever takes the packet puts them together.
func (r *run) cut(res route.Result) bool {
	mtu := r.mtu(res)
	switch {
	case mtu == 0 || r.f.Packet.Size <= mtu:
		return true
	case r.tooBig(mtu, res.Dev):
		r.fragNeeded(mtu, res.Dev)
		return false
	}
	r.f.Packet.Size = mtu
	return true
}

// tooBig reports whether the packet does not go out whole and must not be cut.
func (r *run) tooBig(mtu int, dev string) bool {
	p := r.f.Packet
	return dev != "lo" && mtu > 0 && p.Size > mtu && (p.DF || p.IPv6())
}
