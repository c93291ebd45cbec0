package nftables

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A stmtRow reads one kind of statement.
type stmtRow struct {
	name  string
	class netfilter.Class
	why   string
	read  func(p *parser, t *table, n *node) (op, error)
}

func stmtRows() []stmtRow {
	const exact, partly, left, passive = netfilter.Exact, netfilter.Partly, netfilter.Open, netfilter.Passive
	const rate = "whether it is used up depends on other traffic"
	return []stmtRow{
		{"match", partly, "see the expressions", readMatch},
		{"vmap", exact, "", readVmap},
		{"accept", exact, "ends its base chain; later ones see the packet", readVerdict(netfilter.Accept)},
		{"drop", exact, "", readVerdict(netfilter.Drop)},
		{"continue", exact, "", readVerdict(netfilter.Continue)},
		{"return", exact, "", readVerdict(netfilter.Return)},
		{"jump", exact, "", readJump},
		{"goto", exact, "", readJump},
		{"reject", partly, "with tcp reset in a table of family inet: nft does not print whether the rule asked for a family; open unless something else in it does", readReject},
		{"queue", partly, "a program decides; with bypass it may be that none listens", readQueue},
		{"dnat", exact, "", readNAT},
		{"snat", partly, "of random ports, the packet keeps its own for any of them", readNAT},
		{"masquerade", partly, "of random ports, the packet keeps its own for any of them", readNAT},
		{"redirect", exact, "", readNAT},
		{"mangle", partly, "marks, addresses, ports, DSCP and TTL are exact; other fields are not simulated; a zone of one direction is open", readMangle},
		{"notrack", exact, "", readNotrack},
		{"set", partly, "what it adds is remembered for this packet only", readSetStmt},
		{"map", partly, "what it adds is not remembered; affinity is that of the bundle", readMapStmt},
		{"tproxy", partly, "to which socket is open; without one the rule does not match", readTproxy},
		{"synproxy", left, "the proxy answers SYNs itself", readSynproxy},
		{"xt", left, "an extension of iptables; a comment does nothing", readXT},
		{"limit", left, rate, readGate(rate)},
		{"quota", left, rate, readGate(rate)},
		{"ct count", left, "the number of connections changes all the time", readGate("the number of connections changes all the time")},
		{"meter", left, rate, readGate(rate)},
		{"counter", passive, "counts; by a map, only what the map has", readObject},
		{"log", passive, "writes a log line, or tells a program", readPassive},
		{"last", passive, "notes when", readPassive},
		{"ct helper", passive, "assigns a helper", readObject},
		{"ct timeout", passive, "sets how long the entry is kept", readObject},
		{"ct expectation", passive, "expects another connection", readObject},
		{"secmark", passive, "sets a security label", readObject},
		{"dup", passive, "sends a copy; the copy is not followed", readPassive},
		{"flow", passive, "later packets of the connection pass by the forward chains", readPassive},
		{"reset", passive, "removes a TCP option", readPassive},
		{"fwd", left, "only tables of family netdev have it", readOpenStmt},
	}
}

// statement reads a statement.
func (p *parser) statement(t *table, n *node) (op, error) {
	if n.kind == isString { // older versions print verdicts without arguments so
		switch string(n.text) {
		case "accept", "drop", "continue", "return", "notrack":
			return p.stmts[string(n.text)].read(p, t, &node{key: n.text})
		}
		if updatesMap(string(n.text)) {
			return passive{}, nil
		}
	}
	only := n.only()
	if only == nil {
		return nil, notUnderstood("statement %s", brief(n))
	}
	row := p.stmts[string(only.key)]
	if row == nil {
		return nil, notUnderstood("statement %s", only.key)
	}
	return row.read(p, t, only)
}

// updatesMap reports whether a text is the statement "add @map { key : value }",
// which nft up to 1.0 prints as text.
func updatesMap(s string) bool {
	op, rest, _ := strings.Cut(s, " ")
	return (op == "add" || op == "update" || op == "delete") && strings.HasPrefix(rest, "@") && strings.Contains(rest, " : ")
}

func readVerdict(v netfilter.Verdict) func(*parser, *table, *node) (op, error) {
	out := &verdict{is: v}
	return func(*parser, *table, *node) (op, error) { return out, nil }
}

func readJump(p *parser, t *table, n *node) (op, error) {
	target := n.get("target")
	if target == nil || target.kind != isString {
		return nil, notUnderstood("%s without a target", n.key)
	}
	c := p.chain(t, target.text)
	if string(n.key) == "goto" {
		return &c.going, nil
	}
	return &c.jump, nil
}

func readVmap(p *parser, t *table, n *node) (op, error) {
	l, err := p.lookup(t, n.get("key"), n.get("data"), true)
	if err != nil {
		return nil, err
	}
	return &choose{*l}, nil
}

