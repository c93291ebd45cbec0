package policy

import (
	"fmt"
	"io"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// WriteText writes an answer for people. Flows with equal explanations, such as
// those of a Service's backends, are told once.
func WriteText(w io.Writer, a *Answer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s -> %s %s: %s\n", a.Question.Src, a.Question.Dst, a.Question.portText(), strings.ToUpper(string(a.Outcome)))
	var order []string
	titles := map[string][]string{}
	for _, x := range a.Flows {
		text := x.text()
		if titles[text] == nil {
			order = append(order, text)
		}
		titles[text] = append(titles[text], x.title())
	}
	for _, text := range order {
		b.WriteString("\n")
		for _, title := range titles[text] {
			b.WriteString(title + "\n")
		}
		b.WriteString(text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// portText is "TCP 80", without the number where the destination tells it.
func (q *Question) portText() string {
	if q.Port == 0 {
		return strings.ToUpper(string(q.Protocol))
	}
	return fmt.Sprintf("%s %d", strings.ToUpper(string(q.Protocol)), q.Port)
}

// title names the flow.
func (x *Explanation) title() string {
	return fmt.Sprintf("%s -> %s %s: %s", where(&x.Flow.Src), where(&x.Flow.Dst), x.Flow.portText(), x.Verdict.Outcome())
}

// where is an end with its address.
func where(e *End) string {
	if !e.IP.IsValid() || e.String() == e.IP.String() {
		return e.String()
	}
	return fmt.Sprintf("%s (%s)", e, e.IP)
}

func (x *Explanation) text() string {
	var b strings.Builder
	if x.Verdict.Why != "" {
		return "  " + x.Verdict.Why + ", whatever the policies say\n"
	}
	for _, s := range []*Side{&x.Egress, &x.Ingress} {
		s.text(&b)
	}
	for _, text := range x.Verdict.Unknown {
		if x.Egress.Answer != netfilter.Maybe && x.Ingress.Answer != netfilter.Maybe {
			fmt.Fprintf(&b, "  not known: %s\n", text)
		}
	}
	for _, text := range x.Comments {
		fmt.Fprintf(&b, "  note: %s\n", text)
	}
	return b.String()
}

func (s *Side) text(b *strings.Builder) {
	fmt.Fprintf(b, "  %s of %s\n", s.Direction, s.End)
	for i := range s.Asked {
		fmt.Fprintf(b, "    %d. %s\n", i+1, s.Asked[i].text())
		for _, m := range s.Asked[i].Misses {
			fmt.Fprintf(b, "         %s\n", m)
		}
	}
	fmt.Fprintf(b, "    => %s\n", s.Why)
	if s.Change != "" {
		fmt.Fprintf(b, "    smallest change: %s\n", s.Change)
	}
}

func (a *Asked) text() string {
	switch {
	case a.Rule == "":
		return fmt.Sprintf("%s selects it, and no rule holds:", a.Policy)
	case a.Maybe:
		return fmt.Sprintf("%s selects it; %s may hold and would %s", a.Policy, a.Rule, a.Action)
	}
	return fmt.Sprintf("%s selects it; %s holds: %s", a.Policy, a.Rule, a.Action)
}
