package plugin

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/netstack"
)

// A Basis is what a plugin stands on: all that it may use, and what is counted
// once, when somebody asks.
type Basis struct {
	Env
	Census func() Census                  // who lives where
	Ranges func() *Ranges                 // which node has which pods' addresses
	Aims   func() map[string][]netip.Addr // by node: addresses to ask for the ways there with
}

// NewBasis returns the basis of a network in which nodes have the ranges that ranges
// tells: [Env.PodCIDRs] of one where these are what the Node objects say.
func NewBasis(env Env, ranges func(Census) *Ranges) *Basis {
	b := &Basis{Env: env}
	b.Census = sync.OnceValue(func() Census { return Count(env) })
	b.Ranges = sync.OnceValue(func() *Ranges { return ranges(b.Census()) })
	b.Aims = sync.OnceValue(func() map[string][]netip.Addr { return b.Ranges().Aims(b.Census()) })
	return b
}

// Once returns read as a function that keeps what it returned for each key.
func Once[K comparable, V any](read func(K) V) func(K) V {
	known := &sync.Map{}
	return func(k K) V {
		v, ok := known.Load(k)
		if !ok {
			v, _ = known.LoadOrStore(k, read(k))
		}
		return v.(V)
	}
}

// PodCIDRs are the ranges that the Node objects say.
func (e *Env) PodCIDRs(c Census) *Ranges {
	r := &Ranges{}
	for i := range c.Nodes {
		for _, p := range e.IPCache.GetNodePodCIDRs(c.Nodes[i].Name) {
			r.Add(p, c.Nodes[i].Name)
		}
	}
	return r
}

// HostNS is a node's own namespace, nil if it was not collected.
func (e *Env) HostNS(node string) *netstack.NetNS { return e.Atlas.NetNS(PlaceOf(node)) }

// InPodNetwork reports whether ip is of the ranges of the cluster's pods.
func (e *Env) InPodNetwork(ip netip.Addr) bool {
	return slices.ContainsFunc(e.ClusterCIDRs, func(n netip.Prefix) bool { return n.Contains(ip) })
}

// LocalUplink is the Uplink of a network in which nobody answers a pod if what its
// node's fabric means for the pod is broken, or what it means for the pod of the same
// node that it talks to.
func LocalUplink(env Env, at func(node string) Fabric) Uplink {
	return func(a *assertions.NetstackAssertion, pod *k8s.Pod, dst netip.Addr) {
		f := at(pod.NodeName)
		if pod.Object != nil {
			f.LocalPod(a, pod.Object)
		}
		if to, ok := env.IPCache.GetPodFromIP(dst); ok && to.Spec.NodeName == pod.NodeName && to != pod.Object {
			f.LocalPod(a, to)
		}
	}
}
