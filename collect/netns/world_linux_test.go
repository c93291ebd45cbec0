package netns

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A world is a node with pods that a test makes of real namespaces. They have
// no names and end with the test.
type world struct {
	t      testing.TB
	spaces []*space
}

// newWorld makes a node's namespace and those of pods, or skips the test.
func newWorld(t testing.TB, pods int) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOTHING TESTED: network namespaces need root")
	}
	for _, tool := range []string{"ip", "bridge"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED, NOTHING TESTED: no %s here to make networks with", tool)
		}
	}
	w := &world{t: t}
	home, err := vns.Get()
	require.NoError(t, err)
	defer home.Close()
	for i := range pods + 1 {
		err := inside(home, func() error { // which brings the thread back
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			ns, err := vns.GetFromPath("/proc/thread-self/ns/net")
			if err != nil {
				return err
			}
			s, err := newSpace(ns, i == 0)
			w.spaces = append(w.spaces, s)
			return err
		})
		if err != nil {
			t.Skipf("SKIPPED, NOTHING TESTED: no network namespaces here: %v", err)
		}
	}
	for i := range w.spaces { // addresses are there at once, not a second later
		w.sh(i, "sysctl -qw net.ipv6.conf.default.accept_dad=0")
	}
	t.Cleanup(func() {
		for _, s := range w.spaces {
			s.close()
		}
	})
	return w
}

// sh runs commands in a namespace, one per line, and returns what they print.
func (w *world) sh(space int, script string) string {
	w.t.Helper()
	var out strings.Builder
	err := inside(w.spaces[space].ns, func() error {
		for line := range strings.Lines(script) {
			fields := strings.Fields(line)
			if len(fields) == 0 {
				continue
			}
			text, err := exec.Command(fields[0], fields[1:]...).CombinedOutput()
			out.Write(text)
			if err != nil {
				return fmt.Errorf("%s: %w: %s", strings.TrimSpace(line), err, text)
			}
		}
		return nil
	})
	require.NoError(w.t, err)
	return out.String()
}

// link joins the first namespace with another by a veth pair.
func (w *world) link(dev string, space int, peer string) {
	w.t.Helper()
	w.sh(0, fmt.Sprintf("ip link add %s type veth peer name %s netns /proc/%d/fd/%d", dev, peer, os.Getpid(), w.spaces[space].ns))
}

// node makes a node with one pod and a far host, and waits for its carriers.
func (w *world) node() {
	w.t.Helper()
	w.link("veth0", 1, "eth0")
	w.link("eth0", 2, "far0")
	w.sh(1, "ip link set eth0 up")
	w.sh(2, "ip link set far0 up")
	w.sh(0, nodeScript)
	require.Eventually(w.t, func() bool {
		return !strings.Contains(w.sh(0, "ip link\nip route\nip -6 route\nbridge link"), "NO-CARRIER") &&
			strings.Contains(w.sh(0, "bridge link"), "state forwarding") &&
			!strings.Contains(w.sh(0, "ip route show table all\nip -6 route show table all"), "linkdown")
	}, 5*time.Second, 20*time.Millisecond)
}

// collect dumps the world.
func (w *world) collect(o Options) *Result {
	w.t.Helper()
	return newMachine(context.Background(), o.withDefaults("n1"), w.spaces).collect(newRegister(w.t.TempDir(), o.Pods), nil)
}

