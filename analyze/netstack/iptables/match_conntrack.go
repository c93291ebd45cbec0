package iptables

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

const conntrackOptions = "ctstate ctproto ctorigsrc ctorigdst ctreplsrc ctrepldst ctorigsrcport ctorigdstport " +
	"ctreplsrcport ctrepldstport ctstatus ctexpire ctdir"

// The states of "--ctstate". SNAT and DNAT are states of their own.
const (
	ctNew = 1 << iota
	ctEstablished
	ctRelated
	ctInvalid
	ctUntracked
	ctSNAT
	ctDNAT
)

func ctStateBit(name string) (uint8, error) {
	switch strings.ToUpper(name) {
	case "NEW":
		return ctNew, nil
	case "ESTABLISHED":
		return ctEstablished, nil
	case "RELATED":
		return ctRelated, nil
	case "INVALID":
		return ctInvalid, nil
	case "UNTRACKED":
		return ctUntracked, nil
	case "SNAT":
		return ctSNAT, nil
	case "DNAT":
		return ctDNAT, nil
	}
	return 0, fmt.Errorf("%w: %q", errValue, name)
}

// tracked reports whether a packet has a conntrack entry.
func tracked(ct *netfilter.Ct) bool {
	return ct.State == netfilter.CtNew || ct.State == netfilter.CtEstablished || ct.State == netfilter.CtRelated
}

// stateBit returns the state of a packet. One without an entry is invalid,
// unless it is not to have one.
func stateBit(ct *netfilter.Ct) uint8 {
	switch ct.State {
	case netfilter.CtNew:
		return ctNew
	case netfilter.CtEstablished:
		return ctEstablished
	case netfilter.CtRelated:
		return ctRelated
	case netfilter.CtUntracked:
		return ctUntracked
	}
	return ctInvalid
}

// ctState is "--ctstate" or "--state".
type ctState struct {
	mask    uint8
	not     bool
	virtual bool // SNAT and DNAT count
}

func parseCtState(o option, virtual bool) (*ctState, error) {
	m := &ctState{not: o.not, virtual: virtual}
	for word := range strings.SplitSeq(o.arg(), ",") {
		bit, err := ctStateBit(word)
		if err != nil {
			return nil, err
		}
		m.mask |= bit
	}
	return m, nil
}

func (m *ctState) match(f *netfilter.Frame) netfilter.Answer {
	bits := stateBit(&f.Ct)
	if m.virtual && tracked(&f.Ct) {
		if f.Ct.SNAT {
			bits |= ctSNAT
		}
		if f.Ct.DNAT {
			bits |= ctDNAT
		}
	}
	return answerOf(bits&m.mask != 0 != m.not)
}

func matchState(b *building, options []option) error {
	for _, o := range options {
		m, err := parseCtState(o, false)
		if err != nil {
			return err
		}
		if err := b.add(m); err != nil {
			return err
		}
	}
	return nil
}

// conntrack is one "-m conntrack". A packet without an entry is asked for its
// state only, and matches nothing if that is not asked for.
type conntrack struct {
	state *ctState
	rest  []matcher
}

func matchConntrack(b *building, options []option) error {
	c := &conntrack{}
	for _, o := range options {
		if o.name == "ctstate" {
			s, err := parseCtState(o, true)
			if err != nil {
				return err
			}
			c.state = s
			continue
		}
		m, err := conntrackOption(o)
		if err != nil {
			return err
		}
		c.rest = append(c.rest, m)
	}
	if c.state != nil && c.rest == nil {
		return b.add(c.state)
	}
	return b.add(c)
}

func (c *conntrack) match(f *netfilter.Frame) netfilter.Answer {
	if c.state != nil && c.state.match(f) == netfilter.No {
		return netfilter.No
	}
	if !tracked(&f.Ct) {
		return answerOf(c.state != nil)
	}
	answer := netfilter.Yes
	for _, m := range c.rest {
		switch m.match(f) {
		case netfilter.No:
			return netfilter.No
		case netfilter.Maybe:
			answer = netfilter.Maybe
		}
	}
	return answer
}

func (c *conntrack) doubt() string {
	return "what conntrack knows of the connection is not in the bundle"
}

var errDirection = errors.New("unknown direction")

func conntrackOption(o option) (matcher, error) {
	switch o.name {
	case "ctproto":
		proto, err := parseProtocol(o.arg())
		return &ctProto{proto, o.not}, err
	case "ctstatus":
		return parseCtStatus(o)
	case "ctexpire":
		return open("how long a connection is kept is not in the bundle"), nil
	case "ctdir":
		switch strings.ToUpper(o.arg()) {
		case "ORIGINAL":
			return &ctDir{reply: o.not}, nil
		case "REPLY":
			return &ctDir{reply: !o.not}, nil
		}
		return nil, errDirection
	}
	end := ctEnd{reply: strings.HasPrefix(o.name, "ctrepl"), dst: strings.Contains(o.name, "dst")}
	if strings.HasSuffix(o.name, "port") {
		ports, err := parsePorts(o)
		return &ctPort{end, ports}, err
	}
	addr, err := parseAddrMatch(o.arg(), o.not)
	return &ctAddr{end, addr}, err
}

type ctProto struct {
	proto model.Protocol
	not   bool
}

func (m *ctProto) match(f *netfilter.Frame) netfilter.Answer {
	return answerOf((f.Ct.Original.Protocol == m.proto) != m.not)
}

type ctDir struct{ reply bool }

func (m *ctDir) match(f *netfilter.Frame) netfilter.Answer { return answerOf(f.Ct.Reply == m.reply) }

// ctEnd is one of the four ends of a conntrack entry.
type ctEnd struct{ reply, dst bool }

func (e ctEnd) of(ct *netfilter.Ct) netip.AddrPort {
	t := &ct.Original
	if e.reply {
		t = &ct.Answer
	}
	if e.dst {
		return t.Dst
	}
	return t.Src
}

type ctAddr struct {
	end  ctEnd
	addr *addrMatch
}

func (m *ctAddr) match(f *netfilter.Frame) netfilter.Answer {
	return answerOf(m.addr.contains(m.end.of(&f.Ct).Addr()))
}

type ctPort struct {
	end   ctEnd
	ports portRange
}

func (m *ctPort) match(f *netfilter.Frame) netfilter.Answer {
	return answerOf(m.ports.contains(m.end.of(&f.Ct).Port()))
}

// ctStatus is "--ctstatus": does the entry have one of the bits?
type ctStatus struct{ seenReply, confirmed, open, not bool }

func parseCtStatus(o option) (matcher, error) {
	m := &ctStatus{not: o.not}
	for word := range strings.SplitSeq(o.arg(), ",") {
		switch strings.ToUpper(word) {
		case "NONE":
		case "SEEN_REPLY":
			m.seenReply = true
		case "CONFIRMED":
			m.confirmed = true
		case "EXPECTED", "ASSURED":
			m.open = true
		default:
			return nil, fmt.Errorf("%w: %q", errValue, word)
		}
	}
	return m, nil
}

func (m *ctStatus) match(f *netfilter.Frame) netfilter.Answer {
	answered := f.Ct.State == netfilter.CtEstablished
	switch {
	case (m.seenReply || m.confirmed) && answered:
		return answerOf(!m.not)
	case m.open || m.confirmed || m.seenReply && f.Ct.State == netfilter.CtRelated:
		// A new entry is confirmed once its packet has left: over loopback,
		// that is before it comes in again.
		return netfilter.Maybe
	}
	return answerOf(m.not)
}
