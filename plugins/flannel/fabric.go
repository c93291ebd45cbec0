package flannel

import (
	"cmp"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// fabric is one node of a flannel network. It implements [plugin.Fabric].
type fabric struct {
	*flannel
	node string
}

func (f *flannel) at(node string) *fabric { return &fabric{flannel: f, node: node} }

func (f *fabric) bridge() string { return f.records(f.node).Delegate.Bridge }

// LocalPod implements [plugin.Fabric].
func (f *fabric) LocalPod(a *assertions.NetstackAssertion, pod *corev1.Pod) {
	plugin.AssertBridged(f.Env, a, pod, ifName, f.bridge())
}

// Remote implements [plugin.Fabric]: what the other node says of itself is true,
// and the lane to it is there.
func (f *fabric) Remote(a *assertions.NetstackAssertion, ip netip.Addr, node *corev1.Node) {
	f.compatible(a, node.Name)
	f.at(node.Name).truthful(f.there(a, node.Name))
	if l, ok := f.lane(node.Name, ip); ok {
		l.Assert(a)
	}
}

// there are the same assertions about another node.
func (f *fabric) there(a *assertions.NetstackAssertion, node string) *assertions.NetstackAssertion {
	return a.In(f.HostNS(node), model.Hop{Type: model.NetNodeTypeNode, ID: node})
}

// Arrival implements [plugin.Fabric]: packets of other nodes' pods come by the
// lane that this node would take to them.
func (f *fabric) Arrival(a *assertions.NetstackAssertion, upstream *model.Link) {
	ip := upstream.Packet.Src.Addr()
	src, fromPod := f.IPCache.GetPodFromIP(ip)
	if !fromPod || src.Spec.NodeName == f.node {
		return
	}
	f.truthful(a)
	if l, ok := f.lane(src.Spec.NodeName, ip); ok && l.Tunnel != "" {
		l.AssertDevice(a)
	}
}

// Masquerades implements [plugin.Fabric]: flanneld masquerades what leaves the
// pod network, but multicast (its chain FLANNEL-POSTRTG, before that rules in
// POSTROUTING, or its table flannel-ipv4 or flannel-ipv6 of nftables).
func (f *fabric) Masquerades(p model.Packet) bool {
	src, dst := p.Src.Addr(), p.Dst.Addr()
	return f.cfg.IPMasq && f.records(f.node).env["FLANNEL_IPMASQ"] != "false" &&
		f.InPodNetwork(src) && !f.InPodNetwork(dst) && !dst.IsMulticast()
}

// NFTables implements [plugin.NFTabler].
func (f *fabric) NFTables() bool { return f.net.EnableNFTables }

// tunnel is the name of a node's tunnel device, "" if the backend has none.
func (f *flannel) tunnel(backend, node string, v6 bool) string {
	switch {
	case backend == "vxlan":
		name := "flannel."
		if v6 {
			name = "flannel-v6."
		}
		return fmt.Sprint(name, cmp.Or(f.told(node, v6).VNI, f.net.Backend.VNI, 1))
	case backend == "wireguard" && v6 && cmp.Or(f.net.Backend.Mode, "separate") == "separate":
		return "flannel-wg-v6"
	case backend == "wireguard":
		return "flannel-wg"
	case backend == "ipip":
		return "flannel.ipip"
	}
	return ""
}

// lane returns the way of a packet to ip, of the range of another node's pods. It
// is false if flannel has no say: the backend alloc leaves routes to others, what
// is not known has none, and nodes that are not registered are ignored, such as
// those of another network.
func (f *fabric) lane(peer string, ip netip.Addr) (l plugin.Lane, ok bool) {
	backend, its := f.backend(f.node), f.told(peer, ip.Is6())
	cidr, ok := f.Ranges().Has(peer, ip)
	if !ok || f.told(f.node, false).Managed && !its.Managed {
		return l, false
	}
	l = plugin.Lane{Way: assertions.Way{Dst: ip, To: cidr, Dev: f.tunnel(backend, f.node, ip.Is6())}, Tunnel: "flannel's tunnel device", Underlay: its.Address, From: f.bridge()}
	if backend == "host-gw" || f.direct(backend, ip, its.Address) {
		l.Tunnel, l.Via = "", its.Address
		l.Dev, ok = plugin.DeviceToward(f.Env, f.node, f.cfg.HostInterface, its.Address)
		return l, ok
	}
	switch backend {
	case "vxlan": // the first address of the range stands for the far end of the tunnel
		l.Via, l.MAC = cidr.Addr(), its.VtepMAC
	case "ipip":
		l.Via = its.Address
	case "wireguard": // one route for the whole network
		if whole, ok := f.net.NetworkOf(ip); ok {
			l.To = whole
		}
	}
	return l, l.Dev != ""
}

// direct reports whether a node is reached without the tunnel: DirectRouting is
// on, and no gateway stands before it (flannel's ip.DirectRouting). Where
// net-conf.json does not tell, the route to the node's pods does.
func (f *fabric) direct(backend string, ip, public netip.Addr) bool {
	ns := f.HostNS(f.node)
	if backend != "vxlan" && backend != "ipip" || ns == nil || !public.IsValid() {
		return false
	}
	if f.file == "" || f.broken != nil {
		way := ns.FIB.Lookup(route.Query{Dst: ip}, nil)
		return way.Via == public && way.Dev != f.tunnel(backend, f.node, ip.Is6())
	}
	way := ns.FIB.Lookup(route.Query{Dst: public}, nil)
	return f.net.Backend.DirectRouting && way.Type == route.TypeUnicast && !way.Via.IsValid()
}
