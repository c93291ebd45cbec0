package plugin_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

const (
	nodeList = `items:
- {metadata: {name: n1}, spec: {podCIDR: 10.244.1.0/24}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}}
- {metadata: {name: n2}, spec: {podCIDR: 10.244.2.0/24}, status: {addresses: [{type: InternalIP, address: 192.0.2.2}]}}
- {metadata: {name: n3}, spec: {podCIDR: 10.244.3.0/24}, status: {addresses: [{type: InternalIP, address: 192.0.2.3}]}}
`
	podList = `items:
- {metadata: {namespace: demo, name: a, uid: a}, spec: {nodeName: n1}, status: {phase: Running, podIP: 10.244.1.10}}
- {metadata: {namespace: demo, name: b, uid: b}, spec: {nodeName: n2}, status: {phase: Running, podIP: 10.244.2.10}}
- {metadata: {namespace: demo, name: unseen, uid: u}, spec: {nodeName: n1}, status: {phase: Running, podIP: 10.244.1.11}}
`
	serviceList = `items:
- {metadata: {namespace: demo, name: web}, spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{port: 80}]}}
`
)

// A world is three nodes, of which the bundle holds the first with one pod. It
// is the atlas of its own bundle.
type world struct {
	snap *snapshot.Snapshot
	ips  *k8s.IPCache
	read map[topology.Place]*netstack.NetNS
}

var hops = map[topology.Place]model.Hop{
	{Base: "nodes/n1", Netns: "host"}: {Type: model.NetNodeTypeNode, ID: "n1"},
	{Base: "nodes/n1", Netns: "a"}:    {Type: model.NetNodeTypePod, ID: "demo/a"},
	{Base: "nodes/n2", Netns: "host"}: {Type: model.NetNodeTypeNode, ID: "n2"},
	{Base: "nodes/n3", Netns: "host"}: {Type: model.NetNodeTypeNode, ID: "n3"},
}

func (w *world) NetNS(p topology.Place) *netstack.NetNS {
	if ns, ok := w.read[p]; ok {
		return ns
	}
	if info, err := w.snap.NetNS(strings.TrimPrefix(p.Base, "nodes/"), p.Netns); err == nil {
		w.read[p], _ = netstack.New(info)
	}
	return w.read[p]
}

func (w *world) Places(base string) (places []topology.Place) {
	for _, key := range []string{"host", "a"} {
		if p := (topology.Place{Base: base, Netns: key}); w.NetNS(p) != nil {
			places = append(places, p)
		}
	}
	return places
}

func (w *world) Pod(ip netip.Addr) (topology.Place, bool) {
	return topology.Place{Base: "nodes/n1", Netns: "a"}, ip.String() == "10.244.1.10"
}

func (w *world) Owner(ip netip.Addr) (topology.Place, bool) {
	node, ok := w.ips.GetNodeNameFromIP(ip)
	return topology.Place{Base: "nodes/" + node, Netns: "host"}, ok
}

// open makes a world in which node n1 and its pod have these routes, each
// "PREFIX DEV [VIA]", and what a plugin may use there.
func open(t *testing.T, node, pod []string) (*world, plugin.Env) {
	t.Helper()
	return openCluster(t, nodeList, node, pod)
}

// openCluster is open with Node objects of its own.
func openCluster(t *testing.T, nodes string, node, pod []string) (*world, plugin.Env) {
	t.Helper()
	elsewhere := 0
	dev := func(name, kind string, index int, mac, addr string) nodedump.Interface {
		d := nodedump.Interface{Name: name, Kind: kind, Index: index, MAC: mac, MTU: 1500, Flags: []string{"UP"}}
		if addr != "" {
			d.Addrs = []nodedump.Addr{{Prefix: addr, Scope: "global"}}
		}
		return d
	}
	veth, eth0 := dev("veth0", "veth", 4, "02:00:00:00:01:0a", ""), dev("eth0", "veth", 2, "0a:00:00:00:00:0a", "10.244.1.10/24")
	veth.Link, veth.LinkNSID, veth.Master, veth.Port = 2, &elsewhere, 3, &nodedump.Port{State: "forwarding"}
	eth0.Link, eth0.LinkNSID = 4, &elsewhere
	w := snapshot.NewWriter(snapshot.Meta{})
	for resource, list := range map[string]string{"nodes": nodes, "pods": podList, "services": serviceList, "configmaps": "items: []"} {
		require.NoError(t, w.Add("cluster/"+resource+".yaml", []byte(list)))
	}
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1", Netns: []string{"host", "a"},
		Pods: []nodedump.PodNetInfo{{Namespace: "demo", Name: "a", UID: "a", Netns: "a"}}}))
	require.NoError(t, w.AddNetNS("nodes/n1", netns("host", node, dev("eth0", "", 2, "02:00:00:00:00:01", "192.0.2.1/24"),
		dev("cni0", "bridge", 3, "02:00:00:00:01:00", "10.244.1.1/24"), veth)))
	require.NoError(t, w.AddNetNS("nodes/n1", netns("a", pod, eth0)))
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, problems := k8s.NewIPCache(snap)
	require.Empty(t, problems)
	atlas := &world{snap, ips, map[topology.Place]*netstack.NetNS{}}
	return atlas, plugin.Env{Snapshot: snap, IPCache: ips, Topology: topology.New(atlas), Atlas: atlas,
		HopOf: func(p topology.Place) model.Hop { return hops[p] }}
}

