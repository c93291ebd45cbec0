package check

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
)

// checkInfra asks the provider whether the network between machines lets pods on
// different nodes reach each other, where no tunnel carries their packets.
func checkInfra(s *scope) {
	if checker, ok := s.a.Underlay().(infra.Checker); ok {
		checker.Check(s.bare(), between{s})
	}
}

// bare are the ranges of pods that other nodes send to with no tunnel, by node:
// those in which pods of the node have addresses.
func (s *scope) bare() map[string][]netip.Prefix {
	out := map[string][]netip.Prefix{}
	for _, n := range s.nodes {
		for _, p := range s.env.IPCache.GetNodePodCIDRs(n.name) {
			if inUse(n, p) && s.sentBare(n) {
				out[n.name] = append(out[n.name], p)
			}
		}
	}
	return out
}

// inUse reports whether a pod of a node has an address in a range.
func inUse(n *host, p netip.Prefix) bool {
	for _, one := range n.pods {
		for _, ip := range podIPs(one.pod) {
			if p.Contains(ip) {
				return true
			}
		}
	}
	return false
}

// sentBare reports whether another node sends to the pods of a node with no
// tunnel.
func (s *scope) sentBare(n *host) bool {
	for _, other := range s.nodes {
		if dev, ok := s.toward(other, n); ok && !tunnel(dev) {
			return true
		}
	}
	return false
}

// between reports to a scope what a provider finds.
type between struct{ *scope }

// Report implements infra.Reporter.
func (b between) Report(node string, f model.Suspicion) { b.find(node, f) }

// Unknown implements infra.Reporter.
func (b between) Unknown(node, evidence, what string) { b.unknown(node, evidence, "%s", what) }
