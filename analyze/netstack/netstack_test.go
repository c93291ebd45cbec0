package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

const router = `
dev lo loopback 127.0.0.1/8 mtu=65536
dev eth0 nic 02:00:00:00:00:01 10.0.0.1/24
dev eth1 nic 02:00:00:00:00:02 10.1.0.1/24 mtu=1400
route 10.0.0.0/24 eth0
route 10.1.0.0/24 eth1
route 0.0.0.0/0 eth0 10.0.0.254
route 10.9.0.0/16 type=blackhole
route 10.8.0.0/16 type=unreachable
route 10.7.0.0/16 type=prohibit
listen tcp 0.0.0.0:80
listen tcp 127.0.0.1:81
listen udp 0.0.0.0:53
`

func TestInput(t *testing.T) {
	for _, tt := range []struct{ name, packet, dev, more, rules, want string }{
		{"to a socket", "tcp 10.0.0.9:4 > 10.0.0.1:80", "eth0", "", "", "delivered answer=reply"},
		{"weak host model: the other device's address", "tcp 10.0.0.9:4 > 10.1.0.1:80", "eth0", "", "", "delivered answer=reply"},
		{"closed port", "tcp 10.0.0.9:4 > 10.0.0.1:82", "eth0", "", "", "no-listener socket/none answer=reset"},
		{"closed UDP port", "udp 10.0.0.9:4 > 10.0.0.1:54", "eth0", "", "", "no-listener socket/none answer=error(3,3)"},
		{"loopback only", "tcp 10.0.0.9:4 > 10.0.0.1:81", "eth0", "", "", "no-listener socket/loopback-only answer=reset"},
		{"echo", "icmp 10.0.0.9 > 10.0.0.1", "eth0", "", "", "delivered answer=reply"},
		{"forward", "tcp 10.0.0.9:4 > 10.1.0.9:80", "eth0", "", "", "forwarded eth1"},
		{"forwarding off", "tcp 10.0.0.9:4 > 10.1.0.9:80", "eth0", "sysctl net.ipv4.ip_forward 0", "", "dropped sysctl/ip-forward"},
		{"forwarding off, to us", "tcp 10.0.0.9:4 > 10.0.0.1:80", "eth0", "sysctl net.ipv4.ip_forward 0", "", "delivered answer=reply"},
		{"blackhole says nothing", "tcp 10.0.0.9:4 > 10.9.0.9:80", "eth0", "", "", "no-route route/blackhole"},
		{"unreachable answers", "tcp 10.0.0.9:4 > 10.8.0.9:80", "eth0", "", "", "no-route route/unreachable answer=error(3,1)"},
		{"prohibit answers", "tcp 10.0.0.9:4 > 10.7.0.9:80", "eth0", "", "", "no-route route/unreachable answer=error(3,13)"},
		{"unreachable without forwarding", "tcp 10.0.0.9:4 > 10.8.0.9:80", "eth0", "sysctl net.ipv4.ip_forward 0", "", "dropped sysctl/ip-forward"},
		{"strict rp_filter", "tcp 10.1.0.9:4 > 10.0.0.1:80", "eth0", "sysctl net.ipv4.conf.all.rp_filter 1", "", "dropped sysctl/rp-filter"},
		{"loose rp_filter", "tcp 10.1.0.9:4 > 10.0.0.1:80", "eth0", "sysctl net.ipv4.conf.all.rp_filter 2", "", "delivered answer=reply"},
		{"martian source", "tcp 10.0.0.1:4 > 10.0.0.1:80", "eth0", "", "", "dropped walk/martian"},
		{"drop in raw", "tcp 10.0.0.9:4 > 10.1.0.9:80", "eth0", "", "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j DROP\nCOMMIT\n", "dropped netfilter/drop"},
		{"drop by policy", "tcp 10.0.0.9:4 > 10.1.0.9:80", "eth0", "", "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", "dropped netfilter/drop"},
		{"FORWARD is not for us", "tcp 10.0.0.9:4 > 10.0.0.1:80", "eth0", "", "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", "delivered answer=reply"},
		{"reject", "tcp 10.0.0.9:4 > 10.1.0.9:80", "eth0", "", "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j REJECT\nCOMMIT\n", "rejected netfilter/reject answer=error(3,3)"},
		{"reject with reset", "tcp 10.0.0.9:4 > 10.1.0.9:80", "eth0", "", "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\nCOMMIT\n", "rejected netfilter/reject answer=reset"},
		{"dnat is routed by its new destination", "tcp 10.0.0.9:4 > 10.0.0.1:8080", "eth0", "", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.1.0.9:80\nCOMMIT\n", "forwarded eth1"},
		{"device down", "tcp 10.0.0.9:4 > 10.0.0.1:80", "eth2", "dev eth2 nic 02:00:00:00:00:03 down", "", "dropped link/down"},
		{"no such device", "tcp 10.0.0.9:4 > 10.0.0.1:80", "eth7", "", "", "dropped link/missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := world(t, router+tt.more, tt.rules)
			require.Equal(t, tt.want, ended(one(t, ns.Input(pkt(tt.packet), tt.dev, everybody()))))
		})
	}
}

