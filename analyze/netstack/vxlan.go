package netstack

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// vxlanHeadroom is what encapsulation adds to an IP packet: inner Ethernet 14,
// VXLAN 8, UDP 8, outer IPv4 20 bytes, or 40 for IPv6.
func vxlanHeadroom(ipv6 bool) int {
	if ipv6 {
		return 70
	}
	return 50
}

const nullMAC = "00:00:00:00:00:00"

// A FarEnd is a [Wire] that knows what is behind the other end of a tunnel.
type FarEnd interface {
	// Behind answers whether a frame to mac reaches somebody if the VXLAN
	// device dev of ns sends it to remote with a VNI.
	Behind(ns *NetNS, dev string, remote netip.Addr, vni int, mac string) netfilter.Answer
}

// A vtep is one remote end of a VXLAN device (struct vxlan_rdst).
type vtep struct {
	addr      netip.Addr
	port, vni int
	oif       string
	evidence  string
	text      string
}

// encapsulate puts the frame into a packet to the VTEP that the forwarding
// database names (vxlan_xmit).
func (r *run) encapsulate(dev *nodedump.Interface) {
	v := dev.VXLAN
	switch {
	case v == nil, v.External, v.GPE, v.VNIFilter:
		r.unknown("where VXLAN device "+dev.Name+" sends a frame", r.ns.at(dev.Line))
		return
	case r.elsewhere(dev):
		return
	case v.GBP && r.f.Packet.Mark != 0:
		r.unknown("whether the other end of "+dev.Name+" takes frames with a group policy", r.ns.at(dev.Line))
		return
	}
	if r.alone && r.f.Packet.DstMAC == "" {
		r.f.Choices.Certain(model.Doubt{What: "to which tunnel end " + dev.Name + " sends the frame: the hardware address of " + r.nexthop.String() + " is not known", Evidence: r.ns.at(dev.Line)})
		r.leave(dev)
		return
	}
	if far, ok := r.vtep(dev); ok {
		r.toVTEP(dev, far)
	}
}

// toVTEP sends the frame to one remote end (vxlan_xmit_one).
func (r *run) toVTEP(dev *nodedump.Interface, far vtep) {
	v, inner := dev.VXLAN, r.f.Packet
	local, _ := netip.ParseAddr(v.Local)
	if v.Local == "" {
		local, _ = netip.ParseAddr(v.Local6)
	}
	group, _ := netip.ParseAddr(v.Group)
	if far.addr.Is6() != (local.Is6() || group.Is6()) && (local.IsValid() || group.IsValid()) {
		r.end(model.Dropped, "", fmt.Sprintf("%s has no socket of the family of %s", dev.Name, far.addr), far.evidence)
		return
	}
	r.step("vxlan "+dev.Name, far.text, fmt.Sprintf("encapsulate to %s vni %d", far.addr, far.vni), far.evidence)
	outer := far.outer(v, local, inner)
	if !v.NoBypass && r.ns.FIB.IsLocal(far.addr) {
		r.bypass(dev, outer)
		return
	}
	r.wrap(wrapping{dev: dev, outer: outer, oif: far.oif, mark: inner.Mark, headroom: vxlanHeadroom(far.addr.Is6()), fits: fitsVXLAN})
}

// outer is the packet that a VXLAN device puts around a frame to a remote end.
func (far vtep) outer(v *nodedump.VXLAN, local netip.Addr, inner model.Packet) model.Packet {
	outer := model.Packet{Protocol: model.UDP, Kind: model.KindOpen, Src: netip.AddrPortFrom(local, vxlanSourcePort), Dst: netip.AddrPortFrom(far.addr, uint16(far.port)),
		Encap: &inner, VNI: far.vni, Ether: true, Mark: inner.Mark, TTL: uint8(v.TTL), TOS: dscp(v.TOS, inner), NoSum: v.NoCsum6Tx && far.addr.Is6()}
	if v.TTLInherit {
		outer.TTL = inner.TTL
	}
	if far.addr.Is4() {
		outer.DF = v.DF == "set" || v.DF == "inherit" && (inner.DF || inner.IPv6())
	}
	if inner.Size > 0 {
		outer.Size = inner.Size + vxlanHeadroom(far.addr.Is6())
	}
	return outer
}

