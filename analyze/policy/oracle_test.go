package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// An oracle answers from the objects themselves, sentence by sentence as the
// API text has it, and slowly.
type oracle struct {
	pods       []corev1.Pod
	namespaces []corev1.Namespace
	policies   []networkingv1.NetworkPolicy
}

// A party is a pod, or an address if pod is nil.
type party struct {
	pod *corev1.Pod
	ip  netip.Addr
}

// A server is where a conversation goes to.
type server struct {
	party
	port     int32
	protocol corev1.Protocol
}

func (o *oracle) allowed(src, dst party, port int32, protocol corev1.Protocol) bool {
	if src.pod != nil && src.pod == dst.pod {
		return true
	}
	to := server{dst, port, protocol}
	return o.oneWay(src, dst, to, networkingv1.PolicyTypeEgress) && o.oneWay(dst, src, to, networkingv1.PolicyTypeIngress)
}

// oneWay asks the policies that select self.
func (o *oracle) oneWay(self, other party, to server, direction networkingv1.PolicyType) bool {
	if self.pod == nil {
		return true
	}
	selected := false
	for _, p := range o.policies {
		if p.Namespace != self.pod.Namespace || !holds(&p.Spec.PodSelector, self.pod.Labels) || !affects(&p, direction) {
			continue
		}
		selected = true
		if direction == networkingv1.PolicyTypeIngress {
			for _, r := range p.Spec.Ingress {
				if o.anyPeer(r.From, p.Namespace, other) && anyPort(r.Ports, to) {
					return true
				}
			}
			continue
		}
		for _, r := range p.Spec.Egress {
			if o.anyPeer(r.To, p.Namespace, other) && anyPort(r.Ports, to) {
				return true
			}
		}
	}
	return !selected
}

func affects(p *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if len(p.Spec.PolicyTypes) > 0 {
		return slices.Contains(p.Spec.PolicyTypes, direction)
	}
	return direction == networkingv1.PolicyTypeIngress || len(p.Spec.Egress) > 0
}

func (o *oracle) anyPeer(peers []networkingv1.NetworkPolicyPeer, namespace string, other party) bool {
	if len(peers) == 0 {
		return true
	}
	for _, peer := range peers {
		if peer.IPBlock != nil {
			in := netip.MustParsePrefix(peer.IPBlock.CIDR).Contains(other.ip)
			for _, e := range peer.IPBlock.Except {
				in = in && !netip.MustParsePrefix(e).Contains(other.ip)
			}
			if in {
				return true
			}
			continue
		}
		if other.pod == nil {
			continue
		}
		inNamespace := other.pod.Namespace == namespace
		if peer.NamespaceSelector != nil {
			for _, ns := range o.namespaces {
				if ns.Name == other.pod.Namespace {
					inNamespace = holds(peer.NamespaceSelector, ns.Labels)
				}
			}
		}
		if inNamespace && (peer.PodSelector == nil || holds(peer.PodSelector, other.pod.Labels)) {
			return true
		}
	}
	return false
}

func anyPort(ports []networkingv1.NetworkPolicyPort, to server) bool {
	if len(ports) == 0 {
		return true
	}
	for _, p := range ports {
		want := corev1.ProtocolTCP
		if p.Protocol != nil {
			want = *p.Protocol
		}
		switch {
		case want != to.protocol:
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			if to.pod == nil {
				continue
			}
			for _, c := range to.pod.Spec.Containers {
				for _, cp := range c.Ports {
					if cp.Name == p.Port.StrVal && cp.Protocol == to.protocol && cp.ContainerPort == to.port {
						return true
					}
				}
			}
		case p.EndPort != nil:
			if to.port >= p.Port.IntVal && to.port <= *p.EndPort {
				return true
			}
		case p.Port.IntVal == to.port:
			return true
		}
	}
	return false
}

