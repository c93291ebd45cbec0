package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// geneveHeadroom is what geneve without options puts around a frame: as VXLAN.
func geneveHeadroom(ipv6 bool) int { return vxlanHeadroom(ipv6) }

// geneveOut puts a frame into a packet to the other end (geneve_xmit).
func (r *run) geneveOut(dev *nodedump.Interface) {
	t, inner := dev.Tunnel, r.f.Packet
	if t == nil || t.External || t.Remote == "" {
		r.unknown("where geneve device "+dev.Name+" sends a frame", r.ns.at(dev.Line))
		return
	}
	remote, err := netip.ParseAddr(t.Remote)
	if err != nil || r.elsewhere(dev) {
		return
	}
	outer := model.Packet{Protocol: model.UDP, Kind: model.KindOpen, Src: netip.AddrPortFrom(netip.Addr{}, vxlanSourcePort), Dst: netip.AddrPortFrom(remote, uint16(t.Port)),
		Encap: &inner, VNI: t.ID, Ether: true, Mark: inner.Mark, TTL: uint8(t.TTL), TOS: dscp(t.TOS, inner)}
	if remote.Is4() {
		outer.DF = t.DF == "set" || t.DF == "inherit" && (inner.DF || inner.IPv6())
	}
	if inner.Size > 0 {
		outer.Size = inner.Size + geneveHeadroom(remote.Is6())
	}
	r.step("geneve "+dev.Name, "", fmt.Sprintf("encapsulate to %s vni %d", remote, t.ID), r.ns.at(dev.Line))
	r.wrap(wrapping{dev: dev, outer: outer, mark: inner.Mark, headroom: geneveHeadroom(remote.Is6()), fits: fitsVXLAN})
}

// geneveIn gives a UDP packet to a geneve device, and reports whether one has
// its port (geneve_udp_encap_recv). The device must name the sender as its
// remote (geneve_lookup).
func (r *run) geneveIn() bool {
	p := r.f.Packet
	sockets := r.geneveSockets()
	if len(sockets) == 0 {
		return false
	}
	for _, dev := range sockets {
		remote, err := netip.ParseAddr(dev.Tunnel.Remote)
		if p.Encap != nil && err == nil && remote == p.Src.Addr() && dev.Tunnel.ID == p.VNI {
			r.step("geneve "+dev.Name, "", fmt.Sprintf("decapsulate vni %d from %s", dev.Tunnel.ID, p.Src.Addr()), r.ns.at(dev.Line))
			r.unwrap(dev)
			return true
		}
	}
	switch socket := sockets[len(sockets)-1]; {
	case socket.Tunnel.External:
		r.unknown("what geneve device "+socket.Name+" does with what it gets", r.ns.at(socket.Line))
	default:
		r.end(model.Dropped, "", fmt.Sprintf("no geneve device takes %s", p), r.ns.at(socket.Line))
	}
	return true
}

// geneveSockets returns the geneve devices that have the packet's port.
func (r *run) geneveSockets() (all []*nodedump.Interface) {
	for i := range r.ns.Info.Interfaces {
		dev := &r.ns.Info.Interfaces[i]
		if t := dev.Tunnel; dev.Kind == "geneve" && t != nil && t.Port == int(r.f.Packet.Dst.Port()) && Up(dev) && dev.LinkNSID == nil {
			all = append(all, dev)
		}
	}
	return all
}
