package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
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

// encapsulate puts the frame into a packet to the VTEP that the forwarding
// database names (vxlan_xmit, vxlan_xmit_one). The mark goes along: it is taken
// off only between namespaces (skb_scrub_packet).
func (r *run) encapsulate(dev *nodedump.Interface) {
	v := dev.VXLAN
	if v == nil || v.External {
		r.unknown("where VXLAN device "+dev.Name+" sends a frame", r.ns.at(dev.Line))
		return
	}
	if r.alone && r.f.Packet.DstMAC == "" {
		r.f.Choices.Certain(model.Doubt{What: "to which tunnel end " + dev.Name + " sends the frame: the hardware address of " + r.nexthop.String() + " is not known", Evidence: r.ns.at(dev.Line)})
		r.leave(dev)
		return
	}
	remote, evidence, ok := r.vtep(dev)
	if !ok {
		return
	}
	inner := r.f.Packet
	r.step("vxlan "+dev.Name, fmt.Sprintf("%s dev %s dst %s", inner.DstMAC, dev.Name, remote), fmt.Sprintf("encapsulate to %s vni %d", remote, v.ID), evidence)
	outer := model.Packet{Protocol: model.UDP, Kind: model.KindOpen, Dst: netip.AddrPortFrom(remote, uint16(v.Port)), Encap: &inner, VNI: v.ID, Mark: inner.Mark, DF: v.DF == "set" || v.DF == "inherit" && inner.DF}
	if local, err := netip.ParseAddr(v.Local); err == nil {
		outer.Src = netip.AddrPortFrom(local, vxlanSourcePort)
	} else {
		outer.Src = netip.AddrPortFrom(netip.Addr{}, vxlanSourcePort)
	}
	if inner.Size > 0 {
		outer.Size = inner.Size + vxlanHeadroom(remote.Is6())
	}
	r.tunnel(outer, dev)
}

// vxlanSourcePort stands for the port that the kernel derives from the inner
// packet's hash.
const vxlanSourcePort = 50000

// tunnel sends an outer packet: it is born here like any other, except that
// its sender hears of no error.
func (r *run) tunnel(outer model.Packet, dev *nodedump.Interface) {
	inner := r.f
	r.f = netfilter.Frame{Packet: outer, Choices: inner.Choices, Env: inner.Env, Trace: inner.Trace}
	r.conn, r.local, r.looped, r.in = nil, true, false, ""
	q := r.query()
	if dev.VXLAN != nil && dev.VXLAN.Link != 0 {
		if link, ok := r.ns.byIndex[dev.VXLAN.Link]; ok {
			q.OIf = link.Name
		}
	}
	res := r.lookup(q)
	if r.sure(res) {
		r.step("route", res.Text, "outer: "+routeAction(res), res.Evidence)
		if r.sendable(res) {
			if !outer.Src.Addr().IsValid() {
				r.f.Packet.Src = netip.AddrPortFrom(res.Src, vxlanSourcePort)
			}
			r.setTTL(res)
			r.outer(dev, res, inner.Packet)
		}
	}
	if r.out.Disposition != model.Forwarded {
		r.out.LocalError = false
		if !r.out.innerTold {
			r.out.Answer = nil
		}
	}
}

// outer sends the outer packet. If it is too big it is cut, or lost without a
// word where IPv6 forbids that, but where the tunnel is a port of a bridge the
// sender of the inner one is told to make it smaller (skb_tunnel_check_pmtu).
func (r *run) outer(dev *nodedump.Interface, res route.Result, inner model.Packet) {
	mtu := r.mtu(res)
	master, port := r.ns.Master(dev)
	port = port && master.Kind == "bridge"
	fits := mtu == 0 || r.f.Packet.Size <= mtu
	if fits || !port || !inner.DF && !inner.IPv6() {
		r.localOut(res)
		return
	}
	headroom := vxlanHeadroom(r.f.Packet.IPv6())
	r.f.Packet = inner
	r.fragNeeded(mtu-headroom, res.Dev)
	r.out.innerTold = true
}

// vtep finds the remote end for the frame: its own entry, or the default one.
func (r *run) vtep(dev *nodedump.Interface) (remote netip.Addr, evidence string, ok bool) {
	mac := r.f.Packet.DstMAC
	entries := r.ns.FDB(dev.Name, mac)
	if len(entries) == 0 {
		entries = r.ns.FDB(dev.Name, "00:00:00:00:00:00")
	}
	remotes := map[netip.Addr]bool{}
	for _, e := range entries {
		if a, err := netip.ParseAddr(e.Dst); err == nil {
			remote, evidence, remotes[a] = a, r.ns.at(e.Line), true
		}
	}
	if len(remotes) > 1 { // each gets a copy, and whoever has the address takes it
		r.unknown(fmt.Sprintf("which of the %d VTEPs that get a frame to %s by %s takes it", len(remotes), mac, dev.Name), evidence)
		return netip.Addr{}, "", false
	}
	if remote.IsValid() {
		return remote, evidence, true
	}
	if group, err := netip.ParseAddr(dev.VXLAN.Group); err == nil && !group.IsMulticast() {
		return group, r.ns.at(dev.Line), true
	}
	if dev.VXLAN.Group != "" {
		r.unknown("which VTEP of multicast group "+dev.VXLAN.Group+" takes the frame", r.ns.at(dev.Line))
		return netip.Addr{}, "", false
	}
	if r.unread("fdb") {
		return netip.Addr{}, "", false
	}
	r.end(model.Dropped, "fdb/missing", fmt.Sprintf("the forwarding database of %s has no VTEP for %s", dev.Name, mac), r.ns.at(dev.Line))
	r.out.Remedy = fmt.Sprintf("bridge fdb append %s dev %s dst <address of the node> self permanent", mac, dev.Name)
	return netip.Addr{}, "", false
}

// vxlanPort returns the VXLAN device whose socket takes the packet.
func (r *run) vxlanPort() (*nodedump.Interface, bool) {
	p := r.f.Packet
	if p.Protocol != model.UDP || p.Encap == nil {
		return nil, false
	}
	for i := range r.ns.Info.Interfaces {
		dev := &r.ns.Info.Interfaces[i]
		if v := dev.VXLAN; v != nil && v.Port == int(p.Dst.Port()) && v.ID == p.VNI {
			return dev, true
		}
	}
	return nil, false
}

// decapsulate takes the inner frame out (vxlan_rcv). A device that is down has
// closed its socket (vxlan_stop), so that nobody takes the outer packet.
func (r *run) decapsulate(dev *nodedump.Interface) {
	if !Up(dev) {
		r.down(dev)
		return
	}
	inner := *r.f.Packet.Encap
	inner.Mark = r.f.Packet.Mark // skb_scrub_packet, as on the way in
	r.step("vxlan "+dev.Name, "", fmt.Sprintf("decapsulate vni %d from %s", dev.VXLAN.ID, r.f.Packet.Src.Addr()), r.ns.at(dev.Line))
	r.f = netfilter.Frame{Packet: inner, Choices: r.f.Choices, Env: r.f.Env, Trace: r.f.Trace}
	r.conn, r.local, r.looped, r.in = nil, false, false, ""
	r.device(dev)
}
