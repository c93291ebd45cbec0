package netns

import (
	"context"
	"encoding/binary"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// tree writes files below a new directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o755))
	}
	return root
}

func TestKernelHas(t *testing.T) {
	symbols := "ffffffff81f653d0 T nft_do_chain\n0 t something\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  presence
	}{
		{"no module support", map[string]string{}, present},
		{"modules disabled", map[string]string{"proc/modules": "", "proc/sys/kernel/modules_disabled": "1\n"}, present},
		{"loaded", map[string]string{"proc/modules": "nf_tables 1 0 - Live 0x0\n"}, present},
		{"built in", map[string]string{"proc/modules": "", "lib/modules/6.1/modules.builtin": "kernel/net/netfilter/nf_tables.ko\n"}, present},
		{"not loaded", map[string]string{"proc/modules": "veth 1 0 - Live 0x0\n", "lib/modules/6.1/modules.builtin": "kernel/net/ipv4/tcp_diag.ko\n"}, absent},
		{"only symbols", map[string]string{"proc/modules": "", "proc/kallsyms": symbols}, present},
		{"not among the symbols", map[string]string{"proc/modules": "", "proc/kallsyms": "0 t something\n"}, absent},
		{"nothing to go by", map[string]string{"proc/modules": ""}, unsure},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, readKernel(tree(t, c.files), "6.1").has("nf_tables"))
		})
	}
}

func TestModulesOfTheKernel(t *testing.T) {
	files := map[string]string{"proc/modules": "veth 1 0 - Live 0x0\nbr_netfilter 1 0 - Live 0x0\n", "lib/modules/6.1/modules.builtin": "kernel/net/ipv4/tcp_diag.ko\n"}
	require.Equal(t, []string{"br_netfilter", "veth"}, readKernel(tree(t, files), "6.1").modules)
	files["proc/sys/kernel/modules_disabled"] = "1\n"
	require.Equal(t, []string{"br_netfilter", "veth"}, readKernel(tree(t, files), "6.1").modules)
	require.Nil(t, readKernel(tree(t, map[string]string{}), "6.1").modules)
}

func TestEveryPartHasASymbol(t *testing.T) {
	if symbols := readSymbols("/proc/kallsyms"); symbols != nil {
		for module, symbol := range partSymbols() {
			t.Logf("%s: %s %v", module, symbol, symbols[symbol])
		}
	}
}

func TestRegister(t *testing.T) {
	const uid = "0a1b2c3d-1111-2222-3333-444455556666"
	kubelet := "var/lib/kubelet/pods/11111111-1111-1111-1111-111111111111/"
	root := tree(t, map[string]string{
		"var/log/pods/kube-system_etcd-n1_0123456789abcdef0123456789abcdef/etcd/0.log": "",
		"var/log/pods/shop_web-1_" + uid + "/web/0.log":                                "",
		"var/log/pods/odd":    "",
		kubelet + "etc-hosts": "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\nfe00::0\tip6-localnet\n10.244.1.9\tdb-0.db.shop.svc.cluster.local\tdb-0\n",
		kubelet + "volumes/kubernetes.io~projected/kube-api-access-x/namespace": "shop",
	})
	api := PodRef{Namespace: "shop", Name: "api", UID: "u-api", IPs: []netip.Addr{netip.MustParseAddr("10.244.1.7")}}
	agent := PodRef{Namespace: "kube-system", Name: "agent", UID: "u-agent", HostNetwork: true, IPs: []netip.Addr{netip.MustParseAddr("172.31.0.11")}}
	r := newRegister(root, []PodRef{api, agent})

	spaces := []*space{
		{host: true, inode: 1, uids: []string{"0123456789abcdef0123456789abcdef"}},
		{inode: 2, uids: []string{uid}},
		{inode: 3, uids: []string{"11111111-1111-1111-1111-111111111111"}},
		{inode: 4}, // only its address tells
		{inode: 5, uids: []string{"unknown"}},
		{inode: 6, name: "cni-x y"},
		{inode: 7, uids: []string{uid}}, // a second sandbox
	}
	infos := make([]*nodedump.NetNSInfo, len(spaces))
	for i := range infos {
		infos[i] = emptyInfo()
	}
	infos[3].Interfaces = []nodedump.Interface{{Name: "eth0", Addrs: []nodedump.Addr{{Prefix: "10.244.1.7/24"}}}}
	infos[0].Interfaces = []nodedump.Interface{{Name: "eth0", Addrs: []nodedump.Addr{{Prefix: "172.31.0.11/24"}}}}
	pods, notes := r.assign(spaces, infos)

	var keys []string
	for i, s := range spaces {
		require.Equal(t, s.key, infos[i].Key)
		keys = append(keys, s.key)
	}
	require.Equal(t, []string{"host", "shop_web-1", "shop_db-0", "shop_api", "netns-5", "netns-cni-x-y", "netns-7"}, keys)
	require.Equal(t, []nodedump.PodNetInfo{
		{UID: uid, Netns: "netns-7"},
		{UID: "unknown", Netns: "netns-5"},
		{Namespace: "kube-system", Name: "agent", UID: "u-agent", Netns: "host", HostNetwork: true},
		{Namespace: "kube-system", Name: "etcd-n1", UID: "0123456789abcdef0123456789abcdef", Netns: "host", HostNetwork: true},
		{Namespace: "shop", Name: "api", UID: "u-api", Netns: "shop_api"},
		{Namespace: "shop", Name: "db-0", UID: "11111111-1111-1111-1111-111111111111", Netns: "shop_db-0"},
		{Namespace: "shop", Name: "web-1", UID: uid, Netns: "shop_web-1"},
	}, pods)
	require.Len(t, notes, 1)
}

