package topology

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// book is an atlas of a few places.
type book struct {
	places []Place
	netns  map[Place]*netstack.NetNS
	owners map[string]Place
	pods   map[string]Place
}

func (b *book) NetNS(p Place) *netstack.NetNS { return b.netns[p] }

func (b *book) Places(base string) (places []Place) {
	for _, p := range b.places {
		if p.Base == base {
			places = append(places, p)
		}
	}
	return places
}

func (b *book) Owner(ip netip.Addr) (Place, bool) {
	p, ok := b.owners[ip.String()]
	return p, ok
}

func (b *book) Pod(ip netip.Addr) (Place, bool) {
	p, ok := b.pods[ip.String()]
	return p, ok
}

func (b *book) add(t *testing.T, p Place, devices ...nodedump.Interface) {
	t.Helper()
	ns, problems := netstack.New(&nodedump.NetNSInfo{Key: p.Netns, File: p.ID() + "/netns.json", Interfaces: devices})
	require.Empty(t, problems)
	b.places = append(b.places, p)
	b.netns[p] = ns
}

func dev(name, kind string, index int, mac string, addrs ...string) nodedump.Interface {
	d := nodedump.Interface{Name: name, Kind: kind, Index: index, MAC: mac, MTU: 1500, Flags: []string{"UP"}}
	for _, a := range addrs {
		d.Addrs = append(d.Addrs, nodedump.Addr{Prefix: a, Scope: "global"})
	}
	return d
}

// veth is one end of a veth; peer is the index of the other, in another
// namespace.
func veth(name string, index, peer int, mac string, addrs ...string) nodedump.Interface {
	d, elsewhere := dev(name, "veth", index, mac, addrs...), 0
	d.Link, d.LinkNSID = peer, &elsewhere
	return d
}

func port(d nodedump.Interface, master int) nodedump.Interface {
	d.Master, d.Port = master, &nodedump.Port{State: "forwarding"}
	return d
}

var (
	host = Place{"nodes/n1", "host"}
	podA = Place{"nodes/n1", "default_a"}
	podB = Place{"nodes/n1", "default_b"}
	far  = Place{"nodes/n2", "host"}
)

// atlas is a node with two pods on a bridge, and another node.
func atlas(t *testing.T) *book {
	b := &book{netns: map[Place]*netstack.NetNS{}, owners: map[string]Place{"192.0.2.1": host, "192.0.2.2": far}, pods: map[string]Place{"10.244.1.10": podA}}
	b.add(t, host,
		dev("eth0", "", 2, "02:00:00:00:00:01", "192.0.2.1/24"),
		dev("cni0", "bridge", 3, "02:00:00:00:01:00", "10.244.1.1/24"),
		port(veth("vetha", 10, 2, "02:00:00:00:01:0a"), 3),
		port(veth("vethb", 11, 2, "02:00:00:00:01:0b"), 3))
	b.add(t, podA, veth("eth0", 2, 10, "0a:00:00:00:00:0a", "10.244.1.10/24"))
	b.add(t, podB, veth("eth0", 2, 11, "0a:00:00:00:00:0b", "10.244.1.11/24"))
	b.add(t, far, dev("eth0", "", 2, "02:00:00:00:00:02", "192.0.2.2/24"))
	return b
}

func TestPeer(t *testing.T) {
	b := atlas(t)
	top := New(b)
	for _, tt := range []struct {
		at   Place
		dev  string
		want End
	}{
		{podA, "eth0", End{host, "vetha"}},
		{podB, "eth0", End{host, "vethb"}},
		{host, "vetha", End{podA, "eth0"}},
		{host, "vethb", End{podB, "eth0"}},
		{host, "eth0", End{}},
	} {
		d, ok := b.NetNS(tt.at).Device(tt.dev)
		require.True(t, ok)
		got, found := top.Peer(tt.at, d)
		require.Equal(t, tt.want, got, "%s %s", tt.at.ID(), tt.dev)
		require.Equal(t, tt.want != End{}, found)
	}
	named := veth("eth0", 2, 10, "")
	named.PeerNetns = "default_b"
	_, found := top.Peer(podA, &named)
	require.False(t, found, "the collector's word comes first, even where it leads nowhere")
}

