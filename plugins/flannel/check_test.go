package flannel

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A cluster is two nodes, n1 and n2, as their parts of a bundle: a test changes
// some words of them. It is the atlas of its own bundle.
type cluster struct {
	net   string // net-conf.json
	notes map[string]string
	cidrs map[string]string
	env   map[string]string // subnet.env
	devs  map[string][]nodedump.Interface
	ways  map[string][]nodedump.Route

	neighbours []nodedump.Neighbour // of n1
	fdb        []nodedump.FDBEntry

	read map[topology.Place]*netstack.NetNS
}

// drain takes away all that flanneld has and leaves.
func (c *cluster) drain() {
	for _, n := range []string{"n1", "n2"} {
		c.cidrs[n], c.env[n], c.notes[n] = "[]", "", "{}"
	}
}

// number is n1's or n2's.
func number(node string) int { return int(node[1] - '0') }

// vxlan is a cluster in which all is well.
func vxlan() *cluster {
	c := &cluster{net: `{"Network":"10.244.0.0/16","IPv6Network":"fd00::/48","EnableIPv6":true,"Backend":{"Type":"vxlan"}}`,
		notes: map[string]string{}, cidrs: map[string]string{}, env: map[string]string{}, devs: map[string][]nodedump.Interface{}, ways: map[string][]nodedump.Route{}}
	for _, n := range []string{"n1", "n2"} {
		i, far := number(n), 3-number(n)
		c.notes[n] = fmt.Sprintf(`{%[1]skube-subnet-manager: "true", %[1]sbackend-type: vxlan, %[1]spublic-ip: 192.0.2.%[2]d, %[1]spublic-ipv6: "2001:db8::%[2]d",
 %[1]sbackend-data: '{"VNI":1,"VtepMAC":"0a:00:00:00:04:0%[2]d"}', %[1]sbackend-v6-data: '{"VNI":1,"VtepMAC":"0a:00:00:00:06:0%[2]d"}'}`, snapshot.FlannelPrefix, i)
		c.cidrs[n] = fmt.Sprintf(`["10.244.%d.0/24", "fd00:0:0:%d::/64"]`, i, i)
		c.env[n] = fmt.Sprintf("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.%d.1/24\nFLANNEL_IPV6_SUBNET=fd00:0:0:%d::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n", i, i)
		dev := func(name, kind, mac string, mtu int, addrs ...string) {
			d := nodedump.Interface{Name: name, Index: len(c.devs[n]) + 2, Kind: kind, MAC: mac, MTU: mtu, Flags: []string{"UP", "LOWER_UP"}}
			for _, a := range addrs {
				d.Addrs = append(d.Addrs, nodedump.Addr{Prefix: a, Scope: "global"})
			}
			c.devs[n] = append(c.devs[n], d)
		}
		dev("eth0", "", fmt.Sprintf("02:00:00:00:00:0%d", i), 1500, fmt.Sprintf("192.0.2.%d/24", i), fmt.Sprintf("2001:db8::%d/64", i))
		dev("flannel.1", "vxlan", fmt.Sprintf("0a:00:00:00:04:0%d", i), 1450, fmt.Sprintf("10.244.%d.0/32", i))
		dev("flannel-v6.1", "vxlan", fmt.Sprintf("0a:00:00:00:06:0%d", i), 1450, fmt.Sprintf("fd00:0:0:%d::/128", i))
		c.ways[n] = []nodedump.Route{{Family: 4, Table: 254, Dst: "192.0.2.0/24", Dev: "eth0"}, {Family: 6, Table: 254, Dst: "2001:db8::/64", Dev: "eth0"},
			{Family: 4, Table: 254, Dst: fmt.Sprintf("10.244.%d.0/24", far), Via: fmt.Sprintf("10.244.%d.0", far), Dev: "flannel.1", Flags: []string{"onlink"}},
			{Family: 6, Table: 254, Dst: fmt.Sprintf("fd00:0:0:%d::/64", far), Via: fmt.Sprintf("fd00:0:0:%d::", far), Dev: "flannel-v6.1", Flags: []string{"onlink"}}}
	}
	c.neighbours = []nodedump.Neighbour{{IP: "10.244.2.0", Dev: "flannel.1", MAC: "0a:00:00:00:04:02", State: "PERMANENT"}, {IP: "fd00:0:0:2::", Dev: "flannel-v6.1", MAC: "0a:00:00:00:06:02", State: "PERMANENT"}}
	c.fdb = []nodedump.FDBEntry{{MAC: "0a:00:00:00:04:02", Dev: "flannel.1", Dst: "192.0.2.2"}, {MAC: "0a:00:00:00:06:02", Dev: "flannel-v6.1", Dst: "2001:db8::2"}}
	return c
}

