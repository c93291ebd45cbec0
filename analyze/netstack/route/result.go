package route

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// result turns an answer with an entry into a Result.
func (f *FIB) result(q Query, a answer, doubt *model.Doubt) Result {
	e := a.entry
	r := Result{Type: e.typ, Prefix: e.prefix, Src: q.Src, Table: e.table, Scope: e.scope.String(),
		Text: e.text(), Evidence: f.evidence(e.line), Rule: a.rule.described(), Doubt: doubt}
	if e.route != nil {
		r.MTU, r.HopLimit = e.route.MTU, e.route.HopLimit
	}
	if len(e.hops) > 0 && !e.refuses() {
		r.take(&e.hops[a.hop])
	}
	return r
}

func (r *Result) take(h *hop) {
	r.Dev, r.Via, r.OnLink, r.Encap = h.dev, h.via, h.onlink, h.encap
	if h.own {
		r.Via = netip.Addr{}
	}
}

// refused is the Result of a packet that no route takes, or that a route or
// rule refuses.
func (f *FIB) refused(q Query, a answer, doubt *model.Doubt) Result {
	switch {
	case a.entry != nil:
		return f.result(q, a, doubt)
	case a.refusal != "":
		return Result{Type: a.refusal, Src: q.Src, Evidence: a.rule.evidence, Rule: a.rule.described(), Doubt: doubt}
	}
	return Result{Type: TypeNone, Src: q.Src, Doubt: doubt}
}

// pick is fib_select_multipath and fib6_select_path: it lets c pick one of the
// hops that can be used, each by its weight; those by the device only unless
// that is "". A nil c takes the first.
func (e *entry) pick(only string, c *netfilter.Choices) int {
	weights := e.pickable(only)
	if c != nil {
		return c.Pick(weights)
	}
	n := 0
	for n < len(weights)-1 && weights[n] == 0 {
		n++
	}
	return n
}
