package iptables

import (
	"errors"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/ipset"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Parse reads the text of iptables-save, with counters or without. It always
// returns a usable Ruleset; each line that could not be read in full is one
// [netfilter.UnsupportedError]. Its rule, if it is one, stays in its chain.
func Parse(part nodedump.Part, sets *ipset.Sets) (*Ruleset, []error) {
	if len(part.Data) == 0 {
		return &Ruleset{part: part}, nil
	}
	p := &parser{set: newExtensions(), sets: sets, rs: &Ruleset{part: part}}
	p.headers, p.shares = map[header]*header{}, map[float64]*conditions{}
	p.current.parser = p
	p.rs.part.Data = nil
	text := netfilter.Text(part.Data)
	for text != "" {
		line := text
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = ""
		}
		p.line++
		p.read(trim(line))
	}
	if p.table != nil && p.starred {
		p.lose("the text ends inside table " + p.table.name + ": no COMMIT")
	}
	p.link()
	p.cutLoops()
	p.count()
	p.buildIndexes()
	return p.rs, p.errs
}

// A parser reads one text.
type parser struct {
	set  *extensions
	sets *ipset.Sets
	rs   *Ruleset
	errs []error
	line int // number of the line that is being read

	table   *table // nil outside of one
	starred bool   // it was begun by "*name", so that COMMIT must end it

	words   []string   // of the line, in memory that each line uses again
	used    []use      // by the rule, likewise
	current ruleParser // likewise
	way     []visit    // likewise, of looking for loops

	headers map[header]*header      // of those without addresses
	shares  map[float64]*conditions // of those that are only a share
}

// trim removes the blanks around s that separate words.
func trim(s string) string { return strings.Trim(s, " \t\r") }

func (p *parser) fail(line int, what string) {
	p.errs = append(p.errs, &netfilter.UnsupportedError{File: p.rs.part.File, Line: line, What: what})
}

// lose records that the line that is being read is not understood and belongs to
// no rule: what it would have done is not known. It may be any table's unless
// one is open.
func (p *parser) lose(what string) {
	p.fail(p.line, what)
	lost := &p.rs.lost
	if p.table != nil {
		lost = &p.table.lost
	}
	if lost.what == "" {
		*lost = loss{what, p.line}
	}
}

func (p *parser) read(line string) {
	if line == "" || line[0] == '#' {
		return
	}
	switch {
	case line[0] == '*':
		p.openTable(trim(line[1:]))
		p.starred = true
	case line[0] == ':':
		p.declare(line[1:])
	case line == "COMMIT":
		p.table, p.starred = nil, false
	case line[0] == '[':
		if i := strings.IndexByte(line, ']'); i > 0 {
			p.command(trim(line[i+1:]))
			return
		}
		p.lose("line: " + line)
	default:
		p.command(line)
	}
}

func (p *parser) openTable(name string) {
	if i := slices.IndexFunc(p.rs.tables, func(t *table) bool { return t.name == name }); i >= 0 {
		p.table = p.rs.tables[i]
		return
	}
	p.table = &table{name: name, byName: map[string]*Chain{}}
	p.rs.tables = append(p.rs.tables, p.table)
}

// declare reads the rest of ":NAME POLICY [N:M]".
func (p *parser) declare(line string) {
	name, policy, _ := strings.Cut(line, " ")
	policy, _, _ = strings.Cut(trim(policy), " ")
	if !chainName(name) || p.table == nil {
		p.lose("chain: :" + line)
		return
	}
	c := p.chain(name)
	c.Line = p.line
	p.setPolicy(c, policy)
}

// chainName reports whether a chain may be called name: one that needs quotes
// cannot be declared.
func chainName(name string) bool { return name != "" && !strings.ContainsAny(name, " \t\r\"'\\") }

func (p *parser) setPolicy(c *Chain, policy string) {
	switch {
	case policy == "DROP" && c.Policy != netfilter.Continue:
		c.Policy = netfilter.Drop
	case policy == "ACCEPT" && c.Policy != netfilter.Continue:
		c.Policy = netfilter.Accept
	case policy != "-" && policy != "":
		p.lose("policy of chain " + c.Name + ": " + policy)
	}
}

// chain returns the chain called name of the table, made if it was not there.
func (p *parser) chain(name string) *Chain {
	c := p.named(name)
	if !c.state.exists {
		c.state.exists = true
		p.table.chains = append(p.table.chains, c)
	}
	return c
}

