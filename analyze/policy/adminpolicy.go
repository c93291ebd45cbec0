package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot"
)

// The kinds of the group policy.networking.k8s.io.
const (
	kindAdmin    = "AdminNetworkPolicy"
	kindBaseline = "BaselineAdminNetworkPolicy"
	kindCluster  = "ClusterNetworkPolicy"
)

// behindAll is the order of a BaselineAdminNetworkPolicy in its tier: it has no
// priority, and those that have one end at 1000.
const behindAll = 1001

func readAdminNetworkPolicies(b *builder) {
	policies, err := b.snap.AdminNetworkPolicies()
	b.bad(err)
	for i := range policies {
		b.adminPolicy(b.admin(), kindAdmin, &policies[i], float64(policies[i].Spec.Priority))
	}
}

func readBaselineAdminNetworkPolicies(b *builder) {
	policies, err := b.snap.BaselineAdminNetworkPolicies()
	b.bad(err)
	for i := range policies {
		b.adminPolicy(b.baseline(), kindBaseline, &policies[i], behindAll)
	}
}

func readClusterNetworkPolicies(b *builder) {
	policies, err := b.snap.ClusterNetworkPolicies()
	b.bad(err)
	for i := range policies {
		p := &policies[i]
		switch p.Spec.Tier {
		case TierAdmin:
			b.adminPolicy(b.admin(), kindCluster, p, float64(p.Spec.Priority))
		case TierBaseline:
			b.adminPolicy(b.baseline(), kindCluster, p, float64(p.Spec.Priority))
		default:
			b.bad(fmt.Errorf("clusternetworkpolicy %s: tier %q: there are Admin and Baseline", p.Name, p.Spec.Tier))
		}
	}
}

// adminPolicy compiles a policy into a tier. Its rules decide in order; a
// direction without rules is not its business.
func (b *builder) adminPolicy(t *Tier, kind string, from *snapshot.AdminPolicy, order float64) {
	m := maker{kind: kind, name: from.Name, b: b}
	p := &Policy{Kind: kind, Name: from.Name, Order: order, Tie: TieUndefined, IsIngress: len(from.Spec.Ingress) > 0, IsEgress: len(from.Spec.Egress) > 0}
	p.Selects = m.subject(&from.Spec.Subject)
	p.Admit = admitBefore(p)
	for i := range from.Spec.Ingress {
		r := &from.Spec.Ingress[i]
		rule := m.adminRule(r, r.From)
		rule.Src, rule.Dst = rule.Dst, nil
		p.Ingress = append(p.Ingress, rule)
	}
	for i := range from.Spec.Egress {
		r := &from.Spec.Egress[i]
		p.Egress = append(p.Egress, m.adminRule(r, r.To))
	}
	t.add(p)
}

// subject compiles which pods a policy is about.
func (m *maker) subject(s *snapshot.AdminPolicySubject) func(*Class) bool {
	peer := m.podsOf(s.Namespaces, s.Pods)
	if peer == nil {
		m.bad(errors.New("its subject selects nothing that is known"))
		return func(*Class) bool { return false }
	}
	return peer.selects
}

// podsOf compiles one of two ways to select pods, nil if there is neither.
func (m *maker) podsOf(namespaces *metav1.LabelSelector, pods *snapshot.AdminPolicyPods) *podPeer {
	switch {
	case pods != nil:
		return &podPeer{namespaces: m.selector(&pods.NamespaceSelector), pods: m.selector(&pods.PodSelector)}
	case namespaces != nil:
		return &podPeer{namespaces: m.selector(namespaces), pods: labels.Everything()}
	}
	return nil
}

