package policy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot"
)

// The parts of the bundle that hold Calico's objects.
const (
	partCalico = "networkpolicies.crd.projectcalico.org"
	partGlobal = "globalnetworkpolicies.crd.projectcalico.org"
	partTiers  = "tiers.crd.projectcalico.org"
	partHosts  = "hostendpoints.crd.projectcalico.org"
	partSets   = "networksets.crd.projectcalico.org"
	partGSets  = "globalnetworksets.crd.projectcalico.org"
	partFelix  = "felixconfigurations.crd.projectcalico.org"
)

// calicoNP is a NetworkPolicy of Calico for the pods web of namespace demo.
func calicoNP(name, spec string) string {
	return "\n- {apiVersion: crd.projectcalico.org/v1, kind: NetworkPolicy, metadata: {namespace: demo, name: " + name + "}, spec: {selector: \"app == 'web'\", " + spec + "}}"
}

// gnp is a GlobalNetworkPolicy; its selector is in spec.
func gnp(name, spec string) string {
	return "\n- {apiVersion: crd.projectcalico.org/v1, kind: GlobalNetworkPolicy, metadata: {name: " + name + "}, spec: {" + spec + "}}"
}

func tier(name, spec string) string {
	return "\n- {apiVersion: crd.projectcalico.org/v1, kind: Tier, metadata: {name: " + name + "}, spec: {" + spec + "}}"
}

// rule allows on ingress what is asked for.
func rule(asks string) parts {
	return parts{partCalico: calicoNP("p", "types: [Ingress], ingress: [{action: Allow, "+asks+"}]")}
}

// with adds parts.
func (p parts) with(more parts) parts {
	out := parts{}
	for _, from := range []parts{p, more} {
		for k, v := range from {
			out[k] = v
		}
	}
	return out
}

const (
	toWeb     = "demo/client > demo/web:8080|tcp"
	byRule    = "allowed ingress CalicoNetworkPolicy demo/p"
	notByRule = "denied ingress CalicoNetworkPolicy demo/p"
)

// checkCalico compares verdicts: the outcome, and who allows or denies unless it
// is not known.
func checkCalico(t *testing.T, rows []adminRow) {
	for _, tt := range rows {
		t.Run(tt.why, func(t *testing.T) {
			v := tt.verdict(t)
			got := string(v.Outcome())
			switch {
			case v.Allowed:
				got += " " + strings.Join(v.AllowedBy, ", ")
			case len(v.Unknown) == 0:
				got += " " + strings.Join(v.DeniedBy, ", ")
			}
			require.Equal(t, tt.want, strings.TrimSpace(got), "%+v", v)
		})
	}
}

