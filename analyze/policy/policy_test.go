package policy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// world is two namespaces: demo (team=red) with client, web (ports http and
// dns), db and the hostNetwork pod agent; other (team=blue) with web.
const world = `
- {metadata: {namespace: demo, name: client, labels: {app: client}}, spec: {nodeName: n1}, status: {phase: Running, podIP: 10.244.1.2}}
- {metadata: {namespace: demo, name: web, labels: {app: web}}, spec: {nodeName: n1, initContainers: [{name: i, ports: [{name: side, containerPort: 9000}]}], containers: [{name: c, ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]}]}, status: {phase: Running, podIP: 10.244.1.3}}
- {metadata: {namespace: demo, name: db, labels: {app: db}}, spec: {nodeName: n2}, status: {phase: Running, podIP: 10.244.2.2}}
- {metadata: {namespace: demo, name: agent, labels: {app: client}}, spec: {nodeName: n2, hostNetwork: true}, status: {phase: Running, podIP: 192.168.0.2}}
- {metadata: {namespace: other, name: web, labels: {app: web}}, spec: {nodeName: n2}, status: {phase: Running, podIP: 10.244.2.3}}
- {metadata: {namespace: other, name: client, labels: {app: client}}, spec: {nodeName: n2}, status: {phase: Running, podIP: 10.244.2.4}}
`

func open(t testing.TB, pods, policies string) (*NetworkPolicy, *k8s.IPCache, []error) {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	for resource, items := range map[string]string{
		"pods":            pods,
		"networkpolicies": policies,
		"services":        "[]",
		"configmaps":      "[]",
		"namespaces": `
- {metadata: {name: demo, labels: {team: red}}}
- {metadata: {name: other, labels: {team: blue}}}
`,
		"nodes": `
- {metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}
- {metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}}
`,
	} {
		require.NoError(t, w.Add("cluster/"+resource+".yaml", []byte("items: "+items)))
	}
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, errs := k8s.NewIPCache(snap)
	require.Empty(t, errs)
	n, errs := New(snap, ips)
	return n, ips, errs
}

func compiled(t testing.TB, policies string) (*NetworkPolicy, *k8s.IPCache) {
	t.Helper()
	n, ips, errs := open(t, world, policies)
	require.Empty(t, errs)
	return n, ips
}

// ends parses "demo/client > demo/web:8080/tcp". An end without a slash is an
// address, or node:name.
func ends(t testing.TB, ips *k8s.IPCache, text string) (src, dst model.Endpoint, port uint16, protocol model.Protocol) {
	t.Helper()
	from, to, _ := strings.Cut(text, " > ")
	to, proto, _ := strings.Cut(to, "|")
	resolve := func(word string) model.Endpoint {
		if strings.Contains(word, "/") {
			word = "pod:" + word
		}
		got, err := ips.Resolve(word)
		require.NoError(t, err)
		return got.Endpoint
	}
	src, dst = resolve(from), resolve(to)
	port = dst.Port
	return src, dst, port, model.Protocol(proto)
}

const selectWeb = "podSelector: {matchLabels: {app: web}}"

func ingress(rules string) string {
	return "[{metadata: {namespace: demo, name: p}, spec: {" + selectWeb + ", ingress: " + rules + "}}]"
}

func egress(rules string) string {
	return "[{metadata: {namespace: demo, name: p}, spec: {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: " + rules + "}}]"
}

type row struct {
	why, policies, conversation string
	allowed                     bool
}

func check(t *testing.T, rows []row) {
	for _, tt := range rows {
		t.Run(tt.why, func(t *testing.T) {
			n, ips := compiled(t, tt.policies)
			src, dst, port, protocol := ends(t, ips, tt.conversation)
			v := n.Check(src, dst, port, protocol)
			require.Equal(t, tt.allowed, v.Allowed, "%s: %+v", tt.conversation, v)
			if !v.Allowed {
				require.NotEmpty(t, v.DeniedBy)
				require.True(t, v.Isolated)
			}
		})
	}
}

// Answers that other tools got wrong, each in a test of its own.

