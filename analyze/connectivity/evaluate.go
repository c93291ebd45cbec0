package connectivity

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/policy"
)

// An outcome is what one direction says about every port, as policy.Check says
// it about one: what can be allowed and what can be denied. What can be both is
// not known.
type outcome struct {
	id          int
	allow, deny set
	doubts      []string
}

// A cell is what both directions say.
type cell struct {
	allowed, unknown set
	doubts           []string
}

// A cellKey is the outcomes of egress and ingress.
type cellKey struct{ egress, ingress int }

// An evaluator asks the policies about pairs of classes. Pairs that the rules
// do not tell apart have one outcome.
type evaluator struct {
	*classifier
	outcomes map[string]*outcome
	ids      map[string]int // of equal outcomes
	cells    map[cellKey]*cell
	ports    map[portsKey]set
	key      []byte
}

// A portsKey is what the ports of a rule depend on.
type portsKey struct {
	rule  int
	names string
}

func newEvaluator(c *classifier) *evaluator {
	return &evaluator{
		classifier: c, outcomes: map[string]*outcome{}, ids: map[string]int{}, cells: map[cellKey]*cell{}, ports: map[portsKey]set{},
	}
}

// pair returns what may pass from one class to another. Equal cells are one.
func (e *evaluator) pair(src, dst *class) *cell {
	out, in := e.direction(src.egress, src, dst), e.direction(dst.ingress, src, dst)
	key := cellKey{out.id, in.id}
	if have := e.cells[key]; have != nil {
		return have
	}
	made := &cell{}
	made.allowed = out.allow.minus(out.deny).intersect(in.allow.minus(in.deny))
	made.unknown = out.allow.intersect(in.allow).minus(made.allowed)
	if len(made.unknown) > 0 {
		made.doubts = slices.Concat(out.doubts, in.doubts)
	}
	e.cells[key] = made
	return made
}

// direction returns what a program says about a pair. Only the answers of its
// own rules count, and the named ports of the destination if it has some.
func (e *evaluator) direction(p *program, src, dst *class) *outcome {
	e.key = binary.AppendUvarint(e.key[:0], uint64(p.id))
	for _, r := range p.rules {
		e.key = append(e.key, byte(src.src[r].And(dst.dst[r])))
	}
	if p.named {
		if dst.end.Pod == nil {
			e.key = append(e.key, '-')
		}
		e.key = append(e.key, dst.names...)
	}
	if have := e.outcomes[string(e.key)]; have != nil {
		return have
	}
	key := string(e.key)
	w := walk{e: e, program: p, src: src, dst: dst}
	o := &outcome{}
	o.allow, o.deny = w.from(0, e.space.all())
	if len(o.allow.intersect(o.deny)) > 0 {
		o.doubts = w.doubts
	}
	text := o.allow.key() + "/" + o.deny.key() + fmt.Sprint(o.doubts)
	id, have := e.ids[text]
	if !have {
		id = len(e.ids)
		e.ids[text] = id
	}
	o.id = id
	e.outcomes[key] = o
	return o
}

// A walk asks the tiers of a program about one pair, as policy.Check does.
type walk struct {
	e        *evaluator
	program  *program
	src, dst *class
	doubts   []string
}

// A tally is what becomes of ports in one tier.
type tally struct{ allow, deny, pass set }

func (t *tally) do(a policy.Action, with set) {
	switch a {
	case policy.Allow:
		t.allow = t.allow.union(with)
	case policy.Deny:
		t.deny = t.deny.union(with)
	default:
		t.pass = t.pass.union(with)
	}
}

// from asks the tiers from index i on about ports.
func (w *walk) from(i int, about set) (allow, deny set) {
	if i == len(w.program.asking) || len(about) == 0 {
		return about, nil
	}
	t := w.tier(&w.program.asking[i], about)
	allow, deny = w.from(i+1, t.pass)
	return t.allow.union(allow), t.deny.union(deny)
}

// tier asks one tier: for each port the first rule that holds decides.
func (w *walk) tier(a *policy.Asking, rest set) (t tally) {
	for at := range a.Policies {
		held := w.policy(&t, a, at, rest)
		if !a.Unsure[at] {
			rest = rest.minus(held)
		}
	}
	if a.Tier.End != policy.Deny || !slices.Contains(a.Unsure, false) {
		t.do(policy.Pass, rest)
	}
	if a.Tier.End == policy.Deny {
		t.do(policy.Deny, rest)
		if !slices.Contains(a.Unsure, false) && len(rest) > 0 {
			w.unsure(a.Policies[0])
		}
	}
	return t
}

