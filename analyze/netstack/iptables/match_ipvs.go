package iptables

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// matchIPVS is "-m ipvs" (net/netfilter/xt_ipvs.c). "--ipvs" alone asks whether
// IPVS has dealt with the packet; all else is asked of the packet's connection,
// and a packet without one matches nothing, whatever is negated.
func matchIPVS(b *building, options []option) error {
	only := virtualOnly{true}
	m := &virtual{}
	for _, o := range options {
		if o.name == "ipvs" {
			only = virtualOnly{!o.not}
			continue
		}
		part, err := virtualOption(o)
		if err != nil {
			return fmt.Errorf("--%s: %w", o.name, err)
		}
		m.parts = append(m.parts, part)
	}
	if m.parts == nil {
		return b.add(only)
	}
	return b.add(m)
}

// virtualOnly is "--ipvs".
type virtualOnly struct{ served bool }

func (m virtualOnly) match(f *netfilter.Frame) netfilter.Answer {
	return answerOf(f.Virtual.Served == m.served)
}

// virtual is what "-m ipvs" asks of a connection.
type virtual struct{ parts []matcher }

func (m *virtual) match(f *netfilter.Frame) netfilter.Answer {
	v := &f.Virtual
	if !v.Served || !v.Open && !v.To.IsValid() || f.Packet.Kind == model.KindError {
		return netfilter.No
	}
	all := netfilter.Yes
	if v.Open {
		all = netfilter.Maybe
	}
	for _, part := range m.parts {
		all = all.And(part.match(f))
	}
	return all
}

func (m *virtual) doubt() string { return "what IPVS and conntrack know of the packet (-m ipvs)" }

// virtualOption reads one question about the connection.
func virtualOption(o option) (matcher, error) {
	switch o.name {
	case "vproto":
		return parseVirtualProto(o)
	case "vaddr":
		addr, err := parseAddrMatch(o.arg(), o.not)
		return &virtualAddr{addr}, err
	case "vport":
		port, err := strconv.ParseUint(o.arg(), 10, 16)
		return &virtualPort{uint16(port), o.not}, err
	case "vdir":
		if dir := strings.ToUpper(o.arg()); dir != "ORIGINAL" && dir != "REPLY" {
			return nil, fmt.Errorf("%w: %q", errValue, o.arg())
		}
		return virtualDir{strings.EqualFold(o.arg(), "REPLY") != o.not}, nil
	case "vmethod":
		method := strings.ToUpper(o.arg())
		if method != "GATE" && method != "IPIP" && method != "MASQ" {
			return nil, fmt.Errorf("%w: %q", errValue, o.arg())
		}
		return virtualMethod{method == "MASQ", o.not}, nil
	}
	return open("the port of the controlling connection is not known (-m ipvs --vportctl)"), nil
}

type virtualProto struct {
	protocol model.Protocol
	not      bool
}

func parseVirtualProto(o option) (matcher, error) {
	p, err := parseProtocol(o.arg())
	if err == nil && p == "" {
		err = fmt.Errorf("%w: %q", errValue, o.arg())
	}
	return &virtualProto{p, o.not}, err
}

func (m *virtualProto) match(f *netfilter.Frame) netfilter.Answer {
	return answerOf((f.Packet.Protocol == m.protocol) != m.not)
}

type virtualAddr struct{ addr *addrMatch }

func (m *virtualAddr) match(f *netfilter.Frame) netfilter.Answer {
	if f.Virtual.Open {
		return netfilter.Maybe
	}
	return answerOf(m.addr.contains(f.Virtual.To.Addr()))
}

type virtualPort struct {
	port uint16
	not  bool
}

func (m *virtualPort) match(f *netfilter.Frame) netfilter.Answer {
	if f.Virtual.Open {
		return netfilter.Maybe
	}
	return answerOf((f.Virtual.To.Port() == m.port) != m.not)
}

// virtualDir asks for the direction that conntrack sees the packet go. The match
// does not turn conntrack on: where no other rule does, it finds nothing.
type virtualDir struct{ reply bool }

func (m virtualDir) match(f *netfilter.Frame) netfilter.Answer {
	if f.Ct.State == netfilter.CtUntracked || f.Ct.Reply != m.reply {
		return netfilter.No
	}
	return netfilter.Maybe
}

// virtualMethod asks whether the real server is sent to by translation, or else.
type virtualMethod struct{ masq, not bool }

func (m virtualMethod) match(f *netfilter.Frame) netfilter.Answer {
	switch {
	case !f.Virtual.Open:
		return answerOf(m.masq != m.not)
	case m.masq && !m.not:
		return netfilter.No
	}
	return netfilter.Maybe
}
