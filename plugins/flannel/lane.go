package flannel

import (
	"cmp"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// backend is how a node is joined to others. The annotation says what flanneld
// runs with, net-conf.json with what it should.
func (f *flannel) backend(node string) string {
	annotated := ""
	if object, ok := f.env.IPCache.GetNodeFromName(node); ok {
		annotated = annotation(object, "backend-type")
	}
	return cmp.Or(f.cfg.Backend, annotated, f.facts.Backend.Type, f.shown(node))
}

// shown is the backend that the devices of a node show. host-gw and alloc have
// none.
func (f *flannel) shown(node string) string {
	ns := f.netns(node)
	for _, backend := range []string{"vxlan", "wireguard", "ipip"} {
		if ns == nil {
			break
		}
		if _, ok := ns.Device(f.tunnel(backend, node, false)); ok {
			return backend
		}
	}
	return ""
}

func (f *flannel) netns(node string) *netstack.NetNS {
	return f.env.Atlas.NetNS(topology.Place{Base: "nodes/" + node, Netns: nodedump.HostNetns})
}

// tunnel is the name of a node's tunnel device, "" if the backend has none.
func (f *flannel) tunnel(backend, node string, v6 bool) string {
	switch {
	case backend == "vxlan":
		vni := 0
		if object, ok := f.env.IPCache.GetNodeFromName(node); ok {
			vni = vtep(object, v6).VNI
		}
		name := "flannel."
		if v6 {
			name = "flannel-v6."
		}
		return fmt.Sprint(name, cmp.Or(vni, f.facts.Backend.VNI, 1))
	case backend == "wireguard" && v6 && cmp.Or(f.facts.Backend.Mode, "separate") == "separate":
		return "flannel-wg-v6"
	case backend == "wireguard":
		return "flannel-wg"
	case backend == "ipip":
		return "flannel.ipip"
	}
	return ""
}

// overhead is what a backend takes of the underlay's MTU, as flannel reckons
// (encapOverhead, overhead in its backends), over IPv6 too.
func overhead(backend string) int {
	return map[string]int{"vxlan": 50, "wireguard": 80, "ipip": 20}[backend]
}

// A lane is the way that a node means to send to the pods of another one.
type lane struct {
	assertions.Way
	tunnel bool       // the device is the backend's own
	mac    string     // of the far end of a VXLAN, "" if there is none or it is not known
	public netip.Addr // where the other node is, invalid if that is not known
}

// lane returns the way of a packet to ip, of the range of another node's pods. It
// is false if flannel has no say: the backend alloc leaves routes to others, what
// is not known has none, and nodes that are not registered are ignored, such as
// those of another network.
func (f *fabric) lane(peer *corev1.Node, ip netip.Addr) (l lane, ok bool) {
	backend := f.backend(f.node.NodeName)
	cidr, ok := f.podCIDR(peer.Name, ip)
	own, known := f.env.IPCache.GetNodeFromName(f.node.NodeName)
	if !ok || known && managed(own) && !managed(peer) {
		return l, false
	}
	l = lane{Way: assertions.Way{Dst: ip, To: cidr, Dev: f.tunnel(backend, f.node.NodeName, ip.Is6())}, tunnel: true, public: publicIP(peer, ip.Is6())}
	if backend == "host-gw" || f.direct(backend, ip, l.public) {
		l.tunnel, l.Via = false, l.public
		l.Dev, ok = plugin.DeviceToward(f.env, f.node.NodeName, f.cfg.HostInterface, l.public)
		return l, ok
	}
	switch backend {
	case "vxlan": // the first address of the range stands for the far end of the tunnel
		l.Via, l.mac = cidr.Masked().Addr(), vtep(peer, ip.Is6()).VtepMAC
	case "ipip":
		l.Via = l.public
	case "wireguard": // one route for the whole network
		l.To = f.network(ip, cidr)
	}
	return l, l.Dev != ""
}

// direct reports whether a node is reached without the tunnel: DirectRouting is
// on, and no gateway stands before it (flannel's ip.DirectRouting). Where
// net-conf.json does not tell, the route to the node's pods does.
func (f *fabric) direct(backend string, ip, public netip.Addr) bool {
	ns := f.netns(f.node.NodeName)
	if backend != "vxlan" && backend != "ipip" || ns == nil || !public.IsValid() {
		return false
	}
	if f.facts.file == "" || f.facts.broken != nil {
		way := ns.FIB.Lookup(route.Query{Dst: ip}, nil)
		return way.Via == public && way.Dev != f.tunnel(backend, f.node.NodeName, ip.Is6())
	}
	way := ns.FIB.Lookup(route.Query{Dst: public}, nil)
	return f.facts.Backend.DirectRouting && way.Type == route.TypeUnicast && !way.Via.IsValid()
}

// network is the whole pod network of the family of ip.
func (f *flannel) network(ip netip.Addr, otherwise netip.Prefix) netip.Prefix {
	for _, text := range []string{f.facts.Network, f.facts.IPv6Network} {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(ip) {
			return p.Masked()
		}
	}
	return otherwise
}

// assert asserts a lane: the device, the route, and, of a VXLAN, the hardware
// address of the far end and where that is. Which peer of a WireGuard device has
// the address is told where the packet is encrypted.
func (l lane) assert(a *assertions.NetstackAssertion, bridge string) {
	what := "the device towards the other nodes"
	if l.tunnel {
		what = "flannel's tunnel device"
	}
	if !a.AssertDevice(l.Dev, what) || !a.AssertRoute(route.Query{IIf: bridge}, l.Way) || l.mac == "" {
		return
	}
	if a.AssertNeighbour(l.Dev, l.Via, l.mac, true) && l.public.IsValid() {
		a.AssertFDB(l.Dev, l.mac, l.public)
	}
}
