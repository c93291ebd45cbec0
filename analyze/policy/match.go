package policy

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A conversation is what is asked about.
type conversation struct {
	src, dst end
	port     uint16
	protocol corev1.Protocol
}

// apiProtocol returns p as the API spells it.
func apiProtocol(p model.Protocol) corev1.Protocol {
	return corev1.Protocol(strings.ToUpper(string(p)))
}

// exempt says why the conversation is allowed whatever the policies say, "" if
// they count.
func (c *conversation) exempt() string {
	s, d := &c.src, &c.dst
	switch {
	case s.subject != nil && s.subject == d.subject:
		return "a pod may always talk to itself"
	case s.node != "" && d.subject != nil && d.subject.node == s.node:
		return "a node may always talk to its own pods"
	case d.node != "" && s.subject != nil && s.subject.node == d.node:
		return "a pod may always talk to its own node"
	}
	return ""
}

// allows reports whether one of the rules holds for c, whose other end is
// remote.
func (p *policy) allows(rules []rule, c *conversation, remote *end) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return r.hasPort(c) && r.hasPeer(p.namespace, remote) })
}

// hasPort reports whether r holds for the port, which is always that of the
// destination. Protocols without ports are held only by rules without ports.
func (r *rule) hasPort(c *conversation) bool {
	return r.allPorts || slices.ContainsFunc(r.ports, func(p port) bool { return p.matches(c) })
}

func (p *port) matches(c *conversation) bool {
	if p.protocol != c.protocol {
		return false
	}
	if p.name == "" {
		return p.first <= c.port && c.port <= p.last
	}
	return c.dst.subject != nil && c.dst.subject.hasNamedPort(p, c.port)
}

// hasPeer reports whether r holds for the other end. namespace is that of the
// policy.
func (r *rule) hasPeer(namespace string, remote *end) bool {
	return r.allPeers || slices.ContainsFunc(r.peers, func(p peer) bool { return p.matches(namespace, remote) })
}

// matches reports whether the other end is the peer. Blocks of addresses hold
// pods, too.
func (p *peer) matches(namespace string, remote *end) bool {
	if p.block.IsValid() {
		return p.block.Contains(remote.ip) && !slices.ContainsFunc(p.except, func(e netip.Prefix) bool { return e.Contains(remote.ip) })
	}
	if p.pods == nil || remote.subject == nil {
		return false
	}
	s := remote.subject
	if p.namespaces == nil {
		return s.namespace == namespace && p.pods.Matches(s.labels)
	}
	return p.namespaces.Matches(s.namespaceLabels) && p.pods.Matches(s.labels)
}
