package netstack

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/ipvs"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// proxyDevice is where kube-proxy puts the addresses that IPVS serves.
const proxyDevice = "kube-ipvs0"

// ipvsAt lists what IPVS registers at a hook (ip_vs_ops4 and ip_vs_ops6 in
// net/netfilter/ipvs/ip_vs_core.c): behind the filter, but on the way out before
// it. Nothing, if there is no virtual server.
func (ns *NetNS) ipvsAt(h netfilter.Hook) []registered {
	known, file, _ := ns.ipvs.Status()
	on, lost := ns.ipvs.On()
	_, proxy := ns.Device(proxyDevice)
	if known && !on && lost == nil || !known && !proxy {
		return nil
	}
	first := map[netfilter.Hook]int{netfilter.Input: priorityNATSrc - 2, netfilter.Output: priorityNATDst + 1, netfilter.Forward: priorityNATSrc - 1}
	at, ok := first[h]
	if !ok {
		return nil
	}
	answers := registered{priority: at, name: "IPVS for answers", evidence: file, run: (*run).virtualAnswer}
	requests := registered{priority: at + 1, name: "IPVS", evidence: file, run: (*run).virtual}
	if h == netfilter.Forward { // ip_vs_forward_icmp comes first
		requests.run, requests.priority, answers.priority = (*run).virtualForward, at, at+1
	}
	return []registered{answers, requests}
}

// virtual is ip_vs_in_hook: it sends a packet for a virtual server to one of its
// real servers. It reports whether the packet goes on in the hook.
func (r *run) virtual() bool {
	p := r.f.Packet
	switch {
	case r.f.Virtual.Served, r.cast == route.TypeBroadcast, r.cast == route.TypeMulticast:
		return true
	case p.Kind == model.KindError:
		return r.virtualError()
	case !p.Protocol.HasPorts():
		return true
	}
	if c, method, ok := r.virtualConn(func(c model.Conn) bool { return c.Original == p.Tuple() }); ok {
		return r.sendAgain(c, method)
	}
	if !r.schedulable() {
		return true
	}
	if known, file, _ := r.ns.ipvs.Status(); !known {
		return r.virtualBlind(file)
	}
	svc := r.ns.ipvs.Find(p, r.unprivileged())
	if svc == nil {
		_, lost := r.ns.ipvs.On()
		return lost == nil || !r.forks(*lost)
	}
	const backup = "net.ipv4.vs.backup_only" // heeded while the daemon of a backup runs (IP_VS_STATE_BACKUP)
	if r.sysctl(backup) == "1" && r.forks(model.Doubt{What: "whether this host is a backup, which schedules nothing", Evidence: r.sysctlAt(backup)}) {
		return false
	}
	return r.schedule(svc)
}

// virtualBlind ends the journey of a packet for an address that kube-proxy made
// for IPVS, if the virtual servers are not known.
func (r *run) virtualBlind(file string) bool {
	dev, ok := r.ns.FIB.DeviceOwning(r.f.Packet.Dst.Addr())
	if !ok || dev.Name != proxyDevice {
		return true
	}
	r.unknown("where IPVS sends the packet: ipvs is "+r.ns.Info.IPVS.StatusText(), file)
	return false
}

// schedulable reports whether a packet without a connection opens one: TCP with
// SYN, SCTP with INIT, any datagram (tcp_conn_schedule, sctp_conn_schedule,
// udp_conn_schedule). What answers a connection of this host does not.
func (r *run) schedulable() bool {
	p := r.f.Packet
	back := p.Tuple().Invert()
	if _, _, reply := r.virtualConn(func(c model.Conn) bool { return c.Original == back }); reply {
		return false
	}
	switch {
	case p.Protocol == model.UDP, p.Kind == model.KindOpen, p.Kind == model.KindReply && p.Protocol == model.TCP:
		return true
	case p.Kind == model.KindReset:
		return false
	}
	if p.Protocol == model.SCTP {
		return r.sysctl("net.ipv4.vs.sloppy_sctp") == "1"
	}
	return r.sysctl("net.ipv4.vs.sloppy_tcp") == "1"
}

// unprivileged is the first port that everybody may bind.
func (r *run) unprivileged() int {
	if n := r.sysctlInt("net.ipv4.ip_unprivileged_port_start"); n > 0 {
		return n
	}
	return 1024
}

