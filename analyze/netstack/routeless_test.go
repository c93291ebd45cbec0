package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// bare makes a namespace of which only the rules are known.
func bare(rules string) *NetNS {
	info := &nodedump.NetNSInfo{Key: "host", File: "netns.json", Sections: map[string]nodedump.Status{}}
	for _, s := range []string{"interfaces", "routes", "rules", "neighbours", "fdb", "sockets", "sysctls"} {
		info.Sections[s] = nodedump.StatusNotCollected
	}
	info.IPTables, info.IP6Tables = part("iptables-save.txt", rules), part("ip6tables-save.txt", rules)
	ns, _ := New(info)
	return ns
}

// ends prints how each way ends, with the packet as it was then.
func ends(outcomes []Outcome) (list []string) {
	for _, o := range outcomes {
		list = append(list, o.Disposition.String()+" "+o.Packet.String())
	}
	return list
}

// Rules alone: what happens before routing is certain; then the packet is for
// this host, or goes through it.
func TestBareRules(t *testing.T) {
	const nat = "*nat\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n"
	const filter = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
	const p = "tcp 10.0.0.9:4 > 10.1.0.9:80"
	for _, tt := range []struct {
		rules, in, packet string
		want              []string
	}{
		{"", "eth0", p, []string{"unknown " + p, "delivered " + p, "forwarded " + p}},
		{"*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i eth0 -j DROP\nCOMMIT\n", "eth0", p, []string{"dropped " + p}},
		{filter + "-A INPUT -j DROP\nCOMMIT\n", "eth0", p, []string{"dropped " + p, "forwarded " + p}},
		{filter + "-A INPUT -j DROP\n-A FORWARD -o eth7 -j DROP\nCOMMIT\n", "eth0", p, []string{"dropped " + p, "dropped " + p, "forwarded " + p}},
		{filter + "-A INPUT -j DROP\n-A FORWARD ! -o eth7 -j DROP\nCOMMIT\n", "eth0", p, []string{"dropped " + p, "dropped " + p, "forwarded " + p}},
		{filter + "-A INPUT -m addrtype --dst-type LOCAL -j DROP\n-A INPUT -j DROP\n-A FORWARD -j DROP\nCOMMIT\n", "eth0", p, []string{"dropped " + p, "dropped " + p, "dropped " + p}},
		{filter + "-A INPUT -j DROP\nCOMMIT\n" + nat + "-A PREROUTING -p tcp -j DNAT --to-destination 10.2.0.2:8080\nCOMMIT\n", "eth0", p,
			[]string{"dropped tcp 10.0.0.9:4 > 10.2.0.2:8080", "forwarded tcp 10.0.0.9:4 > 10.2.0.2:8080"}},
		{filter + "-A INPUT -j DROP\nCOMMIT\n" + nat + "-A POSTROUTING -j MASQUERADE\nCOMMIT\n", "eth0", p, []string{"dropped " + p, "forwarded tcp > 10.1.0.9:80"}},
		{filter + "-A INPUT -j DROP\nCOMMIT\n", "", p, []string{"dropped " + p, "forwarded " + p}},
		{filter + "-A INPUT -j DROP\nCOMMIT\n", "", "tcp 127.0.0.1:4 > 127.0.0.1:80", []string{"dropped tcp 127.0.0.1:4 > 127.0.0.1:80"}},
		{filter + "-A OUTPUT -j DROP\nCOMMIT\n", "", "tcp - > 10.1.0.9:80", []string{"unknown tcp > 10.1.0.9:80"}},
		{nat + "-A OUTPUT -d 127.0.0.1/32 -p tcp -j DNAT --to-destination 10.2.0.2:8080\nCOMMIT\n" + filter + "-A INPUT -j DROP\nCOMMIT\n", "", "tcp 127.0.0.1:4 > 127.0.0.1:80",
			[]string{"dropped tcp 127.0.0.1:4 > 10.2.0.2:8080", "forwarded tcp 127.0.0.1:4 > 10.2.0.2:8080"}},
	} {
		ns := bare(tt.rules)
		var got []Outcome
		if tt.in == "" {
			got = ns.Output(pkt(tt.packet), "", Call{})
		} else {
			got = ns.Input(pkt(tt.packet), tt.in, Call{})
		}
		require.ElementsMatch(t, tt.want, ends(got), "%q", tt.rules)
		for _, o := range got {
			require.Empty(t, o.Dev)
			if o.Disposition != model.Dropped {
				require.NotEmpty(t, o.Doubts)
			}
		}
	}
}

// Addresses without routes tell what is for this host.
func TestAddressesWithoutRoutes(t *testing.T) {
	info := *world(t, router, "").Info
	info.Routes, info.Sections = nil, map[string]nodedump.Status{"routes": nodedump.StatusNotCollected}
	ns, _ := New(&info)
	require.Equal(t, []string{"delivered tcp 10.0.0.9:4 > 10.0.0.1:80"}, ends(ns.Input(pkt("tcp 10.0.0.9:4 > 10.0.0.1:80"), "eth0", everybody())))
	got := one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.1.0.9:80"), "eth0", everybody()))
	require.Equal(t, model.Forwarded, got.Disposition)
	require.Contains(t, got.Doubts[0].What, "no routes were given")
}
