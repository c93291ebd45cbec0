package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// WriteText writes d for people: the outcome first, then what explains it and
// the smallest change that would mend it, then the hops.
func WriteText(w io.Writer, d *Diagnosis, o TextOptions) error {
	if o.Width <= 0 {
		o.Width = 100
	}
	t := &texter{d: d, TextOptions: o}
	t.headline()
	t.suspicions()
	t.journeys()
	t.ways()
	t.unknowns(taken)
	t.footer()
	_, err := io.WriteString(w, t.b.String())
	return err
}

// A texter collects the text of one diagnosis.
type texter struct {
	TextOptions
	d *Diagnosis
	b strings.Builder
}

// An ink is an ANSI style.
type ink string

const (
	plain  ink = ""
	bold   ink = "1"
	dim    ink = "2"
	red    ink = "1;31"
	green  ink = "1;32"
	yellow ink = "1;33"
	cyan   ink = "36"
)

// paint writes s in an ink, without what it must not contain. Every word that
// comes from a bundle goes through it once.
func (t *texter) paint(i ink, s string) string {
	s = clean(s)
	if !t.Color || i == plain || s == "" {
		return s
	}
	return "\x1b[" + string(i) + "m" + s + "\x1b[0m"
}

// line writes s behind indent, wrapped at the width; lines after the first
// hang below the text of the first.
func (t *texter) line(indent, first string, i ink, s string) {
	if s == "" {
		return
	}
	pad := strings.Repeat(" ", len([]rune(first)))
	for n, l := range wrap(s, t.Width-len(indent)-len(pad)) {
		if n > 0 {
			first = pad
		}
		t.b.WriteString(indent + first + t.paint(i, l) + "\n")
	}
}

func outcomeInk(o model.Outcome) ink {
	switch o {
	case model.OutcomeReached:
		return green
	case model.OutcomeMixed, model.OutcomeUnknown:
		return yellow
	default:
		return red
	}
}

func (t *texter) headline() {
	fmt.Fprintf(&t.b, "%s: %s\n", t.paint(bold, t.d.question()), t.paint(outcomeInk(t.d.Outcome), t.d.answer()))
}

func (t *texter) suspicions() {
	for i, s := range t.d.Suspicions {
		switch {
		case i == 0 && t.d.Outcome == model.OutcomeReached:
			t.title("Suspicious, though it works:")
		case i == 0:
			t.title("Why:")
		case i == 1 && t.d.Outcome != model.OutcomeReached:
			t.title("Also suspicious:")
		}
		t.suspicion(s)
	}
}

func (t *texter) title(s string) { t.b.WriteString("\n" + t.paint(bold, s) + "\n") }

func (t *texter) suspicion(s model.Suspicion) {
	i := yellow
	if s.Level == model.SuspicionLevelFatal || s.Level == model.SuspicionLevelCritical {
		i = red
	}
	fmt.Fprintf(&t.b, "  %s at %s\n", t.paint(i, s.Level.String()+" "+s.Code), t.paint(plain, hopName(s.On)))
	t.line("    ", "", plain, s.Message)
	if s.Evidence != "" {
		t.line("    ", "see ", cyan, s.Evidence)
	}
	if rule := t.d.ruleAt(s.On, s.Evidence); rule != "" && !strings.Contains(s.Message, rule) {
		t.b.WriteString("        " + t.paint(dim, rule) + "\n") // whole, to be searched for
	}
	if s.Remedy != "" {
		t.b.WriteString("    fix " + t.paint(bold, s.Remedy) + "\n") // whole, to be pasted
	}
}

// ways lists the branches, equal ones as one.
func (t *texter) ways() {
	if len(t.d.Branches) < 2 {
		return
	}
	t.title(fmt.Sprintf("All %d branches:", len(t.d.Branches)))
	for _, g := range t.d.groups() {
		t.b.WriteString(fmt.Sprintf("  %4s ", percent(g.share)) + t.paint(outcomeInk(g.branch.Outcome), string(g.branch.Outcome)))
		if g.count > 1 {
			fmt.Fprintf(&t.b, " (%d branches)", g.count)
		}
		if why := g.branch.why(g.branch.Outcome); why != "" {
			t.b.WriteString(": " + t.paint(plain, why))
		}
		t.b.WriteString("\n")
		t.line("       ", "", dim, places(g.branch.Request))
	}
}

// places is the way of a packet in one line.
func places(d Direction) string {
	var names []string
	for _, h := range d.Hops {
		names = append(names, hopName(h.At))
	}
	return strings.Join(names, " → ")
}

// taken is above what an answer about packets rests on.
const taken = "Taken for granted, or not to be decided from the bundle:"

func (t *texter) unknowns(title string) {
	if len(t.d.Unknowns) == 0 {
		return
	}
	t.title(title)
	for _, u := range t.d.Unknowns {
		t.line("  ", "- ", plain, u.What)
		if u.Evidence != "" {
			t.line("    ", "see ", cyan, u.Evidence)
		}
	}
}

func (t *texter) footer() {
	plugin := networksText(t.d.Plugin, t.d.Networks)
	if t.d.ProxyMode != "" {
		plugin += ", kube-proxy mode " + t.d.ProxyMode
	}
	t.b.WriteString("\n")
	t.line("", "", dim, plugin)
	t.line("", "", dim, t.d.Hosting.text())
}

// text says what is known of the network between machines, "" if it does not
// matter.
func (h Hosting) text() string {
	if h.Provider == "" {
		return ""
	}
	text := "between machines: cloud provider " + h.Provider
	if h.Evidence != "" {
		text += " (" + h.Evidence + ")"
	}
	switch {
	case !h.Checked && len(h.Assumed) > 0:
		text += ", taken to be good: " + strings.Join(h.Assumed, ", ")
	case !h.Checked:
		text += ", taken to be good"
	case len(h.Assumed) > 0:
		text += ", checked; taken to be good, since the bundle has not got it: " + strings.Join(h.Assumed, ", ")
	default:
		text += ", checked"
	}
	return text
}
