package netstack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// tracked makes the router with rules and entries. An entry is
// "PROTO SRC DST REPLYSRC REPLYDST STATE,STATUS,..."; the table has room for max.
func tracked(t *testing.T, rules string, max int, entries ...string) *NetNS {
	t.Helper()
	var list []string
	for _, e := range entries {
		f := strings.Fields(e)
		status := strings.Split(f[5], ",")
		list = append(list, fmt.Sprintf(`{"family":4,"protocol":%q,"src":%q,"dst":%q,"replySrc":%q,"replyDst":%q,"state":%q,"status":["%s"],"mark":7}`,
			f[0], f[1], f[2], f[3], f[4], status[0], strings.Join(status[1:], `","`)))
	}
	info := *world(t, router, rules).Info
	info.Conntrack = part("conntrack.json", fmt.Sprintf("{\n\"count\": %d,\n\"max\": %d,\n\"entries\": [\n%s\n]\n}\n", len(entries), max, strings.Join(list, ",\n")))
	ns, problems := New(&info)
	require.Empty(t, problems)
	return ns
}

const natRules = "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.96.0.1/32 -p tcp -j DNAT --to-destination 10.1.0.9:80\n" +
	"-A PREROUTING -d 10.96.0.1/32 -p udp -j DNAT --to-destination 10.1.0.9:53\n-A POSTROUTING -s 10.0.0.7/32 -j MASQUERADE\nCOMMIT\n"

// The fate of a packet whose entry was dumped: the entry translates it, the
// rules are not asked (nf_nat_inet_fn); its state decides for TCP
// (tcp_conntracks).
func TestDumpedEntries(t *testing.T) {
	const states = natRules + "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n" +
		"-A FORWARD -m conntrack --ctstate INVALID -j REJECT\n-A FORWARD -m conntrack --ctstate NEW -j MARK --set-mark 1\n" +
		"-A FORWARD -m conntrack --ctstate ESTABLISHED -j MARK --set-mark 2\n-A FORWARD -m conntrack --ctstate RELATED -j MARK --set-mark 3\nCOMMIT\n"
	const to = "10.0.0.9:4000 10.96.0.1:80 10.1.0.8:80 10.0.0.9:4000 "
	syn, synack, data, reset := model.KindOpen, model.KindReply, model.KindData, model.KindReset
	const there, back = "tcp 10.0.0.9:4000 > 10.96.0.1:80", "tcp 10.1.0.8:80 > 10.0.0.9:4000"
	for _, tt := range []struct {
		entry, packet string
		kind          model.Kind
		want          []string
	}{
		{"tcp " + to + "SYN_SENT,UNREPLIED", there, syn, []string{"forwarded 10.1.0.8:80 NEW"}},
		{"tcp " + to + "SYN_RECV", there, syn, []string{"forwarded 10.1.0.8:80 ESTABLISHED"}},
		{"tcp " + to + "ESTABLISHED,ASSURED", there, syn, []string{"forwarded 10.1.0.8:80 ESTABLISHED"}},
		{"tcp " + to + "TIME_WAIT,ASSURED", there, syn, []string{"forwarded 10.1.0.9:80 NEW"}},
		{"tcp " + to + "CLOSE,ASSURED", there, syn, []string{"forwarded 10.1.0.9:80 NEW", "forwarded 10.1.0.8:80 ESTABLISHED"}},
		{"tcp " + to + "SYN_SENT,UNREPLIED", there, data, []string{"rejected 10.96.0.1:80"}},
		{"tcp " + to + "ESTABLISHED,ASSURED", there, data, []string{"forwarded 10.1.0.8:80 ESTABLISHED"}},
		{"tcp " + to + "ESTABLISHED,ASSURED", there, reset, []string{"forwarded 10.1.0.8:80 ESTABLISHED"}},
		{"tcp " + to + "ESTABLISHED,ASSURED", back, data, []string{"forwarded 10.0.0.9:4000 ESTABLISHED"}},
		{"tcp " + to + "SYN_SENT,UNREPLIED", back, synack, []string{"forwarded 10.0.0.9:4000 ESTABLISHED"}},
		{"tcp " + to + "ESTABLISHED,ASSURED", back, syn, []string{"rejected 10.0.0.9:4000"}},
		{"tcp " + to + "ESTABLISHED,ASSURED", "tcp 10.0.0.9:4001 > 10.96.0.1:80", syn, []string{"forwarded 10.1.0.9:80 NEW"}},
		{"udp " + to + ",UNREPLIED", "udp 10.0.0.9:4000 > 10.96.0.1:80", syn, []string{"forwarded 10.1.0.8:80 NEW"}},
		{"udp " + to + ",ASSURED", "udp 10.0.0.9:4000 > 10.96.0.1:80", syn, []string{"forwarded 10.1.0.8:80 ESTABLISHED"}},
		{"udp " + to + ",UNREPLIED,EXPECTED", "udp 10.0.0.9:4000 > 10.96.0.1:80", syn, []string{"forwarded 10.1.0.8:80 RELATED"}},
		{"icmp 10.0.0.9:77 10.1.0.8:0 10.1.0.8:0 10.0.0.9:77 ,", "icmp 10.0.0.9 > 10.1.0.8", syn, []string{"forwarded 10.1.0.8:0 ESTABLISHED"}},
	} {
		p := pkt(tt.packet)
		p.Kind = tt.kind
		if p.Protocol == model.ICMP {
			p.ICMPID = 77
		}
		dev := "eth0"
		if tt.packet == back {
			dev = "eth1"
		}
		var got []string
		for _, o := range tracked(t, states, 1000, tt.entry).Input(p, dev, everybody()) {
			s := o.Disposition.String() + " " + o.Packet.Dst.String()
			if o.Disposition == model.Forwarded {
				s += " " + [...]string{"", "NEW", "ESTABLISHED", "RELATED"}[o.Packet.Mark]
			}
			got = append(got, s)
		}
		require.Equal(t, tt.want, got, "%s: %s %s", tt.entry, tt.packet, tt.kind)
	}
}

