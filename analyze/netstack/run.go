package netstack

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Wire answers what the dump of one namespace cannot: what lies beyond its
// devices. The nil Wire knows nothing: what depends on it is a doubt.
type Wire interface {
	// Resolve asks the segment of dev who has ip, as ARP and NDP do, and
	// returns the hardware address of the answer. p is the packet that waits
	// for it.
	Resolve(ns *NetNS, dev string, ip netip.Addr, p model.Packet) (mac string, known netfilter.Answer)
	// Leads answers whether mac is behind dev.
	Leads(ns *NetNS, dev, mac string) netfilter.Answer
	// Lost reports whether a frame to mac that leaves the machine by dev
	// certainly reaches nobody. Wires that the bundle shows are not asked
	// about: their other end decides.
	Lost(ns *NetNS, dev, mac string) bool
}

// A Call is what the walk gives to a namespace along with a packet.
type Call struct {
	Wire  Wire
	Flow  *model.Flow // what this branch has left behind so far
	Alone bool        // nothing around the namespace is asked about, see [NetNS.Alone]
}

// Alone returns a Call that asks what the namespace itself does with a packet,
// whatever is around it: whoever is asked for a neighbour's address answers; a
// frame that goes to nobody knows which port of a bridge, or which end of a
// tunnel, leaves by that device; a packet that INPUT lets pass has arrived even
// if the sockets are not known; and one that comes in keeps its mark.
func (ns *NetNS) Alone() Call { return Call{Alone: true} }

// An Outcome is one way out of a namespace.
type Outcome struct {
	Packet      model.Packet      // as it left, or as it was when it ended
	Disposition model.Disposition // Forwarded: it left by Dev
	Dev         string
	Netns       string       // ID of the namespace
	NextHop     netip.Addr   // to whom, if the frame needed one
	Route       route.Result // the last routing decision; its Type is "" if there was none
	Code        string       // suspicion code of what stopped it, "" if it went on
	Reason      string
	Evidence    string
	Remedy      string
	LocalError  bool          // a local sender was told at once
	PathMTU     int           // what an ICMP error tells the sender, 0 if none does
	Answer      *model.Packet // what the namespace sends back, nil if it stays silent
	AnswerDev   string        // device that Answer leaves by at once, "" if it is sent like any other
	Trace       []model.Step
	Flow        *model.Flow
	Share       float64
	Doubts      []model.Doubt
	Noted       []model.Suspicion // what will stop the packet later, or may
	Arrived     bool              // it was for this host and passed INPUT, whether or not a socket waits for it
	RejectWith  string            // what a Rejected one is answered with, in the word of the rule; "" for the others

	Into *Into // whom a device gives it to in another namespace, nil if it leaves by a wire

	innerTold bool           // Answer is about a tunnel's inner packet
	service   serviceKey     // what a new conversation whose port is not known asked for
	chosen    netip.AddrPort // where the rules have sent it, once it is confirmed
}

// maxRuns bounds how many branches one packet may have in one namespace.
const maxRuns = 256

// usualSteps is how many steps the way of a packet seldom has more than.
const usualSteps = 16

// maxStages bounds how often a packet may change its device inside a
// namespace: tunnels in tunnels, bridges on tunnels.
const maxStages = 24

// Output sends a packet that is born in ns. An unset p.Src is chosen by the
// routes; oif binds the sender to a device, "" does not.
func (ns *NetNS) Output(p model.Packet, oif string, call Call) []Outcome {
	return ns.enumerate(p, call, func(r *run) { r.output(p, oif) })
}

// Input takes a packet that came in by dev.
func (ns *NetNS) Input(p model.Packet, dev string, call Call) []Outcome {
	return ns.enumerate(p, call, func(r *run) { r.input(p, dev) })
}

// Discover sends a message of NDP by dev, about which no route is asked
// (ndisc_send_skb).
func (ns *NetNS) Discover(p model.Packet, dev string, call Call) []Outcome {
	return ns.enumerate(p, call, func(r *run) {
		r.born(p, dev)
		r.localOut(route.Result{Type: route.TypeUnicast, Dev: dev})
	})
}

// Emit puts a frame on dev as it is: no route is asked and no hook sees it
// (dev_queue_xmit).
func (ns *NetNS) Emit(p model.Packet, dev string, call Call) []Outcome {
	return ns.enumerate(p, call, func(r *run) { r.emit(p, dev) })
}