func TestPortIsTheDestinationsNotTheSources(t *testing.T) {
	check(t, []row{
		{"the port", ingress("[{ports: [{port: 80}]}]"), "demo/client > demo/web:80|tcp", true},
		{"another port", ingress("[{ports: [{port: 80}]}]"), "demo/client > demo/web:81|tcp", false},
	})
	n, ips := compiled(t, ingress("[{ports: [{port: 80}]}]"))
	src, dst, port, protocol := ends(t, ips, "demo/client > demo/web:80|tcp")
	src.Port = 40000
	require.True(t, n.Check(src, dst, port, protocol).Allowed)
	src.Port = 80
	require.False(t, n.Check(src, dst, 81, protocol).Allowed)
}

func TestEmptyRuleAllowsAll(t *testing.T) {
	check(t, []row{
		{"from a pod", ingress("[{}]"), "demo/client > demo/web:80|tcp", true},
		{"from another namespace", ingress("[{}]"), "other/web > demo/web:80|udp", true},
		{"from outside", ingress("[{}]"), "8.8.8.8 > demo/web:80|tcp", true},
		{"without ports", ingress("[{}]"), "8.8.8.8 > demo/web|icmp", true},
		{"egress", egress("[{}]"), "demo/client > 8.8.8.8:53|udp", true},
	})
}

func TestNamespaceSelectorAndPodSelectorMustBothMatch(t *testing.T) {
	both := ingress("[{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {app: client}}}]}]")
	either := ingress("[{from: [{namespaceSelector: {matchLabels: {team: blue}}}, {podSelector: {matchLabels: {app: client}}}]}]")
	check(t, []row{
		{"both", both, "other/client > demo/web:80|tcp", true},
		{"only the pod", both, "demo/client > demo/web:80|tcp", false},
		{"only the namespace", both, "other/web > demo/web:80|tcp", false},
		{"two peers, the pod", either, "demo/client > demo/web:80|tcp", true},
		{"two peers, the namespace", either, "other/web > demo/web:80|tcp", true},
		{"two peers, neither", either, "demo/db > demo/web:80|tcp", false},
	})
}

func TestPoliciesAreAUnion(t *testing.T) {
	const two = `
- {metadata: {namespace: demo, name: deny}, spec: {podSelector: {}, policyTypes: [Ingress]}}
- {metadata: {namespace: demo, name: allow}, spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}}
`
	n, ips := compiled(t, two)
	src, dst, port, protocol := ends(t, ips, "demo/client > demo/web:80|tcp")
	require.Equal(t, Verdict{Allowed: true, Isolated: true, AllowedBy: []string{"ingress demo/allow"}}, n.Check(src, dst, port, protocol))
	src, dst, port, protocol = ends(t, ips, "demo/db > demo/web:80|tcp")
	require.Equal(t, Verdict{Isolated: true, DeniedBy: []string{"ingress demo/deny", "ingress demo/allow"}}, n.Check(src, dst, port, protocol))
	src, dst, port, protocol = ends(t, ips, "demo/web > demo/db:80|tcp")
	require.Equal(t, Verdict{Isolated: true, DeniedBy: []string{"ingress demo/deny"}}, n.Check(src, dst, port, protocol))
	src, dst, port, protocol = ends(t, ips, "demo/web > other/web:80|tcp")
	require.Equal(t, Verdict{Allowed: true}, n.Check(src, dst, port, protocol))
}

func TestNamespaceIsFoundByItsOwnName(t *testing.T) {
	// A pod that is called like a namespace must not lend it its labels, and
	// the reverse.
	const pods = world + `
- {metadata: {namespace: other, name: demo, labels: {app: client}}, spec: {nodeName: n2}, status: {phase: Running, podIP: 10.244.2.9}}
`
	n, ips, errs := open(t, pods, ingress("[{from: [{namespaceSelector: {matchLabels: {team: red}}}]}]"))
	require.Empty(t, errs)
	for conversation, want := range map[string]bool{
		"other/demo > demo/web:80|tcp":  false,
		"demo/client > demo/web:80|tcp": true,
	} {
		src, dst, port, protocol := ends(t, ips, conversation)
		require.Equal(t, want, n.Check(src, dst, port, protocol).Allowed, conversation)
	}
}

