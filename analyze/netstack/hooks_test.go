package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// both makes a router with rules of both backends of iptables.
func both(t *testing.T, nft, legacy string) *NetNS {
	t.Helper()
	info := *world(t, router, nft).Info
	info.IPTablesLegacy = part("n/netns/host/iptables-legacy-save.txt", legacy)
	ns, problems := New(&info)
	require.Empty(t, problems)
	return ns
}

// Of two hooks of one priority the kernel calls first what came later
// (nf_hook_entries_grow). That is open only where it matters.
func TestOrderOfOnePriority(t *testing.T) {
	const (
		fwd   = "*filter\n:FORWARD ACCEPT [0:0]\n"
		pre   = "*mangle\n:PREROUTING ACCEPT [0:0]\n"
		nat   = "*nat\n:PREROUTING ACCEPT [0:0]\n"
		end   = "\nCOMMIT\n"
		drop8 = fwd + "-A FORWARD -p tcp --dport 80 -j DROP" + end
	)
	for _, tt := range []struct {
		name, nft, legacy string
		want              []string
		doubts            int
	}{
		{"neither does anything", fwd + "-A FORWARD -p udp -j DROP" + end, fwd + "-A FORWARD -p icmp -j DROP" + end, []string{"forwarded eth1"}, 0},
		{"one drops", drop8, fwd + "-A FORWARD -p udp -j DROP" + end, []string{"dropped netfilter/drop"}, 0},
		{"the other drops", fwd + "-A FORWARD -j ACCEPT" + end, drop8, []string{"dropped netfilter/drop"}, 0},
		{"both drop", drop8, drop8, []string{"dropped netfilter/drop"}, 0},
		{"one drops, one rejects", drop8, fwd + "-A FORWARD -j REJECT" + end, []string{"dropped netfilter/drop", "rejected netfilter/reject answer=error(3,3)"}, 1},
		{"one marks what the other asks for", pre + "-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff" + end, pre + "-A PREROUTING -m mark --mark 0x1 -j DROP" + end, []string{"dropped netfilter/drop", "forwarded eth1"}, 1},
		{"both mark alike", pre + "-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff" + end, pre + "-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff" + end, []string{"forwarded eth1"}, 0},
		{"one translates", nat + "-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.7:80" + end, nat + "-A PREROUTING -p udp -j DNAT --to-destination 10.0.0.1:53" + end, []string{"forwarded eth1"}, 0},
		{"both translate", nat + "-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.7:80" + end, nat + "-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80" + end, []string{"forwarded eth1", "delivered answer=reply"}, 1},
		{"shares do not make a doubt", nat + "-A PREROUTING -p tcp -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.1.0.7:80" + end, nat + "-A PREROUTING -p udp -j DNAT --to-destination 10.0.0.1:53" + end, []string{"forwarded eth1", "forwarded eth1"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			outcomes := both(t, tt.nft, tt.legacy).Input(pkt("tcp 10.0.0.9:4 > 10.1.0.9:80"), "eth0", everybody())
			for _, o := range outcomes {
				got = append(got, ended(o))
				require.Len(t, o.Doubts, tt.doubts)
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// What is registered is in the order of its priority, conntrack among it.
func TestPipeline(t *testing.T) {
	rules := "*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*mangle\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"
	info := *both(t, rules, "*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n").Info
	info.NFT = part("n/netns/host/nft.json", `{"nftables": [
{"table": {"family": "inet", "name": "t", "handle": 1}},
{"chain": {"family": "inet", "table": "t", "name": "late", "handle": 1, "type": "filter", "hook": "prerouting", "prio": 10, "policy": "accept"}},
{"chain": {"family": "ip", "table": "t", "name": "early", "handle": 1, "type": "filter", "hook": "prerouting", "prio": -310, "policy": "accept"}},
{"chain": {"family": "ip6", "table": "t", "name": "six", "handle": 1, "type": "filter", "hook": "prerouting", "prio": -310, "policy": "accept"}},
{"chain": {"family": "ip", "table": "t", "name": "nat", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -50, "policy": "accept"}}
]}`)
	ns, problems := New(&info)
	require.Empty(t, problems)
	require.Equal(t, [][]string{{"chain ip t early"}, {"table raw of iptables-save.txt", "table raw of iptables-legacy-save.txt"}, {"conntrack"},
		{"table mangle of iptables-save.txt"}, {"nat"}, {"chain inet t late"}}, names(ns.hooks4[netfilter.Prerouting]))
	require.Equal(t, [][]string{{"table nat of iptables-save.txt"}, {"chain ip t nat"}}, names(natAt(ns, false, netfilter.Prerouting)))
	require.Equal(t, [][]string{{"chain ip6 t six"}, {"conntrack"}, {"nat"}, {"chain inet t late"}}, names(ns.hooks6[netfilter.Prerouting]))
}

func names(p pipeline) (all [][]string) {
	for _, group := range p {
		var one []string
		for _, s := range group {
			one = append(one, s.name)
		}
		all = append(all, one)
	}
	return all
}
