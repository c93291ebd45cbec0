// Package k8s indexes the cluster objects of a snapshot by what packets carry:
// addresses and ports.
package k8s

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// An IPCache answers who owns an address. It is built once and never changes,
// so its methods return no error.
//
// An address can be claimed more than once, for example by a Service that has
// the address of a node as an external one. The order is: pod, address of a
// Node object, Service, device of a node, host outside the cluster.
type IPCache struct {
	pods       map[string]*corev1.Pod // by "namespace/name"
	podsByUID  map[string]*corev1.Pod
	podsByIP   map[netip.Addr]*corev1.Pod
	nodes      map[string]*nodeEntry
	nodesByIP  map[netip.Addr]string // of Node objects
	nodesByDev map[netip.Addr]string // of devices; addresses of more than one node are not there
	podCIDRs   prefixMap
	services   map[string]*corev1.Service // by "namespace/name"
	vips       map[netip.Addr]vip
	nodePorts  map[portKey]nodePort
	headless   map[string][]headlessAddr // by "namespace/name" of the Service
	externals  map[string][]netip.Addr
	externalIP map[netip.Addr]string

	clusterCIDRs, serviceCIDRs []CIDR

	missing map[string]error // parts that could not be read, by resource
}

type nodeEntry struct {
	object   *corev1.Node // nil if the bundle has none
	ips      []netip.Addr // of the object, then of the devices
	podCIDRs []netip.Prefix
	dumped   bool
}

// A vip is what an address of a Service means.
type vip struct {
	service *corev1.Service
	lb      bool
}

type portKey struct {
	port     uint16
	protocol corev1.Protocol
}

type nodePort struct {
	service *corev1.Service
	port    *corev1.ServicePort
}

// GetPodFromIP returns the pod that owns ip. Pods that use their node's
// network or that have ended own no address.
func (c *IPCache) GetPodFromIP(ip netip.Addr) (*corev1.Pod, bool) {
	p, ok := c.podsByIP[ip.Unmap()]
	return p, ok
}

// GetPodFromName returns a pod by its name.
func (c *IPCache) GetPodFromName(namespace, name string) (*corev1.Pod, bool) {
	p, ok := c.pods[namespace+"/"+name]
	return p, ok
}

// Pods returns all pods, sorted by namespace and name, those that have ended
// too. The caller must not change them.
func (c *IPCache) Pods() []*corev1.Pod {
	out := make([]*corev1.Pod, 0, len(c.pods))
	for _, name := range sortedKeys(c.pods) {
		out = append(out, c.pods[name])
	}
	return out
}

// GetPodNode returns the name of the node on which the pod that owns ip runs.
func (c *IPCache) GetPodNode(ip netip.Addr) (string, bool) {
	p, ok := c.GetPodFromIP(ip)
	if !ok || p.Spec.NodeName == "" {
		return "", false
	}
	return p.Spec.NodeName, true
}

// GetNodeFromIP returns the node that ip belongs to.
func (c *IPCache) GetNodeFromIP(ip netip.Addr) (*corev1.Node, bool) {
	name, ok := c.GetNodeNameFromIP(ip)
	if !ok {
		return nil, false
	}
	return c.GetNodeFromName(name)
}

// GetNodeNameFromIP returns the name of the node that ip belongs to, as the
// address of its Node object or of one of its devices. It also knows nodes of
// which the bundle has no Node object.
func (c *IPCache) GetNodeNameFromIP(ip netip.Addr) (string, bool) {
	ip = ip.Unmap()
	if name, ok := c.nodesByIP[ip]; ok {
		return name, true
	}
	name, ok := c.nodesByDev[ip]
	return name, ok
}

// GetNodeFromName returns a node by its name.
func (c *IPCache) GetNodeFromName(name string) (*corev1.Node, bool) {
	n := c.nodes[name]
	if n == nil || n.object == nil {
		return nil, false
	}
	return n.object, true
}

// GetNodeIPs returns the addresses of a node: those of its Node object first,
// then those of its devices.
func (c *IPCache) GetNodeIPs(node string) []netip.Addr {
	if n := c.nodes[node]; n != nil {
		return slices.Clone(n.ips)
	}
	return nil
}