func TestPeers(t *testing.T) {
	check(t, []row{
		{"no policy", "[]", "demo/client > demo/web:80|tcp", true},
		{"no rule", ingress("[]"), "demo/client > demo/web:80|tcp", false},
		{"absent rules", "[{metadata: {namespace: demo, name: p}, spec: {" + selectWeb + "}}]", "demo/client > demo/web:80|tcp", false},
		{"absent from", ingress("[{ports: [{port: 80}]}]"), "8.8.8.8 > demo/web:80|tcp", true},
		{"empty from", ingress("[{from: []}]"), "8.8.8.8 > demo/web:80|tcp", true},
		{"empty podSelector is the policy's namespace", ingress("[{from: [{podSelector: {}}]}]"), "demo/db > demo/web:80|tcp", true},
		{"empty podSelector is not another namespace", ingress("[{from: [{podSelector: {}}]}]"), "other/client > demo/web:80|tcp", false},
		{"empty podSelector is not outside", ingress("[{from: [{podSelector: {}}]}]"), "8.8.8.8 > demo/web:80|tcp", false},
		{"empty namespaceSelector is all namespaces", ingress("[{from: [{namespaceSelector: {}}]}]"), "other/client > demo/web:80|tcp", true},
		{"empty namespaceSelector is not outside", ingress("[{from: [{namespaceSelector: {}}]}]"), "8.8.8.8 > demo/web:80|tcp", false},
		{"namespace by the name that it is given as a label", ingress("[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}]}]"), "other/client > demo/web:80|tcp", true},
		{"expressions: In", ingress("[{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [client, x]}]}}]}]"), "demo/client > demo/web:80|tcp", true},
		{"expressions: NotIn", ingress("[{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [client]}]}}]}]"), "demo/client > demo/web:80|tcp", false},
		{"expressions: Exists", ingress("[{from: [{podSelector: {matchExpressions: [{key: app, operator: Exists}]}}]}]"), "demo/client > demo/web:80|tcp", true},
		{"expressions: DoesNotExist", ingress("[{from: [{podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}}]}]"), "demo/client > demo/web:80|tcp", false},
		{"a policy of another namespace selects nothing here", strings.ReplaceAll(ingress("[]"), "namespace: demo", "namespace: other"), "demo/client > demo/web:80|tcp", true},
		{"block", ingress("[{from: [{ipBlock: {cidr: 8.8.0.0/16}}]}]"), "8.8.8.8 > demo/web:80|tcp", true},
		{"block with host bits", ingress("[{from: [{ipBlock: {cidr: 8.8.1.2/16}}]}]"), "8.8.8.8 > demo/web:80|tcp", true},
		{"outside the block", ingress("[{from: [{ipBlock: {cidr: 8.8.0.0/16}}]}]"), "9.9.9.9 > demo/web:80|tcp", false},
		{"except", ingress("[{from: [{ipBlock: {cidr: 8.8.0.0/16, except: [8.8.8.0/24]}}]}]"), "8.8.8.8 > demo/web:80|tcp", false},
		{"beside except", ingress("[{from: [{ipBlock: {cidr: 8.8.0.0/16, except: [8.8.8.0/24]}}]}]"), "8.8.9.8 > demo/web:80|tcp", true},
		{"another block has what is excepted", ingress("[{from: [{ipBlock: {cidr: 8.8.0.0/16, except: [8.8.8.0/24]}}, {ipBlock: {cidr: 8.8.8.8/32}}]}]"), "8.8.8.8 > demo/web:80|tcp", true},
		{"a block holds pods", ingress("[{from: [{ipBlock: {cidr: 10.244.0.0/16}}]}]"), "demo/client > demo/web:80|tcp", true},
		{"a block of IPv4 does not hold IPv6", ingress("[{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]"), "fd00::1 > demo/web:80|tcp", false},
		{"egress to a pod", egress("[{to: [{podSelector: {matchLabels: {app: db}}}]}]"), "demo/client > demo/db:80|tcp", true},
		{"egress to another pod", egress("[{to: [{podSelector: {matchLabels: {app: db}}}]}]"), "demo/client > demo/web:80|tcp", false},
		{"egress to a block", egress("[{to: [{ipBlock: {cidr: 8.0.0.0/8}}]}]"), "demo/client > 8.8.8.8:53|udp", true},
		{"egress elsewhere", egress("[{to: [{ipBlock: {cidr: 8.0.0.0/8}}]}]"), "demo/client > 9.9.9.9:53|udp", false},
	})
}

