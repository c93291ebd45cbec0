package policy

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// An Outcome is what policies say to a question.
type Outcome string

// The outcomes. Mixed is that some of the ways that a conversation may take are
// allowed and some are not, such as the backends of a Service.
const (
	Allowed Outcome = "allowed"
	Denied  Outcome = "denied"
	Unknown Outcome = "unknown"
	Mixed   Outcome = "mixed"
)

// An Answer is what policies say to a question, and why.
type Answer struct {
	Question Question
	Outcome  Outcome
	Flows    []*Explanation // at least one
}

// Ask answers a question. Plugin is the name of the network plugin, "" if it is
// not known.
func (r *Resolver) Ask(q Question, plugin string) (*Answer, error) {
	flows, err := r.Flows(q)
	if err != nil {
		return nil, err
	}
	a := &Answer{Question: q}
	for i, f := range flows {
		x := r.n.Explain(f, plugin)
		a.Flows = append(a.Flows, x)
		a.Outcome = join(a.Outcome, x.Verdict.Outcome(), i == 0)
	}
	return a, nil
}

// Outcome returns what the verdict is.
func (v *Verdict) Outcome() Outcome {
	switch {
	case len(v.Unknown) > 0:
		return Unknown
	case v.Allowed:
		return Allowed
	}
	return Denied
}

// join joins the outcome of one more flow.
func join(a, b Outcome, first bool) Outcome {
	switch {
	case first || a == b:
		return b
	case a == Unknown || b == Unknown:
		return Unknown
	}
	return Mixed
}

// A Check is a question's answer in short.
type Check struct {
	Outcome  Outcome
	By       []string // as Verdict.AllowedBy, of all flows
	DeniedBy []string
	Unknown  []string // why it is not known
}

// Check answers a question without its explanation.
func (r *Resolver) Check(q Question) (*Check, error) {
	flows, err := r.Flows(q)
	if err != nil {
		return nil, err
	}
	c := &Check{}
	allowed := 0
	for i, f := range flows {
		v := r.n.CheckFlow(f)
		c.Outcome = join(c.Outcome, v.Outcome(), i == 0)
		if v.Outcome() == Allowed {
			allowed++
		}
		c.By, c.DeniedBy, c.Unknown = union(c.By, v.AllowedBy), union(c.DeniedBy, v.DeniedBy), union(c.Unknown, v.Unknown)
	}
	if c.Outcome == Mixed {
		c.Unknown = append(c.Unknown, fmt.Sprintf("%d of %d backends are allowed", allowed, len(flows)))
	}
	return c, nil
}

// union adds what is new.
func union(have, more []string) []string {
	for _, text := range more {
		if !slices.Contains(have, text) {
			have = append(have, text)
		}
	}
	return have
}

// truth is true, false or nil for what is not known.
func truth(a netfilter.Answer) *bool {
	if a == netfilter.Maybe {
		return nil
	}
	allowed := a == netfilter.Yes
	return &allowed
}
