package report

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A Finding is what one check of a whole bundle found.
type Finding struct {
	model.Suspicion
	Check string // name of the check, such as "sysctls"
	Node  string // that it is about, "" if it is about the cluster
}

// A Checkup is what all checks of a bundle found, and what they looked at.
type Checkup struct {
	Plugin    string    // that serves most nodes, "" if none does
	Networks  []Network // of the nodes; nil if nobody looked
	Hosting   Hosting   // what lies between the machines
	ProxyMode string    // of kube-proxy, "" if it is not known
	Only      string    // the node that was asked for, "" for all
	Nodes     int       // that were looked at
	Pods      int       // of these nodes, those that have ended left out
	Services  int
	Checks    []CheckRun
	Findings  []Finding     // sorted by level (the worst first), code and node; of level info too
	Unknowns  []model.Doubt // what kept a check from its answer
}

// A CheckRun is one check that was run.
type CheckRun struct {
	Name  string
	Doc   string   // what it looks for, in a few words
	Codes []string // that it may report, sorted
	Found int      // findings of any level
}

// CheckFormats returns every format of a checkup, the default one first.
func CheckFormats() []FormatOf[*Checkup] {
	return []FormatOf[*Checkup]{
		{"text", "what was found, and what was looked at, for people",
			func(_ context.Context, w io.Writer, c *Checkup, o TextOptions) error { return WriteCheckup(w, c, o) }},
		{"json", "everything, for programs (docs/json-output.md)",
			func(_ context.Context, w io.Writer, c *Checkup, _ TextOptions) error { return WriteCheckupJSON(w, c) }},
	}
}

// SortFindings puts findings in the order of the report: by level, the worst
// first, by code, by node, and then by message.
func SortFindings(list []Finding) {
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(-cmp.Compare(a.Level, b.Level), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Node, b.Node),
			cmp.Compare(a.Message, b.Message), cmp.Compare(a.Evidence, b.Evidence))
	})
}

// ExitCode returns what the process should exit with: 3 if something of level
// warning or worse was found, 4 if nothing was but something kept a check from
// its answer, otherwise 0.
func (c *Checkup) ExitCode() int {
	findings, _ := c.split()
	switch {
	case len(findings) > 0:
		return ExitCode(model.OutcomeTimeout)
	case len(c.Unknowns) > 0:
		return ExitCode(model.OutcomeUnknown)
	}
	return ExitCode(model.OutcomeReached)
}

// split parts the findings of level warning and worse from those of level info.
func (c *Checkup) split() (findings, notes []Finding) {
	for _, f := range c.Findings {
		if f.Level >= model.SuspicionLevelWarning {
			findings = append(findings, f)
		} else {
			notes = append(notes, f)
		}
	}
	return findings, notes
}

type (
	jsonCheckup struct {
		SchemaVersion int           `json:"schemaVersion"`
		Checked       jsonChecked   `json:"checked"`
		Findings      []jsonFinding `json:"findings"`
		Notes         []jsonFinding `json:"notes"`
		Unknowns      []jsonUnknown `json:"unknowns"`
		Plugin        string        `json:"plugin"`
		Networks      []jsonNetwork `json:"networks"`
		Underlay      *jsonUnderlay `json:"underlay,omitempty"`
		ProxyMode     string        `json:"proxyMode"`
	}
	jsonChecked struct {
		Nodes    int         `json:"nodes"`
		Services int         `json:"services"`
		Pods     int         `json:"pods"`
		Node     string      `json:"node"`
		Checks   []jsonCheck `json:"checks"`
	}
	jsonCheck struct {
		Name  string   `json:"name"`
		Codes []string `json:"codes"`
		Found int      `json:"found"`
	}
	jsonFinding struct {
		Level    string `json:"level"`
		Code     string `json:"code"`
		Check    string `json:"check"`
		Node     string `json:"node"`
		On       string `json:"on"`
		Message  string `json:"message"`
		Evidence string `json:"evidence"`
		Remedy   string `json:"remedy"`
	}
)

