package calico

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Edits of the state of n1.

func noRoute(dst string) edit {
	return func(s *state) {
		s.node.Routes = slices.DeleteFunc(s.node.Routes, func(r nodedump.Route) bool { return r.Dst == dst })
	}
}

func routed(dst, dev, via string) edit {
	return func(s *state) {
		noRoute(dst)(s)
		s.node.Routes = append(s.node.Routes, way(dst, dev, via))
	}
}

func onDevice(name string, do func(*nodedump.Interface)) edit {
	return func(s *state) {
		for i := range s.node.Interfaces {
			if s.node.Interfaces[i].Name == name {
				do(&s.node.Interfaces[i])
			}
		}
	}
}

func down(name string) edit {
	return onDevice(name, func(d *nodedump.Interface) { d.Flags = nil })
}

func mtu(name string, n int) edit {
	return onDevice(name, func(d *nodedump.Interface) { d.MTU = n })
}

func podMTU(n int) edit { return func(s *state) { s.pod.Interfaces[0].MTU = n } }

func gone(name string) edit {
	return func(s *state) {
		s.node.Interfaces = slices.DeleteFunc(s.node.Interfaces, func(d nodedump.Interface) bool { return d.Name == name })
	}
}

func neighbour(dev, ip, mac string) edit {
	return func(s *state) {
		s.node.Neighbours = slices.DeleteFunc(s.node.Neighbours, func(n nodedump.Neighbour) bool { return n.Dev == dev && n.IP == ip })
		if mac != "" {
			s.node.Neighbours = append(s.node.Neighbours, nodedump.Neighbour{IP: ip, Dev: dev, MAC: mac, State: "PERMANENT"})
		}
	}
}

func fdb(mac, dst string) edit {
	return func(s *state) {
		s.node.FDB = slices.DeleteFunc(s.node.FDB, func(e nodedump.FDBEntry) bool { return e.MAC == mac })
		if dst != "" {
			s.node.FDB = append(s.node.FDB, nodedump.FDBEntry{MAC: mac, Dev: vxlanDevice, Dst: dst, Flags: []string{"self"}})
		}
	}
}

func sysctl(name, value string) edit { return func(s *state) { s.node.Sysctls[name] = value } }

func noRules(s *state) { s.node.IPTables = part("") }

func podNeighbour(mac string) edit {
	return func(s *state) { s.pod.Neighbours[0].MAC, s.pod.Neighbours[0].State = mac, "PERMANENT" }
}

// object replaces a text in the objects of one of Calico's resources, or in those
// of Kubernetes.
func object(resource, old, text string) edit {
	return func(s *state) {
		for _, name := range []string{resource, resource + "." + snapshot.CalicoStored, resource + "." + snapshot.CalicoAPI} {
			if strings.Contains(s.objects[name], old) {
				s.objects[name] = strings.Replace(s.objects[name], old, text, 1)
				return
			}
		}
		panic("no " + resource + " with " + old)
	}
}

func objects(resource, items string) edit {
	return func(s *state) { s.objects[resource+"."+snapshot.CalicoStored] = items }
}

// session tells of a BGP session of n1.
func session(peer, status string) edit {
	return objects("caliconodestatuses", "- {metadata: {name: n1}, spec: {node: n1}, status: {bgp: {peersV4: [{peerIP: "+peer+", type: NodeMesh, state: "+status+", since: \"10:00\"}]}}}\n")
}

// n2 was dumped, and has this address.
func dumped(addr string) edit {
	return func(s *state) {
		far := netns("host", nil, device("eth0", "", 2, 1500, "02:00:00:00:00:02", addr))
		s.far = &far
	}
}

// said are the findings, "level code message".
type said []string

func (r *said) Report(s model.Suspicion) {
	on := ""
	if s.On != (model.Hop{}) {
		on = " " + s.On.String()
	}
	*r = append(*r, s.Level.String()+" "+s.Code+on+": "+s.Message)
}