// adminRule compiles a rule, with its peers as those of the destination. One
// with a field that is not known fails closed, as the API asks: an Allow rule
// holds for nothing, others deny all.
func (m *maker) adminRule(from *snapshot.AdminPolicyRule, peers []snapshot.AdminPolicyPeer) Rule {
	r := Rule{Name: from.Name}
	known := m.action(&r, from.Action)
	for i := range peers {
		peer := m.adminPeer(&peers[i])
		known = known && peer != nil
		r.Dst = append(r.Dst, peer)
	}
	for i := range from.Ports {
		p, ok := m.adminPort(&from.Ports[i])
		known = known && ok
		r.Ports = append(r.Ports, p)
	}
	for i := range from.Protocols {
		p, ok := m.adminProtocol(&from.Protocols[i])
		known = known && ok
		r.Ports = append(r.Ports, p)
	}
	const closed = "it has a field that is not known, so it fails closed"
	switch {
	case len(peers) == 0:
		m.bad(fmt.Errorf("rule %q has no peers", from.Name))
		return Rule{Name: r.Name, Action: r.Action, Never: "it has no peers"}
	case known:
		return r
	case r.Action == Allow:
		return Rule{Name: r.Name, Action: Allow, Never: closed}
	}
	return Rule{Name: strings.TrimPrefix(r.Name+", ", ", ") + closed, Action: Deny}
}

// action sets the action of a rule and reports whether it is known.
func (m *maker) action(r *Rule, text string) bool {
	switch text {
	case "Allow", "Accept":
		r.Action = Allow
	case "Deny":
		r.Action = Deny
	case "Pass":
		r.Action = Pass
	default:
		r.Action = Deny
		m.bad(fmt.Errorf("action %q: there are Allow, Accept, Deny and Pass", text))
		return false
	}
	return true
}

// adminPeer compiles a peer, nil if nothing in it is known.
func (m *maker) adminPeer(from *snapshot.AdminPolicyPeer) Peer {
	if p := m.podsOf(from.Namespaces, from.Pods); p != nil {
		return p
	}
	switch {
	case from.Nodes != nil:
		return &nodePeer{nodes: m.selector(from.Nodes)}
	case len(from.Networks) > 0:
		return m.networks(from.Networks)
	case len(from.DomainNames) > 0:
		return &domainPeer{names: from.DomainNames}
	}
	m.bad(errors.New("a peer has no field that is known"))
	return nil
}

// networks compiles blocks of addresses.
func (m *maker) networks(list []string) Peer {
	var p anyPeer
	for _, text := range list {
		p = append(p, &blockPeer{block: m.prefix(text)})
	}
	return p
}

// adminPort compiles a port of v1alpha1.
func (m *maker) adminPort(from *snapshot.AdminPolicyPort) (Port, bool) {
	switch {
	case from.PortNumber != nil:
		return m.ported(from.PortNumber.Protocol, from.PortNumber.Port, from.PortNumber.Port)
	case from.PortRange != nil:
		return m.ported(from.PortRange.Protocol, from.PortRange.Start, from.PortRange.End)
	case from.NamedPort != nil:
		return Port{Names: []string{*from.NamedPort}}, true
	}
	m.bad(errors.New("a port has no field that is known"))
	return Port{}, false
}

// adminProtocol compiles a protocol of a ClusterNetworkPolicy.
func (m *maker) adminProtocol(from *snapshot.AdminPolicyProtocol) (Port, bool) {
	for _, one := range []struct {
		protocol model.Protocol
		ports    *snapshot.AdminPolicyPorts
	}{{model.TCP, from.TCP}, {model.UDP, from.UDP}, {model.SCTP, from.SCTP}} {
		switch {
		case one.ports == nil:
		case one.ports.DestinationPort == nil:
			return Port{Protocol: one.protocol}, true
		case one.ports.DestinationPort.Range != nil:
			return m.ranged(one.protocol, one.ports.DestinationPort.Range.Start, one.ports.DestinationPort.Range.End)
		default:
			return m.ranged(one.protocol, one.ports.DestinationPort.Number, one.ports.DestinationPort.Number)
		}
	}
	if from.DestinationNamedPort != "" {
		return Port{Names: []string{from.DestinationNamedPort}}, true
	}
	m.bad(errors.New("a protocol has no field that is known"))
	return Port{}, false
}

