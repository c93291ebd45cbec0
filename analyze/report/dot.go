package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// WriteDOT writes the path in the Graphviz language. Equal diagnoses give
// equal bytes.
func WriteDOT(w io.Writer, d *Diagnosis) error {
	_, err := w.Write(dotOf(d))
	return err
}

func dotOf(d *Diagnosis) []byte {
	p := &dotter{g: draw(d)}
	p.graph()
	return p.b.Bytes()
}

// The colours of the picture. Hues carry the meaning, and line styles repeat
// it for those who do not see them.
const (
	inkText    = "#111827"
	inkSoft    = "#475569"
	inkRequest = "#1f2937"
	inkReply   = "#2563eb"
	inkTunnel  = "#fb923c"
	inkBroken  = "#dc2626"
	inkMeant   = "#6b7280"
	inkGood    = "#15803d"
	inkDoubt   = "#b45309"

	fillNode    = "#f1f5f9"
	fillPod     = "#dbeafe"
	fillOutside = "#ecfdf5"
	fillCore    = "#ffffff"
	fillGood    = "#dcfce7"
	fillBroken  = "#fee2e2"
	fillDoubt   = "#fef3c7"
	fillTunnel  = "#ffedd5"
)

// maxNotes is how many suspicions are written out at one place.
const maxNotes = 3

// A dotter prints a drawing.
type dotter struct {
	g     *drawing
	b     bytes.Buffer
	depth int
	notes int
}

// attr is one attribute of a DOT statement; a value that starts with '<' is an
// HTML-like label.
type attr struct{ key, value string }

func (p *dotter) line(format string, args ...any) {
	p.b.WriteString(strings.Repeat("  ", p.depth))
	fmt.Fprintf(&p.b, format, args...)
	p.b.WriteByte('\n')
}

func (p *dotter) open(format string, args ...any) {
	p.line(format+" {", args...)
	p.depth++
}

func (p *dotter) close() {
	p.depth--
	p.line("}")
}

func attrs(list ...attr) string {
	var out []string
	for _, a := range list {
		switch {
		case a.value == "":
		case strings.HasPrefix(a.value, "<"):
			out = append(out, a.key+"=<"+a.value+">")
		default:
			out = append(out, a.key+"="+quote(a.value))
		}
	}
	return strings.Join(out, ", ")
}

func (p *dotter) vertex(id string, list ...attr) { p.line("%s [%s]", quote(id), attrs(list...)) }

func (p *dotter) graph() {
	p.open("digraph pathsnap")
	p.line("graph [%s]", attrs(
		attr{"rankdir", "LR"}, attr{"newrank", "true"}, attr{"bgcolor", "#ffffff"}, attr{"fontname", "Helvetica"},
		attr{"nodesep", "0.22"}, attr{"ranksep", "0.28"}, attr{"pad", "0.2"}, attr{"labelloc", "t"}, attr{"labeljust", "l"},
		attr{"label", p.title()}))
	p.line("node [%s]", attrs(attr{"shape", "box"}, attr{"style", "rounded,filled"}, attr{"fillcolor", fillCore}, attr{"color", inkSoft},
		attr{"fontname", "Helvetica"}, attr{"fontsize", "11"}, attr{"fontcolor", inkText}, attr{"margin", "0.1,0.06"}, attr{"height", "0.3"}, attr{"width", "0.3"}))
	p.line("edge [%s]", attrs(attr{"fontname", "Helvetica"}, attr{"fontsize", "10"}, attr{"arrowsize", "0.7"}, attr{"color", inkRequest}, attr{"fontcolor", inkText}))
	for _, host := range p.hosts() {
		p.host(host)
	}
	for _, pl := range p.g.places {
		if p.g.d.host(pl.hop) == "" {
			p.place(pl)
		}
	}
	for _, e := range p.g.ends {
		if e.kind == endOutside {
			p.end(e)
		}
	}
	for _, e := range p.g.edges {
		p.edge(e)
	}
	p.close()
}

// title is the question, and the answer in its colour.
func (p *dotter) title() string {
	ink := inkDoubt
	switch ExitCode(p.g.d.Outcome) {
	case 0:
		ink = inkGood
	case 3:
		ink = inkBroken
	}
	return `<table border="0" cellspacing="0" cellpadding="3">` +
		titled(lines(p.g.d.question(), 90, 4, left), "16", inkText) + titled(lines(p.g.d.answer(), 100, 4, left), "14", ink) + p.rest() + `</table>`
}

// rest says that not everything is drawn.
func (p *dotter) rest() string {
	if p.g.left == 0 {
		return ""
	}
	return titled(escape(fmt.Sprintf("%d of %d branches are drawn", len(p.g.d.Branches)-p.g.left, len(p.g.d.Branches))), "11", inkSoft)
}

// left ends a line that is set flush left.
const left = `<br align="left"/>`

