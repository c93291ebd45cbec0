// Package service says where a Service should send a packet.
package service

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A Backend is one place where a Service may send a packet.
type Backend struct {
	Addr       netip.AddrPort
	Node       string  // that it runs on, "" if nobody says
	Pod        string  // "namespace/name", "" if it is no pod
	Masquerade bool    // the packet arrives with an address of the node that translates it
	Share      float64 // of all such packets, how many go there
}

// The kinds of address by which a packet comes to a Service.
const (
	KindClusterIP    = "clusterIP"
	KindNodePort     = "nodePort"
	KindExternalIP   = "externalIP"
	KindLoadBalancer = "loadBalancer"
)

// A Decision is what a Service means to happen to a packet. Headless Services
// and those of type ExternalName make none: no packet carries their address.
type Decision struct {
	Service     string // "demo/web"
	Port        string // name of the port, or its number if it has no name
	Kind        string
	Backends    []Backend // sorted by address
	Affinity    int       // seconds for which a client stays with the backend that it has got (sessionAffinity ClientIP), 0 if it need not
	NoPort      bool      // the Service does not have the port
	NoEndpoints bool      // it has no endpoint on any node: the packet is rejected
	Dropped     bool      // it has endpoints, and a traffic policy or source range keeps this packet from them
	Why         string    // for people: what led to NoPort, NoEndpoints or Dropped, or to this choice of backends

	port    *port // nil if NoPort
	refused bool  // Dropped for its source
}

// A Processor is one implementation of Services, such as kube-proxy in one of
// its modes.
type Processor interface {
	// Process returns what should happen to p on node before p is routed
	// there. It reports false if p does not go to a Service. fromPod says
	// that a pod sent p, one that does not use its node's network.
	Process(p model.Packet, node string, fromPod bool) (*Decision, bool)
	// Validate reports how got, which is what node made of p, differs from
	// what was wanted.
	Validate(p model.Packet, want *Decision, got model.Packet, node string) []model.Suspicion
}

// Owners says who owns an address. The IPCache of package k8s is one.
type Owners interface {
	GetPodFromIP(ip netip.Addr) (*corev1.Pod, bool)
	GetNodeNameFromIP(ip netip.Addr) (string, bool)
	GetNodeIPs(node string) []netip.Addr // those of the Node object first
	GetNodePodCIDRs(node string) []netip.Prefix
	Name(ip netip.Addr) string // "pod demo/a"
}
