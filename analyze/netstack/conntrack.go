package netstack

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// track is conntrack's hook (nf_conntrack_in): it finds the entry that the
// packet belongs to, among those that this branch of the walk has left behind,
// then among those of the dump. It reports whether the packet goes on.
func (r *run) track() bool {
	p := r.f.Packet
	if r.looped || r.attached || r.settled {
		return true // seen before
	}
	if r.f.NoTrack || neighbourDiscovery(p) {
		r.f.Ct = netfilter.Ct{State: netfilter.CtUntracked}
		return true
	}
	if p.Kind == model.KindError {
		return r.trackError()
	}
	tuple := p.Tuple()
	r.f.Ct = netfilter.Ct{State: r.stateOfStranger(p), Original: tuple, Answer: tuple.Invert(), Mark: r.f.Ct.Mark, Zone: r.f.Ct.Zone}
	if c, reply, ok := r.known(tuple); ok {
		r.continues(c, reply)
		return true
	}
	if c, reply := r.dumped(p); c != nil && r.belongs(c, reply) {
		return r.f.Ct.State == netfilter.CtInvalid || !r.carriedPast(c)
	}
	return r.f.Ct.State != netfilter.CtNew || r.begins()
}

// join makes a packet one of the conversation of the packet that it is about,
// before any rule sees it (nf_conntrack_attach).
func (r *run) join(a model.Attachment) {
	r.f.Packet.Attached, r.attached = nil, true
	r.adopt(a.Conn, a.Reply)
	r.f.Ct.State = netfilter.CtRelated
}

// known finds an entry that this branch of the walk has left behind.
func (r *run) known(tuple model.Tuple) (c model.Conn, reply, ok bool) {
	for _, c := range r.flow.Conns(r.ns.ID) {
		if (c.Original == tuple || c.Reply == tuple) && c.Zone == r.f.Ct.Zone {
			return c, c.Reply == tuple, true
		}
	}
	return model.Conn{}, false, false
}

// continues makes the packet one of an entry that this branch of the walk has
// left behind, if it is one: nothing but the answer may follow a SYN
// (tcp_conntracks).
func (r *run) continues(c model.Conn, reply bool) {
	if c.Opening && tcpFate("SYN_SENT", reply, r.f.Packet.Kind) == fateInvalid {
		r.step("conntrack", connText(c), "invalid: nobody has answered the SYN", c.Evidence)
		r.f.Ct.State = netfilter.CtInvalid
		return
	}
	r.adopt(r.heardOf(c, reply), reply)
}

// heardOf returns the entry as the packet leaves it: a SYN-ACK and a reset end
// the opening.
func (r *run) heardOf(c model.Conn, reply bool) model.Conn {
	if !c.Opening || !reply || r.f.Packet.Kind != model.KindReply && r.f.Packet.Kind != model.KindReset {
		return c
	}
	c.Opening = false
	r.flow = r.flow.With(r.ns.ID, c)
	return c
}

// dumped finds the entry of the dump that a packet belongs to, nil if there is
// none. A packet whose sender has yet to choose its port belongs to no entry.
func (r *run) dumped(p model.Packet) (c *dumpedConn, reply bool) {
	if !exact(p) {
		return nil, false
	}
	return r.ns.conns.find(p.Tuple(), r.f.Ct.Zone)
}

// exact reports whether all is known that conntrack tells conversations apart
// by.
func exact(p model.Packet) bool {
	echo := p.Protocol == model.ICMP || p.Protocol == model.ICMPv6
	return !p.AnyPort && (!echo || p.ICMPID != 0)
}

// belongs makes the packet one of a dumped entry, and reports whether it is:
// TCP may open a closed conversation again, which is then new
// (nf_conntrack_tcp_packet).
func (r *run) belongs(c *dumpedConn, reply bool) bool {
	what := fateTaken
	if c.Original.Protocol == model.TCP {
		what = tcpFate(c.State, reply, r.f.Packet.Kind)
	}
	if what == fateUnclear {
		what = fateTaken
		if r.f.Choices.Doubt(model.Doubt{What: "whether the SYN opens the closed conversation again, or is ignored", Evidence: c.Evidence}) {
			what = fateReopen
		}
	}
	switch what {
	case fateReopen:
		r.reopened = c
		return false
	case fateInvalid:
		r.step("conntrack", connText(c.Conn), "invalid in this state", c.Evidence)
		r.f.Ct.State = netfilter.CtInvalid
		return true
	}
	r.flow = r.flow.With(r.ns.ID, c.Conn)
	r.adopt(r.heardOf(c.Conn, reply), reply)
	if c.expected && r.f.Ct.State == netfilter.CtNew {
		r.f.Ct.State = netfilter.CtRelated // of the conversation that expected it
	}
	r.step("conntrack", connText(c.Conn), strings.ToLower(r.f.Ct.State.String()), c.Evidence)
	return true
}

