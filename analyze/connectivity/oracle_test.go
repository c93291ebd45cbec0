package connectivity

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/policy"
	"github.com/pathsnap/pathsnap/snapshot"
)

// An object is one of the API.
type object = map[string]any

// A dice makes objects with few distinct values, so that they meet often.
type dice struct{ *rand.Rand }

func one[T any](d dice, list ...T) T { return list[d.IntN(len(list))] }

func (d dice) labels() object {
	out := object{}
	for _, k := range []string{"a", "b"} {
		if v := one(d, "", "x", "y"); v != "" {
			out[k] = v
		}
	}
	return out
}

func (d dice) selector() object {
	switch d.IntN(3) {
	case 0:
		return object{}
	case 1:
		return object{"matchLabels": object{one(d, "a", "b"): one(d, "x", "y")}}
	}
	return object{"matchExpressions": []object{{"key": one(d, "a", "b"), "operator": one(d, "Exists", "DoesNotExist")}}}
}

func (d dice) block() object {
	return object{"ipBlock": one(d,
		object{"cidr": "10.0.0.0/8", "except": []string{one(d, "10.0.1.0/24", "10.0.0.0/30")}},
		object{"cidr": "8.8.8.0/24"}, object{"cidr": "0.0.0.0/0", "except": []string{"8.8.8.8/32"}},
		object{"cidr": "192.168.0.0/31"}, object{"cidr": "fd00::/16"}, object{"cidr": "::/0"}, object{"cidr": "10.0.0.2/32"})}
}

func (d dice) peers() (out []object) {
	for range d.IntN(3) {
		switch d.IntN(4) {
		case 0:
			out = append(out, object{"podSelector": d.selector()})
		case 1:
			out = append(out, object{"namespaceSelector": d.selector()})
		case 2:
			out = append(out, object{"podSelector": d.selector(), "namespaceSelector": d.selector()})
		case 3:
			out = append(out, d.block())
		}
	}
	return out
}

func (d dice) ports() (out []object) {
	for range d.IntN(3) {
		p := object{"protocol": one(d, "TCP", "UDP", "SCTP")}
		switch d.IntN(4) {
		case 0:
			p["port"] = one(d, 80, 81, 443)
		case 1:
			p["port"], p["endPort"] = one(d, 79, 80, 1), one(d, 80, 90, 65535)
		case 2:
			p["port"] = one(d, "http", "dns", "nope")
		}
		out = append(out, p)
	}
	return out
}

func (d dice) networkPolicy(i int) object {
	spec := object{"podSelector": d.selector()}
	if types := one(d, nil, []string{"Ingress"}, []string{"Egress"}, []string{"Ingress", "Egress"}); types != nil {
		spec["policyTypes"] = types
	}
	var in, out []object
	for range d.IntN(3) {
		in = append(in, object{"from": d.peers(), "ports": d.ports()})
		out = append(out, object{"to": d.peers(), "ports": d.ports()})
	}
	spec["ingress"], spec["egress"] = in, out
	return object{"metadata": object{"name": fmt.Sprintf("p%d", i), "namespace": one(d, "n0", "n1")}, "spec": spec}
}

// adminPorts are those of AdminNetworkPolicies.
func (d dice) adminPorts() any {
	var out []object
	for range 1 + d.IntN(2) {
		protocol := one(d, "TCP", "UDP", "SCTP")
		out = append(out, one(d,
			object{"portNumber": object{"protocol": protocol, "port": one(d, 80, 81)}},
			object{"portRange": object{"protocol": protocol, "start": one(d, 1, 80), "end": one(d, 85, 65535)}},
			object{"namedPort": one(d, "http", "dns")}))
	}
	return one(d, any(nil), any(out))
}

func (d dice) adminPods() object {
	return one(d, object{"namespaces": d.selector()}, object{"pods": object{"namespaceSelector": d.selector(), "podSelector": d.selector()}})
}

