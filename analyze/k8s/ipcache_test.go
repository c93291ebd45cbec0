package k8s

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// bundle is a snapshot in the making: resources as YAML flow or block text.
type bundle struct {
	cluster map[string]string
	nodes   []*nodedump.NodeNetworkStackDump
	netns   map[string][]*nodedump.NetNSInfo // by "nodes/n1"
	files   map[string]string
}

func (b bundle) open(t testing.TB) *snapshot.Snapshot {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{Tool: "test"})
	for resource, items := range b.cluster {
		require.NoError(t, w.Add("cluster/"+resource+".yaml", []byte("items: "+items)))
	}
	for _, n := range b.nodes {
		require.NoError(t, w.AddNode(n))
	}
	for base, list := range b.netns {
		for _, info := range list {
			require.NoError(t, w.AddNetNS(base, info))
		}
	}
	for name, text := range b.files {
		require.NoError(t, w.Add(name, []byte(text)))
	}
	s, err := w.Snapshot()
	require.NoError(t, err)
	return s
}

// netns makes a namespace of "device address..." texts.
func netns(key string, devices ...[]string) *nodedump.NetNSInfo {
	info := &nodedump.NetNSInfo{Key: key}
	for i, d := range devices {
		dev := nodedump.Interface{Name: d[0], Index: i + 1}
		for _, a := range d[1:] {
			dev.Addrs = append(dev.Addrs, nodedump.Addr{Prefix: a, Scope: "global"})
		}
		info.Interfaces = append(info.Interfaces, dev)
	}
	return info
}

func demo() bundle {
	return bundle{
		cluster: map[string]string{
			"nodes": `
- {metadata: {name: n1}, spec: {podCIDR: 10.244.1.0/24, podCIDRs: [10.244.1.0/24, "fd00:1::/64"]}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}, {type: ExternalIP, address: 203.0.113.1}, {type: Hostname, address: n1}]}}
- {metadata: {name: n2}, spec: {podCIDR: 10.244.2.0/24}, status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}}
`,
			"pods": `
- {metadata: {namespace: demo, name: client, uid: u-client}, spec: {nodeName: n1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}, status: {phase: Running, podIP: 10.244.1.2, podIPs: [{ip: 10.244.1.2}, {ip: "fd00:1::2"}]}}
- {metadata: {namespace: demo, name: job}, spec: {nodeName: n1}, status: {phase: Succeeded, podIP: 10.244.1.3}}
- {metadata: {namespace: demo, name: heir}, spec: {nodeName: n1}, status: {phase: Running, podIP: 10.244.1.3}}
- {metadata: {namespace: demo, name: old, creationTimestamp: "2026-01-01T00:00:00Z"}, spec: {nodeName: n1}, status: {phase: Running, podIP: 10.244.1.4}}
- {metadata: {namespace: demo, name: new, creationTimestamp: "2026-01-02T00:00:00Z"}, spec: {nodeName: n1}, status: {phase: Running, podIP: 10.244.1.4}}
- {metadata: {namespace: demo, name: waiting, creationTimestamp: "2026-01-03T00:00:00Z"}, spec: {nodeName: n1}, status: {phase: Pending, podIP: 10.244.1.4}}
- {metadata: {namespace: demo, name: agent}, spec: {nodeName: n2, hostNetwork: true}, status: {phase: Running, podIP: 192.168.0.2}}
- {metadata: {namespace: demo, name: unscheduled}, status: {phase: Pending}}
`,
			"services": `
- {metadata: {namespace: demo, name: web}, spec: {type: NodePort, clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10, "fd00:96::10"], externalIPs: [198.51.100.1, 192.168.0.1], ports: [{name: http, port: 80, nodePort: 30080, targetPort: 8080}, {name: dns, port: 53, protocol: UDP, nodePort: 30053}]}}
- {metadata: {namespace: demo, name: one}, spec: {type: LoadBalancer, clusterIP: 10.96.0.11, ports: [{port: 443}]}, status: {loadBalancer: {ingress: [{ip: 198.51.100.9}]}}}
- {metadata: {namespace: demo, name: db}, spec: {clusterIP: None, ports: [{name: sql, port: 5432, targetPort: 15432}]}}
- {metadata: {namespace: demo, name: empty}, spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}}
- {metadata: {namespace: demo, name: away}, spec: {type: ExternalName, externalName: db.example.com}}
`,
			"endpointslices": `
- {metadata: {namespace: demo, name: db-1, labels: {kubernetes.io/service-name: db}}, addressType: IPv4, endpoints: [{addresses: [10.244.1.4]}, {addresses: [10.244.1.2], conditions: {ready: true}}, {addresses: [10.244.1.9], conditions: {ready: false}}], ports: [{name: sql, port: 15432}]}
`,
			"configmaps": `
- {metadata: {namespace: kube-system, name: kube-proxy}, data: {config.conf: "kind: KubeProxyConfiguration\nclusterCIDR: 10.244.0.0/16\n"}}
- {metadata: {namespace: kube-flannel, name: kube-flannel-cfg}, data: {net-conf.json: '{"Network": "10.244.0.0/16", "IPv6Network": "fd00::/48"}'}}
`,
		},
		nodes: []*nodedump.NodeNetworkStackDump{
			{Name: "n1", Netns: []string{"host", "cni-1"}, Pods: []nodedump.PodNetInfo{{Namespace: "demo", Name: "client", UID: "u-client", Netns: "cni-1"}}},
			{Name: "n3", Netns: []string{"host"}},
			{Name: "gw", External: true, Netns: []string{"host"}},
		},
		netns: map[string][]*nodedump.NetNSInfo{
			"nodes/n1": {
				netns("host", []string{"lo", "127.0.0.1/8"}, []string{"eth0", "192.168.0.1/24"}, []string{"cni0", "10.244.1.1/24", "fe80::1/64"}, []string{"docker0", "172.17.0.1/16"}, []string{"kube-ipvs0", "10.96.0.10/32"}),
				netns("cni-1", []string{"eth0", "10.244.1.2/24"}),
			},
			"nodes/n3":    {netns("host", []string{"eth0", "192.168.0.3/24"}, []string{"docker0", "172.17.0.1/16"})},
			"external/gw": {netns("host", []string{"eth0", "192.168.0.254/24"})},
		},
		files: map[string]string{"nodes/n3/files/run/flannel/subnet.env": "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\n"},
	}
}

