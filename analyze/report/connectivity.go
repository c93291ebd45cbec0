package report

import (
	"context"
	"encoding/csv"
	"io"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/connectivity"
)

// A ConnectivityFormat is one way to show who may talk to whom.
type ConnectivityFormat = FormatOf[*connectivity.Report]

// ConnectivityFormats returns every format of a connectivity report, the default
// one first.
func ConnectivityFormats() []ConnectivityFormat {
	return []ConnectivityFormat{
		{"text", "equal connections on one line, for people", writeConnectivityText},
		{"json", "everything, for programs (docs/json-output.md)", writeConnectivityJSON},
		{"csv", "a line per from, to, protocol and ports, for spreadsheets", writeConnectivityCSV},
		{"dot", "what policies restrict in the Graphviz language", writeConnectivityDOT},
		{"svg", "what policies restrict as a picture that scales", writeConnectivitySVG},
		{"png", "what policies restrict as a picture for chats and tickets", writeConnectivityPNG},
	}
}

// writeConnectivityCSV writes the workloads, nodes and blocks of the groups by
// their names: what is one connection of groups is one of each of their members.
func writeConnectivityCSV(_ context.Context, w io.Writer, r *connectivity.Report, _ TextOptions) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"from", "to", "family", "protocol", "ports", "verdict"}); err != nil {
		return err
	}
	labels := make([][]connectivity.Label, len(r.Groups))
	for i := range r.Groups {
		labels[i] = r.Labels(i)
	}
	for i := range r.Connections {
		c := &r.Connections[i]
		lines := slices.Concat(csvLines(c.Allowed, "allowed"), csvLines(c.Unknown, "unknown"))
		for _, from := range labels[c.From] {
			for _, to := range labels[c.To] {
				if from == to && from.Alone {
					continue
				}
				for _, l := range lines {
					_ = out.Write([]string{clean(from.Name), clean(to.Name), string(c.Family), l[0], l[1], l[2]}) // Error tells at the end
				}
			}
		}
	}
	out.Flush()
	return out.Error()
}

// csvLines are protocol, ports and verdict of ports.
func csvLines(p connectivity.Ports, verdict string) (out [][3]string) {
	for _, one := range portsJSON(p) {
		ports := ""
		for i, text := range one.Ports {
			if i > 0 {
				ports += " "
			}
			ports += text
		}
		out = append(out, [3]string{one.Protocol, ports, verdict})
	}
	return out
}

// The JSON types of a connectivity report.
type (
	jsonConnectivity struct {
		SchemaVersion int              `json:"schemaVersion"`
		Policies      int              `json:"policies"`
		Namespace     string           `json:"namespace"`
		Groups        []jsonGroup      `json:"groups"`
		Connections   []jsonConnection `json:"connections"`
		Services      []jsonService    `json:"services"`
		Unenforced    string           `json:"unenforced"`
		Doubts        []string         `json:"doubts"`
		Notes         []string         `json:"notes"`
		Problems      []string         `json:"problems"`
	}
	jsonGroup struct {
		ID        int               `json:"id"`
		Kind      connectivity.Kind `json:"kind"`
		Names     []string          `json:"names"`
		Workloads []jsonWorkload    `json:"workloads,omitempty"`
		Nodes     []string          `json:"nodes,omitempty"`
		Blocks    []jsonBlock       `json:"blocks,omitempty"`
		Rest      bool              `json:"rest,omitempty"`
		Ingress   jsonIsolation     `json:"ingress"`
		Egress    jsonIsolation     `json:"egress"`
	}
	jsonWorkload struct {
		Namespace string   `json:"namespace"`
		Kind      string   `json:"kind"`
		Name      string   `json:"name"`
		Pods      []string `json:"pods"`
		Part      bool     `json:"part,omitempty"`
	}
	jsonBlock struct {
		CIDR   string   `json:"cidr"`
		Except []string `json:"except"`
	}
	jsonIsolation struct {
		Isolated bool     `json:"isolated"`
		Policies []string `json:"policies"`
	}
	jsonConnection struct {
		From    int                 `json:"from"`
		To      int                 `json:"to"`
		Family  connectivity.Family `json:"family,omitempty"`
		Allowed []jsonPorts         `json:"allowed"`
		Unknown []jsonPorts         `json:"unknown,omitempty"`
	}
	jsonPorts struct {
		Protocol string   `json:"protocol"`
		Ports    []string `json:"ports,omitempty"`
	}
	jsonService struct {
		Name     string            `json:"name"`
		PortName string            `json:"portName,omitempty"`
		Port     uint16            `json:"port"`
		Protocol string            `json:"protocol"`
		Headless bool              `json:"headless,omitempty"`
		Backends []jsonConnBackend `json:"backends"`
		All      []int             `json:"all"`
		Some     []int             `json:"some"`
		Unknown  []int             `json:"unknown"`
	}
	jsonConnBackend struct {
		Pod   string `json:"pod,omitempty"`
		IP    string `json:"ip,omitempty"`
		Port  uint16 `json:"port"`
		Group *int   `json:"group,omitempty"`
	}
)