func (d dice) adminRules(peers string) (out []object) {
	for range d.IntN(4) {
		r := object{"action": one(d, "Allow", "Deny", "Pass")}
		peer := d.adminPods()
		if peers == "to" {
			peer = one(d, peer, object{"networks": []string{one(d, "10.0.0.0/8", "8.8.8.0/25", "0.0.0.0/0", "fd00::/8")}}, object{"nodes": d.selector()})
		}
		r[peers] = []object{peer}
		if ports := d.adminPorts(); ports != nil {
			r["ports"] = ports
		}
		out = append(out, r)
	}
	return out
}

func (d dice) adminPolicy(i int) object {
	return object{
		"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "AdminNetworkPolicy",
		"metadata": object{"name": fmt.Sprintf("anp%d", i)},
		"spec":     object{"priority": d.IntN(3), "subject": d.adminPods(), "ingress": d.adminRules("from"), "egress": d.adminRules("to")},
	}
}

// pod makes pods with addresses of one family, of both, or with none.
func (d dice) pod(i int) object {
	var ips []object
	for _, ip := range []string{fmt.Sprintf("10.%d.%d.%d", i/500, i%2, i/2%250+2), fmt.Sprintf("fd00:%d::%d", i%2, i+2)} {
		if d.IntN(3) > 0 {
			ips = append(ips, object{"ip": ip})
		}
	}
	return object{
		"metadata": object{"name": fmt.Sprintf("pod%d", i), "namespace": fmt.Sprintf("n%d", i%2), "labels": d.labels()},
		"spec": object{"nodeName": one(d, "node0", "node1", "node2"), "containers": []object{{"name": "c", "ports": []object{
			{"name": one(d, "http", "web"), "containerPort": one(d, 80, 81), "protocol": "TCP"},
			{"name": "dns", "containerPort": 80, "protocol": one(d, "UDP", "TCP")},
		}}}},
		"status": object{"phase": "Running", "podIPs": ips},
	}
}

// A world is the lists of objects of a bundle, by resource.
type world map[string][]object

func (d dice) world(pods, policies, admin int) world {
	w := world{"pods": nil, "networkpolicies": nil, "namespaces": nil, "nodes": nil, "services": nil, "configmaps": nil}
	for i := range 2 {
		w["namespaces"] = append(w["namespaces"], object{"metadata": object{"name": fmt.Sprintf("n%d", i), "labels": d.labels()}})
	}
	for i := range 3 {
		w["nodes"] = append(w["nodes"], object{
			"metadata": object{"name": fmt.Sprintf("node%d", i), "labels": d.labels()},
			"status":   object{"addresses": []object{{"type": "InternalIP", "address": fmt.Sprintf("192.168.0.%d", i+1)}}},
		})
	}
	for i := range pods {
		w["pods"] = append(w["pods"], d.pod(i))
	}
	for i := range policies {
		w["networkpolicies"] = append(w["networkpolicies"], d.networkPolicy(i))
	}
	const admins = "adminnetworkpolicies.policy.networking.k8s.io"
	for i := range admin {
		w[admins] = append(w[admins], d.adminPolicy(i))
	}
	return w
}

// open compiles a world.
func (w world) open(t testing.TB) (*policy.NetworkPolicy, *k8s.IPCache, *snapshot.Snapshot) {
	t.Helper()
	out := snapshot.NewWriter(snapshot.Meta{})
	for resource, items := range w {
		data, err := json.Marshal(object{"items": items})
		require.NoError(t, err)
		require.NoError(t, out.Add("cluster/"+resource+".yaml", data))
	}
	snap, err := out.Snapshot()
	require.NoError(t, err)
	ips, errs := k8s.NewIPCache(snap)
	require.Empty(t, errs)
	n, errs := policy.New(snap, ips)
	require.Empty(t, errs)
	return n, ips, snap
}

// A party is one end, and where the report has it.
type party struct {
	end   policy.End
	group int
}

