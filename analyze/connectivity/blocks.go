package connectivity

import (
	"net/netip"
	"slices"
	"strings"
)

// A block is addresses that no rule tells apart: those of a prefix, without
// those of the blocks in it.
type block struct {
	prefix   netip.Prefix
	parent   *block // nil for all addresses of a family
	children []*block
	class    int
}

// A blockTree has the blocks that prefixes cut the addresses of both families
// into.
type blockTree struct{ roots []*block }

func newBlockTree(prefixes []netip.Prefix) *blockTree {
	t := &blockTree{}
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		t.roots = append(t.roots, &block{prefix: netip.MustParsePrefix(all)})
	}
	masked := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		if p.IsValid() {
			masked = append(masked, p.Masked())
		}
	}
	slices.SortFunc(masked, netip.Prefix.Compare) // those that hold others are before them
	for _, p := range slices.Compact(masked) {
		if b := t.of(p.Addr()); b.prefix != p {
			b.children = append(b.children, &block{prefix: p, parent: b})
		}
	}
	return t
}

// of returns the smallest block with an address.
func (t *blockTree) of(a netip.Addr) *block {
	b := t.root(a)
	for {
		// The children are sorted and have nothing in common.
		i, found := slices.BinarySearchFunc(b.children, a, func(c *block, a netip.Addr) int {
			if c.prefix.Contains(a) {
				return 0
			}
			return c.prefix.Addr().Compare(a)
		})
		if !found {
			return b
		}
		b = b.children[i]
	}
}

func (t *blockTree) root(a netip.Addr) *block {
	if a.Is4() {
		return t.roots[0]
	}
	return t.roots[1]
}

// example returns an address of the block, false if the blocks in it leave none.
func (b *block) example() (netip.Addr, bool) {
	a := b.prefix.Addr()
	for _, c := range b.children {
		if c.prefix.Addr() != a {
			break
		}
		a = last(c.prefix).Next()
		if !b.prefix.Contains(a) {
			return netip.Addr{}, false
		}
	}
	return a, true
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

// each calls f for the block and for those in it.
func (b *block) each(f func(*block)) {
	f(b)
	for _, c := range b.children {
		c.each(f)
	}
}

// merge takes away blocks that are of the class of the one that holds them.
func (b *block) merge() {
	var children []*block
	for _, c := range b.children {
		c.merge()
		if c.class != b.class {
			children = append(children, c)
			continue
		}
		for _, grandchild := range c.children {
			grandchild.parent = b
			children = append(children, grandchild)
		}
	}
	b.children = children
}

// A Block is the addresses of a prefix, without some.
type Block struct {
	Prefix netip.Prefix
	Except []netip.Prefix // sorted
}

func (b *block) block() Block {
	out := Block{Prefix: b.prefix}
	for _, c := range b.children {
		out.Except = append(out.Except, c.prefix)
	}
	return out
}

// String is for people: "10.0.0.0/8 (except 10.1.0.0/16, 10.2.0.1)".
func (b Block) String() string {
	var except []string
	for _, e := range b.Except {
		except = append(except, prefixText(e))
	}
	if len(except) == 0 {
		return prefixText(b.Prefix)
	}
	return prefixText(b.Prefix) + " (except " + strings.Join(except, ", ") + ")"
}

// prefixText leaves out the length of a single address.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