// A packet whose sender chooses the port is of no entry, whatever number stands
// for the port.
func TestEntriesOfOthers(t *testing.T) {
	ns := tracked(t, natRules, 1000, "tcp 10.0.0.9:40000 10.96.0.1:80 10.1.0.8:80 10.0.0.9:40000 ESTABLISHED,ASSURED")
	p := pkt("tcp 10.0.0.9:40000 > 10.96.0.1:80")
	p.AnyPort = true
	got := one(t, ns.Input(p, "eth0", everybody()))
	require.Equal(t, "10.1.0.9:80", got.Packet.Dst.String())
	require.Len(t, got.Noted, 1)
	require.Equal(t, "conntrack/stale-entry", got.Noted[0].Code)
	require.Equal(t, "conntrack.json:5", got.Noted[0].Evidence)

	for _, entry := range []string{
		"tcp 10.0.0.9:40000 10.96.0.1:80 10.1.0.9:80 10.0.0.9:40000 ESTABLISHED,ASSURED", // leads where the rules do
		"tcp 10.0.0.9:40000 10.96.0.1:80 10.1.0.8:80 10.0.0.9:40000 TIME_WAIT,ASSURED",   // is over
		"tcp 10.0.0.6:40000 10.96.0.1:80 10.1.0.8:80 10.0.0.6:40000 ESTABLISHED,ASSURED", // of another client
	} {
		require.Empty(t, one(t, tracked(t, natRules, 1000, entry).Input(p, "eth0", everybody())).Noted, entry)
	}
}

// An ICMP error about a dumped conversation goes to whom it is translated for.
func TestErrorAboutDumpedEntry(t *testing.T) {
	ns := tracked(t, natRules, 1000, "udp 10.0.0.9:4000 10.96.0.1:80 10.1.0.8:80 10.1.0.1:4000 ,UNREPLIED")
	sent := pkt("udp 10.1.0.1:4000 > 10.1.0.8:80")
	p := model.Packet{Protocol: model.ICMP, Kind: model.KindError, ICMPType: 3, ICMPCode: 3, Src: end("10.1.0.8"), Dst: end("10.1.0.1"), About: &sent}
	got := one(t, ns.Input(p, "eth1", everybody()))
	require.Equal(t, "forwarded eth0", ended(got))
	require.Equal(t, "udp 10.0.0.9:4000 > 10.96.0.1:80", got.Packet.About.String())
	p.Dst = end("10.0.0.5")
	require.Equal(t, "10.0.0.5", one(t, ns.Input(p, "eth1", everybody())).Packet.Dst.Addr().String(), "nf_conntrack_inet_error: the outer destination is another")
	p.About = nil
	require.Equal(t, model.Unknown, ns.Input(p, "eth1", everybody())[0].Disposition)
}

// __nf_conntrack_alloc: a full table drops what is new, unless early_drop finds
// an entry that may go.
func TestFullTable(t *testing.T) {
	const assured = "tcp 10.0.0.5:1 10.1.0.5:2 10.1.0.5:2 10.0.0.5:1 ESTABLISHED,ASSURED"
	const fresh = "udp 10.0.0.5:1 10.1.0.5:2 10.1.0.5:2 10.0.0.5:1 ,UNREPLIED"
	p := pkt("tcp 10.0.0.9:4 > 10.1.0.9:80")
	require.Equal(t, "dropped conntrack/full", ended(one(t, tracked(t, "", 1, assured).Input(p, "eth0", everybody()))))
	require.Equal(t, "forwarded eth1", ended(one(t, tracked(t, "", 2, assured).Input(p, "eth0", everybody()))))
	require.Equal(t, "forwarded eth1", ended(one(t, tracked(t, "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j NOTRACK\nCOMMIT\n", 1, assured).Input(p, "eth0", everybody()))))
	known := pkt("tcp 10.0.0.5:1 > 10.1.0.5:2")
	require.Equal(t, "forwarded eth1", ended(one(t, tracked(t, "", 1, assured).Input(known, "eth0", everybody()))))
	got := tracked(t, "", 1, fresh).Input(p, "eth0", everybody())
	require.Len(t, got, 2)
	require.Equal(t, "dropped conntrack/full", ended(got[0]))
	require.Equal(t, "forwarded eth1", ended(got[1]))
	require.NotEmpty(t, got[1].Doubts)
}