// note changes words of a node's annotations.
func note(node string, words ...string) func(*cluster) {
	return func(c *cluster) { c.notes[node] = strings.NewReplacer(words...).Replace(c.notes[node]) }
}

// with changes words of net-conf.json, and takes the backend's name into the
// annotations.
func (c *cluster) with(backend string, more string) {
	c.net = strings.Replace(c.net, `"Type":"vxlan"`, `"Type":"`+backend+`"`+more, 1)
	note("n1", "type: vxlan", "type: "+backend)(c)
	note("n2", "type: vxlan", "type: "+backend)(c)
	c.env["n1"] = strings.Replace(c.env["n1"], "MTU=1450", fmt.Sprintf("MTU=%d", 1500-overhead(backend)), 1)
}

func (c *cluster) NetNS(p topology.Place) *netstack.NetNS { return c.read[p] }

func (c *cluster) Places(base string) []topology.Place {
	return []topology.Place{{Base: base, Netns: "host"}}
}

func (c *cluster) Pod(netip.Addr) (topology.Place, bool) { return topology.Place{}, false }

func (c *cluster) Owner(netip.Addr) (topology.Place, bool) { return topology.Place{}, false }

// open makes the plugin of the cluster.
func (c *cluster) open(t *testing.T, cfg *Config) *flannel {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	nodes := "items:\n"
	c.read = map[topology.Place]*netstack.NetNS{}
	for _, n := range []string{"n1", "n2"} {
		nodes += fmt.Sprintf("- {metadata: {name: %s, annotations: %s}, spec: {podCIDRs: %s}, status: {addresses: [{type: InternalIP, address: 192.0.2.%d}]}}\n", n, c.notes[n], c.cidrs[n], number(n))
		require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: n, Netns: []string{"host"}}))
		info := &nodedump.NetNSInfo{Key: "host", Interfaces: c.devs[n], Routes: c.ways[n], Sysctls: map[string]string{"net.ipv4.ip_forward": "1"}}
		if n == "n1" {
			info.Neighbours, info.FDB = c.neighbours, c.fdb
		}
		require.NoError(t, w.AddNetNS("nodes/"+n, info))
		if c.env[n] != "" {
			require.NoError(t, w.Add("nodes/"+n+"/files/run/flannel/subnet.env", []byte(c.env[n])))
		}
		ns, problems := netstack.New(info)
		require.Empty(t, problems)
		c.read[topology.Place{Base: "nodes/" + n, Netns: "host"}] = ns
	}
	require.NoError(t, w.Add("cluster/nodes.yaml", []byte(nodes)))
	if c.net != "" {
		require.NoError(t, w.AddList("configmaps", config(c.net, "")))
	}
	require.NoError(t, w.AddList("pods"))
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, _ := k8s.NewIPCache(snap)
	env := plugin.Env{Snapshot: snap, IPCache: ips, Topology: topology.New(c), Atlas: c,
		HopOf: func(p topology.Place) model.Hop {
			return model.Hop{Type: model.NetNodeTypeNode, ID: strings.TrimPrefix(p.Base, "nodes/")}
		}}
	d := Descriptor()
	*d.Config.(*Config) = *cfg
	p, err := d.New(env)
	require.NoError(t, err)
	return p.(*flannel)
}

// heard are the suspicions of a check of n1: "code words of the message".
type heard []string

func (h *heard) Report(s model.Suspicion) { *h = append(*h, s.Code+" "+s.Message) }

var _ assertions.Reporter = (*heard)(nil)

