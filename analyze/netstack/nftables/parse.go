package nftables

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Parse reads the JSON of "nft -j list ruleset" (libnftables-json). It always
// returns a usable Ruleset; what could not be read is one error each, and costs
// one rule, one set or one object. The text of part is kept: rules are printed
// from it.
func Parse(part nodedump.Part) (*Ruleset, []error) {
	p := &parser{file: part.File, rd: reader{data: part.Data, size: largeBlock}, lines: 1, tables: map[tableKey]*table{},
		types: newTypeTable(), payloads: map[string]map[string]*payload{}, keys: keyRows(), exprs: exprRows(), stmts: map[string]*stmtRow{}}
	rows := stmtRows()
	for i := range rows {
		p.stmts[rows[i].name] = &rows[i]
	}
	p.read()
	p.finish()
	r := &Ruleset{part: part, data: part.Data, tables: p.order, lost: p.lost, saved: map[string]bool{}}
	r.part.Data = nil
	return r, p.errs
}

type tableKey struct{ family, name string }

type parser struct {
	file   string
	rd     reader
	tables map[tableKey]*table
	order  []*table
	errs   []error
	lost   string // what could not be read and is no rule's

	types    typeTable
	payloads map[string]map[string]*payload
	keys     []keyRow
	exprs    []exprRow
	stmts    map[string]*stmtRow

	start, line    int // of the entry that is read
	lines, counted int // newlines of data[:counted], plus one
}

var errArray = errors.New(`no array "nftables"`)

// read goes through the array one entry at a time.
func (p *parser) read() {
	if len(bytes.TrimSpace(p.rd.data)) == 0 {
		return
	}
	if err := p.enter(); err != nil {
		p.lose(err)
		return
	}
	for n := 0; p.rd.space() != ']'; n++ {
		if n > 0 {
			if err := p.rd.expect(','); err != nil {
				p.lose(err)
				return
			}
		}
		p.rd.forget()
		p.rd.space()
		p.start = p.rd.pos
		p.line = p.lineAt(p.start)
		entry, err := p.rd.value(0)
		if err != nil {
			p.lose(err)
			return
		}
		if err := p.take(entry.only()); err != nil {
			p.fail(err)
		}
	}
	p.rd.pos++
	if err := p.rd.expect('}'); err != nil {
		p.lose(err)
	}
}

// enter reads up to the first entry.
func (p *parser) enter() error {
	if p.rd.space() != '{' {
		return errArray
	}
	p.rd.pos++
	if p.rd.space() != '"' {
		return errArray
	}
	key, err := p.rd.quoted()
	switch {
	case err != nil:
		return err
	case string(key) != "nftables":
		return errArray
	}
	if err = p.rd.expect(':'); err != nil {
		return err
	}
	return p.rd.expect('[')
}

// lose reports what could not be read as JSON: nobody knows what it would have
// been.
func (p *parser) lose(err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	p.line = p.lineAt(min(p.rd.pos, len(p.rd.data)))
	p.fail(fmt.Errorf("nftables JSON: %w", err))
	p.lost = p.errs[len(p.errs)-1].Error()
}

func (p *parser) fail(err error) {
	what := strings.TrimPrefix(err.Error(), errNot.Error()+": ")
	p.errs = append(p.errs, &netfilter.UnsupportedError{File: p.file, Line: p.line, What: what})
}

func (p *parser) at(line int) string { return p.file + ":" + strconv.Itoa(line) }

// lineAt returns the line of an offset, which must not be before the last.
func (p *parser) lineAt(at int) int {
	if at > p.counted && at <= len(p.rd.data) {
		p.lines += bytes.Count(p.rd.data[p.counted:at], []byte{'\n'})
		p.counted = at
	}
	return p.lines
}

// take reads one entry of the array.
func (p *parser) take(n *node) error {
	if n == nil {
		return notUnderstood("nftables entry")
	}
	switch string(n.key) {
	case "rule":
		p.rule(p.tableOf(n), n)
	case "chain":
		return p.declare(p.tableOf(n), n)
	case "set", "map":
		p.set(p.tableOf(n), n)
	case "element":
		return p.elements(p.tableOf(n), n)
	case "table":
		t := p.table(n.get("family"), n.get("name"))
		t.dormant = n.get("flags").has("dormant")
	case "metainfo", "counter", "quota", "limit", "ct helper", "ct timeout", "ct expectation", "synproxy", "secmark", "flowtable", "tunnel":
	default:
		return notUnderstood("nftables entry %q", n.key)
	}
	return nil
}