func TestOutward(t *testing.T) {
	b := atlas(t)
	own, alone := Place{"nodes/n1", "own"}, Place{"nodes/n3", "alone"}
	b.add(t, own, dev("eth0", "", 4, "02:00:00:00:00:e1"), veth("out0", 5, 99, "02:00:00:00:00:e2"), dev("br0", "bridge", 6, "02:00:00:00:00:e3"))
	b.add(t, alone, veth("eth0", 2, 10, "0a:00:00:00:00:0c"))
	for _, tt := range []struct {
		name string
		at   End
		want bool
	}{
		{"a node's own device", End{host, "eth0"}, true},
		{"a pod's cable to its node", End{podA, "eth0"}, false},
		{"a pod's hardware", End{own, "eth0"}, true},
		{"a pod's cable that does not end on its node", End{own, "out0"}, true},
		{"a pod's bridge", End{own, "br0"}, false},
		{"a pod's cable, of a node that was not collected", End{alone, "eth0"}, false},
		{"no device", End{own, "gone0"}, false},
		{"no namespace", End{Place{"nodes/n4", "host"}, "eth0"}, false},
	} {
		require.Equal(t, tt.want, New(b).Outward(tt.at), tt.name)
	}
}

func TestResolve(t *testing.T) {
	b := atlas(t)
	top := New(b)
	for _, tt := range []struct {
		name string
		at   Place
		dev  string
		ip   string
		mac  string
		want netfilter.Answer
	}{
		{"a pod asks for its gateway", podA, "eth0", "10.244.1.1", "02:00:00:00:01:00", netfilter.Yes},
		{"a pod asks for its neighbour", podA, "eth0", "10.244.1.11", "0a:00:00:00:00:0b", netfilter.Yes},
		{"nobody has the address", podA, "eth0", "10.244.1.99", "", netfilter.No},
		{"any address of the host answers on any device", podA, "eth0", "192.0.2.1", "02:00:00:00:01:00", netfilter.Yes},
		{"the node asks for a pod", host, "cni0", "10.244.1.10", "0a:00:00:00:00:0a", netfilter.Yes},
		{"the node asks for a node", host, "eth0", "192.0.2.2", "02:00:00:00:00:02", netfilter.Yes},
		{"strangers on the underlay may answer", host, "eth0", "192.0.2.99", "", netfilter.Maybe},
	} {
		mac, got := top.From(tt.at).Resolve(b.NetNS(tt.at), tt.dev, netip.MustParseAddr(tt.ip), model.Packet{})
		require.Equal(t, tt.want, got, tt.name)
		require.Equal(t, tt.mac, mac, tt.name)
	}
}

func TestDownDevicesAnswerNobody(t *testing.T) {
	b := atlas(t)
	d, _ := b.NetNS(podB).Device("eth0")
	d.Flags = nil
	_, got := New(b).From(podA).Resolve(b.NetNS(podA), "eth0", netip.MustParseAddr("10.244.1.11"), model.Packet{})
	require.Equal(t, netfilter.No, got)
}

func TestLeads(t *testing.T) {
	b := atlas(t)
	top := New(b)
	require.Equal(t, netfilter.Yes, top.From(host).Leads(b.NetNS(host), "vetha", "0a:00:00:00:00:0a"))
	require.Equal(t, netfilter.No, top.From(host).Leads(b.NetNS(host), "vetha", "0a:00:00:00:00:0b"))
	require.Equal(t, netfilter.Maybe, top.From(host).Leads(b.NetNS(host), "eth0", "0a:00:00:00:00:0b"))
}

