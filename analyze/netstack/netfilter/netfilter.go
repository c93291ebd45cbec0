// Package netfilter holds what every rule engine of the kernel shares: hooks,
// verdicts, the packet as a rule sees it, and the open questions of a run.
package netfilter

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A Hook is one of the five places where netfilter looks at a packet.
//
//	                 local process
//	                  ^         |
//	               [Input]   [Output]
//	                  |         v
//	--[Prerouting]--route--[Forward]--[Postrouting]-->
type Hook uint8

// The hooks, in the order in which a forwarded packet meets them.
const (
	Prerouting Hook = iota
	Input
	Forward
	Output
	Postrouting
)

func (h Hook) String() string {
	return [...]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}[h]
}

// A Verdict is what a rule, a chain or a hook decides about a packet.
type Verdict uint8

// The verdicts. The zero value decides nothing.
const (
	Continue Verdict = iota // try the next rule
	Accept
	Drop
	Reject  // Frame.RejectWith says what the sender is told
	Return  // go back to the calling chain, or to the policy of a base chain
	Unknown // the packet goes where the simulation cannot follow: NFQUEUE, TPROXY
)

func (v Verdict) String() string {
	return [...]string{"continue", "accept", "drop", "reject", "return", "unknown"}[v]
}

// An Answer is the answer of a matcher. Maybe means that the bundle cannot
// tell: the engine then follows both branches.
type Answer uint8

// The answers.
const (
	No Answer = iota
	Yes
	Maybe
)

// Not returns the negation of a: Maybe stays Maybe.
func (a Answer) Not() Answer {
	switch a {
	case No:
		return Yes
	case Yes:
		return No
	}
	return Maybe
}

// And returns whether both a and b hold: No if one surely does not.
func (a Answer) And(b Answer) Answer {
	switch {
	case a == No || b == No:
		return No
	case a == Maybe || b == Maybe:
		return Maybe
	}
	return Yes
}

// Or returns whether a or b holds: Yes if one surely does.
func (a Answer) Or(b Answer) Answer { return a.Not().And(b.Not()).Not() }

