package topology

import (
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A segment is what a broadcast that leaves by a device reaches. It is followed
// only as far as somebody wants it: every namespace on it has to be read.
type segment struct {
	found    func(End) bool // reports whether this end is the one that was looked for
	done     bool
	open     bool // it goes on where the bundle does not show it
	underlay bool // it goes on between machines
}

// maxDepth bounds bridges behind bridges.
const maxDepth = 8

// segment follows a broadcast that leaves a place by dev until found.
func (t *Topology) segment(from End, found func(End) bool) segment {
	s := segment{found: found}
	if ns := t.atlas.NetNS(from.Place); ns != nil {
		if dev, ok := ns.Device(from.Dev); ok {
			t.leave(&s, from.Place, ns, dev, maxDepth)
		}
	}
	return s
}

// leave follows a broadcast out of dev.
func (t *Topology) leave(s *segment, at Place, ns *netstack.NetNS, dev *nodedump.Interface, depth int) {
	if s.done || !netstack.Up(dev) || depth == 0 {
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
		t.cross(s, at, dev, depth)
	case "vxlan":
		s.open = s.open || len(ns.FDB(dev.Name, "00:00:00:00:00:00")) > 0
	default:
		if !netstack.Unplugged(dev) {
			s.open, s.underlay = true, true
		}
	}
}

// cross follows a broadcast to the other end of a veth. Where the bundle does not
// hold that, a host's leads to other machines, unless it is down: then there is
// no carrier.
func (t *Topology) cross(s *segment, at Place, dev *nodedump.Interface, depth int) {
	if peer, ok := t.Peer(at, dev); ok {
		t.arrive(s, peer, depth-1)
		return
	}
	if netstack.Carrier(dev) {
		s.open, s.underlay = true, s.underlay || at.Netns == nodedump.HostNetns
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
		s.done = s.found(e)
		return
	}
	if !netstack.Forwards(dev) || !netstack.Up(bridge) {
		return
	}
	if s.done = s.found(End{e.Place, bridge.Name}); s.done {
		return
	}
	for _, port := range ns.Ports(bridge.Name) {
		if port.Name != dev.Name && netstack.Forwards(port) {
			t.leave(s, e.Place, ns, port, depth-1)
		}
	}
}
