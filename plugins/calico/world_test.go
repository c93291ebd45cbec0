package calico

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A state is a bundle before it is written: three nodes with a block and a pod
// each, of which the first, with its pod, was dumped. n1 and n2 share a subnet,
// n3 is in another one.
type state struct {
	objects   map[string]string // of the cluster, by resource
	node, pod nodedump.NetNSInfo
	far       *nodedump.NetNSInfo // of n2
}

// An edit changes a healthy state.
type edit func(*state)

const (
	veth = "cali44c7791d104" // of demo/a
	masq = "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:cali-nat-outgoing - [0:0]\n-A POSTROUTING -j cali-nat-outgoing\n" +
		"-A cali-nat-outgoing -m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE\nCOMMIT\n"
	sets = "create cali40all-ipam-pools hash:net family inet hashsize 1024 maxelem 1048576\nadd cali40all-ipam-pools 10.0.0.0/16\n" +
		"create cali40masq-ipam-pools hash:net family inet hashsize 1024 maxelem 1048576\nadd cali40masq-ipam-pools 10.0.0.0/16\n"
	keys = ", projectcalico.org/WireguardPublicKey: k"
)

func device(name, kind string, index, mtu int, more ...string) nodedump.Interface {
	mac, addrs := more[0], more[1:]
	d := nodedump.Interface{Name: name, Kind: kind, Index: index, MAC: mac, MTU: mtu, Flags: []string{"UP"}}
	for _, a := range addrs {
		d.Addrs = append(d.Addrs, nodedump.Addr{Prefix: a, Scope: "global"})
	}
	return d
}

func way(dst, dev, via string) nodedump.Route {
	r := nodedump.Route{Family: 4, Table: 254, Dst: dst, Dev: dev, Via: via}
	if dev == "" {
		r.Type = "blackhole"
	}
	if via != "" && (dev == ipipDevice || dev == vxlanDevice) {
		r.Flags = []string{"onlink"}
	}
	return r
}

func part(text string) nodedump.Part {
	if text == "" {
		return nodedump.Part{Status: nodedump.StatusEmpty}
	}
	return nodedump.Part{Status: nodedump.StatusOK, Data: []byte(text)}
}

func netns(key string, routes []nodedump.Route, devices ...nodedump.Interface) nodedump.NetNSInfo {
	return nodedump.NetNSInfo{Key: key, Interfaces: devices, Routes: routes, Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
		IPTables: part(""), IPTablesLegacy: part(""), IP6Tables: part(""), IP6TablesLegacy: part(""), NFT: part(""), IPSet: part(""), Conntrack: part("")}
}

