package iptables

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/ipset"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

const setOptions = "match-set:2 set:2 return-nomatch:0 update-counters:0 update-subcounters:0 " +
	"packets-eq packets-lt packets-gt bytes-eq bytes-lt bytes-gt"

// setMatch is "--match-set NAME DIRS".
type setMatch struct {
	sets      *ipset.Sets
	name      string
	dirs      []ipset.Dir
	not       bool
	nomatch   bool // entries marked nomatch are what is asked for
	countings bool // the entry's counters are asked for too
}

func matchSet(b *building, options []option) error {
	m := &setMatch{sets: b.sets}
	for _, o := range options {
		switch o.name {
		case "match-set", "set":
			dirs, err := parseDirs(o)
			if err != nil {
				return err
			}
			m.name, m.dirs, m.not = strings.Clone(o.args[0]), dirs, o.not
		case "return-nomatch":
			m.nomatch = !o.not
		case "update-counters", "update-subcounters":
		default:
			m.countings = true
		}
	}
	if m.name == "" {
		return errArgs
	}
	return b.add(m)
}

func parseDirs(o option) (dirs []ipset.Dir, err error) {
	if len(o.args) < 2 {
		return nil, errArgs
	}
	for word := range strings.SplitSeq(o.args[1], ",") {
		switch word {
		case "src":
			dirs = append(dirs, ipset.Src)
		case "dst":
			dirs = append(dirs, ipset.Dst)
		default:
			return nil, fmt.Errorf("%w: %q", errDirection, word)
		}
	}
	return dirs, nil
}

func (m *setMatch) match(f *netfilter.Frame) netfilter.Answer {
	if m.sets == nil {
		return netfilter.Maybe
	}
	answer := m.sets.Test(m.name, ipset.Query{
		Packet: f.Packet, In: f.In, Out: f.Out, PhysIn: f.PhysIn, PhysOut: f.PhysOut,
		Dirs: m.dirs, ReturnNomatch: m.nomatch, Counters: m.countings,
	})
	if len(f.ChangedSets) > 0 && m.changed(f) {
		return netfilter.Maybe
	}
	return not(answer, m.not)
}

// changed reports whether a rule has added the packet to the set, or to one of a
// list, or taken it out.
func (m *setMatch) changed(f *netfilter.Frame) bool {
	return slices.ContainsFunc(f.ChangedSets, func(name string) bool { return m.sets.Has(m.name, name) || m.sets.Has(name, m.name) })
}

func (m *setMatch) doubt() string { return "members of ipset not known: " + m.name }
