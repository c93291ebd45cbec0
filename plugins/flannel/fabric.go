package flannel

import (
	"encoding/json"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// fabric is one node of a flannel network. It implements [plugin.Fabric].
type fabric struct {
	*flannel
	node *k8s.NodeInfo
}

// LocalPod implements [plugin.Fabric]: the route of the node's pod CIDR leads
// to the bridge, and the pod's veth is a port of it.
func (f *fabric) LocalPod(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	plugin.AssertPodDevice(f.env, a, pod, "eth0")
	if a.AssertDevice(f.facts.bridge, "the bridge of the pods") {
		plugin.AssertPodPort(f.env, a, pod, "eth0", f.facts.bridge)
	}
	for _, ip := range plugin.PodIPs(pod) {
		if cidr, ok := f.podCIDR(f.node.NodeName, ip); ok {
			a.AssertRoute(route.Query{IIf: f.facts.bridge}, assertions.Way{Dst: ip, To: cidr, Dev: f.facts.bridge})
		}
	}
}

// Remote implements [plugin.Fabric].
func (f *fabric) Remote(a *assertions.NetstackAssertion, ip netip.Addr, node *corev1.Node) {
	cidr, ok := f.podCIDR(node.Name, ip)
	if !ok {
		return
	}
	switch f.facts.backend {
	case "vxlan":
		f.overVXLAN(a, node, ip, cidr)
	case "host-gw":
		f.overRoute(a, node, ip, cidr)
	}
}

// Arrival implements [plugin.Fabric]: packets of other nodes' pods come out of
// the tunnel.
func (f *fabric) Arrival(a *assertions.NetstackAssertion, upstream *model.Link) {
	src, fromPod := f.env.IPCache.GetPodFromIP(upstream.Packet.Src.Addr())
	if f.facts.backend == "vxlan" && !f.facts.direct && fromPod && src.Spec.NodeName != f.node.NodeName {
		a.AssertDevice(f.facts.device(), "flannel's tunnel device")
	}
}

// Masquerades implements [plugin.Fabric]: flanneld masquerades what leaves the
// pod network (its FLANNEL-POSTRTG chain).
func (f *fabric) Masquerades(p model.Packet) bool {
	return f.cfg.IPMasq && f.inNetwork(p.Src.Addr()) && !f.inNetwork(p.Dst.Addr())
}

// overVXLAN is the way to another node through the tunnel: the route of its
// pod CIDR by its VTEP's address, which is the first of the CIDR, the VTEP's
// hardware address as a permanent neighbour, and where the VTEP is.
func (f *fabric) overVXLAN(a *assertions.NetstackAssertion, peer *corev1.Node, ip netip.Addr, cidr netip.Prefix) {
	dev := f.facts.device()
	if !a.AssertDevice(dev, "flannel's tunnel device") {
		return
	}
	vtep := cidr.Masked().Addr()
	if !a.AssertRoute(route.Query{IIf: f.facts.bridge}, assertions.Way{Dst: ip, To: cidr, Dev: dev, Via: vtep}) {
		return
	}
	public, mac := publicIP(peer), vtepMAC(peer)
	if mac != "" && a.AssertNeighbour(dev, vtep, mac, true) && public.IsValid() {
		a.AssertFDB(dev, mac, public)
	}
}

// overRoute is the way to another node by a route: the node itself is the next
// hop.
func (f *fabric) overRoute(a *assertions.NetstackAssertion, peer *corev1.Node, ip netip.Addr, cidr netip.Prefix) {
	public := publicIP(peer)
	dev, ok := plugin.DeviceToward(f.env, f.node.NodeName, f.cfg.HostInterface, public)
	if ok && a.AssertDevice(dev, "the device towards the other nodes") {
		a.AssertRoute(route.Query{IIf: f.facts.bridge}, assertions.Way{Dst: ip, To: cidr, Dev: dev, Via: public})
	}
}

// podCIDR returns the pod CIDR of a node that ip lies in.
func (f *fabric) podCIDR(node string, ip netip.Addr) (netip.Prefix, bool) {
	for _, c := range f.env.IPCache.GetNodePodCIDRs(node) {
		if c.Contains(ip) && ip.Is4() { // IPv6 has its own devices: not modelled yet
			return c, true
		}
	}
	return netip.Prefix{}, false
}

// publicIP is the address that flanneld tells the other nodes.
func publicIP(node *corev1.Node) netip.Addr {
	for _, key := range []string{"public-ip-overwrite", "public-ip"} {
		if a, err := netip.ParseAddr(node.Annotations[annotationPrefix+key]); err == nil {
			return a
		}
	}
	for _, addr := range node.Status.Addresses {
		if a, err := netip.ParseAddr(addr.Address); err == nil && addr.Type == corev1.NodeInternalIP && a.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// vtepMAC is the hardware address of a node's tunnel device, "" if its
// annotation does not tell.
func vtepMAC(node *corev1.Node) string {
	var data struct{ VtepMAC string }
	if json.Unmarshal([]byte(node.Annotations[annotationPrefix+"backend-data"]), &data) != nil {
		return ""
	}
	return data.VtepMAC
}
