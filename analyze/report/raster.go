package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/fogleman/gg"
	"github.com/golang/freetype/truetype"
	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
)

// A canvas is what Graphviz wants to be drawn: its JSON output.
type canvas struct {
	Box     string `json:"bb"` // "llx,lly,urx,ury" in points
	Objects []drawn
	Edges   []drawn
	drawn
}

// A drawn is one graph, cluster, node or edge as a list of strokes.
type drawn struct {
	Draw  []stroke `json:"_draw_"`
	HDraw []stroke `json:"_hdraw_"`
	TDraw []stroke `json:"_tdraw_"`
	Label []stroke `json:"_ldraw_"`
}

// A stroke is one drawing operation of the xdot language.
type stroke struct {
	Op     string       `json:"op"`
	Color  string       `json:"color"`
	Points [][2]float64 `json:"points"`
	Rect   [4]float64   `json:"rect"`
	Style  string       `json:"style"`
	Size   float64      `json:"size"`
	Bold   int          `json:"fontchar"`
	At     [2]float64   `json:"pt"`
	Align  string       `json:"align"`
	Width  float64      `json:"width"`
	Text   string       `json:"text"`
}

const (
	pngScale   = 2.0     // pixels per point
	pngMargin  = 12.0    // points around the picture
	pngMaxSide = 16000.0 // pixels; larger pictures are scaled down
)

// rasterize draws the JSON output of Graphviz as a PNG.
func rasterize(w io.Writer, graph []byte) error {
	var c canvas
	if err := json.Unmarshal(graph, &c); err != nil {
		return fmt.Errorf("graphviz output: %w", err)
	}
	p, err := newPainter(c.Box)
	if err != nil {
		return err
	}
	for _, d := range append([]drawn{c.drawn}, append(c.Objects, c.Edges...)...) {
		for _, strokes := range [][]stroke{d.Draw, d.TDraw, d.HDraw} {
			p.paint(strokes)
		}
	}
	// Text last: no line runs over it.
	for _, d := range append([]drawn{c.drawn}, append(c.Objects, c.Edges...)...) {
		p.paint(d.Label)
	}
	return p.EncodePNG(w)
}

// A painter turns strokes into pixels.
type painter struct {
	*gg.Context
	scale, height float64
	regular, bold *truetype.Font
	faces         map[string]font.Face

	pen, fill string
	size      float64
	isBold    bool
	style     string
	line      float64
}

func newPainter(box string) (*painter, error) {
	var side [4]float64
	parts := strings.Split(box, ",")
	for i := range min(len(parts), 4) {
		side[i], _ = strconv.ParseFloat(parts[i], 64) // an odd box gives an empty picture, which is refused below
	}
	w, h := side[2]+2*pngMargin, side[3]+2*pngMargin
	if w <= 2*pngMargin || h <= 2*pngMargin {
		return nil, fmt.Errorf("graphviz output: empty picture %q", box)
	}
	p := &painter{scale: pngScale, height: h, faces: map[string]font.Face{}, line: 1}
	p.scale = math.Min(p.scale, pngMaxSide/math.Max(w, h))
	var err error
	if p.regular, err = truetype.Parse(goregular.TTF); err != nil {
		return nil, err
	}
	if p.bold, err = truetype.Parse(gobold.TTF); err != nil {
		return nil, err
	}
	p.Context = gg.NewContext(int(math.Ceil(w*p.scale)), int(math.Ceil(h*p.scale)))
	p.SetHexColor("#ffffff")
	p.Clear()
	return p, nil
}

func (p *painter) paint(strokes []stroke) {
	p.style, p.line, p.isBold = "solid", 1, false
	for _, s := range strokes {
		switch s.Op {
		case "c":
			p.pen = s.Color
		case "C":
			p.fill = s.Color
		case "S":
			p.setStyle(s.Style)
		case "F":
			p.size = s.Size
		case "t":
			p.isBold = s.Bold&1 != 0
		case "T":
			p.text(s)
		default:
			p.shape(s)
		}
	}
}

