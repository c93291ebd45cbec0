package netstack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
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

// withNFT makes a namespace of lines with tables of nftables.
func withNFT(t *testing.T, lines, rules, nft string) *NetNS {
	t.Helper()
	info := *world(t, lines, rules).Info
	info.NFT = part("n/netns/host/nft.json", `{"nftables": [`+nft+`]}`)
	ns, problems := New(&info)
	require.Empty(t, problems)
	return ns
}

const nftBase = `{"chain": {"family": "%s", "table": "t", "name": "%s", "type": "%s", "hook": "%s", "prio": %s, "policy": "%s"%s}}`

// chainOf is a base chain: "inet in filter input 0 drop", and more fields.
func chainOf(chain, more string) string {
	w := strings.Fields(chain)
	return fmt.Sprintf(nftBase, w[0], w[1], w[2], w[3], w[4], w[5], more)
}

func ruleOf(family, chain, exprs string) string {
	return fmt.Sprintf(`,{"rule": {"family": %q, "table": "t", "chain": %q, "expr": [%s]}}`, family, chain, exprs)
}

// Base chains of nftables see the packet among the tables of iptables.
func TestNFTHooks(t *testing.T) {
	const (
		mark    = `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 7}}`
		ifMark  = `{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 7}}, {"drop": null}`
		toEth1  = `{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}, {"dnat": {"family": "ip", "addr": "10.1.0.9", "port": 80}}`
		ifState = `{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "invalid"}}, {"drop": null}`
		accept  = `{"accept": null}`
	)
	const input = "tcp 10.0.0.9:4 > 10.0.0.1:80"
	iptMark := "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-xmark 0x7/0xffffffff\nCOMMIT\n"
	for _, tt := range []struct{ name, rules, nft, want string }{
		{"drop", "", chainOf("inet in filter input 0 drop", ""), "dropped netfilter/drop"},
		{"of the other family", "", chainOf("ip6 in filter input 0 drop", ""), "delivered answer=reply"},
		{"an accept ends one chain only", "", chainOf("inet a filter input 0 accept", "") + ruleOf("inet", "a", accept) + "," + chainOf("inet b filter input 10 drop", ""), "dropped netfilter/drop"},
		{"after mangle", iptMark, chainOf("ip late filter prerouting -149 accept", "") + ruleOf("ip", "late", ifMark), "dropped netfilter/drop"},
		{"before mangle", iptMark, chainOf("ip early filter prerouting -151 accept", "") + ruleOf("ip", "early", ifMark), "delivered answer=reply"},
		{"before conntrack", "", chainOf("ip raw filter prerouting -300 accept", "") + ruleOf("ip", "raw", ifState), "dropped netfilter/drop"},
		{"after conntrack", "", chainOf("ip raw filter prerouting -199 accept", "") + ruleOf("ip", "raw", ifState), "delivered answer=reply"},
		{"dnat", "", chainOf("ip nat nat prerouting -100 accept", "") + ruleOf("ip", "nat", toEth1), "forwarded eth1"},
		{"a nat chain at another priority is called with the others", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j REDIRECT --to-ports 81\nCOMMIT\n", chainOf("inet nat nat prerouting -110 accept", "") + ruleOf("inet", "nat", toEth1), "forwarded eth1"},
		{"and after them", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j REDIRECT --to-ports 80\nCOMMIT\n", chainOf("inet nat nat prerouting -90 accept", "") + ruleOf("inet", "nat", toEth1), "delivered answer=reply"},
		{"filter before nat", "", chainOf("ip nat nat prerouting -100 accept", "") + ruleOf("ip", "nat", toEth1) + "," + chainOf("ip pre filter prerouting -110 drop", ""), "dropped netfilter/drop"},
		{"reject", "", chainOf("inet in filter input 0 accept", "") + ruleOf("inet", "in", `{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}`), "rejected netfilter/reject answer=error(3,13)"},
		{"a mark of nft is seen by iptables", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m mark --mark 0x7 -j DROP\nCOMMIT\n", chainOf("ip m filter prerouting 0 accept", "") + ruleOf("ip", "m", mark), "dropped netfilter/drop"},
		{"ingress", "", chainOf("netdev in filter ingress 0 drop", `, "dev": "eth1"`), "delivered answer=reply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := withNFT(t, router, tt.rules, tt.nft)
			require.Equal(t, tt.want, ended(one(t, ns.Input(pkt(input), "eth0", everybody()))))
		})
	}
}

// Of two chains of one table the later is called first, at the same priority: the
// first here drops what the later one has marked. Of two tables nobody knows.
func TestOrderOfChains(t *testing.T) {
	const (
		mark   = `{"mangle": {"key": {"meta": {"key": "mark"}}, "value": 7}}`
		ifMark = `{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 7}}, {"drop": null}`
	)
	first := chainOf("inet a filter input 0 accept", "") + ruleOf("inet", "a", ifMark)
	later := chainOf("inet b filter input 0 accept", "") + ruleOf("inet", "b", mark)
	elsewhere := strings.ReplaceAll(later, `"table": "t"`, `"table": "u"`)
	for _, tt := range []struct {
		nft  string
		want []string
	}{
		{first + "," + later, []string{"dropped netfilter/drop"}},
		{later + "," + first, []string{"delivered answer=reply"}},
		{first + "," + elsewhere, []string{"dropped netfilter/drop", "delivered answer=reply"}},
	} {
		var got []string
		for _, o := range withNFT(t, router, "", tt.nft).Input(pkt("tcp 10.0.0.9:4 > 10.0.0.1:80"), "eth0", everybody()) {
			got = append(got, ended(o))
		}
		require.Equal(t, tt.want, got)
	}
}

// A packet is untracked at once, for the rest of raw.
func TestNotrackAtOnce(t *testing.T) {
	ns := world(t, router, "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j CT --notrack\n-A PREROUTING -m conntrack --ctstate UNTRACKED -j DROP\nCOMMIT\n")
	require.Equal(t, "dropped netfilter/drop", ended(one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.0.0.1:80"), "eth0", everybody()))))
}

// A chain of type route sends what it has marked by another route, one of type
// filter does not (nft_chain_route).
func TestNFTRoute(t *testing.T) {
	for typ, want := range map[string]string{"route": "forwarded eth1", "filter": "forwarded eth0"} {
		nft := chainOf("ip out "+typ+" output -150 accept", "") + ruleOf("ip", "out", `{"mangle": {"key": {"payload": {"protocol": "ip", "field": "daddr"}}, "value": "10.1.0.9"}}`)
		require.Equal(t, want, ended(one(t, withNFT(t, router, "", nft).Output(pkt("tcp - > 10.0.0.9:80"), "", everybody()))), typ)
	}
}

// Chains that see frames are not modelled: where they could act, the answer is
// unknown on one branch.
func TestNFTForeign(t *testing.T) {
	bridged := "dev br0 bridge 02:00:00:00:00:0a 10.0.0.1/24\ndev p0 veth 02:00:00:00:00:0b master=br0\ndev p1 veth 02:00:00:00:00:0c master=br0\nroute 10.0.0.0/24 br0\nlisten tcp 0.0.0.0:80\nsysctl net.bridge.bridge-nf-call-iptables 0\n"
	for _, tt := range []struct {
		name, lines, dev, nft string
		branches              int
	}{
		{"ingress of the device", router, "eth0", chainOf("netdev in filter ingress 0 drop", `, "dev": ["eth0", "eth1"]`), 2},
		{"ingress of another device", router, "eth0", chainOf("netdev in filter ingress 0 drop", `, "dev": "eth1"`), 1},
		{"a bridge", bridged, "p0", chainOf("bridge in filter input 0 drop", ""), 2},
		{"another hook of the bridge", bridged, "p0", chainOf("bridge fwd filter forward 0 drop", ""), 1},
		{"a chain that does nothing", bridged, "p0", chainOf("bridge in filter input 0 accept", ""), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := withNFT(t, tt.lines, "", tt.nft).Input(pkt("tcp 10.0.0.9:4 > 10.0.0.1:80"), tt.dev, everybody())
			require.Len(t, got, tt.branches)
			require.Equal(t, tt.branches == 2, got[0].Disposition == model.Unknown)
		})
	}
}

// Without iptables-save the tables of iptables are read from nft, if that shows
// all of them.
func TestNFTInstead(t *testing.T) {
	const chain = `{"chain": {"family": "ip", "table": "filter", "name": "INPUT", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}`
	const rule = `,{"rule": {"family": "ip", "table": "filter", "chain": "INPUT", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}, %s{"counter": {"packets": 0, "bytes": 0}}, {"drop": null}]}}`
	for _, tt := range []struct {
		name, more string
		unknown    bool
		want       []string
	}{
		{"iptables-save is there", "", false, []string{"delivered answer=reply"}},
		{"it is not", "", true, []string{"dropped netfilter/drop"}},
		{"it is not, and nft does not show all", `{"xt": {"type": "match", "name": "string"}}, `, true, []string{"unknown", "delivered answer=reply"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			info := *withNFT(t, router, "", chain+fmt.Sprintf(rule, tt.more)).Info
			if tt.unknown {
				info.IPTables = nodedump.Part{File: "f", Status: nodedump.StatusToolMissing}
			}
			ns, _ := New(&info)
			var got []string
			for _, o := range ns.Input(pkt("tcp 10.0.0.9:4 > 10.0.0.1:80"), "eth0", everybody()) {
				got = append(got, ended(o))
			}
			require.Equal(t, tt.want, got)
		})
	}
}

// What is cut off may have held anything.
func TestNFTCutOff(t *testing.T) {
	info := *world(t, router, "").Info
	info.NFT = part("nft.json", `{"nftables": [{"table": {"family": "inet", "na`)
	ns, problems := New(&info)
	require.Len(t, problems, 1)
	require.Equal(t, model.Unknown, ns.Input(pkt("tcp 10.0.0.9:4 > 10.0.0.1:80"), "eth0", everybody())[0].Disposition)
}
