package report

import (
	"cmp"
	"context"
	"io"
	"math"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/trace"
)

// A Trace is the answer about one packet in one namespace.
type Trace struct {
	Node, Netns string // of the bundle; Node is "" for bare files
	trace.Result
	Unknowns []model.Doubt // about the namespace as a whole
}

// A TraceFormat is one way to show a Trace.
type TraceFormat = FormatOf[*Trace]

// TraceFormats returns every format of a trace, the default one first.
func TraceFormats() []TraceFormat {
	return []TraceFormat{
		{"text", "each way out with its steps, for people", writeTraceText},
		{"json", "everything, for programs (docs/json-output.md)", writeTraceJSON},
		{"dot", "the ways in the Graphviz language", writeTraceDOT},
		{"svg", "the ways as a picture that scales", writeTraceSVG},
		{"png", "the ways as a picture for chats and tickets", writeTracePNG},
	}
}

// TraceExitCode returns what the process should exit with after r: 0 if all
// ways leave or arrive, 3 if none does, 4 if that is not known or differs.
func TraceExitCode(r *trace.Result) int {
	return map[string]int{trace.Passes: 0, trace.Stopped: 3, trace.Open: 4}[r.Sum()]
}

// The JSON types of a trace.
type (
	jsonTrace struct {
		SchemaVersion int                `json:"schemaVersion"`
		Node          string             `json:"node"`
		Netns         string             `json:"netns"`
		Input         jsonTraceInput     `json:"input"`
		Outcomes      []jsonTraceOutcome `json:"outcomes"`
		Unknowns      []jsonUnknown      `json:"unknowns"`
	}
	jsonTraceInput struct {
		jsonTracePacket
		In  string `json:"in"`
		Out string `json:"out"`
	}
	jsonTracePacket struct {
		Protocol model.Protocol   `json:"protocol"`
		Kind     string           `json:"kind,omitempty"`
		Src      string           `json:"src"`
		SPort    *uint16          `json:"sport,omitempty"`
		Dst      string           `json:"dst"`
		DPort    *uint16          `json:"dport,omitempty"`
		Type     *uint8           `json:"type,omitempty"`
		Code     *uint8           `json:"code,omitempty"`
		Mark     uint32           `json:"mark"`
		TOS      uint8            `json:"tos"`
		VNI      int              `json:"vni,omitempty"`
		Encap    *jsonTracePacket `json:"encap,omitempty"`
	}
	jsonTraceRoute struct {
		Result  string `json:"result"`
		Dev     string `json:"dev"`
		Gateway string `json:"gateway"`
		Src     string `json:"src"`
		Table   int    `json:"table"`
		Prefix  string `json:"prefix"`
	}
	jsonTraceOutcome struct {
		Share      float64          `json:"share"`
		Verdict    trace.Verdict    `json:"verdict"`
		RejectWith string           `json:"rejectWith"`
		Packet     *jsonTracePacket `json:"packet"`
		Dev        string           `json:"dev"`
		Gateway    string           `json:"gateway"`
		Route      *jsonTraceRoute  `json:"route"`
		Socket     trace.Socket     `json:"socket,omitempty"`
		Answer     *jsonTracePacket `json:"answer,omitempty"`
		LocalError bool             `json:"localError,omitempty"`
		Code       string           `json:"code,omitempty"`
		Reason     string           `json:"reason"`
		Evidence   string           `json:"evidence"`
		Remedy     string           `json:"remedy,omitempty"`
		Doubts     []jsonDoubt      `json:"doubts"`
		Steps      []jsonStep       `json:"steps"`
	}
	jsonDoubt struct {
		What     string `json:"what"`
		Evidence string `json:"evidence"`
	}
	jsonLineError struct {
		Error string `json:"error"`
		Line  int    `json:"line"`
	}
)

func writeTraceJSON(_ context.Context, w io.Writer, t *Trace, _ TextOptions) error {
	return encode(w, traceJSON(t), "  ")
}

// WriteTraceLine writes t as one line of JSON, the format of --packets.
func WriteTraceLine(w io.Writer, t *Trace) error { return encode(w, traceJSON(t), "") }

// WriteTraceError writes the line that stands for a packet that cannot be
// traced; line is that of the input, from 1.
func WriteTraceError(w io.Writer, line int, err error) error {
	return encode(w, jsonLineError{err.Error(), line}, "")
}

