package plugin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
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

func TestPodCIDR(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
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