var modes = []string{"ipip Always", "ipip CrossSubnet", "vxlan Always", "vxlan CrossSubnet", "", "wireguard"}

func check(t *testing.T, cfg Config, mode string, edits ...edit) said {
	t.Helper()
	s := healthy(mode)
	for _, e := range edits {
		e(s)
	}
	var got said
	open(s.write(t), &cfg).CheckNode(&got, "n1")
	return got
}

func TestHealthy(t *testing.T) {
	require.Regexp(t, "^cali[0-9a-f]{11}$", farVeth(t, healthy("")))
	for _, mode := range modes {
		require.Empty(t, check(t, Config{}, mode), mode)
		require.Empty(t, check(t, Config{}, mode, dumped("172.31.0.2/24")), mode)
	}
}

func TestFaults(t *testing.T) {
	const strict = "net.ipv4.conf.all.rp_filter"
	for _, tt := range []struct {
		name, mode string
		edits      []edit
		want       []string // beginnings of what is said
	}{
		{"IPIP: the route is gone", "ipip Always", []edit{noRoute("10.0.2.0/26")}, []string{"critical route/missing"}},
		{"IPIP: the route leads to another node", "ipip Always", []edit{routed("10.0.2.0/26", ipipDevice, "198.51.100.3")}, []string{"critical route/diverted"}},
		{"IPIP: the route has no tunnel", "ipip Always", []edit{routed("10.0.3.0/26", "eth0", "172.31.0.254")}, []string{"critical route/diverted"}},
		{"IPIP: the tunnel is down", "ipip Always", []edit{down(ipipDevice)}, []string{"critical link/down", "critical link/down"}},
		{"IPIP: the tunnel is gone", "ipip Always", []edit{gone(ipipDevice)}, []string{"critical link/missing", "critical link/missing"}},
		{"IPIP: the near node has a tunnel", "ipip CrossSubnet", []edit{routed("10.0.2.0/26", ipipDevice, "172.31.0.2")}, []string{"critical route/diverted"}},
		{"IPIP: the far node has no tunnel", "ipip CrossSubnet", []edit{routed("10.0.3.0/26", "eth0", "172.31.0.254")}, []string{"critical route/diverted"}},
		{"VXLAN: the route is gone", "vxlan Always", []edit{noRoute("10.0.2.0/26")}, []string{"critical route/missing"}},
		{"VXLAN: the route is by a wrong VTEP", "vxlan Always", []edit{routed("10.0.2.0/26", vxlanDevice, "10.0.3.0")}, []string{"critical route/diverted"}},
		{"VXLAN: the neighbour is gone", "vxlan Always", []edit{neighbour(vxlanDevice, "10.0.2.0", "")}, []string{"critical neigh/missing"}},
		{"VXLAN: the neighbour is wrong", "vxlan Always", []edit{neighbour(vxlanDevice, "10.0.2.0", vtepMAC("n3", false))}, []string{"critical neigh/wrong"}},
		{"VXLAN: the forwarding entry is gone", "vxlan Always", []edit{fdb(vtepMAC("n2", false), "")}, []string{"critical fdb/missing"}},
		{"VXLAN: the forwarding entry is wrong", "vxlan Always", []edit{fdb(vtepMAC("n2", false), "172.31.0.9")}, []string{"critical fdb/wrong"}},
		{"VXLAN: the near node has a tunnel", "vxlan CrossSubnet", []edit{routed("10.0.2.0/26", vxlanDevice, "10.0.2.0")}, []string{"critical route/diverted"}},
		{"VXLAN: the near node's route is gone", "vxlan CrossSubnet", []edit{noRoute("10.0.2.0/26")}, []string{"critical route/missing"}},
		{"VXLAN: a node without VTEP", "vxlan Always", []edit{object("nodes", ", projectcalico.org/IPv4VXLANTunnelAddr: 10.0.2.0", "")},
			[]string{"critical route/missing: node n2 tells nobody the address of its VXLAN device"}},
		{"VXLAN: another hardware address was chosen", "vxlan Always", []edit{object("nodes", "IPv4VXLANTunnelAddr: 10.0.2.0", "IPv4VXLANTunnelAddr: 10.0.2.0, projectcalico.org/VXLANTunnelMACAddr: \"0a:00:00:00:00:22\"")},
			[]string{"critical neigh/wrong"}},
		{"plain: the route is gone", "", []edit{noRoute("10.0.2.0/26")}, []string{"critical route/missing"}},
		{"plain: the route leads to the router", "", []edit{routed("10.0.2.0/26", "eth0", "172.31.0.254")}, []string{"critical route/diverted"}},
		{"plain: a blackhole takes the block", "", []edit{routed("10.0.3.0/26", "", "")}, []string{"critical route/blackhole"}},
		{"plain: without a mesh any router may be meant", "", []edit{routed("10.0.2.0/26", "eth0", "172.31.0.254"), object("bgpconfigurations", "spec: {}", "spec: {nodeToNodeMeshEnabled: false}")}, nil},
		{"plain: a reflector is in no mesh", "", []edit{routed("10.0.2.0/26", "eth0", "172.31.0.254"), object("nodes", "IPv4Address: 172.31.0.2/24", "IPv4Address: 172.31.0.2/24, projectcalico.org/RouteReflectorClusterID: 224.0.0.1")}, nil},
		{"BGP: the session is down and the route is gone", "ipip Always", []edit{noRoute("10.0.2.0/26"), session("172.31.0.2", "Active")},
			[]string{"critical bgp/not-established: the BGP session of node n1 with node n2 (172.31.0.2) is Active", "critical route/missing", "warning bgp/not-established"}},
		{"BGP: the session is down and the route is there still", "ipip Always", []edit{session("172.31.0.2", "Connect")}, []string{"warning bgp/not-established"}},
		{"BGP: the session is up", "ipip Always", []edit{session("172.31.0.2", "Established")}, nil},
		{"BGP: nobody's session", "ipip Always", []edit{session("203.0.113.9", "Active")}, nil},
		{"WireGuard: the route is gone", "wireguard", []edit{noRoute("10.0.2.0/26")}, []string{"critical route/missing"}},
		{"WireGuard: the rule is gone", "wireguard", []edit{func(s *state) { s.node.Rules = nil }}, []string{"critical route/missing", "critical route/missing"}},
		{"WireGuard: a node without a key", "wireguard", []edit{object("nodes", "10.0.2.0"+keys, "10.0.2.0"), noRoute("10.0.2.0/26"), routed("10.0.2.0/26", "eth0", "172.31.0.2")}, nil},
		{"pod: its route is gone", "vxlan Always", []edit{noRoute("10.0.1.5/32")}, []string{"critical route/blackhole"}},
		{"pod: its route leads to another device", "vxlan Always", []edit{routed("10.0.1.5/32", "eth0", "")}, []string{"critical route/diverted"}},
		{"pod: its veth is down", "vxlan Always", []edit{down(veth)}, []string{"critical link/down"}},
		{"pod: a wrong hardware address", "vxlan Always", []edit{neighbour(veth, "10.0.1.5", "0a:00:00:00:00:99")}, []string{"critical neigh/wrong"}},
		{"pod: a wrong hardware address of the gateway", "vxlan Always", []edit{podNeighbour("0a:00:00:00:00:99")}, []string{"critical neigh/wrong pod:demo/a"}},
		{"pod: nobody answers for its gateway", "vxlan Always", []edit{sysctl("net.ipv4.conf."+veth+".proxy_arp", "0")}, []string{"critical neigh/missing"}},
		{"pod: all devices answer", "vxlan Always", []edit{sysctl("net.ipv4.conf."+veth+".proxy_arp", "0"), sysctl("net.ipv4.conf.all.proxy_arp", "1")}, nil},
		{"pod: its address is in no pool", "vxlan Always", []edit{object("ippools", "10.0.0.0/16", "10.0.2.0/23")}, []string{"critical address/wrong: 10.0.1.5, the address of pod demo/a, is in no IPPool"}},
		{"pod: the pools were not collected", "vxlan Always", []edit{func(s *state) { delete(s.objects, "ippools."+snapshot.CalicoStored) }}, nil},
		{"pod: its pool is disabled", "vxlan Always", []edit{object("ippools", "natOutgoing", "disabled: true, natOutgoing")}, []string{"info address/wrong: pod demo/a keeps 10.0.1.5"}},
		{"pool: BIRD tells nobody of it", "", []edit{object("ippools", "natOutgoing", "disableBGPExport: true, natOutgoing"), noRoute("10.0.2.0/26")}, nil},
		{"pool: felix does not mind", "vxlan Always", []edit{object("ippools", "natOutgoing", "disableBGPExport: true, natOutgoing"), noRoute("10.0.2.0/26")}, []string{"critical route/missing"}},
		{"felix: routes for pods alone", "vxlan Always", []edit{object("felixconfigurations", "spec: {}", "spec: {routeSource: WorkloadIPs}"), noRoute("10.0.2.0/26"), routed("10.0.2.5/32", vxlanDevice, "10.0.2.0"),
			object("blockaffinities", "- {metadata: {name: c3}", "- {metadata: {name: c4}, spec: {cidr: 10.0.4.0/26, node: n2, state: confirmed}}\n- {metadata: {name: c3}")}, nil},
		{"felix: no route for a pod", "vxlan Always", []edit{object("felixconfigurations", "spec: {}", "spec: {routeSource: WorkloadIPs}"), noRoute("10.0.2.0/26")}, []string{"critical route/missing: the route 10.0.2.5/32"}},
		{"block: two nodes claim it", "vxlan Always", []edit{object("blockaffinities", "cidr: 10.0.2.0/26, node: n2", "cidr: 10.0.1.0/26, node: n2")}, []string{"critical address/overlap"}},
		{"block: another node's", "vxlan Always", []edit{object("blockaffinities", "cidr: 10.0.1.0/26, node: n1", "cidr: 10.0.1.0/26, node: n3"), object("ipamblocks", "secondary: {node: n1}", "secondary: {node: n3}")},
			[]string{"critical address/wrong: 10.0.1.5", "critical route"}},
		{"block: the address is borrowed", "vxlan Always", []edit{object("pods", "podIP: 10.0.2.5", "podIP: 10.0.3.2"), object("ipamblocks", "\"host:n3\", allocations: [0, null, null", "\"host:n3\", allocations: [0, null, 1"),
			object("ipamblocks", "attributes: [{secondary: {node: n3}}", "attributes: [{secondary: {node: n3}}, {secondary: {node: n2}}"), routed("10.0.3.2/32", vxlanDevice, "10.0.2.0")}, nil},
		{"block: nobody routes the borrowed address", "vxlan Always", []edit{object("pods", "podIP: 10.0.2.5", "podIP: 10.0.3.2"), object("ipamblocks", "\"host:n3\", allocations: [0, null, null", "\"host:n3\", allocations: [0, null, 1"),
			object("ipamblocks", "attributes: [{secondary: {node: n3}}", "attributes: [{secondary: {node: n3}}, {secondary: {node: n2}}")}, []string{"critical route/missing: the route 10.0.3.2/32"}},
		{"block: the claim is being given up", "vxlan Always", []edit{noRoute("10.0.3.0/26"), object("blockaffinities", "node: n3, state: confirmed", "node: n3, state: pendingDeletion")}, nil},
		{"block: the claims were not collected, and the blocks tell", "vxlan Always", []edit{noRoute("10.0.3.0/26"), func(s *state) { delete(s.objects, "blockaffinities."+snapshot.CalicoStored) }}, []string{"critical route/missing"}},
		{"address: no device of the node has it", "vxlan Always", []edit{object("nodes", "IPv4Address: 172.31.0.1/24", "IPv4Address: 172.17.0.1/16")},
			[]string{"critical address/wrong node:n1: Calico tells the other nodes that node n1 is at 172.17.0.1"}},
		{"address: no device of the other node has it, of which the check of that node says so", "vxlan Always", []edit{dumped("172.31.0.9/24")}, nil},
		{"address: two nodes have the same", "", []edit{object("nodes", "IPv4Address: 172.31.0.2/24", "IPv4Address: 172.31.0.1/24")}, []string{"critical address/duplicate", "critical route/diverted"}},
		{"MTU: IPIP", "ipip Always", []edit{mtu(ipipDevice, 1500)}, []string{"critical mtu/too-small: the MTU of eth0 is 1500, and the tunnel tunl0 makes packets of up to 1520 bytes of its 1500"}},
		{"MTU: VXLAN", "vxlan Always", []edit{mtu(vxlanDevice, 1480)}, []string{"critical mtu/too-small"}},
		{"MTU: WireGuard", "wireguard", []edit{mtu(wireguard, 1450)}, []string{"critical mtu/too-small"}},
		{"MTU: a pod's is more than the tunnel's", "ipip Always", []edit{podMTU(1500)}, []string{"warning mtu/too-small pod:demo/a"}},
		{"MTU: a pod's is the tunnel's", "ipip CrossSubnet", []edit{podMTU(1480)}, nil},
		{"MTU: a pod's is more than the host's", "", []edit{podMTU(1501)}, []string{"warning mtu/too-small pod:demo/a"}},
		{"MTU: a pod's is the host's", "", []edit{podMTU(1500)}, nil},
		{"natOutgoing: the rule is gone", "vxlan Always", []edit{noRules}, []string{"critical netfilter/masquerade-missing"}},
		{"natOutgoing: not asked for", "vxlan Always", []edit{noRules, object("ippools", "natOutgoing: true", "natOutgoing: false")}, nil},
		{"natOutgoing: for some devices", "vxlan Always", []edit{noRules, object("felixconfigurations", "spec: {}", "spec: {iptablesNATOutgoingInterfaceFilter: eth1}")}, nil},
		{"rp_filter lets symmetric ways be", "vxlan Always", []edit{sysctl(strict, "1")}, nil},
		{"rp_filter discards what comes back another way", "ipip CrossSubnet", []edit{sysctl(strict, "1"), routed("10.0.3.0/26", "dummy9", "")}, []string{"critical route", "fatal sysctl/rp-filter"}},
		{"eBPF: nothing is compared", "vxlan Always", []edit{noRoute("10.0.2.0/26"), noRules, object("felixconfigurations", "spec: {}", "spec: {bpfEnabled: true}")}, []string{"info network/not-checked"}},
		{"eBPF: an environment variable says so", "vxlan Always", []edit{noRoute("10.0.2.0/26"), noRules, func(s *state) {
			s.node.Interfaces = append(s.node.Interfaces, device(bpfDevice, "veth", 99, 1500, "02:00:00:00:00:99"))
		}}, []string{"info network/not-checked"}},
		{"eBPF: only on another node", "vxlan Always", []edit{noRoute("10.0.2.0/26"), object("felixconfigurations", "- {metadata", "- {metadata: {name: node.n2}, spec: {bpfEnabled: true}}\n- {metadata")}, []string{"critical route/missing"}},
		{"eBPF: not on this node", "vxlan Always", []edit{object("felixconfigurations", "- {metadata: {name: default}, spec: {}}", "- {metadata: {name: default}, spec: {bpfEnabled: true}}\n- {metadata: {name: node.n1}, spec: {bpfEnabled: false}}")}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := check(t, Config{}, tt.mode, tt.edits...)
			require.Len(t, got, len(tt.want), "%q", got)
			for i, want := range tt.want {
				require.True(t, strings.HasPrefix(got[i], want), "%q", got)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		mode string
		want string
	}{
		{Config{HostMTU: 1460}, "ipip Always", "critical mtu/too-small"},
		{Config{HostMTU: 9000}, "vxlan Always", ""},
		{Config{PodMTU: 1300}, "", "warning mtu/too-small pod:demo/a"},
		{Config{IPIPPodMTU: 1300}, "ipip Always", "warning mtu/too-small pod:demo/a"},
		{Config{IPIPPodMTU: 1300}, "vxlan Always", ""},
		{Config{VXLANPodMTU: 1300}, "vxlan CrossSubnet", "warning mtu/too-small pod:demo/a"},
		{Config{HostInterface: "eth0"}, "", ""},
		{Config{HostInterface: "eth9"}, "", "critical link/missing"},
	} {
		got := check(t, tt.cfg, tt.mode)
		if tt.want == "" {
			require.Empty(t, got, tt)
			continue
		}
		require.NotEmpty(t, got, tt)
		require.True(t, strings.HasPrefix(got[0], tt.want), "%q", got)
	}
}

// dual gives a healthy cluster addresses of IPv6, too, from one pool whose mode is "Always",
// "CrossSubnet" or "" of VXLAN. n3's subnet is another one.
func dual(mode string) edit {
	return func(s *state) {
		if mode != "" {
			mode = "vxlanMode: " + mode + ", "
		}
		s.objects["ippools."+snapshot.CalicoStored] += "- {metadata: {name: p6}, spec: {cidr: \"fd00:10::/64\", " + mode + "natOutgoing: true}}\n"
		for n, addr := range []string{"2001:db8::1/64", "2001:db8::2/64", "2001:db8:3::3/64"} {
			object("nodes", fmt.Sprintf("projectcalico.org/IPv4VXLANTunnelAddr: 10.0.%d.0", n+1),
				fmt.Sprintf("projectcalico.org/IPv4VXLANTunnelAddr: 10.0.%d.0, projectcalico.org/IPv6Address: \"%s\", projectcalico.org/IPv6VXLANTunnelAddr: \"fd00:10::%d00\"", n+1, addr, n+1))(s)
			object("pods", fmt.Sprintf("podIP: 10.0.%d.5", n+1), fmt.Sprintf("podIP: 10.0.%d.5, podIPs: [{ip: 10.0.%d.5}, {ip: \"fd00:10::%d05\"}]", n+1, n+1, n+1))(s)
			s.objects["blockaffinities."+snapshot.CalicoStored] += fmt.Sprintf("- {metadata: {name: s%d}, spec: {cidr: \"fd00:10::%d00/122\", node: n%d, state: confirmed}}\n", n+1, n+1, n+1)
		}
		s.node.Sysctls["net.ipv6.conf.all.forwarding"] = "1"
		s.node.Interfaces[0].Addrs = append(s.node.Interfaces[0].Addrs, nodedump.Addr{Prefix: "2001:db8::1/64", Scope: "global"})
		s.node.Interfaces = append(s.node.Interfaces, device(vxlanSix, "vxlan", 11, 1430, vtepMAC("n1", true), "fd00:10::100/128"))
		s.node.Interfaces[len(s.node.Interfaces)-1].VXLAN = &nodedump.VXLAN{ID: 4096, Local: "2001:db8::1", Link: 2, Port: 4789, NoLearning: true}
		for _, r := range []nodedump.Route{way("2001:db8::/64", "eth0", ""), way("::/0", "eth0", "2001:db8::fe"), way("fd00:10::105/128", veth, ""), way("fd00:10::100/122", "", "")} {
			r.Family = 6
			s.node.Routes = append(s.node.Routes, r)
		}
		near := mode != "vxlanMode: Always, "
		routed6("fd00:10::200/122", map[bool]string{true: "eth0", false: vxlanSix}[near], map[bool]string{true: "2001:db8::2", false: "fd00:10::200"}[near])(s)
		routed6("fd00:10::300/122", map[bool]string{true: "eth0", false: vxlanSix}[mode == ""], map[bool]string{true: "2001:db8::fe", false: "fd00:10::300"}[mode == ""])(s)
		for n, addr := range map[int]string{2: "2001:db8::2", 3: "2001:db8:3::3"} {
			mac := vtepMAC(fmt.Sprintf("n%d", n), true)
			s.node.Neighbours = append(s.node.Neighbours, nodedump.Neighbour{IP: fmt.Sprintf("fd00:10::%d00", n), Dev: vxlanSix, MAC: mac, State: "PERMANENT"})
			s.node.FDB = append(s.node.FDB, nodedump.FDBEntry{MAC: mac, Dev: vxlanSix, Dst: addr, Flags: []string{"self"}})
		}
		s.pod.Interfaces[0].Addrs = append(s.pod.Interfaces[0].Addrs, nodedump.Addr{Prefix: "fd00:10::105/128", Scope: "global"})
		s.pod.Neighbours = append(s.pod.Neighbours, nodedump.Neighbour{IP: "fe80::ecee:eeff:feee:eeee", Dev: ifName, MAC: "ee:ee:ee:ee:ee:ee", State: "STALE"})
	}
}

// routed6 is routed, of IPv6.
func routed6(dst, dev, via string) edit {
	return func(s *state) {
		routed(dst, dev, via)(s)
		last := &s.node.Routes[len(s.node.Routes)-1]
		if last.Family = 6; dev == vxlanSix {
			last.Flags = []string{"onlink"}
		}
	}
}

func TestIPv6(t *testing.T) {
	const far = "fd00:10::200/122"
	require.Equal(t, "fe80::ecee:eeff:feee:eeee", gateway(netip.IPv6Unspecified()).String())
	for _, tt := range []struct {
		name, mode string
		edits      []edit
		want       []string // beginnings of what is said
	}{
		{"VXLAN: all is well", "Always", nil, nil},
		{"VXLAN CrossSubnet: all is well", "CrossSubnet", nil, nil},
		{"plain: all is well", "", nil, nil},
		{"VXLAN: the route is gone", "Always", []edit{noRoute(far)}, []string{"critical route/missing: the route fd00:10::200/122 via fd00:10::200 dev vxlan-v6.calico"}},
		{"VXLAN: the route is by a wrong VTEP", "Always", []edit{routed6(far, vxlanSix, "fd00:10::300")}, []string{"critical route/diverted"}},
		{"VXLAN: the neighbour is gone", "Always", []edit{neighbour(vxlanSix, "fd00:10::200", "")}, []string{"critical neigh/missing"}},
		{"VXLAN: the neighbour has the hardware address of IPv4's device", "Always", []edit{neighbour(vxlanSix, "fd00:10::200", vtepMAC("n2", false))}, []string{"critical neigh/wrong"}},
		{"VXLAN: the forwarding entry is gone", "Always", []edit{fdb(vtepMAC("n2", true), "")}, []string{"critical fdb/missing"}},
		{"VXLAN: the device is gone", "Always", []edit{gone(vxlanSix)}, []string{"critical link/missing", "critical link/missing"}},
		{"VXLAN: a node without VTEP", "Always", []edit{object("nodes", ", projectcalico.org/IPv6VXLANTunnelAddr: \"fd00:10::200\"", "")}, []string{"critical route/missing: node n2 tells nobody the address of its VXLAN device"}},
		{"VXLAN CrossSubnet: the near node has a tunnel", "CrossSubnet", []edit{routed6(far, vxlanSix, "fd00:10::200")}, []string{"critical route/diverted"}},
		{"plain: the route is gone", "", []edit{noRoute(far)}, []string{"critical route/missing"}},
		{"plain: by which next hop is BIRD's", "", []edit{routed6(far, "eth0", "fe80::2")}, nil},
		{"plain: the route is gone, and the default route has a link-local next hop", "", []edit{noRoute(far), routed6("::/0", "eth0", "fe80::1")}, []string{"critical route/missing", "critical route/diverted"}},
		{"plain: by the router", "", []edit{routed6(far, "eth0", "2001:db8::fe")}, []string{"critical route/diverted"}},
		{"plain: by another device", "", []edit{routed6(far, "dummy0", "fe80::2")}, []string{"critical route/"}},
		{"a node without an address of IPv6", "Always", []edit{noRoute(far), object("nodes", "projectcalico.org/IPv6Address: \"2001:db8::2/64\", ", "")}, nil},
		{"WireGuard of IPv4 alone", "Always", []edit{object("felixconfigurations", "spec: {}", "spec: {wireguardEnabledV6: false}")}, nil},
		{"pod: its route is gone", "Always", []edit{noRoute("fd00:10::105/128")}, []string{"critical route/blackhole"}},
		{"pod: a wrong hardware address of its gateway", "Always", []edit{func(s *state) { s.pod.Neighbours[1].MAC = "0a:00:00:00:00:99" }}, []string{"critical neigh/wrong pod:demo/a"}},
		{"pod: another node's block", "Always", []edit{object("blockaffinities", "fd00:10::100/122\", node: n1", "fd00:10::100/122\", node: n3"), func(s *state) { s.objects["ipamblocks."+snapshot.CalicoStored] = "" }},
			[]string{"critical address/wrong: fd00:10::105", "critical route"}},
		{"address: no device of the node has it", "Always", []edit{object("nodes", "2001:db8::1/64", "2001:db8::9/64")}, []string{"critical address/wrong node:n1: Calico tells the other nodes that node n1 is at 2001:db8::9"}},
		{"BGP: the session is down", "", []edit{objects("caliconodestatuses", "- {metadata: {name: n1}, spec: {node: n1}, status: {bgp: {peersV6: [{peerIP: \"2001:db8::2\", type: NodeMesh, state: Active}]}}}\n")},
			[]string{"warning bgp/not-established: the BGP session of node n1 with node n2 (2001:db8::2) is Active"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := check(t, Config{}, "", append([]edit{dual(tt.mode)}, tt.edits...)...)
			require.Len(t, got, len(tt.want), "%q", got)
			for i, want := range tt.want {
				require.True(t, strings.HasPrefix(got[i], want), "%q", got)
			}
		})
	}
}

func TestMasquerades(t *testing.T) {
	f := &fabric{calico: open(healthy("vxlan Always").write(t), &Config{}), node: "n1"}
	for dst, want := range map[string]bool{"203.0.113.9": true, "10.0.2.5": false, "172.31.0.2": true} {
		p := model.Packet{Src: netip.MustParseAddrPort("10.0.1.5:1000"), Dst: netip.AddrPortFrom(netip.MustParseAddr(dst), 80)}
		require.Equal(t, want, f.Masquerades(p), dst)
	}
	hosts := healthy("vxlan Always")
	object("felixconfigurations", "spec: {}", "spec: {natOutgoingExclusions: IPPoolsAndHostIPs}")(hosts)
	excluding := &fabric{calico: open(hosts.write(t), &Config{}), node: "n1"}
	for dst, want := range map[string]bool{"203.0.113.9": true, "172.31.0.2": false} {
		p := model.Packet{Src: netip.MustParseAddrPort("10.0.1.5:1000"), Dst: netip.AddrPortFrom(netip.MustParseAddr(dst), 80)}
		require.Equal(t, want, excluding.Masquerades(p), "not to nodes: %s", dst)
	}
	require.False(t, f.Masquerades(model.Packet{Src: netip.MustParseAddrPort("172.31.0.1:1000"), Dst: netip.MustParseAddrPort("203.0.113.9:80")}))
}