func (p *painter) setStyle(style string) {
	if width, ok := strings.CutPrefix(style, "setlinewidth("); ok {
		if f, err := strconv.ParseFloat(strings.TrimSuffix(width, ")"), 64); err == nil {
			p.line = f
		}
		return
	}
	p.style = style
}

// shape draws a polygon, polyline, curve or ellipse; a capital Op fills it.
func (p *painter) shape(s stroke) {
	if s.Op == "e" || s.Op == "E" {
		x, y := p.xy([2]float64{s.Rect[0], s.Rect[1]})
		p.DrawEllipse(x, y, s.Rect[2]*p.scale, s.Rect[3]*p.scale)
	} else if !p.outline(s) {
		return
	}
	if strings.ContainsAny(s.Op, "EPB") && visible(p.fill) {
		p.SetHexColor(p.fill)
		p.FillPreserve()
	}
	p.ink()
	p.Stroke()
	p.ClearPath()
}

func (p *painter) outline(s stroke) bool {
	if len(s.Points) == 0 {
		return false
	}
	p.MoveTo(p.xy(s.Points[0]))
	switch s.Op {
	case "b", "B":
		for i := 1; i+2 < len(s.Points); i += 3 {
			x1, y1 := p.xy(s.Points[i])
			x2, y2 := p.xy(s.Points[i+1])
			x3, y3 := p.xy(s.Points[i+2])
			p.CubicTo(x1, y1, x2, y2, x3, y3)
		}
	case "p", "P", "L":
		for _, pt := range s.Points[1:] {
			p.LineTo(p.xy(pt))
		}
		if s.Op != "L" {
			p.ClosePath()
		}
	}
	return true
}

// ink sets the pen. An invisible pen draws nothing because it has no width.
func (p *painter) ink() {
	p.SetDash()
	switch p.style {
	case "dashed":
		p.SetDash(6*p.scale, 3*p.scale)
	case "dotted":
		p.SetDash(1.5*p.scale, 3*p.scale)
	}
	p.SetLineWidth(p.line * p.scale)
	if !visible(p.pen) {
		p.SetRGBA(0, 0, 0, 0)
		return
	}
	p.SetHexColor(p.pen)
}

// visible reports whether color is not fully transparent: "#rrggbb00".
func visible(color string) bool {
	return strings.HasPrefix(color, "#") && (len(color) != len("#rrggbb00") || !strings.HasSuffix(color, "00"))
}

// text writes at the base line that Graphviz chose, never wider than it
// planned for.
func (p *painter) text(s stroke) {
	p.SetFontFace(p.face(p.size))
	if w, _ := p.MeasureString(s.Text); s.Width > 0 && w > s.Width*p.scale {
		p.SetFontFace(p.face(math.Floor(p.size*s.Width*p.scale/w*8) / 8))
	}
	w, _ := p.MeasureString(s.Text)
	x, y := p.xy(s.At)
	switch s.Align {
	case "c":
		x -= w / 2
	case "r":
		x -= w
	}
	if visible(p.pen) {
		p.SetHexColor(p.pen)
		p.DrawString(s.Text, x, y)
	}
}

func (p *painter) face(size float64) font.Face {
	key := fmt.Sprint(p.isBold, size)
	if f := p.faces[key]; f != nil {
		return f
	}
	ttf := p.regular
	if p.isBold {
		ttf = p.bold
	}
	p.faces[key] = truetype.NewFace(ttf, &truetype.Options{Size: size * p.scale})
	return p.faces[key]
}

// xy turns points from the lower left corner into pixels from the upper left.
func (p *painter) xy(pt [2]float64) (x, y float64) {
	return (pt[0] + pngMargin) * p.scale, (p.height - pngMargin - pt[1]) * p.scale
}