func netns(key string, routes []string, devices ...nodedump.Interface) *nodedump.NetNSInfo {
	empty := nodedump.Part{Status: nodedump.StatusEmpty}
	info := &nodedump.NetNSInfo{Key: key, Interfaces: devices, Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
		IPTables: empty, IPTablesLegacy: empty, IP6Tables: empty, IP6TablesLegacy: empty, NFT: empty, IPSet: empty, Conntrack: empty}
	if key == "host" { // a router that the bundle does not show
		info.Neighbours = []nodedump.Neighbour{{IP: "192.0.2.254", Dev: "eth0", MAC: "02:00:00:00:00:fe", State: "REACHABLE"}}
	}
	for _, r := range routes {
		f := append(strings.Fields(r), "")
		info.Routes = append(info.Routes, nodedump.Route{Family: 4, Table: route.TableMain, Dst: f[0], Dev: f[1], Via: f[2]})
	}
	return info
}

// fabric means pods of other nodes to be reached by a route to their node.
type fabric struct {
	env    plugin.Env
	silent bool   // it asserts nothing
	device string // that must be up
	masks  bool   // what pods send leaves with the node's address
}

func (f *fabric) LocalPod(*assertions.NetstackAssertion, *corev1.Pod) {}

func (f *fabric) Remote(a *assertions.NetstackAssertion, ip netip.Addr, node *corev1.Node) {
	if !f.silent {
		a.AssertRoute(route.Query{IIf: "cni0"}, assertions.Way{Dst: ip, To: f.env.IPCache.GetNodePodCIDRs(node.Name)[0], Dev: "eth0",
			Via: f.env.IPCache.GetNodeIPs(node.Name)[0]})
	}
}

func (f *fabric) Arrival(a *assertions.NetstackAssertion, _ *model.Link) {
	if !f.silent {
		a.AssertDevice(f.device, "the device")
	}
}

func (f *fabric) Masquerades(model.Packet) bool { return f.masks }

func pod(t *testing.T, w *world, env plugin.Env, name string) model.NetNodeAction {
	t.Helper()
	p, ok := w.ips.LoadPod(w.snap, "demo", name)
	require.True(t, ok)
	action, err := plugin.NewSimpleVEthPod(env, p, "eth0", nil)
	require.NoError(t, err)
	return action
}

func node(t *testing.T, w *world, env plugin.Env, name string, f *fabric) model.NetNodeAction {
	t.Helper()
	n, ok := w.ips.LoadNode(w.snap, name)
	require.True(t, ok)
	f.env = env
	action, err := plugin.NewHost(env, n, f)
	require.NoError(t, err)
	return action
}

// said is "level code on" of each suspicion of a node.
func said(n *model.NetNode) (all []string) {
	for _, s := range n.Suspicions {
		all = append(all, s.Level.String()+" "+s.Code+" "+s.On.String())
	}
	return all
}

func toB() model.Endpoint {
	return model.Endpoint{Type: model.EndpointTypePod, Name: "demo/b", IP: netip.MustParseAddr("10.244.2.10"), Port: 80}
}

const (
	onLink, onBridge = "192.0.2.0/24 eth0", "10.244.1.0/24 cni0"
	toN2, toN3       = "10.244.2.0/24 eth0 192.0.2.2", "10.244.2.0/24 eth0 192.0.2.3"
	podLink, podWay  = "10.244.1.0/24 eth0", "0.0.0.0/0 eth0 10.244.1.1"
)

