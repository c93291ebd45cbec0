package iptables

import (
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A Rule is one line of iptables-save. A node has hundreds of thousands, so
// what few rules have is kept apart, and rules that ask for the same share it.
type Rule struct {
	Raw  string // the line from -A on, without counters
	Line int    // in the part that it was read from

	head   *header
	more   *conditions // nil if there are none
	target target
}

// A header is what most rules ask for: addresses, protocol, ports, devices.
type header struct {
	src, dst     *addrMatch // nil matches all
	in, out      *ifaceMatch
	proto        model.Protocol // "" matches all
	sport, dport portRange
	notProto     bool
}

// conditions are all that a rule asks for beside its header.
type conditions struct {
	matches []matcher
	picks   []picker
	fault   string // what is not understood; such a rule answers Maybe
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
	if to, _ := destination(r.target); to != nil {
		return to.Name
	}
	return ""
}

// Fault returns what of r is not understood, "" if it is understood in full.
func (r *Rule) Fault() string {
	if r.more != nil && r.more.fault != "" {
		return r.more.fault
	}
	if t, ok := r.target.(*unknownTarget); ok {
		return t.what
	}
	return ""
}

// matched reports whether f is one of the packets that r is for, and asks the
// run's choices where that is open.
func (r *Rule) matched(f *netfilter.Frame, file *Ruleset) bool {
	if !r.head.fits(f) {
		return false
	}
	if r.head.out != nil && f.OutUnknown() {
		return !r.idle() && (r.more == nil || r.meets(r.more, f, file)) &&
			f.Choices.Doubt(model.Doubt{What: "the device that the packet leaves by", Evidence: file.Evidence(r)})
	}
	return r.more == nil || r.meets(r.more, f, file)
}

// meets asks for what the header does not say.
func (r *Rule) meets(c *conditions, f *netfilter.Frame, file *Ruleset) bool {
	open := c.fault
	for _, m := range c.matches {
		switch m.match(f) {
		case netfilter.No:
			return false
		case netfilter.Maybe:
			if open == "" {
				open = doubtOf(m, r)
			}
		}
	}
	if (open != "" || len(c.picks) > 0) && r.idle() {
		return false // whether it matches makes no difference
	}
	for _, p := range c.picks {
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

// fits compares a packet with h, the most telling first.
func (h *header) fits(f *netfilter.Frame) bool {
	p := &f.Packet
	if h.dst != nil && !h.dst.contains(p.Dst.Addr()) {
		return false
	}
	if h.proto != "" && (h.proto == p.Protocol) == h.notProto {
		return false
	}
	if h.src != nil && !h.src.contains(p.Src.Addr()) {
		return false
	}
	if !h.dport.takes(p.Dst.Port()) || !h.sport.takes(p.Src.Port()) {
		return false
	}
	return h.in.takes(f.In) && (h.out.takes(f.Out) || f.OutUnknown())
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

// takes reports whether dev is one of m, or m is not asked for.
func (m *ifaceMatch) takes(dev string) bool { return m == nil || m.matches(dev) }

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

// takes reports whether port is in r, or r is not asked for.
func (r portRange) takes(port uint16) bool { return !r.set || r.contains(port) }

func (r portRange) contains(port uint16) bool { return (r.lo <= port && port <= r.hi) != r.not }