// verdictOf reads the verdict of an element.
func (p *parser) verdictOf(t *table, n *node) (*verdict, error) {
	o, err := p.statement(t, n)
	if err != nil {
		return nil, err
	}
	v, ok := o.(*verdict)
	if !ok {
		return nil, notUnderstood("verdict %s", brief(n))
	}
	return v, nil
}

// passive is a statement after which the packet goes on as before.
type passive struct{}

func (passive) do(*walk) flow { return next }

func readPassive(*parser, *table, *node) (op, error) { return passive{}, nil }

func readOpenStmt(_ *parser, _ *table, n *node) (op, error) {
	return mystery("statement not modelled: " + string(n.key)), nil
}

// readGate reads a condition that depends on other packets.
func readGate(why string) func(*parser, *table, *node) (op, error) {
	return func(_ *parser, _ *table, n *node) (op, error) {
		return misread(why + " (" + string(n.key) + ")"), nil
	}
}

// readCounter reads a counter. One that is chosen by a map breaks where the map
// has none (nft_objref_map_eval).
func readObject(p *parser, t *table, n *node) (op, error) {
	m := n.get("map")
	if m == nil {
		return passive{}, nil
	}
	l, err := p.lookup(t, m.get("key"), m.get("data"), true)
	if err != nil {
		return nil, err
	}
	return &inSet{*l, false}, nil
}

// queue is decided by a program. With bypass the packet goes on if none listens.
type queue struct{ bypass bool }

func readQueue(_ *parser, _ *table, n *node) (op, error) {
	return &queue{n.get("flags").has("bypass")}, nil
}

func (q *queue) do(w *walk) flow {
	if !w.settle() {
		return stop
	}
	w.verdict.is = netfilter.Unknown
	if q.bypass && !w.f.Choices.Doubt(w.doubt("a program may decide about the packet (queue)")) {
		w.verdict.is = netfilter.Accept
		w.act("accept: no program listens")
		return final
	}
	w.act("queue to a program")
	return final
}

// reject ends the packet and tells its sender (nft_reject_ipv4_eval and likes).
type reject struct {
	with4, with6 string // "" for a family that it is not for

	// familyLost: "meta nfproto ipv6 tcp dport 80 reject with tcp reset" is printed
	// without its family, as a rule that has none is.
	familyLost bool
}

const tcpReset = "tcp-reset"

func readReject(_ *parser, t *table, n *node) (op, error) {
	typ, code := n.get("type").str(), n.get("expr").str()
	if typ == "" {
		typ, code = map[string]string{"ip": "icmp", "ip6": "icmpv6"}[t.family], "port-unreachable"
		if typ == "" {
			typ = "icmpx"
		}
	}
	if typ == "tcp reset" {
		return &reject{with4: tcpReset, with6: tcpReset}, nil
	}
	if code == "" {
		code = "port-unreachable"
	}
	r := &reject{}
	switch typ {
	case "icmp":
		r.with4 = map[string]string{"net-unreachable": "icmp-net-unreachable", "host-unreachable": "icmp-host-unreachable", "prot-unreachable": "icmp-proto-unreachable",
			"port-unreachable": "icmp-port-unreachable", "net-prohibited": "icmp-net-prohibited", "host-prohibited": "icmp-host-prohibited", "admin-prohibited": "icmp-admin-prohibited"}[code]
	case "icmpv6":
		r.with6 = map[string]string{"no-route": "icmp6-no-route", "admin-prohibited": "icmp6-adm-prohibited", "addr-unreachable": "icmp6-addr-unreachable",
			"port-unreachable": "icmp6-port-unreachable", "policy-fail": "icmp6-policy-fail", "reject-route": "icmp6-reject-route"}[code]
	case "icmpx": // nft_reject_icmp_code, nft_reject_icmpv6_code
		both := map[string][2]string{"no-route": {"icmp-net-unreachable", "icmp6-no-route"}, "port-unreachable": {"icmp-port-unreachable", "icmp6-port-unreachable"},
			"host-unreachable": {"icmp-host-unreachable", "icmp6-addr-unreachable"}, "admin-prohibited": {"icmp-admin-prohibited", "icmp6-adm-prohibited"}}[code]
		r.with4, r.with6 = both[0], both[1]
	}
	if r.with4 == "" && r.with6 == "" {
		return nil, notUnderstood("reject with %s %s", typ, code)
	}
	return r, nil
}

func (r *reject) do(w *walk) flow {
	with := r.with4
	if w.f.Packet.IPv6() {
		with = r.with6
	}
	if with == "" || with == tcpReset && !isTCP(w.f) {
		return stop
	}
	if r.familyLost {
		w.open("whether the rule is for one family alone, which nft does not print of a reject with tcp reset")
	}
	if !w.settle() {
		return stop
	}
	w.f.RejectWith = with
	w.verdict.is = netfilter.Reject
	w.act("reject with " + with)
	return final
}

type notrack struct{}

