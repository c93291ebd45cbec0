package policy

import (
	"encoding/json"
	"io"
)

// schemaVersion is that of docs/json-output.md.
const schemaVersion = 1

type jsonAnswer struct {
	SchemaVersion int        `json:"schemaVersion"`
	Source        string     `json:"source"`
	Destination   string     `json:"destination"`
	Protocol      string     `json:"protocol"`
	Outcome       Outcome    `json:"outcome"`
	Flows         []jsonFlow `json:"flows"`
	Problems      []string   `json:"problems"`
}

type jsonFlow struct {
	Source      string     `json:"source"`
	Destination string     `json:"destination"`
	Port        uint16     `json:"port,omitempty"`
	Allowed     *bool      `json:"allowed"`
	Why         string     `json:"why"`
	By          []string   `json:"by"`
	DeniedBy    []string   `json:"deniedBy"`
	Unknown     []string   `json:"unknown"`
	Directions  []jsonSide `json:"directions"`
	Comments    []string   `json:"comments"`
}

type jsonSide struct {
	Direction Direction   `json:"direction"`
	End       string      `json:"end"`
	Allowed   *bool       `json:"allowed"`
	Why       string      `json:"why"`
	Policies  []jsonAsked `json:"policies"`
	Change    string      `json:"change"`
}

type jsonAsked struct {
	Tier   string   `json:"tier"`
	Policy string   `json:"policy"`
	Rule   string   `json:"rule"`
	Action Action   `json:"action"`
	Maybe  bool     `json:"maybe"`
	Misses []string `json:"misses"`
}

// WriteJSON writes an answer as docs/json-output.md has it. Problems are what
// could not be read.
func WriteJSON(w io.Writer, a *Answer, problems []error) error {
	out := jsonAnswer{
		SchemaVersion: schemaVersion, Source: a.Question.Src, Destination: a.Question.Dst, Protocol: string(a.Question.Protocol),
		Outcome: a.Outcome, Flows: []jsonFlow{}, Problems: []string{},
	}
	for _, x := range a.Flows {
		out.Flows = append(out.Flows, x.json())
	}
	for _, p := range problems {
		out.Problems = append(out.Problems, p.Error())
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (x *Explanation) json() jsonFlow {
	v := &x.Verdict
	return jsonFlow{
		Source: x.Flow.Src.String(), Destination: x.Flow.Dst.String(), Port: x.Flow.Port, Allowed: v.Outcome().truth(), Why: v.Why,
		By: orEmpty(v.AllowedBy), DeniedBy: orEmpty(v.DeniedBy), Unknown: orEmpty(v.Unknown),
		Directions: []jsonSide{x.Egress.json(), x.Ingress.json()}, Comments: orEmpty(x.Comments),
	}
}

func (s *Side) json() jsonSide {
	out := jsonSide{Direction: s.Direction, End: s.End, Allowed: truth(s.Answer), Why: s.Why, Change: s.Change, Policies: []jsonAsked{}}
	for _, a := range s.Asked {
		a.Misses = orEmpty(a.Misses)
		out.Policies = append(out.Policies, jsonAsked(a))
	}
	return out
}

// truth is true, false, or nil for what is neither.
func (o Outcome) truth() *bool {
	if o != Allowed && o != Denied {
		return nil
	}
	allowed := o == Allowed
	return &allowed
}

// WriteJSONLine writes a check on one line.
func WriteJSONLine(w io.Writer, c *Check) error {
	line := struct {
		Allowed  *bool    `json:"allowed"`
		By       []string `json:"by"`
		DeniedBy []string `json:"deniedBy"`
		Unknown  []string `json:"unknown,omitempty"`
	}{c.Outcome.truth(), orEmpty(c.By), orEmpty(c.DeniedBy), c.Unknown}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(line)
}

// orEmpty makes a list that is never null.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
