package k8s

import (
	"net/netip"
	"slices"
)

// A prefixMap finds the longest prefix that holds an address.
type prefixMap struct {
	names map[netip.Prefix]string
	bits4 []int // lengths that occur, longest first
	bits6 []int
}

// add notes that prefix belongs to name. The first name wins.
func (m *prefixMap) add(prefix netip.Prefix, name string) {
	prefix = prefix.Masked()
	if m.names == nil {
		m.names = map[netip.Prefix]string{}
	}
	if _, twice := m.names[prefix]; twice {
		return
	}
	m.names[prefix] = name
	bits := &m.bits6
	if prefix.Addr().Is4() {
		bits = &m.bits4
	}
	at, found := slices.BinarySearchFunc(*bits, prefix.Bits(), func(have, want int) int { return want - have })
	if !found {
		*bits = slices.Insert(*bits, at, prefix.Bits())
	}
}

func (m *prefixMap) lookup(ip netip.Addr) (string, bool) {
	bits := m.bits6
	if ip.Is4() {
		bits = m.bits4
	}
	for _, b := range bits {
		p, err := ip.WithZone("").Prefix(b)
		if err != nil {
			return "", false
		}
		if name, ok := m.names[p]; ok {
			return name, true
		}
	}
	return "", false
}
