// Package check looks for what is wrong in a whole bundle, with no packet
// given: every check that needs no flow, from a literal table.
package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/report"
)

// ErrNoNode indicates a node that the bundle does not have.
var ErrNoNode = fmt.Errorf("%w: no such node", analyze.ErrUsage)

// A row is one check.
type row struct {
	name  string
	doc   string
	codes []string // that it may report, sorted
	run   func(*scope)
}

// Run runs every check of the bundle that a was made for. With a node only what
// is found about that node is kept, and what is about the cluster; others are
// still looked at, because some checks compare nodes. [ErrNoNode] says that the
// bundle has no such node.
func Run(a *analyze.Analyzer, node string) (*report.Checkup, error) {
	c := newCluster(a)
	if node != "" && !slices.ContainsFunc(c.nodes, func(n *host) bool { return n.name == node }) {
		return nil, fmt.Errorf("--node %q: %w: there are %s", node, ErrNoNode, strings.Join(c.names(), ", "))
	}
	out := &report.Checkup{Plugin: a.PluginName(), Networks: a.Networks(), ProxyMode: a.ProxyMode(), Hosting: a.Hosting(), Only: node}
	book := &book{only: node, out: out, seen: map[string]string{}, unknowns: map[string]bool{}}
	for _, r := range rows() {
		before := len(out.Findings)
		r.run(&scope{cluster: c, book: book, row: r})
		out.Checks = append(out.Checks, report.CheckRun{Name: r.name, Doc: r.doc, Codes: r.codes, Found: len(out.Findings) - before})
	}
	report.SortFindings(out.Findings)
	c.count(out)
	return out, nil
}

// A book takes down what is found, each thing once.
type book struct {
	only     string
	out      *report.Checkup
	seen     map[string]string // what was found, and by which check
	unknowns map[string]bool
}

// A scope is what one check works with.
type scope struct {
	*cluster
	*book
	row row
}

// find reports something about a node, or about the cluster if node is "". Two
// checks that point at the same line for the same reason have found one thing.
func (s *scope) find(node string, f model.Suspicion) {
	if s.only != "" && node != "" && node != s.only {
		return
	}
	exact := strings.Join([]string{f.Code, node, f.On.String(), f.Message}, "\x00")
	if s.seen[exact] != "" {
		return
	}
	s.seen[exact] = s.row.name
	if _, line, ok := strings.Cut(f.Evidence, ":"); ok && line != "" && f.Level >= model.SuspicionLevelWarning {
		if by := s.seen[f.Code+"\x00"+f.Evidence]; by != "" && by != s.row.name {
			return
		}
		s.seen[f.Code+"\x00"+f.Evidence] = s.row.name
	}
	if f.On == (model.Hop{}) && node != "" {
		f.On = model.Hop{Type: model.NetNodeTypeNode, ID: node}
	}
	s.out.Findings = append(s.out.Findings, report.Finding{Suspicion: f, Check: s.row.name, Node: node})
}

// unknown says what of the check cannot be answered, and where it would stand.
func (s *scope) unknown(node, evidence, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	if s.unknowns[what] || s.only != "" && node != "" && node != s.only {
		return
	}
	s.unknowns[what] = true
	s.out.Unknowns = append(s.out.Unknowns, model.Doubt{What: what, Evidence: evidence})
}

// A reporter reports to a scope what is asserted about a node.
type reporter struct {
	*scope
	node string
}

// Report implements assertions.Reporter.
func (r reporter) Report(f model.Suspicion) { r.find(r.node, f) }
