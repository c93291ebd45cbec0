package connectivity

import (
	"fmt"
	"maps"
	"slices"
)

// noPair is the value of pairs that nobody asks about: two ends outside, or a
// node and an end outside or another node unless a policy is about nodes.
const noPair = -1

// A value is what may pass between the ends of a pair, for each family that
// they have. The first value is nothing.
type value []Flow

// A connector asks about all pairs of groups.
type connector struct {
	*builder
	*evaluator
	ids   map[string]int // of values
	cells map[*cell]int  // ids of cells that differ
	texts map[string]int
	flows map[int]Flow // of ids of cells
	why   map[string]bool
}

// connect fills in the connections of the report.
func (b *builder) connect() {
	c := &connector{
		builder: b, evaluator: newEvaluator(b.classes), ids: map[string]int{"": 0},
		cells: map[*cell]int{}, texts: map[string]int{}, flows: map[int]Flow{}, why: map[string]bool{},
	}
	r := b.report
	r.values, r.pairs = []value{nil}, make([][]int, len(b.groups))
	for i, from := range b.groups {
		r.pairs[i] = make([]int, len(b.groups))
		for j, to := range b.groups {
			if !c.asked(from, to) {
				r.pairs[i][j] = noPair
				continue
			}
			id := c.value(from.classes, to.classes)
			r.pairs[i][j] = id
			if i == j && r.Alone(i) {
				continue // a pod and itself
			}
			for k := range r.values[id] {
				r.Connections = append(r.Connections, Connection{From: i, To: j, Flow: &r.values[id][k]})
			}
		}
	}
	r.Doubts = slices.Sorted(maps.Keys(c.why))
}

// asked reports whether the report is about a pair.
func (c *connector) asked(from, to *groupOf) bool {
	if from.Kind != Pods && to.Kind != Pods {
		return len(from.Egress.Policies)+len(to.Ingress.Policies) > 0
	}
	return c.report.Namespace == "" || from.inside || to.inside
}

// A familyCell is the index of a cell for one family.
type familyCell struct{ family, cell int }

// value returns the index of what may pass between two groups.
func (c *connector) value(from, to facets) int {
	var key []byte
	list := c.families(from, to)
	for _, f := range list {
		key = fmt.Appendf(key, "%d:%d,", f.family, f.cell)
	}
	id, have := c.ids[string(key)]
	if have {
		return id
	}
	var v value
	for _, f := range list {
		flow := c.flows[f.cell]
		flow.Family = [...]Family{"", IPv4, IPv6}[f.family]
		v = append(v, flow)
	}
	id = len(c.report.values)
	c.ids[string(key)] = id
	c.report.values = append(c.report.values, v)
	return id
}

// families returns the cells of the families that two groups have in common,
// one for all if they are equal, without those that let nothing pass.
func (c *connector) families(from, to facets) (list []familyCell) {
	for i, src := range from {
		for j, dst := range to {
			if src < 0 || dst < 0 || i != j && i != unknownFamily && j != unknownFamily {
				continue
			}
			list = append(list, familyCell{max(i, j), c.cell(src, dst)})
		}
	}
	differs := slices.ContainsFunc(list, func(f familyCell) bool { return f.cell != list[0].cell })
	if !differs && len(list) > 0 {
		list = []familyCell{{unknownFamily, list[0].cell}}
	}
	return slices.DeleteFunc(list, func(f familyCell) bool { return f.cell == 0 })
}

// cell returns an index that is equal for equal cells, 0 for one that lets
// nothing pass.
func (c *connector) cell(src, dst int) int {
	made := c.pair(c.builder.classes.classes[src], c.builder.classes.classes[dst])
	if id, have := c.cells[made]; have {
		return id
	}
	for _, text := range made.doubts {
		c.why[text] = true
	}
	id := 0
	if len(made.allowed)+len(made.unknown) > 0 {
		text, have := made.allowed.key()+"/"+made.unknown.key(), false
		if id, have = c.texts[text]; !have {
			id = len(c.texts) + 1
			c.texts[text] = id
			c.flows[id] = Flow{Allowed: c.space.portsOf(made.allowed), Unknown: c.space.portsOf(made.unknown)}
		}
	}
	c.cells[made] = id
	return id
}

// Between returns what the ends of one group may send to those of another, nil
// if nothing or if nobody asks.
func (r *Report) Between(from, to int) []Flow {
	if id := r.pairs[from][to]; id != noPair {
		return r.values[id]
	}
	return nil
}

// About reports whether the report is about a group as such: of a report about
// one namespace these are its pods.
func (r *Report) About(group int) bool {
	g := &r.Groups[group]
	return r.Namespace == "" || len(g.Workloads) > 0 && g.Workloads[0].Namespace == r.Namespace
}

// Alone reports whether a group is a single pod, which reaches itself whatever
// policies say.
func (r *Report) Alone(group int) bool {
	return r.Groups[group].Kind == Pods && r.Groups[group].size() == 1
}