func writeConnectivityJSON(_ context.Context, w io.Writer, r *connectivity.Report, _ TextOptions) error {
	j := jsonConnectivity{
		SchemaVersion: SchemaVersion, Policies: r.Policies, Namespace: r.Namespace, Unenforced: r.Unenforced,
		Groups: []jsonGroup{}, Connections: []jsonConnection{}, Services: []jsonService{},
		Doubts: append([]string{}, r.Doubts...), Notes: append([]string{}, r.Notes...), Problems: append([]string{}, r.Problems...),
	}
	for i := range r.Groups {
		j.Groups = append(j.Groups, groupJSON(r, i))
	}
	for i := range r.Connections {
		c := &r.Connections[i]
		one := jsonConnection{From: c.From, To: c.To, Family: c.Family, Allowed: append([]jsonPorts{}, portsJSON(c.Allowed)...), Unknown: portsJSON(c.Unknown)}
		j.Connections = append(j.Connections, one)
	}
	for i := range r.Services {
		j.Services = append(j.Services, serviceJSON(&r.Services[i]))
	}
	return encode(w, j, "  ")
}

func groupJSON(r *connectivity.Report, i int) jsonGroup {
	g := &r.Groups[i]
	j := jsonGroup{ID: i, Kind: g.Kind, Nodes: g.Nodes, Rest: g.Rest, Ingress: isolationJSON(g.Ingress), Egress: isolationJSON(g.Egress)}
	for _, l := range r.Labels(i) {
		j.Names = append(j.Names, l.Name)
	}
	for _, w := range g.Workloads {
		j.Workloads = append(j.Workloads, jsonWorkload{w.Namespace, w.Kind, w.Name, w.Pods, w.Part})
	}
	for _, b := range g.Blocks {
		one := jsonBlock{b.Prefix.String(), []string{}}
		for _, e := range b.Except {
			one.Except = append(one.Except, e.String())
		}
		j.Blocks = append(j.Blocks, one)
	}
	return j
}

func isolationJSON(i connectivity.Isolation) jsonIsolation {
	return jsonIsolation{i.Isolated, append([]string{}, i.Policies...)}
}

// portsJSON is a list by protocol; everything is the protocol "all".
func portsJSON(p connectivity.Ports) (out []jsonPorts) {
	if p.All {
		return []jsonPorts{{Protocol: "all"}}
	}
	for i := 0; i < len(p.Ranges); {
		protocol := p.Ranges[i].Protocol
		one := jsonPorts{Protocol: string(protocol)}
		if protocol == "" {
			one.Protocol = "other"
		}
		for ; i < len(p.Ranges) && p.Ranges[i].Protocol == protocol; i++ {
			if !p.Ranges[i].Whole() {
				one.Ports = append(one.Ports, p.Ranges[i].Numbers())
			}
		}
		out = append(out, one)
	}
	return out
}

func serviceJSON(s *connectivity.Service) jsonService {
	j := jsonService{
		Name: s.Name, PortName: s.PortName, Port: s.Port, Protocol: string(s.Protocol), Headless: s.Headless, Backends: []jsonConnBackend{},
		All: append([]int{}, s.All...), Some: append([]int{}, s.Some...), Unknown: append([]int{}, s.Unknown...),
	}
	for i := range s.Backends {
		b := &s.Backends[i]
		one := jsonConnBackend{Pod: b.Pod, Port: b.Port}
		if b.IP.IsValid() {
			one.IP = b.IP.String()
		}
		if b.Group >= 0 {
			one.Group = &b.Group
		}
		j.Backends = append(j.Backends, one)
	}
	return j
}
