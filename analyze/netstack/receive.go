package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A packetType is for whom a frame is, seen from the device that it came in by
// (skb->pkt_type).
type packetType uint8

const (
	toHost packetType = iota
	toAll             // broadcast or multicast
	toOther
)

// addressedTo is eth_type_trans: a frame without a hardware address is for
// whoever gets it.
func addressedTo(dev *nodedump.Interface, mac string) packetType {
	switch {
	case mac == "", dev.MAC == "", mac == dev.MAC:
		return toHost
	case group(mac):
		return toAll
	}
	return toOther
}

// group reports whether a hardware address is that of a group: broadcast or
// multicast (is_multicast_ether_addr).
func group(mac string) bool {
	return len(mac) > 1 && (mac[1]-'0')&1 == 1 && mac[1] <= '9' || len(mac) > 1 && (mac[1] == 'b' || mac[1] == 'd' || mac[1] == 'f')
}

const broadcastMAC = "ff:ff:ff:ff:ff:ff"

// arrive takes a frame from a wire (netif_rx of the device at its end).
func (r *run) arrive(dev *nodedump.Interface) {
	if !Up(dev) {
		r.down(dev)
		return
	}
	if wire(dev) && r.f.Packet.Size > dev.MTU+vlanTag && dev.MTU > 0 {
		r.tooLong(dev)
		return
	}
	r.to = addressedTo(dev, r.f.Packet.DstMAC)
	r.device(dev)
}

// tooLong ends the journey of a frame that a device does not take without a
// word (is_skb_forwardable).
func (r *run) tooLong(dev *nodedump.Interface) {
	r.end(model.TooBig, "mtu/too-small", fmt.Sprintf("the packet has %d bytes, %s takes %d", r.f.Packet.Size, dev.Name, dev.MTU), r.ns.at(dev.Line))
	r.out.Remedy = fmt.Sprintf("make the MTU of the sender's path and of %s agree", dev.Name)
}

// device takes a frame that a device has received, or got from a device below
// it (__netif_receive_skb_core, from another_round on).
func (r *run) device(dev *nodedump.Interface) {
	if r.tooDeep() {
		return
	}
	if !Up(dev) {
		r.down(dev)
		return
	}
	if r.opaque("xdp", dev.Name) || r.opaque("tc-ingress", dev.Name) || r.demux(dev) || r.enslaved(dev) {
		return
	}
	above := r.children(dev)
	switch {
	case has(above, "macvlan", "macvtap"):
		r.macvlanIn(dev, above)
	case has(above, "ipvlan", "ipvtap"):
		r.ipvlanIn(dev, above)
	default:
		r.frame(dev)
	}
}

// enslaved gives a frame to the device that dev is a part of, and reports whether
// there is one that takes frames: a VRF takes packets only.
func (r *run) enslaved(dev *nodedump.Interface) bool {
	master, ok := r.ns.Master(dev)
	if !ok {
		return false
	}
	switch master.Kind {
	case "vrf":
		return false
	case "bridge":
		r.bridge(dev, master)
	case "bond", "team":
		r.bonded(dev, master)
	default:
		r.unknown(fmt.Sprintf("what %s device %s does with a frame", master.Kind, master.Name), r.ns.at(master.Line))
	}
	return true
}

// vlanTag is how much longer than its MTU a frame may be that a veth takes
// (is_skb_forwardable in include/linux/netdevice.h).
const vlanTag = 4

// wire reports whether frames come in by dev from a wire: a veth, or hardware,
// of which most discards what is larger than its MTU as a veth does. What comes
// out of a tunnel is not measured.
func wire(dev *nodedump.Interface) bool { return dev.Kind == "veth" || dev.Kind == "" }

func (r *run) down(dev *nodedump.Interface) {
	r.end(model.Dropped, "link/down", fmt.Sprintf("device %s is down", dev.Name), r.ns.at(dev.Line))
	r.out.Remedy = fmt.Sprintf("ip link set %s up", dev.Name)
}

