package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// services of namespace demo, beside the pods of world. Behind "sliced" is a
// pod that is not ready, which counts only where none is.
const services = `
- {metadata: {namespace: demo, name: front}, spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], type: NodePort, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http, nodePort: 30080}, {name: dns, port: 53, protocol: UDP, targetPort: dns}]}}
- {metadata: {namespace: demo, name: plain}, spec: {clusterIP: 10.96.0.2, clusterIPs: [10.96.0.2], selector: {app: db}, ports: [{port: 5432}]}}
- {metadata: {namespace: demo, name: numbered}, spec: {clusterIP: 10.96.0.3, clusterIPs: [10.96.0.3], selector: {app: db}, ports: [{port: 80, targetPort: 5432}]}}
- {metadata: {namespace: demo, name: headless}, spec: {clusterIP: None, clusterIPs: [None], selector: {app: db}, ports: [{port: 5432}]}}
- {metadata: {namespace: demo, name: sliced}, spec: {clusterIP: 10.96.0.4, clusterIPs: [10.96.0.4], ports: [{name: a, port: 80}]}}
- {metadata: {namespace: demo, name: waiting}, spec: {clusterIP: 10.96.0.5, clusterIPs: [10.96.0.5], ports: [{name: a, port: 80}]}}
- {metadata: {namespace: demo, name: hosted}, spec: {clusterIP: 10.96.0.6, clusterIPs: [10.96.0.6], selector: {app: client}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: nobody}, spec: {clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7], selector: {app: nobody}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: outside}, spec: {type: ExternalName, externalName: example.org}}
- {metadata: {namespace: demo, name: manual}, spec: {clusterIP: 10.96.0.8, clusterIPs: [10.96.0.8], ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: web}, spec: {clusterIP: 10.96.0.9, clusterIPs: [10.96.0.9], selector: {app: web}, ports: [{port: 80}]}}
`

const endpointSlices = `
- {metadata: {namespace: demo, name: sliced-1, labels: {kubernetes.io/service-name: sliced}}, addressType: IPv4, ports: [{name: a, port: 8080}], endpoints: [{addresses: [10.244.1.3], targetRef: {kind: Pod, name: web}}, {addresses: [10.244.2.2], targetRef: {kind: Pod, name: db}, conditions: {ready: false}}]}
- {metadata: {namespace: demo, name: waiting-1, labels: {kubernetes.io/service-name: waiting}}, addressType: IPv4, ports: [{name: a, port: 8081}], endpoints: [{addresses: [10.244.2.2], conditions: {ready: false}}]}
- {metadata: {namespace: demo, name: manual-1, labels: {kubernetes.io/service-name: manual}}, addressType: IPv4, ports: [{port: 443}], endpoints: [{addresses: [9.9.9.9]}]}
`

// late are pods without an address, and one with two.
const late = `
- {metadata: {namespace: demo, name: late, labels: {app: late}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}}
- {metadata: {namespace: demo, name: latehost}, spec: {hostNetwork: true}}
- {metadata: {namespace: demo, name: done}, status: {phase: Succeeded}}
`

func resolver(t testing.TB, policies, morePods string) *Resolver {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	for part, items := range map[string]string{
		"pods": strings.TrimRight(world, "\n") + morePods, partNP: policies, "services": services, "configmaps": "[]", "endpointslices": endpointSlices,
		"namespaces": "\n- {metadata: {name: demo, labels: {team: red}}}\n- {metadata: {name: other, labels: {team: blue}}}\n",
		"nodes":      "\n- {metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}\n- {metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}}\n",
	} {
		require.NoError(t, w.Add("cluster/"+part+".yaml", []byte("items: "+items)))
	}
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, errs := k8s.NewIPCache(snap)
	require.Empty(t, errs)
	n, errs := New(snap, ips)
	require.Empty(t, errs)
	r, errs := NewResolver(n, snap)
	require.Empty(t, errs)
	return r
}

