package topology

import (
	"slices"

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
			t.leave(&s, from.Place, ns, dev, 0, maxDepth)
		}
	}
	return s
}

// leave follows a broadcast with a VLAN tag, 0 for none, out of dev.
func (t *Topology) leave(s *segment, at Place, ns *netstack.NetNS, dev *nodedump.Interface, tag, depth int) {
	if s.done || !netstack.Up(dev) || depth == 0 {
		return
	}
	switch dev.Kind {
	case "bridge":
		t.flood(s, at, ns, dev, dev, tag, depth)
	case "veth":
		t.cross(s, at, dev, tag, depth)
	case "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap":
		t.descend(s, at, dev, tag, depth)
	case "bond", "team":
		t.bonded(s, at, ns, dev, tag, depth)
	case "vxlan":
		s.open = s.open || len(ns.FDB(dev.Name, "00:00:00:00:00:00")) > 0
	case "dummy":
	default:
		if !netstack.Unplugged(dev) {
			s.open, s.underlay = true, true
		}
	}
}

// flood follows a broadcast that a bridge gets by one of its ports, or from its
// own host, out of the others.
func (t *Topology) flood(s *segment, at Place, ns *netstack.NetNS, bridge, in *nodedump.Interface, tag, depth int) {
	vid, ok, known := netstack.Classify(ns, bridge, in, tag)
	if !known {
		s.open = true
		return
	}
	if !ok {
		return
	}
	if in != bridge {
		if up, passes := netstack.Strip(bridge, bridge, vid, tag); passes {
			if t.host(s, End{at, bridge.Name}, up, depth-1); s.done {
				return
			}
		}
	}
	for _, port := range ns.Ports(bridge.Name) {
		if port == in && (port.Port == nil || !port.Port.Hairpin) || !netstack.Forwards(port) {
			continue
		}
		if isolated(in) && isolated(port) || port.Port != nil && port.Port.NoBcastFlood && in != bridge {
			continue
		}
		if out, passes := netstack.Strip(bridge, port, vid, tag); passes {
			t.leave(s, at, ns, port, out, depth-1)
		}
	}
}

func isolated(port *nodedump.Interface) bool { return port.Port != nil && port.Port.Isolated }

// bonded follows a broadcast out of a bond: to the wire that all of its devices
// lead to.
func (t *Topology) bonded(s *segment, at Place, ns *netstack.NetNS, bond *nodedump.Interface, tag, depth int) {
	ports := ns.Ports(bond.Name)
	veth := slices.ContainsFunc(ports, func(p *nodedump.Interface) bool { return p.Kind != "" })
	if !veth {
		if !netstack.Unplugged(bond) {
			s.open, s.underlay = true, true
		}
		return
	}
	for _, p := range ports {
		if bond.ActiveSlave == 0 || bond.ActiveSlave == p.Index {
			t.leave(s, at, ns, p, tag, depth-1)
		}
	}
}

// descend follows a broadcast out of a device that stands on another one: to the
// others there, where the mode lets it, and out of that one.
func (t *Topology) descend(s *segment, at Place, dev *nodedump.Interface, tag, depth int) {
	below, ok := t.Below(at, dev)
	ns := t.atlas.NetNS(below.Place)
	if !ok || ns == nil {
		s.open = true
		return
	}
	parent, _ := ns.Device(below.Dev)
	if dev.Kind == "vlan" {
		if tag != 0 {
			s.open = true
			return
		}
		tag = dev.VLAN.ID
	} else if dev.Kind == "macvlan" && dev.Mode == "bridge" || dev.Kind == "ipvlan" && !slices.Contains(dev.ModeFlags, "private") && !slices.Contains(dev.ModeFlags, "vepa") {
		ends, devs := t.standing(below)
		for i, e := range ends {
			same := devs[i].Kind == dev.Kind && devs[i].Mode == dev.Mode && (devs[i].Index != dev.Index || e.Place != at)
			if same && tag == 0 && netstack.Up(devs[i]) {
				if s.done = s.found(e); s.done {
					return
				}
			}
		}
	}
	t.leave(s, below.Place, ns, parent, tag, depth-1)
}

// cross follows a broadcast to the other end of a veth. Where the bundle does not
// hold that, a host's leads to other machines, unless it is down: then there is
// no carrier.
func (t *Topology) cross(s *segment, at Place, dev *nodedump.Interface, tag, depth int) {
	if peer, ok := t.Peer(at, dev); ok {
		t.arrive(s, peer, tag, depth-1)
		return
	}
	if netstack.Carrier(dev) {
		s.open, s.underlay = true, s.underlay || at.Netns == nodedump.HostNetns
	}
}

// arrive follows a broadcast into a device from outside.
func (t *Topology) arrive(s *segment, e End, tag, depth int) {
	ns := t.atlas.NetNS(e.Place)
	if ns == nil {
		s.open = true
		return
	}
	dev, ok := ns.Device(e.Dev)
	if !ok || !netstack.Up(dev) || depth <= 0 {
		return
	}
	master, ok := ns.Master(dev)
	switch {
	case ok && master.Kind == "bridge" && !t.tagged(e, tag):
		if netstack.Forwards(dev) && netstack.Up(master) {
			t.flood(s, e.Place, ns, master, dev, tag, depth)
		}
	case ok && (master.Kind == "bond" || master.Kind == "team"):
		if master.ActiveSlave == 0 || master.ActiveSlave == dev.Index {
			t.arrive(s, End{e.Place, master.Name}, tag, depth-1)
		}
	default:
		t.host(s, e, tag, depth)
	}
}

// tagged reports whether a VLAN device on an end takes a tag.
func (t *Topology) tagged(e End, tag int) bool {
	_, devs := t.standing(e)
	return tag != 0 && slices.ContainsFunc(devs, func(d *nodedump.Interface) bool { return d.Kind == "vlan" && d.VLAN != nil && d.VLAN.ID == tag })
}

// host gives a broadcast to the host that has a device, and to those that stand
// on it.
func (t *Topology) host(s *segment, e End, tag, depth int) {
	ends, devs := t.standing(e)
	for i, above := range ends {
		if s.done || depth <= 0 {
			return
		}
		switch d := devs[i]; {
		case d.Kind == "vlan" && d.VLAN != nil && d.VLAN.ID == tag && tag != 0:
			t.arrive(s, above, 0, depth-1)
		case tag == 0 && d.Kind != "vlan" && netstack.Up(d) && d.Mode != "source":
			s.done = s.found(above)
		}
	}
	if !s.done && tag == 0 {
		s.done = s.found(e)
	}
}
