package iptables

import (
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A text can be written that takes a packet through exponentially many rules,
// so both how many it is compared with in one table and how many it matches
// are bounded.
const (
	maxCompared = 20_000_000
	maxMatched  = 10_000
)

// A frame is a chain and the next rule in it: where RETURN comes back to.
type frame struct {
	chain *Chain
	next  int
}

// Run runs f through the base chain of f.Hook in table, and returns Accept,
// Drop, Reject or Unknown. Where there is no such chain it accepts.
func (r *Ruleset) Run(table string, f *netfilter.Frame) netfilter.Verdict {
	base, ok := r.Chain(table, f.Hook.String())
	if !ok {
		return netfilter.Accept
	}
	switch v := r.walk(base, f); v {
	case netfilter.Return, netfilter.Continue:
		return r.policy(base, f)
	default:
		return v
	}
}

// walk runs f through base and the chains that it calls. It returns Return if
// nothing was decided.
func (r *Ruleset) walk(base *Chain, f *netfilter.Frame) netfilter.Verdict {
	var room [16]frame
	callers := room[:0]
	at, matched := frame{chain: base}, 0
	for compared := 0; compared < maxCompared && matched < maxMatched; compared++ {
		if at.next >= len(at.chain.Rules) {
			if len(callers) == 0 {
				return netfilter.Return
			}
			at, callers = callers[len(callers)-1], callers[:len(callers)-1]
			continue
		}
		rule := at.chain.Rules[at.next]
		at.next++
		if !rule.matched(f, r) {
			continue
		}
		matched++
		switch v := r.apply(at.chain, rule, f); v {
		case netfilter.Continue:
			j, ok := rule.target.(*jump)
			if !ok {
				continue
			}
			if !j.gone {
				callers = append(callers, at)
			}
			at = frame{chain: j.to}
		case netfilter.Return:
			at.next = len(at.chain.Rules)
		default:
			return v
		}
	}
	f.Step(base.Table+"/"+base.Name, "", "unknown: more rules than are followed", r.at(base.Line))
	return netfilter.Unknown
}

// apply does what rule says and writes it down.
func (r *Ruleset) apply(c *Chain, rule *Rule, f *netfilter.Frame) netfilter.Verdict {
	at := r.Evidence(rule)
	v, action := netfilter.Continue, "continue"
	if rule.target != nil {
		v, action = rule.target.apply(f, at)
	}
	f.Step(c.Table+"/"+c.Name, rule.Raw, action, at)
	return v
}

// policy applies the policy of a base chain.
func (r *Ruleset) policy(base *Chain, f *netfilter.Frame) netfilter.Verdict {
	if base.Policy == netfilter.Drop {
		f.Step(base.Table+"/"+base.Name, base.declaration(), "policy drop", r.at(base.Line))
		return netfilter.Drop
	}
	return netfilter.Accept
}

// jump is "-j CHAIN", or "-g CHAIN" if it is gone for good. The walk follows
// it; the parser links it, so that a missing chain is found there.
type jump struct {
	name string
	to   *Chain
	gone bool
}

func (j *jump) apply(*netfilter.Frame, string) (netfilter.Verdict, string) {
	if j.gone {
		return netfilter.Continue, "goto " + j.name
	}
	return netfilter.Continue, "jump " + j.name
}
