package plugin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestCensus(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	c := plugin.Count(env)
	require.Len(t, c.Nodes, 3)
	var names []string
	for _, p := range c.Pods("n1") {
		names = append(names, p.Name)
	}
	require.Equal(t, []string{"a", "unseen"}, names)
	require.Empty(t, c.Pods("n9"))
	names = nil
	for _, n := range c.Peers("n2") {
		names = append(names, n.Name)
	}
	require.Equal(t, []string{"n1", "n3"}, names)
}

func TestPodIPs(t *testing.T) {
	pod := &corev1.Pod{Status: corev1.PodStatus{PodIP: "10.0.0.1"}}
	require.Equal(t, []netip.Addr{netip.MustParseAddr("10.0.0.1")}, plugin.PodIPs(pod))
	pod.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.2"}, {IP: "none"}, {IP: "fd00::2"}}
	require.Equal(t, []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")}, plugin.PodIPs(pod))
}

func TestPodEnd(t *testing.T) {
	w, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	pod, _ := w.ips.GetPodFromName("demo", "a")
	dev, ok := plugin.PodEnd(env, pod, "eth0")
	require.True(t, ok)
	require.Equal(t, "veth0", dev)
	_, ok = plugin.PodEnd(env, pod, "eth9")
	require.False(t, ok)
	unseen, _ := w.ips.GetPodFromName("demo", "unseen")
	_, ok = plugin.PodEnd(env, unseen, "eth0")
	require.False(t, ok)
}

// reported are the codes that a check reports.
type reported []string

func (r *reported) Report(s model.Suspicion) { *r = append(*r, s.Level.String()+" "+s.Code) }

func TestCheckArrival(t *testing.T) {
	w, env := open(t, []string{onLink, onBridge, toN2}, []string{podLink, podWay})
	near, far := netip.MustParseAddr("10.244.1.10"), netip.MustParseAddr("10.244.2.10")
	for _, tt := range []struct {
		filter, dev string
		want        reported
	}{
		{"1", "eth0", nil}, // the way back is the way in
		{"1", "cni0", reported{"fatal sysctl/rp-filter"}},
		{"0", "cni0", nil},
		{"1", "gone0", nil},
	} {
		info, err := w.snap.NetNS("n1", nodedump.HostNetns)
		require.NoError(t, err)
		copied := *info
		copied.Sysctls = map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": tt.filter}
		ns, problems := netstack.New(&copied)
		require.Empty(t, problems)
		var got reported
		plugin.CheckArrival(env, &got, ns, route.Query{Src: far, Dst: near, IIf: tt.dev})
		require.Equal(t, tt.want, got, "%+v", tt)
	}
}

func TestCheckMasquerade(t *testing.T) {
	const masquerade = "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE\nCOMMIT\n"
	w, _ := open(t, []string{onLink, onBridge, "0.0.0.0/0 eth0 192.0.2.254"}, []string{podLink, podWay})
	for rules, want := range map[string]reported{masquerade: nil, "": {"critical netfilter/masquerade-missing"}} {
		info, err := w.snap.NetNS("n1", nodedump.HostNetns)
		require.NoError(t, err)
		copied := *info
		if rules != "" {
			copied.IPTables = nodedump.Part{File: "rules", Status: nodedump.StatusOK, Data: []byte(rules)}
		}
		copied.Neighbours = []nodedump.Neighbour{{IP: "192.0.2.254", Dev: "eth0", MAC: "02:00:00:00:00:fe", State: "REACHABLE"}}
		ns, problems := netstack.New(&copied)
		require.Empty(t, problems)
		var got reported
		p := plugin.Outside(netip.MustParseAddr("10.244.1.10"))
		p.Dst = netip.MustParseAddrPort("203.0.113.1:80") // the nodes of this world live in TEST-NET-1
		plugin.CheckMasquerade(&got, ns, p, "cni0", "Write the rules.")
		require.Equal(t, want, got)
	}
}