func TestOutput(t *testing.T) {
	for _, tt := range []struct{ name, packet, more, rules, want string }{
		{"to a neighbour", "tcp - > 10.0.0.9:80", "", "", "forwarded eth0"},
		{"to ourselves", "tcp - > 10.0.0.1:80", "", "", "delivered answer=reply"},
		{"to loopback", "tcp - > 127.0.0.1:81", "", "", "delivered answer=reply"},
		{"blackhole is an error at once", "tcp - > 10.9.0.9:80", "", "", "no-route route/blackhole"},
		{"drop in OUTPUT", "tcp - > 10.0.0.9:80", "", "*filter\n:OUTPUT DROP [0:0]\nCOMMIT\n", "dropped netfilter/drop"},
		{"a mark of mangle is routed again", "tcp - > 10.0.0.9:80", "", "*mangle\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j MARK --set-xmark 0x1/0xffffffff\nCOMMIT\n", "forwarded eth0"},
		{"dnat is routed again", "tcp - > 10.0.0.9:80", "", "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j DNAT --to-destination 10.1.0.9:80\nCOMMIT\n", "forwarded eth1"},
		{"dnat to ourselves", "tcp - > 10.0.0.9:8080", "", "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j DNAT --to-destination 127.0.0.1:81\nCOMMIT\n", "delivered answer=reply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := world(t, router+tt.more, tt.rules)
			require.Equal(t, tt.want, ended(one(t, ns.Output(pkt(tt.packet), "", everybody()))))
		})
	}
}

func TestLocalErrors(t *testing.T) {
	drop := "*filter\n:OUTPUT DROP [0:0]\nCOMMIT\n"
	for _, tt := range []struct {
		name, packet, rules string
		want                bool
	}{
		{"no way out", "tcp - > 10.9.0.9:80", "", true},
		{"UDP is told of a drop in OUTPUT", "udp - > 10.0.0.9:80", drop, true},
		{"TCP tries again", "tcp - > 10.0.0.9:80", drop, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := world(t, router, tt.rules)
			require.Equal(t, tt.want, one(t, ns.Output(pkt(tt.packet), "", everybody())).LocalError)
		})
	}
}

func TestNeighbours(t *testing.T) {
	for _, tt := range []struct {
		name, more string
		answer     netfilter.Answer
		want       string
	}{
		{"an entry is used as it is", "neigh 10.1.0.9 eth1 02:00:00:00:00:09", netfilter.No, "forwarded eth1"},
		{"somebody answers", "", netfilter.Yes, "forwarded eth1"},
		{"a learned entry holds while its owner answers", "learned 10.1.0.9 eth1 02:00:00:00:00:99", netfilter.Yes, "forwarded eth1"},
		{"and fails when it does not", "learned 10.1.0.9 eth1 02:00:00:00:00:99", netfilter.No, "neighbor-unreachable neigh/missing answer=error(3,1)"},
		{"nobody answers", "", netfilter.No, "neighbor-unreachable neigh/missing answer=error(3,1)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := world(t, router+tt.more, "")
			got := one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.1.0.9:80"), "eth0", Call{Wire: flat{tt.answer, netfilter.Yes}}))
			require.Equal(t, tt.want, ended(got))
		})
	}
	t.Run("nobody knows", func(t *testing.T) {
		ns := world(t, router, "")
		got := ns.Input(pkt("tcp 10.0.0.9:4 > 10.1.0.9:80"), "eth0", Call{})
		require.Len(t, got, 2)
		require.Equal(t, model.Unknown, got[0].Disposition)
		require.Equal(t, "forwarded eth1", ended(got[1]))
		require.NotEmpty(t, got[1].Doubts)
	})
}

