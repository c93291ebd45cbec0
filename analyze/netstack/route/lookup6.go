package route

import "net/netip"

// lookup6 is fib6_table_lookup: from the longest prefix to the shortest. A
// host, which does not forward, first leaves out routes by gateways that do
// not answer.
func (f *FIB) lookup6(t *table, fl *flow) answer {
	if t == nil {
		return answer{}
	}
	forwarding, _, _ := f.conf("ipv6", "all", "forwarding")
	if forwarding == 0 && len(f.failed) > 0 {
		if a := f.scan6(t, fl, true); a.entry != nil {
			return a
		}
	}
	return f.scan6(t, fl, false)
}

func (f *FIB) scan6(t *table, fl *flow, reachable bool) (a answer) {
	for _, entries := range t.lpm.Supernets(netip.PrefixFrom(fl.dst, 128)) {
		if a = f.fit6(entries, fl, reachable); a.entry != nil {
			break
		}
	}
	return a
}

// fit6 is find_rr_leaf: the best of the entries with the smallest metric, and
// if none of them fits the best of all others.
func (f *FIB) fit6(entries []*entry, fl *flow, reachable bool) answer {
	if fl.plain {
		return match6(entries, fl)
	}
	n := 0
	for n < len(entries) && entries[n].metric == entries[0].metric {
		n++
	}
	a := f.best6(entries[:n], fl, reachable)
	if a.entry == nil {
		a = f.best6(entries[n:], fl, reachable)
	}
	return refusedBy(a)
}

// match6 is rt6_device_match: the first of the entries that leaves by the device,
// whatever its metric, else the first of all unless only that device counts.
func match6(entries []*entry, fl *flow) (a answer) {
	for _, e := range entries {
		for i := range e.hops {
			if h := &e.hops[i]; !h.dead && fl.near != "" && h.dev == fl.near {
				return refusedBy(answer{entry: e, hop: i})
			}
		}
	}
	if first := entries[0]; !fl.strict && !first.hops[0].dead {
		return refusedBy(answer{entry: first})
	}
	return answer{}
}

// refusedBy notes that the entry of an answer refuses.
func refusedBy(a answer) answer {
	if a.entry != nil && a.entry.refuses() {
		a.refusal = a.entry.typ
	}
	return a
}

// best6 is __find_rr_leaf: the first entry with the highest score.
func (f *FIB) best6(entries []*entry, fl *flow, reachable bool) (a answer) {
	best := -1
	for _, e := range entries {
		for i := range e.hops {
			score := f.score6(&e.hops[i], fl, reachable)
			if score >= 0 {
				score += 4 * (e.pref + 2) // IPV6_DECODE_PREF
			}
			if score > best {
				best = score
				a = answer{entry: e, hop: i}
			}
		}
	}
	return a
}

// score6 is rt6_score_route with find_match but for the preference of the
// router, -1 if h cannot be used.
func (f *FIB) score6(h *hop, fl *flow, reachable bool) int {
	score := 0
	if fl.near == "" || fl.near == h.dev {
		score = 2
	}
	switch {
	case h.dead, h.idle && !fl.ignoreLinkstate,
		score == 0 && fl.strict,
		reachable && h.via.IsValid() && f.failed[neighbour{h.dev, h.via}]:
		return -1
	}
	return score
}

// needsStrict is rt6_need_strict: addresses that mean nothing without the
// device.
func needsStrict(a netip.Addr) bool {
	return a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsLoopback()
}
