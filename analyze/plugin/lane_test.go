package plugin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// toTunnel is a lane to pods of n2 by a VXLAN device that altered nodes have.
func toTunnel() plugin.Lane {
	return plugin.Lane{Way: assertions.Way{Dst: netip.MustParseAddr("10.244.2.10"), To: netip.MustParsePrefix("10.244.2.0/24"), Dev: "vxlan9", Via: netip.MustParseAddr("10.244.2.0")},
		Tunnel: "the tunnel", MAC: "0a:00:00:00:00:02", Underlay: netip.MustParseAddr("192.0.2.2")}
}

// tunnelled gives a node the VXLAN device, the route, and what the device knows.
func tunnelled(i *nodedump.NetNSInfo) {
	i.Interfaces = append(i.Interfaces, nodedump.Interface{Name: "vxlan9", Kind: "vxlan", Index: 9, MTU: 1450, Flags: []string{"UP"}, VXLAN: &nodedump.VXLAN{ID: 9, Local: "192.0.2.1", Port: 4789, NoLearning: true}})
	i.Routes = append(i.Routes, nodedump.Route{Family: 4, Table: 254, Dst: "10.244.2.0/24", Via: "10.244.2.0", Dev: "vxlan9", Flags: []string{"onlink"}})
	i.Neighbours = append(i.Neighbours, nodedump.Neighbour{IP: "10.244.2.0", Dev: "vxlan9", MAC: "0a:00:00:00:00:02", State: "PERMANENT"})
	i.FDB = append(i.FDB, nodedump.FDBEntry{MAC: "0a:00:00:00:00:02", Dev: "vxlan9", Dst: "192.0.2.2", Flags: []string{"self"}})
}

func TestLane(t *testing.T) {
	plain := func(l *plugin.Lane) {
		l.Dev, l.Tunnel, l.MAC = "eth0", "", ""
		l.Via = netip.MustParseAddr("192.0.2.2")
	}
	for _, tt := range []struct {
		name string
		lane func(*plugin.Lane)
		node func(*nodedump.NetNSInfo)
		want reported
	}{
		{"as it should be", nil, nil, nil},
		{"the device is down", nil, func(i *nodedump.NetNSInfo) { i.Interfaces[len(i.Interfaces)-1].Flags = nil }, reported{"critical link/down"}},
		{"the device is gone", func(l *plugin.Lane) { l.Dev = "vxlan8" }, nil, reported{"critical link/missing"}},
		{"the route is gone", nil, func(i *nodedump.NetNSInfo) { i.Routes = i.Routes[:len(i.Routes)-1] }, reported{"critical route/missing"}},
		{"the neighbour is gone", nil, func(i *nodedump.NetNSInfo) { i.Neighbours = nil }, reported{"critical neigh/missing"}},
		{"the neighbour is another", func(l *plugin.Lane) { l.MAC = "0a:00:00:00:00:03" }, nil, reported{"critical neigh/wrong"}},
		{"the forwarding entry is gone", nil, func(i *nodedump.NetNSInfo) { i.FDB = nil }, reported{"critical fdb/missing"}},
		{"the forwarding entry leads elsewhere", func(l *plugin.Lane) { l.Underlay = netip.MustParseAddr("192.0.2.3") }, nil, reported{"critical fdb/wrong"}},
		{"where the far end is, is not known", func(l *plugin.Lane) { l.Underlay = netip.Addr{} }, func(i *nodedump.NetNSInfo) { i.FDB = nil }, nil},
		{"the far end is not known", func(l *plugin.Lane) { l.MAC = "" }, func(i *nodedump.NetNSInfo) { i.Neighbours, i.FDB = nil, nil }, nil},
		{"the way is not known", func(l *plugin.Lane) { l.Dev = "" }, func(i *nodedump.NetNSInfo) { i.Routes = nil }, nil},
		{"meant is no tunnel", plain, nil, reported{"critical route/diverted"}},
		{"by no tunnel", plain, func(i *nodedump.NetNSInfo) {
			i.Routes[len(i.Routes)-1] = nodedump.Route{Family: 4, Table: 254, Dst: "10.244.2.0/24", Via: "192.0.2.2", Dev: "eth0"}
		}, nil},
		{"the plugin knows why", func(l *plugin.Lane) {
			l.Why = func(a *assertions.NetstackAssertion) { a.Fail("bgp/not-established", "", "", "no session") }
		}, func(i *nodedump.NetNSInfo) { i.Routes = nil }, reported{"critical bgp/not-established", "critical route/missing"}},
		{"and is not asked in vain", func(l *plugin.Lane) {
			l.Why = func(a *assertions.NetstackAssertion) { a.Fail("bgp/not-established", "", "", "no session") }
		}, nil, nil},
	} {
		w, _ := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
		l := toTunnel()
		if tt.lane != nil {
			tt.lane(&l)
		}
		ns := altered(t, w, func(i *nodedump.NetNSInfo) {
			tunnelled(i)
			if tt.node != nil {
				tt.node(i)
			}
		})
		var got reported
		require.Equal(t, tt.want == nil, l.Assert(assertions.NewNetstackAssertion(&got, ns, model.SuspicionLevelCritical)), tt.name)
		require.Equal(t, tt.want, got, tt.name)
	}
}

func TestLaneOfIPv6(t *testing.T) {
	for _, tt := range []struct {
		dst, via  string // of the node's route
		linkLocal bool
		want      reported
	}{
		{"fd00:2::/64", "2001:db8::2", false, nil},
		{"fd00:2::/64", "fe80::2", false, reported{"critical route/diverted"}},
		{"fd00:2::/64", "fe80::2", true, nil},
		{"fd00:2::/64", "2001:db8::3", true, reported{"critical route/diverted"}},
		{"::/0", "fe80::2", true, reported{"critical route/missing"}},
	} {
		w, _ := open(t, []string{onLink}, []string{podLink, podWay})
		ns := altered(t, w, func(i *nodedump.NetNSInfo) {
			i.Routes = append(i.Routes, nodedump.Route{Family: 6, Table: 254, Dst: tt.dst, Via: tt.via, Dev: "eth0", Flags: []string{"onlink"}})
		})
		l := plugin.Lane{Way: assertions.Way{Dst: netip.MustParseAddr("fd00:2::9"), To: netip.MustParsePrefix("fd00:2::/64"), Dev: "eth0", Via: netip.MustParseAddr("2001:db8::2")}, LinkLocal: tt.linkLocal}
		var got reported
		l.Assert(assertions.NewNetstackAssertion(&got, ns, model.SuspicionLevelCritical))
		require.Equal(t, tt.want, got, "%+v", tt)
		require.True(t, l.Assert(assertions.NewNetstackAssertion(&got, nil, model.SuspicionLevelCritical)), "not collected")
	}
}

func TestNextHop(t *testing.T) {
	_, env := open(t, []string{onLink, "198.51.100.0/24 eth0 192.0.2.254"}, []string{podLink, podWay})
	for ip, want := range map[string]string{"192.0.2.2": "192.0.2.2", "198.51.100.7": "192.0.2.254", "203.0.113.1": "203.0.113.1"} {
		require.Equal(t, want, env.NextHop("n1", netip.MustParseAddr(ip)).String())
	}
	require.False(t, env.NextHop("n1", netip.Addr{}).IsValid())
	require.Equal(t, "198.51.100.7", env.NextHop("n2", netip.MustParseAddr("198.51.100.7")).String(), "not collected")
}
