package nftables

import (
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A payload is a part of a packet's headers (nft_payload_eval).
type payload struct {
	name     string // "tcp dport", as nft spells it
	base     byte   // 'l' link, 'n' network, 't' transport header
	off, len int    // in bits
	family   byte   // 4 or 6: breaks on packets of the other; 0 for both
	proto    int    // number of the protocol that it belongs to, -1 for any
	typ      *dtype
	fast     fastField
	unknown  bool // of a protocol whose headers are not simulated
}

// A fastField is a field that is not taken from the bytes of a header.
type fastField uint8

const (
	slow fastField = iota
	fieldSrc
	fieldDst
	fieldSport
	fieldDport
)

// A protocolRow is a protocol of payload expressions. A field is written
// "name:offset:bits:type".
type protocolRow struct {
	name   string
	base   byte
	family byte
	proto  int
	class  netfilter.Class
	why    string
	fields string
}

func protocolRows() []protocolRow {
	const exact, partly, left = netfilter.Exact, netfilter.Partly, netfilter.Open
	const ports = "sport:0:16:inet_service dport:16:16:inet_service "
	const header = "the header is not simulated; packets of other protocols do not match"
	return []protocolRow{
		{"ip", 'n', 4, -1, partly, "id, checksum, a TTL or length that is not known and, where nobody asks for it, the DF bit are open; there are no options and fragments", "version:0:4 hdrlength:4:4 dscp:8:6:dscp ecn:14:2:ecn length:16:16 id:32:16 frag-off:48:16 ttl:64:8 protocol:72:8:inet_proto checksum:80:16 saddr:96:32:ipv4_addr daddr:128:32:ipv4_addr"},
		{"ip6", 'n', 6, -1, partly, "flowlabel, and a hoplimit or length that is not known, are open; there are no extension headers", "version:0:4 dscp:4:6:dscp ecn:10:2:ecn flowlabel:12:20 length:32:16 nexthdr:48:8:inet_proto hoplimit:56:8 saddr:64:128:ipv6_addr daddr:192:128:ipv6_addr"},
		{"tcp", 't', 0, 6, partly, "ports and flags are exact, without ECN; all else is open", ports + "sequence:32:32 ackseq:64:32 doff:96:4 reserved:100:4 flags:104:8:tcp_flag window:112:16 checksum:128:16 urgptr:144:16"},
		{"udp", 't', 0, 17, partly, "checksum is open, and a length that is not known", ports + "length:32:16 checksum:48:16"},
		{"sctp", 't', 0, 132, partly, "vtag and checksum are open", ports + "vtag:32:32 checksum:64:32"},
		{"icmp", 't', 4, 1, partly, "type and code are exact, all else is open", "type:0:8:icmp_type code:8:8:icmp_code checksum:16:16 id:32:16 sequence:48:16 mtu:48:16 gateway:32:32:ipv4_addr"},
		{"icmpv6", 't', 6, 58, partly, "type and code are exact, all else is open", "type:0:8:icmpv6_type code:8:8:icmpv6_code checksum:16:16 parameter-problem:32:32 mtu:32:32 id:32:16 sequence:48:16 max-delay:32:16 taddr:64:128:ipv6_addr daddr:192:128:ipv6_addr"},
		{"th", 't', 0, -1, partly, "ports are exact; of protocols without ports, what lies there instead", ports},
		{"ether", 'l', 0, -1, partly, "open where the frame's address is not known; breaks on what was born here", "daddr:0:48:ether_addr saddr:48:48:ether_addr type:96:16:ether_type"},
		{"udplite", 't', 0, 136, left, header, ports + "cscov:32:16 csumcov:32:16 checksum:48:16"},
		{"dccp", 't', 0, 33, left, header, ports + "type:67:4:dccp_pkttype"},
		{"ah", 't', 0, 51, left, header, "nexthdr:0:8:inet_proto hdrlength:8:8 reserved:16:16 spi:32:32 sequence:64:32"},
		{"esp", 't', 0, 50, left, header, "spi:0:32 sequence:32:32"},
		{"comp", 't', 0, 108, left, header, "nexthdr:0:8:inet_proto flags:8:8 cpi:16:16"},
		{"igmp", 't', 4, 2, left, header, "type:0:8:igmp_type mrt:8:8 checksum:16:16 group:32:32:ipv4_addr"},
		{"gre", 't', 0, 47, left, header, "flags:0:5 version:13:3 protocol:16:16:ether_type"},
		{"arp", 'n', 9, -1, netfilter.Exact, "breaks: tables of ip, ip6 and inet see no ARP", "htype:0:16 ptype:16:16:ether_type hlen:32:8 plen:40:8 operation:48:16:arp_op saddr:64:48:whatever daddr:144:48:whatever"},
		{"vlan", 'l', 0, -1, left, "VLAN tags of frames are not simulated", "pcp:112:3 dei:115:1 cfi:115:1 id:116:12 type:128:16:ether_type"},
	}
}

// newPayload makes the expression for a field; nil if there is none of that
// name.
func newPayload(types typeTable, protocol, field string) *payload {
	for _, row := range protocolRows() {
		if row.name != protocol {
			continue
		}
		for spec := range strings.FieldsSeq(row.fields) {
			part := strings.Split(spec, ":")
			if part[0] == field {
				return row.field(types, part)
			}
		}
	}
	return nil
}

func (row *protocolRow) field(types typeTable, part []string) *payload {
	p := &payload{name: row.name + " " + part[0], base: row.base, family: row.family, proto: row.proto,
		off: atoi(part[1]), len: atoi(part[2]), unknown: row.class == netfilter.Open}
	p.typ = sized(p.len)
	if len(part) > 3 {
		p.typ = types[part[3]]
	}
	switch {
	case p.unknown || row.family == 9:
	case row.base == 'n' && part[0] == "saddr":
		p.fast = fieldSrc
	case row.base == 'n' && part[0] == "daddr":
		p.fast = fieldDst
	case row.base == 't' && part[0] == "sport":
		p.fast = fieldSport
	case row.base == 't' && part[0] == "dport":
		p.fast = fieldDport
	}
	return p
}

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

// wrong reports whether f has no such header.
func (p *payload) wrong(f *netfilter.Frame) bool {
	if p.family != 0 && (p.family == 6) != f.Packet.IPv6() || p.family == 9 {
		return true
	}
	if p.base == 'l' {
		return f.In == "" || f.In == "lo" // iiftype is not ether
	}
	if p.proto < 0 {
		return false
	}
	n, ok := netfilter.NumberOf(f.Packet.Protocol)
	return ok && int(n) != p.proto
}

func (p *payload) load(f *netfilter.Frame) reg {
	if p.wrong(f) {
		return broken()
	}
	ports := f.Packet.Protocol.HasPorts()
	switch {
	case p.fast == fieldSrc && !f.Packet.Src.Addr().IsValid():
		return open(p.len) // an address that nobody knows
	case p.fast == fieldSrc:
		return known(addrWord(f.Packet.Src.Addr()))
	case p.fast == fieldDst:
		return known(addrWord(f.Packet.Dst.Addr()))
	case p.fast == fieldSport && ports:
		return knownNumber(uint64(f.Packet.Src.Port()))
	case p.fast == fieldDport && ports:
		return knownNumber(uint64(f.Packet.Dst.Port()))
	case p.unknown:
		return open(p.len)
	}
	h := headerOf(f, p.base)
	return h.bits(p.off, p.len)
}

func (p *payload) doubt() string { return "what the packet has as " + p.name + " is not simulated" }

// A header is the bytes of a header, as far as they are known.
type header struct{ bytes, known [40]byte }

// bits returns a part of the header as a number.
func (h *header) bits(off, n int) (r reg) {
	if n > 128 || off < 0 || n < 0 {
		return open(128)
	}
	for i := off; i < off+n; i++ {
		r.v, r.unk = r.v.shl(1), r.unk.shl(1)
		bit := byte(0x80) >> (i % 8)
		switch {
		case i/8 >= len(h.bytes) || h.known[i/8]&bit == 0:
			r.unk.lo |= 1
		case h.bytes[i/8]&bit != 0:
			r.v.lo |= 1
		}
	}
	return r
}

// put enters a number of known bytes.
func (h *header) put(at, size int, n uint64) {
	for i := size - 1; i >= 0; i-- {
		h.bytes[at+i], h.known[at+i] = byte(n), 0xff
		n >>= 8
	}
}

func (h *header) putWord(at, size int, w word) {
	for i := size - 1; i >= 0; i-- {
		h.bytes[at+i], h.known[at+i] = byte(w.lo), 0xff
		w = w.shr(8)
	}
}

// headerOf builds one of the headers of f.
func headerOf(f *netfilter.Frame, base byte) (h header) {
	switch {
	case base == 'l':
		h.link(f)
	case base == 't':
		h.transport(&f.Packet)
	case base == 'n' && f.Packet.IPv6():
		h.network6(&f.Packet)
	case base == 'n':
		h.network4(&f.Packet)
	}
	return h
}

func (h *header) link(f *netfilter.Frame) {
	for at, mac := range []string{f.Packet.DstMAC, f.Packet.SrcMAC} {
		if w, ok := parseEther(mac); ok {
			h.putWord(6*at, 6, w)
		}
	}
	h.put(12, 2, uint64(etherType(f)))
}

// lengthOf is the length of a packet, of which one that is not said is small: it
// fits any MTU.
func lengthOf(p *model.Packet) reg {
	switch {
	case p.Size > 0:
		return knownNumber(uint64(p.Size))
	case p.IPv6():
		return reg{unk: mask(11)} // 1280 bytes
	}
	return reg{unk: mask(10)} // 576 bytes
}

// putLength enters the length of a packet without the first bytes of it.
func (h *header) putLength(at int, p *model.Packet, without uint64) {
	switch {
	case p.Size > 0:
		h.put(at, 2, uint64(p.Size)-without)
	case p.IPv6():
		h.known[at] = 0xf8 // at most 1280 bytes
	default:
		h.known[at] = 0xfc // at most 576 bytes
	}
}

func (h *header) network4(p *model.Packet) {
	h.put(0, 1, 0x45)
	h.put(1, 1, uint64(p.TOS))
	h.putLength(2, p, 0)
	h.put(6, 2, 0)
	if p.DF {
		h.bytes[6] = 0x40
	} else {
		h.known[6] = 0xbf // a TCP sender sets DF without being asked
	}
	if p.TTL != 0 {
		h.put(8, 1, uint64(p.TTL))
	}
	if n, ok := netfilter.NumberOf(p.Protocol); ok {
		h.put(9, 1, uint64(n))
	}
	h.putWord(12, 4, addrWord(p.Src.Addr()))
	h.putWord(16, 4, addrWord(p.Dst.Addr()))
}

func (h *header) network6(p *model.Packet) {
	h.put(0, 1, 0x60|uint64(p.TOS>>4))
	h.bytes[1], h.known[1] = p.TOS<<4, 0xf0
	h.putLength(4, p, 40)
	if p.TTL != 0 {
		h.put(7, 1, uint64(p.TTL))
	}
	if n, ok := netfilter.NumberOf(p.Protocol); ok {
		h.put(6, 1, uint64(n))
	}
	h.putWord(8, 16, addrWord(p.Src.Addr()))
	h.putWord(24, 16, addrWord(p.Dst.Addr()))
}

func (h *header) transport(p *model.Packet) {
	if p.Protocol.HasPorts() {
		h.put(0, 2, uint64(p.Src.Port()))
		h.put(2, 2, uint64(p.Dst.Port()))
	}
	switch p.Protocol {
	case model.TCP:
		h.bytes[13], h.known[13] = tcpFlags(p.Kind)
	case model.UDP:
		outer := uint64(20)
		if p.IPv6() {
			outer = 40
		}
		h.putLength(4, p, outer)
	case model.ICMP, model.ICMPv6:
		h.put(0, 1, uint64(p.ICMPType))
		h.put(1, 1, uint64(p.ICMPCode))
	}
}

// tcpFlags returns the flags of a TCP packet, and which of them are known.
func tcpFlags(k model.Kind) (flags, known byte) {
	switch k {
	case model.KindOpen:
		return 0x02, 0xff
	case model.KindReply:
		return 0x12, 0xff
	case model.KindReset:
		return 0x14, 0xff
	}
	return 0x10, 0xf7 // with PSH or without
}

func etherType(f *netfilter.Frame) uint16 {
	if f.Packet.IPv6() {
		return 0x86dd
	}
	return 0x0800
}
