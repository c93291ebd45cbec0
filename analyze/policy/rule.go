package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A Direction is one of the two in which policies isolate pods.
type Direction string

// The directions, seen from the pod that a policy selects.
const (
	Ingress Direction = "ingress"
	Egress  Direction = "egress"
)

// An Action is what a rule does with a conversation that it holds for.
type Action string

// The actions. To pass is to ask the next tier.
const (
	Allow Action = "allow"
	Deny  Action = "deny"
	Pass  Action = "pass"
)

// The names of the tiers that Kubernetes has.
const (
	TierAdmin         = "Admin"
	TierNetworkPolicy = "NetworkPolicy"
	TierBaseline      = "Baseline"
)

// The order of those tiers, and of NetworkPolicies in theirs. The numbers are
// those that Calico gives to them, so that its own tiers find their place.
const (
	OrderOfAdmin           = 1_000
	OrderOfNetworkPolicy   = 1_000_000
	OrderOfBaseline        = 10_000_000
	OrderOfNetworkPolicies = 1_000
)

// A Tier is policies of one standing. It does not change.
type Tier struct {
	Name     string
	Order    float64 // lower is asked first
	End      Action  // if policies select the pod and no rule holds: Deny or Pass
	Policies []*Policy
}

// A Tie says what it means that two policies of a tier have one order.
type Tie uint8

// The ties.
const (
	TieByName    Tie = iota // they are asked in the order of their names
	TieUnion                // they only allow, and all are asked
	TieUndefined            // the API does not say which one is asked first
)

// A Policy is rules for the pods that it selects. It does not change.
type Policy struct {
	Kind  string // "NetworkPolicy"
	Name  string // "namespace/name", or the name of what has no namespace
	Order float64
	Tie   Tie

	// Selects reports whether the policy is about a pod. It is asked once for
	// each Class.
	Selects func(*Class) bool
	// Node, if it is not nil, reports whether the policy is about a node itself
	// or its pods that have no network of their own.
	Node func(*End) bool

	// Perhaps, if it is not nil, reports whether it is not known that the policy
	// is about an end for which Selects or Node holds.
	Perhaps func(*End) bool
	// Forward, if it is not nil, reports whether the policy is also about what a
	// node forwards to and from its pods, which is not evaluated.
	Forward func(node string) netfilter.Answer

	sort string   // what policies of one order are sorted by, "" for the name
	key  *sortKey // nil unless Calico sorts it

	IsIngress, IsEgress bool // the directions that it is about
	Ingress, Egress     []Rule

	// Admit says what change of the policy would allow a flow in a direction in
	// which it denies it: by a rule, or, if that is -1, by having none. It may be
	// nil, and "" if there is no such change.
	Admit func(d Direction, rule int, f *Flow) string
}

// String returns the kind and name: "AdminNetworkPolicy quarantine".
func (p *Policy) String() string { return p.Kind + " " + p.Name }

// label is the name of a policy in a Verdict. Most are NetworkPolicies, which
// go without their kind.
func (p *Policy) label(d Direction) string {
	if p.Kind == kindNetworkPolicy {
		return string(d) + " " + p.Name
	}
	return string(d) + " " + p.String()
}

// rules returns those of one direction.
func (p *Policy) rules(d Direction) []Rule {
	if d == Ingress {
		return p.Ingress
	}
	return p.Egress
}

// about reports whether the policy is about a direction.
func (p *Policy) about(d Direction) bool {
	return d == Ingress && p.IsIngress || d == Egress && p.IsEgress
}

// A Rule does something with conversations. It holds for those between one of
// Src and one of Dst to one of Ports and all of Also; none means any. It does not change.
type Rule struct {
	Name   string // "" if it has none
	Action Action
	Src    []Peer
	Dst    []Peer
	Ports  []Port
	Also   []Port // all of them must hold, too
	Doubt  string // why it may not hold although all that does, "" if it does
	Never  string // why it holds for nothing, "" if it does
}

