package check

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// checkDevices looks at the devices that every kind of pod network has: the one
// with the node's address, the ends of the pods' cables, the bridges that they
// are plugged into.
func checkDevices(s *scope) {
	for _, n := range s.read() {
		if !s.knows(n.name, n.ns, "interfaces") {
			continue
		}
		s.underlayDevice(n)
		for _, p := range n.pods {
			if p.ns != nil && s.knows(n.name, p.ns, "interfaces") {
				s.cable(n, p)
			}
		}
	}
}

func isDown(d nodedump.Interface) bool { return !netstack.Up(&d) }

// underlayDevice is about the device with the node's own address.
func (s *scope) underlayDevice(n *host) {
	for _, ip := range nodeIPs(n) {
		dev, ok := n.ns.FIB.DeviceOwning(ip)
		if ok && (!netstack.Up(dev) || netstack.Unplugged(dev)) {
			s.find(n.name, model.Suspicion{Level: model.SuspicionLevelFatal, Code: "link/down", Evidence: at(n.ns, dev),
				Message: fmt.Sprintf("%s of node %s, which has the node's address %s, is down", dev.Name, n.name, ip),
				Remedy:  "ip link set " + dev.Name + " up"})
		}
	}
}

// nodeIPs are the addresses of the Node object.
func nodeIPs(n *host) (ips []netip.Addr) {
	if n.object == nil {
		return nil
	}
	for _, a := range n.object.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil {
			ips = append(ips, ip)
		}
	}
	return ips
}

// cable is about both ends of the cable between a pod and its node.
func (s *scope) cable(n *host, p *space) {
	for i := range p.ns.Info.Interfaces {
		dev := &p.ns.Info.Interfaces[i]
		if dev.Kind == "loopback" || dev.Name == "lo" || isFallback(dev) {
			continue
		}
		if !netstack.Up(dev) {
			s.find(n.name, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "link/down", On: p.hop(), Evidence: at(p.ns, dev),
				Message: fmt.Sprintf("%s of pod %s is down", dev.Name, p.name()), Remedy: "ip link set " + dev.Name + " up"})
			continue
		}
		if end, ok := s.env.Topology.Peer(p.place, dev); ok && end.Place == n.place {
			s.plug(n, p, end.Dev)
		}
	}
}

// isFallback reports whether dev is one that a tunnel module puts into every
// namespace: it is down unless somebody uses it.
func isFallback(dev *nodedump.Interface) bool {
	switch dev.Name {
	case "tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0":
		return true
	}
	return false
}

// plug is about the node's end of a pod's cable.
func (s *scope) plug(n *host, p *space, name string) {
	dev, ok := n.ns.Device(name)
	if !ok {
		return
	}
	if !netstack.Up(dev) {
		s.find(n.name, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "link/down", Evidence: at(n.ns, dev),
			Message: fmt.Sprintf("%s, the node's end of the cable of pod %s, is down", name, p.name()), Remedy: "ip link set " + name + " up"})
		return
	}
	master, bridged := n.ns.Master(dev)
	if bridged && netstack.Up(master) && !netstack.Forwards(dev) {
		s.find(n.name, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "bridge/port-state", Evidence: at(n.ns, dev),
			Message: fmt.Sprintf("%s, the node's end of the cable of pod %s, is %s in bridge %s", name, p.name(), dev.Port.State, master.Name),
			Remedy:  "bridge link set dev " + name + " state forwarding"})
	}
	for _, ip := range podIPs(p.pod) {
		s.plugged(n, p, dev, ip)
	}
}

// plugged reports a cable that is not in the bridge that the node sends the
// pod's packets to.
func (s *scope) plugged(n *host, p *space, dev *nodedump.Interface, ip netip.Addr) {
	to := n.ns.FIB.Lookup(route.Query{Dst: ip}, nil)
	bridge, ok := n.ns.Device(to.Dev)
	if to.Doubt != nil || to.Type != route.TypeUnicast || !ok || bridge.Kind != "bridge" || to.Prefix.Bits() == 0 {
		return
	}
	if master, in := n.ns.Master(dev); !in || master.Name != bridge.Name {
		s.find(n.name, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "bridge/no-master", Evidence: at(n.ns, dev),
			Message: fmt.Sprintf("%s, the node's end of the cable of pod %s, is not a port of bridge %s, where the node sends the pod's packets", dev.Name, p.name(), bridge.Name),
			Remedy:  fmt.Sprintf("ip link set %s master %s", dev.Name, bridge.Name)})
	}
}