func TestWords(t *testing.T) {
	const v6 = late + "- {metadata: {namespace: demo, name: dual}, spec: {nodeName: n2}, status: {podIP: 10.244.2.8, podIPs: [{ip: 10.244.2.8}, {ip: \"fd00::8\"}]}}\n"
	r := resolver(t, "[]", v6)
	for _, tt := range []struct {
		why, src, dst string
		port          uint16
		protocol      model.Protocol
		want          string
	}{
		{"a pod", "pod:demo/client", "pod:demo/web", 80, "tcp", "pod demo/client > pod demo/web:80"},
		{"a pod without its kind", "demo/client", "demo/db", 80, "tcp", "pod demo/client > pod demo/db:80"},
		{"a pod's named port", "demo/client", "pod:demo/web:http", 0, "tcp", "pod demo/client > pod demo/web:8080"},
		{"addresses of pods and others", "10.244.1.2", "8.8.8.8", 53, "udp", "pod demo/client > 8.8.8.8:53"},
		{"an address with its port", "8.8.8.8", "10.244.1.3:80", 0, "tcp", "8.8.8.8 > pod demo/web:80"},
		{"a Service's named port, named target port", "demo/client", "svc:demo/front:http", 0, "tcp", "pod demo/client > pod demo/web:8080"},
		{"its number", "demo/client", "svc:demo/front", 80, "tcp", "pod demo/client > pod demo/web:8080"},
		{"its UDP port", "demo/client", "svc:demo/front:53", 0, "udp", "pod demo/client > pod demo/web:53"},
		{"a Service without its kind", "demo/client", "demo/plain", 0, "tcp", "pod demo/client > pod demo/db:5432"},
		{"a numeric target port", "demo/client", "svc:demo/numbered", 0, "tcp", "pod demo/client > pod demo/db:5432"},
		{"headless", "demo/client", "svc:demo/headless", 0, "tcp", "pod demo/client > pod demo/db:5432"},
		{"its address", "demo/client", "10.96.0.3:80", 0, "tcp", "pod demo/client > pod demo/db:5432"},
		{"a node port", "8.8.8.8", "node:n2:30080", 0, "tcp", "8.8.8.8 > pod demo/web:8080"},
		{"a node's port that is none", "8.8.8.8", "node:n2", 22, "tcp", "8.8.8.8 > node n2:22"},
		{"endpoint slices, what is ready", "demo/client", "svc:demo/sliced", 0, "tcp", "pod demo/client > pod demo/web:8080"},
		{"endpoint slices, nothing is ready", "demo/client", "svc:demo/waiting", 0, "tcp", "pod demo/client > pod demo/db:8081"},
		{"endpoints that are no pods", "demo/client", "svc:demo/manual", 0, "tcp", "pod demo/client > 9.9.9.9:443"},
		{"a backend with the network of its node", "other/web", "svc:demo/hosted", 0, "tcp", "pod other/web > node n2:80; pod other/web > pod demo/client:80"},
		{"a Service as the source is its pods", "svc:demo/front", "8.8.8.8", 53, "udp", "pod demo/web > 8.8.8.8:53"},
		{"protocols without ports", "demo/client", "svc:demo/front", 0, "icmp", "pod demo/client > pod demo/web:0"},
		{"a pod without address", "demo/late", "pod:demo/late", 80, "tcp", "pod demo/late > pod demo/late:80"},
		{"its named port", "demo/client", "pod:demo/late:http", 0, "tcp", "pod demo/client > pod demo/late:8080"},
		{"its numeric port", "demo/client", "demo/late:81", 0, "tcp", "pod demo/client > pod demo/late:81"},
		{"a pod with the network of a node that is not known", "demo/latehost", "demo/db", 80, "tcp", "a node > pod demo/db:80"},
		{"both families", "demo/dual", "demo/dual", 80, "tcp", "pod demo/dual > pod demo/dual:80; pod demo/dual > pod demo/dual:80"},
		{"the family that both have", "demo/client", "demo/dual", 80, "tcp", "pod demo/client > pod demo/dual:80"},
	} {
		flows, err := r.Flows(Question{Src: tt.src, Dst: tt.dst, Port: tt.port, Protocol: tt.protocol})
		require.NoError(t, err, tt.why)
		var got []string
		for _, f := range flows {
			got = append(got, fmt.Sprintf("%s > %s:%d", &f.Src, &f.Dst, f.Port))
		}
		slices.Sort(got)
		require.Equal(t, tt.want, strings.Join(got, "; "), tt.why)
	}
	for _, tt := range []struct {
		why, src, dst string
		is            error
	}{
		{"a pod and a Service of one name", "demo/client", "demo/web:80", k8s.ErrWord},
		{"nobody", "demo/client", "demo/nothing:80", nil},
		{"no such Service", "demo/client", "svc:demo/nothing:80", nil},
		{"nonsense", "demo/client", "frob", k8s.ErrWord},
		{"a pod that has ended", "demo/done", "8.8.8.8:53", k8s.ErrNoAddress},
		{"no port", "demo/client", "demo/db", ErrQuestion},
		{"which port", "demo/client", "svc:demo/front", ErrQuestion},
		{"no such port", "demo/client", "svc:demo/front:81", ErrQuestion},
		{"the port of another protocol", "demo/client", "svc:demo/front:53", ErrQuestion},
		{"a name that the pod does not have", "demo/client", "demo/late:dns", nil},
		{"no backend", "demo/client", "svc:demo/nobody", k8s.ErrNoAddress},
		{"ExternalName", "demo/client", "svc:demo/outside:80", k8s.ErrNoAddress},
		{"no family in common", "demo/client", "[fd00::1]:80", ErrQuestion},
	} {
		_, err := r.Flows(Question{Src: tt.src, Dst: tt.dst, Protocol: model.TCP})
		require.Error(t, err, tt.why)
		if tt.is != nil {
			require.ErrorIs(t, err, tt.is, tt.why)
		}
	}
}

