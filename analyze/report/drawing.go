package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A drawing is what a picture of a Diagnosis shows: places with their devices,
// and the edges between them, in walking order.
type drawing struct {
	d      *Diagnosis
	places []*place
	edges  []*edge
	ends   []*end
	rank   map[string]int // order in which vertices were met
}

// A place is one network namespace.
type place struct {
	hop     model.Hop
	devices []string // in the order crossed
	tunnels []string // those of devices that encapsulate
	did     []string // what it did with the request
	first   bool     // the request is born here
	last    bool     // a request is delivered here
	meant   bool     // no packet comes here, it was only meant to
	notes   []model.Suspicion
}

// An edgeKind tells the edges of a picture apart.
type edgeKind uint8

const (
	edgeRequest edgeKind = iota
	edgeReply
	edgeBroken
	edgeMeant
)

// An edge goes from vertex to vertex, for one or more branches.
type edge struct {
	from, to string
	kind     edgeKind
	tunnel   bool
	share    float64
	labels   []string
	crossing bool // from one place to another
}

// An end is where packets stop before they arrive.
type end struct {
	id    string
	place *place
	kind  endKind
	title string
	why   string
	share float64
}

type endKind uint8

const (
	endBroken endKind = iota
	endUnknown
	endOutside
)

// draw lays out d as places and edges.
func draw(d *Diagnosis) *drawing {
	g := &drawing{d: d, rank: map[string]int{}}
	for i := range d.Branches {
		g.journey(d.Branches[i].Request, edgeRequest, d.Branches[i].Share)
	}
	for i := range d.Branches {
		b := &d.Branches[i]
		switch {
		case len(b.Reply.Hops) > 0:
			g.journey(b.Reply, edgeReply, b.Share)
		case b.Request.Disposition == model.Delivered && b.Outcome != model.OutcomeReached && b.Outcome != model.OutcomeStalled:
			g.stop(b.Request.At, b.Request.At.String(), &end{title: "no answer", why: b.Reply.Reason, share: b.Share})
		}
	}
	g.intended()
	for _, s := range d.Suspicions {
		if s.On != (model.Hop{}) {
			p := g.place(s.On)
			p.notes = append(p.notes, s)
		}
	}
	if len(g.places) == 0 && d.Source.Name != "" {
		g.place(model.Hop{Type: model.NetNodeType(d.Source.Type), ID: d.Source.Name}).first = true
	}
	return g
}

// place returns the place of hop, new if it was not met before.
func (g *drawing) place(hop model.Hop) *place {
	for _, p := range g.places {
		if p.hop == hop {
			return p
		}
	}
	p := &place{hop: hop}
	g.places = append(g.places, p)
	g.meet(hop.String())
	return p
}

func (g *drawing) meet(vertex string) {
	if _, met := g.rank[vertex]; !met {
		g.rank[vertex] = len(g.rank)
	}
}

// device returns the vertex of a device of p.
func (g *drawing) device(p *place, dev string) string {
	if !slices.Contains(p.devices, dev) {
		p.devices = append(p.devices, dev)
	}
	v := p.hop.String() + "/" + dev
	g.meet(v)
	return v
}

// edge adds branch share to the edge e, which is new if there is none like it.
func (g *drawing) edge(e edge, label string) {
	at := slices.IndexFunc(g.edges, func(o *edge) bool {
		return o.from == e.from && o.to == e.to && o.kind == e.kind && o.tunnel == e.tunnel
	})
	if at < 0 {
		at = len(g.edges)
		g.edges = append(g.edges, &edge{from: e.from, to: e.to, kind: e.kind, tunnel: e.tunnel, crossing: e.crossing})
	}
	have := g.edges[at]
	have.share += e.share
	if label != "" && !slices.Contains(have.labels, label) {
		have.labels = append(have.labels, label)
	}
}

// journey adds the way of one packet.
func (g *drawing) journey(d Direction, kind edgeKind, share float64) {
	prev, tunnel := "", false
	for i, h := range d.Hops {
		in, out, p := g.cross(h, kind, share, tunnel)
		if kind == edgeRequest && i == 0 {
			p.first = true
		}
		if prev != "" {
			label := packetLabel(d, i, tunnel)
			g.edge(edge{from: prev, to: in, kind: kind, tunnel: tunnel, share: share, crossing: true}, label)
		}
		prev, tunnel = out, h.Out.Encap != nil
	}
	if len(d.Hops) > 0 {
		g.finish(d, kind, share, prev)
	}
}

// cross adds what h did inside its place: the devices, in the order crossed.
// It returns the vertices by which the packet came in and left.
func (g *drawing) cross(h Hop, kind edgeKind, share float64, tunnel bool) (in, out string, p *place) {
	p = g.known(h.At)
	core := h.At.String()
	before, after := h.devices()
	way := []string{}
	if h.IIf != "" {
		way = append(way, h.IIf)
	}
	way = append(append(append(way, before...), ""), after...)
	if h.OIf != "" {
		way = append(way, h.OIf)
	}
	tunnel = tunnel && len(before) > 0
	for _, dev := range way {
		v := core
		if dev != "" {
			v = g.device(p, dev)
		} else {
			g.meet(core)
		}
		if in == "" {
			in = v
		} else {
			g.edge(edge{from: out, to: v, kind: kind, tunnel: tunnel, share: share}, "")
		}
		out = v
		isTunnel := dev != "" && h.tunnels(dev)
		if isTunnel && !slices.Contains(p.tunnels, dev) {
			p.tunnels = append(p.tunnels, dev)
		}
		tunnel = isTunnel && h.Out.Encap != nil || tunnel && !isTunnel && dev != ""
	}
	if kind == edgeRequest || slices.ContainsFunc(h.Steps, bad) {
		p.add(h, kind)
	}
	return in, out, p
}