func TestUnderlay(t *testing.T) {
	b := atlas(t)
	top := New(b)
	third := Place{"nodes/n3", "host"}
	b.add(t, third, dev("eth0", "", 2, "02:00:00:00:00:03", "192.0.2.3/24"))
	b.owners["192.0.2.3"] = third
	from, second := End{host, "eth0"}, netip.MustParseAddr("192.0.2.2")
	for _, tt := range []struct {
		name    string
		learned []nodedump.Neighbour
		mac     string
		end     End
		asIs    bool
		lost    bool
	}{
		{"the owner's own address", nil, "02:00:00:00:00:02", End{far, "eth0"}, true, false},
		{"another address may be a router's", nil, "02:ff:00:00:00:02", End{far, "eth0"}, false, false},
		{"another machine's address", neighbours("192.0.2.3", "02:00:00:00:00:03"), "02:00:00:00:00:03", End{third, "eth0"}, true, false},
		{"nobody's, where addresses cross as they are", neighbours("192.0.2.3", "02:00:00:00:00:03"), "02:ff:00:00:00:02", End{far, "eth0"}, false, true},
		{"a stranger's", neighbours("192.0.2.3", "02:00:00:00:00:03", "192.0.2.77", "02:ff:00:00:00:77"), "02:ff:00:00:00:77", End{far, "eth0"}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.NetNS(host).Info.Neighbours = tt.learned
			end, asIs, ok := top.Underlay(from, second, tt.mac)
			require.True(t, ok)
			require.Equal(t, tt.end, end)
			require.Equal(t, tt.asIs, asIs)
			require.Equal(t, tt.lost, top.From(host).Lost(b.NetNS(host), "eth0", tt.mac))
		})
	}
	_, _, ok := top.Underlay(from, netip.MustParseAddr("198.51.100.1"), "")
	require.False(t, ok)
}

// neighbours are entries of eth0 that were learned: address, hardware address.
func neighbours(pairs ...string) (list []nodedump.Neighbour) {
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, nodedump.Neighbour{IP: pairs[i], Dev: "eth0", MAC: pairs[i+1], State: "REACHABLE"})
	}
	return list
}

// Nothing crosses the wire of a device without carrier (noop_enqueue), from
// either end.
func TestUnpluggedDevicesAnswerNobody(t *testing.T) {
	for _, at := range []Place{host, far} {
		b := atlas(t)
		info := b.netns[at].Info
		info.Interfaces[0].OperState = "DOWN"
		b.netns[at], _ = netstack.New(info)
		_, known := New(b).From(host).Resolve(nil, "eth0", netip.MustParseAddr("192.0.2.2"), model.Packet{})
		require.Equal(t, netfilter.No, known, at.ID())
	}
}

// arp_ignore decides whether a host tells of the address of another device.
func TestARPIgnore(t *testing.T) {
	for _, tt := range []struct {
		ignore, ip string
		want       netfilter.Answer
	}{
		{"0", "192.0.2.1", netfilter.Yes},
		{"1", "192.0.2.1", netfilter.No},
		{"2", "192.0.2.1", netfilter.No},
		{"1", "10.244.1.1", netfilter.Yes},
		{"8", "10.244.1.1", netfilter.No},
	} {
		b := atlas(t)
		b.netns[host].Info.Sysctls = map[string]string{"net.ipv4.conf.all.arp_ignore": tt.ignore, "net.ipv4.conf.cni0.arp_ignore": "0"}
		b.netns[host], _ = netstack.New(b.netns[host].Info)
		_, known := New(b).From(podA).Resolve(nil, "eth0", netip.MustParseAddr(tt.ip), model.Packet{})
		require.Equal(t, tt.want, known, "arp_ignore %s, %s", tt.ignore, tt.ip)
	}
}

// above makes dev a device that stands on one of the host.
func above(d nodedump.Interface, parent int) nodedump.Interface {
	elsewhere := 0
	d.Link, d.LinkNSID, d.PeerNetns = parent, &elsewhere, "host"
	return d
}