// GetNodePodCIDRs returns the ranges that a node's pods have addresses from.
func (c *IPCache) GetNodePodCIDRs(node string) []netip.Prefix {
	if n := c.nodes[node]; n != nil {
		return slices.Clone(n.podCIDRs)
	}
	return nil
}

// NodeOfPodCIDR returns the node whose pod range ip lies in.
func (c *IPCache) NodeOfPodCIDR(ip netip.Addr) (node string, ok bool) {
	return c.podCIDRs.lookup(ip.Unmap())
}

// GetServiceFromIP returns the Service that ip is a cluster, external or load
// balancer address of.
func (c *IPCache) GetServiceFromIP(ip netip.Addr) (*corev1.Service, bool) {
	v, ok := c.vips[ip.Unmap()]
	return v.service, ok
}

// GetServiceFromName returns a Service by its name.
func (c *IPCache) GetServiceFromName(namespace, name string) (*corev1.Service, bool) {
	s, ok := c.services[namespace+"/"+name]
	return s, ok
}

// GetServiceFromNodePort returns the Service that has the node port.
func (c *IPCache) GetServiceFromNodePort(port uint16, protocol model.Protocol) (*corev1.Service, *corev1.ServicePort, bool) {
	n, ok := c.nodePorts[portKey{port, apiProtocol(protocol)}]
	return n.service, n.port, ok
}

// GetExternalFromIP returns the host outside the cluster that has ip on one of
// its devices.
func (c *IPCache) GetExternalFromIP(ip netip.Addr) (string, bool) {
	name, ok := c.externalIP[ip.Unmap()]
	return name, ok
}

// Missing returns why a resource ("pods", "services", ...) could not be read,
// nil if it could.
func (c *IPCache) Missing(resource string) error { return c.missing[resource] }

// GetIPType classifies ip.
func (c *IPCache) GetIPType(ip netip.Addr) model.EndpointType { return c.owner(ip).Type }

// Name names the owner of ip for people, such as "pod demo/a", "svc demo/web",
// "node n1" or "external gw". It is "" if nobody is known to own ip.
func (c *IPCache) Name(ip netip.Addr) string {
	e := c.owner(ip)
	switch {
	case e.Name == "":
		return ""
	case e.Type == model.EndpointTypeService, e.Type == model.EndpointTypeLoadbalancer:
		return "svc " + e.Name
	}
	return string(e.Type) + " " + e.Name
}

// Endpoint returns ip and port with their owner.
func (c *IPCache) Endpoint(ip netip.Addr, port uint16) model.Endpoint {
	e := c.owner(ip)
	e.IP, e.Port = ip.Unmap(), port
	return e
}

// owner returns the type and name of the owner of ip.
func (c *IPCache) owner(ip netip.Addr) model.Endpoint {
	ip = ip.Unmap()
	if p, ok := c.podsByIP[ip]; ok {
		return model.Endpoint{Type: model.EndpointTypePod, Name: p.Namespace + "/" + p.Name}
	}
	if name, ok := c.nodesByIP[ip]; ok {
		return model.Endpoint{Type: model.EndpointTypeNode, Name: name}
	}
	if v, ok := c.vips[ip]; ok {
		e := model.Endpoint{Type: model.EndpointTypeService, Name: v.service.Namespace + "/" + v.service.Name}
		if v.lb {
			e.Type = model.EndpointTypeLoadbalancer
		}
		return e
	}
	if name, ok := c.nodesByDev[ip]; ok {
		return model.Endpoint{Type: model.EndpointTypeNode, Name: name}
	}
	return model.Endpoint{Type: model.EndpointTypeExternal, Name: c.externalIP[ip]}
}

// apiProtocol returns p as the API spells it.
func apiProtocol(p model.Protocol) corev1.Protocol {
	switch p {
	case model.UDP:
		return corev1.ProtocolUDP
	case model.SCTP:
		return corev1.ProtocolSCTP
	default:
		return corev1.ProtocolTCP
	}
}