// A masquerade that cannot happen is told, not swallowed. It cannot only where
// no device at all has an address: otherwise another device lends its own
// (inet_select_addr).
func TestMasqueradeWithoutAddress(t *testing.T) {
	rules := "*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth3 -j MASQUERADE\nCOMMIT\n"
	bare := "dev lo loopback\ndev eth0 nic 02:00:00:00:00:01\ndev eth3 nic 02:00:00:00:00:04\nroute 10.3.0.0/24 eth3\nroute 10.0.0.0/24 eth0"
	got := one(t, world(t, bare, rules).Input(pkt("tcp 10.0.0.9:4 > 10.3.0.9:80"), "eth0", everybody()))
	require.Equal(t, "dropped netfilter/drop", ended(got))
	require.NotEmpty(t, got.Evidence)

	lent := world(t, router+"dev eth3 nic 02:00:00:00:00:04\nroute 10.3.0.0/24 eth3", rules)
	require.Equal(t, "tcp 10.0.0.1:4 > 10.3.0.9:80", one(t, lent.Input(pkt("tcp 10.0.0.9:4 > 10.3.0.9:80"), "eth0", everybody())).Packet.String())
}

func TestConntrack(t *testing.T) {
	ns := world(t, router, "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.0.0.200/32 -p tcp -j DNAT --to-destination 10.1.0.9:8080\n-A POSTROUTING -o eth1 -j MASQUERADE\nCOMMIT\n")
	out := one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.0.0.200:80"), "eth0", everybody()))
	require.Equal(t, "tcp 10.1.0.1:4 > 10.1.0.9:8080", out.Packet.String())

	call := everybody()
	call.Flow = out.Flow
	back := one(t, ns.Input(out.Packet.Reply(model.KindReply), "eth1", call))
	require.Equal(t, "tcp 10.0.0.200:80 > 10.0.0.9:4 reply", back.Packet.String())
	require.Equal(t, "forwarded eth0", ended(back))

	sent := out.Packet
	icmp := model.Packet{Protocol: model.ICMP, Kind: model.KindError, ICMPType: 3, ICMPCode: 1, Src: end("10.1.0.77"), Dst: end("10.1.0.1"), About: &sent}
	told := one(t, ns.Input(icmp, "eth1", call))
	require.Equal(t, "10.0.0.9", told.Packet.Dst.Addr().String(), "the error goes to whom the packet came from")
	require.Equal(t, "tcp 10.0.0.9:4 > 10.0.0.200:80", told.Packet.About.String(), "and quotes it as that one sent it")

	stranger := one(t, ns.Input(out.Packet.Reply(model.KindReply), "eth1", everybody()))
	require.Equal(t, model.Dropped, stranger.Disposition, "without the entry nobody waits for it")
}

func TestConntrackStates(t *testing.T) {
	invalid := "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
	for _, tt := range []struct {
		name string
		p    model.Packet
		want string
	}{
		{"a SYN is new", pkt("tcp 10.0.0.9:4 > 10.1.0.9:80"), "forwarded eth1"},
		{"a SYN-ACK of nothing is invalid", pkt("tcp 10.1.0.9:80 > 10.0.0.9:4").Reply(model.KindReply), "dropped netfilter/drop"},
		{"a datagram that answers nothing is new", pkt("udp 10.1.0.9:80 > 10.0.0.9:4").Reply(model.KindReply), "forwarded eth1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := world(t, router, invalid)
			require.Equal(t, tt.want, ended(one(t, ns.Input(tt.p, "eth0", everybody()))))
		})
	}
}

