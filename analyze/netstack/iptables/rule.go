package iptables

import (
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A Rule is one line of iptables-save. What most rules ask for is kept in
// plain fields, the rest in matches.
type Rule struct {
	Raw  string // the line from -A on, without counters
	Line int    // in the part that it was read from

	src, dst     *addrMatch // nil matches all
	in, out      *ifaceMatch
	proto        model.Protocol // "" matches all
	notProto     bool
	sport, dport portRange
	matches      []matcher
	picks        []picker
	target       target
	fault        string // what is not understood; such a rule answers Maybe
}

// A matcher is one "-m" condition of a rule. It changes nothing.
type matcher interface {
	match(f *netfilter.Frame) netfilter.Answer
}

// A doubter is a matcher that may answer Maybe: doubt says why.
type doubter interface {
	doubt() string
}

// A picker is a condition that holds for a share of the traffic.
type picker interface {
	pick(f *netfilter.Frame) bool
}

// A target is what a rule does with a packet that it matches. The action is
// for the trace; at is the rule's place, for doubts.
type target interface {
	apply(f *netfilter.Frame, at string) (v netfilter.Verdict, action string)
}

// JumpTo returns the chain that r jumps or goes to, "" if it does neither.
func (r *Rule) JumpTo() string {
	if j, ok := r.target.(*jump); ok {
		return j.name
	}
	return ""
}

// Fault returns what of r is not understood, "" if it is understood in full.
func (r *Rule) Fault() string {
	if r.fault != "" {
		return r.fault
	}
	if t, ok := r.target.(*unknownTarget); ok {
		return t.what
	}
	return ""
}

// matched reports whether f is one of the packets that r is for, and asks the
// run's choices where that is open.
func (r *Rule) matched(f *netfilter.Frame, file *Ruleset) bool {
	if !r.header(&f.Packet, f) {
		return false
	}
	open := r.fault
	for _, m := range r.matches {
		switch m.match(f) {
		case netfilter.No:
			return false
		case netfilter.Maybe:
			if open == "" {
				open = doubtOf(m, r)
			}
		}
	}
	if (open != "" || len(r.picks) > 0) && r.idle() {
		return false // whether it matches makes no difference
	}
	for _, p := range r.picks {
		if !p.pick(f) {
			return false
		}
	}
	return open == "" || f.Choices.Doubt(model.Doubt{What: open, Evidence: file.Evidence(r)})
}

// idle reports whether r changes nothing about the packet's way.
func (r *Rule) idle() bool {
	if r.target == nil {
		return true
	}
	_, ok := r.target.(passive)
	return ok
}

func doubtOf(m matcher, r *Rule) string {
	if d, ok := m.(doubter); ok {
		return d.doubt()
	}
	return "match cannot be decided: " + r.Raw
}

// header compares the plain fields, the most telling first.
func (r *Rule) header(p *model.Packet, f *netfilter.Frame) bool {
	if r.dst != nil && !r.dst.contains(p.Dst.Addr()) {
		return false
	}
	if r.proto != "" && (r.proto == p.Protocol) == r.notProto {
		return false
	}
	if r.dport.set && !r.dport.contains(p.Dst.Port()) {
		return false
	}
	if r.src != nil && !r.src.contains(p.Src.Addr()) {
		return false
	}
	if r.sport.set && !r.sport.contains(p.Src.Port()) {
		return false
	}
	return r.devices(f)
}

func (r *Rule) devices(f *netfilter.Frame) bool {
	return (r.in == nil || r.in.matches(f.In)) && (r.out == nil || r.out.matches(f.Out))
}

// An addrMatch is the argument of -s or -d.
type addrMatch struct {
	prefix netip.Prefix
	mask   *[16]byte // instead of the prefix's length, if that cannot say it
	not    bool
}

func (m *addrMatch) contains(a netip.Addr) bool {
	if m.mask == nil {
		return (m.prefix.Bits() == 0 || m.prefix.Contains(a)) != m.not
	}
	return masked(a, m.mask) == masked(m.prefix.Addr(), m.mask) != m.not
}

func masked(a netip.Addr, mask *[16]byte) [16]byte {
	b := a.As16()
	for i := range b {
		b[i] &= mask[i]
	}
	return b
}

// An ifaceMatch is the argument of -i or -o: "eth0", or "eth" and wild for
// "eth+".
type ifaceMatch struct {
	name      string
	wild, not bool
}

func (m *ifaceMatch) matches(dev string) bool {
	if m.wild {
		return strings.HasPrefix(dev, m.name) != m.not
	}
	return dev == m.name != m.not
}

// A portRange is a port or a range of them.
type portRange struct {
	lo, hi   uint16
	set, not bool
}

func (r portRange) contains(port uint16) bool { return (r.lo <= port && port <= r.hi) != r.not }
