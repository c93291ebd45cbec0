package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// exempt says why the conversation is allowed whatever the policies say, "" if
// they count. Calico asks the egress policies of a pod about its own node, too
// (felix/rules/static.go, the chain cali-wl-to-host).
func (n *NetworkPolicy) exempt(f *Flow) string {
	s, d := &f.Src, &f.Dst
	switch {
	case s.Pod != nil && s.Pod == d.Pod:
		return "a pod may always talk to itself"
	case s.Node != "" && s.Node == d.Node:
		return "a node may always talk to itself"
	case s.Node != "" && d.Pod != nil && d.Pod.Node == s.Node:
		return "a node may always talk to its own pods"
	case f.toOwnNode() && !n.felix:
		return "a pod may always talk to its own node"
	}
	return ""
}

// toOwnNode reports whether a pod opens the conversation to its own node.
func (f *Flow) toOwnNode() bool {
	return f.Dst.Node != "" && f.Src.Pod != nil && f.Src.Pod.Node == f.Dst.Node
}

// A decision is what the policies of one direction say.
type decision struct {
	direction Direction
	answer    netfilter.Answer // whether the conversation is allowed
	isolated  bool
	steps     []step
	allowed   []*Policy
	denied    []*Policy
	doubts    []string
}

// A step is one policy that was asked.
type step struct {
	tier   *Tier
	policy *Policy
	rule   int // index of the rule that held, or may hold; -1 for none
	answer netfilter.Answer
}

// An evaluation asks the policies of one direction.
type evaluation struct {
	*decision
	flow  *Flow
	tiers []asked
	known map[int]outcome // of the tiers from an index on
}

// An outcome is the answers that are possible.
type outcome uint8

const (
	canAllow outcome = 1 << iota
	canDeny
)

func (n *NetworkPolicy) evaluate(f *Flow, d Direction) *decision {
	self := &f.Dst
	if d == Egress {
		self = &f.Src
	}
	e := evaluation{decision: &decision{direction: d, answer: netfilter.Yes}, flow: f, tiers: self.asked(d, n)}
	if d == Ingress && f.toOwnNode() {
		e.tiers = nil // it passes no interface that policies of the node are about
	}
	e.isolated = len(e.tiers) > 0
	switch e.from(0) {
	case canDeny:
		e.answer, e.allowed = netfilter.No, nil
	case canAllow:
		e.denied = nil
	default:
		e.answer = netfilter.Maybe
	}
	return e.decision
}

// from asks the tiers from index i on.
func (e *evaluation) from(i int) outcome {
	if i == len(e.tiers) {
		return canAllow
	}
	if have, ok := e.known[i]; ok {
		return have
	}
	out := e.tier(i)
	if e.known == nil {
		e.known = map[int]outcome{}
	}
	e.known[i] = out
	return out
}

// tier asks a tier: the first rule that holds decides.
func (e *evaluation) tier(i int) (out outcome) {
	t := &e.tiers[i]
	for at, p := range t.policies {
		may, decided := e.policy(i, at)
		out |= may
		if decided {
			return out
		}
		if may == 0 {
			e.steps = append(e.steps, step{t.tier, p, -1, netfilter.No})
		}
	}
	if t.tier.End != Deny {
		return out | e.from(i+1)
	}
	e.denied = append(e.denied, t.policies...)
	if slices.Contains(t.unsure, false) {
		return out | canDeny
	}
	e.doubts = append(e.doubts, unsureText(t.policies[0]))
	return out | canDeny | e.from(i+1)
}

// policy asks one policy of a tier: what its rules can lead to, and whether one
// of them decides.
func (e *evaluation) policy(i, at int) (out outcome, decided bool) {
	t := &e.tiers[i]
	p := t.policies[at]
	rules := p.rules(e.direction)
	for r := range rules {
		switch a := rules[r].Match(e.flow); {
		case a == netfilter.No:
		case a == netfilter.Maybe:
			e.steps = append(e.steps, step{t.tier, p, r, netfilter.Maybe})
			e.doubts = append(e.doubts, doubt(p, e.direction, r, e.flow))
			out |= e.do(rules[r].Action, i, p)
		case t.unsure[at]:
			e.steps = append(e.steps, step{t.tier, p, r, netfilter.Maybe})
			e.doubts = append(e.doubts, unsureText(p))
			return out | e.do(rules[r].Action, i, p), false
		default:
			e.steps = append(e.steps, step{t.tier, p, r, netfilter.Yes})
			return out | e.decide(i, at, r), true
		}
	}
	return out, false
}

func unsureText(p *Policy) string { return fmt.Sprintf("whether %s is about it is not known", p) }

// doubt says why it is open whether a rule holds.
func doubt(p *Policy, d Direction, rule int, f *Flow) string {
	r := &p.rules(d)[rule]
	why := r.Doubt
	if why == "" {
		why = strings.Join(append(doubtsOf(r.Src, &f.Src), doubtsOf(r.Dst, &f.Dst)...), ", ")
	}
	return fmt.Sprintf("%s, %s: %s", p, ruleName(p, d, rule), why)
}

// doubtsOf says what is not known of an end.
func doubtsOf(peers []Peer, e *End) (out []string) {
	for _, p := range peers {
		switch {
		case p.Match(e) != netfilter.Maybe:
		case e.IP.IsValid():
			out = append(out, fmt.Sprintf("whether %s is one of %s is not known", e, p))
		default:
			out = append(out, fmt.Sprintf("the address of %s is not known, and it asks for %s", e, p))
		}
	}
	return out
}

// do is what an action of policy p leads to.
func (e *evaluation) do(a Action, i int, p *Policy) outcome {
	switch a {
	case Allow:
		e.allowed = append(e.allowed, p)
		return canAllow
	case Deny:
		e.denied = append(e.denied, p)
		return canDeny
	}
	return e.from(i + 1)
}

// decide does what the rule says that holds, after a look at the policies with
// the same order.
func (e *evaluation) decide(i, at, rule int) outcome {
	t := &e.tiers[i]
	p := t.policies[at]
	action := p.rules(e.direction)[rule].Action
	out := e.do(action, i, p)
	for _, other := range t.policies[at+1:] {
		if other.Order != p.Order || other.Tie != p.Tie || p.Tie == TieByName {
			continue
		}
		r := e.first(other)
		switch {
		case r < 0:
		case p.Tie == TieUnion:
			e.steps = append(e.steps, step{t.tier, other, r, netfilter.Yes})
			e.allowed = append(e.allowed, other)
		case other.rules(e.direction)[r].Action != action:
			e.steps = append(e.steps, step{t.tier, other, r, netfilter.Maybe})
			e.doubts = append(e.doubts, fmt.Sprintf("%s and %s have the same priority: the API does not say whose rule counts", p, other))
			out |= e.do(other.rules(e.direction)[r].Action, i, other)
		}
	}
	return out
}

// first returns the first rule of a policy that holds, -1 for none.
func (e *evaluation) first(p *Policy) int {
	rules := p.rules(e.direction)
	for r := range rules {
		if rules[r].Match(e.flow) == netfilter.Yes {
			return r
		}
	}
	return -1
}

// ruleName names a rule as people count: "ingress rule 1 (dns)".
func ruleName(p *Policy, d Direction, rule int) string {
	out := fmt.Sprintf("%s rule %d", d, rule+1)
	if name := p.rules(d)[rule].Name; name != "" {
		out += " (" + name + ")"
	}
	return out
}
