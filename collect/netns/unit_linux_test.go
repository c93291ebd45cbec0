package netns

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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

func TestIPVSRules(t *testing.T) {
	rules, err := ipvsRules(`IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr
  -> C0A80002:192B      Masq    1      0          0
UDP  0A60000A:0035 rr persistent 10800 FFFFFF00
  -> 0AF40102:0035      Tunnel  2      0          0
TCP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0050 wrr ops
  -> [fd00:0000:0000:0000:0000:0000:0000:0002]:1F90      Route   1      0          0
FWM  0000000A sh
  -> 0AF40103:0000      Local   1      0          0
`)
	require.NoError(t, err)
	require.Equal(t, []string{
		"-A -t 10.96.0.1:443 -s rr",
		"-a -t 10.96.0.1:443 -r 192.168.0.2:6443 -m -w 1",
		"-A -u 10.96.0.10:53 -s rr -p 10800 -M 255.255.255.0",
		"-a -u 10.96.0.10:53 -r 10.244.1.2:53 -i -w 2",
		"-A -t [fd00::1]:80 -s wrr -o",
		"-a -t [fd00::1]:80 -r [fd00::2]:8080 -g -w 1",
		"-A -f 10 -s sh",
		"-a -f 10 -r 10.244.1.3:0 -m -w 1",
	}, rules)
	_, err = ipvsRules("TCP  nonsense:01BB rr\n")
	require.Error(t, err)
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