// dev returns an interface of a dump.
func dev(t testing.TB, info *nodedump.NetNSInfo, name string) nodedump.Interface {
	t.Helper()
	i := slices.IndexFunc(info.Interfaces, func(d nodedump.Interface) bool { return d.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return info.Interfaces[i]
}

// nodeScript makes the network of a node with flannel.
const nodeScript = `
ip link set lo up
ip link add br0 type bridge
ip link set br0 address 02:00:00:00:00:01
ip addr add 10.244.1.1/24 dev br0
ip addr add fd00:1::1/64 dev br0 nodad
ip link set br0 up
ip link set veth0 master br0
ip link set veth0 up
bridge link set dev veth0 hairpin on learning off isolated on
ip link set eth0 up
ip addr add 172.31.0.11/24 dev eth0
ip addr add 172.31.0.50 peer 172.31.0.51/32 dev eth0 label eth0:peer
ip link add flannel.1 type vxlan id 1 local 172.31.0.11 dev eth0 dstport 8472 nolearning df set
ip link set flannel.1 address 02:00:00:00:01:01
ip addr add 10.244.1.0/32 dev flannel.1
ip link set flannel.1 up
ip link add mv0 link eth0 type macvlan mode bridge
ip route add 10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink
ip neigh add 10.244.2.0 lladdr 02:00:00:00:02:01 dev flannel.1 nud permanent
ip neigh add proxy 10.99.0.1 dev eth0
bridge fdb append 02:00:00:00:02:01 dev flannel.1 dst 172.31.0.12 self permanent
bridge fdb append 00:00:00:00:00:00 dev flannel.1 dst 172.31.0.13 port 8473 vni 9 self permanent
ip route add blackhole 10.50.0.0/16
ip route add unreachable 10.51.0.0/16 metric 5
ip route add prohibit 10.52.0.0/16 table 100
ip route add throw 10.53.0.0/16
ip route add 10.54.0.0/16 proto static mtu 1400 tos 0x10 src 172.31.0.11 via 172.31.0.1
ip route add 10.55.0.0/16 nexthop via 172.31.0.1 weight 1 nexthop via 172.31.0.2 weight 3
ip route add 10.56.0.0/16 via inet6 fe80::1 dev eth0
ip -6 route add fd00:2::/64 via fd00:1::2 dev br0 metric 77
ip -6 route add unreachable fd00:3::/64
ip rule add priority 100 from 10.244.1.0/24 to 10.0.0.0/8 iif br0 oif eth0 fwmark 0x4000/0xc000 lookup 100
ip rule add priority 101 not from 10.1.0.0/16 tos 0x10 ipproto tcp sport 1000-2000 dport 53 blackhole
ip rule add priority 102 uidrange 0-99 goto 32766
ip rule add priority 103 lookup main suppress_prefixlength 0
ip rule add priority 104 prohibit
ip -6 rule add priority 105 from fd00:9::/64 unreachable
`

func TestWorldLinks(t *testing.T) {
	w := newWorld(t, 2)
	w.node()
	r := w.collect(Options{Pods: nil})
	require.Empty(t, r.Netns[0].Sections, r.Netns[0].Reasons)
	host := r.Netns[0]
	require.Equal(t, nodedump.HostNetns, host.Key)
	require.Equal(t, r.Node.Netns[0], host.Key)

	veth, peer := dev(t, host, "veth0"), nodedump.Interface{}
	for _, info := range r.Netns[1:] {
		if info.Key == veth.PeerNetns {
			peer = dev(t, info, "eth0")
		}
	}
	require.Equal(t, "veth", veth.Kind)
	require.Equal(t, veth.Link, peer.Index)
	require.Equal(t, peer.Link, veth.Index)
	require.Equal(t, nodedump.HostNetns, peer.PeerNetns)
	require.NotNil(t, veth.LinkNSID)
	require.Equal(t, dev(t, host, "br0").Index, veth.Master)
	require.Equal(t, &nodedump.Port{State: "forwarding", Hairpin: true, NoLearning: true, Isolated: true}, veth.Port)
	require.Contains(t, veth.Flags, "LOWER_UP")
	require.Equal(t, "UP", veth.OperState)

	br := dev(t, host, "br0")
	require.Equal(t, "bridge", br.Kind)
	require.Equal(t, "02:00:00:00:00:01", br.MAC)
	require.NotNil(t, br.Bridge)
	require.Equal(t, "10.244.1.1/24", br.Addrs[0].Prefix)
	eth := dev(t, host, "eth0")
	require.Equal(t, nodedump.Addr{Prefix: "172.31.0.50/32", Peer: "172.31.0.51/32", Scope: "global", Label: "eth0:peer", Flags: []string{"permanent"}}, eth.Addrs[1])
	vx := dev(t, host, "flannel.1")
	require.Equal(t, &nodedump.VXLAN{ID: 1, Local: "172.31.0.11", Link: eth.Index, Port: 8472, NoLearning: true, UDPCsum: true, DF: "set"}, vx.VXLAN)
	require.Equal(t, "bridge", dev(t, host, "mv0").Mode)
	require.Equal(t, eth.Index, dev(t, host, "mv0").Link)
	require.Nil(t, dev(t, host, "mv0").LinkNSID)
	require.Equal(t, "loopback", dev(t, host, "lo").Kind)
}

func TestWorldRoutes(t *testing.T) {
	w := newWorld(t, 2)
	w.node()
	host := w.collect(Options{}).Netns[0]
	find := func(dst string) nodedump.Route {
		i := slices.IndexFunc(host.Routes, func(r nodedump.Route) bool { return r.Dst == dst })
		require.GreaterOrEqual(t, i, 0, dst)
		return host.Routes[i]
	}
	for _, want := range []nodedump.Route{
		{Family: 4, Table: 254, Dst: "10.244.2.0/24", Dev: "flannel.1", Via: "10.244.2.0", Protocol: "boot", Flags: []string{"onlink"}},
		{Family: 4, Table: 254, Type: "blackhole", Dst: "10.50.0.0/16", Protocol: "boot"},
		{Family: 4, Table: 254, Type: "unreachable", Dst: "10.51.0.0/16", Protocol: "boot", Metric: 5},
		{Family: 4, Table: 100, Type: "prohibit", Dst: "10.52.0.0/16", Protocol: "boot"},
		{Family: 4, Table: 254, Type: "throw", Dst: "10.53.0.0/16", Protocol: "boot"},
		{Family: 4, Table: 254, Dst: "10.54.0.0/16", Dev: "eth0", Via: "172.31.0.1", Src: "172.31.0.11", Protocol: "static", MTU: 1400, TOS: 16},
		{Family: 4, Table: 254, Dst: "10.55.0.0/16", Protocol: "boot", NextHops: []nodedump.NextHop{
			{Dev: "eth0", Via: "172.31.0.1", Weight: 1}, {Dev: "eth0", Via: "172.31.0.2", Weight: 3}}},
		{Family: 4, Table: 254, Dst: "10.56.0.0/16", Dev: "eth0", Via: "fe80::1", Protocol: "boot"},
		{Family: 4, Table: 255, Type: "local", Dst: "10.244.1.1/32", Dev: "br0", Src: "10.244.1.1", Scope: "host", Protocol: "kernel"},
		{Family: 6, Table: 254, Dst: "fd00:2::/64", Dev: "br0", Via: "fd00:1::2", Protocol: "boot", Metric: 77},
		{Family: 6, Table: 255, Type: "local", Dst: "fd00:1::1/128", Dev: "br0", Protocol: "kernel"},
	} {
		require.Equal(t, want, find(want.Dst), want.Dst)
	}
	require.Equal(t, "unreachable", find("fd00:3::/64").Type)

	zero := 0
	for _, want := range []nodedump.Rule{
		{Family: 4, Priority: 0, Table: 255},
		{Family: 4, Priority: 100, From: "10.244.1.0/24", To: "10.0.0.0/8", IIf: "br0", OIf: "eth0", Mark: 0x4000, Mask: 0xc000, Table: 100},
		{Family: 4, Priority: 101, Not: true, From: "10.1.0.0/16", TOS: 16, IPProto: "tcp", SPort: "1000-2000", DPort: "53", Action: "blackhole"},
		{Family: 4, Priority: 102, UIDRange: "0-99", Action: "goto", Goto: 32766},
		{Family: 4, Priority: 103, Table: 254, SuppressPrefixLen: &zero},
		{Family: 4, Priority: 104, Action: "prohibit"},
		{Family: 6, Priority: 105, From: "fd00:9::/64", Action: "unreachable"},
	} {
		i := slices.IndexFunc(host.Rules, func(r nodedump.Rule) bool { return r.Family == want.Family && r.Priority == want.Priority })
		require.GreaterOrEqual(t, i, 0, want)
		require.Equal(t, want, host.Rules[i])
	}
	require.Contains(t, host.Neighbours, nodedump.Neighbour{IP: "10.244.2.0", Dev: "flannel.1", MAC: "02:00:00:00:02:01", State: "PERMANENT"})
	require.True(t, slices.ContainsFunc(host.Neighbours, func(n nodedump.Neighbour) bool { return n.IP == "10.99.0.1" && n.Proxy }))
	require.Contains(t, host.FDB, nodedump.FDBEntry{MAC: "02:00:00:00:02:01", Dev: "flannel.1", Dst: "172.31.0.12", State: "permanent", Flags: []string{"self"}})
	require.Contains(t, host.FDB, nodedump.FDBEntry{MAC: "00:00:00:00:00:00", Dev: "flannel.1", Dst: "172.31.0.13", Port: 8473, VNI: 9, State: "permanent", Flags: []string{"self"}})
	require.True(t, slices.ContainsFunc(host.FDB, func(e nodedump.FDBEntry) bool { return e.Dev == "veth0" && e.Master == "br0" }))
}

func TestWorldSysctls(t *testing.T) {
	w := newWorld(t, 1)
	w.link("eth0.100", 1, "eth0")
	w.sh(0, "sysctl -qw net.ipv4.ip_forward=1\nsysctl -qw net.ipv4.conf.eth0/100.rp_filter=2")
	w.sh(1, "sysctl -qw net.ipv4.ip_forward=0\nsysctl -qw net.ipv4.icmp_echo_ignore_all=1")
	r := w.collect(Options{})
	require.Equal(t, "1", r.Netns[0].Sysctls["net.ipv4.ip_forward"])
	require.Equal(t, "2", r.Netns[0].Sysctls["net.ipv4.conf.eth0/100.rp_filter"])
	require.Equal(t, "0", r.Netns[0].Sysctls["net.ipv4.icmp_echo_ignore_all"])
	require.Equal(t, "0", r.Netns[1].Sysctls["net.ipv4.ip_forward"])
	require.Equal(t, "1", r.Netns[1].Sysctls["net.ipv4.icmp_echo_ignore_all"])
	require.Equal(t, "32768 60999", r.Netns[0].Sysctls["net.ipv4.ip_local_port_range"])
}

func TestWorldSockets(t *testing.T) {
	w := newWorld(t, 0)
	w.sh(0, "ip link set lo up")
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	open := func(family, typ int, addr unix.Sockaddr, before func(fd int)) {
		fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		fds = append(fds, fd)
		if before != nil {
			before(fd)
		}
		require.NoError(t, unix.Bind(fd, addr))
		if typ == unix.SOCK_STREAM {
			require.NoError(t, unix.Listen(fd, 1))
		}
	}
	only := func(fd int) { require.NoError(t, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)) }
	both := func(fd int) { require.NoError(t, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)) }
	bound := func(fd int) {
		require.NoError(t, unix.BindToDevice(fd, "lo"))
		require.NoError(t, unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1))
	}
	require.NoError(t, inside(w.spaces[0].ns, func() error {
		open(unix.AF_INET, unix.SOCK_STREAM, &unix.SockaddrInet4{Port: 80}, nil)
		open(unix.AF_INET, unix.SOCK_STREAM, &unix.SockaddrInet4{Port: 81, Addr: [4]byte{127, 0, 0, 1}}, bound)
		open(unix.AF_INET6, unix.SOCK_STREAM, &unix.SockaddrInet6{Port: 80}, only)
		open(unix.AF_INET6, unix.SOCK_STREAM, &unix.SockaddrInet6{Port: 82}, both)
		open(unix.AF_INET6, unix.SOCK_STREAM, &unix.SockaddrInet6{Port: 83, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}, both)
		open(unix.AF_INET, unix.SOCK_DGRAM, &unix.SockaddrInet4{Port: 53}, nil)
		open(unix.AF_INET6, unix.SOCK_DGRAM, &unix.SockaddrInet6{Port: 54}, both)
		open(unix.AF_INET, unix.SOCK_DGRAM, &unix.SockaddrInet4{Port: 55}, nil)
		return unix.Connect(fds[len(fds)-1], &unix.SockaddrInet4{Port: 53, Addr: [4]byte{127, 0, 0, 1}})
	}))
	want := []nodedump.Socket{
		{Protocol: "tcp", Local: "0.0.0.0:80"},
		{Protocol: "tcp", Local: "127.0.0.1:81", Dev: "lo"},
		{Protocol: "tcp", Local: "127.0.0.1:83"},
		{Protocol: "tcp", Local: "[::]:80", V6Only: true},
		{Protocol: "tcp", Local: "[::]:82"},
		{Protocol: "udp", Local: "0.0.0.0:53"},
		{Protocol: "udp", Local: "[::]:54"},
	}
	told := slices.Clone(want)
	for i := range told {
		told[i].Transparent = map[bool]string{true: "yes", false: "no"}[i == 1]
	}
	require.Equal(t, told, w.collect(Options{}).Netns[0].Sockets)

	// The same where the kernel would have to load modules to answer.
	m := newMachine(context.Background(), Options{}.withDefaults("n1"), w.spaces)
	m.kernel = kernel{complete: true}
	want[1].Dev = "" // /proc does not know
	require.Equal(t, want, m.collect(newRegister(t.TempDir(), nil), nil).Netns[0].Sockets)
}

