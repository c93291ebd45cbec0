package nftables

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A mangle writes a value into the packet or its connection (nft_meta_set_eval,
// nft_ct_set_eval, nft_payload_set_eval).
type mangle struct {
	value loader
	put   func(f *netfilter.Frame, v word) string // and says what it did
	needs *payload                                // a header without which it breaks, nil if none
}

func readMangle(p *parser, t *table, n *node) (op, error) {
	only := n.get("key").only()
	if only == nil {
		return nil, notUnderstood("mangle of %s", brief(n.get("key")))
	}
	name := string(only.key) + " " + only.get("key").str()
	switch name {
	case "meta mark", "ct mark":
		e, err := p.operand(t, orNull(n.get("value")), p.types["mark"])
		if err != nil {
			return nil, err
		}
		if name == "ct mark" {
			return &mangle{value: e.loader, put: putCtMark}, nil
		}
		return &mangle{value: e.loader, put: putMark}, nil
	case "meta priority", "meta pkttype", "meta nftrace", "meta secmark", "ct label", "ct event", "ct secmark", "ct helper":
		return passive{}, nil
	case "ct zone":
		return p.mangleZone(t, only, n.get("value"))
	}
	switch string(only.key) {
	case "tcp option", "exthdr", "ip option":
		return passive{}, nil
	case "payload":
		return p.manglePayload(t, only, n.get("value"))
	}
	return nil, notUnderstood("mangle of %s", name)
}

// mangleZone reads "ct zone set". A zone of one direction is not simulated.
func (p *parser) mangleZone(t *table, key, value *node) (op, error) {
	if key.get("dir") != nil {
		return mystery("which connections a packet is one of, of another zone in one direction"), nil
	}
	e, err := p.operand(t, orNull(value), p.types["integer"])
	if err != nil {
		return nil, err
	}
	return &mangle{value: e.loader, put: putZone}, nil
}

// putZone does nothing to a packet that conntrack has seen (nft_ct_set_zone_eval).
func putZone(f *netfilter.Frame, v word) string {
	if f.Ct.State != netfilter.CtNone {
		return "continue"
	}
	f.Ct.Zone = int(v.lo & 0xffff)
	return fmt.Sprintf("ct zone %d", f.Ct.Zone)
}

func putMark(f *netfilter.Frame, v word) string {
	f.Packet.Mark = uint32(v.lo)
	return fmt.Sprintf("mark %#x", f.Packet.Mark)
}

// putCtMark does nothing to a packet without an entry.
func putCtMark(f *netfilter.Frame, v word) string {
	if tracked(loadOpen(1))(f).broke {
		return "continue"
	}
	f.Ct.Mark = uint32(v.lo)
	return fmt.Sprintf("ct mark %#x", f.Ct.Mark)
}

func (p *parser) manglePayload(t *table, n, value *node) (op, error) {
	e, err := readPayload(p, t, n)
	if err != nil {
		return nil, err
	}
	field, ok := e.loader.(*payload)
	if !ok {
		return mystery("writes into " + doubtOf(e.loader)), nil
	}
	v, err := p.operand(t, orNull(value), field.typ)
	if err != nil {
		return nil, err
	}
	m := &mangle{value: v.loader, needs: field}
	switch {
	case field.fast == fieldSrc, field.fast == fieldDst:
		m.put = putAddr(field.fast == fieldSrc)
	case field.fast == fieldSport, field.fast == fieldDport:
		m.put = putPort(field.fast == fieldSport)
	case field.name == "ip dscp", field.name == "ip6 dscp":
		m.put = putTOS(2, 0x03)
	case field.name == "ip ttl", field.name == "ip6 hoplimit":
		m.put = putTTL
	case field.name == "ip ecn", field.name == "ip6 ecn":
		m.put = putTOS(0, 0xfc)
	default:
		m.put = func(*netfilter.Frame, word) string { return "set " + field.name }
		m.value = fixed(word{})
	}
	return m, nil
}

func putAddr(src bool) func(*netfilter.Frame, word) string {
	return func(f *netfilter.Frame, v word) string {
		end := &f.Packet.Dst
		if src {
			end = &f.Packet.Src
		}
		*end = netip.AddrPortFrom(wordAddr(v, f.Packet.IPv6()), end.Port())
		return "set address " + end.Addr().String()
	}
}

func putPort(src bool) func(*netfilter.Frame, word) string {
	return func(f *netfilter.Frame, v word) string {
		if !f.Packet.Protocol.HasPorts() {
			return "continue"
		}
		end := &f.Packet.Dst
		if src {
			end = &f.Packet.Src
		}
		*end = netip.AddrPortFrom(end.Addr(), uint16(v.lo))
		return fmt.Sprintf("set port %d", end.Port())
	}
}

func putTTL(f *netfilter.Frame, v word) string {
	f.Packet.TTL = uint8(v.lo)
	return fmt.Sprintf("ttl %d", f.Packet.TTL)
}

func putTOS(shift uint, keep uint8) func(*netfilter.Frame, word) string {
	return func(f *netfilter.Frame, v word) string {
		f.Packet.TOS = f.Packet.TOS&keep | uint8(v.lo)<<shift
		return fmt.Sprintf("tos %#x", f.Packet.TOS)
	}
}

func (m *mangle) do(w *walk) flow {
	if m.needs != nil && m.needs.wrong(w.f) {
		return stop
	}
	if !w.settle() {
		return stop
	}
	r := m.value.load(w.f)
	switch {
	case r.broke:
		return stop
	case !r.unk.zero():
		return w.unknown("what is written: " + doubtOf(m.value))
	}
	w.act(m.put(w.f, r.v))
	return next
}
