package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// filters reports whether a bridge looks at VLANs.
func filters(bridge *nodedump.Interface) bool {
	return bridge.Bridge != nil && bridge.Bridge.VLANFiltering
}

// member finds the VLAN among those that a bridge or port is a member of
// (br_vlan_find).
func member(dev *nodedump.Interface, vid int) (v nodedump.BridgeVLAN, ok bool) {
	for _, v := range dev.VLANs {
		if v.ID == vid || v.ID <= vid && vid <= v.Last {
			return v, true
		}
	}
	return v, false
}

// pvid is the VLAN of frames without a tag, 0 if there is none (br_get_pvid).
func pvid(dev *nodedump.Interface) int {
	for _, v := range dev.VLANs {
		if v.PVID {
			return v.ID
		}
	}
	return 0
}

// vlansKnown reports whether the VLANs of the namespace's bridges were
// collected. A bundle that shows none at all is of a time when nobody asked.
func (ns *NetNS) vlansKnown() bool {
	if ns.Unread("vlans") != nil {
		return false
	}
	for i := range ns.Info.Interfaces {
		if len(ns.Info.Interfaces[i].VLANs) > 0 {
			return true
		}
	}
	return false
}

// classify finds out to which VLAN a frame belongs that a bridge gets by dev,
// which is one of its ports or itself, and gives it the tag of that
// (br_allowed_ingress). Without VLAN filtering there is none.
func (r *run) classify(bridge, dev *nodedump.Interface) bool {
	r.vid = 0
	if !filters(bridge) {
		return true
	}
	if !r.ns.vlansKnown() {
		r.unknown("the VLANs of the ports of bridge "+bridge.Name+" were not collected", r.ns.at(bridge.Line))
		return false
	}
	tag := r.f.Packet.Tags[0]
	service := bridge.Bridge.VLANProtocol == serviceProtocol
	if tag.Present && tag.Service == service && tag.ID != 0 {
		r.vid = int(tag.ID)
		if _, ok := member(dev, r.vid); !ok {
			r.notMember(bridge, dev)
			return false
		}
		return true
	}
	if r.vid = pvid(dev); r.vid == 0 {
		r.end(model.Dropped, "", fmt.Sprintf("%s has no VLAN for frames without a tag (pvid)", dev.Name), r.ns.at(dev.Line))
		return false
	}
	if tag.Present && tag.Service == service { // VLAN 0: the tag is filled in
		r.f.Packet = r.f.Packet.Pop()
	}
	var ok bool
	if r.f.Packet, ok = r.f.Packet.Push(model.Tag{Service: service, ID: uint16(r.vid)}); !ok {
		r.unknown("a frame with three VLAN tags", r.ns.at(dev.Line))
	}
	return ok
}

func (r *run) notMember(bridge, dev *nodedump.Interface) {
	r.end(model.Dropped, "", fmt.Sprintf("%s is no member of VLAN %d of bridge %s", dev.Name, r.vid, bridge.Name), r.ns.at(dev.Line))
	r.out.Remedy = fmt.Sprintf("bridge vlan add dev %s vid %d", dev.Name, r.vid)
}

// allowed reports whether a frame inside a bridge may go out by dev
// (br_allowed_egress).
func (r *run) allowed(bridge, dev *nodedump.Interface) bool {
	if !filters(bridge) {
		return true
	}
	_, ok := member(dev, r.vid)
	return ok
}

// strip takes the tag off a frame that leaves a bridge by dev where its VLAN
// goes untagged (br_handle_vlan).
func (r *run) strip(bridge, dev *nodedump.Interface) {
	if !filters(bridge) {
		return
	}
	if v, ok := member(dev, r.vid); ok && v.Untagged {
		r.f.Packet = r.f.Packet.Pop()
	}
}

// Classify returns the VLAN that a frame with a tag, 0 for none, belongs to that
// a bridge gets by one of its ports or, if that is the bridge itself, from its
// host; 0 if the bridge does not look at VLANs. It reports whether the frame is
// let in, and whether that is known.
func Classify(ns *NetNS, bridge, in *nodedump.Interface, tag int) (vid int, ok, known bool) {
	if !filters(bridge) {
		return 0, true, true
	}
	if !ns.vlansKnown() {
		return 0, false, false
	}
	if tag == 0 {
		vid = pvid(in)
		return vid, vid != 0, true
	}
	_, ok = member(in, tag)
	return tag, ok, true
}

// Strip returns the tag, 0 for none, with which a frame of a VLAN leaves a bridge
// by one of its ports or, if that is the bridge itself, to its host, and whether
// it does. Where the bridge does not look at VLANs it keeps the tag that it has.
func Strip(bridge, out *nodedump.Interface, vid, tag int) (left int, passes bool) {
	if !filters(bridge) {
		return tag, true
	}
	v, ok := member(out, vid)
	if ok && !v.Untagged {
		left = vid
	}
	return left, ok
}