// policy asks one policy, and returns the ports for which a rule holds.
func (w *walk) policy(t *tally, a *policy.Asking, at int, rest set) (held set) {
	p := a.Policies[at]
	rules := p.Rules(w.program.direction)
	first := w.e.policies[ruleKey{p, w.program.direction}]
	for r := range rules {
		holds, may := w.rule(first + r)
		if may = may.intersect(rest); len(may) > 0 {
			w.doubt(p, r)
			t.do(rules[r].Action, may)
		}
		if holds = holds.intersect(rest); len(holds) == 0 {
			continue
		}
		t.do(rules[r].Action, holds)
		if a.Unsure[at] {
			w.unsure(p)
		} else {
			w.rivals(t, a.Policies[at:], rules[r].Action, holds)
		}
		rest, held = rest.minus(holds), held.union(holds)
	}
	return held
}

func (w *walk) unsure(p *policy.Policy) {
	w.doubts = append(w.doubts, fmt.Sprintf("whether %s is about it is not known", p))
}

// rivals asks the policies behind the first of a list whose order is the same
// and of which the API does not say who is first.
func (w *walk) rivals(t *tally, policies []*policy.Policy, action policy.Action, ports set) {
	p := policies[0]
	if p.Tie != policy.TieUndefined {
		return
	}
	for _, other := range policies[1:] {
		if other.Order != p.Order || other.Tie != p.Tie {
			continue
		}
		rest := ports
		rules := other.Rules(w.program.direction)
		first := w.e.policies[ruleKey{other, w.program.direction}]
		for r := range rules {
			holds, _ := w.rule(first + r)
			if holds = holds.intersect(rest); len(holds) == 0 {
				continue
			}
			rest = rest.minus(holds)
			if rules[r].Action != action {
				w.doubts = append(w.doubts, fmt.Sprintf("%s and %s have the same priority: the API does not say whose rule counts", p, other))
				t.do(rules[r].Action, holds)
			}
		}
	}
}

// rule returns the ports that a rule of the table holds for, and those that it
// may hold for.
func (w *walk) rule(i int) (holds, may set) {
	r := w.e.table[i]
	a := w.src.src[i].And(w.dst.dst[i])
	if a == netfilter.No || r.Never != "" {
		return nil, nil
	}
	if a == netfilter.Maybe || r.Doubt != "" {
		return nil, w.portsOf(i)
	}
	return w.portsOf(i), nil
}

func (w *walk) portsOf(i int) set {
	r := w.e.table[i]
	if len(r.Ports) == 0 && len(r.Also) == 0 {
		return w.e.space.all()
	}
	key := portsKey{i, w.dst.names}
	if w.dst.end.Pod == nil {
		key.names = "-"
	}
	have, ok := w.e.ports[key]
	if !ok {
		if len(r.Ports) == 0 {
			have = w.e.space.all()
		}
		for p := range r.Ports {
			have = have.union(w.e.space.ports(&r.Ports[p], w.dst.namedPorts()))
		}
		for p := range r.Also {
			have = have.intersect(w.e.space.ports(&r.Also[p], w.dst.namedPorts()))
		}
		w.e.ports[key] = have
	}
	return have
}

func (w *walk) doubt(p *policy.Policy, rule int) {
	r := &p.Rules(w.program.direction)[rule]
	why, name := r.Doubt, ""
	if why == "" {
		why = strings.Join(append(doubtsOf(r.Src, &w.src.end), doubtsOf(r.Dst, &w.dst.end)...), ", ")
	}
	if r.Name != "" {
		name = " (" + r.Name + ")"
	}
	w.doubts = append(w.doubts, fmt.Sprintf("%s, %s rule %d%s: %s", p, w.program.direction, rule+1, name, why))
}

// doubtsOf says why it is not known whether ends are peers.
func doubtsOf(peers []policy.Peer, e *policy.End) (out []string) {
	for _, p := range peers {
		switch {
		case p.Match(e) != netfilter.Maybe:
		case e.IP.IsValid():
			out = append(out, fmt.Sprintf("it asks for %s, and the bundle does not tell which those are", p))
		default:
			out = append(out, fmt.Sprintf("it asks for %s, and the addresses of some pods are not known", p))
		}
	}
	return out
}
