package flannel

import (
	"strings"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// truthful asserts, of a node that flanneld registered, that what it tells the
// other nodes is so: the range of its pods, its address, and the hardware address
// of its tunnel. The assertions are those of the node's namespace.
func (f *fabric) truthful(a *assertions.NetstackAssertion) {
	if !f.told(f.node, false).Managed {
		return
	}
	f.assertSubnet(a)
	ns := a.NS()
	if ns == nil || ns.Unread("interfaces") != nil {
		return
	}
	for _, v6 := range []bool{false, true} {
		own := f.told(f.node, v6)
		if own.Found {
			plugin.NodeAddress{Node: f.node, IP: own.Address, By: "flanneld", NAT: true, Remedy: "Restart flanneld on node " + f.node + " with the right --iface."}.Assert(f.Env, a)
		}
		dev, ok := ns.Device(f.tunnel("vxlan", f.node, v6))
		if ok && own.VtepMAC != "" && f.backend(f.node) == "vxlan" && !strings.EqualFold(own.VtepMAC, dev.MAC) {
			a.Fail("cni/contradiction", ns.DeviceEvidence(dev), "Restart flanneld on node "+f.node+", which writes the annotation.",
				"the annotation of node %s tells the other nodes that its tunnel has the hardware address %s, and %s has %s: frames to the former are lost", f.node, own.VtepMAC, dev.Name, dev.MAC)
		}
	}
}

// assertSubnet asserts that pods get addresses of the range that others route to
// the node.
func (f *fabric) assertSubnet(a *assertions.NetstackAssertion) {
	r, cidrs := f.records(f.node), f.IPCache.GetNodePodCIDRs(f.node)
	for _, got := range r.subnets() {
		for _, cidr := range cidrs {
			if got.Addr().Is4() == cidr.Addr().Is4() && got != cidr.Masked() {
				a.Fail("cni/contradiction", r.envFile, "Restart flanneld on node "+f.node+", delete its "+r.Delegate.Bridge+" and recreate its pods.",
					"subnet.env of node %s gives its pods addresses of %s, and the range that the other nodes know, its podCIDR, is %s", f.node, got, cidr)
			}
		}
	}
}

// registered asserts that a node where flanneld has been tells the others of
// itself.
func (f *fabric) registered(a *assertions.NetstackAssertion) bool {
	return f.told(f.node, false).Managed || f.records(f.node).env == nil || a.Fail("cni/contradiction", plugin.NodesFile, "Restart flanneld on node "+f.node+", which registers it.",
		"node %s has no annotations of flannel's: flanneld of the other nodes ignores it, and writes no route to its pods", f.node)
}

// compatible asserts that flanneld here takes notice of another node: it ignores
// those that are not registered, and those with another backend.
func (f *fabric) compatible(a *assertions.NetstackAssertion, peer string) {
	own, its, there := f.told(f.node, false), f.told(peer, false), f.there(a, peer)
	if !own.Managed || !f.at(peer).registered(there) || !its.Managed {
		return
	}
	if own.Backend != its.Backend && own.Backend != "" && its.Backend != "" {
		there.Fail("cni/contradiction", plugin.NodesFile, "Restart flanneld on the nodes that have the wrong backend; net-conf.json says "+f.net.Backend.Type+".",
			"node %s has the backend %s and node %s %s: flanneld ignores nodes of another backend", peer, its.Backend, f.node, own.Backend)
	}
}
