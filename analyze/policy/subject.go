package policy

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A subject is a pod that policies can select: one with an address of its own.
type subject struct {
	*class
	node  string
	ports []corev1.ContainerPort // those with a name
}

// A class is what pods with equal labels in one namespace have in common, which
// is all that selectors can tell.
type class struct {
	namespace               string
	labels, namespaceLabels labels.Set
	isolIngress, isolEgress []*policy
}

// An end is one end of a conversation. At most one of subject and node is set.
type end struct {
	subject *subject
	node    string // name of the node whose address it is
	ip      netip.Addr
}

func (e *end) ingress() []*policy {
	if e.subject == nil {
		return nil
	}
	return e.subject.isolIngress
}

func (e *end) egress() []*policy {
	if e.subject == nil {
		return nil
	}
	return e.subject.isolEgress
}

// end finds what an endpoint is to the policies: a pod, a node (which is what
// pods with their node's network are, too) or just an address.
func (n *NetworkPolicy) end(e model.Endpoint) end {
	out := end{ip: e.IP.Unmap()}
	if e.Type == model.EndpointTypePod && e.Name != "" {
		if s := n.subjects[e.Name]; s != nil {
			out.subject = s
			return out
		}
	}
	if pod, ok := n.ips.GetPodFromIP(e.IP); ok {
		if s := n.subjects[pod.Namespace+"/"+pod.Name]; s != nil {
			out.subject = s
			return out
		}
	}
	if e.Type == model.EndpointTypeNode && e.Name != "" {
		out.node = e.Name
		return out
	}
	out.node, _ = n.ips.GetNodeNameFromIP(e.IP)
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

// addSubjects finds which policies select which pods.
func (n *NetworkPolicy) addSubjects(pods []*corev1.Pod, namespaces map[string]labels.Set, byNamespace map[string][]*policy) {
	classes := map[string]*class{}
	for _, pod := range pods {
		if pod.Spec.HostNetwork {
			continue
		}
		key := pod.Namespace + "/" + labels.Set(pod.Labels).String()
		c := classes[key]
		if c == nil {
			c = newClass(pod, namespaces[pod.Namespace], byNamespace[pod.Namespace])
			classes[key] = c
		}
		n.subjects[pod.Namespace+"/"+pod.Name] = &subject{class: c, node: pod.Spec.NodeName, ports: namedPorts(&pod.Spec)}
	}
}

func newClass(pod *corev1.Pod, namespace labels.Set, policies []*policy) *class {
	c := &class{namespace: pod.Namespace, labels: pod.Labels, namespaceLabels: namespace}
	if namespace == nil {
		c.namespaceLabels = namedLabels(pod.Namespace, nil)
	}
	for _, p := range policies {
		if !p.pods.Matches(c.labels) {
			continue
		}
		if p.isIngress {
			c.isolIngress = append(c.isolIngress, p)
		}
		if p.isEgress {
			c.isolEgress = append(c.isolEgress, p)
		}
	}
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

// hasNamedPort reports whether number is the port that p names.
func (s *subject) hasNamedPort(p *port, number uint16) bool {
	for _, have := range s.ports {
		protocol := have.Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		if have.Name == p.name && protocol == p.protocol && have.ContainerPort == int32(number) {
			return true
		}
	}
	return false
}
