package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// question is what was asked: "pod demo/a → svc demo/web:80 (10.96.10.1) tcp".
func (d *Diagnosis) question() string {
	return strings.TrimSpace(fmt.Sprintf("%s → %s %s", sourceText(d.Source), destinationText(d.Destination), d.Protocol))
}

// answer is the outcome in words: "TIMEOUT: dropped at node n2".
func (d *Diagnosis) answer() string {
	s := strings.ToUpper(cmp.Or(string(d.Outcome), string(model.OutcomeUnknown)))
	if why := d.why(); why != "" {
		s += ": " + why
	}
	return s
}

func (d *Diagnosis) why() string {
	if d.Outcome == model.OutcomeMixed {
		return d.mixture()
	}
	b := d.telling()
	if b == nil {
		if len(d.Unknowns) > 0 {
			return d.Unknowns[0].What
		}
		return ""
	}
	return b.why(d.Outcome)
}

// mixture is "67% reached, 33% timeout (dropped at node n2)".
func (d *Diagnosis) mixture() string {
	var order []string
	shares := map[string]float64{}
	for i := range d.Branches {
		b := &d.Branches[i]
		key := string(b.Outcome)
		if why := b.why(b.Outcome); b.Outcome != model.OutcomeReached && why != "" {
			key += " (" + why + ")"
		}
		if _, seen := shares[key]; !seen {
			order = append(order, key)
		}
		shares[key] += b.Share
	}
	for i, key := range order {
		order[i] = percent(shares[key]) + " " + key
	}
	return strings.Join(order, ", ")
}

// telling returns the branch that says most about the outcome: the greatest
// of those that do not reach, or else the first. It is nil without branches.
func (d *Diagnosis) telling() *Branch {
	var best *Branch
	for i := range d.Branches {
		b := &d.Branches[i]
		if b.Outcome != model.OutcomeReached && (best == nil || b.Share > best.Share) {
			best = b
		}
	}
	if best == nil && len(d.Branches) > 0 {
		best = &d.Branches[0]
	}
	return best
}

// why says what decided the branch, "" if nothing needs to be said.
func (b *Branch) why(o model.Outcome) string {
	back := ""
	if len(b.Reply.Hops) > 0 && b.Reply.Disposition != model.Delivered {
		back = "the " + kindName(b.Reply.Kind) + " is lost: " + ending(b.Reply)
	}
	switch {
	case o == model.OutcomeReached && b.Request.Disposition == model.Delivered:
		return hopName(b.Request.At) + " answers"
	case b.Request.Disposition != model.Delivered && back != "":
		return ending(b.Request) + ", and " + back
	case b.Request.Disposition != model.Delivered:
		return ending(b.Request)
	case len(b.Reply.Hops) == 0:
		return "delivered to " + hopName(b.Request.At) + ", and no answer leaves it"
	case back != "":
		return back
	case b.Reply.Kind != model.KindReply && b.Reply.Kind != model.KindData:
		return "a " + kindName(b.Reply.Kind) + " comes back from " + hopName(b.Request.At)
	}
	return ""
}

// ending says how and where a packet's journey ended.
func ending(d Direction) string {
	if d.Disposition > model.Unknown {
		return d.Disposition.String()
	}
	phrase := [...]string{
		model.Forwarded:           "not followed beyond",
		model.Delivered:           "delivered to",
		model.ExitsCluster:        "leaves the cluster at",
		model.Dropped:             "dropped at",
		model.Rejected:            "rejected at",
		model.NoRoute:             "no route at",
		model.NeighborUnreachable: "the next hop does not answer to",
		model.TooBig:              "too big for an MTU at",
		model.NoListener:          "nobody listens at",
		model.NoBackend:           "the Service has no endpoint, says",
		model.Loop:                "goes in circles at",
		model.Unknown:             "cannot be followed beyond",
	}[d.Disposition]
	return phrase + " " + hopName(d.At)
}

func kindName(k model.Kind) string {
	switch k {
	case model.KindReset:
		return "reset"
	case model.KindError:
		return "ICMP error"
	case model.KindOpen:
		return "request"
	default:
		return "reply"
	}
}

// percent writes a share: "33%", "<1%".
func percent(share float64) string {
	switch {
	case share > 0 && share < 0.005:
		return "<1%"
	case share < 1 && share >= 0.995:
		return ">99%"
	}
	return fmt.Sprintf("%.0f%%", share*100)
}

// A group is a set of branches that cannot be told apart by what happened.
type group struct {
	branch  *Branch // the first of them
	count   int
	share   float64
	numbers []int // from 1
}

// groups joins branches that crossed the same places by the same devices and
// ended alike, in order of first appearance.
func (d *Diagnosis) groups() []group {
	var gs []group
	for i := range d.Branches {
		b := &d.Branches[i]
		at := slices.IndexFunc(gs, func(g group) bool { return g.branch.alike(b) })
		if at < 0 {
			at, gs = len(gs), append(gs, group{branch: b})
		}
		gs[at].count++
		gs[at].share += b.Share
		gs[at].numbers = append(gs[at].numbers, i+1)
	}
	return gs
}

func (b *Branch) alike(o *Branch) bool {
	return b.Outcome == o.Outcome && b.Request.alike(o.Request) && b.Reply.alike(o.Reply)
}

func (d Direction) alike(o Direction) bool {
	return d.Disposition == o.Disposition && d.At == o.At && d.Kind == o.Kind &&
		slices.EqualFunc(d.Hops, o.Hops, func(a, b Hop) bool {
			return a.At == b.At && a.IIf == b.IIf && a.OIf == b.OIf
		})
}
