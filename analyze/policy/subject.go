package policy

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A Flow is what is asked about: a conversation that Src opens to a port of
// Dst, which is 0 for protocols without ports.
type Flow struct {
	Src, Dst End
	Port     uint16
	Protocol model.Protocol
}

// An End is one end of a conversation. At most one of Pod and Node is set.
type End struct {
	Pod        *Pod       // nil unless policies can select it
	Node       string     // name of the node whose address it is
	NodeLabels labels.Set // of that node
	IP         netip.Addr // not valid if it is not known
	IsIPv4     bool       // IP is not known, and nothing in the cluster has another family
}

// String names the end: "pod demo/web", "node n1", "8.8.8.8".
func (e *End) String() string {
	switch {
	case e.Pod != nil:
		return "pod " + e.Pod.Name
	case e.Node != "":
		return "node " + e.Node
	case e.IP.IsValid():
		return e.IP.String()
	}
	return "a node"
}

// A Pod is one that policies can select: one with a network of its own.
type Pod struct {
	*Class
	Name  string // "namespace/name"
	Node  string // "" if it is on none yet
	ports []corev1.ContainerPort
}

// A Class is what pods of one namespace with equal labels and one service
// account have in common, which is all that selectors can tell.
type Class struct {
	Namespace               string
	Labels, NamespaceLabels labels.Set
	ServiceAccount          string

	ingress, egress []asked
}

// asked is the policies of a tier that select a pod, in order.
type asked struct {
	tier     *Tier
	policies []*Policy
	unsure   []bool // of each policy: whether it selects is not known
}

// HasPort reports whether number is what the pod's containers call name.
func (p *Pod) HasPort(name string, protocol model.Protocol, number uint16) bool {
	for _, have := range p.ports {
		if have.Name == name && portProtocol(&have) == protocol && have.ContainerPort == int32(number) {
			return true
		}
	}
	return false
}

// NamedPorts returns the numbers that the pod's containers call name, for one
// protocol.
func (p *Pod) NamedPorts(name string, protocol model.Protocol) (out []uint16) {
	for _, have := range p.ports {
		if have.Name == name && portProtocol(&have) == protocol {
			out = append(out, uint16(have.ContainerPort))
		}
	}
	return out
}

func portProtocol(p *corev1.ContainerPort) model.Protocol {
	if p.Protocol == "" {
		return model.TCP
	}
	return apiProtocol(p.Protocol)
}

// apiProtocol returns what the API calls p.
func apiProtocol(p corev1.Protocol) model.Protocol {
	return model.Protocol(strings.ToLower(string(p)))
}

// asked returns the policies that select the end.
func (e *End) asked(d Direction, n *NetworkPolicy) []asked {
	switch {
	case e.Pod == nil:
		return n.askedOfNode(d, e)
	case d == Ingress:
		return e.Pod.ingress
	}
	return e.Pod.egress
}

// askedOfNode returns the policies that are about a node.
func (n *NetworkPolicy) askedOfNode(d Direction, e *End) []asked {
	if e.Node == "" || !n.ofNodes {
		return nil
	}
	return n.asked(d, e, func(p *Policy) bool { return p.Node != nil && p.Node(e) })
}

// asked returns the policies of a direction that select an end, by tiers.
func (n *NetworkPolicy) asked(d Direction, e *End, selects func(*Policy) bool) (out []asked) {
	for _, t := range n.tiers {
		a := asked{tier: t}
		for _, p := range t.Policies {
			if p.about(d) && selects(p) {
				a.policies = append(a.policies, p)
				a.unsure = append(a.unsure, p.Perhaps != nil && p.Perhaps(e))
			}
		}
		if len(a.policies) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// End finds what an endpoint is to the policies: a pod, a node (which is what
// pods with their node's network are, too) or just an address. A pod that is
// named needs no address.
func (n *NetworkPolicy) End(e model.Endpoint) End {
	out := End{IP: e.IP.Unmap(), IsIPv4: !e.IP.IsValid() && !n.hasIPv6}
	if e.Type == model.EndpointTypePod && e.Name != "" {
		if s := n.pods[e.Name]; s != nil {
			out.Pod = s
			return out
		}
	}
	if pod, ok := n.ips.GetPodFromIP(e.IP); ok {
		if s := n.pods[pod.Namespace+"/"+pod.Name]; s != nil {
			out.Pod = s
			return out
		}
	}
	out.Node, _ = n.ips.GetNodeNameFromIP(e.IP)
	if e.Type == model.EndpointTypeNode && e.Name != "" {
		out.Node = e.Name
	}
	if node, ok := n.ips.GetNodeFromName(out.Node); ok {
		out.NodeLabels = node.Labels
	}
	return out
}

// namespaceLabels returns the labels of each namespace.
func namespaceLabels(namespaces []corev1.Namespace) map[string]labels.Set {
	out := make(map[string]labels.Set, len(namespaces))
	for i := range namespaces {
		out[namespaces[i].Name] = namedLabels(namespaces[i].Name, namespaces[i].Labels)
	}
	return out
}

// namedLabels adds the label that the API server gives every namespace.
func namedLabels(namespace string, have map[string]string) labels.Set {
	return labels.Merge(have, labels.Set{corev1.LabelMetadataName: namespace})
}

// addPods finds which policies select which pods.
func (n *NetworkPolicy) addPods(pods []*corev1.Pod, namespaces map[string]labels.Set) {
	classes := map[string]*Class{}
	for _, pod := range pods {
		n.hasIPv6 = n.hasIPv6 || slices.ContainsFunc(addressesOf(pod), netip.Addr.Is6)
		if pod.Spec.HostNetwork {
			continue
		}
		key := pod.Namespace + "/" + pod.Spec.ServiceAccountName + "/" + labels.Set(pod.Labels).String()
		c := classes[key]
		if c == nil {
			c = n.newClass(pod, namespaces[pod.Namespace])
			classes[key] = c
		}
		name := pod.Namespace + "/" + pod.Name
		n.pods[name] = &Pod{Class: c, Name: name, Node: pod.Spec.NodeName, ports: namedPorts(&pod.Spec)}
	}
}

func (n *NetworkPolicy) newClass(pod *corev1.Pod, namespace labels.Set) *Class {
	c := &Class{Namespace: pod.Namespace, Labels: pod.Labels, NamespaceLabels: namespace, ServiceAccount: pod.Spec.ServiceAccountName}
	if namespace == nil {
		c.NamespaceLabels = namedLabels(pod.Namespace, nil)
	}
	selects := func(p *Policy) bool { return p.Selects(c) }
	e := &End{Pod: &Pod{Class: c}}
	c.ingress, c.egress = n.asked(Ingress, e, selects), n.asked(Egress, e, selects)
	return c
}

// namedPorts returns the ports that rules can call by name.
func namedPorts(spec *corev1.PodSpec) (out []corev1.ContainerPort) {
	add := func(c *corev1.Container) {
		for _, p := range c.Ports {
			if p.Name != "" {
				out = append(out, p)
			}
		}
	}
	for i := range spec.InitContainers {
		add(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		add(&spec.Containers[i])
	}
	return out
}