func TestPorts(t *testing.T) {
	check(t, []row{
		{"TCP is the default", ingress("[{ports: [{port: 80}]}]"), "demo/client > demo/web:80|udp", false},
		{"UDP", ingress("[{ports: [{port: 80, protocol: UDP}]}]"), "demo/client > demo/web:80|udp", true},
		{"SCTP", ingress("[{ports: [{port: 80, protocol: SCTP}]}]"), "demo/client > demo/web:80|sctp", true},
		{"all ports of a protocol", ingress("[{ports: [{protocol: UDP}]}]"), "demo/client > demo/web:99|udp", true},
		{"all ports of another protocol", ingress("[{ports: [{protocol: UDP}]}]"), "demo/client > demo/web:99|tcp", false},
		{"empty ports are all", ingress("[{ports: []}]"), "demo/client > demo/web:99|sctp", true},
		{"first of a range", ingress("[{ports: [{port: 80, endPort: 90}]}]"), "demo/client > demo/web:80|tcp", true},
		{"last of a range", ingress("[{ports: [{port: 80, endPort: 90}]}]"), "demo/client > demo/web:90|tcp", true},
		{"behind a range", ingress("[{ports: [{port: 80, endPort: 90}]}]"), "demo/client > demo/web:91|tcp", false},
		{"name", ingress("[{ports: [{port: http}]}]"), "demo/client > demo/web:8080|tcp", true},
		{"name, other number", ingress("[{ports: [{port: http}]}]"), "demo/client > demo/web:80|tcp", false},
		{"name of a UDP port taken for TCP", ingress("[{ports: [{port: dns}]}]"), "demo/client > demo/web:53|tcp", false},
		{"name of a UDP port", ingress("[{ports: [{port: dns, protocol: UDP}]}]"), "demo/client > demo/web:53|udp", true},
		{"name of a sidecar's port", ingress("[{ports: [{port: side}]}]"), "demo/client > demo/web:9000|tcp", true},
		{"unknown name", ingress("[{ports: [{port: nope}]}]"), "demo/client > demo/web:80|tcp", false},
		{"egress: the name is the destination's", egress("[{ports: [{port: http}]}]"), "demo/client > demo/web:8080|tcp", true},
		{"egress: an address has no names", egress("[{ports: [{port: http}]}]"), "demo/client > 8.8.8.8:8080|tcp", false},
		{"ICMP has no ports", ingress("[{ports: [{port: 80}]}]"), "demo/client > demo/web|icmp", false},
		{"ICMP by a rule without ports", ingress("[{from: [{podSelector: {}}]}]"), "demo/client > demo/web|icmp", true},
	})
}

func TestPolicyTypes(t *testing.T) {
	all := func(spec string) string {
		return "[{metadata: {namespace: demo, name: p}, spec: {podSelector: {}, " + spec + "}}]"
	}
	check(t, []row{
		{"absent: ingress", all("egress: []"), "other/client > demo/web:80|tcp", false},
		{"absent with empty egress: not egress", all("egress: []"), "demo/client > other/web:80|tcp", true},
		{"absent with egress rules: egress", all("egress: [{to: [{podSelector: {}}]}]"), "demo/client > other/web:80|tcp", false},
		{"absent with egress rules: ingress, too", all("egress: [{}]"), "other/client > demo/web:80|tcp", false},
		{"Egress alone: not ingress", all("policyTypes: [Egress]"), "other/client > demo/web:80|tcp", true},
		{"Egress alone, no rule", all("policyTypes: [Egress]"), "demo/client > other/web:80|tcp", false},
		{"Ingress alone: egress rules do not count", all("policyTypes: [Ingress], egress: [{to: [{ipBlock: {cidr: 1.1.1.1/32}}]}]"), "demo/client > other/web:80|tcp", true},
		{"both must allow: ingress does not", all("policyTypes: [Ingress, Egress], egress: [{}]"), "demo/client > demo/web:80|tcp", false},
		{"both must allow: egress does not", all("policyTypes: [Ingress, Egress], ingress: [{}]"), "demo/client > demo/web:80|tcp", false},
		{"both allow", all("policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]"), "demo/client > demo/web:80|tcp", true},
	})
}

