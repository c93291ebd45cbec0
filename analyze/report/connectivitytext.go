package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/connectivity"
)

// maxNames is how many names of a namespace a line lists.
const maxNames = 24

// A connectivityTexter writes a report for people.
type connectivityTexter struct {
	r     *connectivity.Report
	b     strings.Builder
	width int
}

func writeConnectivityText(_ context.Context, w io.Writer, r *connectivity.Report, o TextOptions) error {
	t := &connectivityTexter{r: r, width: o.Width}
	if t.width <= 0 {
		t.width = 100
	}
	t.head()
	t.isolation()
	for _, section := range []struct {
		title string
		to    connectivity.Kind
	}{{"To pods", connectivity.Pods}, {"To nodes", connectivity.Nodes}, {"To addresses outside", connectivity.Outside}} {
		t.lines(section.title, section.to)
	}
	t.cutOff()
	t.services()
	t.list("Not known", r.Doubts)
	t.list("Taken for granted", r.Notes)
	t.list("Not understood, and left out", r.Problems)
	_, err := io.WriteString(w, t.b.String())
	return err
}

// item writes a line with what follows indented.
func (t *connectivityTexter) item(indent, text string) {
	for i, line := range wrap(clean(text), max(t.width-len(indent)-2, 20)) {
		if i > 0 {
			t.b.WriteString("  ")
		}
		t.b.WriteString(indent + line + "\n")
	}
}

func (t *connectivityTexter) head() {
	workloads, nodes := 0, 0
	for i := range t.r.Groups {
		workloads += len(t.r.Groups[i].Workloads)
		nodes += len(t.r.Groups[i].Nodes)
	}
	text := fmt.Sprintf("%s, %s of %s, %s", policiesText(t.r), count(t.r.Pods, "pod"), count(workloads, "workload"), count(nodes, "node"))
	if t.r.Namespace != "" {
		text += "; only what is from or to namespace " + t.r.Namespace
	}
	t.item("", text)
	if t.r.Policies > 0 && t.r.Unenforced != "" {
		t.item("", "Not enforced: "+t.r.Unenforced+".")
	}
}

func policiesText(r *connectivity.Report) string {
	if r.Policies == 1 {
		return "1 policy"
	}
	return fmt.Sprintf("%d policies", r.Policies)
}

// isolation lists which pods are isolated and which are not.
func (t *connectivityTexter) isolation() {
	sides, ruled := map[string][]int{}, []int{}
	for i := range t.r.Groups {
		g := &t.r.Groups[i]
		side := sideOf(g)
		if side != "neither" || g.Kind == connectivity.Pods {
			sides[side] = append(sides[side], i)
		}
		if side == "neither" && len(g.Ingress.Policies)+len(g.Egress.Policies) > 0 {
			ruled = append(ruled, i)
		}
	}
	t.b.WriteString("\nIsolated (what no rule allows is denied)\n")
	for _, side := range []string{"both", "ingress", "egress", "neither"} {
		if groups := sides[side]; len(groups) > 0 {
			t.item("  ", side+": "+t.r.Name(groups, maxNames))
		}
	}
	if len(ruled) > 0 {
		t.item("  ", "neither, but with policies that may deny: "+t.r.Name(ruled, maxNames))
	}
}

// sideOf says in which directions a group is isolated.
func sideOf(g *connectivity.Group) string {
	switch {
	case g.Ingress.Isolated && g.Egress.Isolated:
		return "both"
	case g.Ingress.Isolated:
		return "ingress"
	case g.Egress.Isolated:
		return "egress"
	}
	return "neither"
}

// lines writes the connections to one kind of groups.
func (t *connectivityTexter) lines(title string, to connectivity.Kind) {
	lines := t.r.Lines(to)
	if len(lines) == 0 {
		return
	}
	t.b.WriteString("\n" + title + "\n")
	for i := range lines {
		l := &lines[i]
		t.item("  ", t.r.Name(l.From, maxNames)+" -> "+t.r.Name(l.To, maxNames)+": "+flowText(l.Flow))
	}
}

