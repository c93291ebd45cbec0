package policy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// The parts of the bundle that hold each kind.
const (
	partNP   = "networkpolicies"
	partANP  = "adminnetworkpolicies.policy.networking.k8s.io"
	partBANP = "baselineadminnetworkpolicies.policy.networking.k8s.io"
	partCNP  = "clusternetworkpolicies.policy.networking.k8s.io"
)

// parts is the text of the items of parts of a bundle.
type parts map[string]string

// admin compiles policies of any kind over the pods of world. Nodes are n1
// (zone=a) and n2.
func admin(t testing.TB, more parts) (*NetworkPolicy, *k8s.IPCache, []error) {
	t.Helper()
	all := parts{
		"pods": world, partNP: "[]", "services": "[]", "configmaps": "[]",
		"namespaces": "\n- {metadata: {name: demo, labels: {team: red}}}\n- {metadata: {name: other, labels: {team: blue}}}\n",
		"nodes": "\n- {metadata: {name: n1, labels: {zone: a}}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}\n" +
			"- {metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}}\n",
	}
	for part, items := range more {
		all[part] = items
	}
	w := snapshot.NewWriter(snapshot.Meta{})
	for part, items := range all {
		require.NoError(t, w.Add("cluster/"+part+".yaml", []byte("items: "+items)))
	}
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, errs := k8s.NewIPCache(snap)
	require.Empty(t, errs)
	n, errs := New(snap, ips)
	return n, ips, errs
}

// anp is an AdminNetworkPolicy for all pods of namespace demo.
func anp(name, priority, rules string) string {
	return "\n- {metadata: {name: " + name + "}, spec: {priority: " + priority + ", subject: {namespaces: {matchLabels: {team: red}}}, " + rules + "}}"
}

// cnp is a ClusterNetworkPolicy for all pods of namespace demo.
func cnp(name, tier, priority, rules string) string {
	return "\n- {metadata: {name: " + name + "}, spec: {tier: " + tier + ", priority: " + priority + ", subject: {namespaces: {matchLabels: {team: red}}}, " + rules + "}}"
}

const (
	fromAll   = "from: [{namespaces: {}}]"
	fromDemo  = "from: [{namespaces: {matchLabels: {team: red}}}]"
	denyDemo  = "\n- {metadata: {namespace: demo, name: deny}, spec: {podSelector: {}, policyTypes: [Ingress]}}"
	allowDemo = "\n- {metadata: {namespace: demo, name: open}, spec: {podSelector: {}, ingress: [{}]}}"
)

// An adminRow is one conversation under policies of some kinds.
type adminRow struct {
	why          string
	policies     parts
	conversation string
	want         string // allowed, denied or unknown, then who says so
}

// verdict asks the policies of the row.
func (r adminRow) verdict(t *testing.T) Verdict {
	n, ips, errs := admin(t, r.policies)
	require.Empty(t, errs)
	src, dst, port, protocol := ends(t, ips, r.conversation)
	return n.Check(src, dst, port, protocol)
}

func checkAdmin(t *testing.T, rows []adminRow) {
	for _, tt := range rows {
		t.Run(tt.why, func(t *testing.T) {
			v := tt.verdict(t)
			got := string(v.Outcome())
			for _, by := range v.AllowedBy {
				got += ", " + by
			}
			for _, by := range v.DeniedBy {
				got += ", not " + by
			}
			require.Equal(t, tt.want, got, "%+v", v)
		})
	}
}

const clientToWeb = "demo/client > demo/web:80|tcp"

