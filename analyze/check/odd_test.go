package check_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

const (
	rules1 = "nodes/node1/netns/host/iptables-save.txt"
	rules2 = "nodes/node2/netns/host/iptables-save.txt"
	drop1  = "-A FORWARD -s 10.244.1.2/32 -j DROP\n"
)

// insert puts a line before the first that begins so.
func insert(part, before, text string) edit {
	return func(b *bundle) {
		require.Contains(b.t, string(b.parts[part]), "\n"+before)
		b.parts[part] = []byte(strings.Replace(string(b.parts[part]), "\n"+before, "\n"+text+before, 1))
	}
}

// nft gives node1 a table inet guard whose chain f, at the hook forward, has one rule.
func nft(rule string) edit { return nftOn("node1", rule) }

func nftOn(node, rule string) edit {
	return func(b *bundle) {
		const end = "\n]}"
		part := "nodes/" + node + "/netns/host/nft.json"
		text := string(b.parts[part])
		require.Contains(b.t, text, end)
		b.parts[part] = []byte(strings.Replace(text, end, `,
{"table": {"family": "inet", "name": "guard", "handle": 90}},
{"chain": {"family": "inet", "table": "guard", "name": "f", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}},
{"rule": {"family": "inet", "table": "guard", "chain": "f", "handle": 2, `+rule+`}}`+end, 1))
	}
}

// TestOddNode: of five nodes the odd one is told from the many, of two only what
// matters is worth a note.
func TestOddNode(t *testing.T) {
	for _, tt := range []struct {
		name     string
		edit     edit
		two, odd []string // of two nodes, and of five; level, code, node and message
	}{
		{"nothing", func(*bundle) {}, nil, nil},
		{"a sysctl that decides", sysctl("net.ipv4.conf.all.route_localnet", "1", "0"),
			[]string{"info odd/sysctl : nodes node1 and node2 have different sysctls: net.ipv4.conf.all.route_localnet is 0, not 1"},
			[]string{"warning odd/sysctl node1: node node1 has other sysctls than the other 4 nodes: net.ipv4.conf.all.route_localnet is 0, not 1"}},
		{"a sysctl that does not", sysctl("net.ipv4.ip_default_ttl", "64", "128"), nil,
			[]string{"info odd/sysctl node1: node node1 has other sysctls than the other 4 nodes: net.ipv4.ip_default_ttl is 128, not 64"}},
		{"a sysctl that only counts", sysctl("net.netfilter.nf_conntrack_count", "0", "7"), nil, nil},
		{"a sysctl of the uplink", sysctl("net.ipv4.conf.eth0.rp_filter", "0", "1"),
			[]string{"info odd/sysctl : nodes node1 and node2 have different sysctls: net.ipv4.conf.{uplink}.rp_filter is 1, not 0"},
			[]string{"warning odd/sysctl node1: node node1 has other sysctls than the other 4 nodes: net.ipv4.conf.{uplink}.rp_filter is 1, not 0"}},
		{"a module that is not loaded", drop(host1, `"net.bridge.`),
			[]string{"info odd/sysctl node2: node node2 has sysctls that node node1 has not: net.bridge.bridge-nf-call-arptables (1); net.bridge.bridge-nf-call-ip6tables (1); net.bridge.bridge-nf-call-iptables (1)"},
			[]string{"warning odd/sysctl node1: node node1 lacks sysctls that the other 4 nodes have: net.bridge.bridge-nf-call-arptables (1); net.bridge.bridge-nf-call-ip6tables (1); net.bridge.bridge-nf-call-iptables (1); and 3 more"}},
		{"a rule that drops", insert(rules1, "-A FORWARD", drop1),
			[]string{"info odd/rules node1: node node1 has rules that node node2 has not: filter -A FORWARD -s 10.244.1.2/32 -j DROP"},
			[]string{"warning odd/rules node1: node node1 has rules that the other 4 nodes have not: filter -A FORWARD -s 10.244.1.2/32 -j DROP"}},
		{"a rule that drops, and its like on the other node", func(b *bundle) {
			insert(rules1, "-A FORWARD", drop1)(b)
			insert(rules2, "-A FORWARD", strings.Replace(drop1, "10.244.1.2", "10.244.2.2", 1))(b)
		}, nil, nil},
		{"a rule that does not drop", insert(rules1, "-A FORWARD", "-A FORWARD -d 10.1.2.3/32 -j ACCEPT\n"), nil,
			[]string{"info odd/rules node1: node node1 has rules that the other 4 nodes have not: filter -A FORWARD -d 10.1.2.3/32 -j ACCEPT"}},
		{"rules that are gone", drop(rules1, "-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224"), nil,
			[]string{"info odd/rules node1: node node1 lacks rules that the other 4 nodes have: nat -A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224"}},
		{"a table of nftables that drops", nft(`"expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.244.1.2"}}, {"counter": {"packets": 7, "bytes": 420}}, {"drop": null}]`),
			[]string{"info odd/rules node1: node node1 has rules of nftables that node node2 has not: inet guard f: ip saddr 10.244.1.2 drop"},
			[]string{"warning odd/rules node1: node node1 has rules of nftables that the other 4 nodes have not: inet guard f: ip saddr 10.244.1.2 drop"}},
		{"a table of nftables that does not", nft(`"expr": [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "eth0"}}, {"accept": null}]`), nil,
			[]string{"info odd/rules node1: node node1 has rules of nftables that the other 4 nodes have not: inet guard f: iifname \"eth0\" accept"}},
		{"a policy rule", insert(host1, `{"family":4,"priority":32766`, `{"family":4,"priority":100,"from":"10.244.1.0/24","table":100},`+"\n"),
			[]string{"info odd/routes node1: node node1 has routes that node node2 has not: the policy rule 100 of IPv4: from {pods} table 100"},
			[]string{"warning odd/routes node1: node node1 has routes that the other 4 nodes have not: the policy rule 100 of IPv4: from {pods} table 100"}},
		{"a default route that is gone", drop(host1, `{"family":4,"table":254,"dst":"0.0.0.0/0"`),
			[]string{"info odd/routes node2: node node2 has routes that node node1 has not: the route 0.0.0.0/0 172.31.0.1 eth0"},
			[]string{"warning odd/routes node1: node node1 lacks routes that the other 4 nodes have: the route 0.0.0.0/0 172.31.0.1 eth0"}},
		{"another MTU", sub(host1, flannel1, strings.Replace(flannel1, "1450", "1400", 1)),
			[]string{"info odd/mtu : nodes node1 and node2 have different MTUs: the MTU of flannel.1 is 1400, not 1450"},
			[]string{"warning odd/mtu node1: node node1 has other MTUs than the other 4 nodes: the MTU of flannel.1 is 1400, not 1450"}},
		{"a module of the kernel that others have", func(b *bundle) {
			for name, text := range b.parts {
				if strings.HasSuffix(name, "/node.json") && strings.HasPrefix(name, "nodes/") {
					modules := `"br_netfilter", "floppy", "xt_recent"`
					if name == "nodes/node1/node.json" {
						modules = `"floppy_new"`
					}
					b.parts[name] = []byte(strings.Replace(string(text), `"kernel":`, `"modules": [`+modules+`], "kernel":`, 1))
				}
			}
		},
			[]string{"info odd/modules node2: node node2 has modules of the kernel that node node1 has not: br_netfilter"},
			[]string{"info odd/modules node1: node node1 lacks modules of the kernel that the other 4 nodes have: br_netfilter; xt_recent"}},
		{"another kernel", sub("nodes/node1/node.json", `"kernel": "6.18`, `"kernel": "5.4`),
			[]string{"info odd/software : nodes node1 and node2 have different versions: kernel is 5.4.44-fc-v669, not 6.18.44-fc-v669"},
			[]string{"info odd/software node1: node node1 has other versions than the other 4 nodes: kernel is 5.4.44-fc-v669, not 6.18.44-fc-v669"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.two, oddOnes(edited(t, tt.edit)))
			var like []edit
			for _, n := range []string{"3", "4", "5"} {
				like = append(like, clone("node"+n, n))
			}
			got := oddOnes(edited(t, append(like, tt.edit)...))
			require.Len(t, got, len(tt.odd), "%q", got)
			for i := range got {
				require.True(t, strings.HasPrefix(got[i], tt.odd[i]), got[i])
			}
		})
	}
}