// ruleRows has a row that holds and one that does not for each field of a rule.
func ruleRows() []adminRow {
	return []adminRow{
		{"nothing asked", rule("protocol: TCP"), toWeb, byRule},
		{"protocol by name", rule("protocol: UDP"), toWeb, notByRule},
		{"protocol by number", rule("protocol: 6"), toWeb, byRule},
		{"protocol by another number", rule("protocol: 17"), toWeb, notByRule},
		{"protocol of ping", rule("protocol: ICMP"), "demo/client > demo/web|icmp", byRule},
		{"notProtocol of another", rule("notProtocol: UDP"), toWeb, byRule},
		{"notProtocol of this", rule("notProtocol: TCP"), toWeb, notByRule},
		{"icmp of an echo request", rule("protocol: ICMP, icmp: {type: 8}"), "demo/client > demo/web|icmp", byRule},
		{"icmp with its code", rule("protocol: ICMP, icmp: {type: 8, code: 0}"), "demo/client > demo/web|icmp", byRule},
		{"icmp of another code", rule("protocol: ICMP, icmp: {type: 8, code: 1}"), "demo/client > demo/web|icmp", notByRule},
		{"icmp of another type", rule("protocol: ICMP, icmp: {type: 3}"), "demo/client > demo/web|icmp", notByRule},
		{"notICMP of an echo request", rule("protocol: ICMP, notICMP: {type: 8}"), "demo/client > demo/web|icmp", notByRule},
		{"notICMP of another type", rule("protocol: ICMP, notICMP: {type: 3}"), "demo/client > demo/web|icmp", byRule},
		{"notICMP without a protocol", rule("notICMP: {type: 8}"), "demo/client > demo/web|icmp", notByRule},
		{"notICMP says nothing of TCP", rule("notICMP: {type: 8}"), toWeb, byRule},
		{"ipVersion of these", rule("ipVersion: 4"), toWeb, byRule},
		{"ipVersion of others", rule("ipVersion: 6"), toWeb, notByRule},
		{"ports by number", rule("protocol: TCP, destination: {ports: [80, 8080]}"), toWeb, byRule},
		{"ports by another number", rule("protocol: TCP, destination: {ports: [80]}"), toWeb, notByRule},
		{"ports by a range", rule("protocol: TCP, destination: {ports: [\"8000:8090\"]}"), toWeb, byRule},
		{"ports beside a range", rule("protocol: TCP, destination: {ports: [\"1:5\"]}"), toWeb, notByRule},
		{"ports by name", rule("protocol: TCP, destination: {ports: [http]}"), toWeb, byRule},
		{"ports by a name of another protocol", rule("protocol: TCP, destination: {ports: [dns]}"), "demo/client > demo/web:53|tcp", notByRule},
		{"ports by a number that is a string", rule("protocol: TCP, destination: {ports: [\"8080\"]}"), toWeb, byRule},
		{"notPorts of others", rule("protocol: TCP, destination: {notPorts: [80]}"), toWeb, byRule},
		{"notPorts of this", rule("protocol: TCP, destination: {notPorts: [http]}"), toWeb, notByRule},
		{"ports and notPorts", rule("protocol: TCP, destination: {ports: [\"1:9000\"], notPorts: [8080]}"), toWeb, notByRule},
		{"nets with the source", rule("source: {nets: [10.244.1.0/24]}"), toWeb, byRule},
		{"nets with an address", rule("source: {nets: [10.244.1.2]}"), toWeb, byRule},
		{"nets without it", rule("source: {nets: [10.244.2.0/24]}"), toWeb, notByRule},
		{"notNets with it", rule("source: {notNets: [10.244.1.0/24]}"), toWeb, notByRule},
		{"notNets without it", rule("source: {notNets: [10.244.2.0/24]}"), toWeb, byRule},
		{"notNets of the other version of IP are no rule for this one", rule("source: {notNets: [\"fd00::/8\"]}"), toWeb, notByRule},
		{"nets and notNets", rule("source: {nets: [10.244.0.0/16], notNets: [10.244.1.2/32]}"), toWeb, notByRule},
		{"nets of the destination", rule("destination: {nets: [10.244.1.3/32]}"), toWeb, byRule},
		{"selector of the policy's namespace", rule("source: {selector: app == 'client'}"), toWeb, byRule},
		{"selector is of no other namespace", rule("source: {selector: app == 'client'}"), "other/client > demo/web:8080|tcp", notByRule},
		{"selector that does not match", rule("source: {selector: app == 'db'}"), toWeb, notByRule},
		{"selector matches no address outside", rule("source: {selector: all()}"), "8.8.8.8 > demo/web:8080|tcp", notByRule},
		{"selector by a label that Calico gives", rule("source: {selector: projectcalico.org/orchestrator == 'k8s'}"), toWeb, byRule},
		{"notSelector of a pod", rule("source: {notSelector: app == 'client'}"), toWeb, notByRule},
		{"notSelector of other pods", rule("source: {notSelector: app == 'db'}"), toWeb, byRule},
		{"notSelector of a policy of a namespace is of its pods", rule("source: {notSelector: app == 'db'}"), "8.8.8.8 > demo/web:8080|tcp", notByRule},
		{"namespaceSelector by label", rule("source: {namespaceSelector: team == 'blue'}"), "other/client > demo/web:8080|tcp", byRule},
		{"namespaceSelector by name", rule("source: {namespaceSelector: projectcalico.org/name == 'other'}"), "other/client > demo/web:8080|tcp", byRule},
		{"namespaceSelector of others", rule("source: {namespaceSelector: team == 'blue'}"), toWeb, notByRule},
		{"namespaceSelector all() is pods", rule("source: {namespaceSelector: all()}"), "8.8.8.8 > demo/web:8080|tcp", notByRule},
		{"namespaceSelector global() is no pod", rule("source: {namespaceSelector: global()}"), toWeb, notByRule},
		{"namespaceSelector and selector", rule("source: {namespaceSelector: all(), selector: app == 'db'}"), "other/client > demo/web:8080|tcp", notByRule},
		{"serviceAccounts by name", rule("source: {serviceAccounts: {names: [default]}}"), toWeb, byRule},
		{"serviceAccounts by another name", rule("source: {serviceAccounts: {names: [robot]}}"), toWeb, notByRule},
		{"serviceAccounts by label", rule("source: {serviceAccounts: {selector: role == 'plain'}}").with(accounts), toWeb, byRule},
		{"serviceAccounts by another label", rule("source: {serviceAccounts: {selector: role == 'x'}}").with(accounts), toWeb, notByRule},
		{"serviceAccounts by a label that the bundle does not have", rule("source: {serviceAccounts: {selector: role == 'x'}}"), toWeb, "unknown"},
		{"services of the source", rule("source: {services: {name: clients}}").with(endpoints), toWeb, byRule},
		{"services of another namespace", rule("source: {services: {name: clients, namespace: other}}").with(endpoints), toWeb, notByRule},
		{"services of the destination at their ports", rule("destination: {services: {name: web}}").with(endpoints), toWeb, byRule},
		{"services of the destination at other ports", rule("destination: {services: {name: web}}").with(endpoints), "demo/client > demo/web:81|tcp", notByRule},
		{"services without slices", rule("source: {services: {name: clients}}"), toWeb, "unknown"},
		{"ports of the source", rule("protocol: TCP, source: {ports: [1024]}"), toWeb, "unknown"},
		{"notPorts of the source", rule("protocol: TCP, source: {notPorts: [1024]}"), toWeb, "unknown"},
		{"http", rule("protocol: TCP, http: {methods: [GET]}"), toWeb, "unknown"},
		{"a set of the namespace", rule("source: {selector: kind == 'office'}").with(sets), "9.9.9.9 > demo/web:8080|tcp", byRule},
		{"a set of all is of no namespace", rule("source: {selector: kind == 'shop'}").with(sets), "7.7.7.7 > demo/web:8080|tcp", notByRule},
		{"a set of all", rule("source: {selector: kind == 'shop', namespaceSelector: global()}").with(sets), "7.7.7.7 > demo/web:8080|tcp", byRule},
		{"a set has the labels of its namespace", rule("source: {namespaceSelector: team == 'red'}").with(sets), "9.9.9.9 > demo/web:8080|tcp", byRule},
	}
}