func TestAddressOfTwoPodsNamesNone(t *testing.T) {
	ip := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	r := newRegister(t.TempDir(), []PodRef{{Namespace: "a", Name: "x", UID: "1", IPs: ip}, {Namespace: "a", Name: "y", UID: "2", IPs: ip}})
	info := &nodedump.NetNSInfo{Interfaces: []nodedump.Interface{{Addrs: []nodedump.Addr{{Prefix: "10.0.0.1/32"}}}}}
	_, ok := r.byAddrs(info)
	require.False(t, ok)
}

// TestIPVSRules reads attributes as the kernel writes them; what is printed is
// what ipvsadm-save -n prints of the same services.
func TestIPVSRules(t *testing.T) {
	two := func(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
	addr := func(s string) []byte { return append(netip.MustParseAddr(s).AsSlice(), make([]byte, 12)...)[:16] }
	service := func(family, proto int, at string, port int) attrs {
		return attrs{ipvsSvcFamily: u32(uint32(family))[:2], ipvsSvcProtocol: u32(uint32(proto))[:2], ipvsSvcAddr: addr(at), ipvsSvcPort: two(port),
			ipvsSvcScheduler: []byte("rr\x00"), ipvsSvcFlags: append(u32(2), u32(0xffffffff)...), ipvsSvcTimeout: u32(0), ipvsSvcNetmask: u32(0xffffffff)}
	}
	with := func(a attrs, more attrs) attrs {
		out := maps.Clone(a)
		maps.Copy(out, more)
		return out
	}
	plain := service(unix.AF_INET, unix.IPPROTO_TCP, "10.96.0.1", 443)
	v6 := service(unix.AF_INET6, unix.IPPROTO_TCP, "fd00::1", 80)
	mark := attrs{ipvsSvcFamily: u32(unix.AF_INET)[:2], ipvsSvcMark: u32(10), ipvsSvcScheduler: []byte("mh\x00"), ipvsSvcFlags: append(u32(2|1<<4|1<<5), u32(0)...)}
	for _, tt := range []struct {
		a    attrs
		want string
	}{
		{plain, "-t 10.96.0.1:443 -s rr"},
		{service(unix.AF_INET, unix.IPPROTO_UDP, "10.96.0.1", 0), "-u 10.96.0.1:0 -s rr"},
		{service(unix.AF_INET, unix.IPPROTO_SCTP, "10.96.0.1", 9), "--sctp-service 10.96.0.1:9 -s rr"},
		{with(plain, attrs{ipvsSvcFlags: u32(2 | 1), ipvsSvcTimeout: u32(100)}), "-t 10.96.0.1:443 -s rr -p 100"},
		{with(plain, attrs{ipvsSvcFlags: u32(2 | 1 | 4), ipvsSvcTimeout: u32(100), ipvsSvcNetmask: []byte{255, 255, 255, 0}}), "-t 10.96.0.1:443 -s rr -p 100 -M 255.255.255.0 -o"},
		{with(v6, attrs{ipvsSvcFlags: u32(3), ipvsSvcTimeout: u32(60), ipvsSvcNetmask: u32(128)}), "-t [fd00::1]:80 -s rr -p 60"},
		{with(v6, attrs{ipvsSvcFlags: u32(3), ipvsSvcTimeout: u32(60), ipvsSvcNetmask: u32(64), ipvsSvcEngine: []byte("sip\x00")}), "-t [fd00::1]:80 -s rr -p 60 -M 64 --pe sip"},
		{with(plain, attrs{ipvsSvcScheduler: []byte("sh\x00"), ipvsSvcFlags: u32(2 | 1<<3 | 1<<4)}), "-t 10.96.0.1:443 -s sh -b sh-fallback,sh-port"},
		{mark, "-f 10 -s mh -b mh-port,flag-3"},
		{with(mark, attrs{ipvsSvcFamily: u32(unix.AF_INET6)[:2], ipvsSvcFlags: u32(0)}), "-f 10 -6 -s mh"},
	} {
		require.Equal(t, tt.want, ipvsName(tt.a)+ipvsService(tt.a))
	}
	server := func(family int, at string, port, method, weight int) attrs {
		return attrs{ipvsDestFamily: u32(uint32(family))[:2], ipvsDestAddr: addr(at), ipvsDestPort: two(port), ipvsDestMethod: u32(uint32(method)), ipvsDestWeight: u32(uint32(weight))}
	}
	tunnel := server(unix.AF_INET, "10.0.0.5", 53, 2, 2)
	for _, tt := range []struct {
		a    attrs
		want string
	}{
		{server(unix.AF_INET, "10.0.0.5", 80, 0x100, 1), " -r 10.0.0.5:80 -m -w 1"},
		{server(unix.AF_INET, "10.0.0.5", 80, 1, 1), " -r 10.0.0.5:80 -m -w 1"},
		{server(unix.AF_INET6, "fd00::5", 80, 3, 0), " -r [fd00::5]:80 -g -w 0"},
		{with(server(unix.AF_INET, "10.0.0.5", 80, 3, 1), attrs{ipvsDestUpper: u32(10), ipvsDestLower: u32(5)}), " -r 10.0.0.5:80 -g -w 1 -x 10 -y 5"},
		{tunnel, " -r 10.0.0.5:53 -i -w 2 --tun-type ipip"},
		{with(tunnel, attrs{ipvsDestTunnel: {1}, ipvsDestTunPort: two(6080), ipvsDestTunFlag: {1, 0}}), " -r 10.0.0.5:53 -i -w 2 --tun-type gue --tun-port 6080 --tun-csum"},
		{with(tunnel, attrs{ipvsDestTunnel: {2}}), " -r 10.0.0.5:53 -i -w 2 --tun-type gre --tun-nocsum"},
	} {
		require.Equal(t, tt.want, ipvsServer(tt.a))
	}
}

func TestProcAddr(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:0035":                         "127.0.0.1:53",
		"00000000:1F90":                         "0.0.0.0:8080",
		"00000000000000000000000001000000:0050": "[::1]:80",
		"B80D01200000000000000000010000FF:01BB": "[2001:db8::ff00:1]:443",
	} {
		addr, err := procAddr(text)
		require.NoError(t, err)
		require.Equal(t, want, addr.String())
	}
	for _, bad := range []string{"", "0100007F", "01:0035", "zz00007F:0035", "0100007F:zzzz"} {
		_, err := procAddr(bad)
		require.Error(t, err, bad)
	}
}

