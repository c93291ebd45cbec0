package k8s

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Pod is a pod with the network namespace it lives in.
type Pod struct {
	Namespace, PodName, NodeName string
	HostNetwork                  bool
	Netns                        string // key of the namespace on its node, "" if it was not found
	IPs                          []netip.Addr
	Object                       *corev1.Pod
	Info                         *nodedump.NetNSInfo // nil if it was not collected
	Missing                      string              // why Info is nil
}

// A NodeInfo is a node, or a host outside the cluster, with its own network
// namespace.
type NodeInfo struct {
	NodeName string
	IPs      []netip.Addr
	PodCIDRs []netip.Prefix
	Object   *corev1.Node        // nil if the bundle has none
	Info     *nodedump.NetNSInfo // nil if it was not collected
	Missing  string              // why Info is nil
	External bool
}

// LoadPod reads the namespace of a pod. It reports false if there is no such
// pod.
func (c *IPCache) LoadPod(snap *snapshot.Snapshot, namespace, name string) (*Pod, bool) {
	return nil, false
}

// LoadNode reads the own namespace of a node. It reports false if the bundle
// knows no such node.
func (c *IPCache) LoadNode(snap *snapshot.Snapshot, name string) (*NodeInfo, bool) {
	return nil, false
}

// LoadExternal reads the own namespace of a host outside the cluster. It
// reports false if the bundle knows no such host.
func (c *IPCache) LoadExternal(snap *snapshot.Snapshot, name string) (*NodeInfo, bool) {
	return nil, false
}

// A PodNetns is a network namespace of a node and the pod that lives in it.
type PodNetns struct {
	Key                string
	Namespace, PodName string // "" if nobody is known to live there
	By                 string // how that was found: "name", "uid" or "address"
}

// PodNetns says which pod lives in which namespace of a node, in the order of
// the dump. The host's own namespace is not among them. load reads a namespace;
// it is called only for those that must be told by their addresses.
func (c *IPCache) PodNetns(node *nodedump.NodeNetworkStackDump, load func(key string) (*nodedump.NetNSInfo, error)) []PodNetns {
	return nil
}
