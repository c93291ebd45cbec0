package connectivity

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service"
)

// pod is one with labels "app" and with addresses.
func pod(name, app string, ips ...string) object {
	var list []object
	for _, ip := range ips {
		list = append(list, object{"ip": ip})
	}
	return object{
		"metadata": object{"name": name, "namespace": "n0", "labels": object{"app": app}},
		"spec":     object{"nodeName": "node0", "containers": []object{{"name": "c", "ports": []object{{"name": "http", "containerPort": 8080}}}}},
		"status":   object{"phase": "Running", "podIPs": list},
	}
}

// allow is a policy for an app with one rule.
func allow(app, direction, peer, ports string) object {
	peers, types := map[string]string{"ingress": "from", "egress": "to"}[direction], map[string]string{"ingress": "Ingress", "egress": "Egress"}[direction]
	rule := object{}
	if peer != "" {
		rule[peers] = []object{{"ipBlock": object{"cidr": peer}}}
	}
	if ports == "http" {
		rule["ports"] = []object{{"port": ports}}
	}
	return object{
		"metadata": object{"name": app + direction, "namespace": "n0"},
		"spec":     object{"podSelector": object{"matchLabels": object{"app": app}}, "policyTypes": []string{types}, direction: []object{rule}},
	}
}

func reportOf(t testing.TB, w world, o Options) *Report {
	t.Helper()
	for _, resource := range []string{"namespaces", "nodes", "services", "configmaps", "networkpolicies"} {
		w[resource] = append([]object{}, w[resource]...)
	}
	n, ips, snap := w.open(t)
	r := New(n, ips, []string{"node0"}, o)
	ports, errs := service.Ports(snap)
	require.Empty(t, errs)
	r.AddServices(n, ips, ports, true)
	return r
}

// shown are the lines to pods.
func shown(r *Report) (out []string) {
	for _, l := range r.Lines(Pods) {
		text := fmt.Sprintf("%s > %s: %s", r.Name(l.From, 3), r.Name(l.To, 3), l.Allowed)
		if l.Family != "" {
			text += " " + string(l.Family)
		}
		if !l.Unknown.Empty() {
			text += " ? " + l.Unknown.String()
		}
		out = append(out, text)
	}
	return out
}

func TestPortsText(t *testing.T) {
	s := newSpace([]model.Protocol{"icmp", model.TCP, "icmp"})
	tcp := func(first, last uint32) set { return set{{first - 1, last - 1}} }
	for _, tt := range []struct {
		want string
		of   set
	}{
		{"none", nil},
		{"all", s.all()},
		{"TCP", tcp(1, 65535)},
		{"TCP 80", tcp(80, 80)},
		{"TCP 80,443-8443", tcp(80, 80).union(tcp(443, 8443))},
		{"TCP 80-90", tcp(80, 85).union(tcp(86, 90))},
		{"TCP 80; ICMP", tcp(80, 80).union(s.whole(3))},
		{"all but TCP 22", s.all().minus(tcp(22, 22))},
		{"TCP; UDP", s.whole(0).union(s.whole(1))},
		{"other protocols", s.whole(4)},
		{"all but SCTP", s.all().minus(s.whole(2))},
		{"TCP 65535; UDP 1", set{{65534, 65535}}},
		{"UDP 1; SCTP 65535; ICMP", set{{65535, 65535}, {3*65535 - 1, 3 * 65535}}},
		{"TCP 1,3-65535; UDP 1-65534", set{{0, 0}, {2, 2*65535 - 2}}},
		{"TCP 1; SCTP; ICMP", s.all().minus(tcp(2, 65535).union(s.whole(1)).union(s.whole(4)))},
	} {
		require.Equal(t, tt.want, s.portsOf(tt.of).String())
	}
}