func (ns *NetNS) enumerate(p model.Packet, call Call, start func(*run)) (outcomes []Outcome) {
	for c := netfilter.NewChoices(); c.Next(); {
		if len(outcomes) == maxRuns {
			return append(outcomes, Outcome{Disposition: model.Unknown, Reason: "more branches than are followed", Flow: call.Flow,
				Doubts: []model.Doubt{{What: "more branches than are followed", Evidence: ns.Info.File}}})
		}
		r := &run{ns: ns, wire: call.Wire, flow: call.Flow, alone: call.Alone}
		r.f.Choices = c
		r.f.Trace = make([]model.Step, 0, usualSteps)
		r.f.Env = &env{ns}
		r.f.Blind = ns.routeless() || ns.deviceless()
		if d := ns.Unread("interfaces"); d != nil && !ns.deviceless() {
			r.f.Packet = p
			r.unknown(d.What, d.Evidence)
		} else {
			start(r)
		}
		r.scopeAnswer()
		r.out.Netns = ns.ID
		r.out.Packet, r.out.Trace = r.f.Packet, r.f.Trace
		if r.out.Disposition == model.Rejected {
			r.out.RejectWith = r.f.RejectWith
		}
		r.out.Flow, r.out.Share, r.out.Doubts = r.flow, c.Share(), c.Doubts()
		outcomes = append(outcomes, r.out)
	}
	ns.noteStale(outcomes)
	return outcomes
}

// A run is one packet on one branch through one namespace. Its methods are the
// stages of the kernel; each ends in the next stage or in end.
type run struct {
	ns     *NetNS
	wire   Wire
	f      netfilter.Frame
	flow   *model.Flow
	out    Outcome
	stages int

	local    bool         // born here
	sockDev  string       // the device that the sender's socket is bound to, "" if none
	attached bool         // it was made about another packet, whose entry it has
	looped   bool         // sent to ourselves: conntrack and nat have seen it
	settled  bool         // IPVS sends it: conntrack and nat have seen it at another hook
	reopened *dumpedConn  // the entry that the packet has made room for
	conn     *model.Conn  // the conntrack entry that it belongs to, nil for a new one
	routed   route.Result // of a packet that is born here: OUTPUT may change it
	in       string       // the device that a forwarded packet came in by, which POSTROUTING still sees
	iif      string       // the device that a packet was routed from, "" if it was born here
	nexthop  netip.Addr
	cast     route.Type // of the address that the packet was delivered at; "" if it was the host's own
	alone    bool       // Call.Alone
	told     bool       // the frame's address is what somebody wrote, not what anybody answered
	to       packetType // of the frame that came in
	seen     bool       // br_netfilter has shown the frame to PREROUTING (ip_sabotage_in)
	vid      int        // VLAN of a frame inside a bridge that filters by it, 0 if there is none
}

// end ends the journey.
func (r *run) end(d model.Disposition, code, reason, evidence string) {
	r.out.Disposition, r.out.Code, r.out.Reason, r.out.Evidence = d, code, reason, evidence
	r.step("end", "", d.String()+": "+reason, evidence)
}

// unread ends the journey where it depends on a section that was not read.
func (r *run) unread(section string) bool {
	d := r.ns.Unread(section)
	if d != nil {
		r.unknown(d.What, d.Evidence)
	}
	return d != nil
}

// unknown ends the journey where the simulation cannot follow, with the reason
// as a doubt of the branch.
func (r *run) unknown(what, evidence string) {
	r.f.Choices.Certain(model.Doubt{What: what, Evidence: evidence})
	r.end(model.Unknown, "", what, evidence)
}

func (r *run) step(where, rule, action, evidence string) { r.f.Step(where, rule, action, evidence) }

// tooDeep ends a journey that goes in circles inside the namespace.
func (r *run) tooDeep() bool {
	if r.stages++; r.stages <= maxStages {
		return false
	}
	r.end(model.Loop, "walk/loop", "the packet goes in circles inside the namespace", "")
	return true
}

// forks ends the journey on one branch for what the bundle does not tell, and
// reports whether this is the one. The other goes on, and is not asked again.
func (r *run) forks(d model.Doubt) bool {
	if r.asked(d.What) || !r.f.Choices.Doubt(d) {
		return false
	}
	r.end(model.Unknown, "", d.What, d.Evidence)
	return true
}

// asked reports whether the branch has already met the doubt.
func (r *run) asked(what string) bool {
	return slices.ContainsFunc(r.f.Choices.Doubts(), func(d model.Doubt) bool { return d.What == what })
}

// opaque asks about a program that may do anything to the packet, and reports
// whether the branch ended there.
func (r *run) opaque(hook, dev string) bool {
	for i := range r.ns.Info.Programs {
		p := &r.ns.Info.Programs[i]
		if p.Hook != hook || p.Dev != dev {
			continue
		}
		if r.forks(model.Doubt{What: programDoubt(p), Evidence: r.ns.at(p.Line)}) {
			return true
		}
	}
	return r.opaqueChains(hook, dev)
}

func programDoubt(p *nodedump.Program) string {
	name := p.Name
	if name == "" {
		name = p.Kind
	}
	if p.Hook == "qdisc" {
		return fmt.Sprintf("whether queue %s of %s loses the packet", name, p.Dev)
	}
	return fmt.Sprintf("the effect of %s program %s on %s", p.Hook, name, p.Dev)
}
