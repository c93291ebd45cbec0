package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// outside returns an address that no cluster has: TEST-NET-1 of RFC 5737, or
// the documentation prefix of RFC 3849.
func outside(ipv6 bool) netip.Addr {
	if ipv6 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, 1})
}

// checkRoutes is about default routes: those of pods, and of a node whose peers
// have one.
func checkRoutes(s *scope) {
	for _, n := range s.read() {
		for _, p := range n.pods {
			if p.ns != nil && s.knows(n.name, p.ns, "routes") {
				s.podDefault(n, p)
			}
		}
	}
	var with []string
	for _, n := range s.read() {
		if leaves(n.ns, netip.Addr{}, false) {
			with = append(with, n.name)
		}
	}
	for _, n := range s.read() {
		if len(with) == 0 || slices.Contains(with, n.name) || n.ns.Unread("routes") != nil || !routable(n) {
			continue
		}
		s.find(n.name, model.Suspicion{Level: model.SuspicionLevelWarning, Code: "route/missing", Evidence: n.ns.Info.File,
			Message: fmt.Sprintf("node %s has no default route, and %s has one", n.name, several(with)),
			Remedy:  "ip route add default via the gateway of node " + n.name})
	}
}

// routable reports whether the device with the node's address is up: one that is
// down has lost its routes.
func routable(n *host) bool {
	return !slices.ContainsFunc(nodeIPs(n), func(ip netip.Addr) bool {
		dev, ok := n.ns.FIB.DeviceOwning(ip)
		return ok && !netstack.Up(dev)
	})
}

// leaves reports whether a packet to the world has a way out, as far as it is
// known.
func leaves(ns *netstack.NetNS, src netip.Addr, ipv6 bool) bool {
	way := ns.FIB.Lookup(route.Query{Src: src, Dst: outside(ipv6)}, nil)
	return way.Doubt != nil || way.Type != route.TypeNone
}

func (s *scope) podDefault(n *host, p *space) {
	for _, ip := range podIPs(p.pod) {
		dev, ok := p.ns.FIB.DeviceOwning(ip)
		if !ok || !netstack.Up(dev) || leaves(p.ns, ip, ip.Is6()) {
			continue
		}
		s.find(n.name, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "route/missing", On: p.hop(), Evidence: p.ns.Info.File,
			Message: fmt.Sprintf("pod %s has no default route, so that it reaches neither Services nor the world", p.name()),
			Remedy:  "ip route add default via the pod's gateway dev " + dev.Name + " in the pod's namespace, or recreate the pod"})
	}
}

// checkNeighbours is about neighbour entries that lead to a hardware address
// that the bundle shows to be another's.
func checkNeighbours(s *scope) {
	for _, n := range s.read() {
		if !s.knows(n.name, n.ns, "neighbours") {
			continue
		}
		for _, p := range n.pods {
			if p.ns == nil || !s.knows(n.name, p.ns, "neighbours") {
				continue
			}
			s.podNeighbours(n, p)
		}
		s.nodeNeighbours(n)
	}
}

// podNeighbours compares both ends of a pod's cable with what they know of each
// other: a gateway that is the node's own device, and the pod.
func (s *scope) podNeighbours(n *host, p *space) {
	for _, ip := range podIPs(p.pod) {
		way := p.ns.FIB.Lookup(route.Query{Src: ip, Dst: outside(ip.Is6())}, nil)
		if gateway, ok := s.gateway(n, p, way); ok {
			s.leadsTo(n, p, entry{way.Dev, way.Via, gateway.MAC, "its gateway (" + gateway.Name + " of node " + n.name + ")"})
		}
		dev, ok := p.ns.FIB.DeviceOwning(ip)
		if back := n.ns.FIB.Lookup(route.Query{Dst: ip}, nil); ok && back.Doubt == nil && !back.Via.IsValid() {
			s.leadsTo(n, nil, entry{back.Dev, ip, dev.MAC, "pod " + p.name()})
		}
	}
}

// gateway returns the device of the node that answers a pod for its gateway: the
// other end of its cable, if that has the address, since many may have it.
func (s *scope) gateway(n *host, p *space, way route.Result) (*nodedump.Interface, bool) {
	if !way.Via.IsValid() {
		return nil, false
	}
	if dev, ok := p.ns.Device(way.Dev); ok {
		if end, ok := s.env.Topology.Peer(p.place, dev); ok && end.Place == p.place.Host() {
			if far, ok := n.ns.Device(end.Dev); ok && carries(far, way.Via) {
				return far, true
			}
		}
	}
	return n.ns.FIB.DeviceOwning(way.Via)
}

// carries reports whether a device has an address.
func carries(dev *nodedump.Interface, ip netip.Addr) bool {
	return slices.ContainsFunc(dev.Addrs, func(a nodedump.Addr) bool {
		p, err := netip.ParsePrefix(a.Prefix)
		return err == nil && p.Addr() == ip
	})
}

// An entry is a neighbour as it must be.
type entry struct {
	dev  string
	ip   netip.Addr
	mac  string
	whom string
}

// leadsTo reports a neighbour entry of a pod, or if p is nil of the node, that
// does not lead where it must. One that the kernel asks for again now and then
// mends itself.
func (s *scope) leadsTo(n *host, p *space, e entry) {
	ns, on, who := n.ns, model.Hop{}, "node "+n.name
	if p != nil {
		ns, on, who = p.ns, p.hop(), "pod "+p.name()
	}
	have, where, ok := ns.Neighbour(e.dev, e.ip)
	if !ok || have.MAC == "" || e.mac == "" || strings.EqualFold(have.MAC, e.mac) || have.State == "FAILED" || have.State == "INCOMPLETE" {
		return
	}
	level := model.SuspicionLevelWarning
	if have.State == "PERMANENT" || have.State == "NOARP" {
		level = model.SuspicionLevelCritical
	}
	s.find(n.name, model.Suspicion{Level: level, Code: "neigh/wrong", On: on, Evidence: where,
		Message: fmt.Sprintf("the neighbour entry of %s for %s on %s has %s, and that of %s is %s", who, e.ip, e.dev, have.MAC, e.whom, e.mac),
		Remedy:  fmt.Sprintf("ip neigh del %s dev %s", e.ip, e.dev)})
}

// nodeNeighbours compares what somebody wrote down about other nodes for good
// with what they are. Entries that were learned may be a router's.
func (s *scope) nodeNeighbours(n *host) {
	for i := range n.ns.Info.Neighbours {
		have := &n.ns.Info.Neighbours[i]
		ip, err := netip.ParseAddr(have.IP)
		if err != nil || have.State != "PERMANENT" || isTunnel(n.ns, have.Dev) {
			continue
		}
		name, _ := s.env.IPCache.GetNodeNameFromIP(ip)
		at := slices.IndexFunc(s.nodes, func(peer *host) bool { return peer.name == name && peer != n && peer.ns != nil })
		if at < 0 {
			continue
		}
		if dev, ok := s.nodes[at].ns.FIB.DeviceOwning(ip); ok {
			s.leadsTo(n, nil, entry{have.Dev, ip, dev.MAC, "node " + name})
		}
	}
}

func isTunnel(ns *netstack.NetNS, name string) bool {
	dev, ok := ns.Device(name)
	return ok && tunnel(dev)
}

// tunnel reports whether dev is a tunnel in use.
func tunnel(dev *nodedump.Interface) bool {
	return (dev.VXLAN != nil || dev.Tunnel != nil || dev.WireGuard != nil) && !isFallback(dev)
}
