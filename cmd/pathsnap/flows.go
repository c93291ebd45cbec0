package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/analyze/report"
)

// A flow is one line of --flows.
type flow struct {
	Src      string `json:"src"`
	Dst      string `json:"dst"`
	Port     uint   `json:"port"`
	Protocol string `json:"protocol"`
}

// flows answers every line of --flows with a line of JSON, and ends as the
// worst of them.
func (a *analysis) flows(analyzer *analyze.Analyzer) error {
	in, done, err := openLines("flows", a.c.String("flows"), a.std)
	if err != nil {
		return err
	}
	defer done()
	code := exitOK
	err = writeFile(a.c.String("output"), reportPerm, a.std.out, func(w io.Writer) error {
		return eachLine("flows", in, func(line []byte) error {
			next, err := answerLine(w, analyzer, line)
			code = worse(code, next)
			return err
		})
	})
	if err != nil {
		return err
	}
	return status(code)
}

// openLines opens the file of questions that a flag names; "-" is standard
// input. The caller calls done.
func openLines(flag, name string, std streams) (in io.Reader, done func(), err error) {
	if name == standard {
		return std.in, func() {}, nil
	}
	if isDir(name) {
		return nil, nil, usagef("--%s %s: a directory, not a file", flag, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", flag, err)
	}
	return f, func() { _ = f.Close() }, nil
}

// eachLine calls do for every line of r that is not blank. The flag that named r
// is in the error of what cannot be read.
func eachLine(flag string, r io.Reader, do func([]byte) error) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if err := do(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
	}
}

// answerLine writes the answer of one line and returns its exit code.
func answerLine(w io.Writer, analyzer *analyze.Analyzer, line []byte) (int, error) {
	q, err := parseFlow(line)
	var d *report.Diagnosis
	if err == nil {
		d, err = analyzer.Ask(q)
	}
	if err != nil {
		return hintFor(err).code, report.WriteJSONError(w, err)
	}
	return report.ExitCode(d.Outcome), report.WriteJSONLine(w, d)
}

// parseFlow parses one line.
func parseFlow(line []byte) (analyze.Question, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var f flow
	if err := dec.Decode(&f); err != nil {
		return analyze.Question{}, usagef("not a flow: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return analyze.Question{}, usagef("not a flow: more than one value on the line")
	}
	if f.Src == "" || f.Dst == "" {
		return analyze.Question{}, usagef(`not a flow: it needs "src" and "dst"`)
	}
	return question(f.Src, f.Dst, f.Port, f.Protocol)
}

// worse returns the worse of two exit codes. What cannot be asked is worse
// than what is not reached, and that is worse than not to know.
func worse(a, b int) int {
	order := []int{exitOK, 4, 3, exitUsage, exitInternal}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}
