package plugin

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// NodesFile is the part of the bundle that has the Node objects, and with them what
// agents tell each other in their annotations.
const NodesFile = "cluster/nodes.yaml"

// A NodeAddress is the address at which the other nodes are told that a node is.
type NodeAddress struct {
	Node   string
	IP     netip.Addr // invalid if nothing is told
	By     string     // who tells it, for people
	NAT    bool       // it may be the address of a router before the node, which no device of the node has
	Remedy string
}

// Assert asserts that the address is the node's own. Of one that may lie behind NAT
// only what is another's, or of a network that the node is in, is wrong for certain.
func (t NodeAddress) Assert(env Env, a *assertions.NetstackAssertion) bool {
	place := PlaceOf(t.Node)
	ns := env.Atlas.NetNS(place)
	if !t.IP.IsValid() || ns == nil || ns.Unread("interfaces") != nil || ns.FIB.IsLocal(t.IP) {
		return true
	}
	if _, ok := ns.FIB.DeviceOwning(t.IP); ok {
		return true
	}
	owner, whose := env.IPCache.Name(t.IP), "it is nobody's"
	near := slices.ContainsFunc(ns.Info.Interfaces, func(d nodedump.Interface) bool { return onLink(&d, t.IP) })
	if t.NAT && (owner == "node "+t.Node || owner == "" && !near) {
		return true
	}
	if owner != "" && owner != "node "+t.Node {
		whose = "it is " + owner + "'s"
	}
	return a.In(ns, env.HopOf(place)).Fail("address/wrong", NodesFile, t.Remedy,
		"%s tells the other nodes that node %s is at %s, which none of its devices has: %s", t.By, t.Node, t.IP, whose)
}

// onLink reports whether ip is of the network of a device.
func onLink(dev *nodedump.Interface, ip netip.Addr) bool {
	return slices.ContainsFunc(dev.Addrs, func(a nodedump.Addr) bool {
		p, err := netip.ParsePrefix(a.Prefix)
		return err == nil && p.Contains(ip)
	})
}

// CheckUnlike asserts that no other node tells the same of itself as the node does,
// as machines do that were cloned. value is what a node tells, the zero T if it
// tells nothing; what it is called, for people.
func CheckUnlike[T comparable](c *Checkup, what string, value func(*corev1.Node) T, remedy string) {
	var none, own T
	if node, ok := c.basis.IPCache.GetNodeFromName(c.Node); ok {
		own = value(node)
	}
	for _, peer := range c.Peers() {
		if own != none && own == value(peer) {
			c.Fail("address/duplicate", NodesFile, remedy, "nodes %s and %s tell the others the same %s: %v", min(c.Node, peer.Name), max(c.Node, peer.Name), what, own)
		}
	}
}
