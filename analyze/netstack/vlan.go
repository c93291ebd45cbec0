package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// serviceProtocol is what 802.1ad tags are called.
const serviceProtocol = "802.1ad"

// tagOf is the tag that a VLAN device puts around frames, and takes off.
func tagOf(dev *nodedump.Interface) (t model.Tag, ok bool) {
	if dev.Kind != "vlan" || dev.VLAN == nil {
		return t, false
	}
	return model.Tag{Present: true, Service: dev.VLAN.Protocol == serviceProtocol, ID: uint16(dev.VLAN.ID)}, true
}

// demux gives a tagged frame to the VLAN device on dev that its tag names, and
// reports whether there is one (vlan_do_receive). That one may have a hardware
// address of its own.
func (r *run) demux(dev *nodedump.Interface) bool {
	tag := r.f.Packet.Tags[0]
	if !tag.Present {
		return false
	}
	for _, c := range r.children(dev) {
		if t, ok := tagOf(c.Dev); !ok || t != tag {
			continue
		}
		if !Up(c.Dev) {
			r.down(c.Dev)
			return true
		}
		r.step("vlan "+c.Dev.Name, "", fmt.Sprintf("tag %d taken off", tag.ID), r.ns.at(dev.Line))
		r.f.Packet = r.f.Packet.Pop()
		if r.to == toOther && r.f.Packet.DstMAC == c.Dev.MAC {
			r.to = toHost
		}
		r.up(dev, c, model.EntryWire)
		return true
	}
	return false
}

// untagged ends the journey of a frame whose tag no VLAN device on dev takes:
// it is somebody else's. A tag of VLAN 0 carries only a priority.
func (r *run) untagged(dev *nodedump.Interface) bool {
	for r.f.Packet.Tags[0].Present {
		tag := r.f.Packet.Tags[0]
		if tag.ID != 0 {
			r.end(model.Dropped, "", fmt.Sprintf("no VLAN device on %s takes frames with tag %d", dev.Name, tag.ID), r.ns.at(dev.Line))
			return false
		}
		r.f.Packet = r.f.Packet.Pop()
	}
	return true
}

// vlanOut puts the tag around a frame (vlan_dev_hard_start_xmit).
func (r *run) vlanOut(parent, dev *nodedump.Interface) {
	tag, ok := tagOf(dev)
	if ok {
		r.f.Packet, ok = r.f.Packet.Push(tag)
	}
	if !ok {
		r.unknown("which tag "+dev.Name+" puts around a frame", r.ns.at(parent.Line))
		return
	}
	r.step("vlan "+dev.Name, "", fmt.Sprintf("tag %d by %s", tag.ID, parent.Name), r.ns.at(parent.Line))
	r.xmit(parent)
}