// get_unique_tuple: the port that an entry has taken is not given away twice.
func TestTakenPort(t *testing.T) {
	ns := tracked(t, natRules, 1000, "tcp 10.0.0.8:4 10.1.0.9:80 10.1.0.9:80 10.1.0.1:4 ESTABLISHED,ASSURED")
	got := one(t, ns.Input(pkt("tcp 10.0.0.7:4 > 10.1.0.9:80"), "eth0", everybody()))
	require.Equal(t, "forwarded eth1", ended(got))
	require.True(t, got.Packet.AnyPort)
	require.Contains(t, got.Doubts[0].What, "10.1.0.1:4 is taken")
	got = one(t, ns.Input(pkt("tcp 10.0.0.7:5 > 10.1.0.9:80"), "eth0", everybody()))
	require.False(t, got.Packet.AnyPort)
}

func TestOffloadedEntry(t *testing.T) {
	ns := tracked(t, "", 1000, "tcp 10.0.0.9:4 10.1.0.9:80 10.1.0.9:80 10.0.0.9:4 ESTABLISHED,ASSURED,OFFLOAD")
	got := ns.Input(pkt("tcp 10.0.0.9:4 > 10.1.0.9:80"), "eth0", everybody())
	require.Len(t, got, 2)
	require.Equal(t, model.Unknown, got[0].Disposition)
}

// Entries that cannot be read cost themselves; whether the table is full is then
// not certain.
func TestBadEntries(t *testing.T) {
	for _, text := range []string{
		`{"count":1,"max":1,"entries":[{"family":4,"protocol":"tcp","src":"10.0.0.1"}]}`,
		`{"count":1,"max":1,"entries":[{"family":4,"protocol":"no-such"}]}`,
		`{"count":1,"max":1,"entries":[3]}`,
		`[]`,
	} {
		table, problems := newConnTable(nodedump.Part{File: "conntrack.json", Status: nodedump.StatusOK, Data: []byte(text)})
		require.Len(t, problems, 1, text)
		require.ErrorContains(t, problems[0], "conntrack.json")
		require.False(t, table.whole)
	}
	table, problems := newConnTable(nodedump.Part{})
	require.Empty(t, problems)
	require.False(t, table.whole)
}

// The states of strangers (nf_conntrack_tcp_packet, sctp_new,
// nf_conntrack_icmp_packet, nf_conntrack_icmpv6_packet).
func TestStrangers(t *testing.T) {
	of := func(text string, kind model.Kind) model.Packet {
		p, err := model.ParsePacket(text)
		require.NoError(t, err)
		if kind != model.KindOpen {
			p.Kind = kind
		}
		return p
	}
	for _, tt := range []struct {
		p    model.Packet
		more string
		want string
	}{
		{of("tcp 10.0.0.9:4 > 10.1.0.9:80", model.KindData), "", "NEW"},
		{of("tcp 10.0.0.9:4 > 10.1.0.9:80", model.KindData), "sysctl net.netfilter.nf_conntrack_tcp_loose 0", "INVALID"},
		{of("tcp 10.0.0.9:4 > 10.1.0.9:80", model.KindReset), "", "INVALID"},
		{of("sctp 10.0.0.9:4 > 10.1.0.9:80", model.KindOpen), "", "NEW"},
		{of("sctp 10.0.0.9:4 > 10.1.0.9:80", model.KindData), "", "INVALID"},
		{of("sctp 10.0.0.9:4 > 10.1.0.9:80", model.KindReset), "", "INVALID"},
		{of("udp 10.0.0.9:4 > 10.1.0.9:80", model.KindReply), "", "NEW"},
		{of("icmp 10.0.0.9 > 10.1.0.9", model.KindOpen), "", "NEW"},
		{of("icmp 10.0.0.9 > 10.1.0.9 type 13", model.KindOpen), "", "NEW"},
		{of("icmp 10.0.0.9 > 10.1.0.9 type 9", model.KindOpen), "", "INVALID"},
		{of("icmp 10.0.0.9 > 10.1.0.9 type 0", model.KindReply), "", "INVALID"},
		{of("icmpv6 fd00::9 > fd00::1", model.KindOpen), "", "NEW"},
		{of("icmpv6 fd00::9 > fd00::1 type 129", model.KindReply), "", "INVALID"},
		{of("icmpv6 fd00::9 > fd00::1 type 135", model.KindOpen), "", "UNTRACKED"},
		{of("icmpv6 fd00::9 > ff02::16 type 143", model.KindOpen), "", "UNTRACKED"},
		{of("gre 10.0.0.9 > 10.1.0.9", model.KindOpen), "", "NEW"},
	} {
		r := &run{ns: world(t, router+tt.more, "")}
		r.f.Packet = tt.p
		r.track()
		require.Equal(t, tt.want, r.f.Ct.State.String(), "%s", tt.p)
	}
}