// tablesScript makes rules in both backends, sets and native tables.
const tablesScript = `
iptables-nft -t nat -A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE
ip6tables-nft -A FORWARD -j DROP
iptables-legacy -A INPUT -p tcp --dport 9 -j DROP
iptables-legacy -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080
ip6tables-legacy -t raw -A PREROUTING -j ACCEPT
ipset create blocked hash:ip
ipset add blocked 10.9.9.9
nft add table inet mine
nft add chain inet mine c
nft add rule inet mine c ip saddr 10.0.0.1 counter drop
`

// needTools skips the test where a program is missing.
func needTools(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIPPED, NOTHING TESTED: no %s here", name)
		}
	}
}

func TestWorldTables(t *testing.T) {
	needTools(t, "iptables-nft", "iptables-legacy", "nft", "ipset")
	w := newWorld(t, 1)
	w.sh(0, tablesScript)
	r := w.collect(Options{})
	host := r.Netns[0]
	require.Equal(t, nodedump.StatusOK, host.IPTables.Status, host.IPTables.Reason)
	require.Contains(t, string(host.IPTables.Data), "-A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE\n")
	require.Contains(t, string(host.IP6Tables.Data), "-A FORWARD -j DROP\n")
	require.Contains(t, string(host.IPTablesLegacy.Data), "*filter\n")
	require.Contains(t, string(host.IPTablesLegacy.Data), "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:8080\n")
	require.Contains(t, string(host.IP6TablesLegacy.Data), "*raw\n")
	require.NotContains(t, string(host.IP6TablesLegacy.Data), "*filter\n")
	require.Contains(t, string(host.IPSet.Data), "add blocked 10.9.9.9")
	var ruleset struct {
		Objects []map[string]any `json:"nftables"`
	}
	require.NoError(t, json.Unmarshal(host.NFT.Data, &ruleset))
	require.Len(t, strings.Split(strings.TrimSpace(string(host.NFT.Data)), "\n"), len(ruleset.Objects)+2)
	require.Contains(t, string(host.NFT.Data), `"table": "mine"`)
	require.NotContains(t, string(host.NFT.Data), `"packets"`)
	pod := r.Netns[1]
	for _, part := range []nodedump.Part{pod.IPTables, pod.IPTablesLegacy, pod.IP6Tables, pod.IP6TablesLegacy, pod.NFT, pod.IPSet, pod.IPVS, pod.Conntrack} {
		require.Equal(t, nodedump.Part{Status: nodedump.StatusEmpty}, part)
	}
}

