package netstack

import (
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// A bare rule set is a namespace of which neither routes nor devices are known.
// What its rules do before the packet is routed is certain; after that both ways
// are followed, to this host and through it, each with the doubt.

// routeless reports whether nobody knows a route of the namespace.
func (ns *NetNS) routeless() bool { return ns.Unread("routes") != nil && len(ns.Info.Routes) == 0 }

// deviceless reports whether nobody knows a device of the namespace.
func (ns *NetNS) deviceless() bool {
	return ns.Unread("interfaces") != nil && len(ns.Info.Interfaces) == 0
}

// blindly takes a packet that came in by a device of which only the name is
// known.
func (r *run) blindly(in string) {
	if r.hook(netfilter.Prerouting, in, "") {
		r.route(in)
	}
}

// stays asks whether a packet that nobody can route is for this host. That
// which goes to an address of the namespace, or came back by lo, is.
func (r *run) stays(in string) bool {
	dst := r.f.Packet.Dst.Addr()
	doubt := model.Doubt{What: "where the packet is routed: no routes were given", Evidence: r.ns.Info.File}
	if in == "lo" || dst.IsLoopback() || r.ns.FIB.IsLocal(dst) {
		return true
	}
	switch {
	case !r.ns.deviceless():
		r.f.Choices.Certain(doubt)
		return false
	case r.asked(doubt.What): // and has changed its destination since
		return r.routed.Type == route.TypeLocal
	}
	return r.f.Choices.Doubt(doubt)
}

// routeBlind takes both ways that a packet may go that came in by a device.
func (r *run) routeBlind(in string) {
	if r.stays(in) {
		r.step("route", "", "local, or so it is taken", r.ns.Info.File)
		r.localIn(in)
		return
	}
	r.step("route", "", "through this host, or so it is taken", r.ns.Info.File)
	if r.in = in; r.exceeded() {
		return
	}
	r.aged()
	if r.hook(netfilter.Forward, in, "") {
		r.leaveBlind()
	}
}

// outputBlind takes both ways that a packet may go that was born here, by oif
// if its sender is bound to that.
func (r *run) outputBlind(oif string) {
	if !r.f.Packet.Src.Addr().IsValid() {
		r.unknown("which address the sender has: no routes were given", r.ns.Info.File)
		return
	}
	res := route.Result{Type: route.TypeUnicast, Dev: oif}
	if r.stays("") {
		res = route.Result{Type: route.TypeLocal, Dev: "lo"}
	}
	r.localOut(res)
}

// rerouteBlind routes a packet again that OUTPUT has changed: one that was for
// this host beyond doubt may no longer be.
func (r *run) rerouteBlind() bool {
	if r.f.Packet.Dst.Addr().IsLoopback() || r.stays("") {
		r.routed = route.Result{Type: route.TypeLocal, Dev: "lo"}
	} else {
		r.routed = route.Result{Type: route.TypeUnicast}
	}
	return true
}

// leaveBlind ends the journey of a packet that leaves by a device that nobody
// knows.
func (r *run) leaveBlind() { r.postrouting(route.Result{Type: route.TypeUnicast}) }
