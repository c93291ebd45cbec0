package nftables

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A loader is an expression that puts a value into a register.
type loader interface {
	load(f *netfilter.Frame) reg
}

// A doubter is a loader that may not know all of its value: doubt says why.
type doubter interface {
	doubt() string
}

// An expr is a loader and the type of what it loads.
type expr struct {
	loader
	typ *dtype
}

// fixed is a constant.
type fixed word

func (c fixed) load(*netfilter.Frame) reg { return known(word(c)) }

var errNot = errors.New("not understood")

// notUnderstood names what could not be read.
func notUnderstood(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNot, fmt.Sprintf(format, args...))
}

// An exprRow reads one kind of expression.
type exprRow struct {
	name  string
	class netfilter.Class
	why   string
	read  func(p *parser, t *table, n *node) (expr, error)
}

func exprRows() []exprRow {
	const exact, partly = netfilter.Exact, netfilter.Partly
	const absent = "simulated packets have none: it breaks, and does not exist"
	return []exprRow{
		{"payload", partly, "see the protocols; bytes of headers that are not simulated are open", readPayload},
		{"meta", partly, "see the keys", readMeta},
		{"ct", partly, "see the keys", readCt},
		{"rt", partly, "see the keys", readKey("rt")},
		{"socket", partly, "see the keys", readKey("socket")},
		{"fib", partly, "oif of what came in by lo is open at INPUT: it depends on the version of the kernel", readFib},
		{"numgen", exact, "random and inc: each number has the same share", readNumgen},
		{"jhash", exact, "each number has the same share", readHash},
		{"symhash", exact, "each number has the same share", readHash},
		{"&", exact, "", readBinary}, {"|", exact, "", readBinary}, {"^", exact, "", readBinary}, {"<<", exact, "", readBinary}, {">>", exact, "", readBinary},
		{"map", exact, "", readMap},
		{"exthdr", exact, absent, readAbsent},
		{"ip option", exact, absent, readAbsent},
		{"dccp option", exact, absent, readAbsent},
		{"tcp option", partly, "the options of a TCP header are open; other packets have none", readTCPOption},
		{"sctp chunk", partly, "only the chunk that opens, answers or refuses is known", readChunk},
		{"osf", partly, "what a SYN looks like is open; other packets have no fingerprint", readOSF},
		{"ipsec", netfilter.Open, "IPsec policies are not collected", readOpen("IPsec policies are not collected")},
		{"tunnel", netfilter.Open, "tunnel headers are not simulated", readOpen("tunnel headers are not simulated")},
	}
}

// expr reads an expression.
func (p *parser) expr(t *table, n *node) (expr, error) {
	only := n.only()
	if only == nil {
		return expr{}, notUnderstood("expression %s", brief(n))
	}
	for i := range p.exprs {
		if row := &p.exprs[i]; string(only.key) == row.name {
			return row.read(p, t, only)
		}
	}
	return expr{}, notUnderstood("expression %s", only.key)
}

