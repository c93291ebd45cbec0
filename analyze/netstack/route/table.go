package route

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// A table is one routing table of one family: entries by destination, the
// longest prefix first, and for one destination in the kernel's order.
type table struct {
	lpm bart.Table[[]*entry]
}

func (t *table) insert(e *entry) {
	t.lpm.Modify(e.prefix, func(have []*entry, _ bool) ([]*entry, bool) { return append(have, e), false })
}

// sort puts the entries of each destination in the order in which they are
// tried. IPv4 (fib_table_insert): table local before main, larger TOS first,
// then metric; IPv6 (fib6_add_rt2node): metric. What is equal stays as dumped.
func (t *table) sort() {
	for _, entries := range t.lpm.All() {
		if len(entries) > 1 {
			slices.SortStableFunc(entries, compareEntries)
		}
	}
}

func compareEntries(a, b *entry) int {
	if a.prefix.Addr().Is4() {
		if c := b.table - a.table; c != 0 {
			return c
		}
		if c := int(b.tos) - int(a.tos); c != 0 {
			return c
		}
	}
	return a.metric - b.metric
}

// insert adds e to its table of fam and, if the kernel keeps them as one, to
// that of local and main.
func (f *FIB) insert(fam *family, e *entry) {
	t := fam.tables[e.table]
	if t == nil {
		t = new(table)
		fam.tables[e.table] = t
	}
	t.insert(e)
	f.noteCustom(e)
	if !f.merged || fam != &f.v4 || e.table != TableLocal && e.table != TableMain {
		return
	}
	if fam.both == nil {
		fam.both = new(table)
	}
	fam.both.insert(e)
}

// noteCustom remembers whether somebody other than the kernel added local
// routes (fib_has_custom_local_routes).
func (f *FIB) noteCustom(e *entry) {
	if e.typ == TypeLocal && e.prefix.Addr().Is4() && e.route != nil && e.route.Protocol != "kernel" && e.route.Protocol != "" {
		f.custom = true
	}
}

func (f *FIB) sortTables() {
	for _, fam := range []*family{&f.v4, &f.v6} {
		for _, t := range fam.tables {
			t.sort()
		}
		if fam.both != nil {
			fam.both.sort()
		}
	}
}

// markOwnGateways finds the IPv4 routes whose gateway is an address of the
// namespace itself. The kernel takes their destinations to be on link:
// fib_check_nh gives such a next hop host scope, and rt_set_nexthop uses
// gateways of link scope only.
func (f *FIB) markOwnGateways() {
	type question struct {
		table int
		scope scope
		dev   string
		via   netip.Addr
	}
	asked := map[question]scope{} // many routes share few gateways
	for id, t := range f.v4.tables {
		for _, entries := range t.lpm.All4() {
			for _, e := range entries {
				for i := range e.hops {
					h := &e.hops[i]
					if !h.via.Is4() || h.onlink {
						continue
					}
					q := question{id, e.scope, h.dev, h.via}
					if _, known := asked[q]; !known {
						asked[q] = f.gatewayScope(id, e, h)
					}
					h.own = asked[q] >= scopeHost
				}
			}
		}
	}
}

// gatewayScope is fib_check_nh_v4_gw: how near the gateway is, by the route's
// own table or else by all. The kernel asks when the route is added; here the
// state of the dump answers.
func (f *FIB) gatewayScope(id int, e *entry, h *hop) scope {
	fl := flow{dst: h.via, iif: loopback, oif: h.dev, least: max(e.scope+1, scopeLink), ignoreLinkstate: true}
	a := answer{}
	switch id {
	case TableMain:
	case TableLocal:
		a = f.localTable().lookup4(&fl)
	default:
		a = f.v4.tables[id].lookup4(&fl)
	}
	if a.entry == nil || a.refusal != "" {
		a, _ = f.ask(&fl)
	}
	if a.entry == nil || a.refusal != "" {
		return scopeLink
	}
	return a.entry.scope
}

// An answer is what a table or the rules say: an entry and which of its hops,
// nothing (entry nil, refusal ""), or that a rule refuses the packet.
type answer struct {
	entry   *entry
	hop     int
	refusal Type // by a rule, or by an entry that refuses
	rule    *rule
}

func (a answer) found() bool { return a.entry != nil || a.refusal != "" }

// lookup4 is fib_table_lookup: from the longest prefix to the shortest, the
// first entry that fits. Entries that refuse, throw ones too, end the search.
func (t *table) lookup4(fl *flow) (a answer) {
	if t == nil {
		return answer{}
	}
	for _, entries := range t.lpm.Supernets(netip.PrefixFrom(fl.dst, 32)) {
		if a = fit4(entries, fl); a.entry != nil {
			break
		}
	}
	return a
}

// fit4 returns the first of the entries of one destination that fits.
func fit4(entries []*entry, fl *flow) answer {
	for _, e := range entries {
		if e.tos != 0 && e.tos != fl.tos&tosMask || e.scope < fl.least {
			continue
		}
		if e.refuses() {
			return answer{entry: e, refusal: e.typ}
		}
		for i := range e.hops {
			if e.hops[i].good(fl.oif, fl.ignoreLinkstate) {
				return answer{entry: e, hop: i}
			}
		}
	}
	return answer{}
}

// tosMask is what of the TOS IPv4 routes and rules compare: the three upper
// bits of the old TOS field (INET_DSCP_LEGACY_TOS_MASK).
const tosMask = 0x1c
