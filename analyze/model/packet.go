// Package model is the vocabulary of the simulation: packets, the nodes they
// visit, the links they cross, and what was found suspicious on the way.
// It imports only the standard library.
package model

import (
	"fmt"
	"net/netip"
)

// A Protocol names an IP protocol in lower case, as iptables spells it.
type Protocol string

// The protocols that the simulation knows.
const (
	TCP    Protocol = "tcp"
	UDP    Protocol = "udp"
	SCTP   Protocol = "sctp"
	ICMP   Protocol = "icmp"
	ICMPv6 Protocol = "ipv6-icmp"
	IPIP   Protocol = "ipencap" // outer header of a tunnel that carries IPv4
	IPv6   Protocol = "ipv6"    // outer header of a tunnel that carries IPv6: sit, ip6tnl
	GRE    Protocol = "gre"
)

// HasPorts reports whether packets of p carry ports.
func (p Protocol) HasPorts() bool { return p == TCP || p == UDP || p == SCTP }

// A Kind says which packet of a conversation a Packet stands for. The zero
// value opens the conversation: a SYN, a datagram, an INIT, an echo request.
type Kind uint8

// The kinds of packet.
const (
	KindOpen  Kind = iota // opens the conversation
	KindReply             // the positive answer: SYN-ACK, datagram, INIT-ACK, echo reply
	KindReset             // TCP RST or SCTP ABORT that refuses the conversation
	KindError             // an ICMP error about Packet.About
	KindData              // a later packet of an established conversation
)

func (k Kind) String() string {
	return [...]string{"open", "reply", "reset", "error", "data"}[k]
}

// A Packet is one simulated packet. It is a value: copy it to change it.
type Packet struct {
	Protocol Protocol
	Kind     Kind
	Src, Dst netip.AddrPort // ports are valid iff Protocol.HasPorts(); an unset Src is chosen by the sender's routes
	Mark     uint32         // skb mark; it does not leave the network namespace
	TOS      uint8
	TTL      uint8 // or hop limit, 0 if it is not known: what the sender's system starts with
	Size     int   // length of the IP packet in bytes, 0 for a small one that fits any MTU
	DF       bool  // don't fragment; always so for IPv6

	ICMPType, ICMPCode uint8 // valid iff Protocol is ICMP or ICMPv6

	ICMPID  uint16 // identifier of an echo, 0 if it is not known
	AnyPort bool   // the port of the one who began the conversation stands for any that a kernel may choose: entries of a dump are not about it

	// Bound is the device that the socket that sends it is bound to, "" if none.
	Bound string

	// Attached is the conversation that it belongs to from the start, since the
	// kernel made it about a packet of that (nf_ct_attach); nil if it did not.
	Attached *Attachment

	// AnySrc: the socket that sends it is transparent, so that Src need not be an
	// address of its network namespace.
	AnySrc bool

	SrcMAC, DstMAC string // of the frame that carries it; "" where there is none
	Tags           [2]Tag // VLAN tags of that frame, the outer one first

	About *Packet // the packet that an ICMP error quotes, as the sender of the error saw it; not modified once set
	Encap *Packet // inner packet of a tunnel; not modified once set
	VNI   int     // valid iff Encap is set and the tunnel is a VXLAN or geneve
	Key   GREKey  // valid iff Encap is set and Protocol is GRE
	Ether bool    // Encap travels with its Ethernet header: VXLAN, geneve, gretap
	NoSum bool    // UDP over IPv6 without a checksum
}

// A Tag is a VLAN tag of a frame. The zero value is none.
type Tag struct {
	Present bool
	Service bool // 802.1ad, not 802.1Q
	ID      uint16
}

// A GREKey is the key in a GRE header. The zero value is a header without one.
type GREKey struct {
	Present bool
	Key     uint32
}

// Innermost is the packet that a packet of tunnels carries, p itself if it is none.
func (p Packet) Innermost() Packet {
	for p.Encap != nil {
		p = *p.Encap
	}
	return p
}

// Push returns p with a tag around its frame. It reports false if the frame has
// two already.
func (p Packet) Push(t Tag) (Packet, bool) {
	if p.Tags[1].Present {
		return p, false
	}
	t.Present = true
	p.Tags = [2]Tag{t, p.Tags[0]}
	return p, true
}

