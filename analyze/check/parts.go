package check

import (
	"fmt"
	"path"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// checkParts notes what the bundle lacks by its own account: one note for all
// parts of a node with one status and reason.
func checkParts(s *scope) {
	checkObjects(s)
	type group struct {
		node, reason string
		status       nodedump.Status
	}
	var order []group
	parts := map[group][]string{}
	for _, p := range s.snap.Manifest().Parts {
		if p.Status.Known() {
			continue
		}
		g := group{nodeOf(p.Name), p.Reason, p.Status}
		if parts[g] == nil {
			order = append(order, g)
		}
		parts[g] = append(parts[g], p.Name)
	}
	for _, g := range order {
		names := parts[g]
		what := names[0]
		if len(names) > 1 {
			what = fmt.Sprintf("%s and %d more", names[0], len(names)-1)
		}
		why := strings.TrimSuffix(fmt.Sprintf("%s: %s", g.status, g.reason), ": ")
		s.find(g.node, model.Suspicion{Level: model.SuspicionLevelInfo, Code: "bundle/part-missing", Evidence: names[0],
			Message: fmt.Sprintf("%s was not read (%s)", what, why), Remedy: "Collect it again and merge it, if a check needs it."})
	}
}

// checkObjects says which objects were read and make no sense: what they would
// change is not known.
func checkObjects(s *scope) {
	for _, d := range s.a.Unknowns() {
		if part, _, ok := strings.Cut(d.What, ":"); ok && strings.HasPrefix(part, "cluster/") && s.snap.Part(part).Status.Known() {
			s.unknown("", part, "%s", d.What)
		}
	}
}

// nodeOf is the node that a part belongs to, "" if it is none's.
func nodeOf(part string) string {
	words := strings.Split(path.Clean(part), "/")
	if len(words) > 2 && words[0] == "nodes" {
		return words[1]
	}
	return ""
}