// bypass gives a frame to a VXLAN device of this namespace at once: no hook sees
// a packet around it (encap_bypass_if_local), and it counts as one for this host
// whatever address it bears (vxlan_encap_bypass).
func (r *run) bypass(dev *nodedump.Interface, outer model.Packet) {
	for i := range r.ns.Info.Interfaces {
		d := &r.ns.Info.Interfaces[i]
		if d.VXLAN == nil || !Up(d) || d.VXLAN.Port != int(outer.Dst.Port()) || d.VXLAN.ID != outer.VNI {
			continue
		}
		r.step("vxlan "+d.Name, "", fmt.Sprintf("from %s without a packet around it", dev.Name), r.ns.at(d.Line))
		r.f.Packet = outer
		r.unwrapTo(d, toHost)
		return
	}
	r.end(model.Dropped, "", fmt.Sprintf("%s is an address of this host, which has no VXLAN device %d", outer.Dst.Addr(), outer.VNI), r.ns.at(dev.Line))
}

// vxlanSourcePort stands for the port that the kernel derives from the inner
// packet's hash.
const vxlanSourcePort = 50000

// fitsVXLAN lets an outer packet pass that is too big: it is cut, or lost
// without a word. But where the tunnel is a port of a bridge the sender of the
// inner one is told to make it smaller (skb_tunnel_check_pmtu).
func fitsVXLAN(r *run, w *wrapping, mtu int) bool {
	master, port := r.ns.Master(w.dev)
	port = port && master.Kind == "bridge"
	inner := r.f.Packet
	fits := mtu == 0 || w.outer.Size <= mtu
	if fits || !port || !inner.DF && !inner.IPv6() {
		return true
	}
	return r.tooBigInside(mtu-w.headroom, w.dev.Name)
}

// vtep finds the remote end for the frame: its own entry, or the default one.
// Each of several gets a copy: the one behind which the frame's address is
// matters.
func (r *run) vtep(dev *nodedump.Interface) (far vtep, ok bool) {
	mac := r.f.Packet.DstMAC
	entries := r.selves(dev, mac)
	if dev.VXLAN.RSC && slices.ContainsFunc(entries, func(e *nodedump.FDBEntry) bool { return slices.Contains(e.Flags, "router") }) {
		r.unknown("whether "+dev.Name+" routes the frame itself (rsc)", r.ns.at(dev.Line))
		return far, false
	}
	if len(entries) == 0 {
		entries = r.selves(dev, nullMAC)
	}
	list := r.vteps(dev, entries)
	if len(list) == 0 {
		list = r.groupVTEP(dev)
	}
	switch {
	case len(list) == 0 && slices.ContainsFunc(entries, func(e *nodedump.FDBEntry) bool { return e.NextHop != 0 }):
		r.unknown("which VTEP the next hop object of "+mac+" on "+dev.Name+" names", r.ns.at(dev.Line))
	case len(list) == 0:
		r.noVTEP(dev, mac)
	case slices.ContainsFunc(list, func(v vtep) bool { return v.addr.IsMulticast() }):
		r.unknown("which VTEP of multicast group "+list[0].addr.String()+" takes the frame", list[0].evidence)
	case len(list) == 1:
		return list[0], true
	default:
		return r.replicated(dev, list, mac)
	}
	return far, false
}

// groupVTEP returns the remote end, or the multicast group, that a device itself
// names, of which its forwarding database holds an entry: it is for dumps that
// have none.
func (r *run) groupVTEP(dev *nodedump.Interface) []vtep {
	group, err := netip.ParseAddr(dev.VXLAN.Group)
	if err != nil || r.hasFDB(dev) {
		return nil
	}
	return []vtep{{addr: group, port: dev.VXLAN.Port, vni: dev.VXLAN.ID, oif: r.underlay(dev.VXLAN.Link), evidence: r.ns.at(dev.Line)}}
}

