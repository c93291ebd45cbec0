package flannel

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// nodesFile is the part of the bundle that has the annotations.
const nodesFile = "cluster/nodes.yaml"

// truthful asserts, of a node that flanneld registered, that what it tells the
// other nodes is so: the range of its pods, its address, and the hardware address
// of its tunnel.
func (f *flannel) truthful(a *assertions.NetstackAssertion, node *corev1.Node) {
	if !managed(node) {
		return
	}
	f.assertSubnet(a, node)
	ns := a.NS()
	if ns == nil || ns.Unread("interfaces") != nil {
		return
	}
	for _, v6 := range []bool{false, true} {
		f.assertPublicIP(a, node, v6)
		dev, ok := ns.Device(f.tunnel("vxlan", node.Name, v6))
		if mac := vtep(node, v6).VtepMAC; ok && mac != "" && f.backend(node.Name) == "vxlan" && !strings.EqualFold(mac, dev.MAC) {
			a.Fail("cni/contradiction", ns.DeviceEvidence(dev), "Restart flanneld on node "+node.Name+", which writes the annotation.",
				"the annotation of node %s tells the other nodes that its tunnel has the hardware address %s, and %s has %s: frames to the former are lost", node.Name, mac, dev.Name, dev.MAC)
		}
	}
}

// assertSubnet asserts that pods get addresses of the range that others route to
// the node.
func (f *flannel) assertSubnet(a *assertions.NetstackAssertion, node *corev1.Node) {
	r := f.records(node.Name)
	for _, cidr := range f.env.IPCache.GetNodePodCIDRs(node.Name) {
		if got, ok := r.subnet(cidr.Addr()); ok && got != cidr.Masked() {
			a.Fail("cni/contradiction", r.envFile, "Restart flanneld on node "+node.Name+", delete its "+r.cni.Bridge+" and recreate its pods.",
				"subnet.env of node %s gives its pods addresses of %s, and the range that the other nodes know, its podCIDR, is %s", node.Name, got, cidr)
		}
	}
}

// assertPublicIP asserts that the address by which others send to a node is its
// own. One that lies behind NAT no device has: only what is in a network of the
// node's, or another's, is wrong for certain.
func (f *flannel) assertPublicIP(a *assertions.NetstackAssertion, node *corev1.Node, v6 bool) {
	ip, key := publicIP(node, v6), "public-ip"
	if v6 {
		key = "public-ipv6"
	}
	if !ip.IsValid() || a.NS().FIB.IsLocal(ip) || annotation(node, key) != ip.String() {
		return
	}
	owner := f.env.IPCache.Name(ip)
	if owner == "node "+node.Name || owner == "" && !slices.ContainsFunc(a.NS().Info.Interfaces, func(d nodedump.Interface) bool { return onLink(&d, ip) }) {
		return
	}
	if owner == "" {
		owner = "nobody"
	}
	a.Fail("address/wrong", nodesFile, "Restart flanneld on node "+node.Name+" with the right --iface.",
		"the annotation of node %s tells the other nodes to send to %s, and no device of the node has that address: it is %s's", node.Name, ip, owner)
}

// onLink reports whether ip is of the network of a device.
func onLink(dev *nodedump.Interface, ip netip.Addr) bool {
	return slices.ContainsFunc(dev.Addrs, func(a nodedump.Addr) bool {
		p, err := netip.ParsePrefix(a.Prefix)
		return err == nil && p.Contains(ip)
	})
}

// registered asserts that a node where flanneld has been tells the others of
// itself.
func (f *flannel) registered(a *assertions.NetstackAssertion, node *corev1.Node) bool {
	return managed(node) || f.records(node.Name).env == nil || a.Fail("cni/contradiction", nodesFile, "Restart flanneld on node "+node.Name+", which registers it.",
		"node %s has no annotations of flannel's: flanneld of the other nodes ignores it, and writes no route to its pods", node.Name)
}

// compatible asserts that flanneld here takes notice of another node: it ignores
// those that are not registered, and those with another backend.
func (f *fabric) compatible(a *assertions.NetstackAssertion, peer *corev1.Node) {
	own, ok := f.env.IPCache.GetNodeFromName(f.node.NodeName)
	if !ok || !managed(own) || !f.registered(f.there(a, peer.Name), peer) {
		return
	}
	if here, there := annotation(own, "backend-type"), annotation(peer, "backend-type"); managed(peer) && here != there && here != "" && there != "" {
		f.there(a, peer.Name).Fail("cni/contradiction", nodesFile, "Restart flanneld on the nodes that have the wrong backend; net-conf.json says "+f.facts.Backend.Type+".",
			"node %s has the backend %s and node %s %s: flanneld ignores nodes of another backend", peer.Name, there, own.Name, here)
	}
}