// everything is what could change by looking.
func (w *world) everything(space int) string {
	// Timers run, and the kernel sends IGMP reports of its own.
	return regexp.MustCompile(`_timer +[0-9.]+|packets \d+ bytes \d+`).ReplaceAllString(w.sh(space, `
nft list tables
nft -a list ruleset
cat /proc/thread-self/net/ip_tables_names /proc/thread-self/net/ip6_tables_names /proc/thread-self/net/arp_tables_names
ipset list
ip -d addr
ip route show table all
ip -6 route show table all
ip rule
`), "")
}

func TestCollectChangesNothing(t *testing.T) {
	needTools(t, "iptables-nft", "iptables-legacy", "nft", "ipset")
	w := newWorld(t, 2)
	w.node()
	w.sh(0, tablesScript)
	w.sh(2, "iptables-nft -A INPUT -j ACCEPT") // one table, where some versions make all
	modules := func() string {
		text, err := os.ReadFile("/proc/modules")
		if err != nil {
			return err.Error()
		}
		names := ""
		for line := range strings.Lines(string(text)) {
			names += strings.Fields(line)[0] + "\n"
		}
		return names
	}
	w.collect(Options{}) // gives every namespace the numbers that "ip addr" shows
	var before, after []string
	loaded := modules()
	for i := range w.spaces {
		before = append(before, w.everything(i))
	}
	w.collect(Options{})
	for i := range w.spaces {
		after = append(after, w.everything(i))
	}
	for i := range before {
		require.Equal(t, strings.Split(before[i], "\n"), strings.Split(after[i], "\n"))
	}
	require.Equal(t, loaded, modules())
}

