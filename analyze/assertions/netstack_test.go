package assertions

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// report keeps what is reported.
type report []model.Suspicion

func (r *report) Report(s model.Suspicion) { *r = append(*r, s) }

// said is "code evidence" of the only suspicion, "" if there is none.
func (r report) said(t *testing.T) string {
	t.Helper()
	if len(r) == 0 {
		return ""
	}
	require.Len(t, r, 1)
	require.NotEmpty(t, r[0].Message)
	require.Equal(t, model.SuspicionLevelCritical, r[0].Level)
	return r[0].Code + " " + r[0].Evidence
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// node is a node with a bridge, a tunnel and routes of every kind.
func node(t *testing.T) *netstack.NetNS {
	t.Helper()
	dev := func(line int, name string, index int, addrs ...string) nodedump.Interface {
		d := nodedump.Interface{Name: name, Index: index, MTU: 1500, MAC: "02:00:00:00:00:01", Flags: []string{"UP"}, Line: line}
		for _, a := range addrs {
			d.Addrs = append(d.Addrs, nodedump.Addr{Prefix: a, Scope: "global"})
		}
		return d
	}
	port := func(d nodedump.Interface, state string) nodedump.Interface {
		d.Master, d.Port = 2, &nodedump.Port{State: state}
		return d
	}
	bridge, down := dev(2, "cni0", 2, "10.244.1.1/24"), dev(6, "off0", 6)
	bridge.Kind, down.Flags = "bridge", nil
	way := func(line int, dst, via, dev, kind string) nodedump.Route {
		return nodedump.Route{Family: 4, Table: route.TableMain, Dst: dst, Via: via, Dev: dev, Type: kind, Line: line}
	}
	elsewhere := way(15, "10.244.6.0/24", "192.0.2.9", "eth0", "")
	elsewhere.Table = 100
	ns, problems := netstack.New(&nodedump.NetNSInfo{
		Key: "host", File: "n/netns.json",
		Interfaces: []nodedump.Interface{dev(1, "eth0", 1, "192.0.2.1/24"), bridge, port(dev(3, "veth1", 3), "forwarding"),
			port(dev(4, "veth2", 4), "blocking"), dev(5, "flannel.1", 5), down},
		Routes: []nodedump.Route{
			way(9, "192.0.2.0/24", "", "eth0", ""),
			way(10, "10.244.2.0/24", "192.0.2.2", "eth0", ""),
			way(11, "10.244.3.0/24", "", "", "blackhole"), way(12, "10.244.4.0/24", "", "", "unreachable"),
			way(13, "10.244.5.0/24", "", "", "prohibit"), way(14, "10.244.6.0/24", "192.0.2.6", "eth0", ""), elsewhere,
			way(16, "10.248.0.0/16", "192.0.2.8", "eth0", ""),
		},
		Rules: []nodedump.Rule{{Family: 4, Table: route.TableLocal, Line: 20}, {Family: 4, Priority: 9, To: "10.244.6.0/24", Table: 100, Line: 21},
			{Family: 4, Priority: 32766, Table: route.TableMain, Line: 22}},
		Neighbours: []nodedump.Neighbour{{IP: "10.244.2.0", Dev: "flannel.1", MAC: "0a:00:00:00:00:02", State: "PERMANENT", Line: 30},
			{IP: "10.244.3.0", Dev: "flannel.1", State: "FAILED", Line: 31}},
		FDB:     []nodedump.FDBEntry{{MAC: "0a:00:00:00:00:02", Dev: "flannel.1", Dst: "192.0.2.2", Flags: []string{"self"}, Line: 32}},
		Sockets: []nodedump.Socket{{Protocol: "tcp", Local: "0.0.0.0:80", Line: 40}, {Protocol: "tcp", Local: "127.0.0.1:81", Line: 41}},
		Sysctls: map[string]string{"net.ipv4.ip_forward": "0"}, SysctlLines: map[string]int{"net.ipv4.ip_forward": 50},
	})
	require.Empty(t, problems)
	return ns
}

func routed(dst, to, dev, via string) func(*NetstackAssertion) bool {
	w := Way{Dst: ip(dst), To: netip.MustParsePrefix(to), Dev: dev}
	if via != "" {
		w.Via = ip(via)
	}
	return func(a *NetstackAssertion) bool { return a.AssertRoute(route.Query{}, w) }
}

func TestAssertions(t *testing.T) {
	listens := func(dst string) func(*NetstackAssertion) bool {
		p := model.Packet{Protocol: model.TCP, Src: netip.MustParseAddrPort("192.0.2.7:4000"), Dst: netip.MustParseAddrPort(dst)}
		return func(a *NetstackAssertion) bool { return a.AssertListen(p) }
	}
	device := func(name string) func(*NetstackAssertion) bool {
		return func(a *NetstackAssertion) bool { return a.AssertDevice(name, "the device") }
	}
	port := func(name, bridge string) func(*NetstackAssertion) bool {
		return func(a *NetstackAssertion) bool { return a.AssertBridgePort(name, bridge, "the port") }
	}
	main := func(dst string) func(*NetstackAssertion) bool {
		return func(a *NetstackAssertion) bool {
			_, ok := a.AssertMainTable(route.Query{Dst: ip(dst)})
			return ok
		}
	}
	neighbour := func(addr, mac string, must bool) func(*NetstackAssertion) bool {
		return func(a *NetstackAssertion) bool { return a.AssertNeighbour("flannel.1", ip(addr), mac, must) }
	}
	fdb := func(mac, vtep string) func(*NetstackAssertion) bool {
		return func(a *NetstackAssertion) bool { return a.AssertFDB("flannel.1", mac, ip(vtep)) }
	}
	mtu := func(name string, want int) func(*NetstackAssertion) bool {
		return func(a *NetstackAssertion) bool { return a.AssertMTU(name, "the device", want, "so it is") }
	}
	sysctl := func(name, want string) func(*NetstackAssertion) bool {
		return func(a *NetstackAssertion) bool {
			return a.AssertSysctl("sysctl/ip-forward", name, want, "no forwarding")
		}
	}
	for _, tt := range []struct {
		name   string
		assert func(*NetstackAssertion) bool
		want   string // "" holds
	}{
		{"device", device("eth0"), ""},
		{"device missing", device("gone"), "link/missing n/netns.json"},
		{"device down", device("off0"), "link/down n/netns.json:6"},
		{"port", port("veth1", "cni0"), ""},
		{"port missing", port("gone", "cni0"), "link/missing n/netns.json"},
		{"port of nothing", port("eth0", "cni0"), "bridge/no-master n/netns.json:1"},
		{"port of another", port("veth1", "br0"), "bridge/no-master n/netns.json:3"},
		{"port that blocks", port("veth2", "cni0"), "bridge/port-state n/netns.json:4"},
		{"route", routed("10.244.2.7", "10.244.2.0/24", "eth0", "192.0.2.2"), ""},
		{"route by any next hop", routed("10.244.2.7", "10.244.2.0/24", "eth0", ""), ""},
		{"route that a blackhole takes", routed("10.244.3.7", "10.244.3.0/24", "eth0", ""), "route/blackhole n/netns.json:11"},
		{"route that is unreachable", routed("10.244.4.7", "10.244.4.0/24", "eth0", ""), "route/unreachable n/netns.json:12"},
		{"route that is prohibited", routed("10.244.5.7", "10.244.5.0/24", "eth0", ""), "route/unreachable n/netns.json:13"},
		{"route that a rule hides", routed("10.244.6.7", "10.244.6.0/24", "eth0", "192.0.2.6"), "route/diverted n/netns.json:15"},
		{"route by another next hop", routed("10.244.2.7", "10.244.2.0/24", "eth0", "192.0.2.3"), "route/diverted n/netns.json:10"},
		{"no route", routed("10.250.0.7", "10.250.0.0/24", "eth0", ""), "route/missing n/netns.json"},
		{"only a wider route", routed("10.248.7.7", "10.248.7.0/24", "flannel.1", ""), "route/missing n/netns.json:16"},
		{"main table", main("10.244.2.7"), ""},
		{"main table, local", main("10.244.1.1"), ""},
		{"another table", main("10.244.6.7"), "route/diverted n/netns.json:15"},
		{"neighbour", neighbour("10.244.2.0", "0A:00:00:00:00:02", true), ""},
		{"neighbour need not be", neighbour("10.244.9.0", "0a:00:00:00:00:09", false), ""},
		{"neighbour missing", neighbour("10.244.9.0", "0a:00:00:00:00:09", true), "neigh/missing n/netns.json"},
		{"neighbour without address", neighbour("10.244.3.0", "0a:00:00:00:00:03", true), "neigh/missing n/netns.json"},
		{"neighbour wrong", neighbour("10.244.2.0", "0a:00:00:00:00:03", false), "neigh/wrong n/netns.json:30"},
		{"fdb", fdb("0a:00:00:00:00:02", "192.0.2.2"), ""},
		{"fdb of nobody", fdb("", "192.0.2.2"), ""},
		{"fdb missing", fdb("0a:00:00:00:00:03", "192.0.2.3"), "fdb/missing n/netns.json"},
		{"fdb wrong", fdb("0a:00:00:00:00:02", "192.0.2.3"), "fdb/wrong n/netns.json:32"},
		{"sysctl", sysctl("net.ipv4.ip_forward", "0"), ""},
		{"sysctl not collected", sysctl("net.ipv4.conf.all.rp_filter", "0"), ""},
		{"sysctl differs", sysctl("net.ipv4.ip_forward", "1"), "sysctl/ip-forward n/netns.json:50"},
		{"MTU", mtu("eth0", 1500), ""},
		{"MTU of nothing", mtu("gone", 1400), ""},
		{"MTU too small", mtu("eth0", 9000), "mtu/too-small n/netns.json:1"},
		{"MTU too large", mtu("eth0", 1400), "mtu/mismatch n/netns.json:1"},
		{"listener", listens("192.0.2.1:80"), ""},
		{"no listener", listens("192.0.2.1:82"), "socket/none n/netns.json"},
		{"listener on loopback", listens("192.0.2.1:81"), "socket/loopback-only n/netns.json:41"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got report
			require.Equal(t, tt.want == "", tt.assert(NewNetstackAssertion(&got, node(t), model.SuspicionLevelCritical)))
			require.Equal(t, tt.want, got.said(t))
			got = nil
			require.True(t, tt.assert(NewNetstackAssertion(&got, nil, model.SuspicionLevelCritical)), "not collected: no facts")
			require.Empty(t, got)
		})
	}
}

func TestIn(t *testing.T) {
	var got report
	other := model.Hop{Type: model.NetNodeTypePod, ID: "demo/a"}
	a := NewNetstackAssertion(&got, nil, model.SuspicionLevelCritical)
	require.False(t, a.In(node(t), other).AssertDevice("gone", "the device"))
	require.Equal(t, other, got[0].On)
	require.True(t, a.AssertDevice("gone", "the device"), "a itself is as it was")
}

// Where the bundle does not tell the routes, none is missing.
func TestDoubtIsNoSuspicion(t *testing.T) {
	ns := node(t)
	ns.Info.Sections = map[string]nodedump.Status{"routes": nodedump.StatusDenied}
	ns, _ = netstack.New(ns.Info)
	var got report
	require.True(t, routed("10.250.0.7", "10.250.0.0/24", "eth0", "")(NewNetstackAssertion(&got, ns, model.SuspicionLevelCritical)))
	require.Empty(t, got)
}
