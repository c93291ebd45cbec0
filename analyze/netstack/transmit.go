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

// transmit gives the packet to a device: first the neighbour that is to take
// it, then the device itself (ip_finish_output2, dev_queue_xmit).
func (r *run) transmit(dev *nodedump.Interface) {
	if r.tooDeep() {
		return
	}
	if !Up(dev) || Unplugged(dev) {
		r.mute(dev)
		return
	}
	r.f.Packet.SrcMAC, r.f.Packet.DstMAC, r.f.Packet.Tags = dev.MAC, "", [2]model.Tag{}
	if !r.opaque("tc-egress", dev.Name) && r.addresses(dev) {
		r.xmit(dev)
	}
}

// addresses finds the hardware address that the frame is for, and reports
// whether the journey goes on. A device without neighbours (NOARP) sends to its
// own address, unless somebody wrote an entry; one with two ends, to all
// (arp_constructor, ndisc_constructor).
func (r *run) addresses(dev *nodedump.Interface) bool {
	next := r.nexthop
	switch {
	case ethernet(dev) && next.IsMulticast():
		r.f.Packet.DstMAC = groupMAC(next)
		return true
	case ethernet(dev) && r.out.Route.Type == route.TypeBroadcast:
		r.f.Packet.DstMAC = broadcastMAC
		return true
	case needsNeighbour(dev):
		return r.resolve(dev)
	case !ethernet(dev) || dev.Kind == "dummy":
		return true
	}
	if n, evidence, ok := r.ns.Neighbour(dev.Name, r.nexthop); ok && written(n) {
		r.neighbour(n, evidence)
		return true
	}
	r.f.Packet.DstMAC = dev.MAC
	if !slices.Contains(dev.Flags, "NOARP") {
		r.f.Packet.DstMAC = broadcastMAC
	}
	return true
}

// groupMAC is the hardware address of a multicast group (ip_eth_mc_map,
// ipv6_eth_mc_map).
func groupMAC(group netip.Addr) string {
	b := group.AsSlice()
	if group.Is4() {
		return fmt.Sprintf("01:00:5e:%02x:%02x:%02x", b[1]&0x7f, b[2], b[3])
	}
	return fmt.Sprintf("33:33:%02x:%02x:%02x:%02x", b[12], b[13], b[14], b[15])
}

// ethernet reports whether frames of a device have Ethernet headers.
func ethernet(dev *nodedump.Interface) bool {
	const length = len("00:00:00:00:00:00")
	switch dev.Kind {
	case "ipip", "sit", "gre", "ip6tnl", "ip6gre", "vti", "vti6", "wireguard", "xfrm", "loopback":
		return false
	}
	return len(dev.MAC) == length
}

// xmit gives a frame to a device's queue, and its driver (__dev_queue_xmit).
func (r *run) xmit(dev *nodedump.Interface) {
	if r.tooDeep() {
		return
	}
	if !Up(dev) {
		r.down(dev)
		return
	}
	if Unplugged(dev) {
		r.end(model.Dropped, "link/down", fmt.Sprintf("device %s has no carrier", dev.Name), r.ns.at(dev.Line))
		return
	}
	if r.opaque("tc-egress", dev.Name) || r.opaque("qdisc", dev.Name) {
		return
	}
	if k, known := r.ns.kinds[kindName(dev)]; known {
		k.send(r, dev)
		return
	}
	r.strange(dev)
}

// strange ends the journey at a device of a kind that is not modelled.
func (r *run) strange(dev *nodedump.Interface) {
	what := fmt.Sprintf("what %s device %s does with a packet", dev.Kind, dev.Name)
	if !r.alone {
		r.unknown(what, r.ns.at(dev.Line))
		return
	}
	r.f.Choices.Certain(model.Doubt{What: what, Evidence: r.ns.at(dev.Line)})
	r.leave(dev)
}

// mute ends the journey at a device that is down or has no carrier: its queue
// discards everything (noop_enqueue), questions for the neighbour too. A route of
// scope host stays when its device goes down (fib_sync_down_dev).
func (r *run) mute(dev *nodedump.Interface) {
	if Up(dev) {
		r.end(model.NeighborUnreachable, "link/down", fmt.Sprintf("device %s has no carrier", dev.Name), r.ns.at(dev.Line))
		r.out.Remedy = "see what is at the other end of " + dev.Name
	} else if r.down(dev); !needsNeighbour(dev) {
		return
	}
	r.out.Disposition, r.out.NextHop = model.NeighborUnreachable, r.nexthop
	if n, _, ok := r.ns.Neighbour(dev.Name, r.nexthop); !ok || !written(n) {
		r.icmpError(unreachHost)
	}
}