var (
	accounts  = parts{"serviceaccounts": "\n- {metadata: {namespace: demo, name: default, labels: {role: plain}}}"}
	endpoints = parts{"endpointslices": `
- {metadata: {namespace: demo, name: web-1, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: [{addresses: [10.244.1.3]}], ports: [{port: 8080}]}
- {metadata: {namespace: demo, name: c-1, labels: {kubernetes.io/service-name: clients}}, addressType: IPv4, endpoints: [{addresses: [10.244.1.2]}], ports: [{port: 1}]}`}
	sets = parts{
		partSets:  "\n- {metadata: {namespace: demo, name: office, labels: {kind: office}}, spec: {nets: [9.9.9.0/24]}}",
		partGSets: "\n- {metadata: {name: shop, labels: {kind: shop}}, spec: {nets: [7.7.7.7]}}",
	}
)

func TestCalicoRules(t *testing.T) { checkCalico(t, ruleRows()) }

// Every field of a rule and of its ends has a row.
func TestEveryFieldOfCalicoRulesHasRows(t *testing.T) {
	for _, field := range []string{
		"ipVersion: ", "protocol: ", "notProtocol: ", "icmp: ", "notICMP: ", "http: ", "{nets: ", "{notNets: ", "{selector: ", "{notSelector: ",
		"{namespaceSelector: ", "{ports: ", "{notPorts: ", "{serviceAccounts: {names", "{serviceAccounts: {selector", "{services: ",
	} {
		seen := map[bool]bool{}
		for _, r := range ruleRows() {
			if strings.Contains(r.policies[partCalico], field) {
				seen[strings.HasPrefix(r.want, "allowed")] = true
			}
		}
		require.True(t, seen[false], field)
		require.True(t, seen[true] || field == "http: ", field)
	}
}