// parties returns all ends of the pods and nodes, and some outside.
func parties(t testing.TB, r *Report, n *policy.NetworkPolicy, ips *k8s.IPCache) (out []party) {
	for i := range r.Groups {
		g := &r.Groups[i]
		for _, w := range g.Workloads {
			for _, name := range w.Pods {
				pod, ok := ips.GetPodFromName(w.Namespace, name)
				require.True(t, ok)
				e := n.End(model.Endpoint{Type: model.EndpointTypePod, Name: w.Namespace + "/" + name})
				e.IsIPv4 = e.IsIPv4 && len(addressesOf(pod)) == 0
				for _, ip := range addressesOf(pod) {
					e.IP = ip
					out = append(out, party{e, i})
				}
				if !e.IP.IsValid() {
					out = append(out, party{e, i})
				}
			}
		}
		for _, name := range g.Nodes {
			for _, ip := range ips.GetNodeIPs(name) {
				out = append(out, party{n.End(model.Endpoint{Type: model.EndpointTypeNode, Name: name, IP: ip}), i})
			}
		}
		for _, text := range []string{"8.8.8.8", "8.8.8.200", "10.0.1.1", "10.0.0.1", "10.9.0.0", "1.1.1.1", "192.168.0.0", "fd00::1", "2001:db8::1"} {
			if ip := netip.MustParseAddr(text); g.hasAddress(ip) {
				out = append(out, party{policy.End{IP: ip}, i})
			}
		}
	}
	return out
}

// hold asks about a protocol by the name that the report has for it.
func (r *Report) hold(p Ports, protocol model.Protocol, port uint16) bool {
	if !slices.Contains(r.Protocols, protocol) {
		protocol = ""
	}
	return p.Hold(protocol, port)
}

// says is what the report says about a conversation.
func (r *Report) says(from, to party, protocol model.Protocol, port uint16) (allowed, unknown bool) {
	family := max(familyOf(from.end.IP), familyOf(to.end.IP))
	for _, f := range r.Between(from.group, to.group) {
		if f.Family == "" || f.Family == IPv4 && family == v4 || f.Family == IPv6 && family == v6 {
			return r.hold(f.Allowed, protocol, port), r.hold(f.Unknown, protocol, port)
		}
	}
	return false, false
}

func TestRandomPoliciesAgainstCheck(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	d := dice{rand.New(rand.NewPCG(seed, 0))}
	asked, allowed, unknown := 0, 0, 0
	for range 60 {
		w := d.world(10, d.IntN(8), d.IntN(4))
		n, ips, _ := w.open(t)
		r := New(n, ips, []string{"node0", "node1", "node2"}, Options{})
		all := parties(t, r, n, ips)
		for _, src := range all {
			for _, dst := range all {
				if familyOf(src.end.IP) != familyOf(dst.end.IP) && src.end.IP.IsValid() && dst.end.IP.IsValid() || r.pairs[src.group][dst.group] == noPair {
					continue
				}
				for _, protocol := range []model.Protocol{model.TCP, model.UDP, model.SCTP, model.ICMP} {
					for _, port := range []uint16{1, 79, 80, 81, 85, 90, 443, 65535} {
						if !protocol.HasPorts() {
							port = 0
						}
						v := n.CheckFlow(&policy.Flow{Src: src.end, Dst: dst.end, Port: port, Protocol: protocol})
						if v.Why != "" {
							continue
						}
						asked++
						gotAllowed, gotUnknown := r.says(src, dst, protocol, port)
						if v.Allowed {
							allowed++
						}
						if len(v.Unknown) > 0 {
							unknown++
						}
						if gotAllowed != v.Allowed || gotUnknown != (len(v.Unknown) > 0) {
							text, _ := json.Marshal(w)
							t.Fatalf("seed %d: %s (%s) > %s (%s):%d/%s: allowed %v, unknown %v; Check says %+v\n%s", seed, &src.end, src.end.IP, &dst.end, dst.end.IP, port, protocol, gotAllowed, gotUnknown, v, text)
						}
					}
				}
			}
		}
	}
	t.Logf("%d asked, %d allowed, %d unknown", asked, allowed, unknown)
	require.Greater(t, asked, 100_000)
	require.Greater(t, allowed, asked/20)
	require.Less(t, allowed, asked*19/20)
	require.Positive(t, unknown)
}
