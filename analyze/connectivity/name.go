package connectivity

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Name names groups for people: "every pod", "demo/{a,b}, {ops,other}/*, every
// node, outside". A workload of which only some pods are meant is named by those. At
// most limit names of one namespace are listed, 0 for no limit.
func (r *Report) Name(groups []int, limit int) string {
	var parts []string
	if len(groups) == len(r.Groups) && len(groups) > 1 {
		return "anyone"
	}
	parts = append(parts, r.podNames(groups, limit)...)
	parts = append(parts, r.nodeNames(groups, limit)...)
	parts = append(parts, r.outsideNames(groups, limit)...)
	return strings.Join(parts, ", ")
}

// A Label is the name of a member of a group.
type Label struct {
	Name  string
	Alone bool // it is a single pod, and what it sends to itself is not asked about
}

// Labels are the names of the members of a group, each on its own: "demo/web",
// "demo/db-0" of a workload that is in several groups, "node n1", "outside",
// "10.0.0.0/8 (except 10.1.0.0/16)".
func (r *Report) Labels(group int) (out []Label) {
	g := &r.Groups[group]
	for _, l := range labelsOf(g) {
		out = append(out, Label{l.namespace + "/" + l.name, l.alone})
	}
	for _, n := range g.Nodes {
		out = append(out, Label{Name: "node " + n})
	}
	if g.Kind == Outside && g.Rest {
		return append(out, Label{Name: r.restName()})
	}
	for _, b := range g.Blocks {
		out = append(out, Label{Name: b.String()})
	}
	return out
}

// restName is the rest of the addresses: all that is outside, or what no other
// group has.
func (r *Report) restName() string {
	for i := range r.Groups {
		if g := &r.Groups[i]; g.Kind == Outside && !g.Rest {
			return "anywhere else"
		}
	}
	return "outside"
}

// A podLabel names a workload, or a pod of it.
type podLabel struct {
	namespace, name string
	alone           bool
}

// labelsOf names the workloads of a group. Two of one name are told apart by
// their kind.
func labelsOf(g *Group) (out []podLabel) {
	for i := range g.Workloads {
		w := &g.Workloads[i]
		if w.Part {
			for _, pod := range w.Pods {
				out = append(out, podLabel{w.Namespace, pod, true})
			}
			continue
		}
		out = append(out, podLabel{w.Namespace, w.label(), len(w.Pods) == 1})
	}
	return out
}

func (w *Workload) label() string {
	if w.twin {
		return w.Name + " (" + w.Kind + ")"
	}
	return w.Name
}

// podNames names pods by namespace.
func (r *Report) podNames(groups []int, limit int) []string {
	in, out := map[string][]string{}, map[string][]string{}
	inside, outside := 0, 0
	for i := range r.Groups {
		chosen := slices.Contains(groups, i)
		for _, l := range labelsOf(&r.Groups[i]) {
			if chosen {
				in[l.namespace] = append(in[l.namespace], l.name)
				inside++
				continue
			}
			out[l.namespace] = append(out[l.namespace], l.name)
			outside++
		}
	}
	const few = 3
	switch {
	case inside == 0:
		return nil
	case outside == 0 && inside > 1:
		return []string{"every pod"}
	case outside <= few && inside > 2*few:
		return []string{"every pod (but " + strings.Join(braced(out, nil, limit), ", ") + ")"}
	}
	return braced(in, out, limit)
}

// braced is "demo/{a,b}" for each namespace, "demo/*" if none of it is among the
// others, and "{demo,other}/a" for namespaces of which the same is named.
func braced(names, others map[string][]string, limit int) (out []string) {
	namespaces := map[string][]string{}
	for namespace, list := range names {
		slices.Sort(list)
		text := "{" + joined(list, limit) + "}"
		switch {
		case len(list) == 1:
			text = list[0]
		case others != nil && len(others[namespace]) == 0:
			text = "*"
		}
		namespaces[text] = append(namespaces[text], namespace)
	}
	for text, list := range namespaces {
		slices.Sort(list)
		if len(list) == 1 {
			out = append(out, list[0]+"/"+text)
			continue
		}
		out = append(out, "{"+joined(list, limit)+"}/"+text)
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(strings.TrimPrefix(a, "{"), strings.TrimPrefix(b, "{")) })
	return out
}

// joined lists names, at most limit of them.
func joined(list []string, limit int) string {
	if limit > 0 && len(list) > limit {
		return strings.Join(list[:limit], ",") + fmt.Sprintf(" and %d more", len(list)-limit)
	}
	return strings.Join(list, ",")
}

func (r *Report) nodeNames(groups []int, limit int) []string {
	var names []string
	others := false
	for i := range r.Groups {
		if slices.Contains(groups, i) {
			names = append(names, r.Groups[i].Nodes...)
			continue
		}
		others = others || len(r.Groups[i].Nodes) > 0
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return nil
	case !others && len(names) > 1:
		return []string{"every node"}
	case len(names) == 1:
		return []string{"node " + names[0]}
	}
	return []string{"nodes {" + joined(names, limit) + "}"}
}

// outsideNames names blocks of addresses. Those that are one inside the other
// become one.
func (r *Report) outsideNames(groups []int, limit int) (out []string) {
	all := true
	var blocks []Block
	for i := range r.Groups {
		g := &r.Groups[i]
		switch {
		case g.Kind != Outside:
		case !slices.Contains(groups, i):
			all = false
		case g.Rest:
			out = append(out, r.restName())
		default:
			blocks = append(blocks, g.Blocks...)
		}
	}
	if all && len(blocks)+len(out) > 0 {
		return []string{"outside"}
	}
	var texts []string
	for _, b := range joinBlocks(blocks) {
		texts = append(texts, b.String())
	}
	if limit > 0 && len(texts) > limit {
		texts = append(texts[:limit], fmt.Sprintf("%d more blocks", len(texts)-limit))
	}
	return append(texts, out...)
}

// joinBlocks puts blocks that are exceptions of others into these, sorted.
func joinBlocks(blocks []Block) (out []Block) {
	blocks = slices.Clone(blocks)
	slices.SortFunc(blocks, func(a, b Block) int { return a.Prefix.Compare(b.Prefix) })
	for i := len(blocks) - 1; i >= 0; i-- {
		b := blocks[i]
		outer := slices.IndexFunc(blocks[:i], func(o Block) bool { return slices.Contains(o.Except, b.Prefix) })
		if outer < 0 {
			out = append(out, b)
			continue
		}
		except := slices.DeleteFunc(slices.Clone(blocks[outer].Except), func(p netip.Prefix) bool { return p == b.Prefix })
		blocks[outer].Except = append(except, b.Except...)
		slices.SortFunc(blocks[outer].Except, netip.Prefix.Compare)
	}
	slices.Reverse(out)
	return out
}
