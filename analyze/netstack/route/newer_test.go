package route

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// newer is a namespace with two devices, and routes and rules of its own.
func newer(t *testing.T, routes []nodedump.Route, rules []nodedump.Rule) *FIB {
	t.Helper()
	info := &nodedump.NetNSInfo{File: "netns.json", Routes: routes, Rules: rules}
	for i, name := range []string{"eth0", "eth1"} {
		info.Interfaces = append(info.Interfaces, nodedump.Interface{Name: name, Index: i + 1, Flags: []string{"UP"},
			Addrs: []nodedump.Addr{{Prefix: "10." + string(rune('0'+i)) + ".0.1/24", Scope: "global"}, {Prefix: "fd0" + string(rune('0'+i)) + "::1/64", Scope: "global"}}})
	}
	f, problems := New(info)
	require.Empty(t, problems)
	return f
}

// lwtunnel_output: what a lightweight tunnel does is not known.
func TestEncap(t *testing.T) {
	f := newer(t, []nodedump.Route{
		{Family: 4, Table: 254, Dst: "10.5.0.0/16", Dev: "eth0", Encap: "mpls", HopLimit: 9},
		{Family: 4, Table: 254, Dst: "10.6.0.0/16", NextHops: []nodedump.NextHop{{Dev: "eth0", Encap: "bpf"}, {Dev: "eth1"}}},
	}, nil)
	got := f.Lookup(Query{Dst: netip.MustParseAddr("10.5.0.1")}, nil)
	require.Equal(t, "mpls", got.Encap)
	require.Equal(t, 9, got.HopLimit)
	require.Equal(t, "bpf", f.Lookup(Query{Dst: netip.MustParseAddr("10.6.0.1")}, nil).Encap)
}

// rt6_score_route: the preference of a router goes before the device.
func TestRouterPreference(t *testing.T) {
	dev := func(first, second string) string {
		return newer(t, []nodedump.Route{
			{Family: 6, Table: 254, Dst: "::/0", Dev: "eth0", Via: "fe80::1", Pref: first},
			{Family: 6, Table: 254, Dst: "::/0", Dev: "eth1", Via: "fe80::2", Pref: second},
		}, nil).Lookup(Query{Dst: netip.MustParseAddr("2001:db8::1")}, nil).Dev
	}
	require.Equal(t, "eth0", dev("", ""))
	require.Equal(t, "eth1", dev("", "high"))
	require.Equal(t, "eth1", dev("low", ""))
	require.Equal(t, "eth0", dev("high", "low"))
}

// ip6_rt_get_dev_rcu: only the kernel's own anycast routes are local to a sender;
// a route of type multicast to one address is as good as any.
func TestAddedAnycastAndMulticast(t *testing.T) {
	dst := netip.MustParseAddr("fd07::1")
	for _, tt := range []struct {
		typ, protocol, iif string
		want               Type
		dev                string
	}{
		{"anycast", "boot", "", TypeUnicast, "eth1"},
		{"anycast", "boot", "eth0", TypeAnycast, "lo"},
		{"anycast", "kernel", "", TypeAnycast, "lo"},
		{"anycast", "kernel", "eth0", TypeAnycast, "lo"},
		{"multicast", "boot", "eth0", TypeUnicast, "eth1"},
	} {
		f := newer(t, []nodedump.Route{{Family: 6, Table: 255, Type: tt.typ, Protocol: tt.protocol, Dst: "fd07::1/128", Dev: "eth1"}}, nil)
		got := f.Lookup(Query{Dst: dst, IIf: tt.iif}, nil)
		require.Equal(t, tt.want, got.Type, "%+v", tt)
		require.Equal(t, tt.dev, got.Dev, "%+v", tt)
	}
}

// fib4_rule_match and fib6_rule_match with selectors of newer kernels.
func TestNewerSelectors(t *testing.T) {
	ten := 10
	table := []nodedump.Route{
		{Family: 4, Table: 100, Dst: "0.0.0.0/0", Dev: "eth1"}, {Family: 4, Table: 254, Dst: "0.0.0.0/0", Dev: "eth0"},
		{Family: 6, Table: 100, Dst: "::/0", Dev: "eth1"}, {Family: 6, Table: 254, Dst: "::/0", Dev: "eth0"},
	}
	with := func(r nodedump.Rule) []nodedump.Rule {
		var all []nodedump.Rule
		for _, family := range []int{4, 6} {
			r.Family, r.Priority, r.Table = family, 100, 100
			all = append(all, nodedump.Rule{Family: family, Table: 255}, r, nodedump.Rule{Family: family, Priority: 32766, Table: 254})
		}
		return all
	}
	for _, tt := range []struct {
		rule   nodedump.Rule
		tos    uint8
		want   string
		doubts bool
	}{
		{nodedump.Rule{DSCP: &ten}, 40, "eth1", false},
		{nodedump.Rule{DSCP: &ten}, 41, "eth1", false},
		{nodedump.Rule{DSCP: &ten}, 8, "eth0", false},
		{nodedump.Rule{DSCP: &ten, Not: true}, 8, "eth1", false},
		{nodedump.Rule{Unread: "tun_id"}, 0, "eth1", true},
		{nodedump.Rule{Unread: "tun_id", Mark: 5}, 0, "eth0", false},
		{nodedump.Rule{Unread: "tun_id", Not: true}, 0, "eth1", true},
		{nodedump.Rule{Unread: "flowlabel", Mark: 5, Not: true}, 0, "eth1", false},
	} {
		for _, dst := range []string{"172.16.0.1", "2001:db8::1"} {
			got := newer(t, table, with(tt.rule)).Lookup(Query{Dst: netip.MustParseAddr(dst), TOS: tt.tos}, nil)
			require.Equal(t, tt.want, got.Dev, "%+v", tt.rule)
			require.Equal(t, tt.doubts, got.Doubt != nil, "%+v", tt.rule)
		}
	}
}
