package netstack

import (
	"fmt"
	"strconv"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// input takes a frame from outside (__netif_receive_skb_core).
func (r *run) input(p model.Packet, dev string) {
	r.f.Packet = p
	r.zone("")
	if !r.alone {
		r.f.Packet.Mark = 0 // skb_scrub_packet: a mark stays in its namespace
	}
	if r.ns.deviceless() {
		r.blindly(dev)
		return
	}
	device, ok := r.ns.Device(dev)
	if !ok {
		r.end(model.Dropped, "link/missing", fmt.Sprintf("device %s does not exist", dev), r.ns.Info.File)
		return
	}
	r.arrive(device)
}

// route decides where a packet goes that came in by dev (ip_route_input_slow).
func (r *run) route(in string) {
	r.iif = in
	if r.ns.routeless() {
		r.routeBlind(in)
		return
	}
	q := r.query()
	q.IIf = in
	res := r.lookup(q)
	if !r.sure(res) {
		return
	}
	r.step("route", res.Text, routeAction(res), res.Evidence)
	if res.Type == route.TypeUnicast {
		q.OIf = res.Dev
	}
	if !r.valid(q, res) {
		return
	}
	switch res.Type {
	case route.TypeLocal:
		r.localIn(in)
	case route.TypeUnicast:
		r.forward(in, res)
	case route.TypeBroadcast, route.TypeMulticast, route.TypeAnycast:
		r.castIn(in, res)
	default:
		r.refusedByRoute(in, res)
	}
}

// valid ends the journey of a packet whose source the kernel does not take
// (fib_validate_source), and asks where the sysctl of that was not collected.
func (r *run) valid(q route.Query, res route.Result) bool {
	if d := r.ns.Unread("sysctls"); d != nil && !r.ns.given("net.ipv4.conf.all.rp_filter") && r.ns.FIB.FilterMatters(q) &&
		r.forks(model.Doubt{What: "whether reverse path filtering discards the packet: " + d.What, Evidence: d.Evidence}) {
		return false
	}
	if refused := r.ns.FIB.Validate(q); refused != nil && (validated(res.Type) || refused.Code == "walk/martian") {
		r.end(model.Dropped, refused.Code, refused.Why, refused.Evidence)
		return false
	}
	return true
}

// validated reports whether the kernel looks at the source of a packet that a
// route of the type takes: not of one that is refused.
func validated(t route.Type) bool {
	switch t {
	case route.TypeLocal, route.TypeUnicast, route.TypeBroadcast, route.TypeMulticast:
		return true
	}
	return false
}

// lookup asks the routes, and remembers the answer as the last decision.
func (r *run) lookup(q route.Query) route.Result {
	r.out.Route = r.ns.FIB.Lookup(q, r.f.Choices)
	return r.out.Route
}

// query is the flow key of the packet.
func (r *run) query() route.Query {
	p := r.f.Packet
	return route.Query{Src: p.Src.Addr(), Dst: p.Dst.Addr(), Mark: p.Mark, TOS: p.TOS, Protocol: p.Protocol, SPort: p.Src.Port(), DPort: p.Dst.Port()}
}

// sure ends the journey on one branch if the routing decision depends on what
// the dump does not tell, and on all if a lightweight tunnel takes the packet.
func (r *run) sure(res route.Result) bool {
	if res.Encap != "" {
		r.unknown(fmt.Sprintf("what a lightweight tunnel (encap %s) does: %s", res.Encap, res.Text), res.Evidence)
		return false
	}
	return res.Doubt == nil || !r.forks(*res.Doubt)
}

func routeAction(res route.Result) string {
	action := string(res.Type)
	if res.Dev != "" {
		action += " dev " + res.Dev
	}
	if res.Via.IsValid() {
		action += " via " + res.Via.String()
	}
	return action
}

// refusedByRoute is ip_error: an unreachable destination is answered unless
// this host does not forward at all; a blackhole says nothing. IPv6 answers
// either way, and of every such route that there is no route (ip6_pkt_drop).
func (r *run) refusedByRoute(in string, res route.Result) {
	r.noRoute(res)
	ipv6 := r.f.Packet.IPv6()
	if on, _, known := r.ns.FIB.Forwarding(in, ipv6); known && !on && !ipv6 {
		r.notForwarding(in)
		return
	}
	switch {
	case res.Type == route.TypeUnreachable && !ipv6 && res.Text != "": // of a rule it is net unreachable (fib4_rule_action)
		r.icmpError(unreachHost)
	case res.Type == route.TypeProhibit:
		r.icmpError(unreachFiltered)
	case res.Type != route.TypeBlackhole:
		r.icmpError(unreachNet)
	}
}

// noRoute ends the journey for want of a usable route.
func (r *run) noRoute(res route.Result) {
	dst := r.f.Packet.Dst.Addr()
	switch res.Type {
	case route.TypeBlackhole:
		r.end(model.NoRoute, "route/blackhole", fmt.Sprintf("a blackhole route discards packets to %s: %s", dst, res.Text), res.Evidence)
	case route.TypeUnreachable, route.TypeProhibit:
		r.end(model.NoRoute, "route/unreachable", fmt.Sprintf("a route refuses packets to %s: %s", dst, res.Text), res.Evidence)
	default:
		r.end(model.NoRoute, "route/missing", fmt.Sprintf("no route leads to %s", dst), r.ns.Info.File)
		return
	}
	r.out.Remedy = "ip route del " + res.Text
}

// localIn delivers a packet to this host (ip_local_deliver).
func (r *run) localIn(in string) {
	if !r.hook(netfilter.Input, in, "") {
		return
	}
	r.confirm()
	if r.tunnelled(in) {
		return
	}
	r.deliver(in)
}

// forward passes a packet on (ip_forward).
func (r *run) forward(in string, res route.Result) {
	r.in = in
	if r.to == toAll {
		r.end(model.Dropped, "", "a frame to a group is not forwarded", r.ns.Info.File)
		return
	}
	on, evidence, known := r.ns.FIB.Forwarding(in, r.f.Packet.IPv6())
	switch {
	case !known && r.f.Choices.Doubt(model.Doubt{What: "whether " + in + " forwards packets", Evidence: r.ns.Info.File}):
		r.end(model.Unknown, "", "the forwarding sysctl was not collected", r.ns.Info.File)
		return
	case known && !on:
		r.step("sysctl", "", "forwarding is off", evidence)
		r.notForwarding(in)
		return
	}
	if r.exceeded() || r.beyondScope(in, res) {
		return
	}
	if mtu := r.mtu(res); r.tooBig(mtu, res.Dev) {
		r.fragNeeded(mtu, res.Dev)
		return
	}
	r.aged()
	r.routed = res
	if r.hook(netfilter.Forward, in, res.Dev) {
		r.postrouting(r.routed)
	}
}

// beyondScope ends the journey of an IPv6 packet whose source means nothing
// where it would be forwarded to (ip6_forward).
func (r *run) beyondScope(in string, res route.Result) bool {
	p := r.f.Packet
	src := p.Src.Addr()
	switch {
	case !p.IPv6() || in == res.Dev:
		return false
	case src.IsUnspecified(), src.IsMulticast(), src.IsLoopback():
		r.end(model.Dropped, "walk/martian", fmt.Sprintf("a packet from %s is not forwarded", src), res.Evidence)
		return true
	case src.IsLinkLocalUnicast():
		r.end(model.Dropped, "walk/martian", fmt.Sprintf("a packet from %s is not forwarded to another link", src), res.Evidence)
		r.sendError(model.ICMPv6, 1, 2)
		return true
	}
	return false
}

// notForwarding discards a packet for somebody else without a word.
func (r *run) notForwarding(in string) {
	_, evidence, _ := r.ns.FIB.Forwarding(in, r.f.Packet.IPv6())
	r.end(model.Dropped, "sysctl/ip-forward", fmt.Sprintf("forwarding is off, and %s is not an address of this host", r.f.Packet.Dst.Addr()), evidence)
	r.out.Remedy = "sysctl -w net.ipv4.ip_forward=1"
	if r.f.Packet.IPv6() {
		r.out.Remedy = "sysctl -w net.ipv6.conf.all.forwarding=1"
	}
}

// given reports whether the dump has a sysctl.
func (ns *NetNS) given(name string) bool {
	_, _, ok := ns.FIB.Sysctl(name)
	return ok
}

func (r *run) sysctl(name string) string {
	v, _, _ := r.ns.FIB.Sysctl(name)
	return v
}

func (r *run) sysctlAt(name string) string {
	_, evidence, _ := r.ns.FIB.Sysctl(name)
	return evidence
}

func (r *run) sysctlInt(name string) int {
	n, _ := strconv.Atoi(r.sysctl(name))
	return n
}