func TestTiers(t *testing.T) {
	deny, allow, pass := anp("a", "5", "ingress: [{action: Deny, "+fromAll+"}]"), anp("b", "6", "ingress: [{action: Allow, "+fromAll+"}]"), anp("c", "4", "ingress: [{action: Pass, "+fromAll+"}]")
	base := anp("default", "0", "ingress: [{action: Deny, "+fromAll+"}]")
	checkAdmin(t, []adminRow{
		{"Deny before NetworkPolicies", parts{partANP: deny, partNP: allowDemo}, clientToWeb, "denied, not ingress AdminNetworkPolicy a"},
		{"Allow before NetworkPolicies", parts{partANP: allow, partNP: denyDemo}, clientToWeb, "allowed, ingress AdminNetworkPolicy b"},
		{"a lower priority number is asked first", parts{partANP: deny + allow}, clientToWeb, "denied, not ingress AdminNetworkPolicy a"},
		{"the order of the list does not count", parts{partANP: allow + deny}, clientToWeb, "denied, not ingress AdminNetworkPolicy a"},
		{"Pass skips what is left of the tier", parts{partANP: pass + deny}, clientToWeb, "allowed"},
		{"Pass asks NetworkPolicies", parts{partANP: pass + allow, partNP: denyDemo}, clientToWeb, "denied, not ingress demo/deny"},
		{"Pass asks the Baseline tier where no NetworkPolicy selects", parts{partANP: pass, partBANP: base}, clientToWeb, "denied, not ingress BaselineAdminNetworkPolicy default"},
		{"NetworkPolicies before the Baseline tier", parts{partBANP: base, partNP: allowDemo}, clientToWeb, "allowed, ingress demo/open"},
		{"the Baseline tier alone", parts{partBANP: base}, clientToWeb, "denied, not ingress BaselineAdminNetworkPolicy default"},
		{"a NetworkPolicy that isolates ends it before the Baseline tier", parts{partBANP: anp("default", "0", "ingress: [{action: Allow, "+fromAll+"}]"), partNP: denyDemo}, clientToWeb, "denied, not ingress demo/deny"},
		{"no rule holds: the next tier", parts{partANP: anp("a", "1", "ingress: [{action: Deny, from: [{namespaces: {matchLabels: {team: green}}}]}]")}, clientToWeb, "allowed"},
		{"rules decide in their order", parts{partANP: anp("a", "1", "ingress: [{action: Allow, "+fromDemo+"}, {action: Deny, "+fromAll+"}]")}, clientToWeb, "allowed, ingress AdminNetworkPolicy a"},
		{"the second rule for the rest", parts{partANP: anp("a", "1", "ingress: [{action: Allow, "+fromDemo+"}, {action: Deny, "+fromAll+"}]")}, "other/client > demo/web:80|tcp", "denied, not ingress AdminNetworkPolicy a"},
		{"without rules for a direction it is not about it", parts{partANP: anp("a", "1", "ingress: [{action: Deny, "+fromAll+"}]")}, "demo/client > other/web:80|tcp", "allowed"},
		{"the same priority and another action", parts{partANP: anp("a", "5", "ingress: [{action: Deny, "+fromAll+"}]") + anp("b", "5", "ingress: [{action: Allow, "+fromAll+"}]")}, clientToWeb, "unknown, ingress AdminNetworkPolicy b, not ingress AdminNetworkPolicy a"},
		{"the same priority and the same action", parts{partANP: anp("a", "5", "ingress: [{action: Deny, "+fromAll+"}]") + anp("b", "5", "ingress: [{action: Deny, "+fromAll+"}]")}, clientToWeb, "denied, not ingress AdminNetworkPolicy a"},
		{"ClusterNetworkPolicy: Admin", parts{partCNP: cnp("a", "Admin", "5", "ingress: [{action: Deny, "+fromAll+"}]"), partNP: allowDemo}, clientToWeb, "denied, not ingress ClusterNetworkPolicy a"},
		{"ClusterNetworkPolicy: Accept", parts{partCNP: cnp("a", "Admin", "5", "ingress: [{action: Accept, "+fromAll+"}]"), partNP: denyDemo}, clientToWeb, "allowed, ingress ClusterNetworkPolicy a"},
		{"ClusterNetworkPolicy: Pass", parts{partCNP: cnp("a", "Admin", "5", "ingress: [{action: Pass, "+fromAll+"}]") + cnp("b", "Baseline", "5", "ingress: [{action: Deny, "+fromAll+"}]")}, clientToWeb, "denied, not ingress ClusterNetworkPolicy b"},
		{"ClusterNetworkPolicy: Baseline by priority", parts{partCNP: cnp("a", "Baseline", "7", "ingress: [{action: Deny, "+fromAll+"}]") + cnp("b", "Baseline", "5", "ingress: [{action: Accept, "+fromAll+"}]")}, clientToWeb, "allowed, ingress ClusterNetworkPolicy b"},
		{"ClusterNetworkPolicy: Baseline behind NetworkPolicies", parts{partCNP: cnp("a", "Baseline", "7", "ingress: [{action: Deny, "+fromAll+"}]"), partNP: allowDemo}, clientToWeb, "allowed, ingress demo/open"},
		{"ClusterNetworkPolicy: Pass in Baseline", parts{partCNP: cnp("a", "Baseline", "1", "ingress: [{action: Pass, "+fromAll+"}]") + cnp("b", "Baseline", "5", "ingress: [{action: Deny, "+fromAll+"}]")}, clientToWeb, "allowed"},
		{"a pod may talk to itself whatever they say", parts{partANP: deny}, "demo/web > demo/web:80|tcp", "allowed"},
		{"kubelet's probes pass whatever they say", parts{partANP: deny}, "192.168.0.1 > demo/web:80|tcp", "allowed"},
	})
}

