package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/analyze/report"
)

// formatFlag is --format of a command that has these formats.
func formatFlag[T any](all []report.FormatOf[T]) cli.Flag {
	return &cli.StringFlag{Name: "format", Usage: "`FORMAT`: " + formatNames(all), DefaultText: "by the name of the output, else text"}
}

func formatNames[T any](all []report.FormatOf[T]) string {
	var names []string
	for _, f := range all {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// chooseFormat is the format that is asked for, by its flag or by the name of
// the output.
func chooseFormat[T any](c *cli.Context, std streams, all []report.FormatOf[T]) (report.FormatOf[T], error) {
	name, output := c.String("format"), c.String("output")
	f, ok := findFormat(all, name, strings.ToLower(filepath.Ext(output)))
	if !ok {
		return f, usagef("--format %q: there are %s", name, formatNames(all))
	}
	if f.Name == "png" && (output == "" || output == standard) && terminal(std.out) {
		return f, usagef("a PNG is not for the terminal; name a file with -o")
	}
	return f, nil
}

// findFormat finds a format by its name, or without one by the extension of
// a file; what has no format of its own is the first.
func findFormat[T any](all []report.FormatOf[T], name, extension string) (report.FormatOf[T], bool) {
	for _, f := range all {
		if f.Name == name || name == "" && extension == "."+f.Name {
			return f, true
		}
	}
	return all[0], name == ""
}

// noFormat refuses a --format with a flag whose answers are lines of JSON.
func noFormat(c *cli.Context, flag string) error {
	if name := c.String("format"); name != "" && name != "json" {
		return usagef("--format %s: --%s answers in lines of JSON", name, flag)
	}
	return nil
}

// writeReport writes r to the output that the flags name.
func writeReport[T any](c *cli.Context, std streams, f report.FormatOf[T], r T) error {
	output := c.String("output")
	options := report.TextOptions{}
	if output == "" || output == standard {
		options = report.TextOptions{Color: terminal(std.out) && os.Getenv("NO_COLOR") == "", Width: columns(std.out)}
	}
	return writeFile(output, reportPerm, std.out, func(w io.Writer) error {
		return f.Write(context.WithoutCancel(c.Context), w, r, options)
	})
}
