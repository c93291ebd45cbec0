package policy

import (
	"slices"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A NetworkPolicy knows the policies of a snapshot, of every kind. It does not
// change.
type NetworkPolicy struct {
	ips      *k8s.IPCache
	tiers    []*Tier         // by order
	pods     map[string]*Pod // by "namespace/name"
	count    int             // of policies
	ofNodes  bool            // some are about nodes
	hasIPv6  bool            // a pod has such an address
	missing  []string        // what is not known of them
	felix    bool            // Calico's agent says what they mean
	forwards []*Policy       // those about what nodes forward
}

// New compiles the policies of snap once; Check only looks up. What could not
// be read is in errs. If that is a list of policies, no verdict is known.
func New(snap *snapshot.Snapshot, ips *k8s.IPCache) (n *NetworkPolicy, errs []error) {
	b := &builder{snap: snap, tiers: map[string]*Tier{}}
	for _, s := range sources() {
		b.read(s)
	}
	n = &NetworkPolicy{felix: calicoRuns(snap), ips: ips, pods: map[string]*Pod{}, tiers: b.sorted(), missing: b.missing}
	for _, t := range n.tiers {
		n.count += len(t.Policies)
		for _, p := range t.Policies {
			if p.Forward != nil {
				n.forwards = append(n.forwards, p)
			}
		}
		n.ofNodes = n.ofNodes || slices.ContainsFunc(t.Policies, func(p *Policy) bool { return p.Node != nil })
	}
	if n.count > 0 {
		namespaces, err := snap.Namespaces()
		b.bad(err)
		n.addPods(ips.Pods(), namespaceLabels(namespaces))
		return n, b.errs
	}
	n.addPods(ips.Pods(), nil)
	return n, b.errs
}

// Len returns the number of policies.
func (n *NetworkPolicy) Len() int { return n.count }

// Tiers returns all policies, in the order in which they are asked. The caller
// must not change them.
func (n *NetworkPolicy) Tiers() []*Tier { return n.tiers }

// Forwards names the policies that are also about what nodes forward. That is
// not evaluated: where one of them may decide, Check does not know.
func (n *NetworkPolicy) Forwards() (names []string) {
	for _, p := range n.forwards {
		names = append(names, p.String())
	}
	return names
}

// Pod returns a pod by its "namespace/name", nil if there is none that
// policies can select.
func (n *NetworkPolicy) Pod(name string) *Pod { return n.pods[name] }

// A Verdict says whether a conversation is allowed, and by what. Policies are
// named with their direction, and with their kind unless that is NetworkPolicy:
// "egress demo/allow-dns", "ingress AdminNetworkPolicy quarantine". Those of the
// source come first.
type Verdict struct {
	Allowed   bool
	Isolated  bool     // a policy selects the source for egress or the destination for ingress
	AllowedBy []string // policies with a rule that allows the conversation
	DeniedBy  []string // the policy with the rule that denies it, or all that isolate a pod in a direction in which none allows
	Why       string   // what allows it whatever the policies say, "" if they decide
	Unknown   []string // why it is not known whether it is allowed; Allowed is false then
}

// Check evaluates a conversation that src opens to a port of dst. A policy sees
// pods, so dst is the backend where a Service was addressed, and port is the
// pod's own.
func (n *NetworkPolicy) Check(src, dst model.Endpoint, port uint16, protocol model.Protocol) Verdict {
	return n.CheckFlow(&Flow{Src: n.End(src), Dst: n.End(dst), Port: port, Protocol: protocol})
}

// CheckFlow is Check of ends that are found already.
func (n *NetworkPolicy) CheckFlow(f *Flow) Verdict {
	v := Verdict{Allowed: true}
	if v.Why = n.exempt(f); v.Why != "" {
		return v
	}
	egress, ingress := n.evaluate(f, Egress), n.evaluate(f, Ingress)
	v.add(egress)
	v.add(ingress)
	v.Allowed = egress.answer.And(ingress.answer) == netfilter.Yes && len(n.missing) == 0
	v.Unknown = n.missing
	forwarded := n.forwarded(f)
	v.Allowed = v.Allowed && len(forwarded) == 0
	if egress.answer != netfilter.No && ingress.answer != netfilter.No && !v.Allowed {
		v.Unknown = slices.Concat(n.missing, egress.doubts, ingress.doubts, forwarded)
	}
	return v
}

// add adds what the policies of one direction say.
func (v *Verdict) add(d *decision) {
	v.Isolated = v.Isolated || d.isolated
	for _, p := range d.allowed {
		v.AllowedBy = append(v.AllowedBy, p.label(d.direction))
	}
	for _, p := range d.denied {
		v.DeniedBy = append(v.DeniedBy, p.label(d.direction))
	}
}