func TestAdminPeers(t *testing.T) {
	ingress := func(peer string) parts {
		return parts{partANP: anp("a", "1", "ingress: [{action: Deny, from: ["+peer+"]}]")}
	}
	egress := func(peer string) parts {
		return parts{partANP: anp("a", "1", "egress: [{action: Deny, to: ["+peer+"]}]")}
	}
	in, out := "denied, not ingress AdminNetworkPolicy a", "denied, not egress AdminNetworkPolicy a"
	checkAdmin(t, []adminRow{
		{"namespaces", ingress("{namespaces: {matchLabels: {team: blue}}}"), "other/web > demo/web:80|tcp", in},
		{"other namespaces", ingress("{namespaces: {matchLabels: {team: blue}}}"), clientToWeb, "allowed"},
		{"all namespaces are not outside", ingress("{namespaces: {}}"), "8.8.8.8 > demo/web:80|tcp", "allowed"},
		{"nor pods with the network of their node", ingress("{namespaces: {}}"), "192.168.0.2 > demo/web:80|tcp", "allowed"},
		{"pods", ingress("{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: client}}}}"), "other/client > demo/web:80|tcp", in},
		{"other pods", ingress("{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: client}}}}"), "other/web > demo/web:80|tcp", "allowed"},
		{"pods of other namespaces", ingress("{pods: {namespaceSelector: {matchLabels: {team: blue}}, podSelector: {}}}"), clientToWeb, "allowed"},
		{"egress to pods", egress("{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}"), clientToWeb, out},
		{"egress to networks", egress("{networks: [8.0.0.0/8, 9.0.0.0/8]}"), "demo/client > 9.9.9.9:80|tcp", out},
		{"egress beside networks", egress("{networks: [8.0.0.0/8]}"), "demo/client > 9.9.9.9:80|tcp", "allowed"},
		{"networks hold pods", egress("{networks: [0.0.0.0/0]}"), clientToWeb, out},
		{"networks of the other family", egress("{networks: [\"::/0\"]}"), clientToWeb, "allowed"},
		{"egress to nodes", egress("{nodes: {}}"), "demo/client > 192.168.0.2:80|tcp", out},
		{"egress to nodes by labels", egress("{nodes: {matchLabels: {zone: a}}}"), "demo/db > 192.168.0.1:80|tcp", out},
		{"egress to other nodes", egress("{nodes: {matchLabels: {zone: a}}}"), "demo/client > 192.168.0.2:80|tcp", "allowed"},
		{"nodes are not pods", egress("{nodes: {}}"), clientToWeb, "allowed"},
		{"domain names may be any address outside", parts{partANP: anp("a", "1", "egress: [{action: Allow, to: [{domainNames: [example.org]}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}]")}, "demo/client > 8.8.8.8:80|tcp", "unknown, egress AdminNetworkPolicy a, not egress AdminNetworkPolicy a"},
		{"domain names that change nothing", parts{partANP: anp("a", "1", "egress: [{action: Allow, to: [{domainNames: [example.org]}]}]")}, "demo/client > 8.8.8.8:80|tcp", "allowed, egress AdminNetworkPolicy a"},
		{"domain names are no pods", parts{partANP: anp("a", "1", "egress: [{action: Allow, to: [{domainNames: [example.org]}]}, {action: Deny, to: [{networks: [0.0.0.0/0]}]}]")}, clientToWeb, out},
	})
}