// replicated picks the remote end of several that leads to the frame's address
// (head end replication): the copies to the others are nobody's.
func (r *run) replicated(dev *nodedump.Interface, list []vtep, mac string) (far vtep, ok bool) {
	wire, known := r.wire.(FarEnd)
	var maybe []vtep
	for _, v := range list {
		answer := netfilter.Maybe
		if known {
			answer = wire.Behind(r.ns, dev.Name, v.addr, v.vni, mac)
		}
		switch answer {
		case netfilter.Yes:
			return v, true
		case netfilter.Maybe:
			maybe = append(maybe, v)
		}
	}
	switch len(maybe) {
	case 0:
		r.lost(dev, mac)
	case 1:
		return maybe[0], true
	default: // whoever has the address takes it
		r.unknown(fmt.Sprintf("which of the %d VTEPs that get a frame to %s by %s takes it", len(list), mac, dev.Name), list[0].evidence)
	}
	return far, false
}

func (r *run) noVTEP(dev *nodedump.Interface, mac string) {
	if r.unread("fdb") {
		return
	}
	r.end(model.Dropped, "fdb/missing", fmt.Sprintf("the forwarding database of %s has no VTEP for %s", dev.Name, mac), r.ns.at(dev.Line))
	r.out.Remedy = fmt.Sprintf("bridge fdb append %s dev %s dst <address of the node> self permanent", mac, dev.Name)
}

// selves returns the entries of a VXLAN device itself, not those that a bridge
// keeps about it as a port.
func (r *run) selves(dev *nodedump.Interface, mac string) (list []*nodedump.FDBEntry) {
	for _, e := range r.ns.FDB(dev.Name, mac) {
		if e.Dst != "" || e.NextHop != 0 {
			list = append(list, e)
		}
	}
	return list
}

// hasFDB reports whether a VXLAN device has any entry with a remote end.
func (r *run) hasFDB(dev *nodedump.Interface) bool {
	return slices.ContainsFunc(r.ns.Info.FDB, func(e nodedump.FDBEntry) bool { return e.Dev == dev.Name && e.Dst != "" })
}

// vteps reads entries. What they do not say is as the device says.
func (r *run) vteps(dev *nodedump.Interface, entries []*nodedump.FDBEntry) (list []vtep) {
	for _, e := range entries {
		addr, err := netip.ParseAddr(e.Dst)
		if err != nil {
			continue
		}
		v := vtep{addr: addr, port: dev.VXLAN.Port, vni: dev.VXLAN.ID, oif: r.underlay(dev.VXLAN.Link), evidence: r.ns.at(e.Line),
			text: fmt.Sprintf("%s dev %s dst %s", e.MAC, e.Dev, addr)}
		if e.Port != 0 {
			v.port = e.Port
		}
		if e.VNI != 0 {
			v.vni = e.VNI
		}
		if e.Via != "" {
			v.oif = e.Via
		}
		if !slices.ContainsFunc(list, func(have vtep) bool { return have.addr == v.addr && have.port == v.port && have.vni == v.vni }) {
			list = append(list, v)
		}
	}
	return list
}

// vxlanIn gives a UDP packet to the VXLAN device whose socket takes it, and
// reports whether there is such a socket (vxlan_rcv). A device that is down has
// closed it (vxlan_stop).
func (r *run) vxlanIn(in string) bool {
	p := r.f.Packet
	var socket, down *nodedump.Interface
	for i := range r.ns.Info.Interfaces {
		dev := &r.ns.Info.Interfaces[i]
		if !r.vxlanSocket(dev) {
			continue
		}
		switch mine := dev.VXLAN.ID == p.VNI; {
		case Up(dev) && mine && p.Encap != nil && !dev.VXLAN.External && r.bound(dev.VXLAN, in):
			r.decapsulate(dev)
			return true
		case Up(dev):
			socket = dev
		case mine:
			down = dev
		}
	}
	return r.vxlanLost(socket, down)
}

