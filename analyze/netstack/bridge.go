package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// bridge takes a frame that came in by a port (br_handle_frame).
func (r *run) bridge(port, bridge *nodedump.Interface) {
	if !r.portWorks(port) {
		return
	}
	if !Up(bridge) {
		r.down(bridge)
		return
	}
	if bridge.Bridge != nil && bridge.Bridge.VLANFiltering {
		r.unknown("what VLAN filtering of bridge "+bridge.Name+" does with a frame", r.ns.at(bridge.Line))
		return
	}
	r.step("bridge "+bridge.Name, "", "in by port "+port.Name, r.ns.at(port.Line))
	if r.f.Packet.DstMAC == port.MAC && bridge.MAC != "" {
		r.f.Packet.DstMAC = bridge.MAC
	}
	switch {
	case r.callsNetfilter(bridge):
		r.bridgeNetfilter(port, bridge)
	case r.forBridge(bridge):
		r.frame(bridge)
	default:
		r.bypassed(bridge)
		r.bridgeForward(port, bridge)
	}
}

// floods reports whether a port gets frames to addresses that the forwarding
// database does not know.
func floods(port *nodedump.Interface) bool {
	return Up(port) && Forwards(port) && (port.Port == nil || !port.Port.NoFlood)
}

func (r *run) portWorks(port *nodedump.Interface) bool {
	if !Forwards(port) {
		r.end(model.Dropped, "bridge/port-state", fmt.Sprintf("bridge port %s is %s", port.Name, port.Port.State), r.ns.at(port.Line))
		return false
	}
	return true
}

// forBridge reports whether the frame is given to the host: it bears the bridge's
// own address, or that of one of its ports. Of these only the one that it came in
// by makes the host take it (eth_type_trans).
func (r *run) forBridge(bridge *nodedump.Interface) bool {
	mac := r.f.Packet.DstMAC
	if mac == "" || mac == bridge.MAC || mac == broadcastMAC {
		return true
	}
	for _, p := range r.ns.ports[bridge.Name] {
		if p.MAC == mac {
			return true
		}
	}
	return false
}

// callsNetfilter reports whether bridged packets are shown to iptables: the
// sysctl, or the bridge's own switch.
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
	return r.sysctl(name) == "1" || own != nil && *own
}

