package report

import (
	"encoding/json"
	"io"
	"math"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// SchemaVersion is the version of the JSON output. It changes when a field
// goes away or changes its meaning, not when one is added.
const SchemaVersion = 1

// The JSON types are the wire format of docs/json-output.md.
type (
	jsonDiagnosis struct {
		SchemaVersion int             `json:"schemaVersion"`
		Source        model.Endpoint  `json:"source"`
		Destination   model.Endpoint  `json:"destination"`
		Protocol      model.Protocol  `json:"protocol"`
		Outcome       model.Outcome   `json:"outcome"`
		Branches      []jsonBranch    `json:"branches"`
		Suspicions    []jsonSuspicion `json:"suspicions"`
		Plugin        string          `json:"plugin"`
		Networks      []jsonNetwork   `json:"networks"`
		ProxyMode     string          `json:"proxyMode"`
		Underlay      *jsonUnderlay   `json:"underlay,omitempty"`
		Unknowns      []jsonUnknown   `json:"unknowns"`
	}
	jsonUnderlay struct {
		Provider string   `json:"provider"`
		Evidence string   `json:"evidence"`
		Checked  bool     `json:"checked"`
		Assumed  []string `json:"assumed"`
	}
	jsonBranch struct {
		Share   float64       `json:"share"`
		Outcome model.Outcome `json:"outcome"`
		Request jsonDirection `json:"request"`
		Reply   jsonDirection `json:"reply"`
	}
	jsonDirection struct {
		Disposition string    `json:"disposition"`
		At          string    `json:"at"`
		Hops        []jsonHop `json:"hops"`
	}
	jsonHop struct {
		Type      model.NetNodeType `json:"type"`
		ID        string            `json:"id"`
		IIf       string            `json:"iif"`
		OIf       string            `json:"oif"`
		PacketIn  *jsonPacket       `json:"packetIn"`
		PacketOut *jsonPacket       `json:"packetOut"`
		Steps     []jsonStep        `json:"steps"`
	}
	jsonPacket struct {
		Protocol model.Protocol `json:"protocol"`
		Kind     string         `json:"kind,omitempty"`
		Src      string         `json:"src"`
		Dst      string         `json:"dst"`
		Mark     uint32         `json:"mark,omitempty"`
		Encap    *jsonEncap     `json:"encap,omitempty"`
	}
	jsonEncap struct {
		VNI int `json:"vni"`
		jsonPacket
	}
	jsonStep struct {
		Where    string `json:"where"`
		Rule     string `json:"rule"`
		Action   string `json:"action"`
		Evidence string `json:"evidence"`
	}
	jsonSuspicion struct {
		Level    string `json:"level"`
		Code     string `json:"code"`
		Message  string `json:"message"`
		On       string `json:"on"`
		Evidence string `json:"evidence"`
		Remedy   string `json:"remedy"`
	}
	jsonUnknown struct {
		What     string `json:"what"`
		Evidence string `json:"evidence"`
		Node     string `json:"node"`
		Netns    string `json:"netns"`
	}
	jsonError struct {
		Error string `json:"error"`
	}
)

// WriteJSON writes d as one indented JSON object (docs/json-output.md).
func WriteJSON(w io.Writer, d *Diagnosis) error { return encode(w, toJSON(d), "  ") }

// WriteJSONLine writes d as one line of JSON, the format of --flows.
func WriteJSONLine(w io.Writer, d *Diagnosis) error { return encode(w, toJSON(d), "") }

// WriteJSONError writes the line that stands for a flow that cannot be asked.
func WriteJSONError(w io.Writer, err error) error { return encode(w, jsonError{err.Error()}, "") }

func encode(w io.Writer, v any, indent string) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	return e.Encode(v)
}

func toJSON(d *Diagnosis) jsonDiagnosis {
	j := jsonDiagnosis{
		SchemaVersion: SchemaVersion,
		Source:        d.Source,
		Destination:   d.Destination,
		Protocol:      d.Protocol,
		Outcome:       d.Outcome,
		Branches:      []jsonBranch{},
		Suspicions:    []jsonSuspicion{},
		Plugin:        d.Plugin,
		Networks:      networksJSON(d.Networks),
		ProxyMode:     d.ProxyMode,
		Unknowns:      []jsonUnknown{},
		Underlay:      underlayJSON(d.Hosting),
	}
	for _, b := range d.Branches {
		j.Branches = append(j.Branches, jsonBranch{
			Share:   math.Round(b.Share*1e6) / 1e6,
			Outcome: b.Outcome,
			Request: directionJSON(b.Request),
			Reply:   directionJSON(b.Reply),
		})
	}
	for _, s := range d.Suspicions {
		j.Suspicions = append(j.Suspicions, jsonSuspicion{s.Level.String(), s.Code, s.Message, hopText(s.On), s.Evidence, s.Remedy})
	}
	for _, u := range d.Unknowns {
		j.Unknowns = append(j.Unknowns, unknownJSON(u))
	}
	return j
}

// underlayJSON returns nil if the network between machines does not matter.
func underlayJSON(h Hosting) *jsonUnderlay {
	if h.Provider == "" {
		return nil
	}
	return &jsonUnderlay{h.Provider, h.Evidence, h.Checked, append([]string{}, h.Assumed...)}
}

func directionJSON(d Direction) jsonDirection {
	j := jsonDirection{Disposition: d.Disposition.String(), At: hopText(d.At), Hops: []jsonHop{}}
	if len(d.Hops) == 0 {
		j.Disposition = "none"
	}
	for _, h := range d.Hops {
		hop := jsonHop{
			Type: h.At.Type, ID: h.At.ID, IIf: h.IIf, OIf: h.OIf,
			PacketIn: packetJSON(h.In), PacketOut: packetJSON(h.Out),
			Steps: []jsonStep{},
		}
		for _, s := range h.Steps {
			hop.Steps = append(hop.Steps, jsonStep(s))
		}
		j.Hops = append(j.Hops, hop)
	}
	return j
}

// packetJSON returns nil for the zero packet: there is none.
func packetJSON(p model.Packet) *jsonPacket {
	if p.Protocol == "" {
		return nil
	}
	j := &jsonPacket{Protocol: p.Protocol, Src: endText(p.Protocol, p.Src), Dst: endText(p.Protocol, p.Dst), Mark: p.Mark}
	if p.Kind != model.KindOpen {
		j.Kind = p.Kind.String()
	}
	if p.Encap != nil {
		j.Encap = &jsonEncap{VNI: p.VNI}
		if inner := packetJSON(*p.Encap); inner != nil {
			j.Encap.jsonPacket = *inner
		}
	}
	return j
}

// hopText returns "node:n1", or "" for no hop at all.
func hopText(h model.Hop) string {
	if h == (model.Hop{}) {
		return ""
	}
	return h.String()
}

// unknownJSON says of an unknown which namespace it is about, where its
// evidence tells.
func unknownJSON(d model.Doubt) jsonUnknown {
	u := jsonUnknown{What: d.What, Evidence: d.Evidence}
	parts := strings.Split(d.Evidence, "/")
	if len(parts) > 1 && (parts[0] == "nodes" || parts[0] == "external") {
		u.Node = parts[1]
		if len(parts) > 3 && parts[2] == "netns" {
			u.Netns = parts[3]
		}
	}
	return u
}
