package report

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/goccy/go-graphviz"

	"github.com/pathsnap/pathsnap/analyze/connectivity"
)

func writeConnectivityDOT(_ context.Context, w io.Writer, r *connectivity.Report, _ TextOptions) error {
	_, err := w.Write(connectivityDOT(r))
	return err
}

func writeConnectivitySVG(ctx context.Context, w io.Writer, r *connectivity.Report, _ TextOptions) error {
	svg, err := layout(ctx, connectivityDOT(r), graphviz.SVG)
	if err != nil {
		return fmt.Errorf("draw svg: %w", err)
	}
	_, err = w.Write(svg)
	return err
}

func writeConnectivityPNG(ctx context.Context, w io.Writer, r *connectivity.Report, _ TextOptions) error {
	drawn, err := layout(ctx, connectivityDOT(r), "json")
	if err == nil {
		err = rasterize(w, drawn)
	}
	if err != nil {
		return fmt.Errorf("draw png: %w", err)
	}
	return nil
}

// maxEdges is how many connections a picture shows.
const maxEdges = 400

// A connectivityDrawing draws groups that are equal in all their connections as
// one vertex. What no policy restricts is not drawn: a vertex says whether it is
// isolated, and one that is not may be reached by all, or reach all.
type connectivityDrawing struct {
	*dotter
	r        *connectivity.Report
	vertices [][]int
}

func connectivityDOT(r *connectivity.Report) []byte {
	d := &connectivityDrawing{dotter: &dotter{}, r: r, vertices: r.Alike()}
	edges, more := d.edges()
	d.open("digraph pathsnap")
	title := `<table border="0" cellspacing="0" cellpadding="3">` + titled(escape("who may talk to whom by "+policiesText(r)), "16", inkText)
	note := "edges are what policies allow where an end is isolated; between ends that are not, everything passes"
	if more > 0 {
		note += fmt.Sprintf("; %d edges are left out", more)
	}
	title += titled(lines(note, 100, 3, left), "11", inkSoft)
	if r.Policies > 0 && r.Unenforced != "" {
		title += titled(lines("not enforced: "+r.Unenforced, 100, 3, left), "11", inkBroken)
	}
	d.line("graph [%s]", attrs(attr{"rankdir", "LR"}, attr{"bgcolor", "#ffffff"}, attr{"fontname", "Helvetica"}, attr{"nodesep", "0.25"},
		attr{"ranksep", "0.6"}, attr{"pad", "0.2"}, attr{"labelloc", "t"}, attr{"labeljust", "l"}, attr{"label", title + `</table>`}))
	d.line("node [%s]", attrs(attr{"shape", "box"}, attr{"style", "rounded,filled"}, attr{"fillcolor", fillCore}, attr{"color", inkSoft},
		attr{"fontname", "Helvetica"}, attr{"fontsize", "11"}, attr{"fontcolor", inkText}, attr{"margin", "0.1,0.06"}, attr{"height", "0.3"}))
	d.line("edge [%s]", attrs(attr{"fontname", "Helvetica"}, attr{"fontsize", "10"}, attr{"arrowsize", "0.7"}, attr{"color", inkRequest}, attr{"fontcolor", inkText}))
	for i := range d.vertices {
		if d.drawn(i, edges) {
			d.member(i)
		}
	}
	for _, e := range edges {
		d.line("%s", e)
	}
	d.close()
	return d.b.Bytes()
}

// drawn reports whether a vertex is in the picture: of a report about one
// namespace only what is in it, and what has edges.
func (d *connectivityDrawing) drawn(i int, edges []string) bool {
	id := quote(fmt.Sprintf("g%d", i))
	return d.r.Namespace == "" || d.r.About(d.vertices[i][0]) || slices.ContainsFunc(edges, func(e string) bool {
		return strings.HasPrefix(e, id+" -> ") || strings.Contains(e, " -> "+id+" [")
	})
}

// member draws a vertex.
func (d *connectivityDrawing) member(i int) {
	groups := d.vertices[i]
	g := &d.r.Groups[groups[0]]
	in, out := d.isolated(groups)
	fill, ink, word := fillGood, inkSoft, "not isolated"
	switch {
	case g.Kind == connectivity.Outside:
		fill, word = fillOutside, ""
	case in && out:
		fill, ink, word = fillPod, inkReply, "isolated both ways"
	case in:
		fill, ink, word = fillPod, inkReply, "ingress isolated"
	case out:
		fill, ink, word = fillPod, inkReply, "egress isolated"
	case g.Kind == connectivity.Nodes:
		fill, word = fillNode, ""
	}
	text := []string{`<b>` + lines(d.r.Name(groups, maxNames/2), 36, 5, "<br/>") + `</b>`}
	if word != "" {
		text = append(text, `<font point-size="9" color="`+inkSoft+`">`+escape(word)+`</font>`)
	}
	d.vertex(fmt.Sprintf("g%d", i), attr{"label", stacked(text)}, attr{"fillcolor", fill}, attr{"color", ink})
}

// isolated reports whether all groups are, in each direction.
func (d *connectivityDrawing) isolated(groups []int) (in, out bool) {
	in, out = true, true
	for _, i := range groups {
		in, out = in && d.r.Groups[i].Ingress.Isolated, out && d.r.Groups[i].Egress.Isolated
	}
	return in, out
}

// edges are the statements of all edges, and how many more there are.
func (d *connectivityDrawing) edges() (out []string, more int) {
	for i, from := range d.vertices {
		for j, to := range d.vertices {
			if i == j && len(from) == 1 && d.r.Alone(from[0]) {
				continue
			}
			for _, f := range d.r.Between(from[0], to[0]) {
				if f.Allowed.All && f.Family == "" && !d.restricted(from, to) {
					continue
				}
				if len(out) == maxEdges {
					more++
					continue
				}
				out = append(out, edgeOf(i, j, f))
			}
		}
	}
	return out, more
}

// restricted reports whether policies isolate one of the ends in the direction
// of the edge.
func (d *connectivityDrawing) restricted(from, to []int) bool {
	return slices.ContainsFunc(from, func(i int) bool { return d.r.Groups[i].Egress.Isolated }) ||
		slices.ContainsFunc(to, func(i int) bool { return d.r.Groups[i].Ingress.Isolated })
}

func edgeOf(from, to int, f connectivity.Flow) string {
	color, style := inkRequest, ""
	if f.Allowed.Empty() {
		color, style = inkDoubt, "dashed"
	}
	return fmt.Sprintf("%s -> %s [%s]", quote(fmt.Sprintf("g%d", from)), quote(fmt.Sprintf("g%d", to)),
		attrs(attr{"label", stacked([]string{lines(flowText(f), 34, 4, "<br/>")})}, attr{"color", color}, attr{"style", style}))
}