// bypassed notes that an answer is bridged although conntrack would have to
// translate it back.
func (r *run) bypassed(bridge *nodedump.Interface) {
	tuple := r.f.Packet.Tuple()
	for _, c := range r.flow.Conns(r.ns.ID) {
		if c.Reply == tuple && c.Original.Invert() != tuple {
			name := "net.bridge.bridge-nf-call-iptables"
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
	r.f.Bridged, r.f.PhysIn = true, port.Name
	if !r.hook(netfilter.Prerouting, bridge.Name, "") {
		return
	}
	switch {
	case r.f.Packet.Dst.Addr() != dst:
		r.bridgeTranslated(port, bridge)
	case r.forBridge(bridge):
		if r.f.Bridged = false; r.addressed(bridge) {
			r.route(bridge.Name)
		}
	default:
		r.bridgeForward(port, bridge)
	}
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
		r.f.Bridged = false
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
		r.bridgeForward(port, bridge)
	}
}

// bridgeForward passes a frame from one port to another (br_forward,
// br_nf_forward, br_nf_post_routing).
func (r *run) bridgeForward(in, bridge *nodedump.Interface) {
	out, evidence, ok := r.portFor(bridge)
	if !ok {
		return
	}
	r.step("bridge "+bridge.Name, "", "out by port "+out.Name, evidence)
	if out == in && (in.Port == nil || !in.Port.Hairpin) {
		r.end(model.Dropped, "bridge/hairpin", fmt.Sprintf("the frame must leave %s by port %s, where it came in, and hairpin mode is off", bridge.Name, in.Name), r.ns.at(in.Line))
		r.out.Remedy = fmt.Sprintf("bridge link set dev %s hairpin on", in.Name)
		return
	}
	if in.Port != nil && out.Port != nil && in.Port.Isolated && out.Port.Isolated {
		r.end(model.Dropped, "", fmt.Sprintf("ports %s and %s are isolated from each other", in.Name, out.Name), r.ns.at(out.Line))
		return
	}
	if r.f.Bridged {
		r.f.PhysOut = out.Name
		if !r.hook(netfilter.Forward, bridge.Name, bridge.Name) || !r.hook(netfilter.Postrouting, bridge.Name, bridge.Name) {
			return
		}
		r.confirm()
	}
	r.port(out)
}

// bridgeOut sends a frame that the host itself gives to a bridge
// (br_dev_xmit).
func (r *run) bridgeOut(bridge *nodedump.Interface) {
	if r.alone && r.somewhere(bridge) {
		r.f.Choices.Certain(model.Doubt{What: "which port of " + bridge.Name + " leads to " + r.nexthop.String(), Evidence: r.ns.at(bridge.Line)})
		r.leave(bridge)
		return
	}
	out, evidence, ok := r.portFor(bridge)
	if !ok {
		return
	}
	r.step("bridge "+bridge.Name, "", "out by port "+out.Name, evidence)
	r.port(out)
}

// somewhere reports whether nobody knows by which port of several a frame of
// this host leaves a bridge.
func (r *run) somewhere(bridge *nodedump.Interface) bool {
	if mac := r.f.Packet.DstMAC; mac != "" {
		for _, e := range r.ns.FDB(bridge.Name, mac) {
			if dev, found := r.ns.Device(e.Dev); found && dev.Master == bridge.Index {
				return false
			}
		}
	}
	n := 0
	for _, p := range r.ns.ports[bridge.Name] {
		if floods(p) {
			n++
		}
	}
	return n != 1
}

// port gives the frame to a port's device.
func (r *run) port(port *nodedump.Interface) {
	switch {
	case !Up(port):
		r.down(port)
	case !r.portWorks(port):
	case port.Kind == "vxlan":
		r.encapsulate(port)
	default:
		r.leave(port)
	}
}

// portFor finds the port that leads to the frame's destination: by the
// forwarding database, or, for an address that it does not know, by asking
// every port as flooding would.
func (r *run) portFor(bridge *nodedump.Interface) (port *nodedump.Interface, evidence string, ok bool) {
	mac := r.f.Packet.DstMAC
	for _, e := range r.ns.FDB(bridge.Name, mac) {
		if dev, found := r.ns.Device(e.Dev); found && dev.Master == bridge.Index {
			return dev, r.ns.at(e.Line), true
		}
	}
	return r.flood(bridge, mac)
}

// flood finds the port behind which mac is.
func (r *run) flood(bridge *nodedump.Interface, mac string) (*nodedump.Interface, string, bool) {
	var maybe *nodedump.Interface
	for _, p := range r.ns.ports[bridge.Name] {
		if !floods(p) {
			continue
		}
		switch r.leads(p.Name, mac) {
		case netfilter.Yes:
			return p, r.ns.at(p.Line), true
		case netfilter.Maybe:
			maybe = p
		}
	}
	if maybe != nil && r.f.Choices.Doubt(model.Doubt{What: fmt.Sprintf("which port of %s leads to %s", bridge.Name, mac), Evidence: r.ns.at(bridge.Line)}) {
		r.end(model.Unknown, "", "the forwarding database does not know "+mac, r.ns.at(bridge.Line))
		return nil, "", false
	}
	if maybe != nil {
		return maybe, r.ns.at(maybe.Line), true
	}
	r.lost(bridge, mac)
	return nil, "", false
}

// lost ends the journey of a frame to an address that nothing behind a device
// has.
func (r *run) lost(dev *nodedump.Interface, mac string) {
	r.end(model.Dropped, "neigh/wrong", fmt.Sprintf("nobody behind %s has the hardware address %s", dev.Name, mac), r.ns.at(dev.Line))
	if _, evidence, ok := r.ns.Neighbour(dev.Name, r.nexthop); ok {
		r.out.Evidence = evidence
		r.out.Remedy = fmt.Sprintf("ip neigh del %s dev %s", r.nexthop, dev.Name)
	}
}

func (r *run) leads(port, mac string) netfilter.Answer {
	if r.alone {
		return netfilter.Yes // somewhere has seen that it is the only one
	}
	if r.wire == nil {
		return netfilter.Maybe
	}
	return r.wire.Leads(r.ns, port, mac)
}
