package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/goccy/go-graphviz"

	"github.com/pathsnap/pathsnap/analyze/report/wasmcache"
)

var _ = wasmcache.Restore() // after the library has been initialised

// graphvizMu is held while Graphviz runs: the library is one WebAssembly
// machine for the whole process, and it is not safe for concurrent use.
var graphvizMu sync.Mutex //nolint:gochecknoglobals // guards the library's own global state

// WriteSVG writes the path as an SVG picture.
func WriteSVG(ctx context.Context, w io.Writer, d *Diagnosis) error {
	svg, err := layout(ctx, dotOf(d), graphviz.SVG)
	if err != nil {
		return fmt.Errorf("draw svg: %w", err)
	}
	_, err = w.Write(svg)
	return err
}

// WritePNG writes the path as a PNG picture. Graphviz only lays it out: the
// pixels and the font are ours, so that they are the same on every machine.
func WritePNG(ctx context.Context, w io.Writer, d *Diagnosis) error {
	drawn, err := layout(ctx, dotOf(d), "json")
	if err != nil {
		return fmt.Errorf("draw png: %w", err)
	}
	if err := rasterize(w, drawn); err != nil {
		return fmt.Errorf("draw png: %w", err)
	}
	return nil
}

// layout runs Graphviz on dot.
func layout(ctx context.Context, dot []byte, format graphviz.Format) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	graphvizMu.Lock()
	defer graphvizMu.Unlock()
	g, err := graphviz.New(ctx)
	if err != nil {
		return nil, err
	}
	// What Close returns is not about closing: Graphviz's last warning, of
	// whatever it was. The picture is complete by then.
	defer func() { _ = g.Close() }()
	graph, err := graphviz.ParseBytes(dot)
	if err != nil {
		return nil, err
	}
	defer func() { _ = graph.Close() }()
	var b bytes.Buffer
	if err := g.Render(ctx, graph, format, &b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