// A Peer is a set of ends, such as pods with some labels. Its String is short:
// "podSelector app=web".
//
// What it says about an end depends on the end's Class, on its node, and on
// which of Blocks have its address: two ends that are equal in that are equal to
// the peer. Blocks is nil if addresses mean nothing to it.
type Peer interface {
	Match(*End) netfilter.Answer
	Blocks() []netip.Prefix
	String() string
}

// Match reports whether the rule holds for a flow.
func (r *Rule) Match(f *Flow) netfilter.Answer {
	if r.Never != "" {
		return netfilter.No
	}
	a := PeersHold(r.Src, &f.Src).And(PeersHold(r.Dst, &f.Dst))
	a = a.And(portsHold(r.Ports, f))
	for i := range r.Also {
		a = a.And(r.Also[i].Match(f))
	}
	if r.Doubt != "" {
		a = a.And(netfilter.Maybe)
	}
	return a
}

// anyOf is the answer of the first that says yes, else the best one.
func anyOf[T any](list []T, ask func(*T) netfilter.Answer) netfilter.Answer {
	out := netfilter.No
	for i := range list {
		switch ask(&list[i]) {
		case netfilter.Yes:
			return netfilter.Yes
		case netfilter.Maybe:
			out = netfilter.Maybe
		}
	}
	return out
}

// PeersHold reports whether an end is one of peers; no peers are every end.
func PeersHold(peers []Peer, e *End) netfilter.Answer {
	if len(peers) == 0 {
		return netfilter.Yes
	}
	return anyOf(peers, func(p *Peer) netfilter.Answer { return (*p).Match(e) })
}

func portsHold(ports []Port, f *Flow) netfilter.Answer {
	if len(ports) == 0 {
		return netfilter.Yes
	}
	return anyOf(ports, func(p *Port) netfilter.Answer { return p.Match(f) })
}

// A Range is port numbers from First to Last.
type Range struct{ First, Last uint16 }

// A Port is a set of protocols and ports of the destination. Without Ranges and
// Names it is all of the protocol, for protocols without ports, too.
type Port struct {
	Protocol model.Protocol // "" for any
	Other    bool           // any protocol but that
	Ranges   []Range
	Names    []string // of ports of the destination's containers
	Except   bool     // all numbers but those of Ranges and Names
}

// Match reports whether the port is that of a flow.
func (p *Port) Match(f *Flow) netfilter.Answer {
	if p.Protocol != "" && (p.Protocol == f.Protocol) == p.Other {
		return netfilter.No
	}
	if len(p.Ranges) == 0 && len(p.Names) == 0 {
		return netfilter.Yes
	}
	if !f.Protocol.HasPorts() {
		return netfilter.No
	}
	in := slices.ContainsFunc(p.Ranges, func(r Range) bool { return r.First <= f.Port && f.Port <= r.Last }) ||
		f.Dst.Pod != nil && slices.ContainsFunc(p.Names, func(name string) bool { return f.Dst.Pod.HasPort(name, f.Protocol, f.Port) })
	return netfilter.AnswerOf(in != p.Except)
}

// String names protocol and ports: "TCP 80", "UDP 53-60, dns".
func (p *Port) String() string {
	out := "any protocol"
	if p.Protocol != "" {
		out = strings.ToUpper(string(p.Protocol))
	}
	if p.Other {
		out = "not " + out
	}
	var list []string
	for _, r := range p.Ranges {
		if r.First == r.Last {
			list = append(list, fmt.Sprint(r.First))
			continue
		}
		list = append(list, fmt.Sprintf("%d-%d", r.First, r.Last))
	}
	list = append(list, p.Names...)
	switch {
	case len(list) == 0:
		return out
	case p.Except:
		return out + " except " + strings.Join(list, ", ")
	}
	return out + " " + strings.Join(list, ", ")
}