// stack is a node with pods on macvlans, ipvlans and a VLAN of eth0.
func stack(t *testing.T) *book {
	b := &book{netns: map[Place]*netstack.NetNS{}, owners: map[string]Place{"192.0.2.1": host}, pods: map[string]Place{"192.0.2.10": podA}}
	eth0 := dev("eth0", "", 2, "02:00:00:00:00:01", "192.0.2.1/24")
	eth0.Above = []nodedump.Upper{{Netns: "default_a", Index: 3}, {Netns: "default_b", Index: 4}, {Netns: "default_c", Index: 5}}
	b.add(t, host, eth0)
	mv := func(name string, index int, mac, addr string) nodedump.Interface {
		d := above(dev(name, "macvlan", index, mac, addr), 2)
		d.Mode = "bridge"
		return d
	}
	b.add(t, podA, mv("eth0", 3, "0a:00:00:00:00:0a", "192.0.2.10/24"))
	b.add(t, podB, mv("eth0", 4, "0a:00:00:00:00:0b", "192.0.2.11/24"))
	vlan := above(dev("eth0", "vlan", 5, "02:00:00:00:00:01", "10.5.0.1/24"), 2)
	vlan.VLAN = &nodedump.VLAN{ID: 5}
	b.add(t, Place{"nodes/n1", "default_c"}, vlan)
	return b
}

func TestStack(t *testing.T) {
	b := stack(t)
	top := New(b)
	mv, _ := b.NetNS(podA).Device("eth0")
	end, ok := top.Below(podA, mv)
	require.True(t, ok)
	require.Equal(t, End{host, "eth0"}, end)
	list := top.Above(host, "eth0")
	require.Len(t, list, 3)
	require.Equal(t, podA.ID(), list[0].Netns)
	place, ok := PlaceOf(list[1].Netns)
	require.True(t, ok)
	require.Equal(t, podB, place)
	for _, tt := range []struct {
		name string
		at   Place
		ip   string
		mac  string
		want netfilter.Answer
	}{
		{"macvlan_broadcast: another one on the same parent", podA, "192.0.2.11", "0a:00:00:00:00:0b", netfilter.Yes},
		{"the parent itself does not hear its macvlans", podA, "192.0.2.1", "", netfilter.No},
		{"nor they it", host, "192.0.2.10", "", netfilter.No},
		{"a VLAN is a segment of its own", Place{"nodes/n1", "default_c"}, "192.0.2.11", "", netfilter.Maybe},
	} {
		mac, got := top.From(tt.at).Resolve(b.NetNS(tt.at), "eth0", netip.MustParseAddr(tt.ip), model.Packet{})
		require.Equal(t, tt.want, got, tt.name)
		require.Equal(t, tt.mac, mac, tt.name)
	}
}

// proxyNode is a node with one pod whose gateway is an address that nobody has.
func proxyNode(t *testing.T, sysctls map[string]string, proxies ...nodedump.Neighbour) *book {
	b := &book{netns: map[Place]*netstack.NetNS{}, owners: map[string]Place{}, pods: map[string]Place{}}
	b.add(t, host, dev("eth0", "", 2, "02:00:00:00:00:01", "192.0.2.1/24"), veth("cali1", 10, 2, "ee:ee:ee:ee:ee:ee"))
	info := b.netns[host].Info
	info.Routes = []nodedump.Route{{Family: 4, Table: 254, Dst: "0.0.0.0/0", Dev: "eth0", Via: "192.0.2.254"}, {Family: 4, Table: 254, Dst: "10.1.0.5/32", Dev: "cali1", Scope: "link"},
		{Family: 4, Table: 254, Dst: "192.0.2.0/24", Dev: "eth0", Scope: "link"}, {Family: 4, Table: 254, Dst: "10.1.0.6/32", Dev: "cali1", Scope: "link"}}
	info.Sysctls, info.Neighbours = sysctls, proxies
	b.netns[host], _ = netstack.New(info)
	b.add(t, podA, veth("eth0", 2, 10, "0a:00:00:00:00:0a", "10.1.0.5/32"))
	return b
}

