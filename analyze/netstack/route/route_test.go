package route

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func up(name string, index int, addrs ...string) nodedump.Interface {
	dev := nodedump.Interface{Name: name, Index: index, Flags: []string{"UP", "LOWER_UP"}, Line: index}
	for _, a := range addrs {
		dev.Addrs = append(dev.Addrs, nodedump.Addr{Prefix: a, Scope: "global"})
	}
	return dev
}

// node is a flannel node that has no table local in its dump.
func node() *nodedump.NetNSInfo {
	lo := up("lo", 1, "127.0.0.1/8", "::1/128")
	lo.Addrs[0].Scope = "host"
	return &nodedump.NetNSInfo{
		File:       "netns.json",
		Interfaces: []nodedump.Interface{lo, up("eth0", 2, "192.0.2.11/24", "fd00::11/64"), up("cni0", 3, "10.244.1.1/24"), up("flannel.1", 4, "10.244.1.0/32")},
		Routes: []nodedump.Route{
			{Family: 4, Table: TableMain, Dst: "0.0.0.0/0", Via: "192.0.2.1", Dev: "eth0", Line: 10},
			{Family: 4, Table: TableMain, Dst: "192.0.2.0/24", Dev: "eth0", Scope: "link", Protocol: "kernel", Src: "192.0.2.11", Line: 11},
			{Family: 4, Table: TableMain, Dst: "10.244.1.0/24", Dev: "cni0", Scope: "link", Protocol: "kernel", Src: "10.244.1.1", Line: 12},
			{Family: 4, Table: TableMain, Dst: "10.244.2.0/24", Via: "10.244.2.0", Dev: "flannel.1", Flags: []string{"onlink"}, MTU: 1450, Line: 13},
			{Family: 4, Table: TableMain, Dst: "198.51.100.0/24", Line: 14, NextHops: []nodedump.NextHop{
				{Dev: "eth0", Via: "192.0.2.2", Weight: 3}, {Dev: "eth0", Via: "192.0.2.3", Weight: 1},
				{Dev: "eth0", Via: "192.0.2.4", Weight: 1, Flags: []string{"dead"}}}},
			{Family: 6, Table: TableMain, Dst: "fd00::/64", Dev: "eth0", Protocol: "kernel", Metric: 256, Line: 20},
			{Family: 6, Table: TableMain, Dst: "::/0", Via: "fe80::1", Dev: "eth0", Metric: 1024, Line: 21},
		},
		Sysctls: map[string]string{"net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.eth0.forwarding": "1",
			"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "0"},
		SysctlLines: map[string]int{"net.ipv4.conf.eth0.forwarding": 77},
	}
}

func ip(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

func TestLookupOfANode(t *testing.T) {
	f, errs := New(node())
	require.Empty(t, errs)
	for _, tt := range []struct{ src, dst, iif, want string }{
		{"", "10.244.2.7", "", "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink mtu 1450 | flannel.1 10.244.1.0 netns.json:13"},
		{"10.244.1.5", "10.244.2.7", "cni0", "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink mtu 1450 | flannel.1 10.244.1.5 netns.json:13"},
		{"", "10.244.1.7", "", "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1 | cni0 10.244.1.1 netns.json:12"},
		{"", "203.0.113.1", "", "default via 192.0.2.1 dev eth0 | eth0 192.0.2.11 netns.json:10"},
		{"", "192.0.2.11", "", "local 192.0.2.11 dev eth0 table local scope host src 192.0.2.11 (derived from the address of eth0) | lo 192.0.2.11 netns.json:2"},
		{"10.244.1.5", "192.0.2.255", "cni0", "broadcast 192.0.2.255 dev eth0 table local scope link src 192.0.2.11 (derived from the address of eth0) | lo 10.244.1.5 netns.json:2"},
		{"", "127.0.0.53", "", "local 127.0.0.0/8 dev lo table local scope host src 127.0.0.1 (derived from the address of lo) | lo 127.0.0.1 netns.json:1"},
		{"", "2001:db8::1", "", "default via fe80::1 dev eth0 metric 1024 | eth0 fd00::11 netns.json:21"},
		{"", "::ffff:10.244.1.7", "", "default via fe80::1 dev eth0 metric 1024 | eth0 fd00::11 netns.json:21"},
	} {
		r := f.Lookup(Query{Src: ip(tt.src), Dst: ip(tt.dst), IIf: tt.iif}, nil)
		require.Equal(t, tt.want, r.Text+" | "+r.Dev+" "+addrText(r.Src)+" "+r.Evidence, tt.dst)
		require.Nil(t, r.Doubt)
	}
}

func TestMultipathSharesByWeight(t *testing.T) {
	f, _ := New(node())
	shares := map[string]float64{}
	for c := netfilter.NewChoices(); c.Next(); {
		via := f.Lookup(Query{Src: ip("10.244.1.5"), Dst: ip("198.51.100.9"), IIf: "cni0"}, c).Via.String()
		shares[via] = c.Share()
	}
	require.Equal(t, map[string]float64{"192.0.2.2": 0.75, "192.0.2.3": 0.25}, shares)
}

func TestWhatASenderMayNot(t *testing.T) {
	f, _ := New(node())
	for _, tt := range []struct {
		name string
		q    Query
		rule string
	}{
		{"foreign source", Query{Src: ip("10.9.9.9"), Dst: ip("10.244.1.7")}, "10.9.9.9 is not an address of this namespace"},
		{"loopback source outside", Query{Src: ip("127.0.0.1"), Dst: ip("10.244.1.7")}, "127.0.0.1 may not leave by cni0 (route_localnet is off)"},
		{"no such device", Query{OIf: "gone", Dst: ip("10.244.1.7")}, "device gone does not exist"},
	} {
		r := f.Lookup(tt.q, nil)
		require.Equal(t, TypeNone, r.Type, tt.name)
		require.Equal(t, tt.rule, r.Rule, tt.name)
	}
	r := f.Lookup(Query{Src: ip("10.9.9.9"), Dst: ip("10.244.1.7"), AnySrc: true}, nil)
	require.Equal(t, "cni0", r.Dev)
}

func TestSectionsNotCollected(t *testing.T) {
	const whole = ""
	type sections = map[string]nodedump.Status
	for _, tt := range []struct {
		sections  sections
		want, six string
	}{
		{sections{"rules": "denied"}, "rules not collected (denied)", "rules not collected (denied)"},
		{sections{"routes": "truncated", "rules": "ok"}, "routes not collected (truncated)", "routes not collected (truncated)"},
		{sections{"routes6": "failed"}, whole, "routes6 not collected (failed)"},
		{sections{"rules6": "not-collected"}, whole, "rules6 not collected (not-collected)"},
		{sections{"routes": "failed", "routes6": "ok"}, "routes not collected (failed)", whole},
		{sections{"rules": "failed", "routes6": "denied"}, "rules not collected (failed)", "routes6 not collected (denied)"},
		{sections{"interfaces": "failed"}, "interfaces not collected (failed)", "interfaces not collected (failed)"},
		{sections{"neighbours": "failed", "routes6": "empty"}, whole, whole},
	} {
		info := node()
		info.Sections = tt.sections
		f, _ := New(info)
		for dst, want := range map[string]string{"10.244.1.7": tt.want, "2001:db8::1": tt.six} {
			got := ""
			if r := f.Lookup(Query{Dst: ip(dst)}, nil); r.Doubt != nil {
				got = r.Doubt.What
			}
			require.Equal(t, want, got, "%v %s", tt.sections, dst)
		}
	}
	info := node()
	info.Sections = sections{"rules": nodedump.StatusDenied}
	f, _ := New(info)
	require.Equal(t, "cni0", f.Lookup(Query{Dst: ip("10.244.1.7")}, nil).Dev, "what is known is still told")
}

func TestBadEntriesCostOneEntryEach(t *testing.T) {
	info := node()
	info.Routes = append(info.Routes, nodedump.Route{Family: 4, Table: TableMain, Dst: "10.0.0.0/99", Dev: "eth0", Line: 40},
		nodedump.Route{Family: 4, Table: TableMain, Dst: "10.7.0.0/16", Type: "odd", Dev: "eth0", Line: 41},
		nodedump.Route{Family: 4, Table: TableMain, Dst: "10.7.0.0/16", Line: 42})
	info.Rules = []nodedump.Rule{{Family: 4, Priority: 9, Action: "odd", Line: 43}, {Family: 4, Priority: 10, Table: TableMain, Line: 44}}
	f, errs := New(info)
	var all []string
	for _, err := range errs {
		all = append(all, err.Error())
	}
	require.Len(t, all, 4)
	require.Contains(t, all[0], "netns.json:43: rule 9: unknown action")
	require.Contains(t, all[1], "netns.json:40: route 10.0.0.0/99: ")
	require.Equal(t, "cni0", f.Lookup(Query{Dst: ip("10.244.1.7")}, nil).Dev)
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct{ src, dst, iif, sysctl, code string }{
		{"10.244.2.5", "10.244.1.7", "flannel.1", "", ""},
		{"192.0.2.11", "10.244.1.7", "flannel.1", "", codeMartian},
		{"192.0.2.11", "10.244.1.7", "flannel.1", "net.ipv4.conf.all.accept_local", ""},
		{"127.0.0.1", "10.244.1.7", "eth0", "", codeRouteLocalnet},
		{"203.0.113.1", "127.0.0.1", "eth0", "", codeRouteLocalnet},
		{"203.0.113.1", "127.0.0.1", "eth0", "net.ipv4.conf.eth0.route_localnet", ""},
		{"10.244.2.5", "10.244.1.7", "eth0", "net.ipv4.conf.eth0.rp_filter", codeRPFilter},
		{"224.0.0.1", "10.244.1.7", "eth0", "", codeMartian},
		{"fd00::5", "::1", "eth0", "", codeMartian},
		{"fd00::5", "fd00::11", "eth0", "", ""},
	} {
		info := node()
		if tt.sysctl != "" {
			info.Sysctls[tt.sysctl] = "1"
		}
		f, _ := New(info)
		got := ""
		if r := f.Validate(Query{Src: ip(tt.src), Dst: ip(tt.dst), IIf: tt.iif}); r != nil {
			got = r.Code
		}
		require.Equal(t, tt.code, got, "%+v", tt)
	}
}

func TestReversePath(t *testing.T) {
	f, _ := New(node())
	q := Query{Src: ip("10.244.2.5"), Dst: ip("10.244.1.7"), IIf: "flannel.1"}
	require.True(t, f.ReversePath(q, false, false))
	q.IIf = "eth0"
	require.False(t, f.ReversePath(q, false, false))
	require.True(t, f.ReversePath(q, true, false))
	q.Src = ip("192.0.2.11")
	require.False(t, f.ReversePath(q, true, false))
	require.True(t, f.ReversePath(q, true, true))
}

func TestAddresses(t *testing.T) {
	f, _ := New(node())
	require.Equal(t, netfilter.AddrLocal, f.AddrType(ip("10.244.1.1"), ""))
	require.Equal(t, netfilter.AddrUnicast, f.AddrType(ip("10.244.1.1"), "eth0"))
	require.Equal(t, netfilter.AddrBroadcast, f.AddrType(ip("10.244.1.255"), ""))
	require.Equal(t, netfilter.AddrMulticast, f.AddrType(ip("224.0.0.1"), ""))
	require.Equal(t, netfilter.AddrLocal, f.AddrType(ip("fd00::11"), "eth0"))
	require.Equal(t, netfilter.AddrUnicast, f.AddrType(ip("2001:db8::1"), ""))
	require.Equal(t, ip("192.0.2.11"), f.EgressAddr("eth0", ip("192.0.2.1")))
	require.Equal(t, ip("10.244.1.1"), f.InputAddr("cni0", false))
	require.Equal(t, ip("fd00::11"), f.InputAddr("eth0", true))
	require.False(t, f.InputAddr("cni0", true).IsValid())
	dev, ok := f.DeviceOwning(ip("10.244.1.0"))
	require.True(t, ok)
	require.Equal(t, "flannel.1", dev.Name)
}

func TestForwarding(t *testing.T) {
	f, _ := New(node())
	on, ev, known := f.Forwarding("eth0", false)
	require.True(t, on && known)
	require.Equal(t, "netns.json:77", ev)
	on, _, known = f.Forwarding("eth0", true)
	require.True(t, !on && known)
}

func TestRoutes(t *testing.T) {
	f, _ := New(node())
	got := f.Routes(0, netip.MustParsePrefix("10.244.2.0/24"))
	require.Len(t, got, 1)
	require.Equal(t, TableMain, got[0].Table)
	require.Equal(t, "netns.json:13", got[0].Evidence)
	require.Empty(t, f.Routes(TableLocal, netip.MustParsePrefix("10.244.2.0/24")))
}

// A VRF's devices use its table (l3mdev_fib_rule_match).
func TestVRF(t *testing.T) {
	info := node()
	vrf := up("blue", 9)
	vrf.Kind, vrf.VRFTable = "vrf", 10
	info.Interfaces[2].Master = 9
	info.Interfaces = append(info.Interfaces, vrf)
	info.Rules = []nodedump.Rule{{Family: 4, Table: TableLocal}, {Family: 4, Priority: 1000, L3MDev: true, Line: 50},
		{Family: 4, Priority: 32766, Table: TableMain}}
	info.Routes = append(info.Routes, nodedump.Route{Family: 4, Table: 10, Dst: "0.0.0.0/0", Via: "10.244.1.9", Dev: "cni0", Line: 51})
	f, errs := New(info)
	require.Empty(t, errs)
	r := f.Lookup(Query{Src: ip("10.244.1.5"), Dst: ip("203.0.113.1"), IIf: "cni0"}, nil)
	require.Equal(t, "cni0 10", r.Dev+" "+tableName(r.Table))
	require.Equal(t, "1000: from all lookup [l3mdev-table] (netns.json:50)", r.Rule)
	require.Equal(t, "cni0", f.Lookup(Query{Dst: ip("203.0.113.1"), OIf: "blue"}, nil).Dev)
	require.Equal(t, "eth0", f.Lookup(Query{Src: ip("203.0.113.9"), Dst: ip("203.0.113.1"), IIf: "eth0"}, nil).Dev)
}
