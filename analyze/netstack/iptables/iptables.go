// Package iptables reads the text of iptables-save and runs packets through
// it as the kernel's x_tables do.
//
// What a match or a target is worth is written in two tables, [Matches] and
// [Targets]: exact, or left open on purpose and why.
package iptables

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Ruleset holds the tables of one backend and one address family. It never
// changes and may be used by many at once.
type Ruleset struct {
	part          nodedump.Part // without its Data
	tables        []*table
	rules         int
	notUnderstood int
	lost          loss // a line that may be any table's
}

// A loss is a line that was not understood and belongs to no rule.
type loss struct {
	what string // "" if there is none
	line int
}

type table struct {
	name   string
	chains []*Chain // in the order of the text
	byName map[string]*Chain
	lost   loss
}

// Lost reports whether the text holds something about a table that could not be
// read and belongs to no rule: a line that is no command, a table that is cut
// off. What the table does is then not known.
func (r *Ruleset) Lost(table string) (what, evidence string, yes bool) {
	l := r.lost
	for _, t := range r.tables {
		if t.name == table && t.lost.what != "" {
			l = t.lost
		}
	}
	if l.what == "" {
		return "", "", false
	}
	return "what is not understood in the rules: " + l.what, fmt.Sprintf("%s:%d", r.part.File, l.line), true
}

// A Chain is a list of rules.
type Chain struct {
	Table, Name string
	Policy      netfilter.Verdict // Continue unless it is a base chain
	Line        int               // of its declaration, 0 if there is none
	Rules       []*Rule

	index *index // nil if the rules are looked at one by one
	state state
}

// A state is what the parser knows of a chain: whether the text has it, or only
// a rule names it, and how far it was followed.
type state struct{ exists, entered, left bool }

// Status reports whether it is known what rules there are, and if not, why.
func (r *Ruleset) Status() (known bool, file, reason string) {
	return r.part.Status.Known(), r.part.File, r.part.Reason
}

// Tables returns the names of the tables, in the order of the text.
func (r *Ruleset) Tables() []string {
	names := make([]string, len(r.tables))
	for i, t := range r.tables {
		names[i] = t.name
	}
	return names
}

// Stats returns how many rules there are, and how many of them are not
// understood in full.
func (r *Ruleset) Stats() (rules, notUnderstood int) { return r.rules, r.notUnderstood }

// Chain returns a chain of a table.
func (r *Ruleset) Chain(table, name string) (*Chain, bool) {
	for _, t := range r.tables {
		if t.name == table {
			c := t.byName[name]
			return c, c != nil && c.state.exists
		}
	}
	return nil, false
}

// Chains returns the chains of a table, in the order of the text.
func (r *Ruleset) Chains(table string) []*Chain {
	for _, t := range r.tables {
		if t.name == table {
			return append([]*Chain(nil), t.chains...)
		}
	}
	return nil
}

// HasBase reports whether table has a base chain at h.
func (r *Ruleset) HasBase(table string, h netfilter.Hook) bool {
	c, ok := r.Chain(table, h.String())
	return ok && c.Policy != netfilter.Continue
}

// Evidence returns where rule is read: "file:line".
func (r *Ruleset) Evidence(rule *Rule) string { return r.at(rule.Line) }

func (r *Ruleset) at(line int) string {
	if line == 0 {
		return r.part.File
	}
	return r.part.File + ":" + strconv.Itoa(line)
}

// Print returns the ruleset in the form of iptables-save, without counters
// and comments.
func (r *Ruleset) Print() string {
	var b strings.Builder
	for _, t := range r.tables {
		b.WriteString("*" + t.name + "\n")
		for _, c := range t.chains {
			b.WriteString(c.declaration() + " [0:0]\n")
		}
		for _, c := range t.chains {
			for _, rule := range c.Rules {
				b.WriteString(rule.Raw + "\n")
			}
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

// declaration is the line that declares c, without counters.
func (c *Chain) declaration() string {
	switch c.Policy {
	case netfilter.Continue:
		return ":" + c.Name + " -"
	case netfilter.Drop:
		return ":" + c.Name + " DROP"
	}
	return ":" + c.Name + " ACCEPT"
}
