package route

import "github.com/pathsnap/pathsnap/analyze/model"

// ask asks the policy rules in order of priority (fib_rules_lookup). IPv4
// without custom rules skips them (fib_lookup). The doubt is what the answer
// hangs on.
func (f *FIB) ask(fl *flow) (answer, *model.Doubt) {
	fam := f.family(fl.dst)
	if fam == &f.v4 && f.merged {
		return f.askMerged(fl), fam.doubt
	}
	doubt := fam.doubt
	for i := 0; i < len(fam.rules); i++ {
		r := &fam.rules[i]
		doubt = orElse(doubt, r.open(fl, &f.devices))
		if !r.matches(fl, &f.devices) {
			continue
		}
		switch r.kind {
		case actNop:
		case actGoto:
			if r.target > i {
				i = r.target - 1
			}
		case actRefuse:
			return answer{refusal: Type(r.Action), rule: r}, doubt
		case actLookup:
			if a := f.lookupBy(r, fam, fl); a.found() {
				return a, doubt
			}
		}
	}
	return answer{}, doubt
}

// lookupBy looks the packet up in the table of a rule. What throws, and what
// the rule suppresses, was not found.
func (f *FIB) lookupBy(r *rule, fam *family, fl *flow) answer {
	id := r.Table
	if r.L3MDev {
		id = f.devices.byName[fl.vrf].VRFTable
	}
	a := f.lookupTable(fam, fam.tables[id], fl)
	if !a.found() || a.refusal == TypeThrow || a.refusal == "" && f.suppresses(r, a) {
		return answer{}
	}
	a.rule = r
	return a
}

// lookupTable looks the packet up in one table. IPv6 decides multipath routes
// there (ip6_pol_route), IPv4 only when all rules are through.
func (f *FIB) lookupTable(fam *family, t *table, fl *flow) answer {
	if fam == &f.v4 {
		return t.lookup4(fl)
	}
	a := f.lookup6(t, fl)
	if a.refusal == "" && a.entry != nil && a.entry.typ == TypeUnicast && !(fl.plain && fl.near != "") {
		only := ""
		if fl.strict {
			only = fl.near
		}
		a.hop = a.entry.pick(only, fl.choices)
	}
	return a
}

// suppresses is fib4_rule_suppress and fib6_rule_suppress: the rule takes no
// route that is as short as this, or that leaves by a device of the group. Of
// an IPv4 multipath the first next hop counts, chosen or not; of an IPv6 one
// the chosen.
func (f *FIB) suppresses(r *rule, a answer) bool {
	if r.SuppressPrefixLen != nil && a.entry.prefix.Bits() <= *r.SuppressPrefixLen {
		return true
	}
	if r.Family == 4 {
		a.hop = 0
	}
	dev := f.devices.byName[a.entry.hops[a.hop].dev]
	return r.SuppressIfGroup != nil && dev != nil && dev.Group == *r.SuppressIfGroup
}

// askMerged is fib_lookup without custom rules: one search in local and main
// together, so that the longest prefix of both wins, then one in default.
func (f *FIB) askMerged(fl *flow) answer {
	a := f.v4.both.lookup4(fl)
	if a.entry == nil || a.refusal == TypeThrow {
		a = f.v4.tables[TableDefault].lookup4(fl)
	}
	if a.entry == nil || a.refusal == TypeThrow {
		return answer{}
	}
	for i := range f.v4.rules {
		if f.v4.rules[i].Table == a.entry.table {
			a.rule = &f.v4.rules[i]
		}
	}
	return a
}
