package check

import (
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// checkNetwork asks the network plugin of each node what it needs of the node.
// One that means nothing in particular has no answer: the ways between nodes tell
// whether it works.
func checkNetwork(s *scope) {
	if p, _ := s.a.NetworkPlugin(""); p == nil {
		s.unknown("", "", "what the network needs of the nodes: no network plugin recognised")
		return
	}
	for _, n := range s.read() {
		p, of := s.a.NetworkPlugin(n.name)
		if of.CNI == "" && s.a.Detection().Cluster.CNI != "" {
			s.unknown(n.name, "", "what the network needs of node %s: no network plugin recognised there", n.name)
		}
		checker, ok := p.(plugin.Checker)
		if !ok {
			continue
		}
		for _, section := range []string{"interfaces", "routes", "neighbours", "fdb"} {
			s.knows(n.name, n.ns, section)
		}
		checker.CheckNode(reporter{s, n.name}, n.name)
	}
}