func TestCollectTwiceIsEqual(t *testing.T) {
	needTools(t, "iptables-nft", "iptables-legacy", "nft", "ipset")
	w := newWorld(t, 2)
	w.node()
	w.sh(0, tablesScript)
	text := func() string {
		r := w.collect(Options{})
		for _, info := range r.Netns { // the kernel sends IGMP reports of its own
			info.Conntrack.Data = nil
			delete(info.Sysctls, "net.netfilter.nf_conntrack_count")
		}
		data, err := json.Marshal(r)
		require.NoError(t, err)
		return string(data)
	}
	require.Equal(t, text(), text())
}

func TestMissingToolIsSaid(t *testing.T) {
	needTools(t, "iptables-nft", "iptables-legacy", "nft", "ipset")
	w := newWorld(t, 1)
	w.sh(0, tablesScript)
	m := newMachine(context.Background(), Options{}.withDefaults("n1"), w.spaces)
	m.tools = &toolbox{dirs: []string{t.TempDir()}, found: map[string]*candidate{}}
	r := m.collect(newRegister(t.TempDir(), nil), nil)
	for _, part := range []nodedump.Part{r.Netns[0].IPTables, r.Netns[0].IPTablesLegacy, r.Netns[0].NFT, r.Netns[0].IPSet} {
		require.Equal(t, nodedump.StatusToolMissing, part.Status)
		require.Contains(t, part.Reason, "there is something to save")
	}
	require.Equal(t, nodedump.StatusEmpty, r.Netns[1].IPTables.Status, "no tool is needed to see that there is nothing")
}