// parts reads an expression, or those of a concatenation.
func (p *parser) parts(t *table, n *node) (list []expr, err error) {
	if only := n.only(); only != nil && string(only.key) == "concat" {
		for c := only.first; c != nil; c = c.next {
			e, err := p.expr(t, c)
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
		return list, nil
	}
	e, err := p.expr(t, n)
	return []expr{e}, err
}

func readPayload(p *parser, _ *table, n *node) (expr, error) {
	proto, field := n.get("protocol"), n.get("field")
	if proto == nil && n.get("base") != nil {
		return readRaw(n)
	}
	if n.get("tunnel") != nil || proto == nil || field == nil {
		return expr{}, notUnderstood("payload %s", proto.str())
	}
	cached := p.payloads[string(proto.text)]
	if cached == nil {
		cached = map[string]*payload{}
		p.payloads[proto.str()] = cached
	}
	found := cached[string(field.text)]
	if found == nil {
		if found = newPayload(p.types, proto.str(), field.str()); found == nil {
			return expr{}, notUnderstood("payload %s %s", proto.str(), field.str())
		}
		cached[field.str()] = found
	}
	return expr{found, found.typ}, nil
}

// readRaw reads "@th,0,16".
func readRaw(n *node) (expr, error) {
	base := map[string]byte{"ll": 'l', "nh": 'n', "th": 't'}[n.get("base").str()]
	off, err := strconv.Atoi(n.get("offset").str())
	length, bad := strconv.Atoi(n.get("len").str())
	if base == 0 || err != nil || bad != nil || off < 0 || length <= 0 || length > 128 || off > 1<<20 {
		return expr{}, notUnderstood("payload @%s,%s,%s", n.get("base").str(), n.get("offset").str(), n.get("len").str())
	}
	name := fmt.Sprintf("@%s,%d,%d", n.get("base").str(), off, length)
	return expr{&rawPayload{payload{name: name, base: base, off: off, len: length, proto: -1}}, sized(length)}, nil
}

// rawPayload is a part of a header that is named by its place.
type rawPayload struct{ payload }

func (p *rawPayload) load(f *netfilter.Frame) reg {
	if p.base == 'l' && f.In == "" {
		return broken() // there is no link header yet
	}
	h := headerOf(f, p.base)
	return h.bits(p.off, p.len)
}

func readKey(kind string) func(*parser, *table, *node) (expr, error) {
	return func(p *parser, _ *table, n *node) (expr, error) {
		return p.key(kind + " " + n.get("key").str())
	}
}

func (p *parser) key(name string) (expr, error) {
	for i := range p.keys {
		if k := &p.keys[i]; k.name == name {
			return expr{k, p.types[k.typ]}, nil
		}
	}
	return expr{}, notUnderstood("%s", name)
}

func readMeta(p *parser, _ *table, n *node) (expr, error) { return p.key("meta " + n.get("key").str()) }

// readCt reads a key of conntrack, of a direction or of none.
func readCt(p *parser, t *table, n *node) (expr, error) {
	key, dir := n.get("key").str(), n.get("dir").str()
	c := &ctEnd{name: "ct " + dir + " " + key, reply: dir == "reply"}
	switch key {
	case "ip saddr", "ip daddr":
		c.family = 4
	case "ip6 saddr", "ip6 daddr":
		c.family = 6
	case "saddr", "daddr":
		if t.family == "ip6" {
			c.family = 6
		}
	case "proto-src", "proto-dst":
		c.port_ = true
	default:
		return p.key("ct " + key)
	}
	if dir == "" {
		return expr{}, notUnderstood("ct %s without a direction", key)
	}
	c.dst = key[len(key)-5:] == "daddr" || key == "proto-dst"
	switch {
	case c.port_:
		return expr{c, p.types["inet_service"]}, nil
	case c.family == 6:
		return expr{c, p.types["ipv6_addr"]}, nil
	}
	return expr{c, p.types["ipv4_addr"]}, nil
}

// A bitwise is two values that are put together bit by bit.
type bitwise struct {
	op   byte
	a, b loader
}

func (x *bitwise) load(f *netfilter.Frame) reg {
	a, b := x.a.load(f), x.b.load(f)
	if a.broke || b.broke {
		return broken()
	}
	switch x.op {
	case '&': // a bit is known where both are, or where one is known to be 0
		v := a.v.and(b.v)
		zero := a.v.or(a.unk).not().or(b.v.or(b.unk).not())
		return reg{v: v, unk: a.unk.or(b.unk).and(zero.not())}
	case '|':
		set := a.v.and(a.unk.not()).or(b.v.and(b.unk.not()))
		return reg{v: a.v.or(b.v), unk: a.unk.or(b.unk).and(set.not())}
	case '^':
		return reg{v: a.v.xor(b.v), unk: a.unk.or(b.unk)}
	}
	n := uint(min(b.v.lo, 128))
	if x.op == '<' {
		return reg{v: a.v.shl(n), unk: a.unk.shl(n)}
	}
	return reg{v: a.v.shr(n), unk: a.unk.shr(n)}
}

func (x *bitwise) doubt() string {
	if _, ok := x.a.(fixed); ok {
		return doubtOf(x.b)
	}
	return doubtOf(x.a)
}

// doubtOf says why a value is not known.
func doubtOf(l loader) string {
	if d, ok := l.(doubter); ok {
		return d.doubt()
	}
	return "a value is not known"
}

// readBinary reads "[left, right...]". Constants take the type of what is left
// of them.
func readBinary(p *parser, t *table, n *node) (expr, error) {
	if n.kind != isArray || n.first == nil || n.first.next == nil {
		return expr{}, notUnderstood("operands of %s", n.key)
	}
	left, err := p.operand(t, n.first, nil)
	if err != nil {
		return expr{}, err
	}
	for c := n.first.next; c != nil; c = c.next {
		right, err := p.operand(t, c, left.typ)
		if err != nil {
			return expr{}, err
		}
		left = expr{p.cut(&bitwise{n.key[0], left.loader, right.loader}, left.typ), left.typ}
	}
	return left, nil
}

// cut keeps a shifted value in its size.
func (p *parser) cut(b *bitwise, typ *dtype) loader {
	if b.op == '<' && typ.bits < 128 {
		return &bitwise{'&', b, fixed(mask(typ.bits))}
	}
	return b
}

// operand reads an expression or, where the type is known, a constant.
func (p *parser) operand(t *table, n *node, typ *dtype) (expr, error) {
	if n.kind == isObject {
		e, err := p.expr(t, n)
		if err == nil || typ == nil {
			return e, err
		}
	}
	if typ == nil {
		typ = p.types["integer"]
	}
	w, err := typ.constant(n)
	if err != nil {
		return expr{}, notUnderstood("%v", err)
	}
	return expr{fixed(w), typ}, nil
}

// An absent is a header or option that no simulated packet has. Those of IPv6 are
// not asked for in other packets, and the other way round.
type absent struct {
	family byte // 4 or 6, 0 for both
	exists bool
}

func (a absent) load(f *netfilter.Frame) reg {
	if !a.exists || a.family != 0 && (a.family == 6) != f.Packet.IPv6() {
		return broken()
	}
	return known(word{})
}

// readAbsent reads a header extension or an option: "exists" is 0, a field of
// it breaks.
func readAbsent(p *parser, _ *table, n *node) (expr, error) {
	family := map[string]byte{"exthdr": 6, "ip option": 4}[string(n.key)]
	if n.get("field") == nil {
		return expr{absent{family, true}, p.types["boolean"]}, nil
	}
	return expr{absent{family, false}, p.types["whatever"]}, nil
}

// A partial is a value that breaks where applies says no, and is open else.
type partial struct {
	applies func(f *netfilter.Frame) bool
	absent  reg // where it does not apply
	bits    int
	why     string
}

func (x *partial) load(f *netfilter.Frame) reg {
	if !x.applies(f) {
		return x.absent
	}
	return open(x.bits)
}

func (x *partial) doubt() string { return x.why }

func readOpen(why string) func(*parser, *table, *node) (expr, error) {
	return func(p *parser, _ *table, _ *node) (expr, error) {
		return expr{&partial{func(*netfilter.Frame) bool { return true }, broken(), 128, why}, p.types["whatever"]}, nil
	}
}