func TestCalicoPolicies(t *testing.T) {
	const deny, allow = "types: [Ingress], ingress: [{action: Deny}]", "types: [Ingress], ingress: [{action: Allow}]"
	np := parts{partNP: denyDemo}
	checkCalico(t, []adminRow{
		{"no rule", parts{partCalico: calicoNP("p", "types: [Ingress]")}, toWeb, notByRule},
		{"another pod", parts{partCalico: calicoNP("p", "types: [Ingress]")}, "demo/client > demo/db:1|tcp", "allowed"},
		{"another namespace", parts{partCalico: calicoNP("p", "types: [Ingress]")}, "demo/client > other/web:1|tcp", "allowed"},
		{"types: only egress", parts{partCalico: calicoNP("p", "types: [Egress]")}, toWeb, "allowed"},
		{"types: egress", parts{partCalico: calicoNP("p", "types: [Egress]")}, "demo/web > demo/client:1|tcp", "denied egress CalicoNetworkPolicy demo/p"},
		{"no types, as it is stored: both", parts{partCalico: calicoNP("p", "ingress: [{action: Allow}]")}, "demo/web > demo/client:1|tcp", "denied egress CalicoNetworkPolicy demo/p"},
		{"rules in order", parts{partCalico: calicoNP("p", "types: [Ingress], ingress: [{action: Deny, source: {selector: app == 'client'}}, {action: Allow}]")}, toWeb, notByRule},
		{"Log goes on", parts{partCalico: calicoNP("p", "types: [Ingress], ingress: [{action: Log}, {action: Allow}]")}, toWeb, byRule},
		{"Pass in the last tier goes to the profile", parts{partCalico: calicoNP("p", "types: [Ingress], ingress: [{action: Pass}]")}, toWeb, "allowed"},
		{"order", parts{partCalico: calicoNP("a", "order: 2, "+deny) + calicoNP("b", "order: 1, "+allow)}, toWeb, "allowed ingress CalicoNetworkPolicy demo/b"},
		{"no order is last", parts{partCalico: calicoNP("a", deny) + calicoNP("b", "order: 1, "+allow)}, toWeb, "allowed ingress CalicoNetworkPolicy demo/b"},
		{"one order: by name", parts{partCalico: calicoNP("b", allow) + calicoNP("a", deny)}, toWeb, "denied ingress CalicoNetworkPolicy demo/a"},
		{"before NetworkPolicies", parts{partCalico: calicoNP("p", "order: 10, "+allow)}.with(np), toWeb, byRule},
		{"behind NetworkPolicies", parts{partNP: "\n- {metadata: {namespace: demo, name: open}, spec: {podSelector: {}, ingress: [{}]}}", partCalico: calicoNP("p", "order: 2000, "+deny)}, toWeb, "allowed ingress demo/open"},
		{"NetworkPolicies that isolate do not deny by themselves", parts{partCalico: calicoNP("p", "order: 2000, "+allow)}.with(np), toWeb, byRule},
		{"all of the tier isolate", parts{partCalico: calicoNP("p", "order: 2000, types: [Ingress]")}.with(np), toWeb, "denied ingress demo/deny, ingress CalicoNetworkPolicy demo/p"},
		{"global, selector", parts{partGlobal: gnp("g", "selector: app == 'web', "+deny)}, toWeb, "denied ingress GlobalNetworkPolicy g"},
		{"global, empty selector is all", parts{partGlobal: gnp("g", deny)}, toWeb, "denied ingress GlobalNetworkPolicy g"},
		{"global, namespaceSelector", parts{partGlobal: gnp("g", "namespaceSelector: team == 'blue', "+deny)}, toWeb, "allowed"},
		{"global, namespaceSelector of these", parts{partGlobal: gnp("g", "namespaceSelector: team == 'red', selector: all(), "+deny)}, toWeb, "denied ingress GlobalNetworkPolicy g"},
		{"global, serviceAccountSelector by name", parts{partGlobal: gnp("g", "serviceAccountSelector: projectcalico.org/name == 'default', "+deny)}, toWeb, "denied ingress GlobalNetworkPolicy g"},
		{"global, serviceAccountSelector by a label that the bundle does not have", parts{partGlobal: gnp("g", "serviceAccountSelector: role == 'x', "+deny)}, toWeb, "unknown"},
		{"namespaced, serviceAccountSelector", parts{partCalico: calicoNP("p", "serviceAccountSelector: role == 'plain', "+deny)}.with(accounts), toWeb, notByRule},
		{"namespaced, another serviceAccountSelector", parts{partCalico: calicoNP("p", "serviceAccountSelector: role == 'x', "+deny)}.with(accounts), toWeb, "allowed"},
		{"global rules select in all namespaces", parts{partGlobal: gnp("g", "types: [Ingress], ingress: [{action: Allow, source: {selector: app == 'client'}}]")}, "other/client > demo/web:1|tcp", "allowed ingress GlobalNetworkPolicy g"},
		{"global notSelector holds for what is outside", parts{partGlobal: gnp("g", "types: [Ingress], ingress: [{action: Allow, source: {notSelector: app == 'client'}}]")}, "8.8.8.8 > demo/web:1|tcp", "allowed ingress GlobalNetworkPolicy g"},
		{"doNotTrack is not for pods", parts{partGlobal: gnp("g", "doNotTrack: true, applyOnForward: true, "+deny)}, toWeb, "allowed"},
		{"preDNAT is not for pods", parts{partGlobal: gnp("g", "preDNAT: true, applyOnForward: true, "+deny)}, toWeb, "allowed"},
	})
}