func holds(s *metav1.LabelSelector, labels map[string]string) bool {
	for k, v := range s.MatchLabels {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		have, ok := labels[e.Key]
		in := ok && slices.Contains(e.Values, have)
		switch e.Operator {
		case metav1.LabelSelectorOpIn:
			ok = in
		case metav1.LabelSelectorOpNotIn:
			ok = !in
		case metav1.LabelSelectorOpDoesNotExist:
			ok = !ok
		}
		if !ok {
			return false
		}
	}
	return true
}

// A dice makes objects with few distinct values, so that they meet often.
type dice struct{ *rand.Rand }

func one[T any](d dice, list ...T) T { return list[d.IntN(len(list))] }

func (d dice) labels() map[string]string {
	out := map[string]string{}
	for _, k := range []string{"a", "b"} {
		if v := one(d, "", "x", "y", "z"); v != "" {
			out[k] = v
		}
	}
	return out
}

func (d dice) selector() metav1.LabelSelector {
	var s metav1.LabelSelector
	switch d.IntN(4) {
	case 0:
	case 1:
		s.MatchLabels = map[string]string{one(d, "a", "b"): one(d, "x", "y", "z")}
	case 2:
		s.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: one(d, "a", "b"), Operator: one(d, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn), Values: []string{one(d, "x", "y"), "z"}}}
	case 3:
		s.MatchLabels = map[string]string{"a": one(d, "x", "y")}
		s.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "b", Operator: one(d, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)}}
	}
	return s
}

func (d dice) peers() (out []networkingv1.NetworkPolicyPeer) {
	for range d.IntN(3) {
		var p networkingv1.NetworkPolicyPeer
		pods, namespaces := d.selector(), d.selector()
		switch d.IntN(4) {
		case 0:
			p.PodSelector = &pods
		case 1:
			p.NamespaceSelector = &namespaces
		case 2:
			p.PodSelector, p.NamespaceSelector = &pods, &namespaces
		case 3:
			p.IPBlock = &networkingv1.IPBlock{CIDR: one(d, "10.0.0.0/8", "10.0.1.0/24", "8.8.8.8/32", "0.0.0.0/0", "fd00::/16")}
			if d.IntN(2) == 0 {
				p.IPBlock.Except = []string{one(d, "10.0.1.0/30", "8.8.8.0/24")}
			}
		}
		out = append(out, p)
	}
	return out
}

func (d dice) ports() (out []networkingv1.NetworkPolicyPort) {
	for range d.IntN(3) {
		var p networkingv1.NetworkPolicyPort
		if d.IntN(2) == 0 {
			protocol := d.protocol()
			p.Protocol = &protocol
		}
		switch d.IntN(4) {
		case 0:
		case 1:
			port := intstr.FromInt32(one[int32](d, 80, 81, 90))
			p.Port = &port
		case 2:
			port, end := intstr.FromInt32(79), one[int32](d, 79, 80, 85)
			p.Port, p.EndPort = &port, &end
		case 3:
			port := intstr.FromString(one(d, "http", "dns", "nope"))
			p.Port = &port
		}
		out = append(out, p)
	}
	return out
}

func (d dice) protocol() corev1.Protocol {
	return one(d, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
}

func (d dice) policy(i int) (p networkingv1.NetworkPolicy) {
	p.Name, p.Namespace = fmt.Sprintf("p%d", i), one(d, "n0", "n1", "n2")
	p.Spec.PodSelector = d.selector()
	p.Spec.PolicyTypes = one(d, nil, []networkingv1.PolicyType{"Ingress"}, []networkingv1.PolicyType{"Egress"}, []networkingv1.PolicyType{"Ingress", "Egress"})
	for range d.IntN(3) {
		p.Spec.Ingress = append(p.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: d.peers(), Ports: d.ports()})
	}
	for range d.IntN(3) {
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: d.peers(), Ports: d.ports()})
	}
	return p
}

