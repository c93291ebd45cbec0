package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A NodeFidelity is how much of what a node has dumped is understood.
type NodeFidelity struct {
	Name       string
	External   bool // a host outside the cluster
	Namespaces []NetnsFidelity
	Error      string // why its namespaces are not known, "" if they are
}

// A NetnsFidelity is that of one network namespace.
type NetnsFidelity struct {
	Netns string
	netstack.Fidelity
	At    func(line int) string // evidence of a program
	Error string                // why it could not be read, "" if it could
}

// MaxNotUnderstood is how many entries of a namespace are listed unless all are
// asked for.
const MaxNotUnderstood = 20

type (
	jsonFidelity struct {
		SchemaVersion int                `json:"schemaVersion"`
		Total         jsonFidelityTotal  `json:"total"`
		Nodes         []jsonNodeFidelity `json:"nodes"`
	}
	jsonFidelityTotal struct {
		Nodes         int `json:"nodes"`
		Namespaces    int `json:"namespaces"`
		Rules         int `json:"rules"`
		NotUnderstood int `json:"notUnderstood"`
		Missing       int `json:"missing"`
		Programs      int `json:"programs"`
	}
	jsonNodeFidelity struct {
		Name       string              `json:"name"`
		External   bool                `json:"external"`
		Error      string              `json:"error,omitempty"`
		Namespaces []jsonNetnsFidelity `json:"namespaces"`
	}
	jsonNetnsFidelity struct {
		Netns         string        `json:"netns"`
		Error         string        `json:"error,omitempty"`
		Parts         []jsonTally   `json:"parts"`
		Programs      []jsonProgram `json:"programs"`
		NotUnderstood []jsonDoubt   `json:"notUnderstood"`
		More          int           `json:"more"`
	}
	jsonTally struct {
		What          string          `json:"what"`
		Status        nodedump.Status `json:"status"`
		Reason        string          `json:"reason"`
		Read          int             `json:"read"`
		NotUnderstood int             `json:"notUnderstood"`
	}
	jsonProgram struct {
		Hook     string `json:"hook"`
		Dev      string `json:"dev"`
		Kind     string `json:"kind"`
		Name     string `json:"name"`
		Evidence string `json:"evidence"`
	}
)

// totalOf sums up nodes. Rules are those of iptables and nftables.
func totalOf(nodes []NodeFidelity) (t jsonFidelityTotal) {
	t.Nodes = len(nodes)
	for _, n := range nodes {
		t.Namespaces += len(n.Namespaces)
		for _, ns := range n.Namespaces {
			t.NotUnderstood += len(ns.NotUnderstood)
			t.Programs += len(ns.Programs)
			for _, tally := range ns.Tallies {
				if strings.Contains(tally.What, "tables") {
					t.Rules += tally.Read
				}
				if !tally.Status.Known() {
					t.Missing++
				}
			}
		}
	}
	return t
}

// shown returns the entries to list, and how many are not.
func (n *NetnsFidelity) shown(all bool) ([]model.Doubt, int) {
	if all || len(n.NotUnderstood) <= MaxNotUnderstood {
		return n.NotUnderstood, 0
	}
	return n.NotUnderstood[:MaxNotUnderstood], len(n.NotUnderstood) - MaxNotUnderstood
}

// WriteFidelityJSON writes how much is understood as one indented JSON object
// (docs/json-output.md).
func WriteFidelityJSON(w io.Writer, nodes []NodeFidelity, all bool) error {
	j := jsonFidelity{SchemaVersion: SchemaVersion, Total: totalOf(nodes), Nodes: []jsonNodeFidelity{}}
	for _, n := range nodes {
		node := jsonNodeFidelity{Name: n.Name, External: n.External, Error: n.Error, Namespaces: []jsonNetnsFidelity{}}
		for i := range n.Namespaces {
			node.Namespaces = append(node.Namespaces, netnsFidelityJSON(&n.Namespaces[i], all))
		}
		j.Nodes = append(j.Nodes, node)
	}
	return encode(w, j, "  ")
}

func netnsFidelityJSON(n *NetnsFidelity, all bool) jsonNetnsFidelity {
	j := jsonNetnsFidelity{Netns: n.Netns, Error: n.Error, Parts: []jsonTally{}, Programs: []jsonProgram{}, NotUnderstood: []jsonDoubt{}}
	for _, t := range n.Tallies {
		j.Parts = append(j.Parts, jsonTally(t))
	}
	for _, p := range n.Programs {
		j.Programs = append(j.Programs, jsonProgram{p.Hook, p.Dev, p.Kind, p.Name, n.at(p.Line)})
	}
	list, more := n.shown(all)
	for _, d := range list {
		j.NotUnderstood = append(j.NotUnderstood, jsonDoubt(d))
	}
	j.More = more
	return j
}

func (n *NetnsFidelity) at(line int) string {
	if n.At == nil {
		return ""
	}
	return n.At(line)
}

// WriteFidelity writes how much is understood for people.
func WriteFidelity(w io.Writer, nodes []NodeFidelity, all bool) error {
	var b strings.Builder
	for _, n := range nodes {
		kind := "node "
		if n.External {
			kind = "external "
		}
		fmt.Fprintf(&b, "%s%s\n", kind, clean(n.Name))
		if n.Error != "" {
			fmt.Fprintf(&b, "  not read: %s\n", clean(n.Error))
		}
		for i := range n.Namespaces {
			writeNetnsFidelity(&b, &n.Namespaces[i], all)
		}
	}
	t := totalOf(nodes)
	fmt.Fprintf(&b, "%s, %s: %s read, %d entries not understood, %s missing, %s\n", count(t.Nodes, "host"), count(t.Namespaces, "namespace"),
		count(t.Rules, "rule"), t.NotUnderstood, count(t.Missing, "part"), count(t.Programs, "program"))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeNetnsFidelity(b *strings.Builder, n *NetnsFidelity, all bool) {
	fmt.Fprintf(b, "  %s\n", clean(n.Netns))
	if n.Error != "" {
		fmt.Fprintf(b, "    not read: %s\n", clean(n.Error))
		return
	}
	var read, missing []string
	for _, t := range n.Tallies {
		if !t.Status.Known() {
			missing = append(missing, strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", t.What, t.Status, clean(t.Reason)), ": "))
		}
		if t.Read > 0 {
			text := fmt.Sprintf("%s %d", t.What, t.Read)
			if t.NotUnderstood > 0 {
				text += fmt.Sprintf(" (%d not understood)", t.NotUnderstood)
			}
			read = append(read, text)
		}
	}
	fmt.Fprintf(b, "    read: %s\n", cmp.Or(strings.Join(read, ", "), "nothing"))
	for _, m := range missing {
		fmt.Fprintf(b, "    missing: %s\n", m)
	}
	for _, p := range n.Programs {
		fmt.Fprintf(b, "    program: %s\n", clean(strings.Join(strings.Fields(strings.Join([]string{p.Hook, p.Dev, p.Kind, p.Name, n.at(p.Line)}, " ")), " ")))
	}
	list, more := n.shown(all)
	for _, d := range list {
		fmt.Fprintf(b, "    %s\n", clean(strings.TrimPrefix(d.Evidence+": ", ": ")+d.What))
	}
	if more > 0 {
		fmt.Fprintf(b, "    and %d more, which --all shows\n", more)
	}
}

// count is "1 rule", "2 rules".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