func TestCalicoTiers(t *testing.T) {
	const deny, allow, pass = "types: [Ingress], ingress: [{action: Deny}]", "types: [Ingress], ingress: [{action: Allow}]", "types: [Ingress], ingress: [{action: Pass}]"
	first := parts{partTiers: tier("first", "order: 1") + tier("second", "order: 2")}
	checkCalico(t, []adminRow{
		{"order of tiers", first.with(parts{partGlobal: gnp("a", "tier: second, "+deny) + gnp("b", "tier: first, "+allow)}), toWeb, "allowed ingress GlobalNetworkPolicy b"},
		{"an earlier tier needs no help of NetworkPolicies", first.with(parts{partGlobal: gnp("a", "tier: first, "+allow), partNP: denyDemo}), toWeb, "allowed ingress GlobalNetworkPolicy a"},
		{"Pass goes to the next tier", first.with(parts{partGlobal: gnp("a", "tier: first, "+pass), partNP: denyDemo}), toWeb, "denied ingress demo/deny"},
		{"the end of a tier denies", first.with(parts{partGlobal: gnp("a", "tier: first, types: [Ingress]"), partNP: allowDemo}), toWeb, "denied ingress GlobalNetworkPolicy a"},
		{"only if a policy of it selects the pod", first.with(parts{partGlobal: gnp("a", "tier: first, selector: app == 'db', types: [Ingress]"), partNP: allowDemo}), toWeb, "allowed ingress demo/open"},
		{"only for its directions", first.with(parts{partGlobal: gnp("a", "tier: first, types: [Egress], egress: [{action: Allow}]"), partNP: allowDemo}), toWeb, "allowed egress GlobalNetworkPolicy a, ingress demo/open"},
		{"defaultAction Pass", parts{partTiers: tier("first", "order: 1, defaultAction: Pass"), partGlobal: gnp("a", "tier: first, types: [Ingress]"), partNP: allowDemo}, toWeb, "allowed ingress demo/open"},
		{"defaultAction Deny", parts{partTiers: tier("first", "order: 1, defaultAction: Deny"), partGlobal: gnp("a", "tier: first, types: [Ingress]"), partNP: allowDemo}, toWeb, "denied ingress GlobalNetworkPolicy a"},
		{"no order is behind default", parts{partTiers: tier("last", ""), partGlobal: gnp("a", "tier: last, "+deny), partNP: allowDemo}, toWeb, "allowed ingress demo/open"},
		{"one order: by name", parts{partTiers: tier("b", "order: 1") + tier("a", "order: 1"), partGlobal: gnp("x", "tier: b, "+deny) + gnp("z", "tier: a, "+allow)}, toWeb, "allowed ingress GlobalNetworkPolicy z"},
		{"a tier that is not there is last", parts{partGlobal: gnp("a", "tier: lost, "+deny), partNP: allowDemo}, toWeb, "allowed ingress demo/open"},
		{"the tier default by name", parts{partTiers: tier("default", "order: 1000000"), partGlobal: gnp("a", "tier: default, order: 1, "+allow), partNP: denyDemo}, toWeb, "allowed ingress GlobalNetworkPolicy a"},
		{"behind AdminNetworkPolicies with order 2000", parts{partTiers: tier("t", "order: 2000"), partGlobal: gnp("a", "tier: t, "+deny), partANP: anp("adm", "1", "ingress: [{action: Allow, "+fromAll+"}]")}, toWeb, "allowed ingress AdminNetworkPolicy adm"},
		{"before them with order 10", parts{partTiers: tier("t", "order: 10"), partGlobal: gnp("a", "tier: t, "+deny), partANP: anp("adm", "1", "ingress: [{action: Allow, "+fromAll+"}]")}, toWeb, "denied ingress GlobalNetworkPolicy a"},
	})
}