func TestCheckNode(t *testing.T) {
	drop := func(c *cluster, dst string) {
		for i := range c.ways["n1"] {
			if c.ways["n1"][i].Dst == dst {
				c.ways["n1"] = append(c.ways["n1"][:i:i], c.ways["n1"][i+1:]...)
				return
			}
		}
	}
	way := func(c *cluster, family int, dst, via, dev string) {
		drop(c, dst)
		c.ways["n1"] = append(c.ways["n1"], nodedump.Route{Family: family, Table: 254, Dst: dst, Via: via, Dev: dev, Flags: []string{"onlink"}})
	}
	for _, tt := range []struct {
		name   string
		change func(*cluster)
		want   []string // how each begins
	}{
		{"all is well", func(*cluster) {}, nil},
		{"no route", func(c *cluster) { drop(c, "10.244.2.0/24") }, []string{"route/missing the route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 is missing"}},
		{"no IPv6 route", func(c *cluster) { drop(c, "fd00:0:0:2::/64") }, []string{"route/missing the route fd00:0:0:2::/64 via fd00:0:0:2:: dev flannel-v6.1 is missing"}},
		{"no neighbour", func(c *cluster) { c.neighbours = c.neighbours[1:] }, []string{"neigh/missing no neighbour entry for 10.244.2.0 on flannel.1"}},
		{"wrong IPv6 neighbour", func(c *cluster) { c.neighbours[1].MAC = "0a:00:00:00:06:09" }, []string{"neigh/wrong the neighbour entry for fd00:0:0:2:: on flannel-v6.1"}},
		{"no FDB entry", func(c *cluster) { c.fdb = nil }, []string{"fdb/missing the forwarding database of flannel.1", "fdb/missing the forwarding database of flannel-v6.1"}},
		{"wrong IPv6 FDB entry", func(c *cluster) { c.fdb[1].Dst = "2001:db8::9" }, []string{"fdb/wrong the forwarding database of flannel-v6.1"}},
		{"another VNI, of the annotation", note("n1", `"VNI":1`, `"VNI":7`), []string{"link/missing flannel's tunnel device flannel.7", "link/missing flannel's tunnel device flannel-v6.7"}},
		{"DirectRouting, and the tunnel is used", func(c *cluster) { c.with("vxlan", `,"DirectRouting":true`) },
			[]string{"route/diverted packets to 10.244.2.1 leave by 10.244.2.0/24 via 10.244.2.0 dev flannel.1", "route/diverted packets to fd00:0:0:2::1"}},
		{"DirectRouting", func(c *cluster) {
			c.with("vxlan", `,"DirectRouting":true`)
			way(c, 4, "10.244.2.0/24", "192.0.2.2", "eth0")
			way(c, 6, "fd00:0:0:2::/64", "2001:db8::2", "eth0")
		}, nil},
		{"DirectRouting, behind a gateway", func(c *cluster) {
			c.with("vxlan", `,"DirectRouting":true`)
			way(c, 4, "192.0.2.0/24", "192.0.2.254", "eth0")
			way(c, 6, "2001:db8::/64", "2001:db8::fe", "eth0")
		}, nil},
		{"a direct route, and net-conf.json does not tell", func(c *cluster) {
			c.net = ""
			way(c, 4, "10.244.2.0/24", "192.0.2.2", "eth0")
		}, nil},
		{"another node's direct route, and net-conf.json does not tell", func(c *cluster) {
			c.net = ""
			way(c, 4, "10.244.2.0/24", "192.0.2.9", "eth0")
		}, []string{"route/diverted packets to 10.244.2.1 leave by 10.244.2.0/24 via 192.0.2.9"}},
		{"a peer of another network", func(c *cluster) {
			c.notes["n2"], c.env["n2"] = "{}", ""
			drop(c, "10.244.2.0/24")
		}, nil},
		{"host-gw, and the tunnel is used", func(c *cluster) { c.with("host-gw", "") },
			[]string{"route/diverted packets to 10.244.2.1 leave by 10.244.2.0/24 via 10.244.2.0 dev flannel.1", "route/diverted packets to fd00:0:0:2::1"}},
		{"host-gw", func(c *cluster) {
			c.with("host-gw", "")
			way(c, 4, "10.244.2.0/24", "192.0.2.2", "eth0")
			way(c, 6, "fd00:0:0:2::/64", "2001:db8::2", "eth0")
		}, nil},
		{"ipip without its device", func(c *cluster) { c.with("ipip", ""); c.cidrs["n2"] = `["10.244.2.0/24"]` }, []string{"link/missing flannel's tunnel device flannel.ipip"}},
		{"ipip", func(c *cluster) {
			c.with("ipip", "")
			c.cidrs["n2"], c.devs["n1"][1].Name = `["10.244.2.0/24"]`, "flannel.ipip"
			way(c, 4, "10.244.2.0/24", "192.0.2.2", "flannel.ipip")
		}, nil},
		{"wireguard", func(c *cluster) {
			c.with("wireguard", "")
			c.devs["n1"][1].Name, c.devs["n1"][2].Name = "flannel-wg", "flannel-wg-v6"
			drop(c, "10.244.2.0/24")
			drop(c, "fd00:0:0:2::/64")
			way(c, 4, "10.244.0.0/16", "", "flannel-wg")
			way(c, 6, "fd00::/48", "", "flannel-wg-v6")
		}, nil},
		{"wireguard, both families in one", func(c *cluster) { c.with("wireguard", `,"Mode":"auto"`) }, []string{"link/missing flannel's tunnel device flannel-wg ", "link/missing flannel's tunnel device flannel-wg "}},
		{"alloc leaves routes to others", func(c *cluster) { c.with("alloc", ""); drop(c, "10.244.2.0/24") }, nil},
		{"a backend that is not known", func(c *cluster) { c.with("tencent-vpc", ""); drop(c, "10.244.2.0/24") }, nil},
		{"broken net-conf.json", func(c *cluster) { c.net = strings.Replace(c.net, "10.244.0.0/16", "10.244.0.0", 1) }, []string{"cni/broken net-conf.json cannot be read: Network"}},
		{"no podCIDR", func(c *cluster) { c.cidrs["n1"], c.env["n1"] = "[]", "" }, []string{"cni/broken node n1 has no podCIDR"}},
		{"no podCIDR, and flanneld never came up", func(c *cluster) { c.drain() }, []string{"cni/broken node n1 has no podCIDR"}},
		{"no podCIDR, and nothing tells of anything but etcd", func(c *cluster) {
			c.drain()
			c.net = ""
		}, nil},
		{"not registered", note("n1", `manager: "true"`, `manager: ""`), []string{"cni/contradiction node n1 has no annotations"}},
		{"etcd instead of podCIDR", func(c *cluster) {
			note("n1", `manager: "true"`, `manager: ""`)(c)
			note("n2", `manager: "true"`, `manager: ""`)(c)
			c.cidrs["n1"], c.cidrs["n2"] = "[]", "[]"
		}, nil},
		{"podCIDR outside of the network", func(c *cluster) { c.cidrs["n1"], c.env["n1"] = `["10.9.1.0/24"]`, "" }, []string{"cni/contradiction the podCIDR 10.9.1.0/24 of node n1 lies outside"}},
		{"subnet.env of another range", func(c *cluster) { c.env["n1"] = strings.Replace(c.env["n1"], "10.244.1.1", "10.244.7.1", 1) }, []string{"cni/contradiction subnet.env of node n1 gives its pods addresses of 10.244.7.0/24"}},
		{"the backend of net-conf.json is another", func(c *cluster) { c.net = strings.Replace(c.net, `"vxlan"`, `"host-gw"`, 1) }, []string{"cni/contradiction flanneld of node n1 runs with the backend vxlan"}},
		{"the tunnel has another hardware address", func(c *cluster) { c.devs["n1"][1].MAC = "0a:00:00:00:04:99" }, []string{"cni/contradiction the annotation of node n1 tells the other nodes that its tunnel has the hardware address 0a:00:00:00:04:01"}},
		{"public-ip of nobody", note("n1", "192.0.2.1", "192.0.2.77"), []string{"address/wrong flanneld tells the other nodes that node n1 is at 192.0.2.77, which none of its devices has: it is nobody's"}},
		{"public-ip behind NAT", note("n1", "192.0.2.1", "203.0.113.7"), nil},
		{"an underlay that takes less than it did", func(c *cluster) { c.devs["n1"][0].MTU = 1400 }, []string{"mtu/too-small subnet.env gives new pods of node n1 an MTU of 1450, and no more than 1350"}},
		{"an MTU of net-conf.json", func(c *cluster) { c.with("vxlan", `,"MTU":1400`) }, []string{"mtu/too-small subnet.env gives new pods of node n1 an MTU of 1450, and no more than 1350"}},
		{"machines that were cloned", func(c *cluster) {
			note("n2", "04:02", "04:01")(c)
			c.devs["n2"][1].MAC, c.neighbours[0].MAC, c.fdb[0].MAC = "0a:00:00:00:04:01", "0a:00:00:00:04:01", "0a:00:00:00:04:01"
		}, []string{"address/duplicate nodes n1 and n2 tell the others the same hardware address of their tunnels: 0a:00:00:00:04:01"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := vxlan()
			tt.change(c)
			var got heard
			c.open(t, &Config{IPMasq: true}).CheckNode(&got, "n1")
			require.Len(t, got, len(tt.want), "%q", got)
			for i, want := range tt.want {
				require.True(t, strings.HasPrefix(got[i], want), "%q", got)
			}
		})
	}
}

