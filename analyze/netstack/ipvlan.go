package netstack

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// byAddress finds the ipvlan that has an address (ipvlan_addr_lookup): only
// those that are up are known by it (ipvlan_open).
func byAddress(above []Child, addr netip.Addr) (Child, bool) {
	for _, c := range above {
		if c.Dev.Kind != "ipvlan" && c.Dev.Kind != "ipvtap" || !Up(c.Dev) {
			continue
		}
		for _, a := range c.Dev.Addrs {
			if p, err := netip.ParsePrefix(a.Prefix); err == nil && p.Addr() == addr {
				return c, true
			}
		}
	}
	return Child{}, false
}

// modeOf is the mode of the ipvlans on a device: all have one.
func modeOf(above []Child) (mode string, flags []string) {
	for _, c := range above {
		if c.Dev.Kind == "ipvlan" || c.Dev.Kind == "ipvtap" {
			return c.Dev.Mode, c.Dev.ModeFlags
		}
	}
	return "", nil
}

// ipvlanIn gives a frame to the ipvlan with the packet's destination, or to the
// parent itself (ipvlan_handle_frame). In mode l3s the packet passes the
// parent's PREROUTING and INPUT first and is then given to the sockets
// (ipvlan_l3_rcv, ipvlan_nf_input).
func (r *run) ipvlanIn(dev *nodedump.Interface, above []Child) {
	mode, _ := modeOf(above)
	if mode == "l2" && r.to == toAll {
		r.unknown("which ipvlans on "+dev.Name+" take a frame to "+r.f.Packet.DstMAC, r.ns.at(dev.Line))
		return
	}
	c, ok := byAddress(above, r.f.Packet.Dst.Addr())
	switch {
	case !ok:
		r.frame(dev)
	case mode == "l3s":
		if r.untagged(dev) && r.addressed(dev) && r.hook(netfilter.Prerouting, dev.Name, "") {
			r.shared(dev, above)
		}
	default:
		r.step("ipvlan "+c.Dev.Name, "", fmt.Sprintf("has %s, on %s", r.f.Packet.Dst.Addr(), dev.Name), r.ns.at(dev.Line))
		r.up(dev, c, model.EntryWire)
	}
}

// shared ends PREROUTING of a device with ipvlans in mode l3s: the destination
// that it left decides who gets the packet.
func (r *run) shared(dev *nodedump.Interface, above []Child) {
	c, ok := byAddress(above, r.f.Packet.Dst.Addr())
	if !ok {
		r.route(dev.Name)
		return
	}
	if !r.hook(netfilter.Input, dev.Name, "") {
		return
	}
	r.confirm()
	r.step("ipvlan "+c.Dev.Name, "", fmt.Sprintf("has %s, on %s", r.f.Packet.Dst.Addr(), dev.Name), r.ns.at(dev.Line))
	r.up(dev, c, model.EntrySocket)
}

// ipvlanOut sends a packet of an ipvlan (ipvlan_queue_xmit): to another one on
// the same parent at once, unless the flags say private or vepa; from mode l2 as
// a frame on the parent's wire, or up into the parent if it bears the address
// that all of them share; from mode l3 by the routes of the parent's namespace,
// whose OUTPUT and POSTROUTING see it (ipvlan_process_outbound).
func (r *run) ipvlanOut(parent, child *nodedump.Interface, netns string) {
	vepa, p := slices.Contains(child.ModeFlags, "vepa"), r.f.Packet
	shared := p.DstMAC == p.SrcMAC && p.DstMAC != ""
	if !vepa && (child.Mode != "l2" || shared) {
		if c, ok := byAddress(r.children(parent), p.Dst.Addr()); ok {
			r.ipvlanBeside(parent, child, c, netns)
			return
		}
	}
	switch {
	case child.Mode != "l2":
		r.ipvlanRouted(parent, child)
	case !vepa && shared:
		r.arrive(parent)
	default:
		r.step("ipvlan "+child.Name, "", "out by "+parent.Name, r.ns.at(parent.Line))
		r.xmit(parent)
	}
}

// ipvlanBeside gives a packet of an ipvlan to another one on the same parent.
func (r *run) ipvlanBeside(parent, child *nodedump.Interface, to Child, netns string) {
	if slices.Contains(child.ModeFlags, "private") {
		r.end(model.Dropped, "", fmt.Sprintf("ipvlans on %s are private", parent.Name), r.ns.at(parent.Line))
		return
	}
	r.step("ipvlan "+to.Dev.Name, "", fmt.Sprintf("has %s, on %s", r.f.Packet.Dst.Addr(), parent.Name), r.ns.at(parent.Line))
	r.to = toHost
	if to.Netns == netns && to.Netns != "" {
		r.unknown("what becomes of a packet between two ipvlans of one namespace", r.ns.at(parent.Line))
		return
	}
	r.up(parent, to, model.EntryWire)
}

// ipvlanRouted sends a packet by the routes of the parent's namespace as if it
// was born there.
func (r *run) ipvlanRouted(parent, child *nodedump.Interface) {
	r.step("ipvlan "+child.Name, "", "routed behind "+parent.Name, r.ns.at(parent.Line))
	p := r.f.Packet
	p.SrcMAC, p.DstMAC = "", ""
	r.f = netfilter.Frame{Packet: p, Choices: r.f.Choices, Env: r.f.Env, Blind: r.f.Blind, Virtual: r.f.Virtual, Trace: r.f.Trace}
	r.conn, r.local, r.looped, r.in = nil, true, false, ""
	q := r.query()
	q.OIf, q.AnySrc = parent.Name, true
	res := r.lookup(q)
	if !r.sure(res) {
		return
	}
	r.step("route", res.Text, routeAction(res), res.Evidence)
	switch res.Type {
	case route.TypeUnicast, route.TypeLocal:
		r.localOut(res)
	default:
		r.noRoute(res)
	}
	r.out.LocalError = false
}