// ported compiles numbers of a protocol, which is TCP if there is none.
func (m *maker) ported(protocol corev1.Protocol, first, last int32) (Port, bool) {
	if protocol == "" {
		protocol = corev1.ProtocolTCP
	}
	return m.ranged(apiProtocol(protocol), first, last)
}

// ranged compiles numbers of a protocol.
func (m *maker) ranged(protocol model.Protocol, first, last int32) (Port, bool) {
	r, err := portRange(first, last)
	if err != nil {
		m.bad(err)
	}
	return Port{Protocol: protocol, Ranges: []Range{r}}, err == nil
}

// A nodePeer is nodes by their labels.
type nodePeer struct{ nodes labels.Selector }

// Match implements Peer.
func (p *nodePeer) Match(e *End) netfilter.Answer {
	return netfilter.AnswerOf(e.Node != "" && p.nodes.Matches(e.NodeLabels))
}

// Blocks implements Peer.
func (*nodePeer) Blocks() []netip.Prefix { return nil }

// String implements Peer.
func (p *nodePeer) String() string {
	if p.nodes.Empty() {
		return "all nodes"
	}
	return "nodes " + p.nodes.String()
}

// An anyPeer is what one of several peers is. They are blocks of addresses.
type anyPeer []Peer

// Match implements Peer.
func (p anyPeer) Match(e *End) netfilter.Answer { return PeersHold(p, e) }

// Blocks implements Peer.
func (p anyPeer) Blocks() (out []netip.Prefix) {
	for _, one := range p {
		out = append(out, one.Blocks()...)
	}
	return out
}

// String implements Peer.
func (p anyPeer) String() string { return list(p) }

// A domainPeer is whatever names resolve to, which the bundle does not tell.
type domainPeer struct{ names []string }

// Match implements Peer. Pods and nodes of the cluster have no such names.
func (p *domainPeer) Match(e *End) netfilter.Answer {
	if e.Pod != nil || e.Node != "" {
		return netfilter.No
	}
	return netfilter.Maybe
}

// Blocks implements Peer.
func (*domainPeer) Blocks() []netip.Prefix { return nil }

// String implements Peer.
func (p *domainPeer) String() string { return "domain names " + strings.Join(p.names, ", ") }

// admitBefore is the change of a policy whose rules decide in order: a rule
// before the one that denies.
func admitBefore(p *Policy) func(Direction, int, *Flow) string {
	return func(d Direction, rule int, f *Flow) string {
		peer, key := adminPeerText(d, f.other(d)), "from"
		if rule < 0 || peer == "" {
			return ""
		}
		if d == Egress {
			key = "to"
		}
		action, ports := "Allow", adminPorts(f)
		if p.Kind == kindCluster {
			action, ports = "Accept", clusterProtocols(f)
		}
		return fmt.Sprintf("put before %s of %s: {action: %s, %s: [%s]%s}", ruleName(p, d, rule), p, action, key, peer, ports)
	}
}

// adminPeerText is a peer that holds an end. There is none for what is outside
// the cluster on ingress.
func adminPeerText(d Direction, e *End) string {
	switch {
	case e.Pod != nil:
		return "{pods: {namespaceSelector: " + namespaceText(e.Pod.Namespace) + ", podSelector: " + selectorText(stableLabels(e.Pod.Labels)) + "}}"
	case d == Egress && e.IP.IsValid():
		return "{networks: [" + netip.PrefixFrom(e.IP, e.IP.BitLen()).String() + "]}"
	}
	return ""
}

func adminPorts(f *Flow) string {
	if !f.Protocol.HasPorts() {
		return ""
	}
	return fmt.Sprintf(", ports: [{portNumber: {protocol: %s, port: %d}}]", strings.ToUpper(string(f.Protocol)), f.Port)
}

func clusterProtocols(f *Flow) string {
	if !f.Protocol.HasPorts() {
		return ""
	}
	return fmt.Sprintf(", protocols: [{%s: {destinationPort: {number: %d}}}]", f.Protocol, f.Port)
}
