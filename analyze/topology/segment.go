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

// beyond notes that a broadcast goes on between machines.
func (s *segment) beyond() { s.open, s.underlay = true, true }

// A station is a device that a broadcast has come to.
type station struct {
	at    Place
	ns    *netstack.NetNS
	dev   *nodedump.Interface
	tag   int // VLAN tag of the frame, 0 for none
	depth int // how many devices it may still pass
}

// to is the station of another device there, one device on.
func (at station) to(dev *nodedump.Interface, tag int) station {
	at.dev, at.tag, at.depth = dev, tag, at.depth-1
	return at
}

// maxDepth bounds bridges behind bridges.
const maxDepth = 8

// segment follows a broadcast that leaves a place by dev until found.
func (t *Topology) segment(from End, found func(End) bool) segment {
	s := segment{found: found}
	if ns := t.atlas.NetNS(from.Place); ns != nil {
		if dev, ok := ns.Device(from.Dev); ok {
			t.leave(&s, station{from.Place, ns, dev, 0, maxDepth})
		}
	}
	return s
}

// leave follows a broadcast out of a device.
func (t *Topology) leave(s *segment, out station) {
	if s.done || !netstack.Up(out.dev) || out.depth == 0 {
		return
	}
	switch out.dev.Kind {
	case "bridge":
		t.flood(s, out, out.dev)
	case "veth":
		t.cross(s, out)
	case "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap":
		t.descend(s, out)
	case "bond", "team":
		t.bonded(s, out)
	case "vxlan":
		s.open = s.open || overlaid(out)
	case "dummy":
	default:
		if !netstack.Unplugged(out.dev) {
			s.beyond()
		}
	}
}

// overlaid reports whether a VXLAN device sends a broadcast on, or may answer it
// itself (arp_reduce).
func overlaid(out station) bool {
	proxy := out.dev.VXLAN != nil && out.dev.VXLAN.Proxy
	return proxy || len(out.ns.FDB(out.dev.Name, "00:00:00:00:00:00")) > 0
}

// flood follows a broadcast that a bridge gets by one of its ports, or from its
// own host, out of the others.
func (t *Topology) flood(s *segment, in station, bridge *nodedump.Interface) {
	vid, ok, known := netstack.Classify(in.ns, bridge, in.dev, in.tag)
	if !known {
		s.open = true
		return
	}
	if !ok {
		return
	}
	if in.dev != bridge {
		if up, passes := netstack.Strip(bridge, bridge, vid, in.tag); passes {
			if t.host(s, End{in.at, bridge.Name}, up, in.depth-1); s.done {
				return
			}
		}
	}
	for _, port := range in.ns.Ports(bridge.Name) {
		if !floods(in.dev, port, in.dev == bridge) {
			continue
		}
		if tag, passes := netstack.Strip(bridge, port, vid, in.tag); passes {
			t.leave(s, in.to(port, tag))
		}
	}
}

// floods reports whether a bridge sends a broadcast that it got by in, or from
// its own host, out of a port.
func floods(in, port *nodedump.Interface, own bool) bool {
	switch {
	case !netstack.Forwards(port), isolated(in) && isolated(port):
		return false
	case port.Port == nil:
		return port != in
	}
	return (port != in || port.Port.Hairpin) && (own || !port.Port.NoBcastFlood)
}

func isolated(port *nodedump.Interface) bool { return port.Port != nil && port.Port.Isolated }

// bonded follows a broadcast out of a bond: to the wire that all of its devices
// lead to.
func (t *Topology) bonded(s *segment, out station) {
	bond := out.dev
	ports := out.ns.Ports(bond.Name)
	veth := slices.ContainsFunc(ports, func(p *nodedump.Interface) bool { return p.Kind != "" })
	if !veth {
		if !netstack.Unplugged(bond) {
			s.beyond()
		}
		return
	}
	for _, p := range ports {
		if bond.ActiveSlave == 0 || bond.ActiveSlave == p.Index {
			t.leave(s, out.to(p, out.tag))
		}
	}
}

