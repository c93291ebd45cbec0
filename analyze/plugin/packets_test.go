package plugin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

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
		plugin.CheckMasquerade(&got, ns, p, "cni0", model.Suspicion{Evidence: "rules", Remedy: "Write the rules."})
		require.Equal(t, want, got)
	}
}

func TestCheckForward(t *testing.T) {
	w, _ := open(t, []string{onLink, onBridge, toN2}, []string{podLink, podWay})
	q := route.Query{Src: netip.MustParseAddr("10.244.1.10"), Dst: netip.MustParseAddr("10.244.2.10"), IIf: "cni0"}
	for rules, want := range map[string]reported{
		":FORWARD ACCEPT [0:0]\n": nil,
		":FORWARD DROP [0:0]\n":   {"critical netfilter/drop"},
		":FORWARD DROP [0:0]\n-A FORWARD -s 10.244.0.0/16 -j ACCEPT\n":                                                                       nil,
		":FORWARD ACCEPT [0:0]\n-A FORWARD -s 10.244.0.0/16 -j DROP\n":                                                                       nil, // somebody's will
		":FORWARD ACCEPT [0:0]\nCOMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE\n": nil,
		":FORWARD ACCEPT [0:0]\nCOMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE\n":                    {"warning netfilter/masquerade-unwanted"},
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

func TestDisguised(t *testing.T) {
	w, _ := open(t, []string{onLink, onBridge, toN2}, []string{podLink, podWay})
	ns := altered(t, w, func(i *nodedump.NetNSInfo) {
		i.IPTables = nodedump.Part{File: "rules", Status: nodedump.StatusOK, Data: []byte("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE\nCOMMIT\n")}
		i.Neighbours = []nodedump.Neighbour{{IP: "192.0.2.2", Dev: "eth0", MAC: "02:00:00:00:00:02", State: "REACHABLE"}}
	})
	got := &suspicions{}
	plugin.CheckForward(got, ns, route.Query{Src: netip.MustParseAddr("10.244.1.10"), Dst: netip.MustParseAddr("10.244.2.10"), IIf: "cni0"}, "Write the rules.")
	require.Len(t, *got, 1)
	require.Equal(t, "rules:3", (*got)[0].Evidence)
	require.Contains(t, (*got)[0].Message, "leaves by eth0 as if 192.0.2.1 had sent it")
	require.Contains(t, (*got)[0].Message, "(-A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE)")
}