// frame gives a frame to the IP layer if it is meant for this device (ip_rcv
// and ip6_rcv discard PACKET_OTHERHOST). A device of a VRF shows it to
// PREROUTING, and then the VRF does once more (vrf_ip_rcv), but conntrack and
// nat have seen it.
func (r *run) frame(dev *nodedump.Interface) {
	if !r.untagged(dev) || !r.addressed(dev) {
		return
	}
	if r.f.Packet.IPv6() && r.senseless(dev) {
		return
	}
	vrf, inVRF := r.ns.Master(dev)
	inVRF = inVRF && vrf.Kind == "vrf"
	seen := r.seen && !inVRF && dev.Kind != "vrf" // ip_sabotage_in
	r.seen = false
	if !seen && !r.hook(netfilter.Prerouting, dev.Name, "") {
		return
	}
	if !inVRF {
		r.route(dev.Name)
		return
	}
	r.looped = true
	on := r.hook(netfilter.Prerouting, vrf.Name, "")
	if r.looped = false; on {
		r.route(vrf.Name)
	}
}

// senseless ends the journey of an IPv6 packet on a device that takes none, or
// whose addresses mean nothing on the wire, before any hook sees it (ip6_rcv_core).
func (r *run) senseless(dev *nodedump.Interface) bool {
	if off, at, _ := r.ns.FIB.Conf("ipv6", dev.Name, "disable_ipv6"); off != 0 {
		r.end(model.Dropped, "", "IPv6 is disabled on "+dev.Name, at)
		return true
	}
	src, dst := r.f.Packet.Src.Addr(), r.f.Packet.Dst.Addr()
	if on, at, _ := r.ns.FIB.Conf("ipv6", dev.Name, "drop_unicast_in_l2_multicast"); on != 0 && r.to == toAll && !dst.IsMulticast() {
		r.end(model.Dropped, "", "a frame to a group with a packet to one address", at)
		return true
	}
	switch {
	case dst.Is6() && dst.IsMulticast() && dst.As16()[1]&0xf == 0: // RFC 4291, 2.7
		r.end(model.Dropped, "walk/martian", fmt.Sprintf("%s is a group of scope 0, which is reserved", dst), r.ns.at(dev.Line))
		return true
	case dev.Kind == "loopback", dev.Kind == "vrf":
		return false
	case src.IsLoopback(), dst.IsLoopback(), src.IsMulticast(), dst.IsInterfaceLocalMulticast():
		r.end(model.Dropped, "walk/martian", fmt.Sprintf("no packet from %s to %s comes in from outside", src, dst), r.ns.at(dev.Line))
		return true
	}
	return false
}

// addressed reports whether a frame bears the address of a device, and ends the
// journey of one that does not. One to all hosts with a packet to one is
// forwarded by nobody (ip_forward), and discarded if a sysctl says so
// (ip_rcv_finish_core).
func (r *run) addressed(dev *nodedump.Interface) bool {
	switch r.to {
	case toHost:
		return true
	case toAll:
		name := "net.ipv4.conf." + dev.Name + ".drop_unicast_in_l2_multicast"
		if all := "net.ipv4.conf.all.drop_unicast_in_l2_multicast"; r.sysctl(all) == "1" {
			name = all
		}
		if !r.f.Packet.IPv6() && r.sysctl(name) == "1" && !r.f.Packet.Dst.Addr().IsMulticast() {
			r.end(model.Dropped, "", "a frame to a group with a packet to one address", r.sysctlAt(name))
			return false
		}
		return true
	}
	r.end(model.Dropped, "neigh/wrong", fmt.Sprintf("the frame is for %s, %s has %s", r.f.Packet.DstMAC, dev.Name, dev.MAC), r.ns.at(dev.Line))
	return false
}

// has reports whether there is a device of one of the kinds.
func has(list []Child, kinds ...string) bool {
	for _, c := range list {
		for _, k := range kinds {
			if c.Dev.Kind == k {
				return true
			}
		}
	}
	return false
}