// Calico sorts policies of one order by name, namespace and kind since 3.32,
// and by namespace and name before.
func TestCalicoTies(t *testing.T) {
	agent := func(version string) parts {
		return parts{"daemonsets": "\n- {metadata: {namespace: kube-system, name: calico-node}, spec: {template: {spec: {containers: [{name: x, image: docker.io/calico/node:" + version + "}]}}}}"}
	}
	// By name alone aa is first, by namespace and name default.zz is before demo/default.aa.
	both := parts{partCalico: calicoNP("aa", "types: [Ingress], ingress: [{action: Allow}]"), partGlobal: gnp("zz", "types: [Ingress], ingress: [{action: Deny}]")}
	beside := parts{partNP: allowDemo, partCalico: calicoNP("x", "order: 1000, types: [Ingress], ingress: [{action: Deny}]")}
	checkCalico(t, []adminRow{
		{"since 3.32", both.with(agent("v3.32.1")), toWeb, "allowed ingress CalicoNetworkPolicy demo/aa"},
		{"before", both.with(agent("v3.28.5")), toWeb, "denied ingress GlobalNetworkPolicy zz"},
		{"of a version that is not known", both, toWeb, "unknown"},
		{"beside NetworkPolicies, since 3.32: open is before x", beside.with(agent("v3.32.0")), toWeb, "allowed ingress demo/open"},
		{"beside NetworkPolicies, before: default.x is before knp.default.open", beside.with(agent("v3.31.0")), toWeb, "denied ingress CalicoNetworkPolicy demo/x"},
		{"beside NetworkPolicies, of a version that is not known", beside, toWeb, "unknown"},
	})
}

// A cluster whose agent is Calico's has its resources: where none was collected, as in a
// bundle made by hand or with etcd behind Calico, they are not known.
func TestCalicoNotCollected(t *testing.T) {
	agent := parts{"daemonsets": "\n- {metadata: {namespace: kube-system, name: calico-node}, spec: {template: {spec: {containers: [{name: x, image: calico/node:v3.28.5}]}}}}"}
	checkCalico(t, []adminRow{
		{"none, and the agent runs", agent.with(parts{partNP: allowDemo}), toWeb, "unknown"},
		{"some", agent.with(parts{partNP: allowDemo, partGlobal: "[]"}), toWeb, "allowed ingress demo/open"},
		{"none, and no agent", parts{partNP: allowDemo}, toWeb, "allowed ingress demo/open"},
	})
}