// Options come before what the bundle says.
func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string // how the first suspicion begins, "" if there is none
	}{
		{Config{PodMTU: 1400}, "mtu/too-small subnet.env gives new pods of node n1 an MTU of 1450, and no more than 1400 get to other nodes: --flannel-pod-mtu"},
		{Config{PodMTU: 1450}, ""},
		{Config{Backend: "vxlan"}, ""},
		{Config{Backend: "host-gw"}, "route/diverted"},
		{Config{Backend: "host-gw", HostInterface: "eth9"}, "link/missing"},
	} {
		tt.cfg.IPMasq = true
		var got heard
		vxlan().open(t, &tt.cfg).CheckNode(&got, "n1")
		require.Equal(t, tt.want != "", len(got) > 0, "%+v: %q", tt.cfg, got)
		if tt.want != "" {
			require.True(t, strings.HasPrefix(got[0], tt.want), "%+v: %q", tt.cfg, got)
		}
	}
}

// What a packet to the other node's pods finds wrong there.
func TestRemote(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*cluster)
		want   string // how the only suspicion begins, "" if there is none
	}{
		{"all is well", func(*cluster) {}, ""},
		{"not registered", note("n2", `manager: "true"`, `manager: ""`), "node:n2 cni/contradiction node n2 has no annotations"},
		{"another backend", note("n2", "type: vxlan", "type: host-gw"), "node:n2 cni/contradiction node n2 has the backend host-gw and node n1 vxlan"},
		{"subnet.env of another range", func(c *cluster) { c.env["n2"] = strings.Replace(c.env["n2"], "10.244.2.1", "10.244.7.1", 1) },
			"node:n2 cni/contradiction subnet.env of node n2"},
		{"a hardware address that the tunnel does not have", func(c *cluster) { c.devs["n2"][1].MAC = "0a:00:00:00:04:99" }, "node:n2 cni/contradiction the annotation of node n2"},
		{"no route", func(c *cluster) { c.ways["n1"] = c.ways["n1"][:2] }, ": route/missing the route 10.244.2.0/24"},
	} {
		c := vxlan()
		tt.change(c)
		f := c.open(t, &Config{})
		peer, _ := f.IPCache.GetNodeFromName("n2")
		var got located
		a := assertions.NewNetstackAssertion(&got, f.HostNS("n1"), model.SuspicionLevelCritical)
		f.at("n1").Remote(a, netip.MustParseAddr("10.244.2.7"), peer)
		require.Equal(t, tt.want != "", len(got) == 1, "%s: %q", tt.name, got)
		if tt.want != "" {
			require.True(t, strings.HasPrefix(got[0], tt.want), "%s: %q", tt.name, got)
		}
	}
}