func TestBlocksAreCutWhereRulesCut(t *testing.T) {
	tree := newBlockTree([]netip.Prefix{
		netip.MustParsePrefix("10.1.2.3/16"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/9"),
		netip.MustParsePrefix("10.128.0.0/9"), netip.MustParsePrefix("fd00::/8"), {},
	})
	for address, want := range map[string]string{
		"10.1.0.1": "10.1.0.0/16", "10.2.0.1": "10.0.0.0/9 (except 10.1.0.0/16)", "10.200.0.1": "10.128.0.0/9", "11.0.0.0": "0.0.0.0/0 (except 10.0.0.0/8)",
		"fd12::1": "fd00::/8", "::1": "::/0 (except fd00::/8)",
	} {
		require.Equal(t, want, tree.of(netip.MustParseAddr(address)).block().String())
	}
	all := tree.roots[0].children[0]
	_, some := all.example()
	require.False(t, some, "%s is wholly in two others", all.prefix)
	a, some := all.children[0].example()
	require.True(t, some)
	require.Equal(t, "10.0.0.0", a.String())
	full := newBlockTree([]netip.Prefix{netip.MustParsePrefix("255.0.0.0/8"), netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("128.0.0.0/1")})
	_, some = full.roots[0].example()
	require.False(t, some)
}

func TestWorkloads(t *testing.T) {
	yes := true
	for _, tt := range []struct{ kind, owner, pod, hash, want string }{
		{"", "", "p", "", "Pod p"},
		{"ReplicaSet", "web-5d", "web-5d-x", "5d", "Deployment web"},
		{"ReplicaSet", "web", "web-x", "", "ReplicaSet web"},
		{"ReplicaSet", "web-6e", "web-6e-x", "5d", "ReplicaSet web-6e"},
		{"Job", "backup-29012345", "backup-29012345-x", "", "CronJob backup"},
		{"Job", "backup-1", "backup-1-x", "", "Job backup-1"},
		{"StatefulSet", "db", "db-0", "", "StatefulSet db"},
		{"Node", "n1", "kube-proxy-n1", "", "Node kube-proxy"},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: tt.pod, Labels: map[string]string{"pod-template-hash": tt.hash}}}
		if tt.kind != "" {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: tt.kind, Name: tt.owner, Controller: &yes}}
		}
		w := workloadOf(p)
		require.Equal(t, tt.want, w.Kind+" "+w.Name)
	}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "r-7f-x", Labels: map[string]string{"rollouts-pod-template-hash": "7f"},
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "r-7f", Controller: &yes}}}}
	require.Equal(t, "Rollout", workloadOf(p).Kind)
}

// TestPodsOfOneWorkloadMayDiffer names the pods where a policy tells them apart.
func TestPodsOfOneWorkloadMayDiffer(t *testing.T) {
	owned := func(name, ordinal, ip string) object {
		p := pod(name, "db", ip)
		p["metadata"].(object)["labels"].(object)["ordinal"] = ordinal
		p["metadata"].(object)["ownerReferences"] = []object{{"kind": "StatefulSet", "name": "db", "controller": true}}
		return p
	}
	closed := allow("db", "ingress", "", "")
	closed["spec"] = object{"podSelector": object{"matchLabels": object{"ordinal": "0"}}}
	w := world{"pods": {owned("db-0", "0", "10.0.0.1"), owned("db-1", "1", "10.0.0.2"), owned("db-2", "2", "10.0.0.3"), pod("a", "a", "10.0.0.4")}, "networkpolicies": {closed}}
	r := reportOf(t, w, Options{})
	require.Equal(t, []string{"anyone > n0/{a,db-1,db-2}: all"}, shown(r))
	w["networkpolicies"] = nil
	r = reportOf(t, w, Options{})
	require.Len(t, r.Groups, 2)
	require.Equal(t, []Label{{"n0/a", true}, {"n0/db", false}}, r.Labels(0))
}

func TestFamiliesDiffer(t *testing.T) {
	r := reportOf(t, world{
		"pods":            {pod("web", "web", "10.0.0.1", "fd00::1"), pod("a", "a", "10.0.0.2", "fd00::2"), pod("b", "b", "10.0.0.3")},
		"networkpolicies": {allow("web", "ingress", "10.0.0.0/8", "http")},
	}, Options{})
	require.Equal(t, []string{"anyone > n0/{a,b}: all", "n0/a > n0/web: TCP 8080 IPv4", "n0/b, 10.0.0.0/8 > n0/web: TCP 8080"}, shown(r))
}

func TestNamedPortsAreTheDestinations(t *testing.T) {
	other := pod("other", "web", "10.0.0.2")
	other["spec"] = object{"containers": []object{{"name": "c", "ports": []object{{"name": "http", "containerPort": 9090}}}}}
	r := reportOf(t, world{
		"pods":            {pod("web", "web", "10.0.0.1"), other, pod("a", "a", "10.0.0.3")},
		"networkpolicies": {allow("web", "ingress", "", "http")},
	}, Options{})
	require.Equal(t, []string{"anyone > n0/a: all", "anyone > n0/other: TCP 9090", "anyone > n0/web: TCP 8080"}, shown(r))
}

// TestUnknownAddress does not guess whether a block holds a pod.
func TestUnknownAddress(t *testing.T) {
	r := reportOf(t, world{
		"pods":            {pod("web", "web", "10.0.0.1"), pod("new", "new")},
		"networkpolicies": {allow("web", "ingress", "10.0.0.0/24", "http")},
	}, Options{})
	require.Equal(t, []string{"anyone > n0/new: all", "n0/new > n0/web: none ? TCP 8080", "10.0.0.0/24 > n0/web: TCP 8080"}, shown(r))
	require.Equal(t, []string{"NetworkPolicy n0/webingress, ingress rule 1: it asks for addresses 10.0.0.0/24, and the addresses of some pods are not known"}, r.Doubts)
}