// vxlanLost ends the journey of a packet that no VXLAN device takes, though one
// has the socket for it, or would have it if it was up. It reports whether there
// is such a device.
func (r *run) vxlanLost(socket, down *nodedump.Interface) bool {
	p := r.f.Packet
	r.out.Arrived = socket != nil
	switch {
	case socket != nil && socket.VXLAN.External:
		r.unknown("which VNI "+socket.Name+" takes", r.ns.at(socket.Line))
	case socket != nil && p.Encap != nil:
		r.end(model.NoListener, "link/missing", fmt.Sprintf("no VXLAN device takes VNI %d", p.VNI), r.ns.at(socket.Line))
	case socket != nil:
		r.end(model.Dropped, "", fmt.Sprintf("%s takes it, and it is no VXLAN packet", socket.Name), r.ns.at(socket.Line))
	case down != nil && p.Encap != nil:
		r.down(down)
		r.unreachablePort()
	default:
		return false
	}
	return true
}

// vxlanSocket reports whether a device has, while it is up, a socket for the packet.
func (r *run) vxlanSocket(dev *nodedump.Interface) bool {
	return dev.VXLAN != nil && dev.VXLAN.Port == int(r.f.Packet.Dst.Port()) && dev.LinkNSID == nil && r.vxlanFamily(dev.VXLAN)
}

// vxlanFamily reports whether a device has a socket of the packet's family: that
// of its addresses, IPv4 without any.
func (r *run) vxlanFamily(v *nodedump.VXLAN) bool {
	six := false
	for _, s := range []string{v.Local, v.Local6, v.Group} {
		if a, err := netip.ParseAddr(s); err == nil {
			six = six || a.Is6()
		}
	}
	return v.External || six == r.f.Packet.IPv6()
}

// bound reports whether a device takes what came in by another: one with a
// link-local address only by its own (vxlan_vs_find_vni).
func (r *run) bound(v *nodedump.VXLAN, in string) bool {
	local, err := netip.ParseAddr(v.Local6)
	if err != nil {
		local, err = netip.ParseAddr(v.Group)
	}
	return err != nil || !local.Is6() || !local.IsLinkLocalUnicast() || r.underlay(v.Link) == in
}

// decapsulate takes the inner frame out (vxlan_rcv, vxlan_set_mac).
func (r *run) decapsulate(dev *nodedump.Interface) {
	p := r.f.Packet
	if p.NoSum && !dev.VXLAN.NoCsum6Rx {
		r.end(model.Dropped, "", dev.Name+" takes no packets without a UDP checksum", r.ns.at(dev.Line))
		return
	}
	if p.Encap.SrcMAC != "" && p.Encap.SrcMAC == dev.MAC {
		r.end(model.Dropped, "", "a frame that "+dev.Name+" has sent itself", r.ns.at(dev.Line))
		return
	}
	if e := r.snooped(dev); e != nil {
		r.end(model.Dropped, "", fmt.Sprintf("%s is written to be behind %s, and the frame comes from %s", e.MAC, e.Dst, p.Src.Addr()), r.ns.at(e.Line))
		return
	}
	r.step("vxlan "+dev.Name, "", fmt.Sprintf("decapsulate vni %d from %s", dev.VXLAN.ID, p.Src.Addr()), r.ns.at(dev.Line))
	r.unwrap(dev)
}

// snooped returns the entry that keeps a device that learns from taking a frame:
// somebody wrote that its sender is elsewhere (vxlan_snoop).
func (r *run) snooped(dev *nodedump.Interface) *nodedump.FDBEntry {
	if dev.VXLAN.NoLearning || r.f.Packet.Encap.SrcMAC == "" {
		return nil
	}
	list := r.selves(dev, r.f.Packet.Encap.SrcMAC)
	if len(list) == 0 {
		return nil
	}
	remote, err := netip.ParseAddr(list[0].Dst)
	if err == nil && remote == r.f.Packet.Src.Addr() || list[0].State != "permanent" && list[0].State != "static" {
		return nil
	}
	return list[0]
}
