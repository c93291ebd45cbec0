package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// checkCNI looks for nodes that show two networks: a migration that is not over,
// or was not cleaned up after.
func checkCNI(s *scope) {
	for _, h := range s.nodes {
		n := s.a.Detection().Of(h.name)
		if n.CNI == "" || n.Node != h.name {
			continue
		}
		s.findMismatch(n)
		left := slices.DeleteFunc(slices.Clone(n.Others), func(o plugin.Sighting) bool { return o.Kind == "agent" })
		if h.ns != nil {
			left = append(left, s.a.Detection().Left(h.name, h.ns.Info.Interfaces)...)
		}
		s.findLeft(n, left)
	}
}

// findMismatch tells that the agent that runs on the node is of another network
// than the configuration, and that nothing else is of the latter.
func (s *scope) findMismatch(n *plugin.NodeNetwork) {
	if n.Saw[0].Kind != "config" || len(n.Saw) > 1 || !n.Saw[0].Agents {
		return
	}
	for _, o := range n.Others {
		if o.Kind == "agent" {
			s.find(n.Node, model.Suspicion{Level: model.SuspicionLevelWarning, Code: "cni/mismatch", Evidence: n.Saw[0].Evidence,
				Message: fmt.Sprintf("new pods of node %s are set up by %s (%s), and the agent that runs there is of %s (%s)", n.Node, n.CNI, n.Saw[0].What, o.CNI, o.What),
				Remedy:  fmt.Sprintf("If the node is meant to be in %s's network, remove the configuration: the runtime takes the first of the directory by name.", o.CNI)})
			return
		}
	}
}

// findLeft tells what is left of each other network.
func (s *scope) findLeft(n *plugin.NodeNetwork, left []plugin.Sighting) {
	for i, first := range left {
		if slices.ContainsFunc(left[:i], func(o plugin.Sighting) bool { return o.CNI == first.CNI }) {
			continue
		}
		var what []string
		for _, o := range left[i:] {
			if o.CNI == first.CNI {
				what = append(what, o.What)
			}
		}
		s.find(n.Node, model.Suspicion{Level: model.SuspicionLevelInfo, Code: "cni/leftover", Evidence: first.Evidence,
			Message: fmt.Sprintf("node %s is in %s's network and has things of %s: %s", n.Node, n.CNI, first.CNI, strings.Join(what, ", ")),
			Remedy:  fmt.Sprintf("Remove them, once no pod of %s's network runs on the node.", first.CNI)})
	}
}
