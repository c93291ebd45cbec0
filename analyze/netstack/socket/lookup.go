package socket

import (
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A Match says what waits for a packet.
type Match struct {
	Found        bool   // a socket takes the packet, or the kernel itself does (ICMP echo)
	LoopbackOnly bool   // none does, but the port is served on loopback or on another address or device
	Socket       string // the socket that takes the packet, or that LoopbackOnly is about: "tcp 0.0.0.0:80 (nginx)"
	Evidence     string // file:line of the socket
	Known        bool   // the sockets of the namespace were collected
	Dev          string // the device that the socket is bound to, "" if none
	Wildcard     bool   // the socket is bound to no address
	Transparent  string // whether it has IP_TRANSPARENT: "yes", "no", "" if that is not known
}

// Lookup returns the socket that takes p, which is to be delivered here and
// came in by dev ("lo" if it was born here). Only packets that open a
// conversation are looked up: connected sockets are not in a dump.
//
// It is __inet_lookup_listener, __udp4_lib_lookup and their IPv6 likes: a
// socket on the packet's own address goes before one on every address; then
// one that is bound to the device, then one of the packet's family.
func (t *Table) Lookup(p model.Packet, dev string) Match {
	if !p.Protocol.HasPorts() {
		return t.echo(p)
	}
	m := Match{Known: t.known}
	dst := p.Dst.Addr().Unmap().WithZone("")
	dev = t.Arrival(dst, dev)
	best := 0
	for _, l := range t.byPort[key{p.Protocol, p.Dst.Port()}] {
		if dst.Is4() && l.v6 && !l.also4 || dst.Is6() && !l.v6 {
			continue
		}
		score := l.score(dst)
		if score == 0 || !t.bound(l, dev, p.Protocol) {
			m.other(l)
			continue
		}
		if score > best {
			best = score
			m.Found, m.LoopbackOnly = true, false
			m.Socket, m.Evidence = l.text, l.evidence
			m.Dev = l.dev
			m.Wildcard, m.Transparent = l.addr.IsUnspecified(), l.open
		}
	}
	return m
}

// other notes a socket that has the port and does not take the packet.
func (m *Match) other(l listener) {
	if !m.Found && !m.LoopbackOnly {
		m.LoopbackOnly, m.Socket, m.Evidence = true, l.text, l.evidence
	}
}

// score rates l for a packet to dst, 0 if it does not take it.
func (l listener) score(dst netip.Addr) int {
	score := 1
	switch {
	case l.addr == dst:
		score += 8
	case !l.addr.IsUnspecified():
		return 0
	}
	if l.dev != "" {
		score += 4
	}
	if !l.v6 {
		score++
	}
	return score
}

// Arrival returns the device that a socket must be bound to, if to any, to take a
// packet to dst that came in by dev: packets that were born here count as in by the
// device that has the address (inet_iif: rt_iif).
func (t *Table) Arrival(dst netip.Addr, dev string) string {
	dst = dst.Unmap().WithZone("")
	if owner := t.owners[dst]; dev == "lo" && owner != "" {
		return owner
	}
	return dev
}

// bound is inet_sk_bound_dev_eq: a socket that is bound to a device or VRF
// takes what came in by it, one that is not takes nothing that is in a VRF
// unless a sysctl lets it.
func (t *Table) bound(l listener, dev string, proto model.Protocol) bool {
	master := t.masters[dev]
	if l.dev != "" {
		return l.dev == dev || l.dev == master
	}
	if master == "" {
		return true
	}
	accept := strings.TrimSpace(t.info.Sysctls["net.ipv4."+string(proto)+"_l3mdev_accept"])
	return accept != "" && accept != "0"
}

// echo answers for ICMP, of which the kernel itself answers echo requests.
func (t *Table) echo(p model.Packet) Match {
	name := "net.ipv4.icmp_echo_ignore_all"
	switch p.Protocol {
	case model.ICMP:
	case model.ICMPv6:
		name = "net.ipv6.icmp.echo_ignore_all"
	default:
		return Match{}
	}
	value, known := t.info.Sysctls[name]
	return Match{Found: !known || strings.TrimSpace(value) == "0", Known: true, Socket: "the kernel"}
}