func TestHangingToolCostsItsPart(t *testing.T) {
	needTools(t, "nft", "iptables-nft", "ipset")
	w := newWorld(t, 0)
	w.sh(0, "nft add table inet mine\nipset create blocked hash:ip\niptables-nft -A INPUT -j ACCEPT")
	dir := tree(t, map[string]string{"nft": "#!/bin/sh\nsleep 61 &\nsleep 61\n", "ipset": "#!/bin/sh\necho broken >&2\nexit 3\n"})
	m := newMachine(context.Background(), Options{SectionTimeout: 300 * time.Millisecond}.withDefaults("n1"), w.spaces)
	m.tools.dirs = append([]string{dir}, m.tools.dirs...)
	start := time.Now()
	host := m.collect(newRegister(t.TempDir(), nil), nil).Netns[0]
	require.Less(t, time.Since(start), 4*time.Second)
	require.Equal(t, nodedump.StatusTimedOut, host.NFT.Status)
	require.Equal(t, nodedump.StatusFailed, host.IPSet.Status)
	require.Contains(t, host.IPSet.Reason, "broken")
	require.Equal(t, nodedump.StatusOK, host.IPTables.Status)
	require.Empty(t, host.Sections)
}

func TestBrokenNamespaceCostsItself(t *testing.T) {
	w := newWorld(t, 1)
	broken := &space{ns: vns.None(), inode: 7}
	w.spaces = append(w.spaces, broken)
	r := w.collect(Options{})
	require.Equal(t, []string{"host", fmt.Sprintf("netns-%d", w.spaces[1].inode), "netns-7"}, r.Node.Netns)
	require.Len(t, r.Netns[2].Sections, len(sections()))
	require.Equal(t, nodedump.StatusFailed, r.Netns[2].IPTables.Status)
	require.Empty(t, r.Netns[0].Sections)
	require.Empty(t, r.Netns[1].Sections)
	require.Contains(t, strings.Join(r.Notes, "\n"), "netns-7: enter network namespace")
}

