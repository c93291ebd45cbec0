package netstack

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A wrapping is a packet that a tunnel puts into another one, before that has a
// route.
type wrapping struct {
	dev      *nodedump.Interface
	outer    model.Packet // without a source, the routes choose it
	oif      string       // the device that the outer packet must leave by, "" for any
	mark     uint32       // that the routes see
	headroom int          // what is put around the inner packet
	fits     func(r *run, w *wrapping, mtu int) bool
	tells    bool // the inner sender hears that there is no way (tx_error_icmp)
}

// inside is what a run knows of the inner packet, to come back to it.
type inside struct {
	f      netfilter.Frame
	conn   *model.Conn
	local  bool
	looped bool
}

// wrap sends an outer packet: it is born here like any other (ip_local_out),
// except that its sender hears of no error. fits may tell the inner one.
func (r *run) wrap(w wrapping) {
	in := inside{r.f, r.conn, r.local, r.looped}
	r.f = netfilter.Frame{Packet: w.outer, Choices: in.f.Choices, Env: in.f.Env, Blind: in.f.Blind, Virtual: in.f.Virtual.Outer(), Trace: in.f.Trace}
	r.conn, r.local, r.looped, r.in = nil, true, false, ""
	r.sockDev = ""
	r.sendOuter(&w, in)
	if r.out.Disposition != model.Forwarded {
		r.out.LocalError = false
		if !r.out.innerTold {
			r.out.Answer = nil
		}
	}
}

func (r *run) sendOuter(w *wrapping, in inside) {
	q := r.query()
	q.OIf, q.Mark = w.oif, w.mark
	res := r.lookup(q)
	if !r.sure(res) {
		return
	}
	r.step("route", res.Text, "outer: "+routeAction(res), res.Evidence)
	if !r.sendable(res) {
		if w.tells && r.out.Disposition == model.NoRoute {
			r.tellInner(in, func() { r.icmpError(unreachHost) })
		}
		return
	}
	if res.Dev == w.dev.Name {
		r.end(model.Loop, "walk/loop", fmt.Sprintf("the way to the other end of %s is %s itself", w.dev.Name, w.dev.Name), res.Evidence)
		return
	}
	if !w.outer.Src.Addr().IsValid() {
		r.f.Packet.Src = netip.AddrPortFrom(res.Src, w.outer.Src.Port())
	}
	if w.fits != nil {
		outer := r.f
		r.f, r.conn, r.local, r.looped = in.f, in.conn, in.local, in.looped
		r.f.Trace = outer.Trace
		if !w.fits(r, w, r.mtu(res)) {
			return
		}
		r.f, r.conn, r.local, r.looped = outer, nil, true, false
	}
	r.setTTL(res)
	r.localOut(res)
}

// tellInner answers the inner packet, by what its frame was before it was
// wrapped.
func (r *run) tellInner(in inside, answer func()) {
	outer := r.f
	r.f, r.conn, r.local, r.looped = in.f, in.conn, in.local, in.looped
	r.f.Trace = outer.Trace
	answer()
	r.out.innerTold = r.out.Answer != nil
}

// underlay names the device that a tunnel is bound to by its index.
func (r *run) underlay(link int) string {
	if d, ok := r.ns.byIndex[link]; ok && link != 0 {
		return d.Name
	}
	return ""
}

// elsewhere ends the journey at a tunnel that was made in another namespace:
// its outer packets are sent there.
func (r *run) elsewhere(dev *nodedump.Interface) bool {
	if dev.LinkNSID == nil {
		return false
	}
	r.unknown(fmt.Sprintf("%s device %s sends its packets in another namespace", dev.Kind, dev.Name), r.ns.at(dev.Line))
	return true
}

// tunnelled gives a packet for this host to the tunnel that takes it, and
// reports whether it is one for tunnels.
func (r *run) tunnelled(in string) bool {
	p := r.f.Packet
	switch p.Protocol {
	case model.UDP:
		return r.udpTunnel(in)
	case model.IPIP, model.IPv6, model.GRE:
		if p.Encap == nil || p.Kind != model.KindOpen {
			return false
		}
		r.ipTunnelIn(in)
		return true
	}
	return false
}

// udpTunnel gives a UDP packet to the VXLAN, geneve or WireGuard device whose
// socket it is for.
func (r *run) udpTunnel(in string) bool {
	p := r.f.Packet
	if p.Kind != model.KindOpen && p.Kind != model.KindData {
		return false
	}
	if r.vxlanIn(in) || r.geneveIn() || r.wireguardIn() {
		return true
	}
	return false
}

// unwrap takes the inner packet out and lets it come in by a tunnel device. The
// mark goes along: it is taken off only between namespaces (skb_scrub_packet).
func (r *run) unwrap(dev *nodedump.Interface) {
	r.unwrapTo(dev, addressedTo(dev, r.f.Packet.Encap.DstMAC))
}

// unwrapTo is unwrap of a frame of which it is known for whom it is.
func (r *run) unwrapTo(dev *nodedump.Interface, to packetType) {
	inner := *r.f.Packet.Encap
	inner.Mark = r.f.Packet.Mark
	r.f = netfilter.Frame{Packet: inner, Choices: r.f.Choices, Env: r.f.Env, Blind: r.f.Blind, Virtual: r.f.Virtual.Outer(), Trace: r.f.Trace}
	r.conn, r.local, r.looped, r.in, r.seen = nil, false, false, "", false
	r.to = to
	r.device(dev)
}

// tooBigInside tells the inner sender that its packet does not go through a
// tunnel (icmp_ndo_send, icmpv6_ndo_send).
func (r *run) tooBigInside(mtu int, dev string) bool {
	r.fragNeeded(mtu, dev)
	r.out.innerTold = true
	return false
}

// inherited is the TTL of an outer packet: that of the device, or, where that
// is 0, of the inner packet.
func inherited(ttl int, inner model.Packet) uint8 {
	if ttl > 0 {
		return uint8(ttl)
	}
	return inner.TTL
}

// dscp is the TOS of an outer packet: 1 means the inner packet's. Of the bits
// for congestion only the harmless one goes along (ip_tunnel_ecn_encap).
func dscp(tos int, inner model.Packet) uint8 {
	const inherit, ecn, capable = 1, 3, 2
	t := uint8(tos)
	if tos&inherit != 0 {
		t = inner.TOS
	}
	own := inner.TOS & ecn
	if own == ecn {
		own = capable
	}
	return t&^ecn | own
}
