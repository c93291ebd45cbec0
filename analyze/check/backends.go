package check

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// checkBackends is about nodes where packets meet the rules of both backends of
// iptables, of which each tool shows one.
func checkBackends(s *scope) {
	for _, n := range s.read() {
		for _, ipv6 := range []bool{false, true} {
			sets := n.ns.Tables(ipv6)
			s.backends(n, sets[0], sets[1])
		}
	}
}

func (s *scope) backends(n *host, nft, legacy *iptables.Ruleset) {
	rules, _ := nft.Stats()
	known, file, why := legacy.Status()
	if !known && rules > 0 {
		s.unknown(n.name, file, "whether node %s has rules of iptables-legacy beside the others: %s", n.name, why)
		return
	}
	old, meets := firstMet(legacy)
	if _, also := firstMet(nft); !meets || !also {
		return
	}
	count, _ := legacy.Stats()
	s.find(n.name, model.Suspicion{Level: model.SuspicionLevelWarning, Code: "netfilter/mixed-backends", Evidence: legacy.Evidence(old),
		Message: fmt.Sprintf("packets on node %s meet %d of iptables-legacy beside the %d of iptables-nft, and each tool shows only its own: the first is %s", n.name, count, rules, old.Raw),
		Remedy:  "Move the rules to one backend: iptables-legacy-save lists those of the old one."})
}

// firstMet returns the first rule that packets meet: one of a base chain.
func firstMet(r *iptables.Ruleset) (*iptables.Rule, bool) {
	for _, table := range r.Tables() {
		for _, c := range r.Chains(table) {
			if c.Policy != netfilter.Continue && len(c.Rules) > 0 {
				return c.Rules[0], true
			}
		}
	}
	return nil, false
}
