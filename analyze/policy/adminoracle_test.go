package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A clusterOracle answers as the texts of the APIs of NetworkPolicy,
// AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy have
// it, one sentence after the other.
type clusterOracle struct {
	*oracle
	anps, banps, cnps []snapshot.AdminPolicy
}

func (o *clusterOracle) allowed(src, dst party, port int32, protocol corev1.Protocol) bool {
	if src.pod != nil && src.pod == dst.pod {
		return true
	}
	to := server{dst, port, protocol}
	return o.decide(src, dst, to, networkingv1.PolicyTypeEgress) && o.decide(dst, src, to, networkingv1.PolicyTypeIngress)
}

// decide asks the Admin tier, the NetworkPolicies and the Baseline tier.
func (o *clusterOracle) decide(self, other party, to server, direction networkingv1.PolicyType) bool {
	if self.pod == nil {
		return true
	}
	var admin, baseline []snapshot.AdminPolicy
	admin = append(admin, o.anps...)
	for _, p := range o.cnps {
		if p.Spec.Tier == "Admin" {
			admin = append(admin, p)
		} else {
			baseline = append(baseline, p)
		}
	}
	byPriority := func(a, b snapshot.AdminPolicy) int { return int(a.Spec.Priority - b.Spec.Priority) }
	slices.SortFunc(admin, byPriority)
	slices.SortFunc(baseline, byPriority)
	baseline = append(baseline, o.banps...)
	switch o.firstAction(admin, self, other, to, direction) {
	case "Allow", "Accept":
		return true
	case "Deny":
		return false
	}
	for _, p := range o.policies {
		if p.Namespace == self.pod.Namespace && holds(&p.Spec.PodSelector, self.pod.Labels) && affects(&p, direction) {
			return o.oneWay(self, other, to, direction)
		}
	}
	return o.firstAction(baseline, self, other, to, direction) != "Deny"
}

// firstAction is that of the first rule that matches; "" for none.
func (o *clusterOracle) firstAction(policies []snapshot.AdminPolicy, self, other party, to server, direction networkingv1.PolicyType) string {
	for _, p := range policies {
		if !o.selects(p.Spec.Subject.Namespaces, p.Spec.Subject.Pods, self) {
			continue
		}
		rules := p.Spec.Ingress
		if direction == networkingv1.PolicyTypeEgress {
			rules = p.Spec.Egress
		}
		for _, r := range rules {
			if o.adminPeers(append(slices.Clone(r.From), r.To...), other) && portsMatch(r, to) {
				return r.Action
			}
		}
	}
	return ""
}

func (o *clusterOracle) selects(namespaces *metav1.LabelSelector, pods *snapshot.AdminPolicyPods, p party) bool {
	if p.pod == nil {
		return false
	}
	for _, ns := range o.namespaces {
		if ns.Name == p.pod.Namespace {
			if namespaces != nil {
				return holds(namespaces, ns.Labels)
			}
			return holds(&pods.NamespaceSelector, ns.Labels) && holds(&pods.PodSelector, p.pod.Labels)
		}
	}
	return false
}

func (o *clusterOracle) adminPeers(peers []snapshot.AdminPolicyPeer, p party) bool {
	for _, peer := range peers {
		switch {
		case peer.Namespaces != nil || peer.Pods != nil:
			if o.selects(peer.Namespaces, peer.Pods, p) {
				return true
			}
		default:
			for _, n := range peer.Networks {
				if netip.MustParsePrefix(n).Contains(p.ip) {
					return true
				}
			}
		}
	}
	return false
}

func portsMatch(r snapshot.AdminPolicyRule, to server) bool {
	if len(r.Ports) == 0 && len(r.Protocols) == 0 {
		return true
	}
	named := func(name string) bool {
		if to.pod == nil {
			return false
		}
		for _, c := range to.pod.Spec.Containers {
			for _, p := range c.Ports {
				if p.Name == name && p.Protocol == to.protocol && p.ContainerPort == to.port {
					return true
				}
			}
		}
		return false
	}
	for _, p := range r.Ports {
		switch {
		case p.NamedPort != nil && named(*p.NamedPort),
			p.PortNumber != nil && p.PortNumber.Protocol == to.protocol && p.PortNumber.Port == to.port,
			p.PortRange != nil && p.PortRange.Protocol == to.protocol && p.PortRange.Start <= to.port && to.port <= p.PortRange.End:
			return true
		}
	}
	for _, p := range r.Protocols {
		ports := map[corev1.Protocol]*snapshot.AdminPolicyPorts{corev1.ProtocolTCP: p.TCP, corev1.ProtocolUDP: p.UDP, corev1.ProtocolSCTP: p.SCTP}[to.protocol]
		switch {
		case p.DestinationNamedPort != "" && named(p.DestinationNamedPort):
			return true
		case ports == nil:
		case ports.DestinationPort == nil, ports.DestinationPort.Number == to.port,
			ports.DestinationPort.Range != nil && ports.DestinationPort.Range.Start <= to.port && to.port <= ports.DestinationPort.Range.End:
			return true
		}
	}
	return false
}