// healthy is a cluster with one pool of a mode, which is "ipip" or "vxlan" and
// "Always" or "CrossSubnet", or "" for none, or "wireguard".
func healthy(mode string) *state {
	tunnel, when, _ := strings.Cut(mode, " ")
	felix := "{metadata: {name: default}, spec: {}}"
	annotations := func(n int, addr string) string {
		more := ""
		if mode == "wireguard" {
			more = keys
		}
		return fmt.Sprintf("- {metadata: {name: n%d, annotations: {projectcalico.org/IPv4Address: %s, projectcalico.org/IPv4VXLANTunnelAddr: 10.0.%d.0%s}}, status: {addresses: [{type: InternalIP, address: %s}]}}\n",
			n, addr, n, more, strings.Split(addr, "/")[0])
	}
	pool := map[string]string{"ipip": "ipipMode: " + when + ", ", "vxlan": "vxlanMode: " + when + ", "}[tunnel]
	pods, claims, blocks := "", "", ""
	for n, name := range []string{"a", "b", "c"} {
		pods += fmt.Sprintf("- {metadata: {namespace: demo, name: %s, uid: %s}, spec: {nodeName: n%d}, status: {phase: Running, podIP: 10.0.%d.5}}\n", name, name, n+1, n+1)
		claims += fmt.Sprintf("- {metadata: {name: c%d}, spec: {cidr: 10.0.%d.0/26, node: n%d, state: confirmed, deleted: \"false\"}}\n", n+1, n+1, n+1)
		blocks += fmt.Sprintf("- {metadata: {name: b%d}, spec: {cidr: 10.0.%d.0/26, affinity: \"host:n%d\", allocations: [0, null, null, null, null, 0], attributes: [{secondary: {node: n%d}}]}}\n", n+1, n+1, n+1, n+1)
	}
	if mode == "wireguard" {
		felix = "{metadata: {name: default}, spec: {wireguardEnabled: true}}"
	}
	s := &state{objects: map[string]string{
		"nodes": annotations(1, "172.31.0.1/24") + annotations(2, "172.31.0.2/24") + annotations(3, "198.51.100.3/24"), "pods": pods,
		"ippools." + snapshot.CalicoStored:          "- {metadata: {name: p}, spec: {cidr: 10.0.0.0/16, " + pool + "natOutgoing: true}}\n",
		"blockaffinities." + snapshot.CalicoStored:  claims,
		"ipamblocks." + snapshot.CalicoStored:       blocks,
		"felixconfigurations." + snapshot.CalicoAPI: "- " + felix + "\n",
		"bgpconfigurations." + snapshot.CalicoAPI:   "- {metadata: {name: default}, spec: {}}\n",
	}}
	here := 0
	cable, eth0 := device(veth, "veth", 4, 1400, "ee:ee:ee:ee:ee:ee"), device(ifName, "veth", 2, 1400, "0a:00:00:00:00:05", "10.0.1.5/32")
	cable.Link, cable.LinkNSID, eth0.Link, eth0.LinkNSID = 2, &here, 4, &here
	s.node = netns("host", []nodedump.Route{way("172.31.0.0/24", "eth0", ""), way("0.0.0.0/0", "eth0", "172.31.0.254"), way("10.0.1.5/32", veth, ""), way("10.0.1.0/26", "", "")},
		device("eth0", "", 2, 1500, "02:00:00:00:00:01", "172.31.0.1/24"), cable)
	s.node.IPTables, s.node.IPSet = part(masq), part(sets)
	s.node.Sysctls["net.ipv4.conf."+veth+".proxy_arp"] = "1"
	s.node.Neighbours = []nodedump.Neighbour{{IP: "172.31.0.254", Dev: "eth0", MAC: "02:00:00:00:00:fe", State: "REACHABLE"},
		{IP: "172.31.0.2", Dev: "eth0", MAC: "02:00:00:00:00:02", State: "REACHABLE"}, {IP: "10.0.1.5", Dev: veth, MAC: "0a:00:00:00:00:05", State: "STALE"}}
	s.pod = netns("a", []nodedump.Route{way("169.254.1.1/32", ifName, ""), way("0.0.0.0/0", ifName, "169.254.1.1")}, eth0)
	s.pod.Neighbours = []nodedump.Neighbour{{IP: "169.254.1.1", Dev: ifName, MAC: "ee:ee:ee:ee:ee:ee", State: "STALE"}}
	s.wire(tunnel, when)
	return s
}