// A policy sees the backend: its pod and its port, not the Service's.
func TestServicesAreSeenBehindTranslation(t *testing.T) {
	for why, tt := range map[string]struct {
		policies, src, dst string
		want               Outcome
	}{
		"the Service's port does not count":       {ingress("[{ports: [{port: 80}]}]"), "demo/client", "svc:demo/front:80", Denied},
		"the target port does":                    {ingress("[{ports: [{port: 8080}]}]"), "demo/client", "svc:demo/front:80", Allowed},
		"the Service's address is in no ipBlock":  {egress("[{to: [{ipBlock: {cidr: 10.96.0.0/16}}]}]"), "demo/client", "svc:demo/front:80", Denied},
		"that of the backend is":                  {egress("[{to: [{ipBlock: {cidr: 10.244.0.0/16}}]}]"), "demo/client", "svc:demo/front:80", Allowed},
		"some backends are allowed":               {"[{metadata: {namespace: demo, name: p}, spec: {podSelector: {matchLabels: {app: client}}, policyTypes: [Ingress]}}]", "other/web", "svc:demo/hosted", Mixed},
		"an address that is not known yet":        {ingress("[{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]"), "demo/late", "pod:demo/web:http", Unknown},
		"all addresses, whatever it will be":      {ingress("[{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]"), "demo/late", "pod:demo/web:http", Allowed},
		"none of IPv6 where there is no IPv6":     {ingress("[{from: [{ipBlock: {cidr: \"::/0\"}}]}]"), "demo/late", "pod:demo/web:http", Denied},
		"all but some, whatever it will be":       {ingress("[{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [9.0.0.0/8]}}]}]"), "demo/late", "pod:demo/web:http", Unknown},
		"an address that changes nothing":         {ingress("[{from: [{ipBlock: {cidr: 10.0.0.0/8}}, {podSelector: {}}]}]"), "demo/late", "pod:demo/web:http", Allowed},
		"an address that matters at another port": {ingress("[{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 1}]}]"), "demo/late", "pod:demo/web:http", Denied},
	} {
		r := resolver(t, tt.policies, late)
		a, err := r.Ask(Question{Src: tt.src, Dst: tt.dst, Protocol: model.TCP}, "")
		require.NoError(t, err, why)
		require.Equal(t, tt.want, a.Outcome, why)
		c, err := r.Check(Question{Src: tt.src, Dst: tt.dst, Protocol: model.TCP})
		require.NoError(t, err, why)
		require.Equal(t, tt.want, c.Outcome, why)
		require.Equal(t, tt.want == Unknown || tt.want == Mixed, len(c.Unknown) > 0, why)
		var text, doc, line bytes.Buffer
		require.NoError(t, WriteText(&text, a))
		require.Contains(t, text.String(), strings.ToUpper(string(tt.want)))
		require.NoError(t, WriteJSON(&doc, a, nil))
		require.True(t, json.Valid(doc.Bytes()))
		require.NotContains(t, doc.String(), "[]null")
		require.NoError(t, WriteJSONLine(&line, c))
		require.Equal(t, tt.want == Allowed, strings.HasPrefix(line.String(), `{"allowed":true,`), why)
		require.Equal(t, tt.want == Denied, strings.HasPrefix(line.String(), `{"allowed":false,`), why)
	}
}

// What the API leaves open about addresses and translation is said, per plugin.
func TestTranslationIsSaid(t *testing.T) {
	in := ingress("[{from: [{ipBlock: {cidr: 9.0.0.0/8}}]}]")
	out := egress("[{to: [{ipBlock: {cidr: 9.0.0.0/8}}]}]")
	for _, tt := range []struct{ why, policies, src, dst, plugin, want string }{
		{"ingress, plugin not known", in, "8.8.8.8", "demo/db", "", ""},
		{"a block, plugin not known", in, "8.8.8.8", "pod:demo/web", "", "ipBlock: whether addresses are seen before or after translation depends on the network plugin"},
		{"a block, another plugin", in, "8.8.8.8", "pod:demo/web", "frob", "depends on the network plugin"},
		{"a block, Calico", in, "8.8.8.8", "pod:demo/web", "calico", "ipBlock (calico): addresses are seen before the destination's node masquerades"},
		{"a block, kube-router", in, "8.8.8.8", "pod:demo/web", "kube-router", "ipBlock (kube-router): "},
		{"a block, kindnet", in, "8.8.8.8", "pod:demo/web", "kindnet", "ipBlock (kindnet): "},
		{"a block, Cilium", in, "8.8.8.8", "pod:demo/web", "cilium", "Cilium knows them by identity"},
		{"egress, Calico", out, "demo/client", "8.8.8.8", "calico", "addresses are seen after Services are translated"},
		{"between pods there is none", in, "demo/client", "pod:demo/web", "calico", ""},
		{"the node of a pod", in, "192.168.0.2", "pod:demo/web", "", "pods with the network of their node are the node to policies"},
	} {
		a, err := resolver(t, tt.policies, late).Ask(Question{Src: tt.src, Dst: tt.dst, Port: 80, Protocol: model.TCP}, tt.plugin)
		require.NoError(t, err, tt.why)
		got := strings.Join(a.Flows[0].Comments, "\n")
		require.Equal(t, tt.want == "", got == "", "%s: %s", tt.why, got)
		require.Contains(t, got, tt.want, tt.why)
	}
}