func TestNodes(t *testing.T) {
	deny := "[{metadata: {namespace: demo, name: p}, spec: {podSelector: {}, policyTypes: [Ingress, Egress]}}]"
	check(t, []row{
		{"a pod to itself", deny, "demo/web > demo/web:80|tcp", true},
		{"the pod's own node", deny, "node:n1 > demo/web:80|tcp", true},
		{"the pod's own node by address", deny, "192.168.0.1 > demo/web:80|tcp", true},
		{"a node to itself", deny, "node:n1 > node:n1:80|tcp", true},
		{"another node", deny, "node:n2 > demo/web:80|tcp", false},
		{"to the pod's own node", deny, "demo/web > node:n1|icmp", true},
		{"to another node", deny, "demo/web > node:n2|icmp", false},
		{"hostNetwork pod of the same node", deny, "demo/agent > demo/db:80|tcp", true},
		{"hostNetwork pod of another node", deny, "demo/agent > demo/web:80|tcp", false},
		{"hostNetwork pods are not isolated", deny, "8.8.8.8 > demo/agent:80|tcp", true},
		{"selectors do not see hostNetwork pods", ingress("[{from: [{podSelector: {matchLabels: {app: client}}}]}]"), "demo/agent > demo/web:80|tcp", false},
		{"blocks see the address of a hostNetwork pod's node", ingress("[{from: [{ipBlock: {cidr: 192.168.0.2/32}}]}]"), "demo/agent > demo/web:80|tcp", true},
	})
}

func TestBadPoliciesAreToldAndAllowNothing(t *testing.T) {
	n, ips, errs := open(t, world, `
- {metadata: {namespace: demo, name: block}, spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: nonsense}}]}]}}
- {metadata: {namespace: demo, name: peer}, spec: {podSelector: {}, ingress: [{from: [{}]}]}}
- {metadata: {namespace: demo, name: operator}, spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: Like}]}}]}]}}
`)
	require.Len(t, errs, 3)
	require.ErrorContains(t, errs[0], "networkpolicy demo/block: ")
	require.ErrorContains(t, errs[1], "networkpolicy demo/peer: a peer is empty")
	require.ErrorContains(t, errs[2], "networkpolicy demo/operator: ")
	src, dst, port, protocol := ends(t, ips, "demo/client > demo/web:80|tcp")
	require.False(t, n.Check(src, dst, port, protocol).Allowed)
}

func TestWithoutPolicies(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, _ := k8s.NewIPCache(snap)
	n, errs := New(snap, ips)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], snapshot.ErrNotCollected)
	v := n.Check(model.Endpoint{IP: netip.MustParseAddr("10.0.0.1")}, model.Endpoint{IP: netip.MustParseAddr("10.0.0.2")}, 80, model.TCP)
	require.Equal(t, Verdict{Unknown: []string{"cluster/networkpolicies.yaml: not-collected"}}, v)
}

