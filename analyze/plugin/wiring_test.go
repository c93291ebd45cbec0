package plugin_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// homes makes a node n1, whose address is 192.0.2.1, of devices "NAME ADDRESS" and
// routes "PREFIX DEV [VIA [METRIC]]", or "TYPE PREFIX".
func homes(t *testing.T, devices, routes string) plugin.Env {
	t.Helper()
	info := netns("host", nil)
	for _, line := range strings.Split(devices, ", ") {
		f := strings.Fields(line)
		d := nodedump.Interface{Name: f[0], Index: len(info.Interfaces) + 2, Flags: []string{"UP", "LOWER_UP"}}
		for _, a := range f[1:] {
			d.Addrs = append(d.Addrs, nodedump.Addr{Prefix: a, Scope: "global"})
		}
		info.Interfaces = append(info.Interfaces, d)
	}
	for _, line := range strings.Split(routes, ", ") {
		f := append(strings.Fields(line), "", "", "", "")
		r := nodedump.Route{Family: 4, Table: route.TableMain, Dst: f[0], Dev: f[1], Via: f[2]}
		if strings.Contains(f[0], ":") {
			r.Family = 6
		}
		if r.Metric, _ = strconv.Atoi(f[3]); f[0] == "blackhole" {
			r = nodedump.Route{Family: 4, Table: route.TableMain, Type: f[0], Dst: f[1]}
		}
		if f[0] != "" {
			info.Routes = append(info.Routes, r)
		}
	}
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("cluster/nodes.yaml", []byte(nodeList)))
	require.NoError(t, w.Add("cluster/pods.yaml", []byte(podList)))
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1", Netns: []string{"host"}}))
	require.NoError(t, w.AddNetNS("nodes/n1", info))
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, _ := k8s.NewIPCache(snap) // that there are no Services does not matter
	return plugin.Env{Snapshot: snap, IPCache: ips, Atlas: &world{snap, ips, map[topology.Place]*netstack.NetNS{}}}
}

func TestDeviceToward(t *testing.T) {
	const both = "ens3 192.0.2.1/24, bond0.7 198.51.100.1/24"
	for _, tt := range []struct{ name, devices, routes, given, ip, want string }{
		{"the network of the peer", both, "192.0.2.0/24 ens3, 198.51.100.0/24 bond0.7, 0.0.0.0/0 bond0.7 198.51.100.254", "", "192.0.2.2", "ens3"},
		{"the other network of the node", both, "192.0.2.0/24 ens3, 198.51.100.0/24 bond0.7, 0.0.0.0/0 ens3 192.0.2.254", "", "198.51.100.2", "bond0.7"},
		{"a route of its own to the peer's network", both, "203.0.113.0/24 bond0.7 198.51.100.254, 0.0.0.0/0 ens3 192.0.2.254", "", "203.0.113.2", "bond0.7"},
		{"the default route to a peer of another network", both, "192.0.2.0/24 ens3, 0.0.0.0/0 ens3 192.0.2.254", "", "203.0.113.2", "ens3"},
		{"of two default routes that with the lower metric", both, "0.0.0.0/0 ens3 192.0.2.254 200, 0.0.0.0/0 bond0.7 198.51.100.254 100", "", "203.0.113.2", "bond0.7"},
		{"two devices in one network: the route's", "ens3 192.0.2.1/24, ens4 192.0.2.9/24", "192.0.2.0/24 ens4", "", "192.0.2.2", "ens4"},
		{"the peer's network lost its route, and the default one leads elsewhere", both, "198.51.100.0/24 bond0.7, 0.0.0.0/0 bond0.7 198.51.100.254", "", "192.0.2.2", "ens3"},
		{"no route at all, the peer's network", both, "", "", "198.51.100.2", "bond0.7"},
		{"no route at all, another network: the node's address", both, "", "", "203.0.113.2", "ens3"},
		{"a route that refuses", both, "blackhole 203.0.113.0/24", "", "203.0.113.2", "ens3"},
		{"its own address", both, "192.0.2.0/24 ens3", "", "192.0.2.1", "ens3"},
		{"IPv6", "ens3 192.0.2.1/24, ens4 2001:db8::1/64", "2001:db8::/64 ens4", "", "2001:db8::2", "ens4"},
		{"IPv6 of a node that has none", both, "0.0.0.0/0 ens3 192.0.2.254", "", "2001:db8::2", ""},
		{"the one that was asked for", both, "192.0.2.0/24 ens3", "eth9", "192.0.2.2", "eth9"},
		{"no address", both, "192.0.2.0/24 ens3", "", "", ""},
	} {
		ip, _ := netip.ParseAddr(tt.ip)
		dev, ok := plugin.DeviceToward(homes(t, tt.devices, tt.routes), "n1", tt.given, ip)
		require.Equal(t, tt.want, dev, tt.name)
		require.Equal(t, tt.want != "", ok, tt.name)
	}
	_, ok := plugin.DeviceToward(homes(t, both, ""), "n2", "", netip.MustParseAddr("192.0.2.1"))
	require.False(t, ok, "a node that was not collected")
}