// flowText is what may pass, broken between protocols only.
func flowText(f connectivity.Flow) string {
	text := ""
	if f.Family != "" {
		text = string(f.Family) + " "
	}
	ports := func(p connectivity.Ports) string {
		return strings.ReplaceAll(strings.ReplaceAll(p.String(), " ", nbsp), ";"+nbsp, "; ")
	}
	switch {
	case f.Unknown.Empty():
		return text + ports(f.Allowed)
	case f.Allowed.Empty():
		return text + "not" + nbsp + "known: " + ports(f.Unknown)
	}
	return text + ports(f.Allowed) + "; not" + nbsp + "known: " + ports(f.Unknown)
}

// cutOff lists the pods that nothing reaches, and those that reach nothing.
func (t *connectivityTexter) cutOff() {
	heard, spoke := map[int]bool{}, map[int]bool{}
	for i := range t.r.Connections {
		c := &t.r.Connections[i]
		spoke[c.From], heard[c.To] = true, true
	}
	var deaf, mute []int
	for i := range t.r.Groups {
		if t.r.Groups[i].Kind != connectivity.Pods || !t.r.About(i) {
			continue
		}
		if !heard[i] {
			deaf = append(deaf, i)
		}
		if !spoke[i] {
			mute = append(mute, i)
		}
	}
	if len(deaf)+len(mute) > 0 {
		t.b.WriteString("\nCut off\n")
	}
	if len(deaf) > 0 {
		t.item("  ", "nothing reaches: "+t.r.Name(deaf, maxNames))
	}
	if len(mute) > 0 {
		t.item("  ", "reach nothing: "+t.r.Name(mute, maxNames))
	}
}

// services writes who reaches the backends of Services, equal ones together.
func (t *connectivityTexter) services() {
	if len(t.r.Services) == 0 {
		return
	}
	t.b.WriteString("\nServices, by their backends\n")
	var empty []string
	for i := range t.r.Services {
		s := &t.r.Services[i]
		text := fmt.Sprintf("svc %s:%d/%s", s.Name, s.Port, s.Protocol)
		if len(s.Backends) == 0 {
			empty = append(empty, text)
			continue
		}
		t.item("  ", fmt.Sprintf("%s -> %s: %s", text, t.backends(s), t.reach(s)))
	}
	if len(empty) > 0 {
		t.item("  ", "without a backend: "+strings.Join(empty, ", "))
	}
}

// backends names the backends of a Service by their ports.
func (t *connectivityTexter) backends(s *connectivity.Service) string {
	ports, names := []uint16{}, []string{}
	for i := range s.Backends {
		b := &s.Backends[i]
		if !slices.Contains(ports, b.Port) {
			ports = append(ports, b.Port)
		}
		name := b.Pod
		if name == "" {
			name = b.IP.String()
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	const few = 3
	text := strings.Join(names[:min(len(names), few)], ",")
	if len(names) > few {
		text += fmt.Sprintf(" and %d more", len(names)-few)
	}
	slices.Sort(ports)
	return text + " port " + strings.Trim(strings.ReplaceAll(fmt.Sprint(ports), " ", ","), "[]")
}

func (t *connectivityTexter) reach(s *connectivity.Service) string {
	var parts []string
	for _, p := range []struct {
		what   string
		groups []int
	}{{"from ", s.All}, {"some backends only from ", s.Some}, {"not known from ", s.Unknown}} {
		if len(p.groups) > 0 {
			parts = append(parts, p.what+t.r.Name(p.groups, maxNames))
		}
	}
	return cmp.Or(strings.Join(parts, "; "), "from nobody")
}

func (t *connectivityTexter) list(title string, items []string) {
	if len(items) == 0 {
		return
	}
	const most = 20
	t.b.WriteString("\n" + title + "\n")
	for _, text := range items[:min(len(items), most)] {
		t.item("  ", text)
	}
	if len(items) > most {
		t.item("  ", fmt.Sprintf("and %d more", len(items)-most))
	}
}