// WriteCheckupJSON writes c as one indented JSON object (docs/json-output.md).
func WriteCheckupJSON(w io.Writer, c *Checkup) error {
	findings, notes := c.split()
	j := jsonCheckup{
		SchemaVersion: SchemaVersion,
		Checked:       jsonChecked{Nodes: c.Nodes, Services: c.Services, Pods: c.Pods, Node: c.Only, Checks: []jsonCheck{}},
		Findings:      findingsJSON(findings), Notes: findingsJSON(notes), Unknowns: []jsonUnknown{},
		Plugin: c.Plugin, Networks: networksJSON(c.Networks), ProxyMode: c.ProxyMode,
		Underlay: underlayJSON(c.Hosting),
	}
	for _, r := range c.Checks {
		j.Checked.Checks = append(j.Checked.Checks, jsonCheck{r.Name, append([]string{}, r.Codes...), r.Found})
	}
	for _, u := range c.Unknowns {
		j.Unknowns = append(j.Unknowns, unknownJSON(u))
	}
	return encode(w, j, "  ")
}

func findingsJSON(list []Finding) []jsonFinding {
	out := []jsonFinding{}
	for _, f := range list {
		out = append(out, jsonFinding{f.Level.String(), f.Code, f.Check, f.Node, hopText(f.On), f.Message, f.Evidence, f.Remedy})
	}
	return out
}

// WriteCheckup writes c for people: what was found first, the worst on top,
// then what was checked and what could not be.
func WriteCheckup(w io.Writer, c *Checkup, o TextOptions) error {
	if o.Width <= 0 {
		o.Width = 100
	}
	t := &texter{d: &Diagnosis{Plugin: c.Plugin, Networks: c.Networks, ProxyMode: c.ProxyMode, Hosting: c.Hosting}, TextOptions: o}
	findings, notes := c.split()
	t.b.WriteString(t.paint(checkInk(len(findings), len(c.Unknowns)), c.verdict(findings)) + "\n")
	for _, f := range findings {
		t.finding(f)
	}
	if len(notes) > 0 {
		t.title("Worth knowing:")
		for _, f := range notes {
			t.note(f)
		}
	}
	t.d.Unknowns = c.Unknowns
	t.unknowns("Could not be checked:")
	t.title("Checked:")
	t.line("  ", "", plain, c.scope())
	for _, r := range c.Checks {
		t.line("  ", fmt.Sprintf("%-12s ", r.Name), plain, r.Doc)
	}
	t.footer()
	_, err := io.WriteString(w, t.b.String())
	return err
}

func checkInk(findings, unknowns int) ink {
	switch {
	case findings > 0:
		return red
	case unknowns > 0:
		return yellow
	}
	return green
}

// verdict is the first line.
func (c *Checkup) verdict(findings []Finding) string {
	switch {
	case len(findings) > 0:
		return count(len(findings), "finding") + ", the worst first"
	case len(c.Unknowns) > 0:
		return "Nothing found, but not all could be checked"
	}
	return "Nothing found"
}

// scope says what the checks looked at.
func (c *Checkup) scope() string {
	text := fmt.Sprintf("%s, %s, %s, %s", count(c.Nodes, "node"), count(c.Services, "Service"), count(c.Pods, "pod"), count(len(c.Checks), "check"))
	if c.Only != "" {
		text += "; only what is about node " + c.Only
	}
	return text
}

func (t *texter) finding(f Finding) {
	i := yellow
	if f.Level >= model.SuspicionLevelCritical {
		i = red
	}
	t.b.WriteString("\n  " + t.paint(i, f.Level.String()+" "+f.Code) + t.paint(plain, f.at()) + "\n")
	t.line("    ", "", plain, f.Message)
	if f.Evidence != "" {
		t.line("    ", "see ", cyan, f.Evidence)
	}
	if f.Remedy != "" {
		t.b.WriteString("    fix " + t.paint(bold, f.Remedy) + "\n") // whole, to be pasted
	}
}

// note writes a finding of level info in as few lines as it takes.
func (t *texter) note(f Finding) {
	t.line("  ", "- ", plain, f.Code+f.at()+": "+f.Message)
	if f.Evidence != "" {
		t.line("    ", "see ", cyan, f.Evidence)
	}
}

// at is " at node n1", with the pod where it is about one, or "".
func (f *Finding) at() string {
	var where []string
	if f.On != (model.Hop{}) && (f.On.Type != model.NetNodeTypeNode || f.On.ID != f.Node) {
		where = append(where, hopName(f.On))
	}
	if f.Node != "" {
		where = append(where, "node "+f.Node)
	}
	if len(where) == 0 {
		return ""
	}
	return " at " + strings.Join(where, ", ")
}
