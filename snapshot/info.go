package snapshot

import (
	"path"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Summary is what a bundle holds, for people.
type Summary struct {
	Version    int             `json:"version"`
	Tool       string          `json:"tool,omitempty"`
	Created    string          `json:"created,omitempty"`
	Kubernetes string          `json:"kubernetes,omitempty"`
	Parts      int             `json:"parts"`
	Size       int64           `json:"size"` // bytes of all parts
	Nodes      []NodeSummary   `json:"nodes"`
	Externals  []NodeSummary   `json:"externals,omitempty"`
	Cluster    []PartInfo      `json:"cluster"`
	Infra      []PartInfo      `json:"infra,omitempty"` // what tells of the network between nodes
	Statuses   []StatusSummary `json:"statuses"`        // parts by status, in the order of the specification
}

// A NodeSummary is what a bundle holds of one node.
type NodeSummary struct {
	Name   string   `json:"name"`
	Kernel string   `json:"kernel,omitempty"`
	Pods   int      `json:"pods"`
	Netns  int      `json:"netns"` // network namespaces
	Parts  int      `json:"parts"`
	Size   int64    `json:"size"`
	Notes  []string `json:"notes,omitempty"`
	Error  string   `json:"error,omitempty"` // why node.json could not be read
}

// A StatusSummary is the parts that ended with one status.
type StatusSummary struct {
	Status nodedump.Status `json:"status"`
	Count  int             `json:"count"`
	Parts  []PartInfo      `json:"parts,omitempty"` // nil for ok and empty
}

// Info sums up a bundle.
func Info(s *Snapshot) Summary {
	m := &s.manifest
	out := Summary{
		Version: m.Version, Tool: m.Tool, Created: m.Created, Kubernetes: m.Kubernetes, Parts: len(m.Parts),
		Cluster: slices.Clone(s.withPrefix("cluster/")), Infra: slices.Clone(s.withPrefix("infra/")), Statuses: statuses(m.Parts),
	}
	for i := range m.Parts {
		out.Size += m.Parts[i].Size
	}
	for _, name := range s.NodeNames() {
		out.Nodes = append(out.Nodes, s.summary(name, false))
	}
	for _, name := range s.ExternalNames() {
		out.Externals = append(out.Externals, s.summary(name, true))
	}
	return out
}

func (s *Snapshot) summary(name string, external bool) NodeSummary {
	base := NodeBase(name, external)
	out := NodeSummary{Name: name}
	for _, p := range s.withPrefix(base + "/") {
		out.Parts++
		out.Size += p.Size
		if strings.HasPrefix(p.Name, base+"/netns/") && path.Base(p.Name) == "netns.json" {
			out.Netns++
		}
	}
	n, err := s.node(base)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Kernel, out.Pods, out.Notes = n.Kernel, len(n.Pods), n.Notes
	return out
}

// statusOrder is the order of the specification.
func statusOrder() []nodedump.Status {
	return []nodedump.Status{
		nodedump.StatusOK, nodedump.StatusEmpty, nodedump.StatusTruncated, nodedump.StatusToolMissing,
		nodedump.StatusDenied, nodedump.StatusTimedOut, nodedump.StatusFailed,
	}
}

// statuses groups parts by status.
func statuses(parts []PartInfo) []StatusSummary {
	byStatus := map[nodedump.Status]*StatusSummary{}
	for _, p := range parts {
		sum := byStatus[p.Status]
		if sum == nil {
			sum = &StatusSummary{Status: p.Status}
			byStatus[p.Status] = sum
		}
		if sum.Count++; !p.Status.Known() {
			sum.Parts = append(sum.Parts, p)
		}
	}
	var out []StatusSummary
	for _, status := range statusOrder() {
		if sum := byStatus[status]; sum != nil {
			out = append(out, *sum)
		}
	}
	return out
}
