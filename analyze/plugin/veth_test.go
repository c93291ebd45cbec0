package plugin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestVethOf(t *testing.T) {
	w, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	pod, _ := w.ips.GetPodFromName("demo", "a")
	require.Equal(t, "veth0", plugin.VethOf(env, pod, "eth0", "cali").Peer)
	require.Equal(t, "cali44c7791d104", plugin.VethOf(env, pod, "eth9", "cali").Peer, "as Calico names it")
	require.Equal(t, "tap44c7791d104", plugin.VethOf(env, pod, "eth9", "tap").Peer)
	w.read[topology.Place{Base: "nodes/n1", Netns: nodedump.HostNetns}] = altered(t, w, func(i *nodedump.NetNSInfo) {
		i.Routes = append(i.Routes, nodedump.Route{Family: 4, Table: 254, Dst: "10.244.1.10/32", Dev: "veth0"})
	})
	require.Equal(t, "veth0", plugin.VethOf(env, pod, "eth9", "gke").Peer, "a name that no bundle tells the prefix of")
}

func TestVeth(t *testing.T) {
	const mac, other = "02:00:00:00:01:0a", "02:00:00:00:01:99"
	toPod := func(i *nodedump.NetNSInfo) {
		i.Routes = append(i.Routes, nodedump.Route{Family: 4, Table: 254, Dst: "10.244.1.10/32", Dev: "veth0"})
	}
	answers := func(i *nodedump.NetNSInfo) { i.Sysctls["net.ipv4.conf.veth0.proxy_arp"] = "1" }
	silent := func(i *nodedump.NetNSInfo) { i.Sysctls["net.ipv4.conf.veth0.proxy_arp"] = "0" }
	knows := func(mac string) func(*nodedump.NetNSInfo) {
		return func(i *nodedump.NetNSInfo) {
			i.Neighbours = append(i.Neighbours, nodedump.Neighbour{IP: "10.244.1.10", Dev: "veth0", MAC: mac, State: "STALE"})
		}
	}
	gateway := func(static bool) func(plugin.Veth, *assertions.NetstackAssertion) bool {
		return func(v plugin.Veth, a *assertions.NetstackAssertion) bool {
			return v.AssertGateway(a, netip.MustParseAddr("169.254.1.1"), static)
		}
	}
	for _, tt := range []struct {
		name   string
		node   func(*nodedump.NetNSInfo)
		entry  string // of the pod for its gateway
		assert func(plugin.Veth, *assertions.NetstackAssertion) bool
		want   reported
	}{
		{"both ends", toPod, "", plugin.Veth.AssertEnds, nil},
		{"the node's end is down", func(i *nodedump.NetNSInfo) { i.Interfaces[2].Flags = nil }, "", plugin.Veth.AssertEnds, reported{"critical link/down"}},
		{"the route", toPod, "", plugin.Veth.AssertRoutes, nil},
		{"no route", func(*nodedump.NetNSInfo) {}, "", plugin.Veth.AssertRoutes, reported{"critical route/missing"}},
		{"the node knows no address yet", toPod, "", plugin.Veth.AssertNeighbours, nil},
		{"the node knows the pod's address", knows("0a:00:00:00:00:0a"), "", plugin.Veth.AssertNeighbours, nil},
		{"the node knows another address", knows(other), "", plugin.Veth.AssertNeighbours, reported{"critical neigh/wrong"}},
		{"the pod is reached", toPod, "", plugin.Veth.Assert, nil},
		{"of a cable that is down no more is asked", func(i *nodedump.NetNSInfo) { i.Interfaces[2].Flags = nil }, "", plugin.Veth.Assert, reported{"critical link/down"}},
		{"neither route nor address is right", knows(other), "", plugin.Veth.Assert, reported{"critical route/missing", "critical neigh/wrong"}},
		{"the node answers", answers, "", gateway(false), nil},
		{"the node answers, and the pod has heard so", answers, mac, gateway(false), nil},
		{"the node answers, and the pod was told something else", answers, other, gateway(false), reported{"critical neigh/wrong"}},
		{"nobody answers", silent, mac, gateway(false), reported{"critical neigh/missing"}},
		{"the entry need not be where the node answers", answers, "", gateway(true), nil},
		{"the entry is there", silent, mac, gateway(true), nil},
		{"the entry is missing", silent, "", gateway(true), reported{"critical neigh/missing"}},
		{"the entry is wrong", silent, other, gateway(true), reported{"critical neigh/wrong"}},
	} {
		w, env := open(t, []string{onLink}, []string{podLink, podWay})
		pod, _ := w.ips.GetPodFromName("demo", "a")
		place := topology.Place{Base: "nodes/n1", Netns: "a"}
		info, err := w.snap.NetNS("n1", "a")
		require.NoError(t, err)
		if tt.entry != "" {
			info.Neighbours = append(info.Neighbours, nodedump.Neighbour{IP: "169.254.1.1", Dev: "eth0", MAC: tt.entry, State: "PERMANENT"})
		}
		w.read[place], _ = netstack.New(info)
		v := plugin.VethOf(env, pod, "eth0", "cali")
		var got reported
		a := assertions.NewNetstackAssertion(&got, altered(t, w, tt.node), model.SuspicionLevelCritical)
		require.Equal(t, tt.want == nil, tt.assert(v, a), tt.name)
		require.Equal(t, tt.want, got, tt.name)
		require.True(t, tt.assert(v, assertions.NewNetstackAssertion(&got, nil, model.SuspicionLevelCritical)), "%s: not collected", tt.name)
	}
}