// emit puts a frame on a device as it is.
func (r *run) emit(p model.Packet, dev string) {
	r.f.Packet = p
	device, ok := r.ns.Device(dev)
	if !ok {
		r.end(model.Dropped, "link/missing", fmt.Sprintf("device %s does not exist", dev), r.ns.Info.File)
		return
	}
	r.port(device)
}

// leave ends the journey in this namespace: the frame is on its way.
func (r *run) leave(dev *nodedump.Interface) {
	if mac := r.f.Packet.DstMAC; r.told && r.wire != nil && r.wire.Lost(r.ns, dev.Name, mac) {
		r.lost(dev, mac)
		return
	}
	r.step("device", "", "out "+dev.Name, r.ns.at(dev.Line))
	r.out.Disposition, r.out.Dev, r.out.NextHop = model.Forwarded, dev.Name, r.nexthop
}

func needsNeighbour(dev *nodedump.Interface) bool {
	return !slices.Contains(dev.Flags, "NOARP") && !slices.Contains(dev.Flags, "POINTOPOINT") && ethernet(dev)
}

// resolve finds the hardware address of the next hop (neigh_resolve_output).
// An entry that somebody wrote is used as it is. One that was learned holds as
// long as its owner answers: the kernel asks again before long (NUD_STALE,
// NUD_PROBE). Otherwise it is whoever answers on the segment.
func (r *run) resolve(dev *nodedump.Interface) bool {
	n, evidence, ok := r.ns.Neighbour(dev.Name, r.nexthop)
	r.told = ok && written(n)
	if r.told {
		r.neighbour(n, evidence)
		return true
	}
	if r.alone {
		r.answered(n, evidence, "")
		return true
	}
	return r.asks(dev, n, evidence)
}

// asks resolves what nobody wrote; n is what was learned before, if it was.
func (r *run) asks(dev *nodedump.Interface, n *nodedump.Neighbour, evidence string) bool {
	mac, known := r.ask(dev.Name, r.nexthop)
	ok := n != nil
	if known == netfilter.Maybe && ok && Usable(n) {
		r.neighbour(n, evidence)
		return true
	}
	if known == netfilter.Maybe && ok && n.State == "FAILED" {
		known = netfilter.No // the kernel has asked, and nobody answered
	}
	doubt := model.Doubt{What: fmt.Sprintf("whether %s answers on %s", r.nexthop, dev.Name), Evidence: r.ns.Info.File}
	if known == netfilter.Maybe && r.f.Choices.Doubt(doubt) {
		r.end(model.Unknown, "", "the neighbour "+r.nexthop.String()+" is not in the bundle", r.ns.Info.File)
		return false
	}
	if known != netfilter.No {
		r.answered(n, evidence, mac)
		return true
	}
	r.nobody(dev, evidence)
	return false
}

// neighbour takes the hardware address of an entry.
func (r *run) neighbour(n *nodedump.Neighbour, evidence string) {
	r.f.Packet.DstMAC = n.MAC
	r.step("neigh", fmt.Sprintf("%s dev %s lladdr %s %s", n.IP, n.Dev, n.MAC, n.State), "to "+n.MAC, evidence)
}

// answered takes the hardware address of whoever answers; an entry that says
// the same is the better evidence.
func (r *run) answered(n *nodedump.Neighbour, evidence, mac string) {
	if n != nil && Usable(n) && (mac == "" || n.MAC == mac) {
		r.neighbour(n, evidence)
		return
	}
	r.f.Packet.DstMAC = mac
	r.step("neigh", "", fmt.Sprintf("%s answers for %s", orSomebody(mac), r.nexthop), "")
}

// nobody ends the journey for want of an answer.
func (r *run) nobody(dev *nodedump.Interface, evidence string) {
	if r.unread("neighbours") {
		return
	}
	if evidence == "" {
		evidence = r.ns.Info.File
	}
	r.out.NextHop = r.nexthop
	r.end(model.NeighborUnreachable, "neigh/missing", fmt.Sprintf("nobody answers for %s on %s", r.nexthop, dev.Name), evidence)
	r.icmpError(unreachHost)
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
	return r.wire.Resolve(r.ns, dev, ip, r.f.Packet)
}

// written reports whether somebody wrote the entry: the kernel never asks again.
func written(n *nodedump.Neighbour) bool {
	return n.MAC != "" && (n.State == "PERMANENT" || n.State == "NOARP")
}

// Usable reports whether a neighbour entry has an address to send to
// (NUD_VALID).
func Usable(n *nodedump.Neighbour) bool {
	switch n.State {
	case "PERMANENT", "NOARP", "REACHABLE", "STALE", "DELAY", "PROBE":
		return n.MAC != ""
	}
	return false
}
