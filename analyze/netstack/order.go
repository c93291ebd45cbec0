package netstack

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// pass runs the packet through a pipeline and reports whether it came out. What
// has decided about a translation ends it (nf_nat_inet_fn).
func (r *run) pass(p pipeline) bool {
	for _, group := range p {
		if !r.group(group) {
			return false
		}
		if r.f.Bound {
			return true
		}
	}
	return true
}

// group runs what is registered at one priority. In which order that is called
// is not in the dump: where other orders lead elsewhere, all are followed.
func (r *run) group(group []registered) bool {
	if len(group) == 1 {
		return group[0].run(r)
	}
	before, asked := *r, r.f.Choices.Asked()
	before.f.Trace = slices.Clip(before.f.Trace)
	on, touched := r.inTurn(group, &before)
	if !touched {
		return true // nobody has done anything to it, and undone it
	}
	for _, other := range orders(group) {
		beside := before
		beside.f.Choices = r.f.Choices.Beside(asked)
		if beside.inOrder(other) == on && beside.like(r) && beside.f.Choices.Asked() == r.f.Choices.Asked() {
			continue
		}
		if r.f.Choices.Doubt(orderDoubt(group)) {
			return on
		}
		*r, asked = before, r.f.Choices.Asked()
		on = r.inOrder(other)
	}
	return on
}

// inTurn runs one function after the other, as inOrder does, and reports besides
// whether one of them left the packet other than it was before all.
func (r *run) inTurn(group []registered, before *run) (on, touched bool) {
	on = true
	for i := 0; on && !r.f.Bound && i < len(group); i++ {
		on = group[i].run(r)
		touched = touched || !on || !r.like(before)
	}
	return on, touched
}

func orderDoubt(group []registered) model.Doubt {
	return model.Doubt{What: fmt.Sprintf("which is called first, %s or %s: both have priority %d", group[0].name, group[1].name, group[0].priority),
		Evidence: group[0].evidence}
}

// inOrder runs one function after the other, until one has ended the journey or
// decided about a translation.
func (r *run) inOrder(group []registered) bool {
	for _, s := range group {
		if !s.run(r) {
			return false
		}
		if r.f.Bound {
			return true
		}
	}
	return true
}

// like reports whether both are the same packet in the same state.
func (r *run) like(o *run) bool {
	return r.f.Packet == o.f.Packet && r.f.Ct == o.f.Ct && r.f.NoTrack == o.f.NoTrack && r.f.Bound == o.f.Bound &&
		len(r.f.ChangedSets) == len(o.f.ChangedSets) && len(r.f.Learned) == len(o.f.Learned) &&
		r.f.RejectWith == o.f.RejectWith && r.out.Disposition == o.out.Disposition
}

// orders returns the other orders of a group: each of its members first, the
// rest after it or before it. For up to three members these are all. Chains of
// one table stay in the order that the dump shows.
func orders(group []registered) (all [][]registered) {
	back := slices.Clone(group)
	slices.Reverse(back)
	for i := range group {
		for _, turned := range [][]registered{append(slices.Clone(group[i:]), group[:i]...), append(slices.Clone(back[i:]), back[:i]...)} {
			if may(turned, group) {
				all = append(all, turned)
			}
		}
	}
	return all
}

// may reports whether an order is another one than that of a group, and keeps
// the order of the chains of each table.
func may(order, group []registered) bool {
	at := func(s registered) int {
		return slices.IndexFunc(group, func(o registered) bool { return o.name == s.name && o.evidence == s.evidence })
	}
	moved := false
	for i, s := range order {
		moved = moved || at(s) != i
		for _, later := range order[i+1:] {
			if s.table != "" && s.table == later.table && at(s) > at(later) {
				return false
			}
		}
	}
	return moved
}
