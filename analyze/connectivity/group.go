package connectivity

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/policy"
)

// A groupOf is a group while it is made.
type groupOf struct {
	Group
	classes facets
	inside  bool // it is in the namespace that the report is about
	roots   int  // how many families it has the rest of
	first   string
	have    map[workloadKey]int // index in Workloads
}

// A workloadKey is what tells workloads apart.
type workloadKey struct{ namespace, name, kind string }

func (w *Workload) key() workloadKey { return workloadKey{w.Namespace, w.Name, w.Kind} }

// A groupKey is what the members of a group have in common.
type groupKey struct {
	kind    Kind
	classes facets
	inside  bool
}

// group makes groups of the members, sorted: pods, nodes, outside.
func (b *builder) group() {
	groups := map[groupKey]*groupOf{}
	for _, m := range b.members {
		key := m.key(b.report.Namespace)
		g := groups[key]
		if g == nil {
			g = &groupOf{Group: Group{Kind: key.kind}, classes: noFacets(), inside: key.inside, have: map[workloadKey]int{}}
			groups[key] = g
			b.groups = append(b.groups, g)
		}
		for family, class := range m.classes {
			g.classes[family] = max(g.classes[family], class)
		}
		g.add(m)
	}
	roots := 0
	for _, g := range b.groups {
		roots += g.roots
	}
	for _, g := range b.groups {
		g.sort()
		g.Rest = g.roots > 0 && g.roots == roots
		g.Ingress, g.Egress = b.isolation(g.classes, policy.Ingress), b.isolation(g.classes, policy.Egress)
	}
	markParts(b.groups)
	slices.SortStableFunc(b.groups, func(a, b *groupOf) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.first, b.first))
	})
	for _, g := range b.groups {
		b.report.Groups = append(b.report.Groups, g.Group)
	}
}

// key is that of the group of m. Blocks of both families are one group if the
// rules say the same about them.
func (m *member) key(namespace string) groupKey {
	switch {
	case m.block != nil:
		one := noFacets()
		one[unknownFamily] = max(m.classes[v4], m.classes[v6])
		return groupKey{kind: Outside, classes: one}
	case m.node != "":
		return groupKey{kind: Nodes, classes: m.classes}
	}
	return groupKey{kind: Pods, classes: m.classes, inside: m.workload.Namespace == namespace}
}

// rank puts the rest of the addresses last.
func rank(g *groupOf) int {
	switch {
	case g.Kind == Pods:
		return 0
	case g.Kind == Nodes:
		return 1
	case !g.Rest:
		return 2
	}
	return 3
}

func (g *groupOf) add(m *member) {
	switch g.Kind {
	case Nodes:
		g.Nodes = append(g.Nodes, m.node)
	case Outside:
		g.Blocks = append(g.Blocks, m.block.block())
		if m.block.parent == nil {
			g.roots++
		}
	default:
		key := m.workload.key()
		i, have := g.have[key]
		if !have {
			g.have[key] = len(g.Workloads)
			g.Workloads = append(g.Workloads, m.workload)
			return
		}
		g.Workloads[i].Pods = append(g.Workloads[i].Pods, m.workload.Pods...)
	}
}

func compareWorkloads(a, b Workload) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind))
}

func (g *groupOf) sort() {
	slices.SortFunc(g.Workloads, compareWorkloads)
	for i := range g.Workloads {
		slices.Sort(g.Workloads[i].Pods)
	}
	slices.SortFunc(g.Blocks, func(a, b Block) int { return a.Prefix.Compare(b.Prefix) })
	switch g.Kind {
	case Pods:
		w := &g.Workloads[0]
		g.first = w.Namespace + "/" + w.Name + "/" + w.Kind + "/" + w.Pods[0]
	case Nodes:
		g.first = g.Nodes[0]
	default:
		g.first = fmt.Sprintf("%t %s", !g.Blocks[0].Prefix.Addr().Is4(), g.Blocks[0].Prefix.Addr().StringExpanded())
	}
}

// markParts finds the workloads whose pods are in several groups, and those of
// different kinds with one name.
func markParts(groups []*groupOf) {
	in, kinds := map[workloadKey]int{}, map[string]map[string]bool{}
	for _, g := range groups {
		for i := range g.Workloads {
			w := &g.Workloads[i]
			in[w.key()]++
			name := w.Namespace + "/" + w.Name
			if kinds[name] == nil {
				kinds[name] = map[string]bool{}
			}
			kinds[name][w.Kind] = true
		}
	}
	for _, g := range groups {
		for i := range g.Workloads {
			w := &g.Workloads[i]
			w.Part, w.twin = in[w.key()] > 1, len(kinds[w.Namespace+"/"+w.Name]) > 1
		}
	}
}

// isolation is what is asked about the classes of a group.
func (b *builder) isolation(classes facets, d policy.Direction) (out Isolation) {
	for _, i := range classes {
		if i < 0 {
			continue
		}
		program := b.classes.classes[i].ingress
		if d == policy.Egress {
			program = b.classes.classes[i].egress
		}
		out = Isolation{}
		for _, a := range program.asking {
			out.Isolated = out.Isolated || a.Tier.End == policy.Deny
			for _, p := range a.Policies {
				out.Policies = append(out.Policies, p.String())
			}
		}
	}
	return out
}

// counted is "1 pod", "2 pods".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
