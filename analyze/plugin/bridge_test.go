package plugin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// altered is the namespace of node n1 after a change.
func altered(t *testing.T, w *world, change func(*nodedump.NetNSInfo)) *netstack.NetNS {
	t.Helper()
	info, err := w.snap.NetNS("n1", nodedump.HostNetns)
	require.NoError(t, err)
	change(info)
	ns, problems := netstack.New(info)
	require.Empty(t, problems)
	return ns
}

func TestAssertBridged(t *testing.T) {
	w, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	pod, _ := w.ips.GetPodFromName("demo", "a")
	for _, tt := range []struct {
		name, bridge string
		change       func(*nodedump.NetNSInfo)
		want         reported
	}{
		{"as it should be", "cni0", func(*nodedump.NetNSInfo) {}, nil},
		{"no such bridge", "br9", func(*nodedump.NetNSInfo) {}, reported{"critical link/missing"}},
		{"not a port", "cni0", func(i *nodedump.NetNSInfo) { i.Interfaces[2].Master = 0 }, reported{"critical bridge/no-master"}},
		{"no route", "cni0", func(i *nodedump.NetNSInfo) { i.Routes = i.Routes[:1] }, reported{"critical route/missing"}},
	} {
		var got reported
		a := assertions.NewNetstackAssertion(&got, altered(t, w, tt.change), model.SuspicionLevelCritical)
		plugin.AssertBridged(env, a, pod, "eth0", tt.bridge)
		require.Equal(t, tt.want, got, tt.name)
	}
}

func TestCheckHairpin(t *testing.T) {
	w, _ := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	var got reported
	plugin.CheckHairpin(&got, altered(t, w, func(*nodedump.NetNSInfo) {}), "cni0")
	require.Equal(t, reported{"warning bridge/hairpin"}, got)
	got = nil
	plugin.CheckHairpin(&got, altered(t, w, func(i *nodedump.NetNSInfo) { i.Interfaces[2].Port.Hairpin = true }), "cni0")
	require.Empty(t, got)
}

func TestMember(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	c := plugin.Count(env)
	four, six := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	require.Equal(t, "10.244.2.10", c.Member(&env, "n2", four).String())
	require.Equal(t, "10.244.3.1", c.Member(&env, "n3", four).String(), "no pod lives there")
	require.False(t, c.Member(&env, "n3", six).IsValid())
	require.False(t, c.Member(&env, "n9", four).IsValid())
	cidr, ok := env.PodCIDR("n2", netip.MustParseAddr("10.244.2.77"))
	require.True(t, ok)
	require.Equal(t, "10.244.2.0/24", cidr.String())
	_, ok = env.PodCIDR("n2", netip.MustParseAddr("10.244.3.77"))
	require.False(t, ok)
}

func TestCNIConfig(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1"}))
	for name, text := range map[string]string{"20-b.conf": "b", "10-a.conflist": "a", "00-old.bak": "c"} {
		require.NoError(t, w.Add("nodes/n1/files/etc/cni/net.d/"+name, []byte(text)))
	}
	snap, err := w.Snapshot()
	require.NoError(t, err)
	part, text := plugin.CNIConfig(plugin.Env{Snapshot: snap}, "n1")
	require.Equal(t, "nodes/n1/files/etc/cni/net.d/10-a.conflist", part)
	require.Equal(t, "a", string(text))
	part, _ = plugin.CNIConfig(plugin.Env{Snapshot: snap}, "n2")
	require.Empty(t, part)
}

func TestNodeCNIPlugin(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1"}))
	require.NoError(t, w.Add("nodes/n1/files/etc/cni/net.d/10-a.conflist", []byte(`{"plugins": [{"type": "a", "mtu": 1}]}`)))
	require.NoError(t, w.Add("cluster/configmaps.yaml", []byte("items:\n- {metadata: {name: other}, data: {conf: '{\"type\": \"b\"'}}\n"+
		"- {metadata: {name: agent}, data: {conf: '{\"type\": \"a\", \"mtu\": 2}', 10-b: '{\"type\": \"b\", \"mtu\": 3}'}}\n")))
	snap, err := w.Snapshot()
	require.NoError(t, err)
	for _, tt := range []struct {
		node, kind string
		want       int // 0 if there is none
	}{{"n1", "a", 1}, {"n2", "a", 2}, {"n1", "b", 3}, {"n1", "c", 0}} {
		got, ok := plugin.NodeCNIPlugin[struct{ MTU int }](plugin.Env{Snapshot: snap}, tt.node, tt.kind, "conf", "10-b")
		require.Equal(t, tt.want, got.MTU, tt)
		require.Equal(t, tt.want != 0, ok, tt)
	}
}

func TestCheckForward(t *testing.T) {
	w, _ := open(t, []string{onLink, onBridge, toN2}, []string{podLink, podWay})
	q := route.Query{Src: netip.MustParseAddr("10.244.1.10"), Dst: netip.MustParseAddr("10.244.2.10"), IIf: "cni0"}
	for rules, want := range map[string]reported{
		":FORWARD ACCEPT [0:0]\n": nil,
		":FORWARD DROP [0:0]\n":   {"critical netfilter/drop"},
		":FORWARD DROP [0:0]\n-A FORWARD -s 10.244.0.0/16 -j ACCEPT\n": nil,
		":FORWARD ACCEPT [0:0]\n-A FORWARD -s 10.244.0.0/16 -j DROP\n": nil, // somebody's will
	} {
		ns := altered(t, w, func(i *nodedump.NetNSInfo) {
			i.IPTables = nodedump.Part{File: "rules", Status: nodedump.StatusOK, Data: []byte("*filter\n" + rules + "COMMIT\n")}
			i.Neighbours = []nodedump.Neighbour{{IP: "192.0.2.2", Dev: "eth0", MAC: "02:00:00:00:00:02", State: "REACHABLE"}}
		})
		var got reported
		plugin.CheckForward(&got, ns, q, "Write the rules.")
		require.Equal(t, want, got, rules)
	}
}

func TestCheckPodMTU(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	pods := plugin.Count(env).Pods("n1")
	for limit, want := range map[int]reported{1500: nil, 1499: {"warning mtu/too-small"}} {
		var got reported
		plugin.CheckPodMTU(env, &got, pods, limit, "so it is")
		require.Equal(t, want, got)
	}
}
