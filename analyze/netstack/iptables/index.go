package iptables

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A long chain is looked up, not scanned. Its rules are sorted into tables by
// what they ask of a packet's header exactly: a prefix of an address, the
// protocol, a port, a device. A packet is looked up once in each table, and the
// rules found are compared with it in the order of the chain. Rules that ask
// for nothing of that kind are compared with every packet. A rule that is not
// found would not have matched, and asks no question before its header does.
const (
	minIndexed = 8  // how many rules are worth a table
	maxTables  = 16 // of a chain; the rules of more lie in a coarser one
)

// A shape says which parts of a header a table is about.
type shape struct {
	src, dst uint8 // lengths of the prefixes, 0 for none
	ipv6     bool
	fields   uint8
}

// The fields of a header beside its addresses.
const (
	fieldProto = 1 << iota
	fieldSport
	fieldDport
	fieldIn
	fieldOut
)

// covers reports whether s asks for nothing that t does not ask for.
func (s shape) covers(t shape) bool {
	return s.src <= t.src && s.dst <= t.dst && (s.src|s.dst == 0 || s.ipv6 == t.ipv6) && s.fields&^t.fields == 0
}

// shapeOf returns what h asks for exactly.
func shapeOf(h *header) shape {
	s := shape{}
	for i, exact := range [...]bool{h.proto != "" && !h.notProto, h.sport.exact(), h.dport.exact(), h.in.exact(), h.out.exact()} {
		if exact {
			s.fields |= 1 << i
		}
	}
	if h.dst.exact() {
		s.dst, s.ipv6 = uint8(h.dst.prefix.Bits()), h.dst.prefix.Addr().Is6()
	}
	if h.src.exact() && (s.dst == 0 || s.ipv6 == h.src.prefix.Addr().Is6()) {
		s.src, s.ipv6 = uint8(h.src.prefix.Bits()), h.src.prefix.Addr().Is6()
	}
	return s
}

func (r portRange) exact() bool { return r.set && !r.not && r.lo == r.hi }

func (m *ifaceMatch) exact() bool { return m != nil && !m.not && !m.wild }

func (m *addrMatch) exact() bool { return m != nil && !m.not && m.mask == nil && m.prefix.Bits() > 0 }

// An index holds the tables of a chain. Its lists of rules are in the order of
// the chain and end with the number of rules.
type index struct {
	shapes []shape
	heads  map[uint64]int32 // the first rule of each entry of each table, by its hash
	rest   int32            // the first rule that is in no table
	after  []int32          // the next rule of the list that a rule is in
}

// A cursor is where a packet is in the lists that it was looked up to.
type cursor struct{ lists [maxTables + 1]int32 }

// keys are what tables are asked for: a header as numbers. Equal headers have
// equal keys; rules with equal keys are compared with the packet in full.
type keys struct {
	src, dst                     [2]uint64
	ipv6, known                  bool
	proto, sport, dport, in, out uint64
}

// read fills in k for a packet. No rule changes a header and goes on.
func (k *keys) read(f *netfilter.Frame) {
	if k.known {
		return
	}
	p := &f.Packet
	*k = keys{
		src: wide(p.Src.Addr()), dst: wide(p.Dst.Addr()), ipv6: p.Dst.Addr().Is6(), proto: textKey(string(p.Protocol)),
		sport: uint64(p.Src.Port()), dport: uint64(p.Dst.Port()), in: textKey(f.In), out: textKey(f.Out), known: true,
	}
}

// keysOf fills in the keys of what h asks for.
func keysOf(h *header) keys {
	k := keys{proto: textKey(string(h.proto)), sport: uint64(h.sport.lo), dport: uint64(h.dport.lo)}
	if h.src != nil {
		k.src = wide(h.src.prefix.Addr())
	}
	if h.dst != nil {
		k.dst = wide(h.dst.prefix.Addr())
	}
	if h.in != nil {
		k.in = textKey(h.in.name)
	}
	if h.out != nil {
		k.out = textKey(h.out.name)
	}
	return k
}

