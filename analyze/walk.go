package analyze

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
)

// maxHops bounds a walk. No cluster network has a path this long.
const maxHops = 64

// maxVisits bounds all branches of a walk together.
const maxVisits = 4096

// A walk follows one packet, and the answers to it, through the network.
type walk struct {
	nodes  *manager
	path   *model.PacketPath
	found  []model.Suspicion // in the order in which they were found
	visits int
}

func newWalk(n *network) *walk {
	return &walk{nodes: newManager(n), path: &model.PacketPath{}}
}

// start lets a packet begin at a node, and follows it until every branch has
// ended. It returns the last visit of each branch, in walking order.
func (w *walk) start(node model.NetNodeAction, begin func() ([]model.Transmission, error)) (leaves []*model.Visit, err error) {
	queue, leaves, err := w.step(node, begin)
	queue = w.crossAll(queue)
	for err == nil && len(queue) > 0 {
		t := queue[0]
		queue = queue[1:]
		if why, looped := w.loops(t); looped {
			leaves = append(leaves, w.loop(t, why))
			continue
		}
		next, e := w.nodes.GetNetNode(t.NextHop)
		if e != nil {
			return leaves, e
		}
		t.Link.Destination = next.Node()
		w.path.Links = append(w.path.Links, t.Link)
		more, ended, e := w.step(next, func() ([]model.Transmission, error) { return next.Receive(t.Link) })
		leaves, queue, err = append(leaves, ended...), append(queue, w.crossAll(more)...), e
	}
	return leaves, err
}

// step lets a node act, and returns what it sends on and the visits that ended
// there.
func (w *walk) step(node model.NetNodeAction, act func() ([]model.Transmission, error)) (sent []model.Transmission, ended []*model.Visit, err error) {
	n := node.Node()
	before, known := len(n.Visits), len(n.Suspicions)
	sent, err = act()
	visits := n.Visits[before:]
	w.found = append(w.found, n.Suspicions[known:]...)
	w.visits += len(visits)
	for _, v := range visits {
		if v.Output == nil {
			ended = append(ended, v)
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", n.Hop, err)
	}
	return sent, ended, err
}

// loops reports whether a branch has been at the hop with the same packet, or
// goes on for too long.
func (w *walk) loops(t model.Transmission) (why string, looped bool) {
	if w.visits > maxVisits {
		return "more branches than are followed", true
	}
	n := 0
	for v := t.Link.From; v != nil; v = v.Parent {
		if v.Input == nil {
			break
		}
		if n++; n > maxHops {
			return "more hops than a network has", true
		}
		if v.Node.Hop == t.NextHop && v.Input.Packet.String() == t.Link.Packet.String() && v.Input.DestinationAttribute == t.Link.DestinationAttribute {
			return fmt.Sprintf("the packet has been at %s before", t.NextHop), true
		}
	}
	return "", false
}

// loop ends a branch that goes in circles, at the node that closes the circle.
func (w *walk) loop(t model.Transmission, why string) *model.Visit {
	from := t.Link.From
	v := &model.Visit{Node: from.Node, Parent: from, Input: t.Link, Flow: from.Flow, Share: 1, Disposition: model.Loop, Reason: why, Served: t.Link.Packet}
	if w.visits > maxVisits {
		v.Disposition, v.Doubts = model.Unknown, []model.Doubt{{What: why}}
		return v
	}
	w.found = append(w.found, model.Suspicion{Level: model.SuspicionLevelFatal, Code: "walk/loop", On: from.Node.Hop,
		Message: fmt.Sprintf("the packet goes round between %s and %s", t.NextHop, from.Node.Hop)})
	w.expire(v, from)
	return v
}

// expire lets the packet that goes round end as all do, where its TTL is 1: there
// the kernel tells its sender (ip_forward, ip6_forward). It may be another one of
// the circle that does.
func (w *walk) expire(v, from *model.Visit) {
	if w.nodes.n == nil || from.Input == nil {
		return
	}
	place, ok := w.nodes.n.atlas.placeOf(from.Node.Hop)
	ns := w.nodes.n.atlas.NetNS(place)
	if !ok || ns == nil {
		return
	}
	p := from.Input.Packet
	p.TTL = 1
	outcomes := ns.Input(p, from.Input.DestinationAttribute.Interface, netstack.Call{Wire: w.nodes.n.env.Topology.From(place), Flow: from.Flow})
	if len(outcomes) == 1 {
		v.Answer, v.AnswerDev = outcomes[0].Answer, outcomes[0].AnswerDev
	}
}

// respond walks the answer of a visit back. It returns nil if the node cannot
// send one.
func (w *walk) respond(v *model.Visit) ([]*model.Visit, error) {
	node, err := w.nodes.GetNetNode(v.Node.Hop)
	if err != nil {
		return nil, err
	}
	responder, ok := node.(model.Responder)
	if !ok || v.Answer == nil {
		return nil, nil
	}
	return w.start(node, func() ([]model.Transmission, error) { return responder.Respond(v) })
}

// chain returns the visits of a branch from its beginning to leaf. It begins
// at the packet's birth: the visit that an answer answers is not part of it.
func chain(leaf *model.Visit) (visits []*model.Visit) {
	for v := leaf; v != nil; v = v.Parent {
		visits = append([]*model.Visit{v}, visits...)
		if v.Input == nil {
			break
		}
	}
	return visits
}
