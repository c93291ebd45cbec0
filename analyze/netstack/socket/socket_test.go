package socket

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestLookup(t *testing.T) {
	info := &nodedump.NetNSInfo{
		File:       "netns.json",
		Interfaces: []nodedump.Interface{{Name: "eth0", Addrs: []nodedump.Addr{{Prefix: "10.0.0.1/24"}, {Prefix: "fd00::1/64"}}}},
		Sockets: []nodedump.Socket{
			{Protocol: "tcp", Local: "0.0.0.0:80", Process: "nginx", Line: 1},
			{Protocol: "tcp", Local: "10.0.0.1:80", Line: 2},
			{Protocol: "tcp", Local: "127.0.0.1:81", Line: 3},
			{Protocol: "tcp", Local: "[::]:82", Line: 4},
			{Protocol: "tcp", Local: "[::]:83", V6Only: true, Line: 5},
			{Protocol: "udp", Local: "0.0.0.0:53", Dev: "eth0", Line: 6},
			{Protocol: "udp", Local: "127.0.0.53%lo:53", Line: 7},
			{Protocol: "tcp", Local: "*:84", Line: 8},
			{Protocol: "tcp", Local: "[::ffff:10.0.0.1]:85", Line: 9},
			{Protocol: "tcp", Local: "odd", Line: 10},
		},
	}
	table, errs := New(info)
	require.Len(t, errs, 1)
	require.ErrorContains(t, errs[0], "netns.json:10: socket tcp odd: ")
	for _, tt := range []struct{ proto, dst, dev, want string }{
		{"tcp", "10.0.0.1:80", "eth0", "netns.json:2"},
		{"tcp", "10.0.0.2:80", "eth0", "netns.json:1"},
		{"tcp", "[fd00::1]:80", "eth0", ""},
		{"tcp", "127.0.0.1:81", "lo", "netns.json:3"},
		{"tcp", "10.0.0.1:81", "eth0", "not netns.json:3"},
		{"tcp", "10.0.0.1:82", "eth0", "netns.json:4"},
		{"tcp", "[fd00::1]:82", "eth0", "netns.json:4"},
		{"tcp", "10.0.0.1:83", "eth0", ""},
		{"tcp", "[fd00::1]:83", "eth0", "netns.json:5"},
		{"tcp", "10.0.0.1:84", "eth0", "netns.json:8"},
		{"tcp", "10.0.0.1:85", "eth0", "netns.json:9"},
		{"udp", "10.0.0.1:53", "eth0", "netns.json:6"},
		{"udp", "10.0.0.1:53", "lo", "netns.json:6"}, // born here: counts as in by eth0
		{"udp", "127.0.0.53:53", "lo", "netns.json:7"},
		{"udp", "10.0.0.1:53", "eth1", "not netns.json:6"},
		{"udp", "10.0.0.1:80", "eth0", ""},
	} {
		m := table.Lookup(model.Packet{Protocol: model.Protocol(tt.proto), Dst: netip.MustParseAddrPort(tt.dst)}, tt.dev)
		got := m.Evidence
		if m.LoopbackOnly {
			got = "not " + got
		}
		require.Equal(t, tt.want, got, "%+v", tt)
		require.Equal(t, tt.want != "" && !m.LoopbackOnly, m.Found, "%+v", tt)
		require.True(t, m.Known)
	}
}

func TestNotCollected(t *testing.T) {
	table, _ := New(&nodedump.NetNSInfo{Sections: map[string]nodedump.Status{"sockets": nodedump.StatusDenied}})
	require.False(t, table.Lookup(model.Packet{Protocol: model.TCP, Dst: netip.MustParseAddrPort("10.0.0.1:80")}, "eth0").Known)
}

func TestEcho(t *testing.T) {
	p := model.Packet{Protocol: model.ICMP, Dst: netip.MustParseAddrPort("10.0.0.1:0")}
	table, _ := New(&nodedump.NetNSInfo{})
	require.True(t, table.Lookup(p, "eth0").Found)
	table, _ = New(&nodedump.NetNSInfo{Sysctls: map[string]string{"net.ipv4.icmp_echo_ignore_all": "1"}})
	require.False(t, table.Lookup(p, "eth0").Found)
}