// One packet, from pod a to pod b of node n2, as node n1 sees it.
func TestMeantAndReal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		routes []string
		fabric fabric
		next   string
		want   []string // suspicions
		meant  bool     // Meant says n2
	}{
		{"it goes the meant way", []string{toN2}, fabric{device: "eth0"}, "node:n2", nil, false},
		{"what is wrong beside the meant way only warns", []string{toN2}, fabric{device: "gone0"}, "node:n2", []string{"warning link/missing node:n1"}, false},
		{"it is diverted, and a finding says by what", []string{toN3}, fabric{device: "eth0"}, "node:n3", []string{"fatal route/diverted node:n1"}, true},
		{"it is diverted, and nobody explains", []string{toN3}, fabric{silent: true}, "node:n3", []string{"fatal route/diverted node:n1"}, true},
		{"a router takes it, and nobody says that it should not", []string{"10.244.2.0/24 eth0 192.0.2.254"}, fabric{silent: true}, "external:192.0.2.254", nil, false},
		{"a router takes it, and a finding says that it should not", []string{"10.244.2.0/24 eth0 192.0.2.254"}, fabric{device: "eth0"}, "external:192.0.2.254", []string{"fatal route/diverted node:n1"}, true},
		{"it is lost, and a finding says why", nil, fabric{device: "eth0"}, "", []string{"fatal route/missing node:n1"}, true},
		{"it is lost, and the namespace says why", nil, fabric{silent: true}, "", []string{"fatal route/missing node:n1"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, env := open(t, append(tt.routes, onLink, onBridge), []string{podLink, podWay})
			a := pod(t, w, env, "a")
			sent, err := a.Send(toB(), model.TCP)
			require.NoError(t, err)
			require.Len(t, sent, 1)
			require.Equal(t, "node:n1", sent[0].NextHop.String())
			require.Empty(t, said(a.Node()))

			n1 := node(t, w, env, "n1", &tt.fabric)
			sent, err = n1.Receive(sent[0].Link)
			require.NoError(t, err)
			next := ""
			if len(sent) > 0 {
				next = sent[0].NextHop.String()
			}
			require.Equal(t, tt.next, next)
			require.Equal(t, tt.want, said(n1.Node()))
			require.Equal(t, tt.meant, len(n1.Node().Meant) == 1)
			for _, m := range n1.Node().Meant {
				require.Equal(t, "node:n2", m.NextHop.String())
			}
		})
	}
}

func TestDetourNamesBothWays(t *testing.T) {
	w, env := open(t, []string{onLink, onBridge, toN3}, []string{podLink, podWay})
	sent, err := pod(t, w, env, "a").Send(toB(), model.TCP)
	require.NoError(t, err)
	n1 := node(t, w, env, "n1", &fabric{silent: true})
	_, err = n1.Receive(sent[0].Link)
	require.NoError(t, err)
	s := n1.Node().Suspicions[0]
	require.Contains(t, s.Message, "goes to node:n3")
	require.Contains(t, s.Message, "send it to node:n2")
	require.Contains(t, s.Evidence, "nodes/n1/netns/host/netns.json:")
}

func TestNodeNotReady(t *testing.T) {
	nodes := strings.Replace(nodeList, "{addresses:", `{conditions: [{type: Ready, status: "False", message: gone}], addresses:`, 1)
	w, env := openCluster(t, nodes, []string{onLink, onBridge, toN2}, []string{podLink, podWay})
	sent, err := pod(t, w, env, "a").Send(toB(), model.TCP)
	require.NoError(t, err)
	n1 := node(t, w, env, "n1", &fabric{device: "eth0"})
	_, err = n1.Receive(sent[0].Link)
	require.NoError(t, err)
	require.Equal(t, []string{"warning cluster/node-not-ready node:n1"}, said(n1.Node()))
}

func TestPodWithoutDefaultRoute(t *testing.T) {
	w, env := open(t, []string{onLink, onBridge, toN2}, []string{podLink})
	a := pod(t, w, env, "a")
	sent, err := a.Send(toB(), model.TCP)
	require.NoError(t, err)
	require.Empty(t, sent)
	require.Equal(t, []string{"fatal route/missing pod:demo/a"}, said(a.Node()))
	require.Equal(t, model.NoRoute, a.Node().Visits[0].Disposition)
}

// What was not collected says that it does not know, and blames nobody.
func TestAbsent(t *testing.T) {
	w, env := open(t, []string{onLink, onBridge, toN2}, []string{podLink, podWay})
	for _, action := range []model.NetNodeAction{pod(t, w, env, "unseen"), pod(t, w, env, "b"), node(t, w, env, "n2", &fabric{})} {
		sent, err := action.Send(toB(), model.TCP)
		require.NoError(t, err)
		require.Empty(t, sent)
		first, err := pod(t, w, env, "a").Send(toB(), model.TCP)
		require.NoError(t, err)
		sent, err = action.Receive(first[0].Link)
		require.NoError(t, err)
		require.Empty(t, sent)
		require.Empty(t, said(action.Node()))
		require.Len(t, action.Node().Visits, 2)
		for _, v := range action.Node().Visits {
			require.Equal(t, model.Unknown, v.Disposition)
			require.Len(t, v.Doubts, 1)
			require.Contains(t, v.Doubts[0].What, action.Node().Hop.String())
		}
	}
}