func (d dice) podsOrNamespaces() (*metav1.LabelSelector, *snapshot.AdminPolicyPods) {
	s := d.selector()
	if d.IntN(2) == 0 {
		return &s, nil
	}
	return nil, &snapshot.AdminPolicyPods{NamespaceSelector: s, PodSelector: d.selector()}
}

func (d dice) adminPeersOf(egress bool) (out []snapshot.AdminPolicyPeer) {
	for range 1 + d.IntN(2) {
		var p snapshot.AdminPolicyPeer
		if egress && d.IntN(3) == 0 {
			p.Networks = []string{one(d, "10.0.0.0/8", "10.0.1.0/24", "8.8.8.8/32", "0.0.0.0/0", "fd00::/16")}
		} else {
			p.Namespaces, p.Pods = d.podsOrNamespaces()
		}
		out = append(out, p)
	}
	return out
}

// adminRule makes a rule, with ports in the form of the kind.
func (d dice) adminRule(cluster, egress bool) (r snapshot.AdminPolicyRule) {
	r.Action = one(d, "Allow", "Deny", "Pass")
	if cluster && r.Action == "Allow" {
		r.Action = "Accept"
	}
	r.From = d.adminPeersOf(egress)
	if egress {
		r.From, r.To = nil, r.From
	}
	var text []string
	for range d.IntN(3) {
		protocol, number, name := d.protocol(), one(d, 80, 81, 90), one(d, "http", "dns", "nope")
		if cluster {
			text = append(text, one(d, fmt.Sprintf("%s: {destinationPort: {number: %d}}", strings.ToLower(string(protocol)), number),
				fmt.Sprintf("%s: {destinationPort: {range: {start: 79, end: %d}}}", strings.ToLower(string(protocol)), number), strings.ToLower(string(protocol))+": {}", "destinationNamedPort: "+name))
			continue
		}
		text = append(text, one(d, fmt.Sprintf("portNumber: {protocol: %s, port: %d}", protocol, number), fmt.Sprintf("portRange: {protocol: %s, start: 79, end: %d}", protocol, number), "namedPort: "+name))
	}
	key := "ports"
	if cluster {
		key = "protocols"
	}
	if len(text) > 0 {
		err := yaml.Unmarshal([]byte(key+": [{"+strings.Join(text, "}, {")+"}]"), &r)
		if err != nil {
			r.Action = err.Error()
		}
	}
	return r
}

func (d dice) adminPolicy(name string, cluster bool, priority int32) (p snapshot.AdminPolicy) {
	p.Name, p.Spec.Priority = name, priority
	if cluster {
		p.Spec.Tier = one(d, "Admin", "Baseline")
	}
	p.Spec.Subject.Namespaces, p.Spec.Subject.Pods = d.podsOrNamespaces()
	for range d.IntN(3) {
		p.Spec.Ingress = append(p.Spec.Ingress, d.adminRule(cluster, false))
	}
	for range d.IntN(3) {
		p.Spec.Egress = append(p.Spec.Egress, d.adminRule(cluster, true))
	}
	return p
}

func (d dice) cluster() *clusterOracle {
	o := &clusterOracle{oracle: d.world(9, d.IntN(4))}
	for i, priority := range d.Perm(4) {
		if d.IntN(2) == 0 {
			o.anps = append(o.anps, d.adminPolicy(fmt.Sprintf("a%d", i), false, int32(priority)))
		} else {
			o.cnps = append(o.cnps, d.adminPolicy(fmt.Sprintf("c%d", i), true, int32(priority)))
		}
	}
	if d.IntN(2) == 0 {
		o.banps = append(o.banps, d.adminPolicy("default", false, 0))
	}
	return o
}

func (o *clusterOracle) compile(t testing.TB) (*NetworkPolicy, *Resolver) {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	for resource, list := range map[string]any{"pods": o.pods, "namespaces": o.namespaces, partNP: o.policies, partANP: o.anps, partBANP: o.banps, partCNP: o.cnps} {
		data, err := json.Marshal(map[string]any{"items": list})
		require.NoError(t, err)
		require.NoError(t, w.Add("cluster/"+resource+".yaml", data))
	}
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, _ := k8s.NewIPCache(snap)
	n, errs := New(snap, ips)
	require.Empty(t, errs)
	r, _ := NewResolver(n, snap)
	return n, r
}