func TestConntrackIsCapped(t *testing.T) {
	needTools(t, "conntrack")
	w := newWorld(t, 0)
	w.sh(0, `
conntrack -I -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 4000 --dport 80 --state ESTABLISHED -t 600 -u ASSURED --mark 5
conntrack -I -p udp -s 10.0.0.1 -d 10.96.0.10 --sport 4001 --dport 53 --dst-nat 10.244.1.2 -t 600
conntrack -I -p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 600
`)
	part := w.collect(Options{}).Netns[0].Conntrack
	require.Equal(t, nodedump.StatusOK, part.Status, part.Reason)
	var table nodedump.ConnTable
	require.NoError(t, json.Unmarshal(part.Data, &table))
	require.Equal(t, 3, table.Count)
	require.Positive(t, table.Max)
	require.Len(t, table.Entries, 3)
	require.Equal(t, nodedump.Conn{Family: 4, Protocol: "icmp", Src: "10.0.0.1:77", Dst: "10.0.0.2:0", ReplySrc: "10.0.0.2:0", ReplyDst: "10.0.0.1:77", Status: []string{"UNREPLIED"}}, withoutStatus(table.Entries[0], "UNREPLIED"))
	require.Equal(t, "ESTABLISHED", table.Entries[1].State)
	require.Contains(t, table.Entries[1].Status, "ASSURED")
	require.EqualValues(t, 5, table.Entries[1].Mark)
	require.Equal(t, "10.244.1.2:53", table.Entries[2].ReplySrc)
	require.Contains(t, table.Entries[2].Status, "DST_NAT")

	part = w.collect(Options{ConntrackMax: 2}).Netns[0].Conntrack
	require.Equal(t, nodedump.StatusTruncated, part.Status)
	require.Equal(t, "2 of 3 entries", part.Reason)
	require.NoError(t, json.Unmarshal(part.Data, &table))
}

// withoutStatus returns an entry with exactly this status.
func withoutStatus(c nodedump.Conn, status ...string) nodedump.Conn {
	c.Status = status
	return c
}