func connText(c model.Conn) string {
	s := fmt.Sprintf("%s, replies %s > %s", c.Original, c.Reply.Src, c.Reply.Dst)
	if c.State != "" {
		s += " " + c.State
	}
	if !c.Replied {
		s += " UNREPLIED"
	}
	return s
}

// carriedPast ends the journey on one branch if a flow table carries the
// packets of the entry past the hooks.
func (r *run) carriedPast(c *dumpedConn) bool {
	return c.offloaded && r.forks(model.Doubt{What: "where a flow table takes the packet: its connection is offloaded", Evidence: c.Evidence})
}

// begins makes an entry for a new conversation, and reports whether there is
// room for it (__nf_conntrack_alloc, early_drop).
func (r *run) begins() bool {
	t, at := r.ns.conns, r.ns.Info.Conntrack.File
	if r.out.service.protocol == "" && r.f.Packet.AnyPort {
		r.out.service = serviceKey{r.f.Packet.Protocol, r.f.Packet.Src.Addr(), r.f.Packet.Dst}
	}
	if r.expected() {
		return false
	}
	if !t.full() {
		return true
	}
	lost := t.whole && !t.evictable
	if !lost && !r.f.Choices.Doubt(model.Doubt{What: fmt.Sprintf("whether the conntrack table (%d of %d entries) finds room for one more", t.count, t.max), Evidence: at}) {
		return true
	}
	r.end(model.Dropped, "conntrack/full", fmt.Sprintf("the conntrack table is full: %d entries of %d", t.count, t.max), at)
	r.out.Remedy = "raise net.netfilter.nf_conntrack_max"
	r.out.LocalError = r.toldAtOnce()
	return false
}

// neighbourDiscovery reports whether conntrack leaves a packet alone:
// multicast listeners, routers and neighbours (nf_conntrack_icmpv6_error).
func neighbourDiscovery(p model.Packet) bool {
	return p.Protocol == model.ICMPv6 && (p.ICMPType >= 130 && p.ICMPType <= 136 || p.ICMPType == 143)
}

// stateOfStranger is the state of a packet without an entry: TCP only opens a
// conversation with a SYN, or with a segment in the middle of one
// (nf_conntrack_tcp_loose), SCTP with an INIT, ICMP with a question.
func (r *run) stateOfStranger(p model.Packet) netfilter.CtState {
	ok := true
	switch p.Protocol {
	case model.TCP:
		ok = p.Kind == model.KindOpen || p.Kind == model.KindData && r.sysctl("net.netfilter.nf_conntrack_tcp_loose") != "0"
	case model.SCTP:
		ok = p.Kind == model.KindOpen
	case model.ICMP: // nf_conntrack_icmp_packet: echo, timestamp, information, address mask
		ok = p.Kind == model.KindOpen && slices.Contains([]uint8{8, 13, 15, 17}, p.ICMPType)
	case model.ICMPv6: // nf_conntrack_icmpv6_packet: echo, node information
		ok = p.Kind == model.KindOpen && (p.ICMPType == 128 || p.ICMPType == 139)
	}
	if !ok {
		return netfilter.CtInvalid
	}
	return netfilter.CtNew
}

// adopt makes the packet one of an entry's. The first packet of a conversation is
// new wherever it comes by, a second time too: nobody has answered yet
// (resolve_normal_ct asks for IPS_SEEN_REPLY).
func (r *run) adopt(c model.Conn, reply bool) {
	r.conn = &c
	r.f.Ct = netfilter.Ct{State: netfilter.CtEstablished, Reply: reply, Original: c.Original, Answer: c.Reply, Mark: c.Mark, Zone: c.Zone,
		SNAT: c.Reply.Dst != c.Original.Src, DNAT: c.Reply.Src != c.Original.Dst && !c.Virtual}
	if r.f.Packet.Kind == model.KindOpen && !reply && !c.Replied {
		r.f.Ct.State = netfilter.CtNew
	}
}

