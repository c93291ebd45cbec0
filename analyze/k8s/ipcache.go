// Package k8s indexes the cluster objects of a snapshot by what packets carry:
// addresses and ports.
package k8s

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// An IPCache answers who owns an address. It is built once and never changes,
// so its methods return no error.
type IPCache struct{}

// NewIPCache indexes the objects of snap. What could not be read is in errs;
// the cache then works with what there is.
func NewIPCache(snap *snapshot.Snapshot) (c *IPCache, errs []error) { return &IPCache{}, nil }

// GetPodFromIP returns the pod that owns ip. Pods that use their node's
// network or that have ended own no address.
func (c *IPCache) GetPodFromIP(ip netip.Addr) (*corev1.Pod, bool) { return nil, false }

// GetPodFromName returns a pod by its name.
func (c *IPCache) GetPodFromName(namespace, name string) (*corev1.Pod, bool) { return nil, false }

// GetPodNode returns the name of the node on which the pod that owns ip runs.
func (c *IPCache) GetPodNode(ip netip.Addr) (string, bool) { return "", false }

// GetNodeFromIP returns the node that ip belongs to.
func (c *IPCache) GetNodeFromIP(ip netip.Addr) (*corev1.Node, bool) { return nil, false }

// GetNodeNameFromIP returns the name of the node that ip belongs to. It also
// knows nodes of which the bundle has no Node object.
func (c *IPCache) GetNodeNameFromIP(ip netip.Addr) (string, bool) { return "", false }

// GetNodeFromName returns a node by its name.
func (c *IPCache) GetNodeFromName(name string) (*corev1.Node, bool) { return nil, false }

// GetNodeIPs returns the addresses of a node: those of its Node object first,
// then those of its devices.
func (c *IPCache) GetNodeIPs(node string) []netip.Addr { return nil }

// GetNodePodCIDRs returns the ranges that a node's pods have addresses from.
func (c *IPCache) GetNodePodCIDRs(node string) []netip.Prefix { return nil }

// NodeOfPodCIDR returns the node whose pod range ip lies in.
func (c *IPCache) NodeOfPodCIDR(ip netip.Addr) (node string, ok bool) { return "", false }

// GetServiceFromIP returns the Service that ip is a cluster, external or load
// balancer address of.
func (c *IPCache) GetServiceFromIP(ip netip.Addr) (*corev1.Service, bool) { return nil, false }

// GetServiceFromName returns a Service by its name.
func (c *IPCache) GetServiceFromName(namespace, name string) (*corev1.Service, bool) {
	return nil, false
}

// GetServiceFromNodePort returns the Service that has the node port.
func (c *IPCache) GetServiceFromNodePort(port uint16, protocol model.Protocol) (*corev1.Service, *corev1.ServicePort, bool) {
	return nil, nil, false
}

// GetExternalFromIP returns the host outside the cluster that has ip on one of
// its devices.
func (c *IPCache) GetExternalFromIP(ip netip.Addr) (string, bool) { return "", false }

// GetIPType classifies ip.
func (c *IPCache) GetIPType(ip netip.Addr) model.EndpointType { return model.EndpointTypeExternal }

// Name names the owner of ip for people, such as "pod demo/a", "svc demo/web",
// "node n1" or "external gw". It is "" if nobody is known to own ip.
func (c *IPCache) Name(ip netip.Addr) string { return "" }

// Endpoint returns ip and port with their owner.
func (c *IPCache) Endpoint(ip netip.Addr, port uint16) model.Endpoint {
	return model.Endpoint{Type: c.GetIPType(ip), IP: ip, Port: port}
}

// A CIDR is an address range of the cluster and where it was found.
type CIDR struct {
	Prefix netip.Prefix
	From   string
}

// ClusterCIDRs returns the ranges of pod addresses, the best source first.
func (c *IPCache) ClusterCIDRs() []CIDR { return nil }

// ServiceCIDRs returns the ranges of Service addresses, the best source first.
func (c *IPCache) ServiceCIDRs() []CIDR { return nil }

// A Target is what the user named as one end of the conversation.
type Target struct {
	Endpoint    model.Endpoint   // the first of Endpoints
	Endpoints   []model.Endpoint // one per address: two for dual stack, one per endpoint of a headless Service
	Pod         *corev1.Pod      // nil unless a pod was named
	Service     *corev1.Service  // nil unless a Service was named
	ServicePort *corev1.ServicePort
}

// Resolve finds what word names: pod:ns/name, svc:ns/name, node:name,
// external:name or an address, each with an optional ":port", which may be a
// name for pods and Services.
func (c *IPCache) Resolve(word string) (Target, error) { return Target{}, nil }
