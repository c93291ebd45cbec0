package trace_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/trace"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// space is a router between eth0 and eth1, with rules.
func space(t *testing.T, rules string) *netstack.NetNS {
	t.Helper()
	empty := nodedump.Part{Status: nodedump.StatusEmpty}
	ns, problems := netstack.New(&nodedump.NetNSInfo{
		File: "f", Key: "host", IPTablesLegacy: empty, NFT: empty, IPSet: empty, IP6Tables: empty, IP6TablesLegacy: empty, Conntrack: empty, IPVS: empty,
		IPTables: nodedump.Part{File: "rules", Status: nodedump.StatusOK, Data: []byte("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n" + rules + "COMMIT\n")},
		Interfaces: []nodedump.Interface{
			{Name: "lo", Index: 1, Kind: "loopback", MTU: 65536, Flags: []string{"UP", "LOOPBACK"}, Addrs: []nodedump.Addr{{Prefix: "127.0.0.1/8", Scope: "host"}}},
			{Name: "eth0", Index: 2, MTU: 1500, Flags: []string{"UP", "BROADCAST"}, MAC: "02:00:00:00:00:01", Addrs: []nodedump.Addr{{Prefix: "192.0.2.1/24", Scope: "global"}}},
			{Name: "eth1", Index: 3, MTU: 1500, Flags: []string{"UP", "BROADCAST"}, MAC: "02:00:00:00:00:02", Addrs: []nodedump.Addr{{Prefix: "10.0.0.1/24", Scope: "global"}}},
		},
		Routes: []nodedump.Route{
			{Family: 4, Table: 254, Dst: "192.0.2.0/24", Dev: "eth0", Scope: "link"}, {Family: 4, Table: 254, Dst: "10.0.0.0/24", Dev: "eth1", Scope: "link"},
			{Family: 4, Table: 254, Dst: "10.1.0.0/16", NextHops: []nodedump.NextHop{{Dev: "eth1", Via: "10.0.0.2", Weight: 1}, {Dev: "eth1", Via: "10.0.0.3", Weight: 1}}},
			{Family: 4, Table: 254, Dst: "10.2.0.0/16", Type: "blackhole"}, {Family: 4, Table: 254, Dst: "10.3.0.0/16", Type: "unreachable"},
			{Family: 4, Table: 254, Dst: "10.4.0.0/16", Type: "prohibit"},
		},
		Sockets: []nodedump.Socket{{Protocol: "tcp", Local: "0.0.0.0:80"}},
		Sysctls: map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.forwarding": "1", "net.ipv4.conf.eth0.forwarding": "1", "net.ipv4.conf.eth1.forwarding": "1"},
	})
	require.Empty(t, problems)
	return ns
}

func TestTrace(t *testing.T) {
	const (
		dropped  = "-A FORWARD -p tcp -m tcp --dport 81 -j DROP\n"
		rejected = "-A FORWARD -p tcp -m tcp --dport 82 -j REJECT --reject-with tcp-reset\n"
		even     = "-A FORWARD -p tcp -m tcp --dport 83 -m statistic --mode random --probability 0.25 -j ACCEPT\n-A FORWARD -p tcp -m tcp --dport 83 -j ACCEPT\n"
	)
	ns := space(t, dropped+rejected+even)
	for _, row := range []struct {
		packet, in string
		want       []trace.Outcome // Share, Verdict, RejectWith, Dev, Socket
		result     string          // of the route, "" if there is none
		sum        string
	}{
		{"tcp 192.0.2.9:1 > 10.0.0.9:80", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Forward, Dev: "eth1"}}, "ok", trace.Passes},
		{"tcp 192.0.2.9:1 > 10.0.0.9:81", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Drop}}, "ok", trace.Stopped},
		{"tcp 192.0.2.9:1 > 10.0.0.9:82", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Reject, RejectWith: "tcp-reset"}}, "ok", trace.Stopped},
		{"tcp 192.0.2.9:1 > 10.0.0.9:83", "eth0", []trace.Outcome{{Share: 0.25, Verdict: trace.Forward, Dev: "eth1"}, {Share: 0.75, Verdict: trace.Forward, Dev: "eth1"}}, "ok", trace.Passes},
		{"tcp 192.0.2.9:1 > 10.1.0.9:80", "eth0", []trace.Outcome{{Share: 0.5, Verdict: trace.Forward, Dev: "eth1"}, {Share: 0.5, Verdict: trace.Forward, Dev: "eth1"}}, "ok", trace.Passes},
		{"tcp 192.0.2.9:1 > 192.0.2.1:80", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Local, Socket: trace.SocketFound}}, "local", trace.Passes},
		{"tcp 192.0.2.9:1 > 192.0.2.1:22", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Local, Socket: trace.SocketNone}}, "local", trace.Passes},
		{"icmp 192.0.2.9 > 192.0.2.1", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Local, Socket: trace.SocketKernel}}, "local", trace.Passes},
		{"tcp 192.0.2.9:1 > 10.2.0.9:80", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Drop}}, "blackhole", trace.Stopped},
		{"tcp 192.0.2.9:1 > 10.3.0.9:80", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Reject, RejectWith: "icmp-host-unreachable"}}, "unreachable", trace.Stopped},
		{"tcp 192.0.2.9:1 > 10.4.0.9:80", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Reject, RejectWith: "icmp-admin-prohibited"}}, "prohibit", trace.Stopped},
		{"tcp 192.0.2.9:1 > 10.9.0.9:80", "eth0", []trace.Outcome{{Share: 1, Verdict: trace.Drop}}, "noroute", trace.Stopped},
		{"udp > 10.3.0.9:53", "", []trace.Outcome{{Share: 1, Verdict: trace.Reject}}, "unreachable", trace.Stopped},
		{"udp > 10.0.0.9:53", "", []trace.Outcome{{Share: 1, Verdict: trace.Forward, Dev: "eth1"}}, "ok", trace.Passes},
	} {
		p, err := model.ParsePacket(row.packet)
		require.NoError(t, err)
		r := trace.Trace(ns, trace.Question{Packet: p, In: row.in})
		var got []trace.Outcome
		for _, o := range r.Outcomes {
			got = append(got, trace.Outcome{Share: o.Share, Verdict: o.Verdict, RejectWith: o.RejectWith, Dev: o.Dev, Socket: o.Socket})
		}
		require.Equal(t, row.want, got, row.packet)
		require.Equal(t, row.sum, r.Sum(), row.packet)
		require.Equal(t, row.result, r.Outcomes[0].Route.Result, row.packet)
	}
}

func TestRename(t *testing.T) {
	ns := space(t, "-A INPUT -j DROP\n")
	p, err := model.ParsePacket("tcp 192.0.2.9:1 > 192.0.2.1:80")
	require.NoError(t, err)
	r := trace.Trace(ns, trace.Question{Packet: p, In: "eth0"})
	r.Rename(func(s string) string { return map[string]string{"rules:5": "mine:7"}[s] })
	require.Equal(t, "mine:7", r.Outcomes[0].Evidence)
	require.NotEmpty(t, r.Outcomes[0].Reason)
}
