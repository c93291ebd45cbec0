package topology

import (
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A segment is what a broadcast that leaves by a device reaches.
type segment struct {
	ends     []End
	open     bool // it goes on where the bundle does not show it
	underlay bool // it goes on between machines
}

// maxDepth bounds bridges behind bridges.
const maxDepth = 8

// segment follows a broadcast that leaves a place by dev.
func (t *Topology) segment(at Place, ns *netstack.NetNS, dev *nodedump.Interface) segment {
	var s segment
	t.leave(&s, at, ns, dev, maxDepth)
	return s
}

// leave follows a broadcast out of dev.
func (t *Topology) leave(s *segment, at Place, ns *netstack.NetNS, dev *nodedump.Interface, depth int) {
	if !netstack.Up(dev) || depth == 0 {
		return
	}
	switch dev.Kind {
	case "bridge":
		for _, port := range ns.Ports(dev.Name) {
			if netstack.Forwards(port) {
				t.leave(s, at, ns, port, depth-1)
			}
		}
	case "veth":
		peer, ok := t.Peer(at, dev)
		if !ok {
			s.open, s.underlay = true, s.underlay || at.Netns == nodedump.HostNetns
			return
		}
		t.arrive(s, peer, depth-1)
	case "vxlan":
		s.open = s.open || len(ns.FDB(dev.Name, "00:00:00:00:00:00")) > 0
	default:
		s.open, s.underlay = true, true
	}
}

// arrive follows a broadcast into a device from outside.
func (t *Topology) arrive(s *segment, e End, depth int) {
	ns := t.atlas.NetNS(e.Place)
	if ns == nil {
		s.open = true
		return
	}
	dev, ok := ns.Device(e.Dev)
	if !ok || !netstack.Up(dev) {
		return
	}
	bridge, ok := ns.Master(dev)
	if !ok || bridge.Kind != "bridge" {
		s.ends = append(s.ends, e)
		return
	}
	if !netstack.Forwards(dev) || !netstack.Up(bridge) {
		return
	}
	s.ends = append(s.ends, End{e.Place, bridge.Name})
	for _, port := range ns.Ports(bridge.Name) {
		if port.Name != dev.Name && netstack.Forwards(port) {
			t.leave(s, e.Place, ns, port, depth-1)
		}
	}
}