// oddOnes is what is said of nodes that differ.
func oddOnes(b *bundle) (list []string) {
	for _, f := range b.run("").Findings {
		if f.Check == "odd-node" {
			list = append(list, fmt.Sprintf("%s %s %s: %s", f.Level, f.Code, f.Node, f.Message))
			require.NotEqual(b.t, model.SuspicionLevelFatal, f.Level)
			require.NotEmpty(b.t, f.Evidence)
		}
	}
	return list
}

// TestRulesThatAreNotKnown: a node whose rules of nftables were not read lacks
// none.
func TestRulesThatAreNotKnown(t *testing.T) {
	edits := []edit{clone("node3", "3"), clone("node4", "4"), lose("nodes/node1/netns/host/nft.json", nodedump.StatusToolMissing)}
	for _, n := range []string{"node2", "node3", "node4"} {
		edits = append(edits, nftOn(n, `"expr": [{"drop": null}]`))
	}
	require.Empty(t, oddOnes(edited(t, edits...)))
}

// TestMany: where the nodes fall into two halves nobody is odd.
func TestMany(t *testing.T) {
	half := []edit{sysctl("net.ipv4.conf.all.route_localnet", "1", "0"), clone("node3", "3"), clone("node4", "4"),
		sub("nodes/node3/netns/host/netns.json", `"net.ipv4.conf.all.route_localnet": "1"`, `"net.ipv4.conf.all.route_localnet": "0"`)}
	require.Empty(t, oddOnes(edited(t, half...)))
}
