// Package policy evaluates Kubernetes network policies.
package policy

import (
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A NetworkPolicy knows the policies of a snapshot, as networking.k8s.io/v1
// means them. It does not change.
type NetworkPolicy struct {
	ips      *k8s.IPCache
	subjects map[string]*subject // of pods, by "namespace/name"
	count    int                 // of policies
}

// New compiles the policies of snap once; Check only looks up. What could not
// be read is in errs. If that is the policies themselves, everything is
// allowed.
func New(snap *snapshot.Snapshot, ips *k8s.IPCache) (n *NetworkPolicy, errs []error) {
	n = &NetworkPolicy{ips: ips, subjects: map[string]*subject{}}
	policies, err := snap.NetworkPolicies()
	if err != nil {
		return n, []error{err}
	}
	n.count = len(policies)
	byNamespace := map[string][]*policy{}
	for i := range policies {
		p, err := compile(&policies[i])
		if err != nil {
			errs = append(errs, err)
		}
		byNamespace[policies[i].Namespace] = append(byNamespace[policies[i].Namespace], p)
	}
	namespaces, err := snap.Namespaces()
	if err != nil {
		errs = append(errs, err)
	}
	n.addSubjects(ips.Pods(), namespaceLabels(namespaces), byNamespace)
	return n, errs
}

// Len returns the number of policies.
func (n *NetworkPolicy) Len() int { return n.count }

// A Direction is one of the two in which policies isolate pods.
type Direction string

// The directions, seen from the pod that a policy selects.
const (
	Ingress Direction = "ingress"
	Egress  Direction = "egress"
)

// A Verdict says whether a conversation is allowed, and by what. Policies are
// named with their direction: "egress demo/allow-dns". Those of the source come
// first.
type Verdict struct {
	Allowed   bool
	Isolated  bool     // a policy selects the source for egress or the destination for ingress
	AllowedBy []string // policies with a rule that holds for the conversation
	DeniedBy  []string // all that isolate a pod in a direction in which none allows
	Why       string   // what allows it whatever the policies say, "" if they decide
}

// Check evaluates a conversation that src opens to a port of dst. A policy sees
// pods, so dst is the backend where a Service was addressed, and port is the
// pod's own.
func (n *NetworkPolicy) Check(src, dst model.Endpoint, port uint16, protocol model.Protocol) Verdict {
	c := conversation{src: n.end(src), dst: n.end(dst), port: port, protocol: apiProtocol(protocol)}
	v := Verdict{Allowed: true}
	if v.Why = c.exempt(); v.Why != "" {
		return v
	}
	v.direction(Egress, c.src.egress(), func(p *policy) bool { return p.allows(p.egress, &c, &c.dst) })
	v.direction(Ingress, c.dst.ingress(), func(p *policy) bool { return p.allows(p.ingress, &c, &c.src) })
	return v
}

// direction adds what the policies that isolate a pod in one direction say.
func (v *Verdict) direction(d Direction, isolating []*policy, allows func(*policy) bool) {
	if len(isolating) == 0 {
		return
	}
	v.Isolated = true
	allowed := false
	for _, p := range isolating {
		if allows(p) {
			allowed = true
			v.AllowedBy = append(v.AllowedBy, string(d)+" "+p.name)
		}
	}
	if allowed {
		return
	}
	v.Allowed = false
	for _, p := range isolating {
		v.DeniedBy = append(v.DeniedBy, string(d)+" "+p.name)
	}
}
