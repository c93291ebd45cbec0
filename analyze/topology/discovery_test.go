package topology

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// ruled makes a namespace with one device, addresses of IPv6 and rules of a table.
func ruled(p Place, d nodedump.Interface, entry *nodedump.Neighbour, table, rules string) *netstack.NetNS {
	d.Flags = append(d.Flags, "MULTICAST")
	empty := nodedump.Part{Status: nodedump.StatusEmpty}
	info := &nodedump.NetNSInfo{Key: p.Netns, File: p.ID() + "/netns.json", Interfaces: []nodedump.Interface{d}, IPTables: empty, IPTablesLegacy: empty, IP6Tables: empty,
		IP6TablesLegacy: empty, NFT: empty, IPSet: empty, Conntrack: empty, IPVS: empty}
	info.Routes = []nodedump.Route{{Family: 6, Table: 254, Dst: "fd00::/64", Dev: d.Name}, {Family: 6, Table: 254, Dst: "fe80::/64", Dev: d.Name},
		{Family: 6, Table: 255, Type: "multicast", Dst: "ff00::/8", Dev: d.Name}, {Family: 6, Table: 255, Type: "local", Dst: "fd00::" + d.Name + "/128", Dev: d.Name},
		{Family: 6, Table: 255, Type: "local", Dst: "fe80::" + d.Name + "/128", Dev: d.Name}}
	if entry != nil {
		info.Neighbours = []nodedump.Neighbour{*entry}
	}
	if rules != "" {
		text := "*" + table + "\n" + strings.ReplaceAll(rules, "; ", "\n") + "\nCOMMIT\n"
		info.IP6Tables = nodedump.Part{Status: nodedump.StatusOK, File: "ip6tables-save.txt", Data: []byte(text)}
	}
	ns, _ := netstack.New(info)
	return ns
}

// Netfilter sees the questions and answers of NDP on all four of their ways
// (ndisc_send_skb, ip6_rcv). Each row was tried with two namespaces and a veth.
func TestNeighbourDiscovery(t *testing.T) {
	const question, answer = " -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j DROP", " -p ipv6-icmp -m icmp6 --icmpv6-type 136 -j DROP"
	learned := &nodedump.Neighbour{IP: "fd00::b", Dev: "a", MAC: "02:00:00:00:00:0b", State: "REACHABLE"}
	for name, tt := range map[string]struct {
		table, asker, owner string // rules
		entry               *nodedump.Neighbour
		packet              string // that waits, "" for one of nobody
		want                netfilter.Answer
	}{
		"no rules":                                 {want: netfilter.Yes},
		"the question does not leave":              {table: "filter", asker: ":OUTPUT ACCEPT [0:0]; -A OUTPUT" + question, want: netfilter.No},
		"the question does not come in":            {table: "filter", owner: ":INPUT ACCEPT [0:0]; -A INPUT" + question, want: netfilter.No},
		"nor past the table raw":                   {table: "raw", owner: ":PREROUTING ACCEPT [0:0]; -A PREROUTING" + question, want: netfilter.No},
		"the answer does not leave":                {table: "filter", owner: ":OUTPUT ACCEPT [0:0]; -A OUTPUT" + answer, want: netfilter.No},
		"the answer does not come in":              {table: "filter", asker: ":INPUT ACCEPT [0:0]; -A INPUT" + answer, want: netfilter.No},
		"a policy, and nothing for ICMPv6":         {table: "filter", owner: ":INPUT DROP [0:0]; -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; -A INPUT -p tcp -j ACCEPT", want: netfilter.No},
		"a policy, and ICMPv6 accepted":            {table: "filter", owner: ":INPUT DROP [0:0]; -A INPUT -p ipv6-icmp -j ACCEPT", want: netfilter.Yes},
		"who is known already need not be asked":   {table: "filter", owner: ":INPUT ACCEPT [0:0]; -A INPUT" + question, entry: learned, want: netfilter.Maybe},
		"the question has the packet's source":     {table: "filter", owner: ":INPUT ACCEPT [0:0]; -A INPUT -s fd00::a -j DROP", packet: "udp [fd00::a]:1 > [fd00::9]:2", want: netfilter.No},
		"of a packet that is passed on it has not": {table: "filter", owner: ":INPUT ACCEPT [0:0]; -A INPUT -s fd00::c -j DROP", packet: "udp [fd00::c]:1 > [fd00::9]:2", want: netfilter.Yes},
		"who was asked has learned who asked":      {table: "filter", owner: ":INPUT ACCEPT [0:0]; -A INPUT" + question, packet: "udp [fd00::a]:1 > [fd00::b]:2 reply", want: netfilter.Yes},
		"unless it was not":                        {table: "filter", asker: ":INPUT ACCEPT [0:0]; -A INPUT -p ipv6-icmp -j DROP", packet: "udp [fd00::a]:1 > [fd00::b]:2 reply", want: netfilter.No},
		"but the link's":                           {table: "filter", owner: ":INPUT ACCEPT [0:0]; -A INPUT -s fe80::a -j DROP", packet: "udp [fd00::c]:1 > [fd00::9]:2", want: netfilter.No},
	} {
		a, b := Place{"nodes/n1", "a"}, Place{"nodes/n1", "b"}
		book := &book{netns: map[Place]*netstack.NetNS{}, owners: map[string]Place{}, pods: map[string]Place{}, places: []Place{a, b}}
		end := func(name, peer string) nodedump.Interface {
			zero := 0
			d := dev(name, "veth", 2, "02:00:00:00:00:0"+name, "fd00::"+name+"/64", "fe80::"+name+"/64")
			d.Link, d.LinkNSID, d.PeerNetns = 2, &zero, peer
			return d
		}
		book.netns[a], book.netns[b] = ruled(a, end("a", "b"), tt.entry, tt.table, tt.asker), ruled(b, end("b", "a"), nil, tt.table, tt.owner)
		var p model.Packet
		if tt.packet != "" {
			var err error
			p, err = model.ParsePacket(tt.packet)
			require.NoError(t, err)
		}
		top := New(book)
		_, got := top.From(a).Resolve(book.NetNS(a), "a", netip.MustParseAddr("fd00::b"), p)
		require.Equal(t, tt.want, got, name)
		at, lost, ok := top.Silenced(End{a, "a"}, netip.MustParseAddr("fd00::b"), p)
		require.Equal(t, tt.want != netfilter.Yes, ok, name)
		if ok {
			require.Equal(t, "netfilter/drop", lost.Code, name)
			require.Equal(t, map[bool]Place{true: a, false: b}[tt.asker != ""], at, name)
		}
	}
}