func TestMTU(t *testing.T) {
	big := pkt("tcp 10.0.0.9:4 > 10.1.0.9:80")
	big.Kind, big.Size, big.DF = model.KindData, 1500, true
	ns := world(t, router, "")
	got := one(t, ns.Input(big, "eth0", everybody()))
	require.Equal(t, "too-big mtu/too-small answer=error(3,4)", ended(got))
	require.Equal(t, 1400, got.PathMTU)
	big.DF = false
	require.Equal(t, "forwarded eth1", ended(one(t, ns.Input(big, "eth0", everybody()))), "without DF it is cut")
	big.Size = 1500
	require.Equal(t, "too-big mtu/too-small", ended(one(t, ns.Input(big, "eth1", everybody()))), "a frame larger than the receiver's MTU dies")
}

func TestStatisticShares(t *testing.T) {
	ns := world(t, router, "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m statistic --mode random --probability 0.25 -j DNAT --to-destination 10.1.0.8:80\n-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.9:80\nCOMMIT\n")
	got := ns.Input(pkt("tcp 10.0.0.9:4 > 10.0.0.200:80"), "eth0", everybody())
	require.Len(t, got, 2)
	require.InDelta(t, 0.25, got[0].Share, 1e-9)
	require.InDelta(t, 0.75, got[1].Share, 1e-9)
	require.Equal(t, "10.1.0.9:80", got[1].Packet.Dst.String())
	require.Empty(t, got[0].Doubts)
}

