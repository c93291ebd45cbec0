package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

const kindNetworkPolicy = "NetworkPolicy"

// readNetworkPolicies reads the policies of networking.k8s.io/v1.
func readNetworkPolicies(b *builder) {
	policies, err := b.snap.NetworkPolicies()
	b.bad(err)
	for i := range policies {
		m := maker{kind: kindNetworkPolicy, name: policies[i].Namespace + "/" + policies[i].Name, b: b}
		b.networkPolicy().add(m.networkPolicy(&policies[i]))
	}
}

// networkPolicy compiles a policy. What makes no sense allows nothing, and is
// an error.
func (m *maker) networkPolicy(from *networkingv1.NetworkPolicy) *Policy {
	pods, namespace := m.selector(&from.Spec.PodSelector), from.Namespace
	p := &Policy{Kind: m.kind, Name: m.name, Order: OrderOfNetworkPolicies, Tie: TieUnion}
	p.Selects = func(c *Class) bool { return c.Namespace == namespace && pods.Matches(c.Labels) }
	p.Admit = admitByRule(p, namespace)
	for i := range from.Spec.Ingress {
		r := &from.Spec.Ingress[i]
		p.Ingress = append(p.Ingress, Rule{Action: Allow, Src: m.peers(r.From, namespace), Ports: m.ports(r.Ports)})
	}
	for i := range from.Spec.Egress {
		r := &from.Spec.Egress[i]
		p.Egress = append(p.Egress, Rule{Action: Allow, Dst: m.peers(r.To, namespace), Ports: m.ports(r.Ports)})
	}
	types := from.Spec.PolicyTypes
	p.IsIngress = len(types) == 0 || slices.Contains(types, networkingv1.PolicyTypeIngress)
	p.IsEgress = len(types) == 0 && len(from.Spec.Egress) > 0 || slices.Contains(types, networkingv1.PolicyTypeEgress)
	return p
}

func (m *maker) selector(s *metav1.LabelSelector) labels.Selector {
	out, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		m.bad(err)
		return labels.Nothing()
	}
	return out
}

func (m *maker) peers(from []networkingv1.NetworkPolicyPeer, namespace string) (out []Peer) {
	for i := range from {
		out = append(out, m.peer(&from[i], namespace))
	}
	return out
}

func (m *maker) peer(from *networkingv1.NetworkPolicyPeer, namespace string) Peer {
	switch {
	case from.IPBlock != nil:
		b := &blockPeer{block: m.prefix(from.IPBlock.CIDR)}
		for _, text := range from.IPBlock.Except {
			b.except = append(b.except, m.prefix(text))
		}
		return b
	case from.PodSelector == nil && from.NamespaceSelector == nil:
		m.bad(errors.New("a peer is empty"))
		return &podPeer{pods: labels.Nothing(), namespace: namespace}
	}
	p := &podPeer{pods: labels.Everything(), namespace: namespace}
	if from.PodSelector != nil {
		p.pods = m.selector(from.PodSelector)
	}
	if from.NamespaceSelector != nil {
		p.namespaces = m.selector(from.NamespaceSelector)
	}
	return p
}

func (m *maker) prefix(text string) netip.Prefix {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		m.bad(err)
	}
	return p.Masked()
}

func (m *maker) ports(from []networkingv1.NetworkPolicyPort) (out []Port) {
	for i := range from {
		out = append(out, m.port(&from[i]))
	}
	return out
}

func (m *maker) port(from *networkingv1.NetworkPolicyPort) Port {
	p := Port{Protocol: model.TCP}
	if from.Protocol != nil && *from.Protocol != "" {
		p.Protocol = apiProtocol(*from.Protocol)
	}
	switch {
	case from.Port == nil:
	case from.Port.Type == intstr.String:
		p.Names = []string{from.Port.StrVal}
	default:
		last := from.Port.IntVal
		if from.EndPort != nil {
			last = *from.EndPort
		}
		r, err := portRange(from.Port.IntVal, last)
		if err != nil {
			m.bad(err)
		}
		p.Ranges = []Range{r}
	}
	return p
}

// portRange checks the numbers of a range. One that makes no sense holds
// nothing.
func portRange(first, last int32) (Range, error) {
	if first < 1 || last < first || last > 65535 {
		return Range{First: 1}, fmt.Errorf("ports %d to %d: they are from 1 to 65535", first, last)
	}
	return Range{uint16(first), uint16(last)}, nil
}

// A podPeer is pods by their labels and those of their namespace.
type podPeer struct {
	namespace  string          // of the policy
	namespaces labels.Selector // nil is the policy's own
	pods       labels.Selector
}

// Match implements Peer.
func (p *podPeer) Match(e *End) netfilter.Answer {
	return netfilter.AnswerOf(e.Pod != nil && p.selects(e.Pod.Class))
}

func (p *podPeer) selects(c *Class) bool {
	if p.namespaces == nil {
		return c.Namespace == p.namespace && p.pods.Matches(c.Labels)
	}
	return p.namespaces.Matches(c.NamespaceLabels) && p.pods.Matches(c.Labels)
}

// Blocks implements Peer.
func (p *podPeer) Blocks() []netip.Prefix { return nil }

// String implements Peer.
func (p *podPeer) String() string {
	pods := "pods " + p.pods.String()
	if p.pods.Empty() {
		pods = "all pods"
	}
	switch {
	case p.namespaces == nil:
		return pods + " of namespace " + p.namespace
	case p.namespaces.Empty():
		return pods + " of all namespaces"
	}
	return pods + " of namespaces " + p.namespaces.String()
}

// A blockPeer is addresses. Pods have some, too.
type blockPeer struct {
	block  netip.Prefix
	except []netip.Prefix
}

// Match implements Peer.
func (p *blockPeer) Match(e *End) netfilter.Answer {
	switch {
	case e.IP.IsValid():
	case e.IsIPv4 && p.block.Addr().Is4() && p.block.Bits() == 0 && len(p.except) == 0:
		return netfilter.Yes
	case e.IsIPv4 && p.block.Addr().Is6():
		return netfilter.No
	default:
		return netfilter.Maybe
	}
	return netfilter.AnswerOf(p.block.Contains(e.IP) && !slices.ContainsFunc(p.except, func(x netip.Prefix) bool { return x.Contains(e.IP) }))
}

// Blocks implements Peer.
func (p *blockPeer) Blocks() []netip.Prefix { return append([]netip.Prefix{p.block}, p.except...) }

// String implements Peer.
func (p *blockPeer) String() string {
	out := "addresses " + p.block.String()
	if len(p.except) > 0 {
		var list []string
		for _, e := range p.except {
			list = append(list, e.String())
		}
		out += " except " + strings.Join(list, ", ")
	}
	return out
}
