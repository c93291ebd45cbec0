package check

import (
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// checkNetwork asks the network plugin what it needs of each node.
func checkNetwork(s *scope) {
	p, name, saw := s.a.NetworkPlugin()
	if p == nil {
		s.unknown("", "", "what the network needs of the nodes: %s", saw)
		return
	}
	checker, ok := p.(plugin.Checker)
	if !ok {
		s.unknown("", "", "what network plugin %s needs of the nodes: it has no checks", name)
		return
	}
	for _, n := range s.read() {
		for _, section := range []string{"interfaces", "routes", "neighbours", "fdb"} {
			s.knows(n.name, n.ns, section)
		}
		checker.CheckNode(reporter{s, n.name}, n.name)
	}
}