func TestCalicoHostEndpoints(t *testing.T) {
	host := func(spec string) parts {
		return parts{partFelix: "[]", partHosts: "\n- {metadata: {name: h1, labels: {role: node}}, spec: {node: n1, " + spec + "}}"}
	}
	const toNode, fromNode = "demo/db > 192.168.0.1:9100|tcp", "192.168.0.1 > demo/db:80|tcp"
	all, device := host("interfaceName: \"*\""), host("interfaceName: eth0")
	auto := host("interfaceName: \"*\", profiles: [projectcalico-default-allow]")
	on := func(p parts, spec string) parts {
		return p.with(parts{partGlobal: gnp("g", "selector: role == 'node', "+spec)})
	}
	checkCalico(t, []adminRow{
		{"denies what nothing allows", all, toNode, "denied ingress HostEndpoint h1"},
		{"in both directions", all, fromNode, "denied egress HostEndpoint h1"},
		{"not another node", all, "demo/client > 192.168.0.2:9100|tcp", "allowed"},
		{"a failsafe port", all, "demo/db > 192.168.0.1:22|tcp", "allowed ingress HostEndpoint h1"},
		{"a failsafe port of egress", all, "192.168.0.1 > demo/db:53|udp", "allowed egress HostEndpoint h1"},
		{"22 is none of egress", all, "192.168.0.1 > demo/db:22|tcp", "denied egress HostEndpoint h1"},
		{"other failsafe ports", all.with(parts{partFelix: "\n- {metadata: {name: default}, spec: {failsafeInboundHostPorts: [{protocol: tcp, port: 9100, net: 10.244.0.0/16}]}}"}), toNode, "allowed ingress HostEndpoint h1"},
		{"no failsafe ports", all.with(parts{partFelix: "\n- {metadata: {name: node.n1}, spec: {failsafeInboundHostPorts: []}}"}), "demo/db > 192.168.0.1:22|tcp", "denied ingress HostEndpoint h1"},
		{"the profile of automatic ones allows", auto, toNode, "allowed"},
		{"another profile", host("interfaceName: \"*\", profiles: [mine]"), toNode, "unknown"},
		{"a policy allows", on(all, "types: [Ingress], ingress: [{action: Allow}]"), toNode, "allowed ingress GlobalNetworkPolicy g"},
		{"a policy denies", on(auto, "types: [Ingress], ingress: [{action: Deny}]"), toNode, "denied ingress GlobalNetworkPolicy g"},
		{"a failsafe port before a policy", on(auto, "types: [Ingress], ingress: [{action: Deny}]"), "demo/db > 192.168.0.1:22|tcp", "allowed ingress HostEndpoint h1"},
		{"its own pods pass", on(auto, "types: [Egress], egress: [{action: Deny}]"), "192.168.0.1 > demo/web:80|tcp", "allowed"},
		{"the interface with the address", host("expectedIPs: [192.168.0.1]"), toNode, "denied ingress HostEndpoint h1"},
		{"an interface of which it is not known whether packets pass it", device, toNode, "unknown"},
		{"doNotTrack denies", on(auto, "doNotTrack: true, applyOnForward: true, types: [Ingress], ingress: [{action: Deny}]"), toNode, "denied ingress GlobalNetworkPolicy g"},
		{"doNotTrack that allows needs a look at the answers", on(all, "doNotTrack: true, applyOnForward: true, types: [Ingress], ingress: [{action: Allow}]"), toNode, "unknown"},
		{"preDNAT may see another destination", on(auto, "preDNAT: true, applyOnForward: true, types: [Ingress], ingress: [{action: Deny}]"), toNode, "unknown"},
		{"a selector holds for the addresses that it expects", host("interfaceName: eth0, expectedIPs: [192.168.0.1], profiles: [projectcalico-default-allow]").with(parts{partGlobal: gnp("g", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {selector: role == 'node'}}]")}), "192.168.0.1 > other/web:1|tcp", "allowed ingress GlobalNetworkPolicy g"},
		{"applyOnForward is not evaluated", on(auto, "applyOnForward: true, types: [Ingress], ingress: [{action: Deny}]"), "demo/db > demo/web:8080|tcp", "unknown"},
		{"pods of one node pass no host endpoint", on(auto, "applyOnForward: true, types: [Ingress], ingress: [{action: Deny}]"), toWeb, "allowed"},
	})
}

func TestCalicoObjectsThatCannotBeRead(t *testing.T) {
	for _, tt := range []struct{ spec, problem string }{
		{"selector: 'a = 3'", `networkpolicy p`},
		{"ingress: [{action: Maybe}]", "there are Allow, Deny, Log and Pass"},
		{"ingress: [{action: Allow, protocol: quic}]", "quic"},
		{"ingress: [{action: Allow, protocol: TCP, destination: {ports: ['9:1']}}]", "a range like 80:90"},
		{"ingress: [{action: Allow, protocol: TCP, destination: {ports: [70000]}}]", "a range like 80:90"},
		{"ingress: [{action: Allow, source: {nets: [x]}}]", "neither an address nor a network"},
		{"order: first", "cannot unmarshal"},
	} {
		// The other policy still counts.
		n, ips, errs := admin(t, parts{partGlobal: gnp("p", tt.spec) + gnp("q", "types: [Ingress], ingress: [{action: Deny}]")})
		require.Len(t, errs, 1, tt.spec)
		require.ErrorContains(t, errs[0], tt.problem)
		src, dst, port, protocol := ends(t, ips, toWeb)
		require.Equal(t, []string{"ingress GlobalNetworkPolicy q"}, n.Check(src, dst, port, protocol).DeniedBy)
	}
}

// Calico asks the egress policies of a pod about its own node.
func TestCalicoAndTheOwnNode(t *testing.T) {
	egress := parts{partNP: "\n- {metadata: {namespace: demo, name: deny}, spec: {podSelector: {}, policyTypes: [Egress, Ingress]}}"}
	felix := egress.with(parts{partFelix: "\n- {metadata: {name: default}}", partGlobal: "[]"})
	checkCalico(t, []adminRow{
		{"elsewhere they do not count", egress, "demo/web > 192.168.0.1:10250|tcp", "allowed"},
		{"with Calico they do", felix, "demo/web > 192.168.0.1:10250|tcp", "denied egress demo/deny"},
		{"the node reaches its pods", felix, "192.168.0.1 > demo/web:8080|tcp", "allowed"},
		{"policies of the node do not count for its pods", felix.with(parts{
			partNP: "[]", partHosts: "\n- {metadata: {name: h1}, spec: {node: n1, interfaceName: \"*\"}}"}), "demo/web > 192.168.0.1:10250|tcp", "allowed"},
	})
}

// Objects that only Calico's API offers are read too; what both groups have
// counts once.
func TestCalicoGroups(t *testing.T) {
	const api = "globalnetworkpolicies.projectcalico.org"
	offered := func(spec string) string {
		return "\n- {apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: g}, spec: {" + spec + "}}"
	}
	checkCalico(t, []adminRow{
		{"the API's alone", parts{api: offered("types: [Ingress]")}, toWeb, "denied ingress GlobalNetworkPolicy g"},
		{"both", parts{api: offered("types: [Ingress]"), partGlobal: gnp("g", "types: [Ingress]")}, toWeb, "denied ingress GlobalNetworkPolicy g"},
		{"without types, as written for the API: those of the rules", parts{api: offered("ingress: [{action: Allow}]")}, "demo/web > demo/client:1|tcp", "allowed ingress GlobalNetworkPolicy g"},
		{"egress rules alone are egress", parts{api: offered("egress: [{action: Deny}]")}, toWeb, "denied egress GlobalNetworkPolicy g"},
	})
	require.Equal(t, "crd.projectcalico.org", snapshot.CalicoStored)
}

func TestCalicoChange(t *testing.T) {
	n, ips, errs := admin(t, parts{partCalico: calicoNP("p", "types: [Ingress], ingress: [{action: Deny, protocol: UDP}]")})
	require.Empty(t, errs)
	for conversation, want := range map[string]string{
		toWeb:                            `add to ingress of CalicoNetworkPolicy demo/p: {action: Allow, protocol: TCP, source: {selector: "app == 'client'"}, destination: {ports: [8080]}}`,
		"demo/client > demo/web:53|udp":  `put before ingress rule 1 of CalicoNetworkPolicy demo/p: {action: Allow, protocol: UDP, source: {selector: "app == 'client'"}, destination: {ports: [53]}}`,
		"other/client > demo/web:80|tcp": `add to ingress of CalicoNetworkPolicy demo/p: {action: Allow, protocol: TCP, source: {selector: "app == 'client'", namespaceSelector: "projectcalico.org/name == 'other'"}, destination: {ports: [80]}}`,
		"8.8.8.8 > demo/web|icmp":        `add to ingress of CalicoNetworkPolicy demo/p: {action: Allow, protocol: ICMP, source: {nets: [8.8.8.8/32]}}`,
	} {
		src, dst, port, protocol := ends(t, ips, conversation)
		f := &Flow{Src: n.End(src), Dst: n.End(dst), Port: port, Protocol: protocol}
		require.Equal(t, want, n.Explain(f, "calico").Ingress.Change, conversation)
	}
}
