package aliyun

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// An answer is what one of the cloud's checks says of a packet.
type answer struct {
	is    netfilter.Answer // whether the packet gets past it
	step  model.Step       // that says so; without Where there is nothing to say
	end   model.Disposition
	code  string
	why   string // it does not, or may not
	see   string // evidence
	cure  string
	doubt string // what is not known, valid iff is is Maybe
}

func passes() answer { return answer{is: netfilter.Yes} }

// outer is the packet as the VPC sees it: what it carries is nothing to it.
func (t *trip) outer() string {
	p := t.p
	p.Encap = nil
	return p.String()
}

// A trip is a packet on its way through the VPC.
type trip struct {
	*vpc
	c        infra.Crossing
	p        model.Packet
	from, to *eni // nil if it is not known, or no interface of the cloud
	arrives  infra.Machine
	diverted bool
	verdict  infra.Verdict // so far
}

// Cross implements [infra.Underlay]. The order is that of the documentation of
// the VPC: the interface that sends, its security groups, the route table of its
// vSwitch, and then the same at the interface that takes the packet.
func (v *vpc) Cross(c infra.Crossing) (out []infra.Verdict) {
	t := &trip{vpc: v, c: c, p: c.Packet, from: v.interfaceOf(c.From, c.Packet), arrives: c.To}
	t.verdict.Flow = c.Flow
	for _, check := range []func(*trip) answer{(*trip).known, (*trip).source, (*trip).egress, (*trip).route, (*trip).acl, (*trip).taken, (*trip).destination, (*trip).ingress} {
		a := check(t)
		if a.is != netfilter.Yes {
			out = append(out, t.lost(a))
		}
		if a.is == netfilter.No {
			return out
		}
		t.passed(a)
	}
	t.verdict.To, t.verdict.Diverted = t.arrives, t.diverted
	return append(out, t.verdict)
}

// lost is the verdict on a packet that a check stops, or may stop. What is not
// known is no suspicion.
func (t *trip) lost(a answer) infra.Verdict {
	v := t.verdict
	v.Disposition, v.Reason, v.Evidence = a.end, a.why, a.see
	if a.step.Where != "" {
		v.Steps = append(v.Steps[:len(v.Steps):len(v.Steps)], a.step)
	}
	if a.is == netfilter.Maybe {
		v.Doubts = append(v.Doubts[:len(v.Doubts):len(v.Doubts)], model.Doubt{What: a.doubt, Evidence: a.see})
		return v
	}
	v.Code, v.Remedy = a.code, a.cure
	return v
}

// passed takes down that the packet got past a check.
func (t *trip) passed(a answer) {
	if a.step.Where != "" {
		if a.step.Action == "" {
			a.step.Action = strings.TrimSuffix("pass: "+a.step.Rule, ": ")
		}
		t.verdict.Steps = append(t.verdict.Steps, a.step)
	}
	if a.is == netfilter.Maybe {
		t.verdict.Doubts = append(t.verdict.Doubts, model.Doubt{What: a.doubt, Evidence: a.see})
	}
}

// known asks whether the bundle has the interface of a node that is an instance
// of the cloud.
func (t *trip) known() answer {
	instance := t.instances[t.c.From.Node]
	if t.from != nil || instance == "" || !t.facts.Given("DescribeNetworkInterfaces") {
		return passes()
	}
	what := fmt.Sprintf("which ENI of instance %s node %s sends from", instance, t.c.From.Node)
	return answer{is: netfilter.Maybe, end: model.Dropped, why: what + " is not known", doubt: what, see: t.facts.At("DescribeNetworkInterfaces").String()}
}

// taken asks likewise for the one that takes the packet: what its groups do is not
// known where nothing tells of the instance.
func (t *trip) taken() answer {
	instance := t.instances[t.arrives.Node]
	if t.to != nil || instance == "" || t.verdict.Outside || len(t.attached(instance)) > 0 || !t.facts.Given("DescribeNetworkInterfaces") {
		return passes()
	}
	what := fmt.Sprintf("which ENI of instance %s of node %s takes packets to %s", instance, t.arrives.Node, t.p.Dst.Addr())
	return answer{is: netfilter.Maybe, end: model.Dropped, why: what + " is not known", doubt: what, see: t.facts.At("DescribeNetworkInterfaces").String()}
}

// source asks whether the interface lets a packet with this source address out:
// only its own, if it checks ("Source/destination check" in the documentation of
// ECS; off for interfaces made before April 2025, on by default since).
func (t *trip) source() answer {
	return t.owned(t.from, t.p.Src.Addr(), "send from", "vpc/source-check")
}

// destination is the same for the destination address of what comes in.
func (t *trip) destination() answer {
	return t.owned(t.to, t.p.Dst.Addr(), "take packets to", "vpc/destination-check")
}

func (t *trip) owned(e *eni, ip netip.Addr, verb, where string) answer {
	if e == nil || e.owns(ip) || e.SourceDestCheck != nil && !*e.SourceDestCheck {
		return passes()
	}
	a := answer{is: netfilter.No, end: model.Dropped, code: "infra/address-not-owned", see: e.String(),
		why:  fmt.Sprintf("%s may only %s its own addresses, and %s is none of them", e.NetworkInterfaceID, verb, ip),
		cure: unchecked(e),
		step: model.Step{Where: where, Rule: e.NetworkInterfaceID, Action: "drop", Evidence: e.String()}}
	if _, cut := t.facts.Missing()["DescribeNetworkInterfaces"]; e.SourceDestCheck == nil || cut {
		a.is, a.step.Action = netfilter.Maybe, ""
		a.doubt = fmt.Sprintf("whether %s checks addresses (SourceDestCheck), of which %s is none of its own", e.NetworkInterfaceID, ip)
	}
	return a
}

// acl asks whether network ACLs stand between two vSwitches. They are not read;
// within one vSwitch they do not act ("Network ACL" in the documentation of the
// VPC).
func (t *trip) acl() answer {
	from, to := t.vswitchOf(t.from), t.vswitchOf(t.to)
	if from == to {
		return passes()
	}
	for _, id := range []string{from, to} {
		if s := t.vswitches[id]; s != nil && s.NetworkACLID != "" {
			what := fmt.Sprintf("what the network ACL %s of vSwitch %s does", s.NetworkACLID, id)
			return answer{is: netfilter.Maybe, end: model.Dropped, why: what + " is not known", doubt: what, see: s.String()}
		}
	}
	return passes()
}

func (t *trip) vswitchOf(e *eni) string {
	if e == nil {
		return ""
	}
	return e.VSwitchID
}
