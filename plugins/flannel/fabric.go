package flannel

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// fabric is one node of a flannel network. It implements [plugin.Fabric].
type fabric struct {
	*flannel
	node *k8s.NodeInfo
}

func (f *fabric) bridge() string { return f.records(f.node.NodeName).cni.Bridge }

// LocalPod implements [plugin.Fabric].
func (f *fabric) LocalPod(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	plugin.AssertBridged(f.env, a, pod, "eth0", f.bridge())
}

// Remote implements [plugin.Fabric]: what the other node says of itself is true,
// and the lane to it is there.
func (f *fabric) Remote(a *assertions.NetstackAssertion, ip netip.Addr, node *corev1.Node) {
	f.compatible(a, node)
	f.truthful(f.there(a, node.Name), node)
	if l, ok := f.lane(node, ip); ok {
		l.assert(a, f.bridge())
	}
}

// there are the same assertions about another node.
func (f *fabric) there(a *assertions.NetstackAssertion, node string) *assertions.NetstackAssertion {
	return a.In(f.netns(node), model.Hop{Type: model.NetNodeTypeNode, ID: node})
}

// Arrival implements [plugin.Fabric]: packets of other nodes' pods come by the
// lane that this node would take to them.
func (f *fabric) Arrival(a *assertions.NetstackAssertion, upstream *model.Link) {
	ip := upstream.Packet.Src.Addr()
	src, fromPod := f.env.IPCache.GetPodFromIP(ip)
	if !fromPod || src.Spec.NodeName == f.node.NodeName {
		return
	}
	if own, ok := f.env.IPCache.GetNodeFromName(f.node.NodeName); ok {
		f.truthful(a, own)
	}
	if peer, ok := f.env.IPCache.GetNodeFromName(src.Spec.NodeName); ok {
		if l, ok := f.lane(peer, ip); ok && l.tunnel {
			a.AssertDevice(l.Dev, "flannel's tunnel device")
		}
	}
}

// Masquerades implements [plugin.Fabric]: flanneld masquerades what leaves the
// pod network, but multicast (its chain FLANNEL-POSTRTG, before that rules in
// POSTROUTING, or its table flannel-ipv4 or flannel-ipv6 of nftables).
func (f *fabric) Masquerades(p model.Packet) bool {
	src, dst := p.Src.Addr(), p.Dst.Addr()
	return f.cfg.IPMasq && f.records(f.node.NodeName).env["FLANNEL_IPMASQ"] != "false" &&
		f.inNetwork(src) && !f.inNetwork(dst) && !dst.IsMulticast()
}

// podCIDR returns the range of a node's pods that ip lies in: as the Node says,
// or, where flanneld keeps its own book in etcd, its subnet.env.
func (f *flannel) podCIDR(node string, ip netip.Addr) (netip.Prefix, bool) {
	if cidr, ok := f.env.PodCIDR(node, ip); ok {
		return cidr, true
	}
	if object, ok := f.env.IPCache.GetNodeFromName(node); ok && managed(object) {
		return netip.Prefix{}, false
	}
	cidr, ok := f.records(node).subnet(ip)
	return cidr, ok && cidr.Contains(ip)
}

// managed reports whether flanneld takes the node's range from its Node object.
func managed(node *corev1.Node) bool { return annotation(node, "kube-subnet-manager") == "true" }
