package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/report"
)

// maxUnknowns is how many unknowns a line of the answer to --packets has: they
// are the same each time.
const maxUnknowns = 20

// many answers every line of --packets with a line of JSON, in order, and ends
// as the worst of them.
func (t *tracing) many() error {
	in := t.std.in
	if name := t.c.String("packets"); name != standard {
		if isDir(name) {
			return usagef("--packets %s: a directory, not a file", name)
		}
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("packets: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	if s := t.space; len(s.unknowns) > maxUnknowns {
		more := fmt.Sprintf("%d more unknowns: trace one packet without --packets to see all", len(s.unknowns)-maxUnknowns)
		s.unknowns = append(s.unknowns[:maxUnknowns:maxUnknowns], model.Doubt{What: more})
	}
	code := exitOK
	err := writeFile(t.c.String("output"), reportPerm, t.std.out, func(w io.Writer) (err error) {
		code, err = t.stream(in, w)
		return err
	})
	if err != nil {
		return err
	}
	return status(code)
}

// A packetJob is one line while it is answered.
type packetJob struct {
	number int
	line   []byte
	answer bytes.Buffer
	code   int
	err    error
}

// batchLines is how many lines are read before they are answered together.
const batchLines = 512

// stream answers the lines of in, batch by batch. A terminal or a pipe that
// waits for an answer gets it: a batch ends where no more is there to read.
func (t *tracing) stream(in io.Reader, out io.Writer) (code int, err error) {
	lines := bufio.NewReaderSize(in, 1<<16)
	w := bufio.NewWriterSize(out, 1<<16)
	for number, end := 0, false; !end; {
		var batch []*packetJob
		for len(batch) < batchLines && !end {
			line, e := lines.ReadBytes('\n')
			if number++; len(bytes.TrimSpace(line)) > 0 {
				batch = append(batch, &packetJob{number: number, line: line})
			}
			if e != nil && !errors.Is(e, io.EOF) {
				return code, fmt.Errorf("packets: %w", e)
			}
			end = e != nil
			if lines.Buffered() == 0 {
				break
			}
		}
		t.answer(batch)
		for _, job := range batch {
			if job.err != nil {
				return code, job.err
			}
			code = worse(code, job.code)
			if _, err := w.Write(job.answer.Bytes()); err != nil {
				return code, err
			}
		}
		if err := w.Flush(); err != nil {
			return code, err
		}
	}
	return code, nil
}

// answer answers a batch on all processors: a namespace does not change.
func (t *tracing) answer(batch []*packetJob) {
	workers := min(runtime.GOMAXPROCS(0), len(batch))
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			for i := k; i < len(batch); i += workers {
				batch[i].run(t.space)
			}
		})
	}
	wg.Wait()
}

func (j *packetJob) run(s *space) {
	q, err := parsePacketLine(j.line)
	if err == nil {
		err = s.check(&q)
	}
	if err != nil {
		j.code, j.err = exitUsage, report.WriteTraceError(&j.answer, j.number, err)
		return
	}
	r := s.trace(q)
	j.code, j.err = report.TraceExitCode(&r.Result), report.WriteTraceLine(&j.answer, r)
}
