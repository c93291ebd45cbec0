package iptables

import (
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// The TCP flags, by their bits in the header.
const (
	flagFIN = 1 << iota
	flagSYN
	flagRST
	flagPSH
	flagACK
	flagURG
)

func matchTCP(b *building, options []option) error {
	if err := b.needs(model.TCP); err != nil {
		return err
	}
	for _, o := range options {
		if err := b.tcpOption(o); err != nil {
			return err
		}
	}
	return nil
}

func (b *building) tcpOption(o option) error {
	switch o.name {
	case "syn":
		return b.add(&tcpFlags{mask: flagFIN | flagSYN | flagRST | flagACK, value: flagSYN, not: o.not})
	case "tcp-flags":
		if len(o.args) < 2 {
			return errArgs
		}
		mask, err := parseFlags(o.args[0])
		if err != nil {
			return err
		}
		value, err := parseFlags(o.args[1])
		if err != nil {
			return err
		}
		return b.add(&tcpFlags{mask: mask, value: value, not: o.not})
	case "tcp-option":
		return b.add(open("match not modelled: --tcp-option: the options of the header are not simulated"))
	}
	return b.port(o)
}

func parseFlags(s string) (flags uint8, err error) {
	if strings.HasPrefix(s, "0x") {
		n, err := parseUint(s, 8)
		return uint8(n), err
	}
	for word := range strings.SplitSeq(s, ",") {
		switch strings.ToUpper(word) {
		case "FIN":
			flags |= flagFIN
		case "SYN":
			flags |= flagSYN
		case "RST":
			flags |= flagRST
		case "PSH":
			flags |= flagPSH
		case "ACK":
			flags |= flagACK
		case "URG":
			flags |= flagURG
		case "ALL":
			flags |= flagFIN | flagSYN | flagRST | flagPSH | flagACK | flagURG
		case "NONE":
		default:
			return 0, fmt.Errorf("%w: %q", errValue, word)
		}
	}
	return flags, nil
}

// tcpFlags is "--tcp-flags MASK VALUE".
type tcpFlags struct {
	mask, value uint8
	not         bool
}

func (m *tcpFlags) match(f *netfilter.Frame) netfilter.Answer {
	return answerOf(flagsOf(f.Packet.Kind)&m.mask == m.value != m.not)
}

// flagsOf returns the flags of a TCP packet.
func flagsOf(k model.Kind) uint8 {
	switch k {
	case model.KindOpen:
		return flagSYN
	case model.KindReply:
		return flagSYN | flagACK
	case model.KindReset:
		return flagRST | flagACK
	}
	return flagACK
}