func TestCompare(t *testing.T) {
	n, ips := compiled(t, `
- {metadata: {namespace: demo, name: quiet}, spec: {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress]}}
- {metadata: {namespace: demo, name: closed}, spec: {podSelector: {matchLabels: {app: web}}}}
- {metadata: {namespace: demo, name: db}, spec: {podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}]}]}}
`)
	compare := func(conversation string, r Reality) []model.Suspicion {
		src, dst, port, protocol := ends(t, ips, conversation)
		return n.Compare(src, dst, port, protocol, r)
	}
	const felix = "Calico's Felix"
	stopped := Reality{Agent: felix, Rule: "filter/cali-tw-x -j DROP", Evidence: "rules:7", Met: felix, On: model.Hop{Type: model.NetNodeTypeNode, ID: "n1"}}
	require.Equal(t, []model.Suspicion{
		{
			Level: model.SuspicionLevelFatal, Code: "policy/denied", On: stopped.On, Evidence: "rules:7",
			Message: "pod demo/client is isolated for egress by NetworkPolicy demo/quiet: no rule allows TCP 80 to pod demo/web",
			Remedy:  `If it is meant to pass, add to egress of NetworkPolicy demo/quiet: {to: [{podSelector: {matchLabels: {app: "web"}}}], ports: [{protocol: TCP, port: 80}]}`,
		},
		{
			Level: model.SuspicionLevelFatal, Code: "policy/denied", On: stopped.On, Evidence: "rules:7",
			Message: "pod demo/web is isolated for ingress by NetworkPolicy demo/closed: no rule allows TCP 80 from pod demo/client",
			Remedy:  `If it is meant to pass, add to ingress of NetworkPolicy demo/closed: {from: [{podSelector: {matchLabels: {app: "client"}}}], ports: [{protocol: TCP, port: 80}]}`,
		},
	}, compare(clientToWeb, stopped))

	for why, tt := range map[string]struct {
		conversation string
		reality      Reality
		want         string // level and code of each
	}{
		"denied, and it passes where nobody enforces policies":                      {"demo/db > demo/web:80|tcp", Reality{Passed: true}, "info policy/not-enforced"},
		"denied, and an agent's rules let it pass":                                  {"demo/db > demo/web:80|tcp", Reality{Passed: true, Met: felix}, "warning policy/not-enforced"},
		"denied, and stopped by something else":                                     {"demo/db > demo/web:80|tcp", Reality{}, "warning policy/denied"},
		"of two that deny, that of a source that only lent its address is not told": {"demo/client > demo/web:80|tcp", Reality{Agent: felix, Masked: true}, "fatal policy/denied"},
		"allowed, and it passes":                                                    {"demo/db > other/web:80|tcp", Reality{Passed: true, Met: felix}, ""},
		"allowed, and stopped by something else":                                    {"demo/db > other/web:80|tcp", Reality{}, ""},
		"allowed, and an agent stops it":                                            {"demo/web > demo/db:5432|tcp", stopped, "fatal policy/not-programmed"},
		"no policy, and an agent stops it":                                          {"demo/db > other/web:80|tcp", stopped, "fatal policy/not-programmed"},
		"its own node, and an agent stops it":                                       {"192.168.0.1 > demo/web:80|tcp", stopped, "fatal policy/denied"},
		"itself, and an agent asks policies all the same":                           {"demo/web > demo/web:80|tcp", stopped, "fatal policy/denied"},
		"itself, and it passes":                                                     {"demo/web > demo/web:80|tcp", Reality{Passed: true, Met: felix}, ""},
	} {
		got := ""
		for _, s := range compare(tt.conversation, tt.reality) {
			got += s.Level.String() + " " + s.Code
		}
		require.Equal(t, tt.want, got, why)
	}
}

func TestAgentOf(t *testing.T) {
	for where, want := range map[string]string{
		"filter/cali-tw-cali12":                  "Calico's Felix",
		"ip calico/filter-cali-fw-cali12":        "Calico's Felix",
		"filter/cali-from-wl-dispatch":           "Calico's Felix",
		"raw/cali-PREROUTING":                    "",
		"filter/KUBE-POD-FW-ABC":                 "kube-router",
		"filter/KUBE-NWPLCY-ABC":                 "kube-router",
		"filter/KUBE-FORWARD":                    "",
		"filter/WEAVE-NPC-EGRESS":                "Weave Net's policy controller",
		"inet kube-network-policies/postrouting": "kube-network-policies",
		"inet kindnet-network-policies/forward":  "kindnet",
		"filter/FORWARD":                         "",
		"filter/cali-FORWARD jump cali-tw-x":     "Calico's Felix",
		"":                                       "",
	} {
		require.Equal(t, want, AgentOf(where), where)
	}
}
