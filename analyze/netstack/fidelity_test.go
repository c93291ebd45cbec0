package netstack

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestFidelity(t *testing.T) {
	ok := func(file, text string) nodedump.Part {
		return nodedump.Part{File: "d/" + file, Status: nodedump.StatusOK, Data: []byte(text)}
	}
	info := &nodedump.NetNSInfo{
		File: "d/netns.json", Key: "host",
		IPTables:  ok("iptables-save.txt", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m frob -j DROP\n-A INPUT -j ACCEPT\nCOMMIT\n"),
		IPSet:     ok("ipset-save.txt", "create a hash:ip family inet\nadd a 10.0.0.1\ncreate b hash:frob\n"),
		Conntrack: nodedump.Part{File: "d/conntrack.json", Status: nodedump.StatusDenied, Reason: "as nobody"},
		Interfaces: []nodedump.Interface{
			{Name: "lo", Index: 1, Kind: "loopback", Line: 2}, {Name: "odd0", Index: 2, Kind: "odd", Line: 3},
		},
		Routes:   []nodedump.Route{{Family: 4, Table: 254, Dst: "10.0.0.0/8", Dev: "lo", Line: 5}, {Family: 4, Table: 254, Dst: "frob", Dev: "lo", Line: 6}},
		Programs: []nodedump.Program{{Hook: "xdp", Dev: "odd0", Kind: "bpf", Name: "guard", Line: 8}},
		Sections: map[string]nodedump.Status{"sockets": nodedump.StatusTimedOut},
		Reasons:  map[string]string{"sockets": "slow"},
	}
	ns, _ := New(info)
	f := ns.Fidelity()
	got := map[string]Tally{}
	for _, tally := range f.Tallies {
		got[tally.What] = tally
	}
	for _, want := range []Tally{
		{"iptables", nodedump.StatusOK, "", 2, 1},
		{"iptables-legacy", nodedump.StatusNotCollected, "", 0, 0},
		{"ipset", nodedump.StatusOK, "", 3, 1},
		{"conntrack", nodedump.StatusDenied, "as nobody", 0, 0},
		{"interfaces", nodedump.StatusOK, "", 2, 1},
		{"routes", nodedump.StatusOK, "", 2, 1},
		{"neighbours", nodedump.StatusEmpty, "", 0, 0},
		{"sockets", nodedump.StatusTimedOut, "slow", 0, 0},
		{"programs", nodedump.StatusOK, "", 1, 0},
	} {
		require.Equal(t, want, got[want.What])
	}
	require.Len(t, f.NotUnderstood, 4)
	require.Contains(t, f.NotUnderstood, model.Doubt{What: "device odd0: kind odd is not modelled", Evidence: "d/netns.json:3"})

	unknowns := ns.Unknowns()
	for _, want := range []model.Doubt{
		{What: "the sockets of the namespace: timed-out (slow)", Evidence: "d/netns.json"},
		{What: "iptables-legacy-save.txt: not-collected: taken as empty"},
		{What: "conntrack.json: denied (as nobody): taken as empty", Evidence: "d/conntrack.json"},
	} {
		require.Contains(t, unknowns, want)
	}
	seen := map[model.Doubt]bool{}
	for _, d := range unknowns {
		require.False(t, seen[d], d)
		seen[d] = true
	}
}

func TestDoubtOf(t *testing.T) {
	for text, want := range map[string]model.Doubt{
		"d/netns.json:5: route: frob": {What: "not understood: route: frob", Evidence: "d/netns.json:5"},
		"nothing: at all":             {What: "not understood: nothing: at all"},
	} {
		require.Equal(t, want, DoubtOf(errors.New(text)))
	}
}

// TestModelled holds that a kind of device is called modelled where a packet
// that leaves by one does not end in the doubt about it.
func TestModelled(t *testing.T) {
	for _, kind := range []string{"", "loopback", "veth", "bridge", "vxlan", "bond", "team", "tun", "vrf", "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap",
		"ipip", "sit", "gre", "gretap", "ip6tnl", "ip6gre", "vti", "wireguard", "geneve", "dummy", "ifb", "nlmon", "xfrm", "odd"} {
		if kind == "loopback" {
			continue
		}
		ns, _ := New(&nodedump.NetNSInfo{File: "f", Interfaces: []nodedump.Interface{{Name: "d0", Index: 2, Kind: kind, MTU: 1500, Flags: []string{"UP", "NOARP"},
			Addrs: []nodedump.Addr{{Prefix: "10.0.0.1/24", Scope: "global"}}}},
			Routes: []nodedump.Route{{Family: 4, Table: 254, Dst: "10.0.0.0/24", Dev: "d0", Scope: "link"}}})
		p, err := model.ParsePacket("udp 10.0.0.1:1 > 10.0.0.9:9")
		require.NoError(t, err)
		strange := false
		for _, o := range ns.Output(p, "", ns.Alone()) {
			for _, d := range o.Doubts {
				strange = strange || d.What == "what "+kind+" device d0 does with a packet"
			}
		}
		if kind == "vrf" {
			continue // what comes in by its devices is followed, what is routed to itself is not
		}
		require.Equal(t, !strange, modelled(kind), kind)
	}
}
