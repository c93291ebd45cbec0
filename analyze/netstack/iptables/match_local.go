package iptables

import (
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// forwarded reports whether f came in by a device: no local socket sent it.
func forwarded(f *netfilter.Frame) bool { return f.In != "" || f.Hook == netfilter.Forward }

// owner is "-m owner" (owner_mt in net/netfilter/xt_owner.c). A packet that no
// socket sent matches only if all that is asked for is asked with "!".
type owner struct {
	allNot            bool
	ids, idsNot       bool // a user or group is asked for; all of them with "!"
	exists, existsNot bool // whether there is a socket is asked for
}

func matchOwner(b *building, options []option) error {
	m := &owner{allNot: true, idsNot: true}
	for _, o := range options {
		switch o.name {
		case "suppl-groups":
			continue
		case "socket-exists":
			m.exists, m.existsNot = true, o.not
		default:
			m.ids, m.idsNot = true, m.idsNot && o.not
		}
		m.allNot = m.allNot && o.not
	}
	return b.add(m)
}

func (m *owner) match(f *netfilter.Frame) netfilter.Answer {
	kind := f.Packet.Kind
	switch {
	case forwarded(f), kind == model.KindReset && f.Packet.IPv6(): // tcp_v6_send_response gives its packet no socket
		return answerOf(m.allNot)
	case !kernelMade(&f.Packet) && kind != model.KindOpen && kind != model.KindData:
		return netfilter.Maybe
	case m.existsNot:
		return netfilter.No
	case !m.ids:
		return netfilter.Yes
	case kernelMade(&f.Packet): // its socket has no file
		return answerOf(m.idsNot)
	}
	return netfilter.Maybe
}

// kernelMade reports whether the kernel itself makes such a packet, out of a
// socket of its own.
func kernelMade(p *model.Packet) bool {
	icmp := p.Protocol == model.ICMP || p.Protocol == model.ICMPv6
	return p.Kind == model.KindError || p.Kind == model.KindReset || icmp && p.Kind == model.KindReply
}

func (m *owner) doubt() string { return "which user sends the packet is not in the bundle (-m owner)" }

// cgroup is "-m cgroup", which no forwarded packet matches.
type cgroup struct{}

func matchCgroup(b *building, _ []option) error { return b.add(cgroup{}) }

func (cgroup) match(f *netfilter.Frame) netfilter.Answer {
	if forwarded(f) {
		return netfilter.No
	}
	return netfilter.Maybe
}

func (cgroup) doubt() string {
	return "which process sends the packet is not in the bundle (-m cgroup)"
}

// socket is "-m socket".
type socket struct{ transparent, nowildcard bool }

func matchSocket(b *building, options []option) error {
	m := &socket{}
	for _, o := range options {
		m.transparent = m.transparent || o.name == "transparent"
		m.nowildcard = m.nowildcard || o.name == "nowildcard"
	}
	return b.add(m)
}

func (m *socket) match(f *netfilter.Frame) netfilter.Answer {
	if f.Packet.Kind != model.KindOpen {
		return netfilter.Maybe
	}
	s := f.Env.Listener(f)
	switch {
	case s.Found != netfilter.Yes:
		return s.Found
	case !m.nowildcard && s.Wildcard: // socket_match: bound to 0.0.0.0 is no match
		return netfilter.No
	case m.transparent:
		return s.Transparent
	}
	return netfilter.Yes
}

func (m *socket) doubt() string {
	return "which sockets there are is not known well enough (-m socket)"
}

// matchRecent reads "-m recent": with --set it notes the address and always
// matches.
func matchRecent(b *building, options []option) error {
	for _, o := range options {
		switch o.name {
		case "set":
			return b.add(fixed(answerOf(!o.not)))
		case "rcheck", "update", "remove":
			return b.add(open("who was seen when is not in the bundle (-m recent)"))
		}
	}
	return errArgs
}

// helper is "-m helper": was the connection expected by a helper?
type helper struct{ not bool }

func matchHelper(b *building, options []option) error {
	if len(options) == 0 {
		return errArgs
	}
	return b.add(&helper{options[0].not})
}

func (m *helper) match(f *netfilter.Frame) netfilter.Answer {
	if !tracked(&f.Ct) || f.Ct.State == netfilter.CtNew {
		return answerOf(m.not)
	}
	return netfilter.Maybe
}

func (m *helper) doubt() string { return "which helper expected the connection is not in the bundle" }