func TestAdminSubjects(t *testing.T) {
	subject := func(text string) parts {
		return parts{partANP: "[{metadata: {name: a}, spec: {priority: 1, subject: " + text + ", ingress: [{action: Deny, " + fromAll + "}]}}]"}
	}
	in := "denied, not ingress AdminNetworkPolicy a"
	checkAdmin(t, []adminRow{
		{"all namespaces", subject("{namespaces: {}}"), "demo/client > other/web:80|tcp", in},
		{"one namespace", subject("{namespaces: {matchLabels: {kubernetes.io/metadata.name: other}}}"), clientToWeb, "allowed"},
		{"pods", subject("{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}"), clientToWeb, in},
		{"other pods", subject("{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: db}}}}"), clientToWeb, "allowed"},
		{"no pods with the network of their node", subject("{namespaces: {}}"), "demo/client > 192.168.0.2:80|tcp", "allowed"},
	})
}

func TestAdminPorts(t *testing.T) {
	v1alpha1 := func(ports string) parts {
		return parts{partANP: anp("a", "1", "ingress: [{action: Deny, "+fromAll+", ports: ["+ports+"]}]")}
	}
	v1alpha2 := func(protocols string) parts {
		return parts{partCNP: cnp("a", "Admin", "1", "ingress: [{action: Deny, "+fromAll+", protocols: ["+protocols+"]}]")}
	}
	in, c := "denied, not ingress AdminNetworkPolicy a", "denied, not ingress ClusterNetworkPolicy a"
	to := func(end string) string { return "demo/client > demo/web" + end }
	checkAdmin(t, []adminRow{
		{"portNumber", v1alpha1("{portNumber: {protocol: UDP, port: 80}}"), to(":80|udp"), in},
		{"portNumber, TCP by default", v1alpha1("{portNumber: {port: 80}}"), to(":80|tcp"), in},
		{"portNumber, other protocol", v1alpha1("{portNumber: {port: 80}}"), to(":80|sctp"), "allowed"},
		{"portRange", v1alpha1("{portRange: {protocol: SCTP, start: 80, end: 90}}"), to(":90|sctp"), in},
		{"portRange, behind it", v1alpha1("{portRange: {start: 80, end: 90}}"), to(":91|tcp"), "allowed"},
		{"namedPort", v1alpha1("{namedPort: http}"), to(":8080|tcp"), in},
		{"namedPort of whatever protocol", v1alpha1("{namedPort: dns}"), to(":53|udp"), in},
		{"namedPort, other number", v1alpha1("{namedPort: http}"), to(":80|tcp"), "allowed"},
		{"no ports are all", parts{partANP: anp("a", "1", "ingress: [{action: Deny, "+fromAll+"}]")}, to("|icmp"), in},
		{"ICMP is no port", v1alpha1("{portRange: {start: 1, end: 65535}}"), to("|icmp"), "allowed"},
		{"tcp", v1alpha2("{tcp: {destinationPort: {number: 80}}}"), to(":80|tcp"), c},
		{"tcp, other port", v1alpha2("{tcp: {destinationPort: {number: 81}}}"), to(":80|tcp"), "allowed"},
		{"udp, range", v1alpha2("{udp: {destinationPort: {range: {start: 70, end: 80}}}}"), to(":80|udp"), c},
		{"sctp, all", v1alpha2("{sctp: {}}"), to(":80|sctp"), c},
		{"sctp is not tcp", v1alpha2("{sctp: {}}"), to(":80|tcp"), "allowed"},
		{"destinationNamedPort", v1alpha2("{destinationNamedPort: dns}"), to(":53|udp"), c},
		{"one of several", v1alpha2("{tcp: {destinationPort: {number: 81}}}, {tcp: {destinationPort: {number: 80}}}"), to(":80|tcp"), c},
	})
}