func (p *parser) tableOf(n *node) *table { return p.table(n.get("family"), n.get("table")) }

func (p *parser) table(family, name *node) *table {
	if family == nil {
		family = &node{}
	}
	if name == nil {
		name = &node{}
	}
	if n := len(p.order); n > 0 { // as a rule the entries of a table follow each other
		if last := p.order[n-1]; last.family == string(family.text) && last.name == string(name.text) {
			return last
		}
	}
	k := tableKey{string(family.text), string(name.text)}
	t := p.tables[k]
	if t == nil {
		t = &table{family: k.family, name: k.name, chains: map[string]*chain{}, sets: map[string]*set{}}
		p.tables[k] = t
		p.order = append(p.order, t)
	}
	return t
}

// chain returns a chain by its name, which may be declared later.
func (p *parser) chain(t *table, name []byte) *chain {
	c := t.chains[string(name)]
	if c == nil {
		c = &chain{table: t, name: string(name), line: p.line}
		c.jump.to, c.going.to, c.going.gone = c, c, true
		t.chains[c.name] = c
	}
	return c
}

// declare reads a chain.
func (p *parser) declare(t *table, n *node) error {
	name := n.get("name")
	if name == nil || name.kind != isString {
		return notUnderstood("chain without a name")
	}
	c := p.chain(t, name.text)
	c.declared, c.line = true, p.line
	hook := n.get("hook")
	if hook == nil {
		return nil
	}
	priority, err := strconv.Atoi(n.get("prio").str())
	c.base = &Base{Family: t.family, Table: t.name, Name: c.name, Type: n.get("type").str(), Hook: hook.str(),
		Priority: priority, Policy: n.get("policy").str(), Line: p.line, chain: c}
	for d := n.get("dev").items(); d != nil; d = d.next {
		c.base.Devices = append(c.base.Devices, d.str())
	}
	t.bases = append(t.bases, c)
	if err != nil {
		return notUnderstood("priority %q of chain %s", n.get("prio").str(), c.name)
	}
	return nil
}

// rule reads a rule. What is not understood of it is open.
func (p *parser) rule(t *table, n *node) {
	r := rule{off: uint32(p.start), size: uint32(p.rd.pos - p.start), line: p.line}
	statements, count := n.get("expr").items(), 0
	for s := statements; s != nil; s = s.next {
		count++
	}
	r.ops = make([]op, 0, count)
	var bad error
	for s := statements; s != nil; s = s.next {
		o, err := p.statement(t, s)
		if err != nil {
			o = unread(s, err)
			if bad == nil {
				bad = err
			}
		}
		if rj, ok := o.(*reject); ok && rj.with4 == tcpReset && t.family == "inet" {
			rj.familyLost = !namesFamily(statements)
		}
		if o != (passive{}) {
			r.ops = append(r.ops, o)
		}
	}
	t.rules++
	if bad != nil {
		t.faulty++
		p.fail(bad)
	}
	name := orNull(n.get("chain"))
	c := p.chain(t, name.text)
	c.rules = append(c.rules, r)
}

// namesFamily reports whether anything in a list of statements is of IPv4 or IPv6
// alone, or asks for one of them.
func namesFamily(list *node) bool {
	for n := list; n != nil; n = n.next {
		of := string(n.key) == "protocol" && (n.is("ip") || n.is("ip6") || n.is("icmp") || n.is("icmpv6"))
		if of || n.is("nfproto") || namesFamily(n.first) {
			return true
		}
	}
	return false
}

// unread stands for a statement that could not be read.
func unread(n *node, err error) op {
	what := "not understood: " + strings.TrimPrefix(err.Error(), errNot.Error()+": ")
	if only := n.only(); only != nil && string(only.key) == "match" {
		return misread(what)
	}
	return mystery(what)
}

// finish links what may be declared after it was spoken of.
func (p *parser) finish() {
	for _, t := range p.order {
		for _, s := range t.sets {
			s.index()
		}
		if len(p.rd.data) > 0 && p.lost == "" {
			p.undeclared(t)
		}
	}
}

// undeclared reports chains that rules speak of and that are not there.
func (p *parser) undeclared(t *table) {
	var first *chain
	for _, c := range t.chains {
		if !c.declared && (first == nil || c.line < first.line || c.line == first.line && c.name < first.name) {
			first = c
		}
	}
	if first != nil {
		p.line = first.line
		p.fail(notUnderstood("chain %s, which is not there", first.name))
	}
}
