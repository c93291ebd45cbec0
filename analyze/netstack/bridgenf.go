package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// callsNetfilter reports whether bridged packets are shown to iptables: the
// sysctl, or the bridge's own switch. Those with a VLAN tag only if another
// sysctl says so as well (br_nf_pre_routing, is_vlan_ip).
func (r *run) callsNetfilter(bridge *nodedump.Interface) bool {
	name, own := "net.bridge.bridge-nf-call-iptables", (*bool)(nil)
	if b := bridge.Bridge; b != nil {
		own = b.NFCallIPT
		if r.f.Packet.IPv6() {
			own = b.NFCallIP6T
		}
	}
	if r.f.Packet.IPv6() {
		name = "net.bridge.bridge-nf-call-ip6tables"
	}
	return (r.sysctl(name) == "1" || own != nil && *own) && r.netfilterSees()
}

// netfilterSees reports whether a frame inside a bridge has no tag, or one that
// br_netfilter looks behind.
func (r *run) netfilterSees() bool {
	tags := r.f.Packet.Tags
	return !tags[0].Present || !tags[1].Present && r.sysctl("net.bridge.bridge-nf-filter-vlan-tagged") == "1"
}

// logical is the device that rules see a bridged packet come in by: the bridge,
// or the VLAN device on it if a sysctl says so (brnf_get_logical_dev).
func (r *run) logical(bridge *nodedump.Interface) string {
	tag := r.f.Packet.Tags[0]
	if !tag.Present || r.sysctl("net.bridge.bridge-nf-pass-vlan-input-dev") != "1" {
		return bridge.Name
	}
	for _, c := range r.children(bridge) {
		if t, ok := tagOf(c.Dev); ok && t == tag && c.Netns == "" {
			return c.Dev.Name
		}
	}
	return bridge.Name
}

// bypassed notes that an answer is bridged although conntrack would have to
// translate it back.
func (r *run) bypassed(bridge *nodedump.Interface) {
	tuple := r.f.Packet.Tuple()
	for _, c := range r.flow.Conns(r.ns.ID) {
		if c.Reply == tuple && c.Original.Invert() != tuple {
			name := "net.bridge.bridge-nf-call-iptables"
			if r.f.Packet.IPv6() {
				name = "net.bridge.bridge-nf-call-ip6tables"
			}
			r.out.Noted = append(r.out.Noted, model.Suspicion{Level: model.SuspicionLevelFatal, Code: "sysctl/bridge-nf",
				Message:  fmt.Sprintf("the answer crosses bridge %s without conntrack, so %s is not translated back to %s", bridge.Name, tuple.Src, c.Original.Dst),
				Evidence: r.sysctlAt(name), Remedy: "sysctl -w " + name + "=1"})
			return
		}
	}
}

// bridgeNetfilter shows a frame to iptables before the bridge decides where it
// goes, even one for the host itself (br_nf_pre_routing). If PREROUTING leaves
// its destination alone, the frame's address decides, and the host does not run
// PREROUTING a second time (ip_sabotage_in).
func (r *run) bridgeNetfilter(port, bridge *nodedump.Interface) {
	dst := r.f.Packet.Dst.Addr()
	in := r.logical(bridge)
	r.f.Bridged, r.f.PhysIn, r.seen = true, port.Name, true
	if !r.hook(netfilter.Prerouting, in, "") {
		return
	}
	if r.f.Packet.Dst.Addr() != dst {
		r.bridgeTranslated(port, bridge)
		return
	}
	r.bridgeSwitch(port, bridge)
}

// bridgeTranslated sends on a packet whose destination PREROUTING has changed:
// it is bridged on if it goes behind the same bridge, and otherwise given to the
// host, whatever address the frame had (br_nf_pre_routing_finish). IPv4 routes
// nothing for others where forwarding is off, not even behind the same bridge
// (ip_route_input_slow); IPv6 asks only in ip6_forward, where this packet never
// comes.
func (r *run) bridgeTranslated(port, bridge *nodedump.Interface) {
	q := r.query()
	q.IIf = bridge.Name
	res := r.lookup(q)
	if !r.sure(res) {
		return
	}
	on, _, known := r.ns.FIB.Forwarding(bridge.Name, false)
	off := known && !on && !r.f.Packet.IPv6()
	if res.Type != route.TypeUnicast || res.Dev != bridge.Name || off {
		r.f.Bridged, r.seen = false, false
		r.route(bridge.Name)
		return
	}
	if refused := r.ns.FIB.Validate(q); refused != nil {
		r.end(model.Dropped, refused.Code, refused.Why, refused.Evidence)
		return
	}
	r.step("route", res.Text, "bridged on after dnat", res.Evidence)
	r.nexthop = r.f.Packet.Dst.Addr()
	if res.Via.IsValid() {
		r.nexthop = res.Via
	}
	if r.resolve(bridge) {
		r.to = addressedTo(port, r.f.Packet.DstMAC)
		r.bridgeSwitch(port, bridge)
	}
}

// bridgedThrough shows a frame that goes from port to port to FORWARD and
// POSTROUTING (br_nf_forward, br_nf_post_routing).
func (r *run) bridgedThrough(bridge, out *nodedump.Interface) bool {
	if !r.f.Bridged || !r.netfilterSees() {
		return true
	}
	r.f.PhysOut = out.Name
	if !r.hook(netfilter.Forward, bridge.Name, bridge.Name) || !r.hook(netfilter.Postrouting, bridge.Name, bridge.Name) {
		return false
	}
	r.confirm()
	return true
}