func cache(t testing.TB, b bundle) *IPCache {
	t.Helper()
	c, errs := NewIPCache(b.open(t))
	require.Empty(t, errs)
	return c
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestOwner(t *testing.T) {
	c := cache(t, demo())
	for _, tt := range []struct {
		why, ip, name string
		kind          model.EndpointType
	}{
		{"pod", "10.244.1.2", "pod demo/client", model.EndpointTypePod},
		{"pod, second family", "fd00:1::2", "pod demo/client", model.EndpointTypePod},
		{"IPv4 in IPv6", "::ffff:10.244.1.2", "pod demo/client", model.EndpointTypePod},
		{"a pod that has ended owns nothing", "10.244.1.3", "pod demo/heir", model.EndpointTypePod},
		{"the newer running pod wins", "10.244.1.4", "pod demo/new", model.EndpointTypePod},
		{"internal address of a node, though a Service claims it, too", "192.168.0.1", "node n1", model.EndpointTypeNode},
		{"external address of a node", "203.0.113.1", "node n1", model.EndpointTypeNode},
		{"a hostNetwork pod has its node's address", "192.168.0.2", "node n2", model.EndpointTypeNode},
		{"device of a node", "10.244.1.1", "node n1", model.EndpointTypeNode},
		{"node without a Node object", "192.168.0.3", "node n3", model.EndpointTypeNode},
		{"address of many nodes", "172.17.0.1", "", model.EndpointTypeExternal},
		{"link-local address", "fe80::1", "", model.EndpointTypeExternal},
		{"cluster address, also on kube-ipvs0", "10.96.0.10", "svc demo/web", model.EndpointTypeService},
		{"cluster address, second family", "fd00:96::10", "svc demo/web", model.EndpointTypeService},
		{"external address of a Service", "198.51.100.1", "svc demo/web", model.EndpointTypeService},
		{"load balancer address", "198.51.100.9", "svc demo/one", model.EndpointTypeLoadbalancer},
		{"host outside", "192.168.0.254", "external gw", model.EndpointTypeExternal},
		{"nobody", "8.8.8.8", "", model.EndpointTypeExternal},
	} {
		t.Run(tt.why, func(t *testing.T) {
			require.Equal(t, tt.name, c.Name(addr(tt.ip)))
			require.Equal(t, tt.kind, c.GetIPType(addr(tt.ip)))
		})
	}
}

func TestGetters(t *testing.T) {
	c := cache(t, demo())
	node, ok := c.GetPodNode(addr("10.244.1.2"))
	require.True(t, ok)
	require.Equal(t, "n1", node)

	_, ok = c.GetNodeFromIP(addr("192.168.0.3"))
	require.False(t, ok, "n3 has no object")
	n, ok := c.GetNodeFromIP(addr("10.244.1.1"))
	require.True(t, ok)
	require.Equal(t, "n1", n.Name)
	require.Equal(t, []netip.Addr{addr("192.168.0.1"), addr("203.0.113.1"), addr("10.244.1.1"), addr("172.17.0.1")}, c.GetNodeIPs("n1"))

	for ip, want := range map[string]string{"10.244.1.77": "n1", "fd00:1::77": "n1", "10.244.3.77": "n3", "10.244.9.1": ""} {
		got, ok := c.NodeOfPodCIDR(addr(ip))
		require.Equal(t, want, got)
		require.Equal(t, want != "", ok)
	}
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.244.3.0/24")}, c.GetNodePodCIDRs("n3"), "from subnet.env")

	s, p, ok := c.GetServiceFromNodePort(30080, model.TCP)
	require.True(t, ok)
	require.Equal(t, "web", s.Name)
	require.Equal(t, "http", p.Name)
	_, _, ok = c.GetServiceFromNodePort(30080, model.UDP)
	require.False(t, ok, "the node port is TCP's")
	_, p, ok = c.GetServiceFromNodePort(30053, model.UDP)
	require.True(t, ok)
	require.Equal(t, "dns", p.Name)
}

func TestCIDRs(t *testing.T) {
	c := cache(t, demo())
	require.Equal(t, []CIDR{
		{netip.MustParsePrefix("10.244.0.0/16"), "configmap kube-system/kube-proxy clusterCIDR"},
		{netip.MustParsePrefix("fd00::/48"), "configmap kube-flannel/kube-flannel-cfg net-conf.json IPv6Network"},
		{netip.MustParsePrefix("fd00:1::/64"), "podCIDR of node n1"},
	}, c.ClusterCIDRs())
	require.Equal(t, []CIDR{
		{netip.MustParsePrefix("10.96.0.10/31"), "the cluster addresses of 2 Services"},
		{netip.MustParsePrefix("fd00:96::10/128"), "the cluster addresses of 1 Services"},
	}, c.ServiceCIDRs())

	b := demo()
	b.cluster["configmaps"] = `
- {metadata: {namespace: kube-system, name: kubeadm-config}, data: {ClusterConfiguration: "networking: {podSubnet: 10.0.0.0/8, serviceSubnet: '10.96.0.0/12,fd00:96::/112'}"}}
`
	c = cache(t, b)
	require.Equal(t, netip.MustParsePrefix("10.0.0.0/8"), c.ClusterCIDRs()[0].Prefix)
	require.Equal(t, []CIDR{
		{netip.MustParsePrefix("10.96.0.0/12"), "configmap kube-system/kubeadm-config serviceSubnet"},
		{netip.MustParsePrefix("fd00:96::/112"), "configmap kube-system/kubeadm-config serviceSubnet"},
	}, c.ServiceCIDRs())
}

func TestWithoutClusterPart(t *testing.T) {
	b := demo()
	b.cluster = nil
	c, errs := NewIPCache(b.open(t))
	require.NotEmpty(t, errs)
	for _, err := range errs {
		require.ErrorIs(t, err, snapshot.ErrNotCollected)
	}
	require.ErrorIs(t, c.Missing("pods"), snapshot.ErrNotCollected)
	require.Equal(t, "node n1", c.Name(addr("192.168.0.1")))
	require.Equal(t, "pod demo/client", c.Name(addr("10.244.1.2")), "from node.json and the pod's own namespace")
	got, err := c.Resolve("pod:demo/client")
	require.NoError(t, err)
	require.Equal(t, "pod:demo/client (10.244.1.2)", got.Endpoint.String())
	_, err = c.Resolve("svc:demo/web")
	require.ErrorIs(t, err, snapshot.ErrNotCollected)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestBadAddressesAreToldAndSkipped(t *testing.T) {
	b := demo()
	b.cluster["nodes"] += "- {metadata: {name: odd}, spec: {podCIDR: nonsense}, status: {addresses: [{type: InternalIP, address: nowhere}]}}\n"
	b.cluster["pods"] += "- {metadata: {namespace: demo, name: odd}, status: {phase: Running, podIP: x}}\n"
	b.cluster["services"] += "- {metadata: {namespace: demo, name: odd}, spec: {clusterIP: yy}}\n"
	c, errs := NewIPCache(b.open(t))
	require.Len(t, errs, 4)
	for i, want := range []string{"node odd: ", "node odd: ", "pod demo/odd: ", "svc demo/odd: "} {
		require.ErrorContains(t, errs[i], want)
	}
	require.Equal(t, "pod demo/client", c.Name(addr("10.244.1.2")))
}

func TestLoad(t *testing.T) {
	b := demo()
	snap := b.open(t)
	c, _ := NewIPCache(snap)

	p, ok := c.LoadPod(snap, "demo", "client")
	require.True(t, ok)
	require.Equal(t, "cni-1", p.Netns)
	require.Equal(t, "cni-1", p.Info.Key)
	require.Empty(t, p.Missing)

	for name, want := range map[string]string{
		"heir":        "no network namespace that was collected on node n1 belongs to pod demo/heir",
		"unscheduled": "pod demo/unscheduled is on no node",
		"agent":       "not collected",
	} {
		p, ok = c.LoadPod(snap, "demo", name)
		require.True(t, ok)
		require.Nil(t, p.Info)
		require.Contains(t, p.Missing, want)
	}
	_, ok = c.LoadPod(snap, "demo", "nobody")
	require.False(t, ok)

	n, ok := c.LoadNode(snap, "n1")
	require.True(t, ok)
	require.Equal(t, "host", n.Info.Key)
	n, ok = c.LoadNode(snap, "n2")
	require.True(t, ok)
	require.Contains(t, n.Missing, "not collected")
	n, ok = c.LoadExternal(snap, "gw")
	require.True(t, ok)
	require.True(t, n.External)
	require.Equal(t, []netip.Addr{addr("192.168.0.254")}, n.IPs)
	_, ok = c.LoadExternal(snap, "nobody")
	require.False(t, ok)
}

func BenchmarkNewIPCache(b *testing.B) {
	snap := manyPods(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		if c, errs := NewIPCache(snap); len(errs) > 4 || len(c.podsByIP) != 10_000 {
			b.Fatal(errs)
		}
	}
}

func BenchmarkGetPodFromIP(b *testing.B) {
	c, _ := NewIPCache(manyPods(b, 10_000))
	ip := addr("10.0.17.5")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.GetPodFromIP(ip); !ok {
			b.Fatal("not found")
		}
	}
}

func manyPods(t testing.TB, n int) *snapshot.Snapshot {
	var list corev1.PodList
	for i := range n {
		p := corev1.Pod{}
		p.Namespace, p.Name = "demo", fmt.Sprintf("pod-%d", i)
		p.Spec.NodeName = fmt.Sprintf("n%d", i%100)
		p.Labels = map[string]string{"app": fmt.Sprint(i % 50)}
		p.Status.Phase, p.Status.PodIP = corev1.PodRunning, fmt.Sprintf("10.0.%d.%d", i/200, i%200)
		list.Items = append(list.Items, p)
	}
	data, err := json.Marshal(list)
	require.NoError(t, err)
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("cluster/pods.yaml", data))
	s, err := w.Snapshot()
	require.NoError(t, err)
	return s
}