func readNotrack(*parser, *table, *node) (op, error) { return notrack{}, nil }

// do is nft_notrack_eval: it keeps conntrack from looking at the packet, unless
// that has looked already.
func (notrack) do(w *walk) flow {
	if !w.settle() {
		return stop
	}
	if w.f.Ct.State == netfilter.CtNone {
		w.f.NoTrack, w.f.Ct.State = true, netfilter.CtUntracked // IP_CT_UNTRACKED at once
	}
	w.act("notrack")
	return next
}

// A learn changes the elements of a set (nft_dynset_eval).
type learn struct {
	of   []expr
	set  *set
	gone bool
}

func readSetStmt(p *parser, t *table, n *node) (op, error) {
	elem := n.get("elem")
	if inner := elem.get("elem"); inner != nil {
		elem = orNull(inner.get("val"))
	}
	of, err := p.parts(t, orNull(elem))
	if err != nil {
		return nil, err
	}
	name := n.get("set").str()
	s := t.sets[trimAt(name)]
	if s == nil {
		return nil, notUnderstood("set %s, which is not there", name)
	}
	for st := n.get("stmt").items(); st != nil; st = st.next {
		if only := st.only(); only == nil || string(only.key) != "counter" {
			return misread(fmt.Sprintf("whether the element's %s is used up depends on other traffic", brief(st))), nil
		}
	}
	s.dynamic = true
	return &learn{of, s, n.get("op").is("delete")}, s.fieldCount(len(of))
}

func trimAt(name string) string {
	if len(name) > 0 && name[0] == '@' {
		return name[1:]
	}
	return name
}

func (l *learn) do(w *walk) flow {
	var room [maxFields]reg
	regs, known, ok := (&lookup{of: l.of, in: l.set}).load(w.f, &room)
	if !ok {
		return stop
	}
	if !w.settle() {
		return stop
	}
	if known {
		// A rule that is cut off by it must not change what another has entered.
		w.f.Learned = append(w.f.Learned[:len(w.f.Learned):len(w.f.Learned)], netfilter.Learned{Set: l.set.name, Key: learnedKey(regs), Gone: l.gone})
	}
	return next
}

// readMapStmt reads "update @map { key : value }": for this packet's later rules
// it is not remembered.
func readMapStmt(p *parser, t *table, n *node) (op, error) {
	if _, err := p.parts(t, orNull(n.get("elem"))); err != nil {
		return nil, err
	}
	return passive{}, nil
}

// tproxy hands the packet to a socket of this host. Without one it breaks
// (nft_tproxy_eval).
type tproxy struct {
	family byte
	addr   netip.Addr // invalid if it stays
	port   uint16     // 0 if it stays
}

func readTproxy(p *parser, _ *table, n *node) (op, error) {
	x := &tproxy{family: map[string]byte{"ip": 4, "ip6": 6}[n.get("family").str()]}
	if a := n.get("addr"); a != nil {
		addr, err := netip.ParseAddr(a.str())
		if err != nil {
			return nil, notUnderstood("tproxy to %s", brief(a))
		}
		x.addr = addr
	}
	if port := n.get("port"); port != nil {
		w, err := p.types["inet_service"].constant(port)
		if err != nil {
			return nil, notUnderstood("tproxy to port %s", brief(port))
		}
		x.port = uint16(w.lo)
	}
	return x, nil
}

func (x *tproxy) do(w *walk) flow {
	p := &w.f.Packet
	if x.family != 0 && (x.family == 6) != p.IPv6() || p.Protocol != model.TCP && p.Protocol != model.UDP {
		return stop
	}
	if !w.settle() {
		return stop
	}
	asked := *w.f
	to := netip.AddrPortFrom(x.addr, x.port)
	if !x.addr.IsValid() {
		to = netip.AddrPortFrom(p.Dst.Addr(), to.Port())
	}
	if x.port == 0 {
		to = netip.AddrPortFrom(to.Addr(), p.Dst.Port())
	}
	asked.Packet.Dst = to
	if w.f.Env.HasSocket(&asked) == netfilter.No && p.Kind == model.KindOpen {
		return stop
	}
	return w.unknown("which socket tproxy hands the packet to: " + to.String())
}

type synproxy struct{}

func readSynproxy(*parser, *table, *node) (op, error) { return synproxy{}, nil }

func (synproxy) do(w *walk) flow {
	if !isTCP(w.f) {
		return stop
	}
	return w.unknown("what the SYN proxy does with the packet")
}

// readXT reads an extension of iptables that nft shows by its name only.
func readXT(_ *parser, t *table, n *node) (op, error) {
	name, typ := n.get("name").str(), n.get("type").str()
	if name == "comment" {
		return passive{}, nil
	}
	t.extensions++
	switch {
	case typ == "match":
		return misread("an extension of iptables: -m " + name), nil
	}
	return mystery("an extension of iptables: " + name), nil
}
