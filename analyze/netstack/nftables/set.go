package nftables

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A set is a set, a map or a verdict map, named or anonymous. Elements are
// looked up by their values: exact ones in a hash, ranges of one field by binary
// search, ranges in concatenations in buckets by their exact fields.
type set struct {
	name   string // "" if it is anonymous
	fields []*dtype
	data   []*dtype // of a map of values
	keys   []span   // of each element as many as there are fields
	values []value  // nil of a set

	exact   map[string]int32
	ranges  []int32  // of one field, in order
	buckets []bucket // of several fields
	rest    int32    // the element for all else ("*"), -1 if there is none
	fault   string   // what of it is not understood
	gate    string   // why a found element may yet not count: a limit or quota of its own
	dynamic bool     // packets change it
	line    int
}

// A value is what a map has for an element.
type value struct {
	verdict *verdict
	data    []span // a concatenation of several; a range of one, where the data are intervals
	open    string // what is not understood
}

// A bucket holds the elements whose exact fields are the same ones.
type bucket struct {
	exact []bool
	at    map[string][]int32
}

const maxFields = 8

// key is what an element or a packet is hashed by: 16 bytes for each field.
type key [16 * maxFields]byte

func (k *key) put(i int, w word) {
	binary.BigEndian.PutUint64(k[16*i:], w.hi)
	binary.BigEndian.PutUint64(k[16*i+8:], w.lo)
}

// span returns the values of an element.
func (s *set) span(element int32) []span {
	n := len(s.fields)
	return s.keys[int(element)*n : (int(element)+1)*n]
}

// size is how many elements there are.
func (s *set) size() int32 { return int32(len(s.keys) / max(1, len(s.fields))) }

// index makes the lookup structures.
func (s *set) index() {
	s.exact = make(map[string]int32, s.size())
	for e := range s.size() {
		spans := s.span(e)
		switch {
		case e == s.rest:
		case isExact(spans):
			s.exact[string(keyOf(spans))] = e
		case len(spans) == 1:
			s.ranges = append(s.ranges, e)
		default:
			s.bucket(e, spans)
		}
	}
	slices.SortStableFunc(s.ranges, func(a, b int32) int {
		switch x, y := s.span(a)[0], s.span(b)[0]; {
		case x.lo.less(y.lo):
			return -1
		case y.lo.less(x.lo):
			return 1
		}
		return 0
	})
}

func isExact(spans []span) bool {
	return !slices.ContainsFunc(spans, func(s span) bool { return s.lo != s.hi })
}

func keyOf(spans []span) []byte {
	var k key
	for i, s := range spans {
		k.put(i, s.lo)
	}
	return k[:16*len(spans)]
}

// bucket enters an element of several fields of which some are ranges.
func (s *set) bucket(e int32, spans []span) {
	exact := make([]bool, len(spans))
	var k key
	for i, sp := range spans {
		if exact[i] = sp.lo == sp.hi; exact[i] {
			k.put(i, sp.lo)
		}
	}
	i := slices.IndexFunc(s.buckets, func(b bucket) bool { return slices.Equal(b.exact, exact) })
	if i < 0 {
		i = len(s.buckets)
		s.buckets = append(s.buckets, bucket{exact, map[string][]int32{}})
	}
	at := string(k[:16*len(spans)])
	s.buckets[i].at[at] = append(s.buckets[i].at[at], e)
}

// find returns the element that has the values, which are all known, -1 if
// there is none.
func (s *set) find(regs []reg) int32 {
	var k key
	for i, r := range regs {
		k.put(i, r.v)
	}
	if e, ok := s.exact[string(k[:16*len(regs)])]; ok {
		return e
	}
	if e := s.findRange(regs); e >= 0 {
		return e
	}
	for _, b := range s.buckets {
		var k key
		for i, r := range regs {
			if b.exact[i] {
				k.put(i, r.v)
			}
		}
		for _, e := range b.at[string(k[:16*len(regs)])] {
			if s.holds(e, regs) == netfilter.Yes {
				return e
			}
		}
	}
	return s.rest
}

func (s *set) findRange(regs []reg) int32 {
	if len(s.ranges) == 0 {
		return -1
	}
	n, _ := slices.BinarySearchFunc(s.ranges, regs[0].v, func(e int32, v word) int {
		if v.less(s.span(e)[0].lo) {
			return 1
		}
		return -1
	})
	if n == 0 || s.span(s.ranges[n-1])[0].has(regs[0]) != netfilter.Yes {
		return -1
	}
	return s.ranges[n-1]
}

// holds answers whether an element has the values.
func (s *set) holds(e int32, regs []reg) netfilter.Answer {
	answer := netfilter.Yes
	for i, sp := range s.span(e) {
		switch sp.has(regs[i]) {
		case netfilter.No:
			return netfilter.No
		case netfilter.Maybe:
			answer = netfilter.Maybe
		}
	}
	return answer
}

// candidates returns the elements that may have the values, of which not all is
// known: the last is certain if sure.
func (s *set) candidates(regs []reg) (list []int32, sure bool) {
	for e := range s.size() {
		switch s.holds(e, regs) {
		case netfilter.Yes:
			return append(list, e), true
		case netfilter.Maybe:
			list = append(list, e)
		}
	}
	if s.rest >= 0 {
		return append(list, s.rest), true
	}
	return list, false
}

// fieldCount reports an error if values are not as many as fields.
func (s *set) fieldCount(n int) error {
	if s.fault == "" && len(s.fields) != n {
		return fmt.Errorf("%w: %d values for the %d fields of set %s", errNot, n, len(s.fields), s.name)
	}
	return nil
}
