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
	cur   cursor
	whole bool // every rule is compared: where a packet leaves by is not known, which the index asks for
}

// enter returns the frame of a packet that begins a chain.
func enter(c *Chain, keys *keys, f *netfilter.Frame) frame {
	at := frame{chain: c, whole: f.OutUnknown()}
	if c.index != nil && !at.whole {
		keys.read(f)
		at.cur = c.index.find(keys)
	}
	return at
}

// rule returns the next rule that may match, nil at the end of the chain.
func (at *frame) rule() *Rule {
	if at.chain.index != nil && !at.whole {
		at.next = at.chain.index.next(&at.cur, at.next)
	}
	if at.next >= len(at.chain.Rules) {
		return nil
	}
	at.next++
	return at.chain.Rules[at.next-1]
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
	var keys keys
	callers := room[:0]
	at, matched := enter(base, &keys, f), 0
	for compared := 0; compared < maxCompared && matched < maxMatched; compared++ {
		rule := at.rule()
		if rule == nil {
			if len(callers) == 0 {
				return netfilter.Return
			}
			at, callers = callers[len(callers)-1], callers[:len(callers)-1]
			continue
		}
		if !rule.matched(f, r) {
			continue
		}
		matched++
		switch v := r.apply(at.chain, rule, f); v {
		case netfilter.Continue:
			to, comesBack := destination(rule.target)
			if to == nil {
				continue
			}
			if comesBack {
				callers = append(callers, at)
			}
			at = enter(to, &keys, f)
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

// A jump is "-j CHAIN", a gone is "-g CHAIN": it does not come back. The walk
// follows them.
type (
	jump struct{ to *Chain }
	gone struct{ to *Chain }
)

func (j jump) apply(*netfilter.Frame, string) (netfilter.Verdict, string) {
	return netfilter.Continue, "jump " + j.to.Name
}

func (j gone) apply(*netfilter.Frame, string) (netfilter.Verdict, string) {
	return netfilter.Continue, "goto " + j.to.Name
}

// destination returns the chain that t leads to, nil if it leads to none.
func destination(t target) (to *Chain, comesBack bool) {
	switch t := t.(type) {
	case jump:
		return t.to, true
	case gone:
		return t.to, false
	}
	return nil, false
}
