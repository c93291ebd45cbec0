// Package trace asks one network namespace about one packet: every way out,
// and why. What is around the namespace is not asked (netstack's Alone).
package trace

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// A Question is one packet at the edge of a namespace.
type Question struct {
	Packet model.Packet
	In     string // device that it comes in by, "" if it is born here
	Out    string // device that its sender's socket is bound to, "" if none; of a packet that is born here
}

// A Verdict says how the way of a packet through a namespace ends.
type Verdict string

// The verdicts.
const (
	Forward Verdict = "forward" // leaves by Dev
	Local   Verdict = "local"   // for a socket of this namespace, whether or not one waits for it
	Drop    Verdict = "drop"    // lost
	Reject  Verdict = "reject"  // a rule, or a route of type unreachable or prohibit, refuses it and its sender is told
	Unknown Verdict = "unknown" // the dump does not tell
)

// A Result is the answer to a Question.
type Result struct {
	Question
	Outcomes []Outcome // in the order in which the choices were followed
}

// An Outcome is one way.
type Outcome struct {
	Share      float64 // of all such packets, how many go this way; where a doubt and not chance tells ways apart, each keeps the whole
	Verdict    Verdict
	RejectWith string       // what the sender is told, in the words of REJECT: "tcp-reset", "icmp-port-unreachable"; "" where it is an error of its own system call
	Packet     model.Packet // as it left, or as it was when its way ended
	Dev        string       // that it left by, "" unless it did or that is not known
	Gateway    netip.Addr   // that the frame goes to, invalid if that is the destination itself
	Route      *Route       // the last routing decision, nil if there was none
	Socket     Socket       // unless "", the packet is Local
	Answer     *model.Packet
	LocalError bool // a local sender is told at once: its system call fails
	Steps      []model.Step
	Code       string // of a suspicion (docs/suspicions.md) of what stopped it, "" if there is none
	Reason     string // why the way ended, for people; "" if Forward
	Evidence   string // file:line of what decided, "" if nothing did
	Remedy     string // the smallest change that would open the way, "" if none is known
	Doubts     []model.Doubt
}

// A Socket says whether one waits for a packet that is for this namespace.
type Socket string

// What may wait for a packet.
const (
	SocketFound   Socket = "found"
	SocketNone    Socket = "none"
	SocketUnknown Socket = "unknown" // the sockets are not known
	SocketKernel  Socket = "kernel"  // the kernel itself answers an echo request
)

// A Route is what the routing tables said.
type Route struct {
	Result  string // ok local broadcast multicast noroute unreachable prohibit blackhole throw
	Dev     string
	Gateway netip.Addr
	Src     netip.Addr // of a packet that is born here: its source; else invalid
	Table   int        // 0 if no table has it
	Prefix  netip.Prefix
}

// Trace follows q through ns.
func Trace(ns *netstack.NetNS, q Question) Result {
	var all []netstack.Outcome
	if q.In == "" {
		all = ns.Output(q.Packet, q.Out, ns.Alone())
	} else {
		all = ns.Input(q.Packet, q.In, ns.Alone())
	}
	r := Result{Question: q}
	for i := range all {
		o := outcomeOf(ns, q, &all[i])
		at := slices.IndexFunc(r.Outcomes, func(have Outcome) bool { return have.same(&o) })
		switch {
		case at < 0:
			r.Outcomes = append(r.Outcomes, o)
		case len(o.Doubts) == 0:
			r.Outcomes[at].Share += o.Share
		}
	}
	return r
}

// same reports whether nothing tells two ways apart but which of equal choices
// were taken.
func (o *Outcome) same(p *Outcome) bool {
	return o.Verdict == p.Verdict && o.Packet == p.Packet && o.Dev == p.Dev && o.Gateway == p.Gateway && o.RejectWith == p.RejectWith &&
		o.Socket == p.Socket && slices.Equal(o.Doubts, p.Doubts) && slices.Equal(o.Steps, p.Steps)
}