func TestConfigFiles(t *testing.T) {
	const k3s, microk8s = "var/lib/rancher/k3s/agent/etc/", "var/snap/microk8s/current/args/cni-network/"
	root := tree(t, map[string]string{
		"etc/cni/net.d/10-flannel.conflist":   `{"name":"cbr0"}`,
		"etc/cni/net.d/calico-kubeconfig":     "token: secret",
		"etc/cni/net.d/20-x.conf":             `{"k8s_auth_token":"abc"}`,
		"etc/cni/net.d/dir/nothing":           "x",
		"etc/cni/net.d/empty":                 "",
		"etc/cni/net.d/key":                   "-----BEGIN EC PRIVATE KEY-----",
		"run/flannel/subnet.env":              "FLANNEL_MTU=1450\n",
		"etc/kube-flannel/net-conf.json":      `{"Network":"10.244.0.0/16"}`,
		"etc/kube-flannel/large.json":         strings.Repeat("x", maxFile+1),
		"etc/cni/multus/net.d/not-asked-for":  "x",
		"etc/kubernetes/cni/net.d/00-x.conf":  "{}",
		k3s + "cni/net.d/10-flannel.conflist": "{}",
		k3s + "flannel/net-conf.json":         "{}",
		k3s + "k3scontroller.kubeconfig":      "x",
		microk8s + "10-calico.conflist":       "{}",
		microk8s + "cni.yaml":                 "x",
		"var/lib/calico/nodename":             "n1",
		"var/lib/calico/something-else":       "x",
		"etc/kubernetes/admin.conf":           "x",
		"etc/cni/net.d/multus.d/x.kubeconfig": "x",
	})
	files, notes := configFiles(root)
	status := map[string]nodedump.Status{}
	for name, file := range files {
		status[name] = file.Status
	}
	require.Equal(t, map[string]nodedump.Status{
		"etc/cni/net.d/10-flannel.conflist": nodedump.StatusOK, "etc/cni/net.d/20-x.conf": nodedump.StatusOK,
		"etc/cni/net.d/empty": nodedump.StatusEmpty, "etc/cni/net.d/key": nodedump.StatusDenied,
		"run/flannel/subnet.env": nodedump.StatusOK, "etc/kube-flannel/net-conf.json": nodedump.StatusOK,
		"etc/kubernetes/cni/net.d/00-x.conf": nodedump.StatusOK, microk8s + "10-calico.conflist": nodedump.StatusOK,
		k3s + "cni/net.d/10-flannel.conflist": nodedump.StatusOK, k3s + "flannel/net-conf.json": nodedump.StatusOK,
		"etc/kube-flannel/large.json": nodedump.StatusTruncated, "var/lib/calico/nodename": nodedump.StatusOK,
	}, status)
	require.NotContains(t, string(files["etc/cni/net.d/20-x.conf"].Data), "abc")
	require.Len(t, notes, 3)
}

