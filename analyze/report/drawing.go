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
	left   int            // branches that are not drawn
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
	edgeDoubt
	edgeMeant
)

// An edge goes from vertex to vertex, for one or more branches.
type edge struct {
	from, to string
	kind     edgeKind
	tunnel   bool
	share    float64
	what     []string // the packets that travel, a line each
	outer    []string // the outer packets of a tunnel, a line each
	crossing bool     // from one place to another
}

// An end is where packets stop before they arrive.
type end struct {
	id    string
	place *place
	kind  endKind
	title string
	why   string
}

type endKind uint8

const (
	endBroken endKind = iota
	endUnknown
	endOutside
)

// draw turns d into places and edges.
func draw(d *Diagnosis) *drawing {
	branches := d.drawn()
	g := &drawing{d: d, rank: map[string]int{}, left: len(d.Branches) - len(branches)}
	g.walk(branches)
	if g.left > 0 {
		g.shares()
	}
	g.intended()
	for _, s := range d.Suspicions {
		if s.On != (model.Hop{}) {
			p := g.place(s.On)
			p.notes = append(p.notes, s)
		}
	}
	return g
}

// walk adds the ways of branches, all requests before the first reply.
func (g *drawing) walk(branches []*Branch) {
	for _, b := range branches {
		g.journey(b.Request, edgeRequest, b.Share)
	}
	for _, b := range branches {
		switch {
		case len(b.Reply.Hops) > 0:
			g.journey(b.Reply, edgeReply, b.Share)
		case b.Request.Disposition == model.Delivered && b.Outcome != model.OutcomeReached && b.Outcome != model.OutcomeStalled:
			g.stop(b.Request.At, b.Request.At.String(), &end{title: "no answer", why: b.Reply.Reason}, b.Share)
		}
	}
}

// shares gives the edges of g their shares of all branches, of which g draws
// only some.
func (g *drawing) shares() {
	all := &drawing{d: g.d, rank: map[string]int{}}
	for i := range g.d.Branches {
		all.journey(g.d.Branches[i].Request, edgeRequest, g.d.Branches[i].Share)
	}
	for _, e := range g.edges {
		if at := all.like(e); at >= 0 {
			e.share = all.edges[at].share
		}
	}
}

// maxDrawn is how many branches a picture shows: more cannot be read.
const maxDrawn = 8

// drawn returns the branches to draw, in walking order: of each fate the first
// branch, and then as many more as fit.
func (d *Diagnosis) drawn() (branches []*Branch) {
	chosen := map[int]bool{}
	fates := map[string]bool{}
	for i := range d.Branches {
		b := &d.Branches[i]
		if fate := string(b.Outcome) + ending(b.Request) + ending(b.Reply); !fates[fate] && len(chosen) < maxDrawn && b.Outcome != model.OutcomeReached {
			fates[fate], chosen[i] = true, true
		}
	}
	for i := range d.Branches {
		if len(chosen) < maxDrawn {
			chosen[i] = true
		}
		if chosen[i] {
			branches = append(branches, &d.Branches[i])
		}
	}
	return branches
}