// AnswerOf turns a bool into an Answer.
func AnswerOf(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

// A CtState is what conntrack thinks of a packet.
type CtState uint8

// The states. The zero value is a packet that conntrack has not seen yet.
const (
	CtNone        CtState = iota // before conntrack, or a namespace that does not track
	CtNew                        // opens a conversation
	CtEstablished                // of a known conversation
	CtRelated                    // an ICMP error about one
	CtInvalid
	CtUntracked // NOTRACK
)

func (s CtState) String() string {
	return [...]string{"NONE", "NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"}[s]
}

// Ct is a packet's conntrack entry as rules see it.
type Ct struct {
	State    CtState
	Reply    bool // the packet goes in the reply direction
	Original model.Tuple
	Answer   model.Tuple // tuple of the reply direction
	Mark     uint32
	SNAT     bool // the source was, or is to be, translated
	DNAT     bool
	Zone     int
}

// An AddrType is the kernel's type of an address, by the names that
// "-m addrtype" uses: LOCAL UNICAST BROADCAST MULTICAST ANYCAST BLACKHOLE
// UNREACHABLE PROHIBIT UNSPEC.
type AddrType string

// The address types that matter most.
const (
	AddrLocal       AddrType = "LOCAL"
	AddrUnicast     AddrType = "UNICAST"
	AddrBroadcast   AddrType = "BROADCAST"
	AddrMulticast   AddrType = "MULTICAST"
	AddrBlackhole   AddrType = "BLACKHOLE"
	AddrUnreachable AddrType = "UNREACHABLE"
	AddrProhibit    AddrType = "PROHIBIT"
	AddrUnspec      AddrType = "UNSPEC"
	AddrUnknown     AddrType = "" // neither addresses nor local routes were collected
)

// WideMask returns a mask for addresses in their 16-byte form.
func WideMask(m netip.Addr) *[16]byte {
	wide := m.As16()
	if m.Is4() {
		for i := range 12 {
			wide[i] = 0xff
		}
	}
	return &wide
}

// An Env answers what a rule may ask about the namespace around it.
type Env interface {
	// AddrType returns the type of a as the routing tables see it; dev limits
	// LOCAL to addresses of that device, "" does not limit. It is AddrUnknown
	// where the dump does not tell.
	AddrType(a netip.Addr, dev string) AddrType
	// EgressAddr returns the address that MASQUERADE uses for a packet to dst
	// that leaves by dev; invalid if dev has none of the family.
	EgressAddr(dev string, dst netip.Addr) netip.Addr
	// InputAddr returns the address that REDIRECT sends a packet to that came
	// in by dev: its first address; invalid if there is none.
	InputAddr(dev string, ipv6 bool) netip.Addr
	// ReversePath answers "-m rpfilter": would a packet to f.Packet.Src leave
	// by the device that f came in by (by any device, if loose)?
	ReversePath(f *Frame, loose, acceptLocal bool) Answer
	// DevGroup returns the group of a device.
	DevGroup(dev string) (int, bool)
	// HasSocket answers "-m socket": does a socket wait for f?
	HasSocket(f *Frame) Answer
	// Listener returns the socket that waits for what opens a conversation as f
	// would, by its addresses alone.
	Listener(f *Frame) Socket
}

// A Socket is one that waits for packets.
type Socket struct {
	Found       Answer
	Wildcard    bool   // it is bound to no address
	Transparent Answer // it has IP_TRANSPARENT
}

// A Frame is a packet inside one network namespace, with all that a rule may
// look at. Targets change Packet, Ct.Mark, RejectWith, NoTrack and Bound; nothing
// else changes but the records Trace and the choices.
type Frame struct {
	Packet          model.Packet
	Hook            Hook
	In, Out         string // devices; "" where there is none
	PhysIn, PhysOut string // bridge ports, of a bridged packet
	Bridged         bool   // seen by br_netfilter on its way through a bridge
	Ct              Ct
	NoTrack         bool           // set by NOTRACK in raw
	Bound           bool           // a rule has decided about the translation that is open at this hook (nf_nat_initialized)
	Blind           bool           // devices or routes were not collected: Out is "" in FORWARD, OUTPUT and POSTROUTING where nobody knows it, and what Env knows no address for may have one
	TProxy          netip.AddrPort // where the socket waits that TPROXY has given the packet to; invalid if it has not
	Virtual         Virtual        // what IPVS has made of the packet
	ChangedSets     []string       // ipsets that rules have added the packet to, or taken it out of
	RejectWith      string         // set by REJECT: "icmp-port-unreachable", "tcp-reset", ...
	Learned         []Learned      // what rules have entered into sets of nftables, the last at the end
	Env             Env
	Choices         *Choices
	Trace           []model.Step
}

// A Virtual is what IPVS has made of a packet: nothing, if it is zero.
type Virtual struct {
	Served bool           // it has dealt with the packet (skb->ipvs_property)
	To     netip.AddrPort // the virtual server of the translated connection that the packet belongs to, from the client; invalid if there is none
	Open   bool           // whether it has such a connection is not known
}

// Outer is what is left of v in a packet around it, or inside it: no connection,
// but the mark (skb_scrub_packet takes it off between namespaces only).
func (v Virtual) Outer() Virtual { return Virtual{Served: v.Served} }

// OutUnknown reports whether f leaves by a device that nobody knows.
func (f *Frame) OutUnknown() bool {
	return f.Blind && f.Out == "" && f.Hook != Prerouting && f.Hook != Input
}

// A Learned is an element that a rule has added to a set, or taken out of it.
type Learned struct {
	Set, Key string // as the engine that it belongs to names them
	Gone     bool
}

// Step adds a step to the trace.
func (f *Frame) Step(where, rule, action, evidence string) {
	f.Trace = append(f.Trace, model.Step{Where: where, Rule: rule, Action: action, Evidence: evidence})
}

// An UnsupportedError reports a line that the simulation cannot read. The rule
// stays in its chain and answers Maybe: one odd line costs one rule, not a node.
type UnsupportedError struct {
	File string
	Line int
	What string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s:%d: unsupported %s", e.File, e.Line, e.What)
}

// Is reports that an UnsupportedError is an [errors.ErrUnsupported].
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// A Router is an Env that can also be asked as "fib" of nftables asks.
type Router interface {
	// FibDevice returns the device by which the routes lead a packet to the
	// source of f, or to its destination if dst; "" if none does, or not dev,
	// unless that is "". The packet's mark counts if mark (nft_fib4_eval,
	// nft_fib6_eval).
	FibDevice(f *Frame, dst, mark bool, dev string) string
}
