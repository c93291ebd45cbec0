package netstack

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// transmit gives the packet to a device: first the neighbour that is to take
// it, then the device itself (ip_finish_output2, dev_queue_xmit).
func (r *run) transmit(dev *nodedump.Interface) {
	if r.tooDeep() {
		return
	}
	if !Up(dev) {
		r.down(dev)
		return
	}
	if r.opaque("tc-egress", dev.Name) {
		return
	}
	r.f.Packet.SrcMAC, r.f.Packet.DstMAC = dev.MAC, ""
	if needsNeighbour(dev) && !r.resolve(dev) {
		return
	}
	switch dev.Kind {
	case "bridge":
		r.bridgeOut(dev)
	case "vxlan":
		r.encapsulate(dev)
	case "", "veth", "bond", "team", "tun":
		r.leave(dev)
	default:
		r.unknown(fmt.Sprintf("what %s device %s does with a packet", dev.Kind, dev.Name), r.ns.at(dev.Line))
	}
}

// leave ends the journey in this namespace: the frame is on its way.
func (r *run) leave(dev *nodedump.Interface) {
	if r.opaqueOnce("tc-egress", dev.Name) {
		return
	}
	r.step("device", "", "out "+dev.Name, r.ns.at(dev.Line))
	r.out.Disposition, r.out.Dev, r.out.NextHop = model.Forwarded, dev.Name, r.nexthop
}

// opaqueOnce is opaque for a bridge port, whose own egress programs transmit
// has not asked for.
func (r *run) opaqueOnce(hook, dev string) bool {
	for i := range r.ns.Info.Programs {
		if p := &r.ns.Info.Programs[i]; p.Hook == hook && p.Dev == dev && r.asked(programDoubt(p)) {
			return false
		}
	}
	return r.opaque(hook, dev)
}

func needsNeighbour(dev *nodedump.Interface) bool {
	return !slices.Contains(dev.Flags, "NOARP") && !slices.Contains(dev.Flags, "POINTOPOINT") && dev.MAC != ""
}

// resolve finds the hardware address of the next hop (neigh_resolve_output):
// a usable entry as it is, otherwise whoever answers on the segment.
func (r *run) resolve(dev *nodedump.Interface) bool {
	n, evidence, ok := r.ns.Neighbour(dev.Name, r.nexthop)
	if ok && usable(n) {
		r.f.Packet.DstMAC = n.MAC
		r.step("neigh", fmt.Sprintf("%s dev %s lladdr %s %s", n.IP, n.Dev, n.MAC, n.State), "to "+n.MAC, evidence)
		return true
	}
	mac, known := r.ask(dev.Name, r.nexthop)
	if known == netfilter.Maybe && ok && n.State == "FAILED" {
		known = netfilter.No // the kernel has asked, and nobody answered
	}
	doubt := model.Doubt{What: fmt.Sprintf("whether %s answers on %s", r.nexthop, dev.Name), Evidence: r.ns.Info.File}
	if known == netfilter.Maybe && r.f.Choices.Doubt(doubt) {
		r.end(model.Unknown, "", "the neighbour "+r.nexthop.String()+" is not in the bundle", r.ns.Info.File)
		return false
	}
	if known != netfilter.No {
		r.f.Packet.DstMAC = mac
		r.step("neigh", "", fmt.Sprintf("%s answers for %s", orSomebody(mac), r.nexthop), "")
		return true
	}
	if evidence == "" {
		evidence = r.ns.Info.File
	}
	r.end(model.NeighborUnreachable, "neigh/missing", fmt.Sprintf("nobody answers for %s on %s, and there is no neighbour entry", r.nexthop, dev.Name), evidence)
	r.icmpError(unreachHost)
	return false
}

func orSomebody(mac string) string {
	if mac == "" {
		return "somebody"
	}
	return mac
}

// ask resolves ip on the segment of dev.
func (r *run) ask(dev string, ip netip.Addr) (string, netfilter.Answer) {
	if r.wire == nil {
		return "", netfilter.Maybe
	}
	return r.wire.Resolve(r.ns, dev, ip)
}

// usable reports whether a neighbour entry is used as it is (NUD_VALID).
func usable(n *nodedump.Neighbour) bool {
	switch n.State {
	case "PERMANENT", "NOARP", "REACHABLE", "STALE", "DELAY", "PROBE":
		return n.MAC != ""
	}
	return false
}
