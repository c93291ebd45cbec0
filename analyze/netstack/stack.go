package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Child is a device that stands on another one: a VLAN, macvlan or ipvlan.
type Child struct {
	Netns string // ID of its namespace, "" if it is that of its parent
	Dev   *nodedump.Interface
}

// A Stacker is a [Wire] that knows devices that stand on a device of another
// namespace. A Wire that is none knows of nothing above the devices of ns but
// what ns itself shows.
type Stacker interface {
	// Above returns the devices of other namespaces that stand on dev.
	Above(ns *NetNS, dev string) []Child
}

// An Into says where a packet goes that a device gives to one of another
// namespace.
type Into struct {
	Netns string // its ID
	Dev   string
	Entry model.Entry
}

// Stacked reports whether a device stands on another one, Link, by which its
// frames come and go.
func Stacked(dev *nodedump.Interface) bool {
	switch dev.Kind {
	case "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap":
		return true
	}
	return false
}

// children returns the devices that stand on dev, here and elsewhere.
func (r *run) children(dev *nodedump.Interface) (list []Child) {
	for i := range r.ns.Info.Interfaces {
		d := &r.ns.Info.Interfaces[i]
		if Stacked(d) && d.LinkNSID == nil && d.Link == dev.Index && d.Index != dev.Index {
			list = append(list, Child{Dev: d})
		}
	}
	if s, ok := r.wire.(Stacker); ok {
		list = append(list, s.Above(r.ns, dev.Name)...)
	}
	return list
}

// parent returns the device of this namespace that dev stands on.
func (r *run) parent(dev *nodedump.Interface) (*nodedump.Interface, bool) {
	if dev.LinkNSID != nil || dev.Link == 0 {
		return nil, false
	}
	p, ok := r.ns.byIndex[dev.Link]
	return p, ok
}

// up gives a frame to a device that stands on parent (another_round).
func (r *run) up(parent *nodedump.Interface, c Child, entry model.Entry) {
	if c.Netns == "" && entry == model.EntryWire {
		r.device(c.Dev)
		return
	}
	if c.Netns == "" {
		r.deliver(c.Dev.Name)
		return
	}
	if r.to == toHost && r.f.Packet.DstMAC != "" && c.Dev.MAC != "" {
		r.f.Packet.DstMAC = c.Dev.MAC // it counts as its own
	}
	r.step("device", "", fmt.Sprintf("%s of another namespace takes it from %s", c.Dev.Name, parent.Name), r.ns.at(parent.Line))
	r.out.Into = &Into{Netns: c.Netns, Dev: c.Dev.Name, Entry: entry}
	r.out.Disposition, r.out.Dev, r.out.NextHop = model.Forwarded, parent.Name, r.nexthop
}

// sendBelow sends a frame by the device that dev stands on, or leaves it to
// whoever knows that device (ndo_start_xmit of a VLAN, macvlan or ipvlan).
func (r *run) sendBelow(dev *nodedump.Interface) {
	if parent, ok := r.parent(dev); ok {
		r.above(parent, dev, "")
		return
	}
	if dev.LinkNSID == nil && dev.PeerNetns == "" {
		r.unknown("which device "+dev.Name+" stands on", r.ns.at(dev.Line))
		return
	}
	r.leave(dev)
}

// FromAbove takes a packet that a device of another namespace, which stands on
// parent, sends.
func (ns *NetNS) FromAbove(p model.Packet, parent string, child Child, call Call) []Outcome {
	return ns.enumerate(p, call, func(r *run) {
		r.f.Packet = p
		dev, ok := ns.Device(parent)
		if !ok {
			r.end(model.Dropped, "link/missing", fmt.Sprintf("device %s does not exist", parent), ns.Info.File)
			return
		}
		if ns.ID != child.Netns {
			r.f.Packet.Mark = 0 // skb_scrub_packet
		}
		r.above(dev, child.Dev, child.Netns)
	})
}

// Deliver gives a packet to the sockets: the hooks have seen it in another
// namespace.
func (ns *NetNS) Deliver(p model.Packet, dev string, call Call) []Outcome {
	return ns.enumerate(p, call, func(r *run) {
		r.f.Packet = p
		r.deliver(dev)
	})
}

// above takes what child, which stands on parent and lives in the namespace
// with the ID, sends.
func (r *run) above(parent, child *nodedump.Interface, netns string) {
	switch child.Kind {
	case "vlan":
		r.vlanOut(parent, child)
	case "macvlan", "macvtap":
		r.macvlanOut(parent, child)
	case "ipvlan", "ipvtap":
		r.ipvlanOut(parent, child, netns)
	default:
		r.unknown(fmt.Sprintf("what %s device %s does with a packet", child.Kind, child.Name), r.ns.at(parent.Line))
	}
}
