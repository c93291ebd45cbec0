package analyze

import (
	"strconv"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// A sender can send a packet of the walk's own making.
type sender interface {
	SendPacket(p model.Packet, parent *model.Visit) ([]model.Transmission, error)
}

// carried walks packets of an opened TCP connection in both directions, and
// tells what becomes of it: it stalls where full-size packets die and small ones
// pass, and carries nothing where both do, as where a node between the two sees
// only one of the directions. A sender that is told of a smaller MTU uses it.
func (c *conversation) carried(b *branch) (model.Outcome, error) {
	if b.request.Node.Hop == c.client || b.request.Input == nil {
		return model.OutcomeReached, nil // to itself, or translated back to itself
	}
	opened := chain(b.request)[0].Born.Tuple()
	answered := b.request.Answer.Tuple()
	flow := &model.Visit{Flow: b.reply.Flow}
	size := min(c.mtu(c.client, opened), c.mtu(b.request.Node.Hop, answered))
	for _, way := range []struct {
		from  model.Hop
		tuple model.Tuple
	}{{c.client, opened}, {b.request.Node.Hop, answered}} {
		lost, err := c.lost(way.from, way.tuple, size, flow)
		if err != nil {
			return model.OutcomeReached, err
		}
		if lost == nil {
			continue
		}
		small, err := c.lost(way.from, way.tuple, smallSize, flow)
		if err != nil || small == nil {
			return model.OutcomeStalled, err
		}
		return model.OutcomeTimeout, nil
	}
	return model.OutcomeReached, nil
}

// mtu is the largest packet that a host sends to the other end.
func (c *conversation) mtu(hop model.Hop, t model.Tuple) int {
	const unlimited = 65535
	place, ok := c.atlas.placeOf(hop)
	if !ok {
		return unlimited
	}
	ns := c.atlas.NetNS(place)
	if ns == nil {
		return unlimited
	}
	res := ns.FIB.Lookup(route.Query{Src: t.Src.Addr(), Dst: t.Dst.Addr()}, nil)
	if res.MTU > 0 {
		return res.MTU
	}
	if dev, ok := ns.Device(res.Dev); ok && dev.MTU > 0 {
		return dev.MTU
	}
	return unlimited
}

// smallSize is the size of a packet that carries a few bytes.
const smallSize = 100

// maxShrinks bounds how often a sender learns of a smaller MTU.
const maxShrinks = 8

// lost sends a full-size packet and returns the visit where it was lost, nil
// if it, or a smaller one that the sender was told to send, arrives.
func (c *conversation) lost(from model.Hop, t model.Tuple, size int, parent *model.Visit) (*model.Visit, error) {
	if size >= 65535 {
		return nil, nil
	}
	for range maxShrinks {
		w := newWalk(c.network)
		node, err := w.nodes.GetNetNode(from)
		if err != nil {
			return nil, err
		}
		s, ok := node.(sender)
		if !ok {
			return nil, nil
		}
		p := model.Packet{Protocol: t.Protocol, Kind: model.KindData, Src: t.Src, Dst: t.Dst, Size: size, DF: true, AnyPort: true}
		ends, err := w.start(node, func() ([]model.Transmission, error) { return s.SendPacket(p, parent) })
		if err != nil {
			return nil, err
		}
		end := worst(ends)
		if end == nil {
			return nil, nil
		}
		told, err := c.told(w, end, from)
		if err == nil && (told == 0 || told >= size) {
			c.reportLoss(w)
			told = c.probed(from, size)
		}
		if err != nil || told == 0 {
			return end, err
		}
		size = told
	}
	return nil, nil
}

// probed is the size of the packets that a sender tries when those of size are
// lost and nobody says why, 0 if it goes on as before: it takes tcp_base_mss, and
// half of it each time that is lost too, down to 48 (tcp_mtu_probing in
// net/ipv4/tcp_timer.c). Headers are 52 bytes, with a timestamp.
func (c *conversation) probed(from model.Hop, size int) int {
	const headers, least = 52, 48
	place, ok := c.atlas.placeOf(from)
	ns := c.atlas.NetNS(place)
	if !ok || ns == nil {
		return 0
	}
	if on, _, _ := ns.FIB.Sysctl("net.ipv4.tcp_mtu_probing"); on != "1" && on != "2" {
		return 0
	}
	base, _, _ := ns.FIB.Sysctl("net.ipv4.tcp_base_mss")
	mss, err := strconv.Atoi(base)
	if err != nil {
		mss = 1024
	}
	for ; mss >= least; mss /= 2 {
		if mss+headers < size {
			return mss + headers
		}
	}
	return 0
}

// worst returns the first end where the data did not arrive, nil if it did
// everywhere or that is not known.
func worst(ends []*model.Visit) *model.Visit {
	for _, e := range ends {
		switch e.Disposition {
		case model.Delivered, model.Unknown, model.ExitsCluster:
		default:
			if len(e.Doubts) == 0 {
				return e
			}
		}
	}
	return nil
}

// told is the MTU that the sender learns of when its packet was too big, 0 if
// it does not.
func (c *conversation) told(w *walk, end *model.Visit, from model.Hop) (int, error) {
	if end.LocalError && end.Node.Hop == from {
		return end.PathMTU, nil
	}
	if end.PathMTU == 0 {
		return 0, nil
	}
	replies, err := w.respond(end)
	for _, r := range replies {
		if r.Disposition == model.Delivered && r.Node.Hop == from {
			return end.PathMTU, err
		}
	}
	return 0, err
}

// reportLoss takes over what the walk of the data found.
func (c *conversation) reportLoss(w *walk) {
	for _, s := range w.found {
		if s.Level == model.SuspicionLevelFatal {
			c.walk.found = append(c.walk.found, s)
		}
	}
}
