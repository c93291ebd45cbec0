package netstack

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// macvlanIn gives a frame to the macvlan with its hardware address, or to the
// parent itself (macvlan_handle_frame). One in mode passthru takes all there
// are; one in mode source takes a copy of what its list allows, and the parent
// goes on. Only those that are up are known by their address (macvlan_open).
func (r *run) macvlanIn(dev *nodedump.Interface, above []Child) {
	if r.to == toAll {
		r.unknown("which macvlans on "+dev.Name+" take a frame to "+r.f.Packet.DstMAC, r.ns.at(dev.Line))
		return
	}
	for _, c := range above {
		if c.Dev.Kind != "macvlan" && c.Dev.Kind != "macvtap" {
			continue
		}
		passthru := c.Dev.Mode == "passthru"
		source := c.Dev.Mode == "source" && slices.Contains(c.Dev.Sources, r.f.Packet.SrcMAC)
		if !passthru && (!Up(c.Dev) || c.Dev.MAC != r.f.Packet.DstMAC) {
			continue
		}
		if c.Dev.Mode == "source" && !source {
			continue
		}
		r.step("macvlan "+c.Dev.Name, "", fmt.Sprintf("takes frames to %s from %s", c.Dev.MAC, dev.Name), r.ns.at(dev.Line))
		r.to = toHost
		r.up(dev, c, model.EntryWire)
		return
	}
	r.frame(dev)
}

// macvlanOut sends a frame of a macvlan (macvlan_queue_xmit). In mode bridge
// another one in that mode on the same parent gets it at once, by way of the
// parent; all else goes out on the parent's wire, what is for the parent itself
// too.
func (r *run) macvlanOut(parent, child *nodedump.Interface) {
	if child.Mode == "bridge" && !group(r.f.Packet.DstMAC) {
		for _, c := range r.children(parent) {
			other := c.Dev.Kind == "macvlan" || c.Dev.Kind == "macvtap"
			if other && c.Dev.Mode == "bridge" && Up(c.Dev) && c.Dev.MAC == r.f.Packet.DstMAC {
				r.arrive(parent)
				return
			}
		}
	}
	r.step("macvlan "+child.Name, "", "out by "+parent.Name, r.ns.at(parent.Line))
	r.xmit(parent)
}