func TestWhatIsNotKnown(t *testing.T) {
	p := pkt("tcp 10.0.0.9:4 > 10.0.0.1:80")
	t.Run("rules not collected", func(t *testing.T) {
		ns := world(t, router, "")
		ns.Info.IPTables = nodedump.Part{File: "f", Status: nodedump.StatusToolMissing}
		require.Empty(t, one(t, ns.Input(p, "eth0", everybody())).Doubts, "nft and legacy say that there are none")
		ns.Info.IPTablesLegacy.Status = nodedump.StatusToolMissing
		got := ns.Input(p, "eth0", everybody())
		require.Len(t, got, 2)
		require.Equal(t, model.Unknown, got[0].Disposition)
		require.NotEmpty(t, got[1].Doubts)
	})
	t.Run("a tc program", func(t *testing.T) {
		ns := world(t, router+"prog tc-ingress eth0 cil_from_netdev", "")
		got := ns.Input(p, "eth0", everybody())
		require.Len(t, got, 2)
		require.Contains(t, got[0].Reason, "cil_from_netdev")
	})
	t.Run("a device of an unknown kind", func(t *testing.T) {
		ns := world(t, router+"dev wg0 wireguard\nroute 10.4.0.0/24 wg0", "")
		require.Equal(t, model.Unknown, one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.4.0.1:80"), "eth0", everybody())).Disposition)
	})
	unread := func(section, more, packet string) Outcome {
		ns := world(t, router+more, "")
		info := *ns.Info
		info.Sections = map[string]nodedump.Status{section: nodedump.StatusTimedOut}
		ns, _ = New(&info)
		return ns.Input(pkt(packet), "eth0", Call{Wire: flat{netfilter.No, netfilter.No}})[0]
	}
	t.Run("sections not read", func(t *testing.T) {
		for _, section := range []string{"interfaces", "neighbours", "routes", "rules"} {
			got := unread(section, "", "tcp 10.0.0.9:4 > 10.1.0.9:80")
			require.Equal(t, model.Unknown, got.Disposition, section)
			require.Contains(t, got.Doubts[0].What, "timed-out", section)
		}
		tunnel := "dev vx0 vxlan 02:00:00:00:00:07 10.5.0.1/32 vni=1,10.0.0.1\nroute 10.5.1.0/24 vx0 10.5.1.0\nneigh 10.5.1.0 vx0 02:00:00:00:00:08\n"
		require.Equal(t, model.Unknown, unread("fdb", tunnel, "tcp 10.0.0.9:4 > 10.5.1.9:80").Disposition)
	})
	t.Run("a route that cannot be read", func(t *testing.T) {
		info := *world(t, router, "").Info
		info.Routes = append(info.Routes, nodedump.Route{Family: 4, Table: 254, Dst: "10.1.0.0/99", Dev: "eth1"})
		ns, problems := New(&info)
		require.Len(t, problems, 1)
		require.Equal(t, model.Unknown, ns.Input(p, "eth0", everybody())[0].Disposition)
	})
	t.Run("rules that are cut off", func(t *testing.T) {
		info := *world(t, router, "").Info
		info.IPTables = part("f", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACC")
		ns, _ := New(&info)
		got := ns.Input(p, "eth0", everybody())
		require.Equal(t, model.Unknown, got[0].Disposition)
		require.Contains(t, got[0].Reason, "COMMIT")
	})
	t.Run("sockets not collected", func(t *testing.T) {
		ns := world(t, router, "")
		info := *ns.Info
		info.Sections = map[string]nodedump.Status{"sockets": nodedump.StatusFailed}
		ns, _ = New(&info)
		got := ns.Input(p, "eth0", everybody())
		require.Len(t, got, 2)
		require.Equal(t, model.Unknown, got[0].Disposition)
	})
}

// nf_hook_slow shows every rule of OUTPUT the device that the packet was routed
// to first, although nat has sent it elsewhere meanwhile.
func TestOutputRulesSeeTheFirstDevice(t *testing.T) {
	for dev, want := range map[string]string{"eth0": "dropped netfilter/drop", "eth1": "forwarded eth1"} {
		ns := world(t, router, "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -j DNAT --to-destination 10.1.0.9:80\nCOMMIT\n"+
			"*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -o "+dev+" -j DROP\nCOMMIT\n")
		require.Equal(t, want, ended(one(t, ns.Output(pkt("tcp - > 10.96.0.1:80"), "", everybody()))), dev)
	}
}

// ip6_pkt_drop answers whether this host forwards or not, unlike ip_error.
func TestNoRouteForIPv6IsAnswered(t *testing.T) {
	for _, tt := range []struct{ more, want string }{
		{"", "no-route route/missing answer=error(1,0)"},
		{"route fd09::/64 type=unreachable", "no-route route/unreachable answer=error(1,0)"},
		{"route fd09::/64 type=prohibit", "no-route route/unreachable answer=error(1,1)"},
		{"route fd09::/64 type=blackhole", "no-route route/blackhole"},
	} {
		ns := world(t, "dev lo loopback ::1/128\ndev eth0 nic 02:00:00:00:00:01 fd00::1/64\nsysctl net.ipv6.conf.all.forwarding 0\n"+tt.more, "")
		require.Equal(t, tt.want, ended(one(t, ns.Input(pkt("tcp [fd00::2]:4 > [fd09::1]:80"), "eth0", everybody()))))
	}
}

// noop_enqueue discards what is sent by a device without carrier, ARP too: the
// sender is told that nobody answers, unless somebody wrote the entry.
func TestDeviceWithoutCarrier(t *testing.T) {
	for more, want := range map[string]string{
		"":                                      "neighbor-unreachable link/down answer=error(3,1)",
		"neigh 10.1.0.9 eth1 02:00:00:00:00:09": "neighbor-unreachable link/down",
		"learned 10.1.0.9 eth1 02:00:00:00:00:09": "neighbor-unreachable link/down answer=error(3,1)",
	} {
		ns := world(t, router+more, "")
		ns.byIndex[3].OperState = "DOWN"
		require.Equal(t, want, ended(one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.1.0.9:80"), "eth0", everybody()))), more)
	}
}

// Sockets begin with IP_PMTUDISC_DONT where ip_no_pmtu_disc is set (inet_create):
// what they send may be cut.
func TestNoPathMTUDiscovery(t *testing.T) {
	big := pkt("udp 10.1.0.1:4 > 10.1.0.9:80")
	big.Size, big.DF = 1500, true
	const narrow = "dev lo loopback 127.0.0.1/8\ndev eth1 nic 02:00:00:00:00:02 10.1.0.1/24 mtu=1400\nroute 10.1.0.0/24 eth1\n"
	for value, want := range map[string]string{"0": "too-big mtu/too-small", "1": "forwarded eth1", "3": "forwarded eth1"} {
		ns := world(t, narrow+"sysctl net.ipv4.ip_no_pmtu_disc "+value, "")
		require.Equal(t, want, ended(one(t, ns.Output(big, "", everybody()))), value)
	}
}