func (o *clusterOracle) parties() []party {
	out := []party{{ip: netip.MustParseAddr("8.8.8.8")}, {ip: netip.MustParseAddr("10.0.1.1")}, {ip: netip.MustParseAddr("fd00::1")}}
	for i := range o.pods {
		out = append(out, party{&o.pods[i], netip.MustParseAddr(o.pods[i].Status.PodIP)})
	}
	return out
}

func TestRandomPoliciesOfAllKindsAgainstTheAPITexts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	d := dice{rand.New(rand.NewPCG(seed, 0))}
	asked, denied := 0, 0
	for range 60 {
		o := d.cluster()
		n, r := o.compile(t)
		for _, src := range o.parties() {
			for _, dst := range o.parties() {
				port, protocol := one[uint16](d, 79, 80, 81, 85, 90), d.protocol()
				want := o.allowed(src, dst, int32(port), protocol)
				got := n.Check(r.ips.Endpoint(src.ip, 0), r.ips.Endpoint(dst.ip, 0), port, apiProtocol(protocol))
				if asked++; !want {
					denied++
				}
				if got.Allowed != want || len(got.Unknown) > 0 {
					policies, _ := json.Marshal([]any{o.anps, o.cnps, o.policies, o.banps})
					t.Fatalf("seed %d: %s > %s:%d/%s: allowed %v, the API text says %v: %+v\n%s", seed, src.ip, dst.ip, port, protocol, got.Allowed, want, got, policies)
				}
			}
		}
	}
	require.Greater(t, denied, asked/20, "too tame: %d of %d denied", denied, asked)
	require.Less(t, denied, asked*19/20, "too wild: %d of %d denied", denied, asked)
}

// TestChangesAdmit does what explanations advise, and asks again: each change
// must admit the conversation on its side.
func TestChangesAdmit(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	d := dice{rand.New(rand.NewPCG(seed, 0))}
	changed := 0
	for range 150 {
		o := d.cluster()
		parties := o.parties()
		src, dst, port, protocol := one(d, parties...), one(d, parties...), one[uint16](d, 79, 80, 81, 85, 90), d.protocol()
		explain := func() *Explanation {
			n, r := o.compile(t)
			f := &Flow{Src: n.End(r.ips.Endpoint(src.ip, 0)), Dst: n.End(r.ips.Endpoint(dst.ip, 0)), Port: port, Protocol: apiProtocol(protocol)}
			return n.Explain(f, "")
		}
		for _, side := range []func(*Explanation) Side{func(x *Explanation) Side { return x.Egress }, func(x *Explanation) Side { return x.Ingress }} {
			before := side(explain())
			if before.Answer == netfilter.Yes {
				require.Empty(t, before.Change)
				continue
			}
			if before.Change == "" { // admin policies cannot let in what is outside
				require.Nil(t, src.pod)
				continue
			}
			o.apply(t, before.Change)
			changed++
			require.Equal(t, netfilter.Yes, side(explain()).Answer, "seed %d: %s", seed, before.Change)
		}
	}
	require.Greater(t, changed, 20)
}

// apply changes a policy as an explanation says.
func (o *clusterOracle) apply(t testing.TB, change string) {
	t.Helper()
	head, text, ok := strings.Cut(change, ": {")
	require.True(t, ok, change)
	text = "{" + text
	words := strings.Fields(head)
	kind, name := words[len(words)-2], words[len(words)-1]
	if kind == kindNetworkPolicy {
		i := slices.IndexFunc(o.policies, func(p networkingv1.NetworkPolicy) bool { return p.Namespace+"/"+p.Name == name })
		spec := &o.policies[i].Spec
		if words[2] == "ingress" {
			var r networkingv1.NetworkPolicyIngressRule
			require.NoError(t, yaml.UnmarshalStrict([]byte(text), &r))
			spec.Ingress = append(spec.Ingress, r)
			return
		}
		var r networkingv1.NetworkPolicyEgressRule
		require.NoError(t, yaml.UnmarshalStrict([]byte(text), &r))
		spec.Egress = append(spec.Egress, r)
		return
	}
	list := map[string][]snapshot.AdminPolicy{kindAdmin: o.anps, kindBaseline: o.banps, kindCluster: o.cnps}[kind]
	i := slices.IndexFunc(list, func(p snapshot.AdminPolicy) bool { return p.Name == name })
	var r snapshot.AdminPolicyRule
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &r))
	number, err := strconv.Atoi(words[4])
	require.NoError(t, err, change)
	rules := &list[i].Spec.Ingress
	if words[2] == "egress" {
		rules = &list[i].Spec.Egress
	}
	*rules = slices.Insert(*rules, number-1, r)
}