// trackError finds the entry that an ICMP error is about, by the packet that
// it quotes (nf_conntrack_inet_error). It reports whether the packet goes on.
func (r *run) trackError() bool {
	p := r.f.Packet
	r.f.Ct = netfilter.Ct{State: netfilter.CtInvalid, Original: p.Tuple(), Answer: p.Tuple().Invert(), Zone: r.f.Ct.Zone}
	if p.About == nil {
		return !r.forks(model.Doubt{What: "which packet the ICMP error quotes, and so whether it is RELATED", Evidence: r.ns.Info.File})
	}
	sent := p.About.Tuple()
	c, reply, ok := r.known(sent.Invert())
	if !ok && exact(*p.About) {
		var d *dumpedConn
		if d, reply = r.ns.conns.find(sent.Invert(), r.f.Ct.Zone); d != nil {
			c, ok, r.flow = d.Conn, true, r.flow.With(r.ns.ID, d.Conn)
		}
	}
	if ok && p.Dst.Addr() == sent.Src.Addr() {
		r.adopt(c, reply)
		r.f.Ct.State = netfilter.CtRelated
	}
	return true
}

// applyConn translates a later packet of a conversation as its entry says:
// destinations on the way in, sources on the way out (nf_nat_packet). The
// packet that an ICMP error quotes is translated along with it.
func (r *run) applyConn(source bool) {
	if r.conn.Virtual && source == r.f.Ct.Reply {
		return // not nat's, but IPVS's: the entry has no IPS_DST_NAT
	}
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
		p.Src = withPort(want.Src, p.Protocol)
	} else {
		p.Dst = withPort(want.Dst, p.Protocol)
	}
}

// withPort is an end of a tuple as a packet has it: of an echo without the
// identifier.
func withPort(end netip.AddrPort, p model.Protocol) netip.AddrPort {
	if p.HasPorts() {
		return end
	}
	return netip.AddrPortFrom(end.Addr(), 0)
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
	quoted.Src = withPort(back.Src, quoted.Protocol)
	if !r.conn.Virtual {
		quoted.Dst = withPort(back.Dst, quoted.Protocol)
	}
	p.About = &quoted
	p.Dst = netip.AddrPortFrom(want.Dst.Addr(), 0)
}

// confirm enters a new conversation into the table, as the end of POSTROUTING
// and INPUT do: what the packet looks like now is what the reply answers.
func (r *run) confirm() {
	if r.f.Ct.State != netfilter.CtNew || r.conn != nil {
		return
	}
	r.unique()
	r.flow = r.flow.With(r.ns.ID, r.entry())
	r.conn = &r.flow.Conn
}

// remark keeps the mark that rules have given to a connection that is in the
// table already.
func (r *run) remark() {
	if r.conn == nil || r.conn.Mark == r.f.Ct.Mark || r.f.Ct.State == netfilter.CtUntracked {
		return
	}
	c := *r.conn
	c.Mark = r.f.Ct.Mark
	r.flow = r.flow.With(r.ns.ID, c)
	r.conn = &r.flow.Conn
}

// unique notes that the source gets another port because the one that it would
// have is taken by an entry of the dump (get_unique_tuple): which is not known.
func (r *run) unique() {
	p := &r.f.Packet
	if r.out.service.protocol != "" && !r.out.chosen.IsValid() {
		r.out.chosen = p.Dst
	}
	if !exact(*p) || !p.Protocol.HasPorts() {
		return
	}
	c := r.ns.conns.taken(p.Tuple().Invert(), r.f.Ct.Zone)
	if c == nil || c == r.reopened {
		return
	}
	r.f.Choices.Certain(model.Doubt{What: fmt.Sprintf("which port the source gets: %s is taken", p.Src), Evidence: c.Evidence})
	p.AnyPort = true
}

// entry is the conntrack entry of a new packet as it stands.
func (r *run) entry() model.Conn {
	return model.Conn{Original: r.f.Ct.Original, Reply: r.f.Packet.Tuple().Invert(), Mark: r.f.Ct.Mark, Zone: r.f.Ct.Zone,
		Opening: r.f.Packet.Protocol == model.TCP && r.f.Packet.Kind == model.KindOpen,
		Virtual: r.f.Virtual.Served && !r.f.Ct.DNAT && r.f.Ct.Original.Dst != r.f.Packet.Dst}
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
		return (c.Original == sent || c.Reply == sent) && (c.Dev == "" || c.Dev == r.ns.Sockets.Arrival(p.Dst.Addr(), r.f.In))
	})
}
