package policy

import (
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A Reality is what the network did with a conversation.
type Reality struct {
	Passed bool // it came to where policies allow or deny it
	Masked bool // the source is a node that has put its address on another's packet: its own policies for egress are not asked

	// Agent is who wrote the rule that stopped it, "" if it was not a rule of an
	// agent of policies; Rule and Evidence are that rule and its place.
	Agent, Rule, Evidence string
	Met                   string // the agent whose rules it met without being stopped, "" for none
	On                    model.Hop
}

// Compare reports where policies and reality differ, and what policies deny,
// once for each direction. The first is what explains a conversation that was
// stopped.
func (n *NetworkPolicy) Compare(src, dst model.Endpoint, port uint16, protocol model.Protocol, r Reality) []model.Suspicion {
	f := &Flow{Src: n.End(src), Dst: n.End(dst), Port: port, Protocol: protocol}
	v := n.CheckFlow(f)
	switch {
	case len(v.Unknown) > 0:
		return nil
	case !v.Allowed:
		return n.denials(f, r)
	case r.Agent == "":
		return nil
	}
	// Agents may ask policies of what the API lets pass whatever they say: Felix
	// does so where a pod reaches itself through a Service.
	out := n.denials(f, r)
	for i := range out {
		out[i].Message += fmt.Sprintf("; the API says that %s, and %s asks the policies all the same", v.Why, r.Agent)
	}
	if len(out) > 0 {
		return out
	}
	return []model.Suspicion{notProgrammed(f, &v, r)}
}

// notProgrammed is about a rule that stops what policies allow.
func notProgrammed(f *Flow, v *Verdict, r Reality) model.Suspicion {
	why := "no policy isolates its ends"
	switch {
	case v.Why != "":
		why = v.Why
	case len(v.AllowedBy) > 0:
		why = "allowed by " + strings.Join(v.AllowedBy, ", ")
	}
	return model.Suspicion{
		Level: model.SuspicionLevelFatal, Code: "policy/not-programmed", On: r.On, Evidence: r.Evidence,
		Message: fmt.Sprintf("policies allow %s from %s to %s (%s), and %s stops it by a rule of its own: %s", f.portText(), &f.Src, &f.Dst, why, r.Agent, r.Rule),
		Remedy:  fmt.Sprintf("See whether %s runs on the node and what it logs: its rules are older than the policies and pods, or were not written.", r.Agent),
	}
}

// denials are the directions in which policies deny a flow.
func (n *NetworkPolicy) denials(f *Flow, r Reality) (out []model.Suspicion) {
	for _, d := range []*decision{n.evaluate(f, Egress), n.evaluate(f, Ingress)} {
		if len(d.denied) == 0 || d.direction == Egress && r.Masked {
			continue
		}
		self, toward := &f.Dst, "from "+f.Src.String()
		if d.direction == Egress {
			self, toward = &f.Src, "to "+f.Dst.String()
		}
		pod := self.String()
		s := model.Suspicion{
			Level: model.SuspicionLevelWarning, Code: "policy/denied", On: r.On, Evidence: r.Evidence,
			Message: fmt.Sprintf("%s is isolated for %s by %s: no rule allows %s %s", pod, d.direction, several(names(d.denied)), f.portText(), toward),
		}
		if last := d.steps[len(d.steps)-1]; last.rule >= 0 {
			s.Message = fmt.Sprintf("%s of %s denies %s %s for %s", ruleName(last.policy, d.direction, last.rule), last.policy, f.portText(), toward, pod)
		}
		if self.Pod != nil && r.On == (model.Hop{}) {
			s.On = model.Hop{Type: model.NetNodeTypePod, ID: self.Pod.Name}
		}
		if change := d.change(f); change != "" {
			s.Remedy = "If it is meant to pass, " + change
		}
		out = append(out, r.judge(s))
	}
	return out
}

// judge says what reality makes of a denial.
func (r *Reality) judge(s model.Suspicion) model.Suspicion {
	switch {
	case r.Agent != "":
		s.Level = model.SuspicionLevelFatal
	case r.Passed && r.Met != "":
		s.Level, s.Code = model.SuspicionLevelWarning, "policy/not-enforced"
		s.Message += fmt.Sprintf("; the rules of %s let it pass", r.Met)
		s.Remedy = fmt.Sprintf("If the policy is meant, see whether %s runs on the node and what it logs.", r.Met)
	case r.Passed:
		s.Level, s.Code = model.SuspicionLevelInfo, "policy/not-enforced"
		s.Message += "; this network does not enforce that"
		s.Remedy = "Install a policy engine, if the policy is meant."
	}
	return s
}

// several names up to three policies and counts the rest.
func several(policies []string) string {
	const most = 3
	if len(policies) <= most {
		return strings.Join(policies, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(policies[:most], ", "), len(policies)-most)
}
