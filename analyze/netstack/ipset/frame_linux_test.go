package ipset_test

import (
	"encoding/binary"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// protocolNumbers are those of the packets that are sent.
var protocolNumbers = map[model.Protocol]byte{model.TCP: 6, model.UDP: 17, model.SCTP: 132, model.ICMP: 1, model.ICMPv6: 58, "gre": 47}

// frameOf returns p as an Ethernet frame. Its transport checksum is not right:
// nothing before conntrack looks at it.
func frameOf(p model.Packet, dstMAC, srcMAC []byte) []byte {
	body := make([]byte, 40)
	switch {
	case p.Protocol.HasPorts():
		binary.BigEndian.PutUint16(body, p.Src.Port())
		binary.BigEndian.PutUint16(body[2:], p.Dst.Port())
		body[12] = 0x50 // length of a TCP header
	case p.Protocol == model.ICMP || p.Protocol == model.ICMPv6:
		body[0], body[1] = p.ICMPType, p.ICMPCode
	}
	ethernet := append(append([]byte{}, dstMAC...), srcMAC...)
	if p.IPv6() {
		head := []byte{0x60, 0, 0, 0, 0, byte(len(body)), protocolNumbers[p.Protocol], 64}
		head = append(append(head, p.Src.Addr().AsSlice()...), p.Dst.Addr().AsSlice()...)
		return append(append(append(ethernet, 0x86, 0xdd), head...), body...)
	}
	head := []byte{0x45, 0, 0, byte(20 + len(body)), 0, 0, 0, 0, 64, protocolNumbers[p.Protocol], 0, 0}
	head = append(append(head, p.Src.Addr().AsSlice()...), p.Dst.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(head[10:], checksum(head))
	return append(append(append(ethernet, 0x08, 0x00), head...), body...)
}

func checksum(head []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(head); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(head[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func mac(s string) (b []byte) {
	a := netip.MustParseAddr("fe80::" + s) // two groups of hex digits
	full := a.As16()
	return append([]byte{2, 0}, full[12:]...)
}
