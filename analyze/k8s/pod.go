package k8s

import (
	"fmt"
	"net/netip"
	"slices"

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
	object, ok := c.GetPodFromName(namespace, name)
	if !ok {
		return nil, false
	}
	p := &Pod{Namespace: namespace, PodName: name, NodeName: object.Spec.NodeName, HostNetwork: object.Spec.HostNetwork, Object: object}
	p.IPs, _ = podIPs(object) // NewIPCache has told what is wrong with them
	key, err := c.netnsOf(snap, p)
	if err == nil {
		p.Netns = key
		p.Info, err = snap.NetNS(p.NodeName, key)
	}
	if err != nil {
		p.Missing = err.Error()
	}
	return p, true
}

// netnsOf returns the key of the namespace that p lives in.
func (c *IPCache) netnsOf(snap *snapshot.Snapshot, p *Pod) (string, error) {
	if p.NodeName == "" {
		return "", fmt.Errorf("pod %s/%s is on no node", p.Namespace, p.PodName)
	}
	if p.HostNetwork {
		return nodedump.HostNetns, nil
	}
	node, err := snap.Node(p.NodeName)
	if err != nil {
		return "", err
	}
	load := func(key string) (*nodedump.NetNSInfo, error) { return snap.NetNS(p.NodeName, key) }
	for _, n := range c.PodNetns(node, load) {
		if n.Namespace == p.Namespace && n.PodName == p.PodName {
			return n.Key, nil
		}
	}
	return "", fmt.Errorf("no network namespace that was collected on node %s belongs to pod %s/%s", p.NodeName, p.Namespace, p.PodName)
}

// LoadNode reads the own namespace of a node. It reports false if the bundle
// knows no such node.
func (c *IPCache) LoadNode(snap *snapshot.Snapshot, name string) (*NodeInfo, bool) {
	have := c.nodes[name]
	if have == nil {
		return nil, false
	}
	n := &NodeInfo{NodeName: name, IPs: slices.Clone(have.ips), PodCIDRs: slices.Clone(have.podCIDRs), Object: have.object}
	info, err := snap.NetNS(name, nodedump.HostNetns)
	n.set(info, err)
	return n, true
}

// LoadExternal reads the own namespace of a host outside the cluster. It
// reports false if the bundle knows no such host.
func (c *IPCache) LoadExternal(snap *snapshot.Snapshot, name string) (*NodeInfo, bool) {
	ips, ok := c.externals[name]
	if !ok {
		return nil, false
	}
	n := &NodeInfo{NodeName: name, IPs: slices.Clone(ips), External: true}
	info, err := snap.ExternalNetNS(name, nodedump.HostNetns)
	n.set(info, err)
	return n, true
}

func (n *NodeInfo) set(info *nodedump.NetNSInfo, err error) {
	if err != nil {
		n.Missing = err.Error()
		return
	}
	n.Info = info
}
