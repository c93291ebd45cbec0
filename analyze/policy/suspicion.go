package policy

import (
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// Suspicions reports a conversation that the policies deny, once for each
// direction. Enforced says whether the network enforces policies: if it does
// not, the denial has no effect.
func (n *NetworkPolicy) Suspicions(src, dst model.Endpoint, port uint16, protocol model.Protocol, enforced bool) (out []model.Suspicion) {
	v := n.Check(src, dst, port, protocol)
	if v.Allowed || len(v.Unknown) > 0 {
		return nil
	}
	what := string(protocol)
	if protocol.HasPorts() {
		what = fmt.Sprintf("%s port %d", protocol, port)
	}
	for _, side := range []struct {
		direction   Direction
		pod, toward string
	}{{Egress, name(src), "to " + name(dst)}, {Ingress, name(dst), "from " + name(src)}} {
		policies := v.denied(side.direction)
		if len(policies) == 0 {
			continue
		}
		s := model.Suspicion{
			Level: model.SuspicionLevelWarning, Code: "policy/denied",
			Message: fmt.Sprintf("%s is isolated for %s by %s: no rule allows %s %s",
				side.pod, side.direction, several(policies), what, side.toward),
			Remedy: fmt.Sprintf("If it is meant to pass, add an %s rule for %s %s to NetworkPolicy %s.", side.direction, what, side.toward, policies[0]),
		}
		if !enforced {
			s.Level, s.Code = model.SuspicionLevelInfo, "policy/not-enforced"
			s.Message += "; this network does not enforce that"
			s.Remedy = "Install a policy engine, if the policy is meant."
		}
		out = append(out, s)
	}
	return out
}

// denied returns the names in DeniedBy of one direction.
func (v *Verdict) denied(d Direction) (out []string) {
	for _, text := range v.DeniedBy {
		if policy, ok := strings.CutPrefix(text, string(d)+" "); ok {
			out = append(out, policy)
		}
	}
	return out
}

func name(e model.Endpoint) string {
	if e.Name == "" {
		return e.IP.String()
	}
	return string(e.Type) + " " + e.Name
}

// several names up to three policies and counts the rest.
func several(policies []string) string {
	const most = 3
	switch {
	case len(policies) == 1:
		return "NetworkPolicy " + policies[0]
	case len(policies) <= most:
		return "NetworkPolicies " + strings.Join(policies, ", ")
	}
	return fmt.Sprintf("NetworkPolicies %s and %d more", strings.Join(policies[:most], ", "), len(policies)-most)
}
