package analyze

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/policy"
)

// comparePolicies adds what the policies say of the conversation where that and
// reality differ, or where policies stop it. A rule that stops it is told first,
// and is put right where the policies are.
func (c *conversation) comparePolicies(all []model.Suspicion) []model.Suspicion {
	for _, b := range c.branches {
		src, dst, ok := c.asPoliciesSee(b.request)
		if !ok {
			continue
		}
		r := c.reality(b)
		r.Masked = src.IP != c.src.IP
		if v := c.policy.Check(src, dst, dst.Port, c.protocol); len(v.Unknown) > 0 && r.Agent != "" {
			ask(all, r, v.Unknown[0])
		}
		for _, s := range c.policy.Compare(src, dst, dst.Port, c.protocol, r) {
			for i := range all {
				if all[i].On == s.On && all[i].Evidence == s.Evidence && s.Level == model.SuspicionLevelFatal {
					all[i].Remedy = s.Remedy
				}
			}
			if !slices.ContainsFunc(all, func(o model.Suspicion) bool { return o.Code == s.Code && o.Message == s.Message }) {
				all = append(all, s)
			}
		}
	}
	return all
}

// ask puts another remedy in the place of the one that removes a rule, which policies may
// mean: what they say is not known.
func ask(all []model.Suspicion, r policy.Reality, unknown string) {
	for i := range all {
		if all[i].On == r.On && all[i].Evidence == r.Evidence {
			all[i].Remedy = fmt.Sprintf("See which policies isolate the pods: %s writes the rule for them, and they are not known here (%s).", r.Agent, unknown)
		}
	}
}

// asPoliciesSee returns the ends of a request. Policies see pods, so a Service
// is its backend, as far as the packet came to be translated, and a client whose
// address another node has masqueraded is that node. The destination's own node
// masquerades behind its policies.
func (c *conversation) asPoliciesSee(end *model.Visit) (src, dst model.Endpoint, ok bool) {
	src, dst = c.src, c.dst
	if to := end.Served.Dst; end.Disposition != model.Forwarded && to.IsValid() {
		dst = c.ips.Endpoint(to.Addr(), to.Port())
	}
	if from := end.Served.Src.Addr(); end.Disposition != model.Forwarded && from.IsValid() && from != src.IP && src.Type != model.EndpointTypePod {
		by, _ := c.ips.GetNodeNameFromIP(from)
		of, _ := c.ips.GetPodNode(dst.IP)
		if stopped(end) || by != of {
			src = c.ips.Endpoint(from, 0)
		}
	}
	return src, dst, dst.Type != model.EndpointTypeService && dst.Type != model.EndpointTypeLoadbalancer
}

// stopped reports whether a rule ended a journey.
func stopped(end *model.Visit) bool {
	return end.Disposition == model.Dropped || end.Disposition == model.Rejected
}

// reality is what became of a branch where policies have a say.
func (c *conversation) reality(b branch) policy.Reality {
	r := policy.Reality{Passed: b.request.Disposition == model.Delivered}
	ends := []*model.Visit{b.request}
	if b.reply != nil {
		ends = append(ends, b.reply)
	}
	for _, end := range ends {
		r.Met = cmp.Or(r.Met, met(end))
		if agent, step := stoppedBy(end); agent != "" {
			r.Agent, r.Rule, r.Evidence, r.On, r.Passed = agent, step.Where+" "+step.Rule, step.Evidence, end.Node.Hop, false
		}
	}
	return r
}

// met returns the policy agent to whose rules a packet was led on its way, ""
// for none.
func met(end *model.Visit) string {
	for _, v := range chain(end) {
		for _, step := range v.Trace {
			if agent := policy.AgentOf(step.Where + " " + step.Action); agent != "" {
				return agent
			}
		}
	}
	return ""
}

// stoppedBy returns the policy agent whose rule ended a journey, "" if it was
// something else.
func stoppedBy(end *model.Visit) (string, model.Step) {
	if !stopped(end) {
		return "", model.Step{}
	}
	for i := len(end.Trace) - 1; i >= 0; i-- {
		if step := end.Trace[i]; step.Where != "end" && step.Evidence != "" && step.Evidence == end.Evidence {
			return policy.AgentOf(step.Where), step
		}
	}
	return "", model.Step{}
}