// schedule chooses a real server for a new connection (ip_vs_schedule).
func (r *run) schedule(svc *ipvs.Service) bool {
	p := r.f.Packet
	takes, passes := svc.Takes(p.Src.Port(), p.Dst.Port())
	switch {
	case passes:
		return true
	case !takes:
		return r.refusedBy(svc)
	}
	for _, d := range r.serverDoubts(svc) {
		if r.forks(d) {
			return false
		}
	}
	ways, doubt := svc.Ways()
	if doubt != nil && r.forks(*doubt) {
		return false
	}
	weights := make([]float64, len(ways))
	for i, w := range ways {
		weights[i] = w.Share
	}
	server := ways[r.f.Choices.Pick(weights)].Server
	if server == nil {
		return r.refusedBy(svc)
	}
	to := svc.To(server, p.Dst.Port())
	r.step("ipvs", svc.Text, fmt.Sprintf("schedule by %s: %s", svc.Scheduler, to), svc.Evidence)
	place := virtualOf(r.ns.ID, server.Method)
	if svc.OnePacket && p.Protocol == model.UDP {
		place = onceOf(r.ns.ID)
	}
	r.flow = r.flow.With(place, model.Conn{Original: p.Tuple(), Reply: model.Tuple{Protocol: p.Protocol, Src: to, Dst: p.Src}, Evidence: server.Evidence})
	return r.sendTo(server, to)
}

// serverDoubts lists what the choice of a server depends on and no dump shows:
// connections that clients had before, and how many there are.
func (r *run) serverDoubts(svc *ipvs.Service) (doubts []model.Doubt) {
	if d := svc.Lost(); d != nil {
		doubts = append(doubts, *d)
	}
	if s := svc.Limited(); s != nil {
		doubts = append(doubts, model.Doubt{What: fmt.Sprintf("whether real server %s has its %d connections", s.Addr, s.Limit), Evidence: s.Evidence})
	}
	if s := svc.Quiet(); s != nil && r.sysctl("net.ipv4.vs.expire_quiescent_template") != "1" {
		doubts = append(doubts, model.Doubt{What: fmt.Sprintf("whether the client still belongs to real server %s, which takes no new ones", s.Addr), Evidence: s.Evidence})
	}
	return doubts
}

// refusedBy answers for a virtual server that has nobody (ip_vs_leave).
func (r *run) refusedBy(svc *ipvs.Service) bool {
	p := r.f.Packet
	if svc.Mark != 0 && r.sysctl("net.ipv4.vs.cache_bypass") == "1" && r.ns.FIB.AddrType(p.Dst.Addr(), "") == netfilter.AddrUnicast {
		r.step("ipvs", svc.Text, "no real server: past it to "+p.Dst.String(), svc.Evidence)
		return r.sendTo(&ipvs.Server{Addr: p.Dst, Method: ipvs.Direct, Text: svc.Text, Evidence: svc.Evidence}, p.Dst)
	}
	r.step("ipvs", svc.Text, "no real server", svc.Evidence)
	r.end(model.NoBackend, "service/no-endpoints", fmt.Sprintf("virtual server %s has no real server for it", svc.Name()), svc.Evidence)
	r.icmpError(unreachPort)
	r.out.LocalError = r.toldAtOnce()
	return false
}

// virtualOf is where a flow remembers the connections of IPVS in the namespace
// with an ID. Original is what the client sends, Reply what the real server
// answers.
func virtualOf(id string, m ipvs.Method) string { return fmt.Sprintf("ipvs %s of %s", m, id) }

// onceOf is where a flow remembers the datagrams that were scheduled one by one.
// They are no connections: the next one is scheduled anew (IP_VS_CONN_F_ONE_PACKET,
// which ip_vs_conn_hash does not keep).
func onceOf(id string) string { return "ipvs one by one of " + id }

// virtualConn finds a connection (ip_vs_conn_in_get_proto).
func (r *run) virtualConn(is func(model.Conn) bool) (model.Conn, ipvs.Method, bool) {
	for _, m := range []ipvs.Method{ipvs.Masq, ipvs.Direct, ipvs.Tunnel} {
		conns := r.flow.Conns(virtualOf(r.ns.ID, m))
		if i := slices.IndexFunc(conns, is); i >= 0 {
			return conns[i], m, true
		}
	}
	return model.Conn{}, "", false
}