// Pop returns p without its outer tag.
func (p Packet) Pop() Packet {
	p.Tags = [2]Tag{p.Tags[1], {}}
	return p
}

// IPv6 reports whether p is an IPv6 packet. One that bears an IPv4 address in an
// IPv6 one (::ffff:0:0/96) is.
func (p Packet) IPv6() bool { return p.Dst.Addr().Is6() }

// Reply returns the packet of the given kind that answers p: its addresses and
// ports swapped, the identifier of an echo kept, nothing else.
func (p Packet) Reply(kind Kind) Packet {
	return Packet{Protocol: p.Protocol, Kind: kind, Src: p.Dst, Dst: p.Src, ICMPID: p.ICMPID, AnyPort: p.AnyPort}
}

// Tuple returns the addresses that conntrack tells conversations apart by. The
// identifier of an echo stands where the port of who asks would be.
func (p Packet) Tuple() Tuple {
	t := Tuple{p.Protocol, p.Src, p.Dst}
	switch {
	case p.ICMPID == 0:
	case p.Kind == KindReply:
		t.Dst = netip.AddrPortFrom(t.Dst.Addr(), p.ICMPID)
	default:
		t.Src = netip.AddrPortFrom(t.Src.Addr(), p.ICMPID)
	}
	return t
}

func (p Packet) String() string {
	s := fmt.Sprintf("%s %s > %s", p.Protocol, endText(p.Protocol, p.Src), endText(p.Protocol, p.Dst))
	if !p.Src.Addr().IsValid() {
		s = fmt.Sprintf("%s > %s", p.Protocol, endText(p.Protocol, p.Dst))
	}
	switch {
	case p.Kind == KindError, p.Kind == KindOpen && p.isICMP() && !p.IsEcho():
		s = fmt.Sprintf("%s type %d code %d", s, p.ICMPType, p.ICMPCode)
	case p.Kind != KindOpen:
		s += " " + p.Kind.String()
	}
	for _, t := range p.Tags {
		if t.Present {
			s += fmt.Sprintf(" vlan %d", t.ID)
		}
	}
	if p.Encap != nil {
		s += " (" + p.Encap.String() + ")"
	}
	return s
}

func (p Packet) isICMP() bool { return p.Protocol == ICMP || p.Protocol == ICMPv6 }

// IsEcho reports whether p is an echo request.
func (p Packet) IsEcho() bool {
	return p.Protocol == ICMP && p.ICMPType == icmpEcho || p.Protocol == ICMPv6 && p.ICMPType == icmpv6Echo
}

func endText(proto Protocol, a netip.AddrPort) string {
	if proto.HasPorts() {
		return a.String()
	}
	return a.Addr().String()
}

// A Tuple is one direction of a conversation. It is comparable.
type Tuple struct {
	Protocol Protocol
	Src, Dst netip.AddrPort
}

// Invert returns the tuple of the packets that come back.
func (t Tuple) Invert() Tuple { return Tuple{t.Protocol, t.Dst, t.Src} }

func (t Tuple) String() string {
	return fmt.Sprintf("%s %s > %s", t.Protocol, endText(t.Protocol, t.Src), endText(t.Protocol, t.Dst))
}

// An EndpointType says what kind of thing owns an address.
type EndpointType string

// The kinds of endpoint.
const (
	EndpointTypePod          EndpointType = "pod"
	EndpointTypeNode         EndpointType = "node"
	EndpointTypeService      EndpointType = "service"
	EndpointTypeLoadbalancer EndpointType = "lb"
	EndpointTypeExternal     EndpointType = "external"
)

// An Endpoint is one end of the conversation under diagnosis. Its Port is 0
// where it has none.
type Endpoint struct {
	Type EndpointType `json:"type"`
	Name string       `json:"name,omitempty"` // "ns/pod", "ns/service", name of a node or external host; "" if nobody is known to own IP
	IP   netip.Addr   `json:"ip"`
	Port uint16       `json:"port,omitempty"`
}

// AddrPort returns the address and port of e.
func (e Endpoint) AddrPort() netip.AddrPort { return netip.AddrPortFrom(e.IP, e.Port) }

func (e Endpoint) String() string {
	at := e.IP.String()
	if e.Port != 0 {
		at = e.AddrPort().String()
	}
	if e.Name == "" {
		return at
	}
	return fmt.Sprintf("%s:%s (%s)", e.Type, e.Name, at)
}