func (d dice) pod(i int) (p corev1.Pod) {
	p.Name, p.Namespace, p.Labels = fmt.Sprintf("pod%d", i), fmt.Sprintf("n%d", i%3), d.labels()
	p.Status.Phase, p.Status.PodIP = corev1.PodRunning, fmt.Sprintf("10.%d.%d.%d", i/750, i%3, i/3%250+2)
	p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{
		{Name: one(d, "http", "web"), ContainerPort: one[int32](d, 80, 81), Protocol: corev1.ProtocolTCP},
		{Name: "dns", ContainerPort: 80, Protocol: one(d, corev1.ProtocolUDP, corev1.ProtocolTCP)},
	}}}
	return p
}

func (d dice) world(pods, policies int) *oracle {
	o := &oracle{}
	for i := range 3 {
		name := fmt.Sprintf("n%d", i)
		labels := d.labels()
		labels[corev1.LabelMetadataName] = name
		o.namespaces = append(o.namespaces, corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	}
	for i := range pods {
		o.pods = append(o.pods, d.pod(i))
	}
	for i := range policies {
		o.policies = append(o.policies, d.policy(i))
	}
	return o
}

func (o *oracle) compile(t testing.TB) (*NetworkPolicy, *k8s.IPCache) {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	for resource, list := range map[string]any{"pods": o.pods, "namespaces": o.namespaces, "networkpolicies": o.policies} {
		data, err := json.Marshal(map[string]any{"items": list})
		require.NoError(t, err)
		require.NoError(t, w.Add("cluster/"+resource+".yaml", data))
	}
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, _ := k8s.NewIPCache(snap)
	n, errs := New(snap, ips)
	require.Empty(t, errs)
	return n, ips
}

func TestRandomPoliciesAgainstTheAPIText(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	d := dice{rand.New(rand.NewPCG(seed, 0))}
	asked, denied := 0, 0
	for range 60 {
		o := d.world(9, 1+d.IntN(6))
		n, ips := o.compile(t)
		parties := []party{{ip: netip.MustParseAddr("8.8.8.8")}, {ip: netip.MustParseAddr("10.0.1.1")}, {ip: netip.MustParseAddr("fd00::1")}}
		for i := range o.pods {
			parties = append(parties, party{&o.pods[i], netip.MustParseAddr(o.pods[i].Status.PodIP)})
		}
		for _, src := range parties {
			for _, dst := range parties {
				port, protocol := one[uint16](d, 79, 80, 81, 85, 90), d.protocol()
				want := o.allowed(src, dst, int32(port), protocol)
				got := n.Check(ips.Endpoint(src.ip, 0), ips.Endpoint(dst.ip, 0), port, model.Protocol(strings.ToLower(string(protocol))))
				if asked++; !want {
					denied++
				}
				if got.Allowed != want {
					policies, _ := json.Marshal(o.policies)
					t.Fatalf("seed %d: %s > %s:%d/%s: allowed %v, the API text says %v: %+v\n%s", seed, src.ip, dst.ip, port, protocol, got.Allowed, want, got, policies)
				}
			}
		}
	}
	require.Greater(t, denied, asked/20, "too tame: %d of %d denied", denied, asked)
	require.Less(t, denied, asked*19/20, "too wild: %d of %d denied", denied, asked)
}

func BenchmarkNew(b *testing.B) {
	o := dice{rand.New(rand.NewPCG(1, 1))}.world(1000, 200)
	for b.Loop() {
		o.compile(b)
	}
}

func BenchmarkCheck(b *testing.B) {
	d := dice{rand.New(rand.NewPCG(1, 1))}
	o := d.world(1000, 200)
	n, ips := o.compile(b)
	var ends []model.Endpoint
	for i := range o.pods {
		ends = append(ends, ips.Endpoint(netip.MustParseAddr(o.pods[i].Status.PodIP), 0))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		n.Check(ends[i%1000], ends[i*7%1000], 80, model.TCP)
		i++
	}
}
