package netstack

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// bridge takes a frame that came in by a port (br_handle_frame).
func (r *run) bridge(port, bridge *nodedump.Interface) {
	if state := portState(port); state != "forwarding" && state != "learning" {
		r.blocked(port)
		return
	}
	if !Up(bridge) {
		r.down(bridge)
		return
	}
	r.step("bridge "+bridge.Name, "", "in by port "+port.Name, r.ns.at(port.Line))
	if r.f.Packet.DstMAC == bridge.MAC {
		r.to = toHost
	}
	switch {
	case r.bridgeChains("prerouting"):
	case r.callsNetfilter(bridge):
		r.bridgeNetfilter(port, bridge)
	default:
		r.bridgeSwitch(port, bridge)
	}
}

// portState is the state of a bridge port; one that is not known forwards.
func portState(port *nodedump.Interface) string {
	if port.Port == nil || port.Port.State == "" {
		return "forwarding"
	}
	return port.Port.State
}

// blocked ends the journey of a frame at a port that does not forward.
func (r *run) blocked(port *nodedump.Interface) {
	r.end(model.Dropped, "bridge/port-state", fmt.Sprintf("bridge port %s is %s", port.Name, portState(port)), r.ns.at(port.Line))
}

// bridgeSwitch decides where a frame goes that came in by a port
// (br_handle_frame_finish).
func (r *run) bridgeSwitch(port, bridge *nodedump.Interface) {
	if !r.classify(bridge, port) || !r.unlocked(port, bridge) {
		return
	}
	if portState(port) != "forwarding" {
		r.blocked(port)
		return
	}
	if group(r.f.Packet.DstMAC) {
		r.flooded(bridge)
		return
	}
	out, evidence, local := r.fdbPort(bridge)
	switch {
	case local || r.forBridge(bridge):
		r.passUp(bridge)
	case out != nil:
		r.bridgeForward(port, bridge, out, evidence)
	default:
		if out, evidence, ok := r.flood(bridge); ok {
			r.bridgeForward(port, bridge, out, evidence)
		}
	}
}

// unlocked ends the journey of a frame that a locked port takes from nobody but
// those that the database has there (BR_PORT_LOCKED).
func (r *run) unlocked(port, bridge *nodedump.Interface) bool {
	if port.Port == nil || !port.Port.Locked {
		return true
	}
	src := r.f.Packet.SrcMAC
	for _, e := range r.entries(bridge, src) {
		if e.Dev == port.Name && !localEntry(e) {
			return true
		}
	}
	if src == "" {
		r.unknown("from whom the frame is that locked port "+port.Name+" gets", r.ns.at(port.Line))
		return false
	}
	r.end(model.Dropped, "", fmt.Sprintf("locked port %s takes no frames from %s", port.Name, src), r.ns.at(port.Line))
	return false
}

// flooded ends the journey of a frame to a group: all ports get one, and the
// host, if it is a broadcast; of a multicast, those that want it, which no dump
// shows.
func (r *run) flooded(bridge *nodedump.Interface) {
	if r.f.Packet.DstMAC == broadcastMAC {
		r.passUp(bridge)
		return
	}
	what := "which ports of " + bridge.Name + " get a multicast frame"
	if b := bridge.Bridge; b == nil || !b.NoMcastSnoop {
		what += ": its multicast groups are not collected"
	}
	r.unknown(what, r.ns.at(bridge.Line))
}

// forBridge reports whether the frame bears the bridge's own address, or that of
// one of its ports: the host gets it. Of these only the one that it came in by
// makes the host take it (eth_type_trans).
func (r *run) forBridge(bridge *nodedump.Interface) bool {
	mac := r.f.Packet.DstMAC
	if mac == "" || mac == bridge.MAC {
		return true
	}
	return slices.ContainsFunc(r.ns.ports[bridge.Name], func(p *nodedump.Interface) bool { return p.MAC == mac })
}

// passUp gives a frame to the bridge's own device (br_pass_frame_up).
func (r *run) passUp(bridge *nodedump.Interface) {
	if !r.allowed(bridge, bridge) {
		r.notMember(bridge, bridge)
		return
	}
	if r.bridgeChains("input") {
		return
	}
	r.strip(bridge, bridge)
	r.f.Bridged = false
	r.device(bridge)
}

// bridgeForward passes a frame from one port to another (br_forward).
func (r *run) bridgeForward(in, bridge, out *nodedump.Interface, evidence string) {
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
	if !r.delivers(bridge, out) || r.bridgeChains("forward", "postrouting") {
		return
	}
	r.bypassedBy(bridge)
	r.strip(bridge, out)
	if r.bridgedThrough(bridge, out) {
		r.port(out)
	}
}

