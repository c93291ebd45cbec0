package check

import (
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// checkNetwork asks the network plugin what it needs of each node. One that means
// nothing in particular has no answer.
func checkNetwork(s *scope) {
	p, _, saw := s.a.NetworkPlugin()
	if p == nil {
		s.unknown("", "", "what the network needs of the nodes: %s", saw)
		return
	}
	checker, ok := p.(plugin.Checker)
	if !ok {
		return // the ways between nodes tell whether it works
	}
	for _, n := range s.read() {
		for _, section := range []string{"interfaces", "routes", "neighbours", "fdb"} {
			s.knows(n.name, n.ns, section)
		}
		checker.CheckNode(reporter{s, n.name}, n.name)
	}
}
