package model

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// The types of the ICMP messages that open or answer a conversation, and the
// first and last of those that are errors.
const (
	icmpEchoReply, icmpEcho     = 0, 8
	icmpv6Echo, icmpv6EchoReply = 128, 129
	icmpv6LastError             = 127
)

// ParsePacket reads a packet as [Packet.String] prints it:
//
//	tcp 10.244.0.5:40000 > 10.96.0.10:53
//	udp [fd00::1]:4000 > [fd00::2]:53
//	tcp > 10.96.0.10:53
//	icmp 10.0.0.1 > 10.0.0.2 type 3 code 1
//	gre 10.0.0.1 > 10.0.0.2
//
// A protocol has its name or number. Ports may be left out: a source port of 0
// is chosen as a sender would. Without a source the routes choose it. ICMP is an
// echo request unless a type is given. "reply", "reset" or "data" at the end
// say which packet of a conversation it is; "ttl N" and "tos N" set the fields
// of the header, "size N" its length in bytes, and "id N" the identifier of an
// echo.
func ParsePacket(s string) (Packet, error) {
	p, err := parsePacket(strings.Fields(strings.ReplaceAll(s, ">", " > ")))
	if err != nil {
		return Packet{}, fmt.Errorf("packet %q: %w", s, err)
	}
	return p, nil
}

var errPacketForm = errors.New("not of the form PROTOCOL SOURCE[:PORT] > DESTINATION[:PORT]")

func parsePacket(words []string) (p Packet, err error) {
	arrow := slices.Index(words, ">")
	if arrow < 1 || arrow > 2 || len(words) < arrow+2 {
		return p, errPacketForm
	}
	if p.Protocol, err = ParseProtocol(words[0]); err != nil {
		return p, err
	}
	if arrow == 2 {
		if p.Src, err = parseEnd(words[1], p.Protocol); err != nil {
			return p, fmt.Errorf("source: %w", err)
		}
	}
	if p.Dst, err = parseEnd(words[arrow+1], p.Protocol); err != nil {
		return p, fmt.Errorf("destination: %w", err)
	}
	if err := p.oneFamily(); err != nil {
		return p, err
	}
	return p, p.parseRest(words[arrow+2:])
}

func (p *Packet) oneFamily() error {
	switch {
	case p.Src.Addr().IsValid() && p.Src.Addr().Is4() != p.Dst.Addr().Is4():
		return errors.New("one address is IPv4, the other IPv6")
	case p.Protocol == ICMP && p.IPv6(), p.Protocol == ICMPv6 && !p.IPv6():
		return fmt.Errorf("%s does not go with the address %s", p.Protocol, p.Dst.Addr())
	}
	return nil
}

// parseEnd reads an address with or without a port: IPv6 in brackets if it has
// one.
func parseEnd(s string, proto Protocol) (netip.AddrPort, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if a, err := netip.ParseAddr(bare); err == nil && !strings.Contains(bare, "]") { // a zone may be anything
		return netip.AddrPortFrom(a.Unmap(), 0), nil
	}
	end, err := netip.ParseAddrPort(s)
	switch {
	case err != nil && strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "["):
		return end, fmt.Errorf("%q is no address; an IPv6 address with a port is written [ADDRESS]:PORT", s)
	case err != nil:
		return end, fmt.Errorf("%q is no address", s)
	case end.Port() != 0 && !proto.HasPorts():
		return end, fmt.Errorf("%q has a port, %s has none", s, proto)
	}
	return netip.AddrPortFrom(end.Addr().Unmap(), end.Port()), nil
}

// parseRest reads what follows the addresses.
func (p *Packet) parseRest(words []string) error {
	p.setEcho()
	typed := false
	for len(words) > 0 {
		if kind, ok := kindNamed(words[0]); ok {
			p.Kind, words = kind, words[1:]
			continue
		}
		if len(words) < 2 {
			return fmt.Errorf("%q says nothing", words[0])
		}
		n, err := strconv.ParseUint(words[1], 0, 16)
		if err == nil {
			err = p.setField(words[0], int(n))
		}
		if err != nil {
			return fmt.Errorf("%s %q: %w", words[0], words[1], err)
		}
		typed = typed || words[0] == "type"
		words = words[2:]
	}
	if typed {
		p.Kind = p.kindOfType()
	}
	return nil
}

// setEcho makes an ICMP packet an echo request.
func (p *Packet) setEcho() {
	switch p.Protocol {
	case ICMP:
		p.ICMPType = icmpEcho
	case ICMPv6:
		p.ICMPType = icmpv6Echo
	}
}

func kindNamed(s string) (Kind, bool) {
	for _, k := range []Kind{KindReply, KindReset, KindData} {
		if k.String() == s {
			return k, true
		}
	}
	return KindOpen, false
}

var (
	errTooLarge = errors.New("too large")
	errNotICMP  = errors.New("only ICMP has it")
	errField    = errors.New("unknown field")
)

func (p *Packet) setField(name string, n int) error {
	if err := p.fits(name, n); err != nil {
		return err
	}
	switch name {
	case "type":
		p.ICMPType = uint8(n)
	case "code":
		p.ICMPCode = uint8(n)
	case "id":
		p.ICMPID = uint16(n)
	case "ttl":
		p.TTL = uint8(n)
	case "tos":
		p.TOS = uint8(n)
	case "size":
		p.Size = n
	default:
		return errField
	}
	return nil
}

// fits checks that the field is one of the packet's protocol, and its size.
func (p *Packet) fits(name string, n int) error {
	switch {
	case (name == "type" || name == "code" || name == "id") && !p.isICMP():
		return errNotICMP
	case name != "size" && name != "id" && n > 255:
		return errTooLarge
	}
	return nil
}

// kindOfType tells which packet of a conversation an ICMP message is.
func (p *Packet) kindOfType() Kind {
	switch {
	case p.Protocol == ICMP && p.ICMPType == icmpEchoReply, p.Protocol == ICMPv6 && p.ICMPType == icmpv6EchoReply:
		return KindReply
	case p.Protocol == ICMP && slices.Contains([]uint8{3, 4, 5, 11, 12}, p.ICMPType), // net/ipv4/icmp.c: icmp_pointers
		p.Protocol == ICMPv6 && p.ICMPType <= icmpv6LastError:
		return KindError
	}
	return KindOpen
}