func outcomeOf(ns *netstack.NetNS, q Question, o *netstack.Outcome) Outcome {
	out := Outcome{Share: o.Share, Packet: o.Packet, Dev: o.Dev, Route: routeOf(q, &o.Route), Answer: o.Answer, LocalError: o.LocalError,
		Steps: o.Trace, Code: o.Code, Reason: o.Reason, Evidence: o.Evidence, Remedy: o.Remedy, Doubts: o.Doubts}
	if n := len(out.Steps); n > 0 && out.Steps[n-1].Where == "end" {
		out.Steps = out.Steps[:n-1]
	}
	if o.NextHop.IsValid() && o.NextHop != o.Packet.Dst.Addr() {
		out.Gateway = o.NextHop
	}
	out.Verdict, out.RejectWith = verdictOf(o)
	if out.Verdict == Local {
		out.Socket = socketOf(ns, o)
	}
	return out
}

// verdictOf tells the verdict, and what the sender is told if it is Reject.
func verdictOf(o *netstack.Outcome) (Verdict, string) {
	switch {
	case o.Arrived:
		return Local, ""
	case o.Disposition == model.Forwarded:
		return Forward, ""
	case o.Disposition == model.Unknown:
		return Unknown, ""
	case o.Disposition == model.Rejected:
		return Reject, o.RejectWith
	case o.Route.Type == route.TypeUnreachable, o.Route.Type == route.TypeProhibit:
		if o.Answer != nil {
			return Reject, toldBy(o.Answer)
		}
		if o.LocalError && o.Disposition == model.NoRoute {
			return Reject, ""
		}
	}
	return Drop, ""
}

// toldBy is the word of REJECT for an ICMP error.
func toldBy(p *model.Packet) string {
	words := map[model.Protocol]map[[2]uint8]string{
		model.ICMP: {{3, 0}: "icmp-net-unreachable", {3, 1}: "icmp-host-unreachable", {3, 2}: "icmp-proto-unreachable",
			{3, 3}: "icmp-port-unreachable", {3, 13}: "icmp-admin-prohibited"},
		model.ICMPv6: {{1, 0}: "icmp6-no-route", {1, 1}: "icmp6-adm-prohibited", {1, 3}: "icmp6-addr-unreachable", {1, 4}: "icmp6-port-unreachable"},
	}
	return words[p.Protocol][[2]uint8{p.ICMPType, p.ICMPCode}]
}

func socketOf(ns *netstack.NetNS, o *netstack.Outcome) Socket {
	switch {
	case !o.Packet.Protocol.HasPorts() && o.Packet.Kind == model.KindOpen:
		if o.Disposition == model.Delivered {
			return SocketKernel
		}
		return SocketUnknown
	case ns.Unread("sockets") != nil:
		return SocketUnknown
	case o.Disposition == model.Delivered:
		return SocketFound
	}
	return SocketNone
}

func routeOf(q Question, r *route.Result) *Route {
	if r.Type == "" {
		return nil
	}
	out := &Route{Result: string(r.Type), Dev: r.Dev, Gateway: r.Via, Table: r.Table, Prefix: r.Prefix}
	switch r.Type {
	case route.TypeUnicast:
		out.Result = "ok"
	case route.TypeNone:
		out.Result = "noroute"
	case route.TypeAnycast:
		out.Result = string(route.TypeLocal)
	}
	if q.In == "" {
		out.Src = r.Src
	}
	return out
}

// Code classes of all outcomes together.
const (
	Passes  = "passes"  // all leave or arrive
	Stopped = "stopped" // none does
	Open    = "open"    // it is not known, or differs
)

// Sum sums up the outcomes of r: Passes, Stopped or Open.
func (r *Result) Sum() string {
	pass, stop := 0, 0
	for i := range r.Outcomes {
		switch r.Outcomes[i].Verdict {
		case Forward, Local:
			pass++
		case Drop, Reject:
			stop++
		}
	}
	switch len(r.Outcomes) {
	case 0:
		return Open
	case pass:
		return Passes
	case stop:
		return Stopped
	}
	return Open
}

// Rename lets rename change each evidence and each text that may name one.
func (r *Result) Rename(rename func(string) string) {
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		o.Evidence, o.Reason = rename(o.Evidence), cmp.Or(rename(o.Reason), o.Reason)
		for k := range o.Steps {
			o.Steps[k].Evidence = rename(o.Steps[k].Evidence)
			o.Steps[k].Action = rename(o.Steps[k].Action)
		}
		for k := range o.Doubts {
			o.Doubts[k] = model.Doubt{What: rename(o.Doubts[k].What), Evidence: rename(o.Doubts[k].Evidence)}
		}
	}
}
