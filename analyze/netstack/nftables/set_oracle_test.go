package nftables

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// TestFindOracle compares the indexed search with one that looks at every
// element, on random sets of one to three fields with and without ranges.
func TestFindOracle(t *testing.T) {
	for seed := range uint64(400) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := randomSet(rnd)
		for range 200 {
			var regs []reg
			for range s.fields {
				regs = append(regs, knownNumber(uint64(rnd.IntN(40))))
			}
			require.Equal(t, s.scan(regs), s.find(regs), "seed %d: %v in %v", seed, regs, s.keys)
		}
	}
}

func randomSet(rnd *rand.Rand) *set {
	s := &set{rest: -1}
	for range 1 + rnd.IntN(3) {
		s.fields = append(s.fields, sized(32))
	}
	ranges := rnd.IntN(2) == 0
	for range rnd.IntN(30) {
		var spans []span
		for range s.fields {
			lo := uint64(rnd.IntN(40))
			hi := lo
			if ranges && rnd.IntN(2) == 0 {
				hi += uint64(rnd.IntN(5))
			}
			spans = append(spans, span{number(lo), number(hi)})
		}
		if !s.overlaps(spans) { // the kernel takes none
			s.keys = append(s.keys, spans...)
		}
	}
	if rnd.IntN(4) == 0 {
		s.rest = s.size()
		for range s.fields {
			s.keys = append(s.keys, span{number(1), word{}})
		}
	}
	s.index()
	return s
}

func (s *set) overlaps(spans []span) bool {
	for e := range s.size() {
		all := true
		for i, sp := range s.span(e) {
			all = all && !sp.hi.less(spans[i].lo) && !spans[i].hi.less(sp.lo)
		}
		if all {
			return true
		}
	}
	return false
}

// scan finds an element as find does, one by one.
func (s *set) scan(regs []reg) int32 {
	for e := range s.size() {
		if s.holds(e, regs) == netfilter.Yes {
			return e
		}
	}
	return s.rest
}

// What is said of a value of which not all is known holds for each value that it
// may have.
func TestUnknownBitsOracle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		lo := uint64(rnd.IntN(64))
		sp := span{number(lo), number(lo + uint64(rnd.IntN(16)))}
		r := reg{v: number(uint64(rnd.IntN(64))), unk: number(uint64(rnd.IntN(64)))}
		other := reg{v: number(uint64(rnd.IntN(64))), unk: number(uint64(rnd.IntN(64)))}
		bits := number(uint64(rnd.IntN(64)))
		for a := range uint64(64) {
			if number(a).xor(r.v).and(r.unk.not()) != (word{}) {
				continue
			}
			agrees(t, sp.has(r), !number(a).less(sp.lo) && !sp.hi.less(number(a)))
			agrees(t, r.anyBit(bits), !number(a).and(bits).zero())
			for b := range uint64(64) {
				if number(b).xor(other.v).and(other.unk.not()) == (word{}) {
					agreesBits(t, r, other, a, b)
				}
			}
		}
	}
}

func agrees(t *testing.T, a netfilter.Answer, is bool) {
	t.Helper()
	if a == netfilter.Yes && !is || a == netfilter.No && is {
		t.Fatal("answered ", a, ", but it may be ", is)
	}
}

func agreesBits(t *testing.T, x, y reg, a, b uint64) {
	t.Helper()
	for op, is := range map[byte]uint64{'&': a & b, '|': a | b, '^': a ^ b} {
		got := (&bitwise{op, constant(x), constant(y)}).load(nil)
		if number(is).xor(got.v).and(got.unk.not()) != (word{}) {
			t.Fatalf("%d %c %d is %d, not %v", a, op, b, is, got)
		}
	}
}

type constant reg

func (c constant) load(*netfilter.Frame) reg { return reg(c) }
