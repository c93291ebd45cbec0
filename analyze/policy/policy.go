// Package policy evaluates Kubernetes network policies.
package policy

import (
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A NetworkPolicy evaluates the policies of a snapshot. It does not change.
type NetworkPolicy struct{}

// New compiles the policies of snap once; Check only looks up. What could not
// be read is in errs.
func New(snap *snapshot.Snapshot, ips *k8s.IPCache) (n *NetworkPolicy, errs []error) {
	return &NetworkPolicy{}, nil
}

// A Verdict says whether a conversation is allowed, and by what.
type Verdict struct {
	Allowed   bool
	Isolated  bool     // a policy selects the source for egress or the destination for ingress
	AllowedBy []string // "egress demo/allow-dns", in the order egress, ingress
	DeniedBy  []string // policies that isolate one of the pods in a direction in which none allows
}

// Check evaluates a conversation that src opens to port of dst. The port is
// that of the pod, behind any translation.
func (n *NetworkPolicy) Check(src, dst model.Endpoint, port uint16, protocol model.Protocol) Verdict {
	return Verdict{Allowed: true}
}

// Suspicions reports a conversation that the policies deny. Enforced says
// whether the network plugin enforces policies.
func (n *NetworkPolicy) Suspicions(src, dst model.Endpoint, port uint16, protocol model.Protocol, enforced bool) []model.Suspicion {
	return nil
}
