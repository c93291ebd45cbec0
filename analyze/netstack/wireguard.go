package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// What WireGuard puts around a packet: its header and tag 32, UDP 8, and IPv4 or
// IPv6. What is inside is filled up to 16 bytes, but not beyond the MTU.
const (
	wgHeadroom4 = 60
	wgHeadroom6 = 80
)

// wireguardOut encrypts a packet to the peer that is allowed to have its
// destination (wg_xmit, wg_allowedips_lookup_dst). Whether that peer answers the
// handshake no dump shows.
func (r *run) wireguardOut(dev *nodedump.Interface) {
	w, inner := dev.WireGuard, r.f.Packet
	if w == nil {
		r.unknown("which peer of "+dev.Name+" gets the packet: its peers were not collected", r.ns.at(dev.Line))
		return
	}
	if r.elsewhere(dev) {
		return
	}
	peer, prefix := allowedPeer(w, inner.Dst.Addr())
	if peer == nil {
		r.end(model.Dropped, "", fmt.Sprintf("no peer of %s may have %s (ENOKEY)", dev.Name, inner.Dst.Addr()), r.ns.at(dev.Line))
		r.icmpError(unreachHost)
		r.out.innerTold = true
		return
	}
	end, err := netip.ParseAddrPort(peer.Endpoint)
	if err != nil {
		r.end(model.Dropped, "", fmt.Sprintf("nobody knows where the peer of %s is that has %s (EDESTADDRREQ)", dev.Name, prefix), r.ns.at(dev.Line))
		r.icmpError(unreachHost)
		r.out.innerTold = true
		return
	}
	r.step("wireguard "+dev.Name, prefix.String(), "encrypt to "+end.String(), r.ns.at(dev.Line))
	outer := model.Packet{Protocol: model.UDP, Kind: model.KindOpen, Src: netip.AddrPortFrom(netip.Addr{}, uint16(w.Port)), Dst: end, Encap: &inner, Mark: w.FWMark, TOS: inner.TOS & 3}
	headroom := wgHeadroom4
	if end.Addr().Is6() {
		headroom = wgHeadroom6
	}
	if inner.Size > 0 {
		outer.Size = inner.Size + headroom
	}
	r.wrap(wrapping{dev: dev, outer: outer, mark: w.FWMark, headroom: headroom})
}

// allowedPeer finds the peer with the longest prefix around an address.
func allowedPeer(w *nodedump.WireGuard, a netip.Addr) (peer *nodedump.WGPeer, prefix netip.Prefix) {
	for i := range w.Peers {
		for _, s := range w.Peers[i].AllowedIPs {
			p, err := netip.ParsePrefix(s)
			if err == nil && p.Contains(a) && (peer == nil || p.Bits() > prefix.Bits()) {
				peer, prefix = &w.Peers[i], p
			}
		}
	}
	return peer, prefix
}

// wireguardIn gives a UDP packet to a WireGuard device, and reports whether one
// listens on its port. The inner source must be one that its peer may have
// (wg_packet_consume_data_done); who the peer is is told by its key, and taken
// here from the endpoint that it is known at.
func (r *run) wireguardIn() bool {
	p := r.f.Packet
	for i := range r.ns.Info.Interfaces {
		dev := &r.ns.Info.Interfaces[i]
		w := dev.WireGuard
		if dev.Kind != "wireguard" || w == nil || w.Port == 0 || w.Port != int(p.Dst.Port()) || dev.LinkNSID != nil || !Up(dev) {
			continue
		}
		if p.Encap == nil {
			r.end(model.Dropped, "", fmt.Sprintf("%s takes it, and it is no WireGuard packet", dev.Name), r.ns.at(dev.Line))
			return true
		}
		r.decrypt(dev, w)
		return true
	}
	return false
}

func (r *run) decrypt(dev *nodedump.Interface, w *nodedump.WireGuard) {
	p := r.f.Packet
	peer, _ := allowedPeer(w, p.Encap.Src.Addr())
	known := false
	for i := range w.Peers {
		end, err := netip.ParseAddrPort(w.Peers[i].Endpoint)
		if err == nil && end == p.Src {
			known = true
			if peer != &w.Peers[i] {
				r.end(model.Dropped, "", fmt.Sprintf("the peer at %s may not send from %s by %s", end, p.Encap.Src.Addr(), dev.Name), r.ns.at(dev.Line))
				return
			}
		}
	}
	switch {
	case peer == nil:
		r.end(model.Dropped, "", fmt.Sprintf("no peer of %s may send from %s", dev.Name, p.Encap.Src.Addr()), r.ns.at(dev.Line))
	case !known && r.forks(model.Doubt{What: fmt.Sprintf("whether the sender at %s is a peer of %s", p.Src, dev.Name), Evidence: r.ns.at(dev.Line)}):
	default:
		r.step("wireguard "+dev.Name, "", "decrypt from "+p.Src.String(), r.ns.at(dev.Line))
		r.unwrap(dev)
	}
}
