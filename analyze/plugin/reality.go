package plugin

import (
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/topology"
)

// A Reality is one network namespace as a vertex of the walk: it does with
// packets what the kernel does, and hands them to whoever is at the other end
// of the wire. It means nothing by it.
type Reality struct {
	Vertex *model.NetNode
	Place  topology.Place
	NS     *netstack.NetNS
	env    Env
}

// NewReality returns the vertex of a namespace.
func NewReality(env Env, hop model.Hop, place topology.Place, ns *netstack.NetNS) *Reality {
	return &Reality{Vertex: &model.NetNode{Hop: hop}, Place: place, NS: ns, env: env}
}

// Node implements [model.NetNodeAction].
func (r *Reality) Node() *model.NetNode { return r.Vertex }

// SendPacket sends a packet of the walk's own making after parent, such as the
// data of an opened conversation.
func (r *Reality) SendPacket(p model.Packet, parent *model.Visit) ([]model.Transmission, error) {
	return transmissions(r.born(p, parent)), nil
}

// Opening is the first packet of a conversation with dst. Its source is chosen
// by the sender's routes.
func Opening(dst model.Endpoint, protocol model.Protocol) model.Packet {
	p := model.Packet{Protocol: protocol, Dst: dst.AddrPort()}
	switch protocol {
	case model.ICMP:
		p.ICMPType = 8
	case model.ICMPv6:
		p.ICMPType = 128
	}
	return p
}

// A passage is one way that a packet took through the namespace.
type passage struct {
	visit        *model.Visit
	outcome      netstack.Outcome
	transmission *model.Transmission // nil unless it went on
	alike        bool                // whatever is not known, the other ways end as this one
}

func transmissions(ways []passage) (out []model.Transmission) {
	for _, w := range ways {
		if w.transmission != nil {
			out = append(out, *w.transmission)
		}
	}
	return out
}

// born sends a packet from here. parent is the visit that it answers, nil for
// the first packet.
func (r *Reality) born(p model.Packet, parent *model.Visit) []passage {
	call := netstack.Call{Wire: r.env.Topology.From(r.Place)}
	if parent != nil {
		call.Flow = parent.Flow
	}
	return r.passages(r.NS.Output(p, "", call), &model.Visit{Node: r.Vertex, Parent: parent, Born: p})
}

// answered sends the answer of a visit.
func (r *Reality) answered(v *model.Visit) []passage {
	if v.AnswerDev == "" {
		return r.born(*v.Answer, v)
	}
	call := netstack.Call{Wire: r.env.Topology.From(r.Place), Flow: v.Flow}
	return r.passages(r.NS.Emit(*v.Answer, v.AnswerDev, call), &model.Visit{Node: r.Vertex, Parent: v, Born: *v.Answer})
}

// arrived takes a packet from upstream.
func (r *Reality) arrived(upstream *model.Link) []passage {
	call := netstack.Call{Wire: r.env.Topology.From(r.Place), Flow: upstream.From.Flow}
	outcomes := r.entered(upstream, call)
	return r.passages(outcomes, &model.Visit{Node: r.Vertex, Parent: upstream.From, Input: upstream})
}

// entered lets a packet into the namespace the way that it comes.
func (r *Reality) entered(upstream *model.Link, call netstack.Call) []netstack.Outcome {
	at := upstream.DestinationAttribute
	switch at.Entry {
	case model.EntrySocket:
		return r.NS.Deliver(upstream.Packet, at.Interface, call)
	case model.EntryAbove:
		for _, c := range r.env.Topology.Above(r.Place, at.Interface) {
			place, ok := topology.PlaceOf(c.Netns)
			if ok && c.Dev.Name == upstream.SourceAttribute.Interface && r.env.HopOf(place) == upstream.Source.Hop {
				return r.NS.FromAbove(upstream.Packet, at.Interface, c, call)
			}
		}
	}
	return r.NS.Input(upstream.Packet, at.Interface, call)
}

// passages makes a visit of each outcome, and a transmission of each that went
// on.
func (r *Reality) passages(outcomes []netstack.Outcome, like *model.Visit) (ways []passage) {
	for _, o := range outcomes {
		v := *like
		v.Trace, v.Disposition, v.Reason, v.Evidence = o.Trace, o.Disposition, o.Reason, o.Evidence
		v.Answer, v.AnswerDev, v.LocalError, v.PathMTU, v.Flow = o.Answer, o.AnswerDev, o.LocalError, o.PathMTU, o.Flow
		v.Doubts, v.Share, v.Served = o.Doubts, o.Share, o.Packet
		if v.Input == nil {
			v.Born = chosen(v.Born, o)
		}
		w := passage{visit: &v, outcome: o}
		if o.Disposition == model.Forwarded && o.Dev == "" {
			v.Disposition, v.Reason, v.Evidence = model.Unknown, "which device the packet leaves by", r.NS.Info.File
		} else if o.Disposition == model.Forwarded {
			t := r.onward(&v, o)
			w.transmission, v.Output = &t, t.Link
		}
		r.Vertex.Visits = append(r.Vertex.Visits, &v)
		ways = append(ways, w)
	}
	return ways
}