func traceJSON(t *Trace) *jsonTrace {
	j := &jsonTrace{SchemaVersion: SchemaVersion, Node: t.Node, Netns: t.Netns, Outcomes: make([]jsonTraceOutcome, 0, len(t.Outcomes)),
		Unknowns: make([]jsonUnknown, 0, len(t.Unknowns))}
	if p := tracePacketJSON(&t.Packet); p != nil {
		j.Input = jsonTraceInput{jsonTracePacket: *p, In: t.In, Out: t.Out}
	}
	for i := range t.Outcomes {
		j.Outcomes = append(j.Outcomes, outcomeJSON(&t.Outcomes[i]))
	}
	for _, u := range t.Unknowns {
		one := unknownJSON(u)
		one.Node, one.Netns = cmp.Or(one.Node, t.Node), cmp.Or(one.Netns, t.Netns)
		j.Unknowns = append(j.Unknowns, one)
	}
	return j
}

func outcomeJSON(o *trace.Outcome) jsonTraceOutcome {
	j := jsonTraceOutcome{Share: math.Round(o.Share*1e6) / 1e6, Verdict: o.Verdict, RejectWith: o.RejectWith, Packet: tracePacketJSON(&o.Packet),
		Dev: o.Dev, Gateway: addrText(o.Gateway), Socket: o.Socket, Answer: tracePacketJSON(o.Answer), LocalError: o.LocalError,
		Code: o.Code, Reason: o.Reason, Evidence: o.Evidence, Remedy: o.Remedy,
		Doubts: make([]jsonDoubt, 0, len(o.Doubts)), Steps: make([]jsonStep, 0, len(o.Steps))}
	if r := o.Route; r != nil {
		j.Route = &jsonTraceRoute{Result: r.Result, Dev: r.Dev, Gateway: addrText(r.Gateway), Src: addrText(r.Src), Table: r.Table}
		if r.Prefix.IsValid() {
			j.Route.Prefix = r.Prefix.String()
		}
	}
	for _, d := range o.Doubts {
		j.Doubts = append(j.Doubts, jsonDoubt(d))
	}
	for _, s := range o.Steps {
		j.Steps = append(j.Steps, jsonStep(s))
	}
	return j
}

// tracePacketJSON returns nil for no packet.
func tracePacketJSON(p *model.Packet) *jsonTracePacket {
	if p == nil || p.Protocol == "" {
		return nil
	}
	j := &jsonTracePacket{Protocol: p.Protocol, Src: addrText(p.Src.Addr()), Dst: addrText(p.Dst.Addr()), Mark: p.Mark, TOS: p.TOS, VNI: p.VNI,
		Encap: tracePacketJSON(p.Encap)}
	switch {
	case p.Protocol.HasPorts():
		sport, dport := p.Src.Port(), p.Dst.Port()
		j.SPort, j.DPort = &sport, &dport
	case p.Protocol == model.ICMP, p.Protocol == model.ICMPv6:
		j.Type, j.Code = &p.ICMPType, &p.ICMPCode
	}
	if p.Kind != model.KindOpen {
		j.Kind = p.Kind.String()
	}
	return j
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// question is "tcp 10.0.0.1:40000 → 10.96.0.10:53 from eth0".
func (t *Trace) question() string {
	p := t.Packet
	s := string(p.Protocol) + " "
	if p.Src.Addr().IsValid() {
		s += endText(p.Protocol, p.Src) + " "
	}
	s += "→ " + endText(p.Protocol, p.Dst)
	switch {
	case t.In != "":
		s += ", in by " + t.In
	case t.Out != "":
		s += ", born here, bound to " + t.Out
	default:
		s += ", born here"
	}
	if t.Node != "" {
		s += ", at node " + t.Node
	}
	if t.Netns != "" && t.Netns != "host" {
		s += ", in " + t.Netns
	}
	return s
}

// answer is "FORWARD by eth0", or the shares of several ways.
func (t *Trace) answer() string {
	var order []string
	shares := map[string]float64{}
	for i := range t.Outcomes {
		end := ended(&t.Outcomes[i])
		if _, seen := shares[end]; !seen {
			order = append(order, end)
		}
		shares[end] += t.Outcomes[i].Share
	}
	sum := 0.0
	for i := range t.Outcomes {
		sum += t.Outcomes[i].Share
	}
	if len(order) == 1 || sum > 1+1e-6 { // a doubt tells them apart, not chance
		return strings.Join(order, " or ")
	}
	for i, end := range order {
		order[i] = percent(min(1, shares[end])) + " " + end
	}
	return strings.Join(order, ", ")
}

// ended is "FORWARD by eth0 via 10.0.0.1".
func ended(o *trace.Outcome) string {
	s := strings.ToUpper(string(o.Verdict))
	switch o.Verdict {
	case trace.Forward:
		s += " by " + cmp.Or(o.Dev, "a device that is not known")
		if o.Gateway.IsValid() {
			s += " via " + o.Gateway.String()
		}
	case trace.Reject:
		s += " with " + cmp.Or(o.RejectWith, "an error of the sender's system call")
	case trace.Local:
		if o.Socket == trace.SocketNone {
			s += ", and nobody listens"
		}
	}
	return s
}
