// Package service says where a Service should send a packet.
package service

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A Backend is one place where a Service may send a packet.
type Backend struct {
	Addr       netip.AddrPort
	Node       string // that it runs on, "" if nobody says
	Pod        string // "namespace/name", "" if it is no pod
	Masquerade bool   // the packet arrives with an address of the node that translates it
	Share      float64
}

// A Decision is what a Service means to happen to a packet.
type Decision struct {
	Service     string // "demo/web"
	Port        string // name of the port, or its number
	Kind        string // clusterIP nodePort externalIP loadBalancer headless
	Backends    []Backend
	NoPort      bool // the Service does not have the port
	NoEndpoints bool // it has no endpoint to send to: the packet is rejected
	Dropped     bool // it has endpoints, and a traffic policy or a source range keeps the packet from them
	Why         string
}

// A Processor is one implementation of Services, such as kube-proxy in one of
// its modes.
type Processor interface {
	// Process returns what should happen to p on node before it is routed.
	// It reports false if p does not go to a Service there. fromPod says that
	// p was sent by a pod, on whatever node.
	Process(p model.Packet, node string, fromPod bool) (*Decision, bool)
	// Validate reports how got, which is what the node made of p, differs
	// from what was wanted.
	Validate(p model.Packet, want *Decision, got model.Packet, node string) []model.Suspicion
}

// Owners says who owns an address. *k8s.IPCache is one.
type Owners interface {
	GetPodFromIP(ip netip.Addr) (*corev1.Pod, bool)
	GetNodeNameFromIP(ip netip.Addr) (string, bool)
	GetNodeIPs(node string) []netip.Addr
	GetNodePodCIDRs(node string) []netip.Prefix
	Name(ip netip.Addr) string
}

// A KubeProxyServiceProcessor is kube-proxy.
type KubeProxyServiceProcessor struct{}

// NewKubeProxyServiceProcessor compiles the Services of snap for kube-proxy in
// the given mode: iptables, nftables or ipvs. What could not be read is in
// errs.
func NewKubeProxyServiceProcessor(snap *snapshot.Snapshot, ips Owners, mode string) (p *KubeProxyServiceProcessor, errs []error) {
	return &KubeProxyServiceProcessor{}, nil
}

// Process implements [Processor].
func (k *KubeProxyServiceProcessor) Process(p model.Packet, node string, fromPod bool) (*Decision, bool) {
	return nil, false
}

// Validate implements [Processor].
func (k *KubeProxyServiceProcessor) Validate(p model.Packet, want *Decision, got model.Packet, node string) []model.Suspicion {
	return nil
}

// DetectProxyMode returns the mode of kube-proxy and how it was found. The
// mode is "" if nothing tells; why then says what was looked for.
func DetectProxyMode(snap *snapshot.Snapshot) (mode, why string) { return "", "" }
