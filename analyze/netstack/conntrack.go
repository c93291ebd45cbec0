package netstack

import (
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// track is conntrack's hook: it finds the entry that the packet belongs to.
// Only what this branch of the walk has left behind is looked at: the sender's
// port is not known, so an entry of the dump is another conversation's.
func (r *run) track() {
	p := r.f.Packet
	if r.looped {
		return // nf_conntrack_in: seen before
	}
	if r.f.NoTrack {
		r.f.Ct = netfilter.Ct{State: netfilter.CtUntracked}
		return
	}
	if p.Kind == model.KindError {
		r.trackError()
		return
	}
	tuple := p.Tuple()
	r.f.Ct = netfilter.Ct{State: stateOfStranger(p), Original: tuple, Answer: tuple.Invert(), Mark: r.f.Ct.Mark}
	for _, c := range r.flow.Conns(r.ns.ID) {
		if c.Original == tuple || c.Reply == tuple {
			r.adopt(c, c.Reply == tuple)
			return
		}
	}
}

// stateOfStranger is the state of a packet without an entry: TCP only opens a
// conversation with a SYN, or with a segment in the middle of one
// (nf_conntrack_tcp_loose); everything but an answer is new.
func stateOfStranger(p model.Packet) netfilter.CtState {
	switch {
	case p.Kind == model.KindReset, p.Kind == model.KindReply && (p.Protocol == model.TCP || p.Protocol == model.SCTP || !p.Protocol.HasPorts()):
		return netfilter.CtInvalid
	}
	return netfilter.CtNew
}

// adopt makes the packet one of an entry's. The first packet of a conversation is
// new wherever it comes by, a second time too: nobody has answered yet
// (resolve_normal_ct asks for IPS_SEEN_REPLY).
func (r *run) adopt(c model.Conn, reply bool) {
	r.conn = &c
	r.f.Ct = netfilter.Ct{State: netfilter.CtEstablished, Reply: reply, Original: c.Original, Answer: c.Reply, Mark: c.Mark,
		SNAT: c.Reply.Dst != c.Original.Src, DNAT: c.Reply.Src != c.Original.Dst}
	if r.f.Packet.Kind == model.KindOpen && !reply {
		r.f.Ct.State = netfilter.CtNew
	}
}

// trackError finds the entry that an ICMP error is about, by the packet that
// it quotes (nf_conntrack_inet_error).
func (r *run) trackError() {
	r.f.Ct = netfilter.Ct{State: netfilter.CtInvalid, Original: r.f.Packet.Tuple(), Answer: r.f.Packet.Tuple().Invert()}
	if r.f.Packet.About == nil {
		return
	}
	sent := r.f.Packet.About.Tuple()
	for _, c := range r.flow.Conns(r.ns.ID) {
		if c.Reply == sent.Invert() || c.Original == sent.Invert() {
			r.adopt(c, c.Reply == sent.Invert())
			r.f.Ct.State = netfilter.CtRelated
			return
		}
	}
}

// applyConn translates a later packet of a conversation as its entry says:
// destinations on the way in, sources on the way out (nf_nat_packet). The
// packet that an ICMP error quotes is translated along with it.
func (r *run) applyConn(source bool) {
	want := r.conn.Reply.Invert() // what a packet of the original direction looks like after translation
	if r.f.Ct.Reply {
		want = r.conn.Original.Invert()
	}
	p := &r.f.Packet
	if p.Kind == model.KindError {
		r.translateError(want, source)
		return
	}
	if source {
		p.Src = want.Src
	} else {
		p.Dst = want.Dst
	}
}

// translateError is nf_nat_icmp_reply_translation: the error goes to whom the
// quoted packet really came from, and quotes it as that one sent it.
func (r *run) translateError(want model.Tuple, source bool) {
	p := &r.f.Packet
	if source {
		if r.f.Ct.DNAT && r.f.Ct.Reply || r.f.Ct.SNAT && !r.f.Ct.Reply {
			p.Src = netip.AddrPortFrom(want.Src.Addr(), 0)
		}
		return
	}
	quoted := *p.About
	back := want.Invert()
	quoted.Src, quoted.Dst = back.Src, back.Dst
	p.About = &quoted
	p.Dst = netip.AddrPortFrom(want.Dst.Addr(), 0)
}

// confirm enters a new conversation into the table, as the end of POSTROUTING
// and INPUT do: what the packet looks like now is what the reply answers.
func (r *run) confirm() {
	if r.f.Ct.State != netfilter.CtNew || r.conn != nil {
		return
	}
	r.flow = r.flow.With(r.ns.ID, r.entry())
	r.conn = &r.flow.Conn
}

// entry is the conntrack entry of a new packet as it stands.
func (r *run) entry() model.Conn {
	return model.Conn{Original: r.f.Ct.Original, Reply: r.f.Packet.Tuple().Invert(), Mark: r.f.Ct.Mark}
}

// SocketsOf is where a flow remembers which conversations the sockets of the
// namespace with an ID began.
func SocketsOf(id string) string { return "sockets of " + id }

// began reports whether a socket of the namespace waits for the packet: it is
// the answer to something that was sent from here.
func (r *run) began() bool {
	p := r.f.Packet
	sent := p.Tuple().Invert()
	if p.Kind == model.KindError {
		if p.About == nil {
			return false
		}
		sent = p.About.Tuple()
	}
	return slices.ContainsFunc(r.flow.Conns(SocketsOf(r.ns.ID)), func(c model.Conn) bool {
		return c.Original == sent || c.Reply == sent
	})
}
