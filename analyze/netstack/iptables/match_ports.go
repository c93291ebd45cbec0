package iptables

import (
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// needs reports an error unless the rule is for one of the protocols.
func (b *building) needs(protos ...model.Protocol) error {
	for _, p := range protos {
		if b.rule.proto == p && !b.rule.notProto {
			return nil
		}
	}
	return errProtoFor
}

// port reads --sport and --dport, into the rule's plain fields if they are
// free.
func (b *building) port(o option) error {
	ports, err := parsePorts(o)
	if err != nil {
		return err
	}
	source := o.name == "sport" || o.name == "source-port"
	field := &b.rule.dport
	if source {
		field = &b.rule.sport
	}
	if field.set {
		return b.add(&multiport{ranges: []portRange{{lo: ports.lo, hi: ports.hi}}, src: source, dst: !source, not: ports.not})
	}
	*field = ports
	return nil
}

func matchUDP(b *building, options []option) error {
	if err := b.needs(model.UDP); err != nil {
		return err
	}
	for _, o := range options {
		if err := b.port(o); err != nil {
			return err
		}
	}
	return nil
}

// multiport is a list of port ranges, compared with one end or with either.
type multiport struct {
	ranges        []portRange
	src, dst, not bool
}

func matchMultiport(b *building, options []option) error {
	if err := b.needs(model.TCP, model.UDP, model.SCTP, "dccp", "udplite"); err != nil {
		return err
	}
	for _, o := range options {
		m := &multiport{not: o.not, src: true, dst: true}
		switch o.name {
		case "sports", "source-ports":
			m.dst = false
		case "dports", "destination-ports":
			m.src = false
		}
		for word := range strings.SplitSeq(o.arg(), ",") {
			lo, hi, err := parseSpan(word, ":")
			if err != nil {
				return err
			}
			m.ranges = append(m.ranges, portRange{lo: lo, hi: hi})
		}
		if err := b.add(m); err != nil {
			return err
		}
	}
	return nil
}

func (m *multiport) match(f *netfilter.Frame) netfilter.Answer {
	if !f.Packet.Protocol.HasPorts() {
		return netfilter.Maybe
	}
	for _, r := range m.ranges {
		if m.src && r.contains(f.Packet.Src.Port()) || m.dst && r.contains(f.Packet.Dst.Port()) {
			return answerOf(!m.not)
		}
	}
	return answerOf(m.not)
}

func (m *multiport) doubt() string { return "ports of a protocol whose packets are not simulated" }

// matchSCTP reads ports and "--chunk-types all|any|only LIST".
func matchSCTP(b *building, options []option) error {
	if err := b.needs(model.SCTP); err != nil {
		return err
	}
	for _, o := range options {
		err := error(nil)
		if o.name == "chunk-types" {
			err = b.chunks(o)
		} else {
			err = b.port(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *building) chunks(o option) error {
	if len(o.args) < 2 {
		return errArgs
	}
	m := &chunkTypes{not: o.not, all: o.args[0] == "all"}
	switch o.args[0] {
	case "all", "any", "only":
	default:
		return fmt.Errorf("%w: %q", errValue, o.args[0])
	}
	for t := range strings.SplitSeq(o.args[1], ",") {
		name, flags, _ := strings.Cut(t, ":")
		m.open = m.open || flags != ""
		m.types = append(m.types, strings.ToUpper(strings.Clone(name)))
	}
	return b.add(m)
}

// chunkTypes compares the chunks of an SCTP packet. A packet that opens,
// answers or refuses a conversation has one chunk.
type chunkTypes struct {
	types          []string
	all, not, open bool
}

func (m *chunkTypes) match(f *netfilter.Frame) netfilter.Answer {
	chunk := ""
	switch f.Packet.Kind {
	case model.KindOpen:
		chunk = "INIT"
	case model.KindReply:
		chunk = "INIT_ACK"
	case model.KindReset:
		chunk = "ABORT"
	}
	if m.open || chunk == "" {
		return netfilter.Maybe
	}
	found, others := false, false
	for _, t := range m.types {
		switch t {
		case "ALL", "NONE":
			return netfilter.Maybe
		case chunk:
			found = true
		default:
			others = true
		}
	}
	hit := found && (!m.all || !others)
	return answerOf(hit != m.not)
}

func (m *chunkTypes) doubt() string { return "chunks of an SCTP packet are not simulated" }