// located are suspicions with the place that they are about.
type located []string

func (l *located) Report(s model.Suspicion) {
	*l = append(*l, fmt.Sprintf("%s %s %s", s.On, s.Code, s.Message))
}

func TestMasquerades(t *testing.T) {
	packet := func(src, dst string) model.Packet {
		return model.Packet{Protocol: model.TCP, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst)}
	}
	for _, tt := range []struct {
		src, dst string
		env      string // of FLANNEL_IPMASQ
		option   bool
		want     bool
	}{
		{"10.244.1.2:1", "192.0.2.9:80", "true", true, true},
		{"10.244.1.2:1", "192.0.2.9:80", "false", true, false},
		{"10.244.1.2:1", "192.0.2.9:80", "true", false, false},
		{"10.244.1.2:1", "10.244.2.2:80", "true", true, false},
		{"10.244.1.2:1", "224.0.0.9:80", "true", true, false},
		{"192.0.2.9:1", "192.0.2.8:80", "true", true, false},
	} {
		c := vxlan()
		c.env["n1"] = "FLANNEL_IPMASQ=" + tt.env
		f := c.open(t, &Config{IPMasq: tt.option})
		f.ClusterCIDRs = []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}
		require.Equal(t, tt.want, f.at("n1").Masquerades(packet(tt.src, tt.dst)), "%+v", tt)
	}
}
