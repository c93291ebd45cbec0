package providers

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/snapshot"
)

// generic is the provider of any place: the network between machines joins them
// all, and is not looked into.
func generic() *infra.Descriptor {
	return &infra.Descriptor{
		Name:     "generic",
		Doc:      "any place: the network between machines is taken to be good",
		Detect:   elsewhere,
		New:      func(infra.Env) (infra.Underlay, []string, []error) { return nil, nil, nil },
		Fallback: true,
	}
}

// elsewhere recognises nothing, and says what the providerIDs are.
func elsewhere(s *snapshot.Snapshot) (found bool, saw string) {
	nodes, err := s.Nodes()
	if err != nil {
		return false, "no nodes to look at"
	}
	for i := range nodes {
		if id := nodes[i].Spec.ProviderID; id != "" {
			return false, fmt.Sprintf("providerID %s of node %s", id, nodes[i].Name)
		}
	}
	return false, "no node has a providerID"
}
