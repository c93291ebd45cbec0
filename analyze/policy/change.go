package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// change is the smallest change that would admit a flow that is denied: a rule
// for these two ends and this port, in the policy that comes nearest.
func (d *decision) change(f *Flow) string {
	last := d.steps[len(d.steps)-1]
	p, rule := last.policy, last.rule
	if rule < 0 {
		p = d.nearest(f)
	}
	if p.Admit == nil {
		return ""
	}
	return p.Admit(d.direction, rule, f)
}

// nearest is, of the policies that isolate a pod, one that already has a rule
// for the other end, or for the port, or a rule at all.
func (d *decision) nearest(f *Flow) *Policy {
	best, score := d.denied[0], 0
	for _, p := range d.denied {
		rules := p.rules(d.direction)
		now := min(1, len(rules))
		for i := range rules {
			switch {
			case PeersHold(rules[i].Src, &f.Src) == netfilter.Yes && PeersHold(rules[i].Dst, &f.Dst) == netfilter.Yes:
				now = max(now, 3)
			case portsHold(rules[i].Ports, f) == netfilter.Yes:
				now = max(now, 2)
			}
		}
		if p.Admit != nil && now > score {
			best, score = p, now
		}
	}
	return best
}

// other is the end that a rule of a direction has peers for.
func (f *Flow) other(d Direction) *End {
	if d == Ingress {
		return &f.Src
	}
	return &f.Dst
}

// admitByRule is the change of a NetworkPolicy: another rule.
func admitByRule(p *Policy, namespace string) func(Direction, int, *Flow) string {
	return func(d Direction, _ int, f *Flow) string {
		peer := peerText(f.other(d), namespace)
		if peer == "" {
			return ""
		}
		key := "from"
		if d == Egress {
			key = "to"
		}
		return fmt.Sprintf("add to %s of %s: {%s: [%s]%s}", d, p, key, peer, networkPolicyPorts(f))
	}
}

// networkPolicyPorts is the ports of a NetworkPolicy's rule. Protocols without
// ports are admitted by rules without ports alone.
func networkPolicyPorts(f *Flow) string {
	if !f.Protocol.HasPorts() {
		return ""
	}
	return fmt.Sprintf(", ports: [{protocol: %s, port: %d}]", strings.ToUpper(string(f.Protocol)), f.Port)
}

// peerText is a peer that holds an end, as a policy of a namespace writes it.
func peerText(e *End, namespace string) string {
	if e.Pod == nil {
		if !e.IP.IsValid() {
			return ""
		}
		return "{ipBlock: {cidr: " + netip.PrefixFrom(e.IP, e.IP.BitLen()).String() + "}}"
	}
	pods := "podSelector: " + selectorText(stableLabels(e.Pod.Labels))
	if e.Pod.Namespace == namespace {
		return "{" + pods + "}"
	}
	return "{namespaceSelector: " + namespaceText(e.Pod.Namespace) + ", " + pods + "}"
}

// namespaceText selects one namespace.
func namespaceText(name string) string {
	return selectorText(labels.Set{corev1.LabelMetadataName: name})
}

// selectorText writes a selector of labels.
func selectorText(set labels.Set) string {
	if len(set) == 0 {
		return "{}"
	}
	var list []string
	for k, v := range set {
		list = append(list, fmt.Sprintf("%s: %q", k, v))
	}
	slices.Sort(list)
	return "{matchLabels: {" + strings.Join(list, ", ") + "}}"
}

// sortedLabels writes labels as a selector of Calico compares them.
func sortedLabels(set labels.Set) (out []string) {
	for k, v := range set {
		out = append(out, fmt.Sprintf("%s == '%s'", k, v))
	}
	slices.Sort(out)
	return out
}

// stableLabels drops the labels that controllers give to each revision or pod.
func stableLabels(set labels.Set) labels.Set {
	out := labels.Set{}
	for k, v := range set {
		switch k {
		case "pod-template-hash", "controller-revision-hash", "pod-template-generation", "statefulset.kubernetes.io/pod-name",
			"apps.kubernetes.io/pod-index", "controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name":
		default:
			out[k] = v
		}
	}
	return out
}