// named returns the chain called name, which need not exist.
func (p *parser) named(name string) *Chain {
	if c, ok := p.table.byName[name]; ok {
		return c
	}
	c := &Chain{Table: p.table.name, Name: name}
	if isBase(p.table.name, name) {
		c.Policy = netfilter.Accept
	}
	p.table.byName[name] = c
	return c
}

// isBase reports whether a chain of a table is called by a hook. In a table that
// has no such hook the name is a chain's like any other.
func isBase(table, chain string) bool {
	for h := netfilter.Prerouting; h <= netfilter.Postrouting; h++ {
		if h.String() == chain {
			return hasHook(table, h)
		}
	}
	return false
}

// hasHook reports whether a table is consulted at h (the valid_hooks of
// net/ipv4/netfilter/iptable_*.c). One that is not known may be at any.
func hasHook(table string, h netfilter.Hook) bool {
	switch table {
	case "raw":
		return h == netfilter.Prerouting || h == netfilter.Output
	case "nat":
		return h != netfilter.Forward
	case "filter", "security":
		return h != netfilter.Prerouting && h != netfilter.Postrouting
	}
	return true
}

// command reads "-A CHAIN ...", and the few other commands that make up a
// ruleset.
func (p *parser) command(line string) {
	words, err := split(p.words[:0], line)
	p.words = words
	if len(words) < 2 || !strings.HasPrefix(words[0], "-") || !chainName(words[1]) {
		p.lose("line: " + line)
		return
	}
	if p.table == nil {
		p.openTable("filter") // as iptables -S prints it
	}
	switch words[0] {
	case "-A", "--append":
		c := p.chain(words[1])
		c.Rules = append(c.Rules, p.rule(line, words[2:], err))
	case "-I", "--insert":
		p.insert(line, words, err)
	case "-N", "--new-chain":
		p.chain(words[1]).Line = p.line
	case "-P", "--policy":
		c := p.chain(words[1])
		c.Line = p.line
		p.setPolicy(c, strings.Join(words[2:], " "))
	default:
		p.lose("command: " + line)
	}
}

// insert reads "-I CHAIN [NUMBER] ...".
func (p *parser) insert(line string, words []string, err error) {
	c, at, rest := p.chain(words[1]), 1, words[2:]
	if len(rest) > 0 {
		if n, bad := parseUint(rest[0], 31); bad == nil {
			at, rest = int(n), rest[1:]
		}
	}
	if at < 1 || at > len(c.Rules)+1 {
		p.lose("place to insert a rule at: " + line)
		at = 1
	}
	c.Rules = slices.Insert(c.Rules, at-1, p.rule(trim("-A "+c.Name+" "+afterWords(line, len(words)-len(rest))), rest, err))
}

// afterWords returns line without its first n words, which have no quotes.
func afterWords(line string, n int) string {
	for range n {
		line = strings.TrimLeft(line, " \t")
		i := strings.IndexAny(line, " \t")
		if i < 0 {
			return ""
		}
		line = line[i:]
	}
	return strings.TrimLeft(line, " \t")
}

// link finds the rules that name a chain which they cannot go to.
func (p *parser) link() {
	for _, t := range p.rs.tables {
		for _, c := range t.chains {
			for _, r := range c.Rules {
				p.linkRule(r)
			}
		}
	}
}

func (p *parser) linkRule(r *Rule) {
	switch to, _ := destination(r.target); {
	case to == nil:
	case !to.state.exists:
		p.spoil(r, "target not understood: -j "+to.Name)
	case to.Policy != netfilter.Continue:
		p.spoil(r, "jump to a base chain: -j "+to.Name)
	}
}

// spoil replaces the target of r, which cannot be followed.
func (p *parser) spoil(r *Rule, what string) {
	r.target = &unknownTarget{what: what}
	p.fail(r.Line, what)
}

// count fills in the statistics, and puts the errors in the order of the text.
func (p *parser) count() {
	for _, t := range p.rs.tables {
		for _, c := range t.chains {
			p.rs.rules += len(c.Rules)
			for _, r := range c.Rules {
				if r.Fault() != "" {
					p.rs.notUnderstood++
				}
			}
		}
	}
	slices.SortStableFunc(p.errs, func(a, b error) int { return lineOf(a) - lineOf(b) })
}

func lineOf(err error) int {
	var u *netfilter.UnsupportedError
	if errors.As(err, &u) {
		return u.Line
	}
	return 0
}
