package report

import (
	"context"
	"io"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// TextOptions say what a terminal can do. Only text output looks at them.
type TextOptions struct {
	Color bool // use ANSI colours
	Width int  // columns to wrap prose at; 0 means 100
}

// A FormatOf is one way to show a T.
type FormatOf[T any] struct {
	Name, Doc string
	Write     func(context.Context, io.Writer, T, TextOptions) error
}

// A Format is one way to show a Diagnosis.
type Format = FormatOf[*Diagnosis]

// Formats returns every format, the default one first.
func Formats() []Format {
	return []Format{
		{"text", "outcome, reason and hops, for people", writeText},
		{"json", "everything, for programs (docs/json-output.md)", writeJSON},
		{"dot", "the path in the Graphviz language", writeDOT},
		{"svg", "the path as a picture that scales", writeSVG},
		{"png", "the path as a picture for chats and tickets", writePNG},
	}
}

func writeText(_ context.Context, w io.Writer, d *Diagnosis, o TextOptions) error {
	return WriteText(w, d, o)
}

func writeJSON(_ context.Context, w io.Writer, d *Diagnosis, _ TextOptions) error {
	return WriteJSON(w, d)
}

func writeDOT(_ context.Context, w io.Writer, d *Diagnosis, _ TextOptions) error {
	return WriteDOT(w, d)
}

func writeSVG(ctx context.Context, w io.Writer, d *Diagnosis, _ TextOptions) error {
	return WriteSVG(ctx, w, d)
}

func writePNG(ctx context.Context, w io.Writer, d *Diagnosis, _ TextOptions) error {
	return WritePNG(ctx, w, d)
}

// ExitCode returns what the process should exit with after outcome o: 0 if it
// is reached, 3 if it is not, 4 if that is unknown or differs by branch.
// Usage errors (2) and internal errors (1) are not outcomes.
func ExitCode(o model.Outcome) int {
	switch o {
	case model.OutcomeReached:
		return 0
	case model.OutcomeRefused, model.OutcomeUnreachable, model.OutcomeTimeout, model.OutcomeStalled:
		return 3
	default:
		return 4
	}
}