// wide returns an address in the high bits of 128.
func wide(a netip.Addr) [2]uint64 {
	if a.Is4() {
		b := a.As4()
		return [2]uint64{uint64(binary.BigEndian.Uint32(b[:])) << 32, 0}
	}
	b := a.As16()
	return [2]uint64{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func textKey(s string) uint64 {
	h := uint64(len(s))
	for i := range len(s) {
		h = mix(h, uint64(s[i]))
	}
	return h
}

func mix(h, n uint64) uint64 {
	h = (h ^ n) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// mixPrefix mixes the first bits of a into h.
func mixPrefix(h uint64, a [2]uint64, length uint8) uint64 {
	switch {
	case length == 0:
		return h
	case length <= 64:
		return mix(h, a[0]>>(64-length))
	}
	return mix(mix(h, a[0]), a[1]>>(128-length))
}

// hash returns the key of the n-th table's entry for k.
func (s shape) hash(n int, k *keys) uint64 {
	h := mixPrefix(mixPrefix(mix(0, uint64(n)), k.dst, s.dst), k.src, s.src)
	for i, key := range [...]uint64{k.proto, k.sport, k.dport, k.in, k.out} {
		if s.fields&(1<<i) != 0 {
			h = mix(h, key)
		}
	}
	return h
}

// buildIndexes gives every long chain its index.
func (p *parser) buildIndexes() {
	for _, t := range p.rs.tables {
		for _, c := range t.chains {
			if len(c.Rules) >= minIndexed {
				c.index = newIndex(c.Rules)
			}
		}
	}
}

// newIndex returns an index of rules, nil if they are not worth one.
func newIndex(rules []*Rule) *index {
	shapes := commonShapes(rules)
	if len(shapes) == 0 {
		return nil
	}
	ix := &index{shapes: shapes, heads: map[uint64]int32{}, rest: int32(len(rules)), after: make([]int32, len(rules))}
	for i := len(rules) - 1; i >= 0; i-- { // from the end, so that each comes before what is in its list
		ix.put(int32(i), rules[i].head)
	}
	return ix
}

func (ix *index) put(i int32, h *header) {
	is := shapeOf(h)
	n := slices.Index(ix.shapes, is)
	if n < 0 {
		n = slices.IndexFunc(ix.shapes, func(s shape) bool { return s.covers(is) })
	}
	if n < 0 {
		ix.after[i], ix.rest = ix.rest, i
		return
	}
	k := keysOf(h)
	key := ix.shapes[n].hash(n, &k)
	ix.after[i] = int32(len(ix.after))
	if first, ok := ix.heads[key]; ok {
		ix.after[i] = first
	}
	ix.heads[key] = i
}

// commonShapes returns the shapes that are worth a table, the finest first.
func commonShapes(rules []*Rule) []shape {
	counts := map[shape]int{}
	for _, r := range rules {
		if s := shapeOf(r.head); s != (shape{}) {
			counts[s]++
		}
	}
	var shapes []shape
	for s, n := range counts {
		if n >= minIndexed {
			shapes = append(shapes, s)
		}
	}
	slices.SortFunc(shapes, func(a, b shape) int { return cmp.Or(counts[b]-counts[a], a.compare(b)) })
	shapes = shapes[:min(len(shapes), maxTables)]
	slices.SortFunc(shapes, shape.compare)
	return shapes
}

// compare orders shapes by how fine they are; the order is the same each time.
func (s shape) compare(t shape) int {
	return cmp.Or(cmp.Compare(t.fineness(), s.fineness()), cmp.Compare(t.dst, s.dst), cmp.Compare(t.src, s.src), cmp.Compare(t.fields, s.fields))
}

// fineness is how much a table of the shape tells rules apart, roughly.
func (s shape) fineness() int {
	return int(s.dst) + int(s.src) + 16*bits.OnesCount8(s.fields&^fieldProto)
}

// find looks a packet up.
func (ix *index) find(k *keys) (c cursor) {
	end := int32(len(ix.after))
	for n, s := range ix.shapes {
		c.lists[n] = end
		if s.ipv6 != k.ipv6 && s.src|s.dst > 0 {
			continue
		}
		if first, ok := ix.heads[s.hash(n, k)]; ok {
			c.lists[n] = first
		}
	}
	c.lists[len(ix.shapes)] = ix.rest
	return c
}

// next returns the first rule from number from on that the packet may match.
func (ix *index) next(c *cursor, from int) int {
	best := int32(len(ix.after))
	for n := range c.lists[:len(ix.shapes)+1] {
		at := c.lists[n]
		for at < int32(from) {
			at = ix.after[at]
		}
		c.lists[n] = at
		best = min(best, at)
	}
	return int(best)
}