// What a version of the API that is not known says must not be passed over.
func TestUnknownFieldsFailClosed(t *testing.T) {
	for why, tt := range map[string]struct {
		policies parts
		want     Outcome
	}{
		"Allow holds for nothing":  {parts{partANP: anp("a", "1", "ingress: [{action: Allow, from: [{moons: {}}]}, {action: Deny, "+fromAll+"}]")}, Denied},
		"Pass denies all":          {parts{partANP: anp("a", "1", "ingress: [{action: Pass, from: [{moons: {}}]}]")}, Denied},
		"Deny denies all":          {parts{partANP: anp("a", "1", "ingress: [{action: Deny, from: [{namespaces: {matchLabels: {team: blue}}}, {moons: {}}]}]")}, Denied},
		"ports":                    {parts{partANP: anp("a", "1", "ingress: [{action: Deny, "+fromAll+", ports: [{moon: 1}]}]")}, Denied},
		"protocols":                {parts{partCNP: cnp("a", "Admin", "1", "ingress: [{action: Accept, "+fromAll+", protocols: [{icmp: {}}]}, {action: Deny, "+fromAll+"}]")}, Denied},
		"an action":                {parts{partANP: anp("a", "1", "ingress: [{action: Log, "+fromAll+"}]")}, Denied},
		"a rule without peers":     {parts{partANP: anp("a", "1", "ingress: [{action: Deny}]")}, Allowed},
		"a subject":                {parts{partANP: "[{metadata: {name: a}, spec: {subject: {}, ingress: [{action: Deny, " + fromAll + "}]}}]"}, Allowed},
		"a tier":                   {parts{partCNP: cnp("a", "Moon", "1", "ingress: [{action: Deny, "+fromAll+"}]")}, Allowed},
		"a port that is no number": {parts{partANP: anp("a", "1", "ingress: [{action: Deny, "+fromAll+", ports: [{portNumber: {port: 70000}}]}]")}, Denied},
		"one object that is none":  {parts{partANP: "\n- {metadata: {name: x}, spec: 7}" + anp("a", "1", "ingress: [{action: Deny, "+fromAll+"}]")}, Denied},
	} {
		n, ips, errs := admin(t, tt.policies)
		require.NotEmpty(t, errs, why)
		src, dst, port, protocol := ends(t, ips, clientToWeb)
		v := n.Check(src, dst, port, protocol)
		require.Equal(t, tt.want, v.Outcome(), "%s: %+v", why, v)
	}
}

func TestAListThatIsNotWholeLeavesVerdictsOpen(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("cluster/pods.yaml", []byte("items: "+world)))
	require.NoError(t, w.Add("cluster/networkpolicies.yaml", nil))
	require.NoError(t, w.Missing("cluster/"+partANP+".yaml", nodedump.StatusDenied, "forbidden"))
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, _ := k8s.NewIPCache(snap)
	n, errs := New(snap, ips)
	require.ErrorIs(t, errs[0], snapshot.ErrNotCollected)
	src, dst, port, protocol := ends(t, ips, clientToWeb)
	require.Equal(t, []string{"cluster/" + partANP + ".yaml: denied: forbidden"}, n.Check(src, dst, port, protocol).Unknown)
}
