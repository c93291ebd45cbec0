package check

import (
	"cmp"
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
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

// checkPodRules notes rules that drop or reject in the namespaces of pods, where
// no agent of the network looks: one note for all pods of a node.
func checkPodRules(s *scope) {
	for _, n := range s.read() {
		var first string
		var names []string
		for _, p := range n.pods {
			if rule, where := refusing(p.ns); rule != "" {
				names = append(names, fmt.Sprintf("pod %s (%s)", p.name(), rule))
				first = cmp.Or(first, where)
			}
		}
		if len(names) > 0 {
			s.find(n.name, model.Suspicion{Level: model.SuspicionLevelInfo, Code: "netfilter/drop", Evidence: first,
				Message: "rules in pods' own namespaces drop or reject packets: " + several(names), Remedy: "Remove the rules, if they are not meant."})
		}
	}
}

// refusing is the first rule of a namespace that drops or rejects, "" if there is
// none or the namespace was not collected.
func refusing(ns *netstack.NetNS) (rule, where string) {
	if ns == nil {
		return "", ""
	}
	for _, set := range append(ns.Tables(false), ns.Tables(true)...) {
		for _, table := range set.Tables() {
			for _, c := range set.Chains(table) {
				for _, r := range c.Rules {
					if refuses(r.Raw) {
						return table + " " + r.Raw, set.Evidence(r)
					}
				}
			}
		}
	}
	return "", ""
}
