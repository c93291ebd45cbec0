package plugin

import (
	"net/netip"
	"slices"
)

// Ranges are the ranges that nodes give their pods addresses from: which node has
// which. A plugin fills them from the records of its network.
type Ranges struct {
	nodes   map[netip.Prefix][]string
	lengths []int // of the prefixes, the longest first

	// Borrower returns the node that has an address, whoever has its range, and
	// whether that is known at all; "" if nobody has it. nil if the network lends
	// no addresses.
	Borrower func(netip.Addr) (node string, known bool)
}

// Add tells that a node has a range.
func (r *Ranges) Add(p netip.Prefix, node string) {
	p = p.Masked()
	if r.nodes == nil {
		r.nodes = map[netip.Prefix][]string{}
	}
	if !slices.Contains(r.nodes[p], node) {
		r.nodes[p] = append(r.nodes[p], node)
	}
	if !slices.Contains(r.lengths, p.Bits()) {
		r.lengths = append(r.lengths, p.Bits())
		slices.SortFunc(r.lengths, func(a, b int) int { return b - a })
	}
}

// Of returns the smallest range that ip is of, and the nodes that have it: one, if
// nothing is wrong.
func (r *Ranges) Of(ip netip.Addr) (p netip.Prefix, nodes []string, ok bool) {
	for _, n := range r.lengths {
		if p, err := ip.Prefix(n); err == nil && r.nodes[p] != nil {
			return p, r.nodes[p], true
		}
	}
	return netip.Prefix{}, nil, false
}

// Has returns the range that ip is of, if a node has it.
func (r *Ranges) Has(node string, ip netip.Addr) (netip.Prefix, bool) {
	p, nodes, _ := r.Of(ip)
	return p, slices.Contains(nodes, node)
}

// Aims are, by node, addresses to ask for the ways to the nodes with: one of each
// range of a node, a pod's where it has one there, and those that its pods borrowed.
// What several nodes have is no aim.
func (r *Ranges) Aims(c Census) map[string][]netip.Addr {
	all, used := map[string][]netip.Addr{}, map[netip.Prefix]bool{}
	for _, n := range c.Nodes {
		if aims := r.pods(c, n.Name, used); len(aims) > 0 {
			all[n.Name] = aims
		}
	}
	for _, p := range r.sorted() {
		if nodes := r.nodes[p]; len(nodes) == 1 && !used[p] {
			if ip, ok := r.sample(p, nodes[0]); ok {
				all[nodes[0]] = append(all[nodes[0]], ip)
			}
		}
	}
	return all
}

// pods are the aims among the addresses of a node's pods. It notes the ranges of the
// node that they are of.
func (r *Ranges) pods(c Census, node string, used map[netip.Prefix]bool) (aims []netip.Addr) {
	seen := map[netip.Prefix]bool{}
	for _, pod := range c.Pods(node) {
		for _, ip := range PodIPs(pod) {
			p, nodes, ok := r.Of(ip)
			own := slices.Contains(nodes, node)
			if ok && !(own && seen[p]) {
				aims = append(aims, ip)
			}
			seen[p], used[p] = seen[p] || own, used[p] || own
		}
	}
	return aims
}

func (r *Ranges) sorted() (list []netip.Prefix) {
	for p := range r.nodes {
		list = append(list, p)
	}
	slices.SortFunc(list, netip.Prefix.Compare)
	return list
}

// sample is an address of a node's range that no other node borrowed: the first only
// if there is no other, since it is no pod's in some networks.
func (r *Ranges) sample(p netip.Prefix, node string) (netip.Addr, bool) {
	for ip := p.Addr().Next(); p.Contains(ip); ip = ip.Next() {
		if r.free(ip, node) {
			return ip, true
		}
	}
	return p.Addr(), r.free(p.Addr(), node)
}

// free reports whether no other node than the one has an address.
func (r *Ranges) free(ip netip.Addr, node string) bool {
	if r.Borrower == nil {
		return true
	}
	has, _ := r.Borrower(ip)
	return has == "" || has == node
}