// place returns the place of hop, new if it was not met before.
func (g *drawing) place(hop model.Hop) *place {
	n := len(g.places)
	p := g.known(hop)
	if len(g.places) > n {
		g.meet(hop.String())
	}
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

// edge adds e to the edge like it, which is new if there is none.
func (g *drawing) edge(e edge) {
	at := g.like(&e)
	if at < 0 {
		g.edges = append(g.edges, &e)
		return
	}
	have := g.edges[at]
	have.share += e.share
	have.what = union(have.what, e.what)
	have.outer = union(have.outer, e.outer)
}

// like returns the index of the edge like e, -1 if there is none.
func (g *drawing) like(e *edge) int {
	return slices.IndexFunc(g.edges, func(o *edge) bool {
		return o.from == e.from && o.to == e.to && o.kind == e.kind && o.tunnel == e.tunnel
	})
}

func union(have, more []string) []string {
	for _, s := range more {
		if !slices.Contains(have, s) {
			have = append(have, s)
		}
	}
	return have
}

// journey adds the way of one packet.
func (g *drawing) journey(d Direction, kind edgeKind, share float64) {
	prev, tunnel := "", false
	for i, h := range d.Hops {
		leg := edge{kind: kind, share: share, tunnel: tunnel}
		way := g.crossed(h)
		if prev != "" {
			leg.from, leg.to, leg.crossing = prev, way[0], true
			leg.what, leg.outer = g.travels(d, i)
			g.edge(leg)
		}
		g.inside(h, way, leg)
		p := g.place(h.At)
		p.first = p.first || kind == edgeRequest && i == 0
		if kind == edgeRequest {
			p.did = union(p.did, g.deeds(h, i == 0))
		}
		prev, tunnel = way[len(way)-1], h.Out.Encap != nil
	}
	if len(d.Hops) > 0 {
		g.finish(d, kind, share, prev)
	}
}

// crossed returns the vertices that h crossed: devices, and the core of the
// place where it was routed.
func (g *drawing) crossed(h Hop) (way []string) {
	p := g.known(h.At)
	before, after := h.devices()
	for _, dev := range append([]string{h.IIf}, before...) {
		if dev != "" {
			way = append(way, g.device(p, dev))
		}
	}
	g.meet(h.At.String())
	way = append(way, h.At.String())
	for _, dev := range append(after, h.OIf) {
		if dev != "" {
			way = append(way, g.device(p, dev))
		}
		if dev != "" && h.wraps(dev) {
			p.tunnels = union(p.tunnels, []string{dev})
		}
	}
	for _, dev := range before {
		if h.wraps(dev) {
			p.tunnels = union(p.tunnels, []string{dev})
		}
	}
	return way
}

// inside joins the vertices that h crossed. The packet is in a tunnel up to
// the device that takes it out, and from the device that puts it in.
func (g *drawing) inside(h Hop, way []string, leg edge) {
	core := slices.Index(way, h.At.String())
	p := g.place(h.At)
	wraps := func(i int) bool { return slices.Contains(p.tunnels, strings.TrimPrefix(way[i], h.At.String()+"/")) }
	in := h.In.Encap != nil && slices.ContainsFunc(way[:core], func(v string) bool {
		return slices.Contains(p.tunnels, strings.TrimPrefix(v, h.At.String()+"/"))
	})
	for i := 1; i < len(way); i++ {
		if wraps(i - 1) {
			in = i-1 > core && h.Out.Encap != nil
		}
		g.edge(edge{from: way[i-1], to: way[i], kind: leg.kind, share: leg.share, tunnel: in})
	}
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

// deeds says what hop h did with the packet, for the box of its place: how it
// translated and routed it. Where the packet is born the device says enough.
func (g *drawing) deeds(h Hop, born bool) (deeds []string) {
	steps, _, _ := h.decisive()
	for _, s := range steps {
		switch {
		case bad(s):
		case isTunnel(s) && h.Out.Encap != nil:
			return deeds // what follows is about the outer packet
		case strings.HasPrefix(s.Where, "nat/"):
			deeds = append(deeds, g.d.named(s.Action))
		case strings.HasPrefix(s.Where, "route") && !born && !strings.HasPrefix(s.Rule, "local "):
			deeds = append(deeds, "route "+stepText(s))
		}
	}
	return deeds
}

// wraps reports whether dev puts packets into a tunnel, or takes them out.
func (h Hop) wraps(dev string) bool {
	return slices.ContainsFunc(h.Steps, func(s model.Step) bool { return device(s) == dev && isTunnel(s) })
}

// sent is the packet of the conversation: the inner one of a tunnel.
func sent(p model.Packet) model.Packet {
	if p.Encap != nil {
		return *p.Encap
	}
	return p
}

// travels says what goes from hop i-1 to hop i: where to at first and then
// where that has changed, where from if that has changed.
func (g *drawing) travels(d Direction, i int) (what, outer []string) {
	out := d.Hops[i-1].Out
	if out.Protocol == "" {
		out = d.Hops[i].In
	}
	p, before := sent(out), sent(d.Hops[max(0, i-2)].Out)
	if i == 1 {
		what, before = append(what, kindName(d.Kind)), sent(d.Hops[0].In)
	}
	if p.Src != before.Src || i == 1 && d.Kind != model.KindOpen {
		what = append(what, "from "+endText(p.Protocol, p.Src))
	}
	if p.Dst != before.Dst || i == 1 {
		what = append(what, "to "+endText(p.Protocol, p.Dst))
		if name := g.d.name(p.Dst.Addr()); name != "" && d.Kind == model.KindOpen {
			what = append(what, "("+elide(name, 30)+")")
		}
	}
	if out.Encap != nil {
		outer = append(outer, "in "+tunnelName(out), out.Src.Addr().String()+" → "+out.Dst.Addr().String())
	}
	return what, outer
}

// finish marks where the journey ended.
func (g *drawing) finish(d Direction, kind edgeKind, share float64, at string) {
	if d.At == (model.Hop{}) {
		d.At = d.Hops[len(d.Hops)-1].At
	}
	p := g.place(d.At)
	e := &end{title: strings.ReplaceAll(d.Disposition.String(), "-", " "), why: d.Reason}
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
	default:
	}
	if kind == edgeReply {
		e.title = kindName(d.Kind) + " " + e.title
	}
	g.stop(d.At, cmp.Or(at, d.At.String()), e, share)
}

// stop adds e behind vertex at, joined with an equal one.
func (g *drawing) stop(hop model.Hop, at string, e *end, share float64) {
	e.place = g.place(hop)
	if slices.ContainsFunc(g.d.Suspicions, func(s model.Suspicion) bool { return s.On == hop && s.Message == e.why }) {
		e.why = "" // the note says it
	}
	kind := [...]edgeKind{endBroken: edgeBroken, endUnknown: edgeDoubt, endOutside: edgeRequest}[e.kind]
	same := slices.IndexFunc(g.ends, func(o *end) bool { return o.place == e.place && o.title == e.title && o.why == e.why })
	if same < 0 {
		same = len(g.ends)
		e.id = fmt.Sprintf("end%d", len(g.ends)+1)
		g.ends = append(g.ends, e)
		g.meet(e.id)
	}
	g.edge(edge{from: at, to: g.ends[same].id, kind: kind, share: share})
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
		from := g.place(l.Source.Hop)
		v := from.hop.String()
		if dev := l.SourceAttribute.Interface; dev != "" {
			v = g.device(from, dev)
			g.edge(edge{from: from.hop.String(), to: v, kind: edgeMeant})
		}
		met := len(g.places)
		to := g.place(l.Destination.Hop)
		to.meant = to.meant || len(g.places) > met
		g.edge(edge{from: v, to: to.hop.String(), kind: edgeMeant, what: []string{"meant"}, crossing: true})
	}
}

// role says in a word what a place does that translates and routes nothing.
func (g *drawing) role(p *place) string {
	switch {
	case slices.ContainsFunc(g.ends, func(e *end) bool { return e.place == p }):
		return "arrives"
	case slices.ContainsFunc(g.edges, func(e *edge) bool { return e.from == p.hop.String() || e.to == p.hop.String() }):
		return "forwards"
	}
	return "not reached"
}
