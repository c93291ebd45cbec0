package model

import "fmt"

// A SuspicionLevel says how bad a Suspicion is.
type SuspicionLevel uint8

// The levels. The zero value is no level at all, so that a forgotten one shows.
const (
	SuspicionLevelInfo SuspicionLevel = iota + 1
	SuspicionLevelWarning
	SuspicionLevelCritical // differs from what must be, and may well be the cause
	SuspicionLevelFatal    // this packet does not get past it
)

func (l SuspicionLevel) String() string {
	if l == 0 || l > SuspicionLevelFatal {
		return fmt.Sprintf("level(%d)", l)
	}
	return [...]string{"", "info", "warning", "critical", "fatal"}[l]
}

// A Suspicion is one thing that may explain why traffic fails.
type Suspicion struct {
	Level    SuspicionLevel
	Code     string // stable, e.g. "route/missing"; a row of [Codes]
	Message  string
	On       Hop
	Evidence string // file of the bundle, with ":line" where there is one
	Remedy   string // the smallest change that would open the path, "" if none is known
}

func (s Suspicion) String() string {
	return fmt.Sprintf("%s %s on %s: %s", s.Level, s.Code, s.On, s.Message)
}

// A Disposition is how a packet's journey ended.
type Disposition uint8

// The dispositions. Unknown is an honest answer: the bundle does not tell.
const (
	Forwarded           Disposition = iota // not the end
	Delivered                              // a socket took it
	ExitsCluster                           // it left for a place that the bundle does not show
	Dropped                                // silently lost
	Rejected                               // a rule refused it and said so
	NoRoute                                // no route, or an unreachable, prohibit or blackhole one
	NeighborUnreachable                    // nobody answers for the next hop's address
	TooBig                                 // larger than an MTU, and not to be fragmented
	NoListener                             // it arrived and nobody listens
	NoBackend                              // the Service has no endpoint
	Loop                                   // it came back to where it had been
	Unknown
)

func (d Disposition) String() string {
	if d > Unknown {
		return fmt.Sprintf("disposition(%d)", d)
	}
	return [...]string{"forwarded", "delivered", "exits-cluster", "dropped", "rejected", "no-route",
		"neighbor-unreachable", "too-big", "no-listener", "no-backend", "loop", "unknown"}[d]
}

// A Step is one decision that was taken about a packet.
type Step struct {
	Where    string // "nat/PREROUTING", "route", "neigh", "bridge", ...
	Rule     string // text of the rule or route that decided, "" for a default
	Action   string // "jump KUBE-SVC-X", "dnat 10.0.0.7:80", "drop", ...
	Evidence string // file:line in the bundle, "" if there is none
}

// An Outcome is what the client sees of a conversation.
type Outcome string

// The outcomes.
const (
	OutcomeReached     Outcome = "reached"
	OutcomeRefused     Outcome = "refused"     // RST, or port unreachable
	OutcomeUnreachable Outcome = "unreachable" // an ICMP error or a local error
	OutcomeTimeout     Outcome = "timeout"     // silently lost, in either direction
	OutcomeStalled     Outcome = "stalled"     // small packets pass, full-size ones die
	OutcomeUnknown     Outcome = "unknown"     // the bundle does not tell
	OutcomeMixed       Outcome = "mixed"       // differs by branch
)
