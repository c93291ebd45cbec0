package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// An Explanation is a Verdict with what led to it.
type Explanation struct {
	Flow     *Flow
	Verdict  Verdict
	Egress   Side // of the source
	Ingress  Side // of the destination
	Comments []string
}

// A Side is one end of a conversation and what the policies say there.
type Side struct {
	Direction Direction
	End       string // "pod demo/web"
	Answer    netfilter.Answer
	Why       string // what follows from Asked: "no policy selects it for ingress"
	Asked     []Asked
	Change    string // the smallest change that would admit the conversation here, "" if it is admitted or none is known
}

// Asked is one policy that selects the end, in the order of evaluation. The
// last one is where the evaluation ended.
type Asked struct {
	Tier   string
	Policy string // with its kind
	Rule   string // the rule that holds: "ingress rule 1 (dns)"; "" if none does
	Action Action // what that rule does, "" without one
	Maybe  bool   // whether the rule holds is not known
	Misses []string
}

// Explain says how the verdict about a flow comes about. Plugin is the name of
// the network plugin, "" if it is not known: some answers depend on it.
func (n *NetworkPolicy) Explain(f *Flow, plugin string) *Explanation {
	x := &Explanation{Flow: f, Verdict: n.CheckFlow(f)}
	x.Egress = Side{Direction: Egress, End: f.Src.String(), Answer: netfilter.Yes, Why: x.Verdict.Why}
	x.Ingress = Side{Direction: Ingress, End: f.Dst.String(), Answer: netfilter.Yes, Why: x.Verdict.Why}
	if x.Verdict.Why != "" {
		return x
	}
	x.Egress.explain(n.evaluate(f, Egress), f)
	x.Ingress.explain(n.evaluate(f, Ingress), f)
	x.Comments = comments(n, f, plugin)
	return x
}

// explain fills in what a decision says.
func (s *Side) explain(d *decision, f *Flow) {
	s.Answer = d.answer
	for _, st := range d.steps {
		s.Asked = append(s.Asked, st.explain(d.direction, f))
	}
	s.Why = d.why(f)
	if d.answer == netfilter.No {
		s.Change = d.change(f)
	}
}

// why is what follows from the policies that were asked.
func (d *decision) why(f *Flow) string {
	self := &f.Dst
	if d.direction == Egress {
		self = &f.Src
	}
	switch {
	case d.isolated:
		return d.whyIsolated()
	case self.Pod != nil:
		return fmt.Sprintf("no policy selects it for %s: allowed", d.direction)
	}
	return "policies do not select what has no network of its own in the cluster: allowed"
}

func (d *decision) whyIsolated() string {
	switch {
	case d.answer == netfilter.Maybe:
		return "not known: " + strings.Join(d.doubts, "; ")
	case d.answer == netfilter.No && d.steps[len(d.steps)-1].rule < 0:
		return fmt.Sprintf("denied: policies isolate it for %s, and no rule of theirs holds", d.direction)
	case d.answer == netfilter.No:
		return "denied by " + strings.Join(names(d.denied), ", ")
	case len(d.allowed) > 0:
		return "allowed by " + strings.Join(names(d.allowed), ", ")
	}
	return "no rule decides it: allowed"
}

func names(policies []*Policy) (out []string) {
	for _, p := range policies {
		out = append(out, p.String())
	}
	return out
}

func (s *step) explain(d Direction, f *Flow) Asked {
	a := Asked{Tier: s.tier.Name, Policy: s.policy.String()}
	rules := s.policy.rules(d)
	if s.rule >= 0 {
		a.Rule, a.Action, a.Maybe = ruleName(s.policy, d, s.rule), rules[s.rule].Action, s.answer == netfilter.Maybe
		return a
	}
	for i := range rules {
		a.Misses = append(a.Misses, ruleName(s.policy, d, i)+" "+rules[i].miss(f))
	}
	if len(rules) == 0 {
		a.Misses = []string{fmt.Sprintf("it has no rule for %s", d)}
	}
	return a
}

// miss says why a rule does not hold.
func (r *Rule) miss(f *Flow) string {
	switch {
	case r.Never != "":
		return "holds for nothing: " + r.Never
	case PeersHold(r.Src, &f.Src) == netfilter.No:
		return fmt.Sprintf("is from %s, not %s", list(r.Src), &f.Src)
	case PeersHold(r.Dst, &f.Dst) == netfilter.No:
		return fmt.Sprintf("is to %s, not %s", list(r.Dst), &f.Dst)
	}
	for i := range r.Also {
		if r.Also[i].Match(f) == netfilter.No {
			return fmt.Sprintf("is for %s%s, not %s", &r.Also[i], r.Also[i].unnamed(f), f.portText())
		}
	}
	var ports []string
	for i := range r.Ports {
		ports = append(ports, r.Ports[i].String()+r.Ports[i].unnamed(f))
	}
	return fmt.Sprintf("is for %s, not %s", strings.Join(ports, " or "), f.portText())
}

// unnamed says what names of a port are at the destination.
func (p *Port) unnamed(f *Flow) string {
	if len(p.Names) == 0 {
		return ""
	}
	if f.Dst.Pod == nil {
		return " (what is no pod has no names of ports)"
	}
	for _, name := range p.Names {
		for _, number := range f.Dst.Pod.NamedPorts(name, p.Protocol) {
			return fmt.Sprintf(" (which is %d there)", number)
		}
	}
	return " (a name that the pod's containers do not have)"
}

// portText is "TCP 80".
func (f *Flow) portText() string {
	protocol := strings.ToUpper(string(f.Protocol))
	if !f.Protocol.HasPorts() {
		return protocol
	}
	return fmt.Sprintf("%s %d", protocol, f.Port)
}

func list(peers []Peer) string {
	var out []string
	for _, p := range peers {
		out = append(out, p.String())
	}
	return strings.Join(out, " or ")
}

// comments are what a reader must know about what the policies do not say.
func comments(n *NetworkPolicy, f *Flow, plugin string) (out []string) {
	for _, side := range []struct {
		self, other *End
		direction   Direction
	}{{&f.Src, &f.Dst, Egress}, {&f.Dst, &f.Src, Ingress}} {
		tiers := side.self.asked(side.direction, n)
		if side.other.Pod == nil && hasPeer(tiers, side.direction, isBlock) {
			out = append(out, natComment(plugin, side.direction))
		}
		if side.other.IsIPv4 && hasPeer(tiers, side.direction, isFamily) {
			out = append(out, fmt.Sprintf("%s has no address; it is taken for one of IPv4", side.other))
		}
		if side.self.Pod == nil && side.self.Node != "" && side.other.Pod != nil {
			out = append(out, fmt.Sprintf("%s: pods with the network of their node are the node to policies; its own pods it may always reach, and they it (kubelet's probes)", side.self))
		}
	}
	return out
}

// hasPeer reports whether policies have a peer of some form.
func hasPeer(tiers []asked, d Direction, is func(Peer) bool) bool {
	for _, t := range tiers {
		for _, p := range t.policies {
			for _, r := range p.rules(d) {
				if slices.ContainsFunc(slices.Concat(r.Src, r.Dst), is) {
					return true
				}
			}
		}
	}
	return false
}

// isBlock reports whether a peer asks for addresses.
func isBlock(p Peer) bool { return len(p.Blocks()) > 0 }

// isFamily reports whether a peer asks for all addresses of a family.
func isFamily(p Peer) bool {
	return slices.ContainsFunc(p.Blocks(), func(b netip.Prefix) bool { return b.Bits() == 0 })
}
