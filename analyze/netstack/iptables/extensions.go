package iptables

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/ipset"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A Class says how far a match or a target is modelled.
type Class uint8

// The classes.
const (
	Exact   Class = iota + 1 // as the kernel
	Partly                   // exact, but for the cases that Why names
	Open                     // left open on purpose: both branches are followed
	Passive                  // a target that does not change the packet's way
)

func (c Class) String() string {
	return [...]string{"", "exact", "partly", "open", "passive"}[c]
}

// An Entry documents one match or target.
type Entry struct {
	Name  string
	Class Class
	Why   string // why it is not exact, or what it means
}

// Matches returns every match that has a row, sorted.
func Matches() []Entry { return entries(matchRows()) }

// Targets returns every target that has a row, sorted. Chains are not among
// them.
func Targets() []Entry { return entries(targetRows()) }

func entries(rows []extension) []Entry {
	list := make([]Entry, len(rows))
	for i, r := range rows {
		list[i] = Entry{r.name, r.class, r.why}
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// An extension is a row of the table of matches or of targets.
type extension struct {
	name    string
	class   Class
	why     string
	options string // names with the number of their arguments, if that is not 1: "dport tcp-flags:2"
	loose   bool   // has other options too, which do not matter

	buildMatch  func(b *building, options []option) error
	buildTarget func(options []option) (target, error)
}

// takes returns how many arguments the option called name has.
func (e *extension) takes(name string) (args int, ok bool) {
	for spec := e.options; spec != ""; {
		var word string
		word, spec, _ = strings.Cut(spec, " ")
		opt, n, counted := strings.Cut(word, ":")
		if opt != name {
			continue
		}
		if !counted {
			return 1, true
		}
		return int(n[0] - '0'), true
	}
	return 0, false
}

// extensions are the tables by name.
type extensions struct {
	matches, targets map[string]*extension
	chain            *extension // of a jump: takes any option, as the target it may be would
}

func newExtensions() *extensions {
	return &extensions{byName(matchRows()), byName(targetRows()), &extension{loose: true}}
}

func byName(rows []extension) map[string]*extension {
	m := make(map[string]*extension, len(rows))
	for i := range rows {
		m[rows[i].name] = &rows[i]
	}
	return m
}

// A building is a rule to which a match is being added.
type building struct {
	rule *draft
	sets *ipset.Sets
	ext  *extension
}

func (b *building) add(m matcher) error {
	b.rule.matches = append(b.rule.matches, m)
	return nil
}

var (
	errOption   = errors.New("unknown option")
	errMatch    = errors.New("unknown match")
	errProtoFor = errors.New("without its protocol")
	errValue    = errors.New("unknown value")
)

// unknownMatch is a match that has no row.
func unknownMatch(*building, []option) error { return errMatch }

// openMatch is a match that is left open on purpose.
func openMatch(b *building, _ []option) error {
	return b.add(open("match not modelled: -m " + b.ext.name + ": " + b.ext.why))
}

// open is a condition that is left open; it says why.
type open string

func (m open) match(*netfilter.Frame) netfilter.Answer { return netfilter.Maybe }
func (m open) doubt() string                           { return string(m) }

// noMatch is a condition that no simulated packet meets.
func noMatch(b *building, _ []option) error { return b.add(fixed(netfilter.No)) }

// anyMatch is a condition that says nothing.
func anyMatch(*building, []option) error { return nil }

// not negates a if n.
func not(a netfilter.Answer, n bool) netfilter.Answer {
	if n {
		return a.Not()
	}
	return a
}

// unknownTarget is a target that may end the packet's way or not.
type unknownTarget struct{ what string }
