package report

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/trace"
)

// writeTraceText writes t for people: the verdict first, then every way with
// all its steps.
func writeTraceText(_ context.Context, w io.Writer, t *Trace, o TextOptions) error {
	if o.Width <= 0 {
		o.Width = 100
	}
	x := &texter{TextOptions: o, d: &Diagnosis{}}
	fmt.Fprintf(&x.b, "%s: %s\n", x.paint(bold, t.question()), x.paint(sumInk(&t.Result), t.answer()))
	for i := range t.Outcomes {
		x.way(i, &t.Outcomes[i], len(t.Outcomes))
	}
	x.d.Unknowns = t.Unknowns
	x.unknowns(taken)
	_, err := io.WriteString(w, x.b.String())
	return err
}

func sumInk(r *trace.Result) ink {
	return map[string]ink{trace.Passes: green, trace.Stopped: red, trace.Open: yellow}[r.Sum()]
}

func verdictInk(v trace.Verdict) ink {
	switch v {
	case trace.Forward, trace.Local:
		return green
	case trace.Drop, trace.Reject:
		return red
	}
	return yellow
}

// way writes one way out.
func (t *texter) way(i int, o *trace.Outcome, of int) {
	t.b.WriteString("\n")
	if of > 1 {
		t.b.WriteString(t.paint(bold, fmt.Sprintf("Way %d, %s: ", i+1, percent(o.Share))) + t.paint(verdictInk(o.Verdict), ended(o)) + "\n")
	}
	for _, d := range o.Doubts {
		t.line("  ", "if ", yellow, d.What)
		t.line("     ", "see ", cyan, d.Evidence)
	}
	wide := 0
	for _, s := range o.Steps {
		wide = max(wide, len([]rune(s.Where)))
	}
	for _, s := range o.Steps {
		t.traced(s, min(wide, 32))
	}
	if o.Reason != "" && o.Verdict != trace.Forward {
		sign := "× "
		if o.Verdict == trace.Local {
			sign = "→ "
		}
		t.line("  ", sign, verdictInk(o.Verdict), o.Reason)
		t.line("    ", "see ", cyan, o.Evidence)
	}
	if o.Remedy != "" {
		t.b.WriteString("    fix " + t.paint(bold, o.Remedy) + "\n")
	}
	if o.Answer != nil {
		t.line("  ", "← ", plain, answerText(o.Answer))
	}
	if o.Packet.Protocol != "" {
		t.line("  ", "= ", plain, packetText(&o.Packet))
	}
}

// traced writes one step: where, what was done, by which rule, and where that
// is written.
func (t *texter) traced(s model.Step, wide int) {
	where := elide(s.Where, 32)
	where += strings.Repeat(" ", max(0, wide-len([]rune(where)))) + "  "
	i := plain
	if bad(s) {
		i = red
	}
	pad := "  " + strings.Repeat(" ", len([]rune(where)))
	t.line("  ", t.paint(plain, where), i, s.Action)
	if s.Rule != "" {
		t.b.WriteString(pad + t.paint(dim, s.Rule) + "\n") // whole, to be searched for
	}
	if s.Evidence != "" {
		t.b.WriteString(pad + t.paint(cyan, s.Evidence) + "\n")
	}
}

func packetText(p *model.Packet) string {
	s := p.String()
	if p.Mark != 0 {
		s += fmt.Sprintf(" mark 0x%x", p.Mark)
	}
	return s
}

func answerText(p *model.Packet) string {
	switch p.Kind {
	case model.KindError:
		return fmt.Sprintf("the sender is told: %s type %d code %d", p.Protocol, p.ICMPType, p.ICMPCode)
	case model.KindReset:
		return "the sender is told: a reset"
	}
	return "the sender is answered"
}