func titled(text, size, ink string) string {
	if text == "" {
		text = " "
	}
	return `<tr><td align="left" balign="left"><font point-size="` + size + `" color="` + ink + `"><b>` + text + `</b></font></td></tr>`
}

// hosts are the nodes of the cluster that the drawing touches, in order.
func (p *dotter) hosts() []string {
	var hosts []string
	seen := map[string]bool{"": true}
	for _, pl := range p.g.places {
		if host := p.g.d.host(pl.hop); !seen[host] {
			seen[host] = true
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// host prints a node of the cluster with the pods on it.
func (p *dotter) host(name string) {
	p.open("subgraph %s", quote("cluster node:"+name))
	p.frame("node", name, fillNode, inkSoft)
	for _, pl := range p.g.places {
		switch {
		case p.g.d.host(pl.hop) != name:
		case pl.hop.Type == model.NetNodeTypeNode:
			p.inside(pl)
		default:
			p.place(pl)
		}
	}
	p.close()
}

// place prints a namespace that is not a node's own.
func (p *dotter) place(pl *place) {
	fill, border := fillPod, inkReply
	switch pl.hop.Type {
	case model.NetNodeTypePod:
	case model.NetNodeTypeInfra:
		fill, border = fillNode, inkSoft
	default:
		fill, border = fillOutside, inkGood
	}
	p.open("subgraph %s", quote("cluster "+pl.hop.String()))
	p.frame(string(pl.hop.Type), pl.hop.ID, fill, border)
	if pl.meant {
		p.line("style=%s", quote("rounded,dashed"))
	}
	p.inside(pl)
	p.close()
}

func (p *dotter) frame(kind, name, fill, border string) {
	var head strings.Builder
	head.WriteString(`<font color="` + inkSoft + `">` + escape(kind) + ` </font>`)
	for i, part := range strings.SplitAfter(name, "/") {
		if i > 0 && len(name) > 28 {
			head.WriteString(left)
		}
		head.WriteString(bolded(elide(part, 34)))
	}
	head.WriteString(left)
	p.line("graph [%s]", attrs(attr{"label", head.String()}, attr{"style", "rounded,filled"}, attr{"fillcolor", fill}, attr{"color", border},
		attr{"fontsize", "12"}, attr{"fontcolor", inkText}, attr{"margin", "10"}, attr{"labelloc", "t"}, attr{"labeljust", "l"}))
}

// inside prints what is in a namespace: its core, devices, notes and ends.
func (p *dotter) inside(pl *place) {
	id := pl.hop.String()
	p.core(pl, id)
	for _, dev := range pl.devices {
		fill, border := "#ffffff", inkSoft
		for _, t := range pl.tunnels {
			if t == dev {
				fill, border = fillTunnel, "#c2410c"
			}
		}
		p.vertex(id+"/"+dev, attr{"label", label(escape(elide(dev, 18)))}, attr{"style", "filled"}, attr{"fillcolor", fill}, attr{"color", border},
			attr{"fontsize", "10"}, attr{"margin", "0.06,0.03"}, attr{"height", "0.22"}, attr{"fontcolor", "#334155"})
	}
	for _, e := range p.g.ends {
		if e.place == pl && e.kind != endOutside {
			p.end(e)
		}
	}
	p.note(pl, id)
}

func (p *dotter) core(pl *place, id string) {
	fill, border, width := fillCore, inkRequest, "1"
	var text []string
	switch {
	case pl.first && pl.last:
		fill, border, width = fillGood, inkGood, "2"
		text = append(text, bolded("source and destination"))
	case pl.first:
		width = "2"
		text = append(text, bolded("source"))
	case pl.last:
		fill, border, width = fillGood, inkGood, "2"
		text = append(text, bolded("destination"))
	case pl.meant:
		text = append(text, "not reached")
	}
	text = append(text, deedLines(pl.did)...)
	if len(text) == 0 {
		text = append(text, p.g.role(pl))
	}
	style := "rounded,filled"
	if pl.meant {
		style, border = "rounded,filled,dashed", inkMeant
	}
	p.vertex(id, attr{"label", stacked(text)}, attr{"style", style}, attr{"fillcolor", fill}, attr{"color", border}, attr{"penwidth", width})
}

// maxDeeds is how many translations and routes the box of a place shows.
const maxDeeds = 6

// deedLines writes what a place did, as a list if it did several things.
func deedLines(did []string) (text []string) {
	for i, deed := range did {
		switch {
		case i == maxDeeds:
			return append(text, fmt.Sprintf("and %d more", len(did)-maxDeeds)+left)
		case len(did) == 1:
			text = append(text, lines(deed, 25, 3, "<br/>"))
		default:
			text = append(text, "• "+lines(deed, 25, 3, left+"   ")+left)
		}
	}
	return text
}

// end prints where packets stopped, and why.
func (p *dotter) end(e *end) {
	var shape, sign, fill, ink string
	switch e.kind {
	case endBroken:
		shape, sign, fill, ink = "octagon", "× ", fillBroken, inkBroken
	case endUnknown:
		shape, sign, fill, ink = "octagon", "? ", fillDoubt, inkDoubt
	case endOutside:
		shape, sign, fill, ink = "ellipse", "", fillOutside, inkGood
	}
	text := `<font color="` + ink + `">` + bolded(sign+e.title) + `</font>`
	if e.why != "" {
		text += `<br/><font point-size="10">` + lines(e.why, 30, 4, "<br/>") + `</font>`
	}
	p.vertex(e.id, attr{"label", label(text)}, attr{"shape", shape}, attr{"style", "filled"}, attr{"fillcolor", fill}, attr{"color", ink}, attr{"penwidth", "2"}, attr{"margin", "0.02,0.02"})
}

// note prints the suspicions about a place and pins them to its core.
func (p *dotter) note(pl *place, core string) {
	if len(pl.notes) == 0 {
		return
	}
	ink, fill := inkDoubt, fillDoubt
	var rows []string
	for i, s := range pl.notes {
		if i == maxNotes {
			rows = append(rows, noteRow(fmt.Sprintf("and %d more here", len(pl.notes)-maxNotes)))
			break
		}
		if s.Level >= model.SuspicionLevelCritical {
			ink, fill = inkBroken, "#fff1f2"
		}
		rows = append(rows, noteRow(noteText(s)))
	}
	p.notes++
	id := fmt.Sprintf("note%d", p.notes)
	text := `<table border="0" cellspacing="0" cellpadding="3">` + strings.Join(rows, "<hr/>") + `</table>`
	p.vertex(id, attr{"label", text}, attr{"shape", "note"}, attr{"style", "filled"}, attr{"fillcolor", fill}, attr{"color", ink},
		attr{"fontsize", "10"}, attr{"margin", "0.04,0.02"})
	p.line("{ rank=same; %s; %s }", quote(core), quote(id))
	p.line("%s -> %s [%s]", quote(core), quote(id), attrs(attr{"arrowhead", "none"}, attr{"style", "dotted"}, attr{"color", ink}, attr{"constraint", "false"}))
}

func noteRow(text string) string {
	return `<tr><td align="left" balign="left">` + text + `</td></tr>`
}

func noteText(s model.Suspicion) string {
	ink := inkDoubt
	if s.Level >= model.SuspicionLevelCritical {
		ink = inkBroken
	}
	text := `<font color="` + ink + `">` + bolded(s.Level.String()+" "+s.Code) + `</font>` + left + lines(s.Message, 38, 5, left)
	if s.Remedy != "" {
		text += left + bolded("fix: ") + lines(s.Remedy, 38, 4, left)
	}
	return text
}

// edge prints one edge. One that leads back to what was met before is printed
// the other way around, so that the picture keeps its direction.
func (p *dotter) edge(e *edge) {
	from, to := e.from, e.to
	var list []attr
	if p.g.rank[from] > p.g.rank[to] {
		from, to = to, from
		list = append(list, attr{"dir", "back"})
	}
	color, style, width := "", "solid", "1.8"
	switch e.kind {
	case edgeRequest:
		color = inkRequest
	case edgeReply:
		color, style = inkReply, "dashed"
	case edgeBroken:
		color, width = inkBroken, "2.4"
	case edgeDoubt:
		color, width = inkDoubt, "2.4"
	case edgeMeant:
		color, style, width = inkMeant, "dotted", "1.6"
	}
	font := color
	if e.tunnel {
		color = inkTunnel + ":" + color + ":" + inkTunnel
		width = "2.6"
	}
	list = append(list, attr{"color", color}, attr{"fontcolor", font}, attr{"penwidth", width}, attr{"style", style}, attr{"label", e.text()})
	p.line("%s -> %s [%s]", quote(from), quote(to), attrs(list...))
}

// text is the label of an edge: what travels, and how much of it if not all.
func (e *edge) text() string {
	text := few(e.what, 4)
	if len(e.outer) > 0 {
		text = append(text, `<font color="#9a3412">`+strings.Join(few(e.outer, 4), "<br/>")+`</font>`)
	}
	share := percent(min(e.share, 1)) // a packet that goes round crosses an edge again
	if share != "100%" && (e.kind == edgeRequest && e.crossing || e.kind == edgeBroken || e.kind == edgeDoubt) {
		text = append(text, bolded(share))
	}
	if len(text) == 0 {
		return ""
	}
	return `<table border="0" cellpadding="3"><tr><td>` + strings.Join(text, "<br/>") + `</td></tr></table>`
}

// few escapes at most limit lines.
func few(lines []string, limit int) (out []string) {
	for i, l := range lines {
		if i == limit {
			return append(out, "…")
		}
		out = append(out, escape(elide(l, 48)))
	}
	return out
}
