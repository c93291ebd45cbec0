package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A policy is one NetworkPolicy with its selectors and ranges parsed.
type policy struct {
	name            string // "namespace/name"
	namespace       string
	pods            labels.Selector
	ingress, egress []rule
	isIngress       bool
	isEgress        bool
}

// A rule allows what is from or to one of the peers and for one of the ports.
type rule struct {
	allPeers bool
	peers    []peer
	allPorts bool
	ports    []port
}

// A peer is pods or a block of addresses.
type peer struct {
	block      netip.Prefix // not valid unless the peer is a block
	except     []netip.Prefix
	namespaces labels.Selector // nil is the policy's own
	pods       labels.Selector // nil is no peer of pods at all
}

// A port is numbers from first to last of one protocol, or a name.
type port struct {
	protocol    corev1.Protocol
	first, last uint16
	name        string
}

// compile parses a policy. What makes no sense allows nothing, and is an
// error.
func compile(from *networkingv1.NetworkPolicy) (*policy, error) {
	c := compiler{name: from.Namespace + "/" + from.Name}
	p := &policy{name: c.name, namespace: from.Namespace, pods: c.selector(&from.Spec.PodSelector)}
	for _, r := range from.Spec.Ingress {
		p.ingress = append(p.ingress, c.rule(r.From, r.Ports))
	}
	for _, r := range from.Spec.Egress {
		p.egress = append(p.egress, c.rule(r.To, r.Ports))
	}
	types := from.Spec.PolicyTypes
	p.isIngress = len(types) == 0 || slices.Contains(types, networkingv1.PolicyTypeIngress)
	p.isEgress = len(types) == 0 && len(from.Spec.Egress) > 0 || slices.Contains(types, networkingv1.PolicyTypeEgress)
	return p, errors.Join(c.errs...)
}

// A compiler collects what is wrong with one policy.
type compiler struct {
	name string
	errs []error
}

func (c *compiler) bad(err error) {
	c.errs = append(c.errs, fmt.Errorf("networkpolicy %s: %w", c.name, err))
}

func (c *compiler) selector(s *metav1.LabelSelector) labels.Selector {
	out, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		c.bad(err)
		return labels.Nothing()
	}
	return out
}

func (c *compiler) rule(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) rule {
	r := rule{allPeers: len(peers) == 0, allPorts: len(ports) == 0}
	for i := range peers {
		r.peers = append(r.peers, c.peer(&peers[i]))
	}
	for i := range ports {
		r.ports = append(r.ports, c.port(&ports[i]))
	}
	return r
}

func (c *compiler) peer(from *networkingv1.NetworkPolicyPeer) (p peer) {
	switch {
	case from.IPBlock != nil:
		p.block = c.prefix(from.IPBlock.CIDR)
		for _, text := range from.IPBlock.Except {
			p.except = append(p.except, c.prefix(text))
		}
		return p
	case from.PodSelector == nil && from.NamespaceSelector == nil:
		c.bad(errors.New("a peer is empty"))
		return p
	}
	p.pods = labels.Everything()
	if from.PodSelector != nil {
		p.pods = c.selector(from.PodSelector)
	}
	if from.NamespaceSelector != nil {
		p.namespaces = c.selector(from.NamespaceSelector)
	}
	return p
}

func (c *compiler) prefix(text string) netip.Prefix {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		c.bad(err)
	}
	return p.Masked()
}

func (c *compiler) port(from *networkingv1.NetworkPolicyPort) port {
	p := port{protocol: corev1.ProtocolTCP}
	if from.Protocol != nil && *from.Protocol != "" {
		p.protocol = *from.Protocol
	}
	switch {
	case from.Port == nil:
		p.last = 65535
	case from.Port.Type == intstr.String:
		p.name = from.Port.StrVal
	default:
		p.first = uint16(from.Port.IntVal)
		p.last = p.first
		if from.EndPort != nil {
			p.last = uint16(*from.EndPort)
		}
	}
	return p
}