func TestPodAddressesAreNotOutside(t *testing.T) {
	r := reportOf(t, world{
		"pods":            {pod("web", "web", "10.0.0.1"), pod("a", "a", "10.0.0.2")},
		"networkpolicies": {allow("web", "ingress", "10.0.0.2/32", "")},
	}, Options{})
	require.Equal(t, []string{"anyone > n0/a: all", "n0/a > n0/web: all"}, shown(r))
}

func TestNamespace(t *testing.T) {
	other := pod("b", "b", "10.0.0.3")
	other["metadata"].(object)["namespace"] = "n1"
	w := world{"pods": {pod("a", "a", "10.0.0.1"), pod("web", "web", "10.0.0.2"), other}, "networkpolicies": {allow("web", "ingress", "", "http")}}
	r := reportOf(t, w, Options{Namespace: "n1"})
	require.Len(t, r.Connections, 6) // of b with a, web and outside, both ways
	for _, c := range r.Connections {
		require.True(t, r.About(c.From) || r.About(c.To))
	}
	require.Equal(t, []string{"n1/b > n0/a: all", "n1/b > n0/web: TCP 8080", "anyone > n1/b: all"}, shown(r))
}

func TestServices(t *testing.T) {
	svc := func(name, app string, port int) object {
		return object{"metadata": object{"name": name, "namespace": "n0"}, "spec": object{"clusterIP": "10.96.0.1", "selector": object{"app": app}, "ports": []object{{"port": port, "targetPort": "http"}}}}
	}
	web2 := pod("web2", "web", "10.0.0.5")
	web2["metadata"].(object)["labels"].(object)["x"] = "y"
	open2 := allow("web", "ingress", "", "")
	open2["metadata"] = object{"name": "open", "namespace": "n0"}
	open2["spec"] = object{"podSelector": object{"matchLabels": object{"x": "y"}}, "ingress": []object{{"from": []object{{"podSelector": object{"matchLabels": object{"app": "a"}}}}}}}
	w := world{
		"pods":            {pod("web1", "web", "10.0.0.1"), web2, pod("a", "a", "10.0.0.3"), pod("b", "b", "10.0.0.4")},
		"networkpolicies": {allow("web", "ingress", "10.0.0.4/32", "http"), open2},
		"services":        {svc("web", "web", 80), svc("none", "none", 80)},
		"endpointslices": {{
			"metadata": object{"name": "none-1", "namespace": "n0", "labels": object{"kubernetes.io/service-name": "none"}}, "addressType": "IPv4",
		}},
	}
	r := reportOf(t, w, Options{})
	require.Len(t, r.Services, 2)
	none, web := r.Services[0], r.Services[1]
	require.Empty(t, none.Backends)
	require.Empty(t, none.All)
	require.Len(t, web.Backends, 2)
	require.EqualValues(t, 8080, web.Backends[0].Port)
	require.Equal(t, "n0/b", r.Name(web.All, 0))
	require.Equal(t, "n0/{a,web1,web2}", r.Name(web.Some, 0))
	require.Empty(t, web.Unknown)
}

func TestEqualBytes(t *testing.T) {
	w := world{"pods": {pod("a", "a", "10.0.0.1"), pod("b", "b", "10.0.0.2"), pod("c", "c", "10.0.0.3")}, "networkpolicies": {allow("a", "ingress", "10.0.0.0/31", ""), allow("b", "egress", "", "http")}}
	want := reportOf(t, w, Options{})
	for range 20 {
		require.Equal(t, want, reportOf(t, w, Options{}))
	}
}

func TestForwardingIsNoted(t *testing.T) {
	global := func(forward bool) object {
		return object{"apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy", "metadata": object{"name": "g"},
			"spec": object{"selector": "all()", "types": []string{"Ingress"}, "applyOnForward": forward, "ingress": []object{{"action": "Deny"}}}}
	}
	node := object{"apiVersion": "crd.projectcalico.org/v1", "kind": "HostEndpoint", "metadata": object{"name": "h"}, "spec": object{"node": "node0", "interfaceName": "*"}}
	notes := func(forward bool) []string {
		return reportOf(t, world{"pods": {pod("a", "a", "10.0.0.1")}, "hostendpoints.crd.projectcalico.org": {node}, "globalnetworkpolicies.crd.projectcalico.org": {global(forward)}}, Options{}).Notes
	}
	require.Empty(t, notes(false))
	require.Equal(t, []string{"GlobalNetworkPolicy g is also about what nodes forward (applyOnForward): that is not evaluated, so it may deny more than is shown"}, notes(true))
}
