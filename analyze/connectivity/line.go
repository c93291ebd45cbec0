package connectivity

import (
	"cmp"
	"fmt"
	"slices"
)

// A Line is connections that are equal: from each of some groups to each of
// others.
type Line struct {
	From, To []int // indexes of groups, sorted
	Flow
}

// Lines are all connections to groups of one kind, as few lines as there are
// when destinations (or sources, if that makes fewer) with equal rows come
// together. What a pod sends to itself is part of a line only where it stands
// with others.
func (r *Report) Lines(to Kind) []Line {
	byTo, bySource := r.lines(to, true), r.lines(to, false)
	if len(bySource) < len(byTo) {
		return bySource
	}
	return byTo
}

// A bundleOf is groups on the near side that have one value with each of the
// groups on the far side.
type bundleOf struct {
	near, far []int
	value     int
}

// lines makes lines of the groups of a kind. Those that are equal as
// destinations come together, or as sources.
func (r *Report) lines(to Kind, byTo bool) (out []Line) {
	for _, b := range r.bundles(to, byTo) {
		slices.Sort(b.far)
		line := Line{From: b.near, To: b.far}
		if !byTo {
			line = Line{From: b.far, To: b.near}
		}
		if r.withoutItself(&line); len(line.From) == 0 || len(line.To) == 0 {
			continue
		}
		for _, flow := range r.values[b.value] {
			line.Flow = flow
			out = append(out, line)
		}
	}
	slices.SortStableFunc(out, func(a, b Line) int { return cmp.Or(slices.Compare(a.To, b.To), slices.Compare(a.From, b.From)) })
	return out
}

// bundles puts groups of the far side together that are equal, and then those
// that have the same value with the same groups of the near side.
func (r *Report) bundles(to Kind, byTo bool) (all []bundleOf) {
	var far, near []int
	for i := range r.Groups {
		if near = append(near, i); r.Groups[i].Kind == to {
			far = append(far, i)
		}
	}
	pair := func(f, n int) int { return r.pairs[n][f] }
	if !byTo {
		far, near = near, far
		pair = func(f, n int) int { return r.pairs[f][n] }
	}
	have := map[string]int{}
	for _, equal := range alike(far, near, pair) {
		for _, value := range valuesOf(equal[0], near, pair) {
			var with []int
			for _, n := range near {
				if pair(equal[0], n) == value {
					with = append(with, n)
				}
			}
			key := fmt.Sprint(with, value)
			i, ok := have[key]
			if !ok {
				i = len(all)
				have[key] = i
				all = append(all, bundleOf{near: with, value: value})
			}
			all[i].far = append(all[i].far, equal...)
		}
	}
	return all
}

// alike puts groups together whose pairs with all others are equal.
func alike(groups, others []int, pair func(group, other int) int) (out [][]int) {
	have := map[string]int{}
	for _, g := range groups {
		var key []byte
		for _, o := range others {
			v := pair(g, o) + 1
			key = append(key, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
		}
		i, ok := have[string(key)]
		if !ok {
			i = len(out)
			have[string(key)] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], g)
	}
	return out
}

// valuesOf lists the values of a group's pairs that let something pass, in the
// order in which they occur.
func valuesOf(group int, others []int, pair func(group, other int) int) (out []int) {
	for _, o := range others {
		if v := pair(group, o); v > 0 && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// withoutItself takes out what would only be a pod and itself, but from a side
// that has every pod.
func (r *Report) withoutItself(l *Line) {
	drop := func(from []int, one int) []int {
		pods := slices.DeleteFunc(slices.Clone(from), func(g int) bool { return r.Groups[g].Kind != Pods })
		if len(pods) > 1 && len(pods) == r.podGroups() {
			return from
		}
		return slices.DeleteFunc(slices.Clone(from), func(g int) bool { return g == one })
	}
	if len(l.To) == 1 && r.Alone(l.To[0]) {
		l.From = drop(l.From, l.To[0])
		return
	}
	if len(l.From) == 1 && r.Alone(l.From[0]) {
		l.To = drop(l.To, l.From[0])
	}
}

// ofOneSort parts groups by their kind and isolation.
func (r *Report) ofOneSort(groups []int) (out [][]int) {
	type sort struct {
		kind            Kind
		ingress, egress bool
	}
	have := map[sort]int{}
	for _, i := range groups {
		g := &r.Groups[i]
		key := sort{g.Kind, g.Ingress.Isolated, g.Egress.Isolated}
		at, ok := have[key]
		if !ok {
			at = len(out)
			have[key] = at
			out = append(out, nil)
		}
		out[at] = append(out[at], i)
	}
	return out
}

// podGroups is the number of groups of pods.
func (r *Report) podGroups() (n int) {
	for i := range r.Groups {
		if r.Groups[i].Kind == Pods {
			n++
		}
	}
	return n
}

// Alike puts groups of one kind together that are isolated in the same directions
// and equal both as source and as destination, whatever policies tell them apart.
func (r *Report) Alike() [][]int {
	all := make([]int, len(r.Groups))
	for i := range all {
		all[i] = i
	}
	var out [][]int
	for _, equal := range alike(all, all, func(a, b int) int { return r.pairs[a][b] }) {
		for _, more := range alike(equal, all, func(a, b int) int { return r.pairs[b][a] }) {
			out = append(out, r.ofOneSort(more)...)
		}
	}
	slices.SortFunc(out, func(a, b []int) int { return cmp.Compare(a[0], b[0]) })
	return out
}
