package connectivity

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/policy"
)

// A set is ports of protocols, as spans of a line on which every protocol has
// its place: 65,535 numbers, or one for a protocol without ports. The spans are
// sorted and do not touch. It does not change.
type set []span

// A span is places from lo to hi.
type span struct{ lo, hi uint32 }

// union returns what is in one of the sets.
func (s set) union(t set) set {
	switch {
	case len(s) == 0:
		return t
	case len(t) == 0:
		return s
	}
	all := slices.Concat(s, t)
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	out := all[:1]
	for _, next := range all[1:] {
		if last := &out[len(out)-1]; next.lo <= last.hi+1 {
			last.hi = max(last.hi, next.hi)
			continue
		}
		out = append(out, next)
	}
	return out
}

// intersect returns what is in both sets.
func (s set) intersect(t set) (out set) {
	for len(s) > 0 && len(t) > 0 {
		if lo, hi := max(s[0].lo, t[0].lo), min(s[0].hi, t[0].hi); lo <= hi {
			out = append(out, span{lo, hi})
		}
		if s[0].hi < t[0].hi {
			s = s[1:]
		} else {
			t = t[1:]
		}
	}
	return out
}

// minus returns what is in s and not in t.
func (s set) minus(t set) (out set) {
	for _, one := range s {
		for _, cut := range t {
			if cut.hi < one.lo || cut.lo > one.hi {
				continue
			}
			if cut.lo > one.lo {
				out = append(out, span{one.lo, cut.lo - 1})
			}
			if one.lo = cut.hi + 1; one.lo > one.hi {
				break
			}
		}
		if one.lo <= one.hi {
			out = append(out, one)
		}
	}
	return out
}

// key is equal for equal sets.
func (s set) key() string {
	var b strings.Builder
	for _, one := range s {
		fmt.Fprintf(&b, "%d-%d,", one.lo, one.hi)
	}
	return b.String()
}

// A space has a place for every protocol that the rules tell apart.
type space struct {
	protocols []model.Protocol // the last is "", which is every other
	starts    []uint32         // of the protocols, and the end
}

const maxPort = 65535 // they count from 1

// newSpace returns a space with the protocols of rules.
func newSpace(named []model.Protocol) *space {
	s := &space{protocols: []model.Protocol{model.TCP, model.UDP, model.SCTP}}
	slices.Sort(named)
	for _, p := range slices.Compact(named) {
		if !p.HasPorts() && p != "" {
			s.protocols = append(s.protocols, p)
		}
	}
	s.protocols = append(s.protocols, "")
	at := uint32(0)
	for _, p := range s.protocols {
		s.starts = append(s.starts, at)
		at += size(p)
	}
	s.starts = append(s.starts, at)
	return s
}

func size(p model.Protocol) uint32 {
	if p.HasPorts() {
		return maxPort
	}
	return 1
}

// all returns everything.
func (s *space) all() set { return set{{0, s.starts[len(s.protocols)] - 1}} }

// whole returns all ports of the protocol with an index.
func (s *space) whole(i int) set { return set{{s.starts[i], s.starts[i+1] - 1}} }

// ports returns the ports of a rule, for a destination that has names as its
// named ports. The names of an end that is not a pod are nil.
func (s *space) ports(p *policy.Port, names func(string, model.Protocol) []uint16) (out set) {
	for i, protocol := range s.protocols {
		if p.Protocol != "" && (p.Protocol == protocol) == p.Other {
			continue
		}
		if len(p.Ranges) == 0 && len(p.Names) == 0 {
			out = out.union(s.whole(i))
			continue
		}
		if !protocol.HasPorts() {
			continue
		}
		in := s.numbered(i, p, names)
		if p.Except {
			in = s.whole(i).minus(in)
		}
		out = out.union(in)
	}
	return out
}

// numbered returns the ports of one protocol that a rule names or numbers.
func (s *space) numbered(i int, p *policy.Port, names func(string, model.Protocol) []uint16) (out set) {
	add := func(first, last uint16) {
		if first = max(first, 1); first <= last {
			start := s.starts[i]
			out = out.union(set{{start + uint32(first) - 1, start + uint32(last) - 1}})
		}
	}
	for _, r := range p.Ranges {
		add(r.First, r.Last)
	}
	if names == nil {
		return out
	}
	for _, name := range p.Names {
		for _, number := range names(name, s.protocols[i]) {
			add(number, number)
		}
	}
	return out
}

// ranges writes a set out.
func (s *space) ranges(of set) (out []Range) {
	for i, protocol := range s.protocols {
		for _, part := range of.intersect(s.whole(i)) {
			r := Range{Protocol: protocol}
			if protocol.HasPorts() {
				r.First, r.Last = uint16(part.lo-s.starts[i]+1), uint16(part.hi-s.starts[i]+1)
			}
			out = append(out, r)
		}
	}
	return out
}

// A Range is ports from First to Last of one protocol; they are 0 for a protocol
// without ports. The Protocol "" is every protocol that [Report.Protocols] does
// not list.
type Range struct {
	Protocol    model.Protocol
	First, Last uint16
}

// Whole reports whether it is all of the protocol.
func (r Range) Whole() bool { return !r.Protocol.HasPorts() || r.First == 1 && r.Last == maxPort }

// Ports is what may pass. Its Ranges are sorted by protocol and port.
type Ports struct {
	All    bool // every protocol and port
	Ranges []Range
	Except []Range // what is not in Ranges
}

// portsOf makes Ports of a set.
func (s *space) portsOf(of set) Ports {
	rest := s.all().minus(of)
	return Ports{All: len(rest) == 0, Ranges: s.ranges(of), Except: s.ranges(rest)}
}

// Empty reports whether nothing may pass.
func (p Ports) Empty() bool { return len(p.Ranges) == 0 }

// Hold reports whether a port may pass; it is 0 for a protocol without ports.
func (p Ports) Hold(protocol model.Protocol, port uint16) bool {
	return slices.ContainsFunc(p.Ranges, func(r Range) bool {
		return r.Protocol == protocol && (r.Whole() || r.First <= port && port <= r.Last)
	})
}

// String is for people: "TCP 80,443-8443; UDP 53", "all", "all but TCP 22",
// "none".
func (p Ports) String() string {
	switch {
	case p.All:
		return "all"
	case p.Empty():
		return "none"
	case len(p.Except) < len(p.Ranges):
		return "all but " + rangesText(p.Except)
	}
	return rangesText(p.Ranges)
}

func rangesText(ranges []Range) string {
	var out []string
	for i := 0; i < len(ranges); {
		protocol, numbers := ranges[i].Protocol, []string{}
		whole := ranges[i].Whole()
		for ; i < len(ranges) && ranges[i].Protocol == protocol; i++ {
			numbers = append(numbers, ranges[i].Numbers())
		}
		text := ProtocolText(protocol)
		if !whole {
			text += " " + strings.Join(numbers, ",")
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// ProtocolText is a protocol for people: "TCP", "other protocols".
func ProtocolText(p model.Protocol) string {
	if p == "" {
		return "other protocols"
	}
	return strings.ToUpper(string(p))
}

// Numbers is "80" or "80-90".
func (r Range) Numbers() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}