// descend follows a broadcast out of a device that stands on another one: to the
// others there, where the mode lets it, and out of that one.
func (t *Topology) descend(s *segment, out station) {
	below, ok := t.Below(out.at, out.dev)
	ns := t.atlas.NetNS(below.Place)
	if !ok || ns == nil {
		s.open = true
		return
	}
	tag := out.tag
	switch {
	case out.dev.Kind == "vlan" && tag != 0:
		s.open = true
		return
	case out.dev.Kind == "vlan":
		tag = out.dev.VLAN.ID
	case tag == 0 && besides(out.dev):
		if t.beside(s, out, below); s.done {
			return
		}
	}
	parent, _ := ns.Device(below.Dev)
	t.leave(s, station{below.Place, ns, parent, tag, out.depth - 1})
}

// besides reports whether the mode of a device lets its frames to the others on
// the same parent.
func besides(dev *nodedump.Interface) bool {
	switch dev.Kind {
	case "macvlan":
		return dev.Mode == "bridge"
	case "ipvlan":
		return !slices.Contains(dev.ModeFlags, "private") && !slices.Contains(dev.ModeFlags, "vepa")
	}
	return false
}

// beside gives a broadcast to the others of the same kind and mode that stand on
// the end below.
func (t *Topology) beside(s *segment, out station, below End) {
	ends, devs := t.standing(below)
	for i, e := range ends {
		d := devs[i]
		same := d.Kind == out.dev.Kind && d.Mode == out.dev.Mode && (d.Index != out.dev.Index || e.Place != out.at)
		if same && netstack.Up(d) {
			if s.done = s.found(e); s.done {
				return
			}
		}
	}
}

// cross follows a broadcast to the other end of a veth. Where the bundle does not
// hold that, a host's leads to other machines, unless it is down: then there is
// no carrier.
func (t *Topology) cross(s *segment, out station) {
	if peer, ok := t.Peer(out.at, out.dev); ok {
		t.arrive(s, peer, out.tag, out.depth-1)
		return
	}
	if netstack.Carrier(out.dev) {
		s.open, s.underlay = true, s.underlay || out.at.Netns == nodedump.HostNetns || t.Outward(End{out.at, out.dev.Name})
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
	if master, ok := ns.Master(dev); !ok || !t.enslaved(s, station{e.Place, ns, dev, tag, depth}, master) {
		t.host(s, e, tag, depth)
	}
}

// enslaved gives a broadcast to the bridge or bond that a device is a part of,
// and reports whether that takes it from the device's own host.
func (t *Topology) enslaved(s *segment, in station, master *nodedump.Interface) bool {
	switch master.Kind {
	case "bridge":
		if t.tagged(End{in.at, in.dev.Name}, in.tag) {
			return false
		}
		if netstack.Forwards(in.dev) && netstack.Up(master) {
			t.flood(s, in, master)
		}
		return true
	case "bond", "team":
		if master.ActiveSlave == 0 || master.ActiveSlave == in.dev.Index {
			t.arrive(s, End{in.at, master.Name}, in.tag, in.depth-1)
		}
		return true
	}
	return false
}

// takes reports whether a device is the VLAN of a tag.
func takes(dev *nodedump.Interface, tag int) bool {
	return tag != 0 && dev.Kind == "vlan" && dev.VLAN != nil && dev.VLAN.ID == tag
}

// tagged reports whether a VLAN device on an end takes a tag.
func (t *Topology) tagged(e End, tag int) bool {
	_, devs := t.standing(e)
	return slices.ContainsFunc(devs, func(d *nodedump.Interface) bool { return takes(d, tag) })
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
		case takes(d, tag):
			t.arrive(s, above, 0, depth-1)
		case tag == 0 && d.Kind != "vlan" && netstack.Up(d) && d.Mode != "source":
			s.done = s.found(above)
		}
	}
	if !s.done && tag == 0 {
		s.done = s.found(e)
	}
}