// arp_process and ndisc_recv_ns: who answers for what is not their own.
func TestProxies(t *testing.T) {
	on := func(pairs ...string) map[string]string {
		m := map[string]string{"net.ipv4.ip_forward": "1", "net.ipv6.conf.cali1.forwarding": "1"}
		for i := 0; i+1 < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	six := nodedump.Neighbour{IP: "fe80::1", Dev: "cali1", Proxy: true}
	for _, tt := range []struct {
		name    string
		sysctls map[string]string
		proxies []nodedump.Neighbour
		ip      string
		want    netfilter.Answer
	}{
		{"nobody", on(), nil, "169.254.1.1", netfilter.No},
		{"proxy_arp, and a route by another device", on("net.ipv4.conf.cali1.proxy_arp", "1"), nil, "169.254.1.1", netfilter.Yes},
		{"proxy_arp of all devices", on("net.ipv4.conf.all.proxy_arp", "1"), nil, "169.254.1.1", netfilter.Yes},
		{"proxy_arp needs forwarding", map[string]string{"net.ipv4.conf.cali1.proxy_arp": "1", "net.ipv4.ip_forward": "0"}, nil, "169.254.1.1", netfilter.No},
		{"proxy_arp is not for the same device", on("net.ipv4.conf.cali1.proxy_arp", "1"), nil, "10.1.0.6", netfilter.No},
		{"proxy_arp_pvlan is", on("net.ipv4.conf.cali1.proxy_arp_pvlan", "1"), nil, "10.1.0.6", netfilter.Yes},
		{"an entry that somebody wrote", on(), []nodedump.Neighbour{{IP: "169.254.1.1", Dev: "cali1", Proxy: true}}, "169.254.1.1", netfilter.Yes},
		{"proxy_ndp needs an entry", on("net.ipv6.conf.cali1.proxy_ndp", "1"), nil, "fe80::1", netfilter.No},
		{"proxy_ndp with an entry", on("net.ipv6.conf.cali1.proxy_ndp", "1"), []nodedump.Neighbour{six}, "fe80::1", netfilter.Yes},
		{"an entry without proxy_ndp", on(), []nodedump.Neighbour{six}, "fe80::1", netfilter.No},
		{"arp_ignore 3", on("net.ipv4.conf.all.arp_ignore", "3"), nil, "192.0.2.1", netfilter.Yes},
		{"arp_ignore 8", on("net.ipv4.conf.all.arp_ignore", "8"), nil, "192.0.2.1", netfilter.No},
	} {
		b := proxyNode(t, tt.sysctls, tt.proxies...)
		_, got := New(b).From(podA).Resolve(b.NetNS(podA), "eth0", netip.MustParseAddr(tt.ip), model.Packet{})
		require.Equal(t, tt.want, got, tt.name)
	}
}

// A VXLAN device that is a proxy may answer ARP for whom it knows (arp_reduce).
func TestProxyOfVXLAN(t *testing.T) {
	for proxy, want := range map[bool]netfilter.Answer{false: netfilter.No, true: netfilter.Maybe} {
		b := atlas(t)
		vx := port(dev("vx0", "vxlan", 12, "02:00:00:00:01:0c"), 3)
		vx.VXLAN = &nodedump.VXLAN{ID: 5, Port: 8472, Proxy: proxy}
		b.add(t, host, dev("cni0", "bridge", 3, "02:00:00:00:01:00", "10.244.1.1/24"), vx)
		_, got := New(b).From(host).Resolve(b.NetNS(host), "cni0", netip.MustParseAddr("10.244.1.99"), model.Packet{})
		require.Equal(t, want, got, "proxy %v", proxy)
	}
}