// sendAgain sends a later packet of a connection to the same server.
func (r *run) sendAgain(c model.Conn, method ipvs.Method) bool {
	server := &ipvs.Server{Addr: c.Reply.Src, Method: method, Evidence: c.Evidence}
	for _, svc := range r.ns.ipvs.Services() {
		for _, s := range svc.Servers {
			if s.Evidence == c.Evidence {
				server = s
			}
		}
	}
	return r.sendTo(server, c.Reply.Src)
}

// tracked reports whether conntrack goes on with what IPVS sends
// (IP_VS_CONN_F_NFCT). kube-proxy wants it so.
func (r *run) tracked() bool {
	const name = "net.ipv4.vs.conntrack"
	if v, _, ok := r.ns.FIB.Sysctl(name); ok {
		return v == "1"
	}
	_, proxy := r.ns.Device(proxyDevice)
	return proxy
}

// take marks the packet as one that IPVS has dealt with (skb->ipvs_property).
// Without net.ipv4.vs.conntrack it is one that conntrack does not know
// (ip_vs_notrack). What "-m ipvs" finds of its connection is looked for by what
// the real server gets (ip_vs_conn_out_get): where that is not translated, it
// depends on the kernel.
func (r *run) take() {
	r.f.Virtual = netfilter.Virtual{Served: true}
	sent := r.f.Packet.Tuple()
	if c, method, ok := r.virtualConn(func(c model.Conn) bool { return c.Reply == sent.Invert() || c.Original == sent }); ok {
		if r.f.Virtual.Open = method != ipvs.Masq; method == ipvs.Masq && c.Reply == sent.Invert() {
			r.f.Virtual.To = c.Original.Dst
		}
	}
	if !r.tracked() {
		r.conn, r.f.Ct = nil, netfilter.Ct{State: netfilter.CtUntracked}
	}
}

// natHooks reports whether nf_nat looks at packets of the family: it does at
// every hook from the first chain of type nat on (nf_nat_register_fn).
func (ns *NetNS) natHooks(ipv6 bool) bool {
	for h := netfilter.Prerouting; h <= netfilter.Postrouting; h++ {
		if len(natAt(ns, ipv6, h)) > 0 {
			return true
		}
	}
	return false
}

// natServed is what nf_nat does in OUTPUT to a packet that IPVS sends: its
// destination is settled, but since it is not what the entry began with, the
// routes are asked again, now with source and mark (nf_nat_ipv4_local_fn).
func (r *run) natServed() bool {
	if r.f.Ct.State == netfilter.CtUntracked || r.f.Ct.Original.Dst.Addr() == r.f.Packet.Dst.Addr() || !r.ns.natHooks(r.f.Packet.IPv6()) {
		return true
	}
	return r.reroute()
}

// serverRoute asks for the way to a real server: by its address alone, which
// neither marks nor sources change (do_output_route4).
func (r *run) serverRoute(server *ipvs.Server) (route.Result, bool) {
	if r.ns.routeless() {
		return route.Result{Type: route.TypeUnicast}, true
	}
	before := r.out.Route
	res := r.lookup(route.Query{Dst: server.Addr.Addr()})
	r.out.Route = before // what errors are sent by, until it is sent
	if !r.sure(res) {
		return res, false
	}
	r.step("route", res.Text, "to the real server: "+routeAction(res), res.Evidence)
	switch res.Type {
	case route.TypeLocal, route.TypeUnicast:
		return res, true
	case route.TypeBroadcast, route.TypeMulticast, route.TypeAnycast:
		r.unknown(fmt.Sprintf("what becomes of a packet to a %s address", res.Type), res.Evidence)
	default: // dst_link_failure, whatever the route's type is
		r.noServerRoute(server, res)
	}
	return res, false
}

// noServerRoute ends the journey of a packet whose server cannot be reached.
func (r *run) noServerRoute(server *ipvs.Server, res route.Result) {
	code, evidence := "route/missing", res.Evidence
	switch res.Type {
	case route.TypeBlackhole:
		code = "route/blackhole"
	case route.TypeUnreachable, route.TypeProhibit:
		code = "route/unreachable"
	}
	if evidence == "" {
		evidence = r.ns.Info.File
	}
	r.end(model.NoRoute, code, fmt.Sprintf("no route leads to real server %s", server.Addr), evidence)
	r.icmpError(unreachHost)
}