// bypassedBy is bypassed, unless br_netfilter has seen the frame.
func (r *run) bypassedBy(bridge *nodedump.Interface) {
	if !r.f.Bridged {
		r.bypassed(bridge)
	}
}

// delivers reports whether a port takes a frame (should_deliver).
func (r *run) delivers(bridge, out *nodedump.Interface) bool {
	switch {
	case !Up(out):
		r.down(out)
	case portState(out) != "forwarding":
		r.blocked(out)
	case !r.allowed(bridge, out):
		r.notMember(bridge, out)
	case out.Port != nil && out.Port.VLANTunnel:
		r.unknown("which tunnel key port "+out.Name+" gives to a VLAN", r.ns.at(out.Line))
	default:
		return true
	}
	return false
}

// bridgeOut sends a frame that the host itself gives to a bridge
// (br_dev_xmit).
func (r *run) bridgeOut(bridge *nodedump.Interface) {
	if r.alone && r.somewhere(bridge) {
		r.f.Choices.Certain(model.Doubt{What: "which port of " + bridge.Name + " leads to " + r.nexthop.String(), Evidence: r.ns.at(bridge.Line)})
		r.leave(bridge)
		return
	}
	if !r.classify(bridge, bridge) {
		return
	}
	out, evidence, local := r.fdbPort(bridge)
	if out == nil && local {
		r.lost(bridge, r.f.Packet.DstMAC)
		return
	}
	if out == nil {
		var ok bool
		if out, evidence, ok = r.flood(bridge); !ok {
			return
		}
	}
	r.step("bridge "+bridge.Name, "", "out by port "+out.Name, evidence)
	if r.delivers(bridge, out) && !r.bridgeChains("output", "postrouting") {
		r.strip(bridge, out)
		r.port(out)
	}
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
		if r.floods(bridge, p) {
			n++
		}
	}
	return n != 1
}

// port gives the frame to a port's device (br_dev_queue_push_xmit), which
// takes none that is longer than its MTU.
func (r *run) port(port *nodedump.Interface) {
	switch {
	case !Up(port):
		r.down(port)
	case portState(port) != "forwarding":
		r.blocked(port)
	case port.MTU > 0 && r.f.Packet.Size > port.MTU+vlanTag:
		r.tooLong(port)
	default:
		r.xmit(port)
	}
}

// entries returns the entries of a bridge for a hardware address in the frame's
// VLAN.
func (r *run) entries(bridge *nodedump.Interface, mac string) (list []*nodedump.FDBEntry) {
	for _, e := range r.ns.FDB(bridge.Name, mac) {
		if e.VLAN == r.vid && (e.Master == bridge.Name || e.Master == "") {
			list = append(list, e)
		}
	}
	return list
}

// localEntry reports whether an entry of a bridge gives frames to the host,
// whichever port it names (BR_FDB_LOCAL): "bridge fdb add" makes such ones
// unless it is told static or dynamic.
func localEntry(e *nodedump.FDBEntry) bool { return e.State == "permanent" }

// fdbPort finds the port that the forwarding database names for the frame, nil
// if it names none; local says that the host gets it (br_fdb_find_rcu). An entry
// that is about to age out holds until it does.
func (r *run) fdbPort(bridge *nodedump.Interface) (port *nodedump.Interface, evidence string, local bool) {
	mac := r.f.Packet.DstMAC
	for _, e := range r.entries(bridge, mac) {
		dev, found := r.ns.Device(e.Dev)
		local := localEntry(e)
		if local && (!found || dev == bridge) {
			return nil, r.ns.at(e.Line), true
		}
		if !found || dev.Master != bridge.Index {
			continue
		}
		stale := e.State == "stale" && r.leads(dev.Name, mac) == netfilter.No
		if stale && r.f.Choices.Doubt(model.Doubt{What: fmt.Sprintf("whether the entry of %s for %s has aged out", bridge.Name, mac), Evidence: r.ns.at(e.Line)}) {
			continue
		}
		return dev, r.ns.at(e.Line), local
	}
	return nil, "", false
}

// floods reports whether a port gets frames to addresses that the forwarding
// database does not know (br_flood).
func (r *run) floods(bridge, port *nodedump.Interface) bool {
	open := port.Port == nil || !port.Port.NoFlood && !port.Port.ProxyARP
	return Up(port) && portState(port) == "forwarding" && open && r.allowed(bridge, port)
}

// flood finds the port behind which the frame's destination is, by asking every
// port as flooding would.
func (r *run) flood(bridge *nodedump.Interface) (*nodedump.Interface, string, bool) {
	mac := r.f.Packet.DstMAC
	var maybe *nodedump.Interface
	for _, p := range r.ns.ports[bridge.Name] {
		if !r.floods(bridge, p) {
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