func TestWorldPrograms(t *testing.T) {
	needTools(t, "tc")
	w := newWorld(t, 1)
	w.link("veth0", 1, "eth0")
	w.sh(0, `
tc qdisc add dev veth0 clsact
tc filter add dev veth0 ingress protocol ip u32 match ip dst 10.0.0.1/32 flowid 1:1
tc filter add dev veth0 egress protocol ip u32 match ip dst 10.0.0.2/32 flowid 1:1
`)
	require.Equal(t, []nodedump.Program{
		{Hook: "tc-egress", Dev: "veth0", Kind: "u32"},
		{Hook: "tc-ingress", Dev: "veth0", Kind: "u32"},
	}, w.collect(Options{}).Netns[0].Programs)
	require.Empty(t, w.collect(Options{}).Netns[1].Programs)
}

func TestFinderSeesNamesAndProcesses(t *testing.T) {
	w := newWorld(t, 1)
	dir := t.TempDir()
	mount := dir + "/blue"
	require.NoError(t, os.WriteFile(mount, nil, 0o600))
	source := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), w.spaces[1].ns)
	if err := unix.Mount(source, mount, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("SKIPPED, NOTHING TESTED: no mounts here: %v", err)
	}
	defer unix.Unmount(mount, unix.MNT_DETACH)
	var cmd *exec.Cmd
	require.NoError(t, inside(w.spaces[1].ns, func() error {
		cmd = exec.Command("sleep", "60")
		return cmd.Start()
	}))
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()

	f := &finder{proc: "/proc", dirs: []string{dir}}
	host, err := f.host(true)
	require.NoError(t, err)
	spaces := f.find(host)
	defer func() {
		for _, s := range spaces {
			s.close()
		}
	}()
	i := slices.IndexFunc(spaces, func(s *space) bool { return s.inode == w.spaces[1].inode })
	require.Positive(t, i)
	require.Equal(t, "blue", spaces[i].name)
	require.Equal(t, "netns-blue", spaces[i].label())
	require.Contains(t, spaces[i].pids, cmd.Process.Pid)
	require.Contains(t, host.pids, os.Getpid())
}

func TestCollectThisMachine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOTHING TESTED: collecting needs root")
	}
	var events int
	r, err := Collect(context.Background(), Options{Node: "n1", External: true, Progress: func(Event) { events++ }})
	require.NoError(t, err)
	require.Equal(t, []string{"host"}, r.Node.Netns)
	require.True(t, r.Node.External)
	require.Empty(t, r.Node.Pods)
	require.Empty(t, r.Files)
	require.NotEmpty(t, r.Node.Kernel)
	require.Equal(t, len(sections())+len(texts()), events)
}

func BenchmarkCollect(b *testing.B) {
	for _, pods := range []int{1, 30} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			w := newWorld(b, pods+1)
			w.link("veth0", 1, "eth0")
			w.link("eth0", pods+1, "far0")
			w.sh(0, nodeScript)
			for i := 2; i <= pods; i++ {
				w.link(fmt.Sprintf("v%d", i), i, "eth0")
			}
			if _, err := exec.LookPath("iptables-nft"); err == nil {
				w.sh(0, "iptables-nft -A INPUT -j ACCEPT")
			}
			b.ReportAllocs()
			for b.Loop() {
				w.collect(Options{})
			}
		})
	}
}

// A macvlan in a pod and the device that it stands on know of each other.
func TestWorldAbove(t *testing.T) {
	w := newWorld(t, 2)
	w.node()
	w.sh(0, fmt.Sprintf("ip link add mvpod link eth0 type macvlan mode bridge\nip link set mvpod netns /proc/%d/fd/%d", os.Getpid(), w.spaces[1].ns))
	r := w.collect(Options{})
	eth0 := dev(t, r.Netns[0], "eth0")
	require.Len(t, eth0.Above, 1)
	for _, info := range r.Netns[1:] {
		if info.Key == eth0.Above[0].Netns {
			mv := dev(t, info, "mvpod")
			require.Equal(t, eth0.Above[0].Index, mv.Index)
			require.Equal(t, nodedump.HostNetns, mv.PeerNetns)
			require.Equal(t, "bridge", mv.Mode)
			return
		}
	}
	t.Fatal("the namespace of the macvlan is not in the dump")
}