// chosen fills the addresses that the sender's routes chose into the packet as
// it was born.
func chosen(born model.Packet, o netstack.Outcome) model.Packet {
	for _, c := range o.Flow.Conns(netstack.SocketsOf(o.Netns)) {
		if born.Kind == model.KindOpen && c.Original.Dst == born.Dst && c.Original.Protocol == born.Protocol {
			born.Src = c.Original.Src
			return born
		}
	}
	return born
}

// onward finds the other end of the wire that a packet left by.
func (r *Reality) onward(v *model.Visit, o netstack.Outcome) model.Transmission {
	link := &model.Link{Type: model.LinkInfra, Source: r.Vertex, Packet: o.Packet, From: v,
		SourceAttribute: model.LinkAttribute{Interface: o.Dev}}
	if o.Into != nil {
		if place, ok := topology.PlaceOf(o.Into.Netns); ok {
			link.Type, link.DestinationAttribute = model.LinkLocal, model.LinkAttribute{Interface: o.Into.Dev, Entry: o.Into.Entry}
			return model.Transmission{NextHop: r.env.HopOf(place), Link: link}
		}
	}
	dev, ok := r.NS.Device(o.Dev)
	if ok {
		if end, found := r.env.Topology.Below(r.Place, dev); found && end.Place != r.Place {
			link.Type, link.DestinationAttribute = model.LinkLocal, model.LinkAttribute{Interface: end.Dev, Entry: model.EntryAbove}
			return model.Transmission{NextHop: r.env.HopOf(end.Place), Link: link}
		}
		if end, found := r.env.Topology.Peer(r.Place, dev); found {
			link.Type, link.SourceAttribute.PeerIndex = model.LinkVeth, dev.Link
			link.DestinationAttribute = model.LinkAttribute{Interface: end.Dev, PeerIndex: dev.Index}
			return model.Transmission{NextHop: r.env.HopOf(end.Place), Link: link}
		}
	}
	return r.underlay(link, o)
}

// underlay finds who takes a packet that leaves the machine. Where the bundle
// does not show the next hop, the packet leaves what is known.
func (r *Reality) underlay(link *model.Link, o netstack.Outcome) model.Transmission {
	if r.Place != r.Place.Host() && !r.env.Topology.Outward(topology.End{Place: r.Place, Dev: o.Dev}) {
		return r.unseen(link)
	}
	end, asIs, ok := r.env.Topology.Underlay(topology.End{Place: r.Place, Dev: o.Dev}, o.NextHop, o.Packet.DstMAC)
	if !ok {
		return r.outside(link, o)
	}
	if !asIs {
		link.Packet.DstMAC = ""
	}
	link.DestinationAttribute.Interface = end.Dev
	return model.Transmission{NextHop: r.env.HopOf(end.Place), Link: link}
}

// unseen is a packet out of a pod whose device's other end was not collected.
func (r *Reality) unseen(link *model.Link) model.Transmission {
	link.Type = model.LinkVeth
	return model.Transmission{NextHop: r.env.HopOf(r.Place.Host()), Link: link}
}

// outside is a packet to a next hop that the bundle does not show: a pod whose
// namespace was not collected, or a machine that was not.
func (r *Reality) outside(link *model.Link, o netstack.Outcome) model.Transmission {
	if pod, ok := r.env.IPCache.GetPodFromIP(o.NextHop); ok && PlaceOf(pod.Spec.NodeName) == r.Place {
		link.Type = model.LinkVeth
		return model.Transmission{NextHop: model.PodHop(pod.Namespace, pod.Name), Link: link}
	}
	if node, ok := r.env.IPCache.GetNodeNameFromIP(o.NextHop); ok && r.env.Atlas.NetNS(PlaceOf(node)) == nil {
		return model.Transmission{NextHop: model.Hop{Type: model.NetNodeTypeNode, ID: node}, Link: link}
	}
	link.Type = model.LinkExternal
	to := o.NextHop
	if !to.IsValid() { // a frame that passes below the routes
		to = o.Packet.Dst.Addr()
	}
	return model.Transmission{NextHop: model.Hop{Type: model.NetNodeTypeExternal, ID: to.String()}, Link: link}
}