// known returns the place of hop, whose core is met only where it is crossed.
func (g *drawing) known(hop model.Hop) *place {
	for _, p := range g.places {
		if p.hop == hop {
			return p
		}
	}
	p := &place{hop: hop}
	g.places = append(g.places, p)
	return p
}

// add remembers what p did with the packet, for its box.
func (p *place) add(h Hop, kind edgeKind) {
	for _, s := range h.Steps {
		text := s.Action
		if strings.HasPrefix(s.Where, "route") && s.Rule != "" && !bad(s) {
			text = "route " + s.Rule
		}
		shown := bad(s) || kind == edgeRequest && important(s) && (strings.HasPrefix(s.Where, "nat/") || strings.HasPrefix(s.Where, "route"))
		if shown && s.Where != "end" && !slices.Contains(p.did, text) {
			p.did = append(p.did, text)
		}
	}
}

// tunnels reports whether dev puts packets into a tunnel, or takes them out.
func (h Hop) tunnels(dev string) bool {
	for _, s := range h.Steps {
		kind, _, _ := strings.Cut(s.Where, " ")
		if device(s) == dev && slices.Contains([]string{"vxlan", "tunnel", "encap", "decap", "ipip", "geneve", "gre"}, kind) {
			return true
		}
	}
	return h.Out.Encap != nil && dev == h.OIf && h.In.Encap == nil
}

// sent is the packet of the conversation: the inner one of a tunnel.
func sent(p model.Packet) model.Packet {
	if p.Encap != nil {
		return *p.Encap
	}
	return p
}

// packetLabel says what travels between hops i-1 and i: always at first, and
// then where the addresses have changed; a tunnel always.
func packetLabel(d Direction, i int, tunnel bool) string {
	out := d.Hops[i-1].Out
	if out.Protocol == "" {
		out = d.Hops[i].In
	}
	p := sent(out)
	var lines []string
	if i == 1 {
		lines = append(lines, kindName(d.Kind))
	}
	if i == 1 || p.Tuple() != sent(d.Hops[i-2].Out).Tuple() {
		lines = append(lines, endText(p.Protocol, p.Src), "→ "+endText(p.Protocol, p.Dst))
	}
	if tunnel {
		lines = append(lines, "in "+tunnelName(out), out.Src.Addr().String(), "→ "+out.Dst.Addr().String())
	}
	return strings.Join(lines, "\n")
}

// finish marks where the journey ended.
func (g *drawing) finish(d Direction, kind edgeKind, share float64, at string) {
	p := g.place(d.At)
	e := &end{title: strings.ReplaceAll(d.Disposition.String(), "-", " "), why: d.Reason, share: share}
	switch d.Disposition {
	case model.Delivered:
		if kind == edgeRequest {
			p.last = true
		}
		return
	case model.Unknown, model.Forwarded:
		e.kind, e.title = endUnknown, "not known"
	case model.ExitsCluster:
		e.kind, e.title = endOutside, "outside the cluster"
	}
	if kind == edgeReply {
		e.title = kindName(d.Kind) + " " + e.title
	}
	g.stop(d.At, cmp.Or(at, d.At.String()), e)
}

// stop adds e behind vertex at, joined with an equal one.
func (g *drawing) stop(hop model.Hop, at string, e *end) {
	e.place = g.place(hop)
	for _, have := range g.ends {
		if have.place == e.place && have.title == e.title && have.why == e.why {
			have.share += e.share
			g.edge(edge{from: at, to: have.id, kind: edgeBroken, share: e.share}, "")
			return
		}
	}
	e.id = fmt.Sprintf("end%d", len(g.ends)+1)
	g.ends = append(g.ends, e)
	g.meet(e.id)
	g.edge(edge{from: at, to: e.id, kind: edgeBroken, share: e.share}, "")
}

// intended adds the links that the plugin meant and the network does not have.
func (g *drawing) intended() {
	if g.d.Path == nil {
		return
	}
	for _, l := range g.d.Path.Links {
		if !l.Intended || l.Source == nil || l.Destination == nil {
			continue
		}
		met := len(g.places)
		from := g.place(l.Source.Hop)
		to := g.place(l.Destination.Hop)
		to.meant = to.meant || len(g.places) > met
		v := from.hop.String()
		if dev := l.SourceAttribute.Interface; dev != "" {
			v = g.device(from, dev)
			g.edge(edge{from: from.hop.String(), to: v, kind: edgeMeant}, "")
		}
		g.edge(edge{from: v, to: to.hop.String(), kind: edgeMeant, crossing: true}, "meant")
	}
}
