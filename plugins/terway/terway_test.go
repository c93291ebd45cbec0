package terway

import (
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

const (
	nodeList = `items:
- {metadata: {name: n1, labels: {LABEL}}, spec: {podCIDR: 10.244.1.0/24}, status: {addresses: [{type: InternalIP, address: 10.0.0.11}]}}
- {metadata: {name: n2}, spec: {podCIDR: 10.244.2.0/24}, status: {addresses: [{type: InternalIP, address: 10.0.0.12}]}}
`
	podList = `items:
- {metadata: {namespace: demo, name: a, uid: a}, spec: {nodeName: n1}, status: {phase: Running, podIP: POD}}
- {metadata: {namespace: demo, name: z, uid: z}, spec: {nodeName: n2}, status: {phase: Running, podIP: 10.0.1.20}}
`
	config = `items:
- {metadata: {namespace: kube-system, name: eni-config}, data: {10-terway.conf: '{"type": "terway", "name": "terway"}'}}
`
	kubeadm = "- {metadata: {namespace: kube-system, name: kubeadm-config}, data: {ClusterConfiguration: 'networking: {serviceSubnet: 10.96.0.0/12}'}}\n"
	caliA   = "cali44c7791d104" // of demo.a
)

// A state is node n1 with its pod a, in words: devices "NAME INDEX KIND LINK MAC [ADDRESS...]",
// routes "TABLE DST DEV [VIA]", rules "PRIORITY from|to|any WHAT TABLE", neighbours
// "IP DEV MAC".
type state struct {
	host, pod   lines
	label, conf string
	unread      string // a section of the node's
	crs         string // Nodes of terway
}

type lines struct{ devices, routes, rules, neighbours []string }

// ENIIP with a veth: pod a has an address of eth1.
func veth() state {
	return state{
		host: lines{
			devices: []string{"eth0 2 hw 0 02:00:00:00:00:01 10.0.0.11/24", "eth1 3 hw 0 02:00:00:00:00:e1 10.0.0.11/32", "eth2 4 hw 0 02:00:00:00:00:e2", caliA + " 5 veth 2 02:00:00:00:00:0a"},
			routes: []string{"254 0.0.0.0/0 eth0 10.0.0.253", "254 10.0.0.0/24 eth0", "254 10.0.1.10/32 " + caliA,
				"1003 0.0.0.0/0 eth1 10.0.1.253", "1004 0.0.0.0/0 eth2 10.0.2.253"},
			neighbours: []string{"10.0.0.253 eth0 ee:ff:ff:ff:ff:ff", "10.0.1.253 eth1 ee:ff:ff:ff:ff:ff", "10.0.2.253 eth2 ee:ff:ff:ff:ff:ff"},
			rules:      []string{"0 any - 255", "512 to 10.0.1.10 254", "2048 from 10.0.1.10 1003", "32766 any - 254", "32767 any - 253"},
		},
		pod: lines{
			devices:    []string{"eth0 2 veth 5 0a:00:00:00:00:0a 10.0.1.10/32"},
			routes:     []string{"254 0.0.0.0/0 eth0 169.254.1.1"},
			neighbours: []string{"169.254.1.1 eth0 02:00:00:00:00:0a"},
		},
	}
}

// VPC: pod a has an address of its node's range.
func vpc() state {
	s := veth()
	s.host.devices = without(s.host.devices, "eth1", "eth2")
	s.host.routes = append(without(s.host.routes, "1003", "1004", "254 10.0.1.10"), "254 10.244.1.10/32 "+caliA)
	s.host.rules = without(s.host.rules, "512", "2048")
	s.pod.devices = []string{"eth0 2 veth 5 0a:00:00:00:00:0a 10.244.1.10/32"}
	return s
}

// ENIIP with an ipvlan on eth1.
func ipvlan() state {
	s := veth()
	s.host.devices = append(without(s.host.devices, "cali"), "ipvl_3 7 ipvlan 3 02:00:00:00:00:e1 10.0.0.11/32")
	s.host.routes = append(without(s.host.routes, "1003", "1004", "254 10.0.1.10"), "254 10.0.1.10/32 ipvl_3")
	s.host.rules = without(s.host.rules, "512", "2048")
	s.pod = lines{devices: []string{"eth0 2 ipvlan 3 02:00:00:00:00:e1 10.0.1.10/24"}, routes: []string{"254 0.0.0.0/0 eth0 10.0.1.253", "254 10.0.0.11/32 eth0"}}
	return s
}

// An ENI in the pod, with a veth to the node.
func exclusive() state {
	s := veth()
	s.label = "k8s.aliyun.com/exclusive-mode-eni-type: eniOnly"
	s.host.devices = without(s.host.devices, "eth1")
	s.host.routes = without(s.host.routes, "1003", "1004")
	s.host.rules = without(s.host.rules, "512", "2048")
	s.pod = lines{devices: []string{"eth0 3 hw 0 02:00:00:00:00:e1 10.0.1.10/32", "veth1 2 veth 5 0a:00:00:00:00:0a 10.0.1.10/32"},
		routes:     []string{"254 0.0.0.0/0 eth0 10.0.1.253", "254 169.254.1.1/32 veth1", "254 10.96.0.0/12 veth1 169.254.1.1"},
		neighbours: []string{"169.254.1.1 veth1 02:00:00:00:00:0a"}}
	return s
}

// without are the lines that do not begin with any of the prefixes.
func without(list []string, prefixes ...string) (out []string) {
	for _, l := range list {
		keep := true
		for _, p := range prefixes {
			keep = keep && !strings.HasPrefix(l, p)
		}
		if keep {
			out = append(out, l)
		}
	}
	return out
}

// swap replaces the line that begins with old.
func swap(list []string, old, replacement string) []string {
	return append(without(list, old), replacement)
}

func (l lines) netns(key string) *nodedump.NetNSInfo {
	empty := nodedump.Part{Status: nodedump.StatusEmpty}
	info := &nodedump.NetNSInfo{Key: key, Sysctls: map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.forwarding": "1"},
		IPTables: empty, IPTablesLegacy: empty, IP6Tables: empty, IP6TablesLegacy: empty, NFT: empty, IPSet: empty, Conntrack: empty}
	elsewhere := 0
	for _, text := range l.devices {
		var d nodedump.Interface
		f := strings.Fields(text)
		up := []string{"UP"}
		if f[0] == "down" {
			f, up = f[1:], nil
		}
		mtu := 1500
		if name, number, ok := strings.Cut(f[0], ":"); ok {
			f[0] = name
			_, _ = fmt.Sscan(number, &mtu)
		}
		_, _ = fmt.Sscan(strings.Join(f[1:4], " "), &d.Index, &d.Kind, &d.Link)
		d.Name, d.MAC, d.MTU, d.Flags = f[0], f[4], mtu, up
		if d.Kind == "hw" {
			d.Kind = ""
		}
		if d.Kind == "veth" || d.Kind == "ipvlan" && key != "host" {
			d.LinkNSID, d.PeerNetns = &elsewhere, map[string]string{"host": "a", "a": "host"}[key]
		}
		if d.Kind == "ipvlan" {
			d.Mode = "l2"
		}
		for _, a := range f[5:] {
			d.Addrs = append(d.Addrs, nodedump.Addr{Prefix: a, Scope: "global"})
		}
		info.Interfaces = append(info.Interfaces, d)
	}
	for _, text := range l.routes {
		f := append(strings.Fields(text), "")
		r := nodedump.Route{Family: 4, Dst: f[1], Dev: f[2], Via: f[3], Flags: []string{"onlink"}}
		_, _ = fmt.Sscan(f[0], &r.Table)
		info.Routes = append(info.Routes, r)
	}
	for _, text := range l.rules {
		f := strings.Fields(text)
		r := nodedump.Rule{Family: 4}
		_, _ = fmt.Sscan(f[0]+" "+f[3], &r.Priority, &r.Table)
		switch f[1] {
		case "from":
			r.From = f[2]
		case "to":
			r.To = f[2]
		}
		if len(f) > 4 {
			r.IIf = f[4]
		}
		info.Rules = append(info.Rules, r)
	}
	for _, text := range l.neighbours {
		f := strings.Fields(text)
		info.Neighbours = append(info.Neighbours, nodedump.Neighbour{IP: f[0], Dev: f[1], MAC: f[2], State: "PERMANENT"})
	}
	return info
}

// A world is a state as the atlas of its bundle.
type world struct {
	ips *k8s.IPCache
	ns  map[string]*netstack.NetNS
	ip  netip.Addr // of pod a
}

func place(key string) topology.Place { return topology.Place{Base: "nodes/n1", Netns: key} }

func (w *world) NetNS(p topology.Place) *netstack.NetNS {
	if p.Base != "nodes/n1" {
		return nil
	}
	return w.ns[p.Netns]
}
func (w *world) Places(string) []topology.Place { return []topology.Place{place("host"), place("a")} }
func (w *world) Pod(ip netip.Addr) (topology.Place, bool) {
	return place("a"), ip == w.ip
}
func (w *world) Owner(ip netip.Addr) (topology.Place, bool) {
	return place("host"), ip.String() == "10.0.0.11"
}

func hopOf(p topology.Place) model.Hop {
	if p.Netns == "a" {
		return model.PodHop("demo", "a")
	}
	return model.Hop{Type: model.NetNodeTypeNode, ID: strings.TrimPrefix(p.Base, "nodes/")}
}

// open makes terway of a state.
func open(t *testing.T, s state, cfg Config) (*terway, *world) {
	t.Helper()
	host, pod := s.host.netns("host"), s.pod.netns("a")
	if s.unread != "" {
		host.Sections = map[string]nodedump.Status{s.unread: nodedump.StatusDenied}
	}
	ip, _, _ := strings.Cut(pod.Interfaces[0].Addrs[0].Prefix, "/")
	w := snapshot.NewWriter(snapshot.Meta{})
	conf := s.conf
	if conf == "" {
		conf = config
	}
	lists := map[string]string{"nodes": strings.Replace(nodeList, "LABEL", s.label, 1), "pods": strings.Replace(podList, "POD", ip, 1), "services": "items: []", "configmaps": conf}
	if s.crs != "" {
		lists["nodes.network.alibabacloud.com"] = s.crs
	}
	for resource, list := range lists {
		require.NoError(t, w.Add("cluster/"+resource+".yaml", []byte(list)))
	}
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1", Netns: []string{"host", "a"}, Pods: []nodedump.PodNetInfo{{Namespace: "demo", Name: "a", UID: "a", Netns: "a"}}}))
	require.NoError(t, w.AddNetNS("nodes/n1", host))
	require.NoError(t, w.AddNetNS("nodes/n1", pod))
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, problems := k8s.NewIPCache(snap)
	require.Empty(t, problems)
	atlas := &world{ips, map[string]*netstack.NetNS{}, netip.MustParseAddr(ip)}
	for _, key := range []string{"host", "a"} {
		info, err := snap.NetNS("n1", key)
		require.NoError(t, err)
		atlas.ns[key], problems = netstack.New(info)
		require.Empty(t, problems)
	}
	d := Descriptor()
	*(d.Config.(*Config)) = cfg
	p, err := d.New(plugin.Env{Snapshot: snap, IPCache: ips, Topology: topology.New(atlas), Atlas: atlas, HopOf: hopOf})
	require.NoError(t, err)
	return p.(*terway), atlas
}

// report keeps what is reported, each once.
type report []model.Suspicion

func (r *report) Report(s model.Suspicion) {
	if !slices.Contains(*r, s) {
		*r = append(*r, s)
	}
}

// said is what was reported, as "code where".
func (r report) said() (list []string) {
	for _, s := range r {
		on := "node"
		if s.On != (model.Hop{}) {
			on = string(s.On.Type)
		}
		list = append(list, s.Code+" "+on)
	}
	return list
}

func TestCheckNode(t *testing.T) {
	const own = "items:\n- {metadata: {name: n1}, status: {networkInterfaces: {eni-1: {id: eni-1, macAddress: '02:00:00:00:00:E1', ipv4CIDR: 10.0.1.0/24, ipv4: {10.0.1.10: {ip: 10.0.1.10}}}}}}\n"
	for _, tt := range []struct {
		name   string
		base   func() state
		change func(*state)
		want   []string
	}{
		{"veth", veth, func(*state) {}, nil},
		{"rule to the pod missing", veth, func(s *state) { s.host.rules = without(s.host.rules, "512") }, []string{"route/missing node"}},
		{"rule from the pod missing", veth, func(s *state) { s.host.rules = without(s.host.rules, "2048") }, []string{"route/missing node"}},
		{"rule from the pod for another device", veth, func(s *state) { s.host.rules = swap(s.host.rules, "2048", "2048 from 10.0.1.10 1003 cali0") }, []string{"route/diverted node"}},
		{"rule from the pod for its device, as before 1.5", veth, func(s *state) { s.host.rules = swap(s.host.rules, "2048", "2048 from 10.0.1.10 1003 "+caliA) }, nil},
		{"rules that were not collected", veth, func(s *state) { s.host.rules, s.unread = nil, "rules" }, nil},
		{"table of no device", veth, func(s *state) { s.host.rules = swap(s.host.rules, "2048", "2048 from 10.0.1.10 1009") }, []string{"route/diverted node"}},
		{"table of another ENI, which nothing tells", veth, func(s *state) { s.host.rules = swap(s.host.rules, "2048", "2048 from 10.0.1.10 1004") }, nil},
		{"table of another ENI, as terway's Node tells", veth, func(s *state) {
			s.host.rules, s.crs = swap(s.host.rules, "2048", "2048 from 10.0.1.10 1004"), own
		}, []string{"route/diverted node"}},
		{"the ENI that terway's Node tells", veth, func(s *state) { s.crs = own }, nil},
		{"another router than the vSwitch's", veth, func(s *state) {
			s.crs, s.host.routes = own, swap(s.host.routes, "1003", "1003 0.0.0.0/0 eth1 10.0.1.1")
		}, []string{"route/diverted node"}},
		{"default route of the table missing", veth, func(s *state) { s.host.routes = without(s.host.routes, "1003") }, []string{"route/missing node"}},
		{"default route of the table by another device", veth, func(s *state) { s.host.routes = swap(s.host.routes, "1003", "1003 0.0.0.0/0 eth0 10.0.0.253") }, []string{"route/diverted node"}},
		{"a rule before terway's", veth, func(s *state) { s.host.rules = append(s.host.rules, "1000 from 10.0.1.0/24 254") }, []string{"route/diverted node"}},
		{"ENI down", veth, func(s *state) {
			s.host.devices = swap(s.host.devices, "eth1", "down eth1 3 hw 0 02:00:00:00:00:e1 10.0.0.11/32")
		}, []string{"link/down node"}},
		{"route to the pod missing", veth, func(s *state) { s.host.routes = without(s.host.routes, "254 10.0.1.10") }, []string{"route/missing node"}},
		{"veth down at the node", veth, func(s *state) {
			s.host.devices = swap(s.host.devices, "cali", "down "+caliA+" 5 veth 2 02:00:00:00:00:0a")
		}, []string{"link/down node"}},
		{"veth gone", veth, func(s *state) { s.host.devices = without(s.host.devices, "cali") }, []string{"link/missing node"}},
		{"veth down in the pod", veth, func(s *state) { s.pod.devices = []string{"down eth0 2 veth 5 0a:00:00:00:00:0a 10.0.1.10/32"} }, []string{"link/down pod"}},
		{"entry for the router missing in the pod", veth, func(s *state) { s.pod.neighbours = nil }, []string{"neigh/missing pod"}},
		{"entry for the router wrong in the pod", veth, func(s *state) { s.pod.neighbours = []string{"169.254.1.1 eth0 02:00:00:00:00:99"} }, []string{"neigh/wrong pod"}},
		{"small MTU of the ENI", veth, func(s *state) {
			s.host.devices = swap(s.host.devices, "eth1", "eth1:1400 3 hw 0 02:00:00:00:00:e1 10.0.0.11/32")
		}, []string{"mtu/too-small node"}},
		{"large MTU of the pod", veth, func(s *state) { s.pod.devices = []string{"eth0:8500 2 veth 5 0a:00:00:00:00:0a 10.0.1.10/32"} }, []string{"mtu/mismatch pod"}},
		{"MTU that terway finds out", veth, func(s *state) {
			s.pod.devices = []string{"eth0:8500 2 veth 5 0a:00:00:00:00:0a 10.0.1.10/32"}
			s.conf = strings.Replace(config, `"name"`, `"auto_mtu": true, "name"`, 1)
		}, nil},
		{"vpc", vpc, func(*state) {}, nil},
		{"vpc, route to the pod missing", vpc, func(s *state) { s.host.routes = without(s.host.routes, "254 10.244.1.10") }, []string{"route/missing node"}},
		{"vpc, a rule leads elsewhere", vpc, func(s *state) {
			s.host.rules = append(s.host.rules, "1000 from 10.244.1.10 100")
			s.host.routes = append(s.host.routes, "100 0.0.0.0/0 eth0 10.0.0.1")
		}, []string{"route/diverted node"}},
		{"ipvlan", ipvlan, func(*state) {}, nil},
		{"ipvlan, the node has none", ipvlan, func(s *state) {
			s.host.devices, s.host.routes = without(s.host.devices, "ipvl"), without(s.host.routes, "254 10.0.1.10")
		}, []string{"link/missing node"}},
		{"ipvlan, the node's is down", ipvlan, func(s *state) {
			s.host.devices = swap(s.host.devices, "ipvl", "down ipvl_3 7 ipvlan 3 02:00:00:00:00:e1 10.0.0.11/32")
		}, []string{"link/down node"}},
		{"ipvlan, route to the pod missing", ipvlan, func(s *state) { s.host.routes = without(s.host.routes, "254 10.0.1.10") }, []string{"route/missing node"}},
		{"ipvlan, ENI down", ipvlan, func(s *state) { s.host.devices = swap(s.host.devices, "eth1", "down eth1 3 hw 0 02:00:00:00:00:e1") }, []string{"link/down node"}},
		{"exclusive, without the rule that masquerades", exclusive, func(*state) {}, []string{"netfilter/masquerade-missing node"}},
		{"exclusive, of a pod alone", exclusive, func(s *state) { s.label = "" }, nil},
		{"exclusive, route to the pod missing", exclusive, func(s *state) { s.label, s.host.routes = "", without(s.host.routes, "254 10.0.1.10") }, []string{"route/missing node"}},
		{"exclusive, route to Services", exclusive, func(s *state) { s.label, s.conf = "", config+kubeadm }, nil},
		{"exclusive, route to Services missing", exclusive, func(s *state) {
			s.label, s.conf, s.pod.routes = "", config+kubeadm, without(s.pod.routes, "254 10.96")
		}, []string{"route/missing pod"}},
		{"exclusive, route to host_stack_cidrs missing", exclusive, func(s *state) {
			s.label, s.conf = "", strings.Replace(config, `"name"`, `"host_stack_cidrs": ["169.254.20.10/32"], "name"`, 1)
		}, []string{"route/missing pod"}},
		{"exclusive, entry for the router wrong", exclusive, func(s *state) { s.label, s.pod.neighbours = "", []string{"169.254.1.1 veth1 02:00:00:00:00:99"} }, []string{"neigh/wrong pod"}},
		{"exclusive, without veths", exclusive, func(s *state) {
			s.conf = strings.Replace(config, `"name"`, `"disable_host_peer": true, "name"`, 1)
			s.host.devices, s.pod.devices = without(s.host.devices, "cali"), without(s.pod.devices, "veth1")
			s.host.routes, s.pod.routes = without(s.host.routes, "254 10.0.1.10"), s.pod.routes[:1]
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.base()
			tt.change(&s)
			p, _ := open(t, s, Config{})
			var got report
			p.CheckNode(&got, "n1")
			require.ElementsMatch(t, tt.want, got.said())
		})
	}
}

func TestModes(t *testing.T) {
	for _, tt := range []struct {
		base func() state
		want mode
	}{{veth, modeVeth}, {vpc, modeVPC}, {ipvlan, modeIPvlan}, {exclusive, modeExclusive}} {
		p, w := open(t, tt.base(), Config{})
		pod, _ := w.ips.GetPodFromName("demo", "a")
		require.Equal(t, tt.want, p.modeOf(pod))
		w.ns["a"] = nil // what the node alone tells
		require.Equal(t, tt.want, p.modeOf(pod))
		p.cfg.Mode = "vlan"
		require.Equal(t, modeVLAN, p.modeOf(pod), "the option comes first")
	}
	s := veth()
	s.pod.devices = []string{"eth0 2 vlan 3 02:00:00:00:00:77 10.0.1.10/24"}
	p, w := open(t, s, Config{})
	pod, _ := w.ips.GetPodFromName("demo", "a")
	require.Equal(t, modeVLAN, p.modeOf(pod))
}

// One packet, from pod a to pod z of another node, as pod and node see it.
func TestWay(t *testing.T) {
	for _, tt := range []struct {
		name   string
		base   func() state
		change func(*state)
		dev    string // that it leaves the node by, "" if it is lost
		want   []string
		meant  bool
	}{
		{"by the ENI", veth, func(*state) {}, "eth1", nil, false},
		{"by the node's own, since a rule is missing", veth, func(s *state) { s.host.rules = without(s.host.rules, "2048") }, "eth0", []string{"fatal route/missing"}, true},
		{"by another ENI", veth, func(s *state) {
			s.host.rules = swap(s.host.rules, "2048", "2048 from 10.0.1.10 1004")
			s.crs = "items:\n- {metadata: {name: n1}, status: {networkInterfaces: {eni-1: {macAddress: '02:00:00:00:00:e1', ipv4: {10.0.1.10: {}}}}}}\n"
		}, "eth2", []string{"fatal route/diverted"}, true},
		{"by the node's own, since the table is empty", veth, func(s *state) { s.host.routes = without(s.host.routes, "1003") }, "eth0", []string{"fatal route/missing"}, true},
		{"vpc", vpc, func(*state) {}, "eth0", nil, false},
		{"vpc, a bridge of another network", vpc, func(s *state) {
			s.host.devices = append(s.host.devices, "cni0 9 bridge 0 02:00:00:00:00:c0 10.0.1.1/24")
			s.host.routes = append(s.host.routes, "254 10.0.1.0/24 cni0")
			s.host.neighbours = append(s.host.neighbours, "10.0.1.20 cni0 02:00:00:00:00:99")
		}, "", []string{"fatal route/diverted", "fatal neigh/wrong"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.base()
			tt.change(&s)
			p, w := open(t, s, Config{})
			pod, ok := w.ips.LoadPod(p.Snapshot, "demo", "a")
			require.True(t, ok)
			a, err := p.CreatePod(pod)
			require.NoError(t, err)
			to := w.ips.Endpoint(netip.MustParseAddr("10.0.1.20"), 80)
			sent, err := a.Send(to, model.TCP)
			require.NoError(t, err)
			require.Len(t, sent, 1, a.Node().Suspicions)
			require.Empty(t, a.Node().Suspicions)
			info, _ := w.ips.LoadNode(p.Snapshot, "n1")
			n, err := p.CreateNode(info)
			require.NoError(t, err)
			sent, err = n.Receive(sent[0].Link)
			require.NoError(t, err)
			require.Equal(t, tt.dev != "", len(sent) > 0)
			if tt.dev != "" {
				require.Equal(t, tt.dev, sent[0].Link.SourceAttribute.Interface)
			}
			var got []string
			for _, one := range n.Node().Suspicions {
				got = append(got, one.Level.String()+" "+one.Code)
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.meant, len(n.Node().Meant) > 0)
		})
	}
}

func TestAttached(t *testing.T) {
	const own = "items:\n- {metadata: {name: n1}, status: {networkInterfaces: {eni-1: {macAddress: '02:00:00:00:00:e1', ipv4: {10.0.1.10: {}}}}}}\n"
	for _, tt := range []struct {
		name   string
		base   func() state
		change func(*state)
		want   string // "" if it is not known
	}{
		{"by the rule", veth, func(*state) {}, "host eth1"},
		{"by the records, whatever the rule says", veth, func(s *state) { s.crs, s.host.rules = own, swap(s.host.rules, "2048", "2048 from 10.0.1.10 1004") }, "host eth1"},
		{"by nothing", veth, func(s *state) { s.host.rules = without(s.host.rules, "2048") }, ""},
		{"vpc", vpc, func(*state) {}, "host eth0"},
		{"ipvlan", ipvlan, func(*state) {}, "host eth1"},
		{"exclusive", exclusive, func(*state) {}, "a eth0"},
	} {
		s := tt.base()
		tt.change(&s)
		p, w := open(t, s, Config{})
		pod, _ := w.ips.GetPodFromName("demo", "a")
		end, ok := p.Attached(pod)
		require.Equal(t, tt.want != "", ok, tt.name)
		if ok {
			require.Equal(t, tt.want, end.Place.Netns+" "+end.Dev, tt.name)
		}
	}
}

// A pod with an ENI of its own sends by it, but what is for Services by the veth to its
// node.
func TestExclusiveWays(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*state)
		dst    string
		dev    string
		want   []string
	}{
		{"outside", func(*state) {}, "10.0.1.20", "eth0", nil},
		{"a Service", func(*state) {}, "10.96.0.10", "veth1", nil},
		{"host_stack_cidrs", func(s *state) { s.pod.routes = append(s.pod.routes, "254 169.254.20.10/32 veth1 169.254.1.1") }, "169.254.20.10", "veth1", nil},
		{"host_stack_cidrs, without the route", func(*state) {}, "169.254.20.10", "eth0", []string{"fatal route/missing"}},
		{"a Service, without the route", func(s *state) { s.pod.routes = without(s.pod.routes, "254 10.96") }, "10.96.0.10", "eth0", []string{"fatal route/missing"}},
		{"outside, by the veth", func(s *state) { s.pod.routes = swap(s.pod.routes, "254 0.0.0.0/0", "254 0.0.0.0/0 veth1 169.254.1.1") }, "10.0.1.20", "veth1", []string{"fatal route/diverted"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := exclusive()
			s.pod.neighbours = append(s.pod.neighbours, "10.0.1.253 eth0 ee:ff:ff:ff:ff:ff")
			s.conf = "items:\n- {metadata: {namespace: kube-system, name: eni-config}, data: {10-terway.conf: '{\"type\": \"terway\", \"host_stack_cidrs\": [\"169.254.20.10/32\"]}'}}\n" +
				"- {metadata: {namespace: kube-system, name: kubeadm-config}, data: {ClusterConfiguration: 'networking: {serviceSubnet: 10.96.0.0/12}'}}\n"
			tt.change(&s)
			p, w := open(t, s, Config{})
			pod, ok := w.ips.LoadPod(p.Snapshot, "demo", "a")
			require.True(t, ok)
			a, err := p.CreatePod(pod)
			require.NoError(t, err)
			sent, err := a.Send(w.ips.Endpoint(netip.MustParseAddr(tt.dst), 80), model.TCP)
			require.NoError(t, err)
			require.Len(t, sent, 1)
			require.Equal(t, tt.dev, sent[0].Link.SourceAttribute.Interface)
			var got []string
			for _, one := range a.Node().Suspicions {
				got = append(got, one.Level.String()+" "+one.Code)
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestConfig(t *testing.T) {
	d := Descriptor()
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	d.Config.BindFlags(fs)
	require.NoError(t, fs.Parse([]string{"-terway-mode", "ipvlan", "-terway-mtu", "8500"}))
	require.NoError(t, d.Config.Validate())
	require.NoError(t, fs.Parse([]string{"-terway-mode", "bridge"}))
	require.ErrorContains(t, d.Config.Validate(), `--terway-mode "bridge"`)
	require.NoError(t, fs.Parse([]string{"-terway-mode", "", "-terway-mtu", "-1"}))
	require.ErrorContains(t, d.Config.Validate(), "--terway-mtu -1")
}

func TestConf(t *testing.T) {
	for _, tt := range []struct {
		text string
		want cniConf
		ok   bool
	}{
		{`{"type": "terway", "eniip_virtual_type": "IPVlan", "mtu": 8500}`, cniConf{VirtualType: "IPVlan", MTU: 8500}, true},
		{`{"plugins": [{"type": "terway", "host_stack_cidrs": ["169.254.20.10/32"]}, {"type": "cilium-cni"}]}`, cniConf{HostStackCIDRs: []string{"169.254.20.10/32"}}, true},
		{`{"plugins": [{"type": "cilium-cni"}]}`, cniConf{}, false},
		{`{"type": "terway"`, cniConf{}, false},
	} {
		got, ok := plugin.CNIPlugin[cniConf]([]byte(tt.text), "terway")
		require.Equal(t, tt.want, got)
		require.Equal(t, tt.ok, ok)
	}
}

func TestMTU(t *testing.T) {
	for _, tt := range []struct {
		conf string // of the ConfigMap
		cfg  Config
		want int
	}{
		{config, Config{}, 1500},
		{strings.Replace(config, `"name"`, `"mtu": 8500, "name"`, 1), Config{}, 8500},
		{strings.Replace(config, `"name"`, `"mtu": 8500, "auto_mtu": true, "name"`, 1), Config{}, 8500},
		{strings.Replace(config, `"name"`, `"auto_mtu": true, "name"`, 1), Config{}, 0},
		{"items: []", Config{}, 0},
		{config, Config{MTU: 1400}, 1400},
	} {
		s := veth()
		s.conf = tt.conf
		p, _ := open(t, s, tt.cfg)
		require.Equal(t, tt.want, p.mtuOf("n1"), tt)
	}
}

// cloud is a provider that knows an address, and nothing else.
type cloud map[string]infra.Owner

func (cloud) Name() string                         { return "vpc-1" }
func (cloud) Cross(infra.Crossing) []infra.Verdict { return nil }
func (c cloud) OwnerOf(ip netip.Addr) (infra.Owner, bool) {
	o, ok := c[ip.String()]
	return o, ok
}

// Which ENI has an address terway's own records tell, and the cloud knows best.
func TestTenant(t *testing.T) {
	s := veth()
	s.crs = "items:\n- {metadata: {name: n1}, status: {networkInterfaces: {eni-1: {macAddress: '02:00:00:00:00:E1', ipv4CIDR: 10.0.1.0/24, ipv4: {10.0.1.10: {}}}}}}\n"
	p, w := open(t, s, Config{})
	pod, _ := w.ips.GetPodFromName("demo", "a")
	got := p.tenant(pod)
	require.Equal(t, plugin.Tenant{Name: "demo/a", IP: w.ip, Veth: caliA, Router: netip.MustParseAddr("10.0.1.253"),
		Owner: infra.Owner{MAC: "02:00:00:00:00:e1", Network: netip.MustParsePrefix("10.0.1.0/24"), Evidence: "cluster/nodes.network.alibabacloud.com.yaml"}}, got)
	p.Underlay = cloud{"10.0.1.11": {MAC: "02:00:00:00:00:e4"}}
	require.Equal(t, got, p.tenant(pod), "of another address")
	owner := infra.Owner{MAC: "02:00:00:00:00:e4", Evidence: "infra/aliyun/enis.json:1"}
	p.Underlay = cloud{"10.0.1.10": owner}
	require.Equal(t, plugin.Tenant{Name: "demo/a", IP: w.ip, Veth: caliA, Owner: owner}, p.tenant(pod))
}

func TestRouterOf(t *testing.T) {
	for cidr, want := range map[string]string{"192.168.1.0/24": "192.168.1.253", "10.0.0.64/26": "10.0.0.125", "10.0.0.0/8": "10.255.255.253", "10.0.0.0/31": "invalid IP", "": "invalid IP", "fd00::/64": "invalid IP"} {
		network, _ := netip.ParsePrefix(cidr)
		require.Equal(t, want, routerOf(network).String(), cidr)
	}
}

func TestMarks(t *testing.T) {
	for _, tt := range []struct{ part, text, saw string }{
		{"cluster/daemonsets.yaml", "items:\n- {metadata: {namespace: kube-system, name: terway-eniip}}\n", "DaemonSet kube-system/terway-eniip"},
		{"cluster/daemonsets.yaml", "items:\n- {metadata: {namespace: kube-system, name: terway-eni}}\n", "DaemonSet kube-system/terway-eni"},
		{"cluster/daemonsets.yaml", "items:\n- {metadata: {namespace: kube-system, name: terway}}\n", "DaemonSet kube-system/terway"},
		{"cluster/daemonsets.yaml", "items:\n- {metadata: {namespace: net, name: agent}, spec: {template: {spec: {containers: [{image: 'registry-vpc.cn-hangzhou.aliyuncs.com/acs/terway:v1.16.4'}]}}}}\n", "DaemonSet net/agent"},
		{"cluster/daemonsets.yaml", "items:\n- {metadata: {namespace: kube-system, name: terway-controlplane}}\n", ""},
		{"cluster/configmaps.yaml", config, "ConfigMap kube-system/eni-config"},
		{"cluster/podenis.network.alibabacloud.com.yaml", "items:\n- {metadata: {name: a}}\n", "podenis.network.alibabacloud.com"},
	} {
		w := snapshot.NewWriter(snapshot.Meta{})
		require.NoError(t, w.Add(tt.part, []byte(tt.text)))
		s, err := w.Snapshot()
		require.NoError(t, err)
		require.Equal(t, tt.saw, plugin.Detect(s, []*plugin.Descriptor{Descriptor()}).Cluster.Evidence(), tt.part)
	}
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.AddNetNS("nodes/n1", lines{devices: []string{"eth0 2 hw 0 02:00:00:00:00:01", "ipvl_3 4 ipvlan 3 02:00:00:00:00:e1"}}.netns("host")))
	s, err := w.Snapshot()
	require.NoError(t, err)
	require.Equal(t, "device ipvl_3", plugin.Detect(s, []*plugin.Descriptor{Descriptor()}).Of("n1").Evidence())
}
