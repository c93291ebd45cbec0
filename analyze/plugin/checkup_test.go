package plugin_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
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
	require.Equal(t, "10.0.0.2", plugin.PodIPv4(pod).String())
	pod.Status.PodIPs = pod.Status.PodIPs[2:]
	require.False(t, plugin.PodIPv4(pod).IsValid())
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

// How the device of a pod is joined to the node, by its kind, its other end and what is
// known of that.
func TestPodAttachment(t *testing.T) {
	elsewhere := 7
	for _, tt := range []struct{ name, kind, peer, want, dev string }{
		{"a veth", "veth", "host", "veth", "host veth0"},
		{"a veth to nowhere", "veth", "gone", "", ""},
		{"a veth out of the machine", "veth", "", plugin.Outward, "a eth0"},
		{"an ipvlan", "ipvlan", "host", "ipvlan", "host veth0"},
		{"a VLAN of what is not known", "vlan", "gone", "vlan", ""},
		{"hardware", "", "", plugin.Outward, "a eth0"},
	} {
		w, env := open(t, []string{onLink}, []string{podLink, podWay})
		info, err := w.snap.NetNS("n1", "a")
		require.NoError(t, err)
		dev := &info.Interfaces[slices.IndexFunc(info.Interfaces, func(d nodedump.Interface) bool { return d.Name == "eth0" })]
		if dev.Kind, dev.PeerNetns = tt.kind, tt.peer; tt.kind == "veth" && tt.peer == "" {
			dev.LinkNSID, dev.Link = &elsewhere, 99
		}
		w.read[topology.Place{Base: "nodes/n1", Netns: "a"}], _ = netstack.New(info)
		pod, _ := w.ips.GetPodFromName("demo", "a")
		kind, at := plugin.PodAttachment(env, pod, "eth0")
		require.Equal(t, tt.want, kind, tt.name)
		require.Equal(t, tt.dev, strings.TrimSpace(at.Place.Netns+" "+at.Dev), tt.name)
	}
	w, env := open(t, []string{onLink}, []string{podLink, podWay})
	unseen, _ := w.ips.GetPodFromName("demo", "unseen")
	kind, at := plugin.PodAttachment(env, unseen, "eth0")
	require.Empty(t, kind)
	require.Empty(t, at)
}

// town is a network whose pods are attached to the node's eth7, but for one.
type town struct{ plugin.Underlaid }

func (town) Attached(pod *corev1.Pod) (topology.End, bool) {
	return topology.End{Place: plugin.PlaceOf(pod.Spec.NodeName), Dev: "eth7"}, pod.Spec.NodeName == "n1"
}

func TestBy(t *testing.T) {
	_, env := open(t, []string{onLink}, []string{podLink, podWay})
	for _, tt := range []struct{ via, dst, want string }{
		{"", "192.0.2.2", "node:n2"},
		{"203.0.113.1", "192.0.2.2", "node:n2"}, // whom the router brings it to
		{"192.0.2.3", "192.0.2.2", "node:n3"},   // a router that the bundle shows
		{"203.0.113.1", "10.244.1.10", "node:n1"},
		{"203.0.113.1", "10.244.2.10", "node:n2"}, // where is not known exactly
		{"203.0.113.1", "198.51.100.7", "external:198.51.100.7"},
	} {
		via, _ := netip.ParseAddr(tt.via)
		ts := plugin.By(env, town{}, "eth1", via, netip.MustParseAddr(tt.dst))
		require.Len(t, ts, 1)
		require.Equal(t, "eth1", ts[0].Link.SourceAttribute.Interface)
		require.Equal(t, tt.want, ts[0].NextHop.String(), tt)
	}
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

func TestCheckTransit(t *testing.T) {
	w, env := open(t, []string{onLink, onBridge, toN2}, []string{podLink, podWay})
	for _, tt := range []struct {
		forwards, filter, dev string
		want                  reported
	}{
		{"1", "0", "cni0", nil},
		{"0", "0", "cni0", reported{"critical sysctl/ip-forward"}},
		{"1", "1", "cni0", reported{"fatal sysctl/rp-filter"}},
		{"0", "1", "cni0", reported{"critical sysctl/ip-forward"}}, // which the kernel looks at first
		{"0", "1", "gone0", nil},
	} {
		ns := altered(t, w, func(i *nodedump.NetNSInfo) {
			i.Sysctls = map[string]string{"net.ipv4.conf.cni0.forwarding": tt.forwards, "net.ipv4.conf.all.rp_filter": tt.filter}
		})
		var got reported
		plugin.CheckTransit(env, &got, ns, route.Query{Src: netip.MustParseAddr("10.244.2.10"), Dst: netip.MustParseAddr("10.244.1.10"), IIf: tt.dev})
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