// wire writes what leads to the other nodes.
func (s *state) wire(tunnel, when string) {
	far := map[string]string{"n2": "172.31.0.2", "n3": "198.51.100.3"}
	for n, name := range []string{"n2", "n3"} {
		block, vtep := fmt.Sprintf("10.0.%d.0/26", n+2), fmt.Sprintf("10.0.%d.0", n+2)
		near := name == "n2"
		switch {
		case tunnel == "wireguard":
			r := way(block, wireguard, "")
			r.Table = 1
			s.node.Routes = append(s.node.Routes, r)
		case tunnel == "ipip" && (when == "Always" || !near):
			s.node.Routes = append(s.node.Routes, way(block, ipipDevice, far[name]))
		case tunnel == "vxlan" && (when == "Always" || !near):
			s.node.Routes = append(s.node.Routes, way(block, vxlanDevice, vtep))
			s.node.Neighbours = append(s.node.Neighbours, nodedump.Neighbour{IP: vtep, Dev: vxlanDevice, MAC: vtepMAC(name, false), State: "PERMANENT"})
			s.node.FDB = append(s.node.FDB, nodedump.FDBEntry{MAC: vtepMAC(name, false), Dev: vxlanDevice, Dst: far[name], Flags: []string{"self"}, State: "permanent"})
		case near:
			s.node.Routes = append(s.node.Routes, way(block, "eth0", far[name]))
		default:
			s.node.Routes = append(s.node.Routes, way(block, "eth0", "172.31.0.254"))
		}
	}
	s.node.Interfaces = append(s.node.Interfaces, map[string]nodedump.Interface{
		"ipip":      device(ipipDevice, "ipip", 9, 1480, "", "10.0.1.1/32"),
		"vxlan":     device(vxlanDevice, "vxlan", 9, 1450, vtepMAC("n1", false), "10.0.1.0/32"),
		"wireguard": device(wireguard, "wireguard", 9, 1440, "", "10.0.1.2/32"),
		"":          device("dummy0", "dummy", 9, 1500, ""),
	}[tunnel])
	switch dev := &s.node.Interfaces[len(s.node.Interfaces)-1]; tunnel {
	case "vxlan":
		dev.VXLAN = &nodedump.VXLAN{ID: 4096, Local: "172.31.0.1", Link: 2, Port: 4789, NoLearning: true}
	case "ipip":
		dev.Tunnel = &nodedump.Tunnel{}
	}
	if tunnel == "wireguard" {
		s.node.Rules = []nodedump.Rule{{Family: 4, Table: 255}, {Family: 4, Priority: 99, Not: true, Mark: 0x100000, Mask: 0x100000, Table: 1}, {Family: 4, Priority: 32766, Table: 254}}
	}
}

// write writes the bundle and returns what a plugin may use of it.
func (s *state) write(t *testing.T) plugin.Env {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	for _, resource := range []string{"services", "configmaps"} {
		require.NoError(t, w.Add("cluster/"+resource+".yaml", []byte("items: []")))
	}
	for resource, items := range s.objects {
		if items != "" {
			items = "items:\n" + items
		}
		require.NoError(t, w.Add("cluster/"+resource+".yaml", []byte(items)))
	}
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1", Netns: []string{"host", "a"}, Pods: []nodedump.PodNetInfo{{Namespace: "demo", Name: "a", UID: "a", Netns: "a"}}}))
	require.NoError(t, w.AddNetNS("nodes/n1", &s.node))
	require.NoError(t, w.AddNetNS("nodes/n1", &s.pod))
	if s.far != nil {
		require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n2", Netns: []string{"host"}}))
		require.NoError(t, w.AddNetNS("nodes/n2", s.far))
	}
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, problems := k8s.NewIPCache(snap)
	require.Empty(t, problems)
	at := &atlas{snap, ips, map[topology.Place]*netstack.NetNS{}}
	return plugin.Env{Snapshot: snap, IPCache: ips, Topology: topology.New(at), Atlas: at, HopOf: func(p topology.Place) model.Hop {
		if p.Netns == nodedump.HostNetns {
			return model.Hop{Type: model.NetNodeTypeNode, ID: strings.TrimPrefix(p.Base, "nodes/")}
		}
		return model.PodHop("demo", p.Netns)
	}}
}

// atlas implements topology.Atlas.
type atlas struct {
	snap *snapshot.Snapshot
	ips  *k8s.IPCache
	read map[topology.Place]*netstack.NetNS
}

func (a *atlas) NetNS(p topology.Place) *netstack.NetNS {
	if _, ok := a.read[p]; !ok {
		if info, err := a.snap.NetNS(strings.TrimPrefix(p.Base, "nodes/"), p.Netns); err == nil {
			a.read[p], _ = netstack.New(info)
		}
	}
	return a.read[p]
}

func (a *atlas) Places(base string) (places []topology.Place) {
	for _, key := range []string{"host", "a"} {
		if p := (topology.Place{Base: base, Netns: key}); a.NetNS(p) != nil {
			places = append(places, p)
		}
	}
	return places
}

func (a *atlas) Pod(ip netip.Addr) (topology.Place, bool) {
	return topology.Place{Base: "nodes/n1", Netns: "a"}, ip.String() == "10.0.1.5"
}

func (a *atlas) Owner(ip netip.Addr) (topology.Place, bool) {
	node, ok := a.ips.GetNodeNameFromIP(ip)
	return plugin.PlaceOf(node), ok
}
