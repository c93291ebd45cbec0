package check

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A namer says in words that mean the same on every node what an address is.
type namer struct {
	s       *scope
	n       *host
	own     []netip.Prefix // pod CIDRs of the node
	others  []netip.Prefix // of the other nodes
	network []netip.Prefix // that the node lies in
}

func newNamer(s *scope, n *host) *namer {
	m := &namer{s: s, n: n, own: s.env.IPCache.GetNodePodCIDRs(n.name)}
	for _, other := range s.nodes {
		if other != n {
			m.others = append(m.others, s.env.IPCache.GetNodePodCIDRs(other.name)...)
		}
	}
	for _, r := range s.nodeRanges(n) {
		m.network = append(m.network, r.prefix.Masked())
	}
	return m
}

// addr names an address.
func (m *namer) addr(ip netip.Addr) string {
	node, isNode := m.s.env.IPCache.GetNodeNameFromIP(ip)
	switch {
	case isNode && node == m.n.name:
		return "{node}"
	case isNode:
		return "{other node}"
	case in(m.own, ip) || m.pod(ip):
		return "{pod}"
	case in(m.others, ip) || in(m.s.env.ClusterCIDRs, ip):
		return "{pod elsewhere}"
	case in(m.network, ip):
		return "{neighbour}"
	}
	return ip.String()
}

// pod reports whether an address is a pod's of the node: not all have addresses of
// its pod CIDR.
func (m *namer) pod(ip netip.Addr) bool {
	pod, ok := m.s.env.IPCache.GetPodFromIP(ip)
	return ok && pod.Spec.NodeName == m.n.name
}

// prefix names a range.
func (m *namer) prefix(p netip.Prefix) string {
	switch {
	case p.IsSingleIP():
		return m.addr(p.Addr())
	case equal(m.own, p):
		return "{pods}"
	case equal(m.others, p):
		return "{pods of a node}"
	case equal(m.s.env.ClusterCIDRs, p):
		return p.String()
	case in(m.own, p.Addr()):
		return fmt.Sprintf("{part of pods}/%d", p.Bits())
	case p.Bits() > 0 && in(m.s.env.ClusterCIDRs, p.Addr()):
		return fmt.Sprintf("{pods elsewhere}/%d", p.Bits())
	case equal(m.network, p):
		return "{network}"
	}
	return p.String()
}

// dev names a device. Names that only this node has would make every node odd.
func (m *namer) dev(name string) string {
	d, ok := m.n.ns.Device(name)
	if !ok {
		return name
	}
	if r := role(m.n, d); r != "" {
		return r
	}
	if d.Kind == "veth" {
		return "{cable}"
	}
	return name
}

func in(list []netip.Prefix, ip netip.Addr) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

func equal(list []netip.Prefix, p netip.Prefix) bool {
	for _, q := range list {
		if q.Masked() == p.Masked() {
			return true
		}
	}
	return false
}

// routeTraits are the shapes of a node's routes: how many routes to the pods of
// another node there are of a shape, and of the others whether there are any. The
// local table, IPv6's own and what is for one pod are left out.
func routeTraits(s *scope, n *host) (list []trait, ok bool) {
	if n.ns.Unread("routes") != nil || n.ns.Unread("rules") != nil || !routable(n) {
		return nil, false
	}
	m := newNamer(s, n)
	count, first := map[string]int{}, map[string]trait{}
	var order []string
	add := func(t trait) {
		if count[t.key] == 0 {
			order = append(order, t.key)
			first[t.key] = t
		}
		count[t.key]++
	}
	for i := range n.ns.Info.Routes {
		if t, ok := m.route(&n.ns.Info.Routes[i]); ok {
			add(t)
		}
	}
	for i := range n.ns.Info.Rules {
		add(m.rule(&n.ns.Info.Rules[i]))
	}
	for _, key := range order {
		t := first[key]
		if strings.Contains(key, "{pods of a node}") {
			t.value = fmt.Sprint(count[key])
			t.key = "the number of times " + t.key
		}
		list = append(list, t)
	}
	return list, true
}

// route is the shape of a route.
func (m *namer) route(r *nodedump.Route) (trait, bool) {
	dst, err := netip.ParsePrefix(r.Dst)
	if err != nil || r.Table == route.TableLocal || dst.Addr().IsLinkLocalUnicast() || dst.Addr().IsMulticast() {
		return trait{}, false
	}
	to := m.prefix(dst)
	if dst.Bits() == 0 {
		to = "default"
	}
	if to == "{pod}" || to == "{node}" || strings.HasPrefix(to, "{part of pods}") || m.dev(r.Dev) == "{cable}" {
		return trait{}, false
	}
	raw := strings.Join(strings.Fields(strings.Join([]string{"the route", r.Type, r.Dst, r.Via, r.Dev}, " ")), " ")
	return trait{key: "the route " + m.shape(r, to), text: raw, at: line(m.n.ns.Info.File, r.Line), matters: dst.Bits() == 0 || r.Type != ""}, true
}

// shape is a route without its destination's name on this node.
func (m *namer) shape(r *nodedump.Route, to string) string {
	text := strings.TrimSpace(r.Type + " " + to)
	if via, err := netip.ParseAddr(r.Via); err == nil {
		text += " via " + m.addr(via)
	}
	if r.Dev != "" {
		text += " dev " + m.dev(r.Dev)
	}
	if r.Table != route.TableMain {
		text += fmt.Sprintf(" table %d", r.Table)
	}
	return text
}

// rule is the shape of a policy rule.
func (m *namer) rule(r *nodedump.Rule) trait {
	var b strings.Builder
	fmt.Fprintf(&b, "the policy rule %d of IPv%d:", r.Priority, r.Family)
	if r.Not {
		b.WriteString(" not")
	}
	for _, part := range []struct{ word, value string }{{"from", r.From}, {"to", r.To}} {
		if p, err := netip.ParsePrefix(part.value); err == nil {
			fmt.Fprintf(&b, " %s %s", part.word, m.prefix(p))
		}
	}
	if r.IIf != "" {
		b.WriteString(" iif " + m.dev(r.IIf))
	}
	if r.Mark != 0 || r.Mask != 0 {
		fmt.Fprintf(&b, " fwmark %#x/%#x", r.Mark, r.Mask)
	}
	if r.Action != "" {
		b.WriteString(" " + r.Action)
	}
	if table := fmt.Sprintf(" table %d", r.Table); strings.Contains(b.String(), "{pod}") && r.Table != route.TableMain {
		b.WriteString(" table {of its device}")
	} else {
		b.WriteString(table)
	}
	return trait{key: b.String(), at: line(m.n.ns.Info.File, r.Line), matters: true}
}

func line(file string, n int) string {
	if n == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, n)
}
