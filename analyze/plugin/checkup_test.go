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

func TestCheckup(t *testing.T) {
	const drops = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"
	rule := func(i *nodedump.NetNSInfo) {
		i.Rules = []nodedump.Rule{{Family: 4, Table: 255}, {Family: 4, Priority: 9, IIf: "veth0", Table: 100}, {Family: 4, Priority: 32766, Table: 254}}
		i.Routes = append(i.Routes, nodedump.Route{Family: 4, Table: 100, Dst: "0.0.0.0/0", Via: "192.0.2.254", Dev: "eth0"})
	}
	for _, tt := range []struct {
		name string
		lane func(*plugin.Lane)
		node func(*nodedump.NetNSInfo)
		from string // the device of the node's pods
		want reported
	}{
		{"all is well", nil, nil, "cni0", nil},
		{"the lane is not", nil, func(i *nodedump.NetNSInfo) { i.FDB = nil }, "cni0", reported{"critical fdb/missing"}},
		{"a rule leads elsewhere", nil, rule, "veth0", reported{"critical route/diverted", "fatal sysctl/rp-filter"}},
		{"a rule of the network's own", func(l *plugin.Lane) { l.ByRule = true }, rule, "veth0", reported{"fatal sysctl/rp-filter"}},
		{"nothing is passed on", nil, func(i *nodedump.NetNSInfo) {
			i.IPTables = nodedump.Part{File: "rules", Status: nodedump.StatusOK, Data: []byte(drops)}
		}, "cni0", reported{"critical netfilter/drop", "critical netfilter/drop"}},
		{"no pod's device is up, so nothing is asked", nil, func(i *nodedump.NetNSInfo) {
			i.IPTables = nodedump.Part{File: "rules", Status: nodedump.StatusOK, Data: []byte(drops)}
		}, "gone0", nil},
		{"the way is not known, but from the pods there is none", func(l *plugin.Lane) { l.Dev = "" }, func(i *nodedump.NetNSInfo) {
			i.IPTables = nodedump.Part{File: "rules", Status: nodedump.StatusOK, Data: []byte(drops)}
		}, "cni0", reported{"critical netfilter/drop"}},
	} {
		w, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
		w.read[plugin.PlaceOf("n1")] = altered(t, w, func(i *nodedump.NetNSInfo) {
			tunnelled(i)
			i.Sysctls["net.ipv4.conf.all.rp_filter"] = "1"
			if tt.from == "veth0" {
				i.Interfaces[2].Master, i.Interfaces[2].Port = 0, nil
			}
			if tt.node != nil {
				tt.node(i)
			}
		})
		l := toTunnel()
		if tt.lane != nil {
			tt.lane(&l)
		}
		var got reported
		c := plugin.NewCheckup(plugin.NewBasis(env, env.PodCIDRs), &got, "n1", &fabric{}, "the agent")
		c.Sends(netip.MustParseAddr("10.244.1.10"), tt.from)
		c.CheckLane(l)
		require.Equal(t, tt.want, got, tt.name)
	}
}

// masquerader means that all is masqueraded, by rules of nftables or of iptables.
type masquerader struct {
	fabric
	means, nft bool
}

func (m *masquerader) Masquerades(model.Packet) bool { return m.means }
func (m *masquerader) NFTables() bool                { return m.nft }

func TestCheckupMasquerade(t *testing.T) {
	for _, tt := range []struct {
		name string
		of   masquerader
		want string // evidence, "" if there is nothing to say
	}{
		{"not meant", masquerader{}, ""},
		{"by iptables", masquerader{means: true}, "ipt"},
		{"by nftables", masquerader{means: true, nft: true}, "nft"},
	} {
		w, env := open(t, []string{onLink, onBridge, "0.0.0.0/0 eth0 192.0.2.254"}, []string{podLink, podWay})
		w.read[plugin.PlaceOf("n1")] = altered(t, w, func(i *nodedump.NetNSInfo) {
			i.IPTables, i.NFT = nodedump.Part{File: "ipt", Status: nodedump.StatusEmpty}, nodedump.Part{File: "nft", Status: nodedump.StatusEmpty}
			i.Interfaces[0].Addrs[0].Prefix, i.Routes[0].Dst = "198.51.100.1/24", "198.51.100.0/24" // the address that is asked about is in TEST-NET-1
			i.Routes[2].Via, i.Neighbours[0].IP = "198.51.100.254", "198.51.100.254"
		})
		got := &suspicions{}
		c := plugin.NewCheckup(plugin.NewBasis(env, env.PodCIDRs), got, "n1", &tt.of, "the agent")
		c.Sends(netip.MustParseAddr("10.244.1.10"), "cni0")
		c.CheckMasquerade()
		require.Equal(t, tt.want != "", len(*got) == 1, "%s: %v", tt.name, *got)
		if tt.want != "" {
			require.Equal(t, tt.want, (*got)[0].Evidence)
			require.Equal(t, "Restart the agent on the node, which writes the rules that masquerade.", (*got)[0].Remedy)
		}
	}
}