func TestToolbox(t *testing.T) {
	version := func(text string) string { return "#!/bin/sh\necho \"" + text + "\"\n" }
	for _, c := range []struct {
		name, program, version, nft, legacy string
	}{
		{"named", "iptables-nft-save", "", "iptables-nft-save", ""},
		{"multi", "xtables-legacy-multi", "", "", "xtables-legacy-multi"},
		{"only one, nft", "iptables-save", "iptables-save v1.8.9 (nf_tables)", "iptables-save", ""},
		{"only one, legacy", "iptables-save", "iptables-save v1.8.4 (legacy)", "", "iptables-save"},
		{"only one, before there were two", "iptables-save", "iptables-save v1.6.1", "", "iptables-save"},
		{"none", "something", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &toolbox{dirs: []string{tree(t, map[string]string{c.program: version(c.version)})}, found: map[string]*candidate{}}
			for backend, want := range map[string]string{"nft": c.nft, "legacy": c.legacy} {
				found := b.find(saveTool("iptables", backend))
				if want == "" {
					require.Nil(t, found, backend)
					continue
				}
				require.NotNil(t, found, backend)
				require.Equal(t, want, filepath.Base(found.program))
			}
		})
	}
}

func TestFinderForgetsWhatWentAway(t *testing.T) {
	proc := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(proc, "77/ns"), 0o755))
	require.NoError(t, os.Symlink("net:[4026999999]", filepath.Join(proc, "77/ns/net")))
	f := &finder{proc: proc}
	host, err := f.host(true)
	require.NoError(t, err)
	defer host.close()
	require.Equal(t, []*space{host}, f.find(host))
	require.Len(t, f.notes, 1)
	require.Contains(t, f.notes[0], "4026999999 went away")
}

func TestOptionsDefaults(t *testing.T) {
	o := Options{}.withDefaults("n1")
	require.Equal(t, "n1", o.Node)
	require.Equal(t, DefaultSectionTimeout, o.SectionTimeout)
	require.Equal(t, DefaultConntrackMax, o.ConntrackMax)
	o = Options{Node: "n2", SectionTimeout: time.Second, ConntrackMax: 7}.withDefaults("n1")
	require.Equal(t, "n2", o.Node)
	require.Equal(t, 7, o.ConntrackMax)
}

func TestCancelledCollectSaysSo(t *testing.T) {
	f := &finder{proc: "/proc"}
	host, err := f.host(true)
	require.NoError(t, err)
	defer host.close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m := newMachine(ctx, Options{}.withDefaults("n1"), []*space{host})
	r := m.collect(newRegister(t.TempDir(), nil), nil)
	require.Equal(t, nodedump.StatusFailed, r.Netns[0].Sections["routes"])
	require.Equal(t, nodedump.StatusFailed, r.Netns[0].IPTables.Status)
	_, err = Collect(ctx, Options{External: true})
	require.ErrorIs(t, err, context.Canceled)
}

func TestOverallDeadlineIsTimedOut(t *testing.T) {
	f := &finder{proc: "/proc"}
	host, err := f.host(true)
	require.NoError(t, err)
	defer host.close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	r := newMachine(ctx, Options{}.withDefaults("n1"), []*space{host}).collect(newRegister(t.TempDir(), nil), nil)
	require.Equal(t, nodedump.StatusTimedOut, r.Netns[0].Sections["routes"])
	require.Equal(t, nodedump.StatusTimedOut, r.Netns[0].NFT.Status)
}
