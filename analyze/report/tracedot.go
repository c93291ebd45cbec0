package report

import (
	"context"
	"fmt"
	"io"

	"github.com/goccy/go-graphviz"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/trace"
)

func writeTraceDOT(_ context.Context, w io.Writer, t *Trace, _ TextOptions) error {
	_, err := w.Write(traceDOT(t))
	return err
}

func writeTraceSVG(ctx context.Context, w io.Writer, t *Trace, _ TextOptions) error {
	svg, err := layout(ctx, traceDOT(t), graphviz.SVG)
	if err != nil {
		return fmt.Errorf("draw svg: %w", err)
	}
	_, err = w.Write(svg)
	return err
}

func writeTracePNG(ctx context.Context, w io.Writer, t *Trace, _ TextOptions) error {
	drawn, err := layout(ctx, traceDOT(t), "json")
	if err == nil {
		err = rasterize(w, drawn)
	}
	if err != nil {
		return fmt.Errorf("draw png: %w", err)
	}
	return nil
}

// maxWays is how many ways a picture shows.
const maxWays = 8

// traceDOT draws the ways as a tree: steps that ways have in common are one
// vertex, up to where they part.
func traceDOT(t *Trace) []byte {
	p := &dotter{}
	p.open("digraph pathsnap")
	ink := map[string]string{trace.Passes: inkGood, trace.Stopped: inkBroken, trace.Open: inkDoubt}[t.Sum()]
	title := `<table border="0" cellspacing="0" cellpadding="3">` + titled(lines(t.question(), 90, 4, left), "16", inkText) +
		titled(lines(t.answer(), 100, 4, left), "14", ink)
	if n := len(t.Outcomes); n > maxWays {
		title += titled(escape(fmt.Sprintf("%d of %d ways are drawn", maxWays, n)), "11", inkSoft)
	}
	p.line("graph [%s]", attrs(attr{"rankdir", "TB"}, attr{"bgcolor", "#ffffff"}, attr{"fontname", "Helvetica"}, attr{"nodesep", "0.25"},
		attr{"ranksep", "0.25"}, attr{"pad", "0.2"}, attr{"labelloc", "t"}, attr{"labeljust", "l"}, attr{"label", title + `</table>`}))
	p.line("node [%s]", attrs(attr{"shape", "box"}, attr{"style", "rounded,filled"}, attr{"fillcolor", fillCore}, attr{"color", inkSoft},
		attr{"fontname", "Helvetica"}, attr{"fontsize", "11"}, attr{"fontcolor", inkText}, attr{"margin", "0.1,0.06"}, attr{"height", "0.3"}, attr{"width", "0.3"}))
	p.line("edge [%s]", attrs(attr{"fontname", "Helvetica"}, attr{"fontsize", "10"}, attr{"arrowsize", "0.7"}, attr{"color", inkRequest}, attr{"fontcolor", inkText}))
	born := "born here"
	if t.In != "" {
		born = "in by " + t.In
	}
	p.vertex("start", attr{"label", stacked([]string{bolded(born), lines(packetText(&t.Packet), 44, 3, "<br/>")})}, attr{"penwidth", "2"}, attr{"fillcolor", fillPod})
	tree := &stepTree{p: p, next: map[stepEdge]string{}, shares: map[stepEdge]float64{}}
	for i := range t.Outcomes[:min(len(t.Outcomes), maxWays)] {
		tree.way(&t.Outcomes[i])
	}
	for i, e := range tree.order {
		share := ""
		if tree.parts(e.from) {
			share = percent(min(1, tree.shares[e]))
		}
		p.line("%s -> %s [%s]", quote(e.from), quote(tree.ids[i]), attrs(attr{"label", share}))
	}
	p.close()
	return p.b.Bytes()
}

// A stepEdge leads from a vertex by a step.
type stepEdge struct {
	from string
	step model.Step
}

// A stepTree numbers the steps of all ways.
type stepTree struct {
	p      *dotter
	next   map[stepEdge]string
	shares map[stepEdge]float64
	order  []stepEdge
	ids    []string // of the vertices that order leads to
}

// parts reports whether ways part at a vertex.
func (t *stepTree) parts(from string) bool {
	n := 0
	for _, e := range t.order {
		if e.from == from {
			n++
		}
	}
	return n > 1
}

// add returns the vertex that a step leads to, and whether it is new.
func (t *stepTree) add(from string, s model.Step, share float64) (id string, fresh bool) {
	e := stepEdge{from, s}
	id, have := t.next[e]
	if !have {
		id = fmt.Sprintf("s%d", len(t.order)+1)
		t.next[e] = id
		t.order, t.ids = append(t.order, e), append(t.ids, id)
	}
	t.shares[e] += share
	return id, !have
}

// way adds the steps of one way, and its end.
func (t *stepTree) way(o *trace.Outcome) {
	at := "start"
	for _, s := range o.Steps {
		id, fresh := t.add(at, s, o.Share)
		if at = id; fresh {
			t.step(id, s)
		}
	}
	end := model.Step{Where: "end", Action: ended(o) + o.Reason, Rule: packetText(&o.Packet)}
	id, fresh := t.add(at, end, o.Share)
	if !fresh {
		return
	}
	fill, ink := fillGood, inkGood
	switch o.Verdict {
	case trace.Drop, trace.Reject:
		fill, ink = fillBroken, inkBroken
	case trace.Unknown:
		fill, ink = fillDoubt, inkDoubt
	}
	text := []string{`<font color="` + ink + `">` + bolded(ended(o)) + `</font>`}
	if o.Reason != "" && o.Verdict != trace.Forward {
		text = append(text, lines(o.Reason, 44, 4, "<br/>"))
	}
	text = append(text, lines(packetText(&o.Packet), 44, 3, "<br/>"))
	for _, d := range o.Doubts {
		text = append(text, `<font color="`+inkDoubt+`">`+lines("if "+d.What, 44, 3, "<br/>")+`</font>`)
	}
	t.p.vertex(id, attr{"label", stacked(text)}, attr{"fillcolor", fill}, attr{"color", ink}, attr{"penwidth", "2"})
}

// step prints one step.
func (t *stepTree) step(id string, s model.Step) {
	text := []string{bolded(elide(s.Where, 40))}
	if s.Rule != "" {
		text = append(text, `<font color="`+inkSoft+`">`+lines(s.Rule, 52, 4, "<br/>")+`</font>`)
	}
	if s.Action != "" {
		text = append(text, lines(s.Action, 52, 3, "<br/>"))
	}
	if s.Evidence != "" {
		text = append(text, `<font point-size="9" color="`+inkReply+`">`+lines(s.Evidence, 60, 2, "<br/>")+`</font>`)
	}
	color := inkSoft
	if bad(s) {
		color = inkBroken
	}
	t.p.vertex(id, attr{"label", stacked(text)}, attr{"color", color})
}
