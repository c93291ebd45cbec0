package iptables_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// kubeProxy writes the nat table as kube-proxy does in iptables mode, for many
// Services of one port each. A Service of n endpoints takes 3+4n lines: its
// chain, a rule of KUBE-SERVICES, one that marks what comes from outside, and
// of each endpoint a chain, the rule that picks it and two of its own.
// So 10,000 Services of 15 endpoints are 630,000 lines, and eight of a frame.
func kubeProxy(services, endpoints int) string {
	var chains, portals, rules strings.Builder
	for i := range services {
		ip, name := serviceIP(i), fmt.Sprintf("ns%d/app-%d:http", i%50, i)
		svc := fmt.Sprintf("KUBE-SVC-%016X", i)
		fmt.Fprintf(&chains, ":%s - [0:0]\n", svc)
		fmt.Fprintf(&portals, "-A KUBE-SERVICES -d %s/32 -p tcp -m comment --comment \"%s cluster IP\" -m tcp --dport 80 -j %s\n", ip, name, svc)
		fmt.Fprintf(&rules, "-A %s ! -s 10.244.0.0/16 -d %s/32 -p tcp -m comment --comment \"%s cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ\n", svc, ip, name)
		for e := range endpoints {
			sep, jump := kubeEndpoint(name, i*endpoints+e, endpoints-e)
			fmt.Fprintf(&chains, ":%s - [0:0]\n", sep)
			fmt.Fprintf(&rules, "-A %s %s", svc, jump)
		}
	}
	return "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n" + chains.String() +
		"-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n" +
		portals.String() + rules.String() + "COMMIT\n"
}

// serviceIP is the address of Service number i.
func serviceIP(i int) string { return fmt.Sprintf("10.%d.%d.%d", 96+i>>16, i>>8&0xff, i&0xff) }

// kubeEndpoint returns the chain of endpoint number n of a Service, of which
// left are left, and its rules after the chain of the first.
func kubeEndpoint(name string, n, left int) (sep, rules string) {
	sep = fmt.Sprintf("KUBE-SEP-%016X", n)
	pod := fmt.Sprintf("10.%d.%d.%d", 244+n>>16&3, n>>8&0xff, n&0xff)
	share := fmt.Sprintf(" -m statistic --mode random --probability %.11f", 1/float64(left))
	if left == 1 {
		share = ""
	}
	return sep, fmt.Sprintf("-m comment --comment \"%s -> %s:8080\"%s -j %s\n", name, pod, share, sep) +
		fmt.Sprintf("-A %s -s %s/32 -m comment --comment \"%s\" -j KUBE-MARK-MASQ\n", sep, pod, name) +
		fmt.Sprintf("-A %s -p tcp -m comment --comment \"%s\" -m tcp -j DNAT --to-destination %s:8080\n", sep, name, pod)
}

// The size of the node that the benchmarks are about.
const manyServices, manyEndpoints = 10_000, 15

// The text of the benchmarks has the lines that it is said to have.
func TestKubeProxyLines(t *testing.T) {
	const services = 20
	lines := strings.Count(kubeProxy(services, manyEndpoints), "\n")
	require.Equal(t, services*63+8-1, lines)
	require.Equal(t, 630_000, manyServices*(3+4*manyEndpoints))
}

// BenchmarkParse reads the node. It reports what is held afterwards, the text
// among it, and the most that a process ever held that did nothing else.
func BenchmarkParse(b *testing.B) {
	before := heap()
	node := part("iptables-save.txt", kubeProxy(manyServices, manyEndpoints))
	peak := peakOf(b, node.Data)
	b.SetBytes(int64(len(node.Data)))
	b.ReportAllocs()
	var rs *iptables.Ruleset
	for b.Loop() {
		var errs []error
		rs, errs = iptables.Parse(node, nil)
		require.Empty(b, errs)
	}
	b.StopTimer()
	held := heap() - before
	rules, _ := rs.Stats()
	b.ReportMetric(float64(rules), "rules")
	b.ReportMetric(float64(len(node.Data))/1e6, "text-MB")
	b.ReportMetric(float64(held)/1e6, "held-MB")
	b.ReportMetric(peak, "peak-MB")
}

// heap returns how many bytes of the heap are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

const peakFile = "PATHSNAP_PEAK_FILE"

// peakOf returns how many MB (VmHWM) a process takes that reads a file of data
// and parses it: this test in a process of its own.
func peakOf(b *testing.B, data []byte) float64 {
	file := filepath.Join(b.TempDir(), "iptables-save.txt")
	require.NoError(b, os.WriteFile(file, data, 0o600))
	cmd := exec.Command(os.Args[0], "-test.run", "^TestPeak$", "-test.v")
	cmd.Env = append(os.Environ(), peakFile+"="+file)
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, string(out))
	found := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindStringSubmatch(string(out))
	if found == nil {
		return 0 // not Linux
	}
	kB, _ := strconv.ParseFloat(found[1], 64)
	return kB * 1024 / 1e6
}

// TestPeak is the process that peakOf starts.
func TestPeak(t *testing.T) {
	file := os.Getenv(peakFile)
	if file == "" {
		t.Skip("only for BenchmarkParse")
	}
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	rs, errs := iptables.Parse(nodedump.Part{File: file, Status: nodedump.StatusOK, Data: data}, nil)
	require.Empty(t, errs)
	status, _ := os.ReadFile("/proc/self/status")
	t.Log(string(status))
	runtime.KeepAlive(rs)
}

// BenchmarkRun sends a packet to the last Service: one way of it, the same when
// every rule is looked at, and all its ways.
func BenchmarkRun(b *testing.B) {
	text := kubeProxy(manyServices, manyEndpoints)
	rs, _ := parseAny(text)
	f := frame("tcp 10.244.0.9:1000 > " + serviceIP(manyServices-1) + ":80 hook=PREROUTING")
	one := func(b *testing.B, rs *iptables.Ruleset) {
		b.ReportAllocs()
		for b.Loop() {
			g := f
			g.Choices = netfilter.NewChoices()
			g.Choices.Next()
			if v := rs.Run("nat", &g); v != netfilter.Accept || !g.Ct.DNAT {
				b.Fatal(v)
			}
		}
	}
	b.Run("one", func(b *testing.B) { one(b, rs) })
	scanned, _ := parseAny(text)
	scanned.Scan()
	b.Run("scanned", func(b *testing.B) { one(b, scanned) })
	b.Run("every", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			require.Len(b, run(rs, "nat", f), manyEndpoints)
		}
	})
}

// BenchmarkNode sends a packet from a pod to the last Service through all that
// a node does with it: every way, of which there are as many as endpoints.
func BenchmarkNode(b *testing.B) {
	ok := nodedump.Part{Status: nodedump.StatusEmpty}
	ns, problems := netstack.New(&nodedump.NetNSInfo{
		Key: "host", File: "nodes/n1/netns/host/netns.json",
		Interfaces: []nodedump.Interface{
			{Name: "lo", Index: 1, Kind: "loopback", Flags: []string{"UP", "LOOPBACK"}, MTU: 65536, Addrs: []nodedump.Addr{{Prefix: "127.0.0.1/8", Scope: "host"}}},
			{Name: "eth0", Index: 2, Flags: []string{"UP"}, MTU: 1500, OperState: "UP", Addrs: []nodedump.Addr{{Prefix: "192.0.2.1/24"}}},
			{Name: "veth0", Index: 3, Kind: "veth", Flags: []string{"UP"}, MTU: 1500, OperState: "UP"},
		},
		Routes: []nodedump.Route{
			{Family: 4, Table: 254, Dst: "0.0.0.0/0", Via: "192.0.2.254", Dev: "eth0"},
			{Family: 4, Table: 254, Dst: "192.0.2.0/24", Dev: "eth0", Scope: "link"},
			{Family: 4, Table: 254, Dst: "10.244.0.9/32", Dev: "veth0", Scope: "link"},
		},
		Sysctls:  map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.ip_default_ttl": "64"},
		IPTables: part("iptables-save.txt", kubeProxy(manyServices, manyEndpoints)), IPTablesLegacy: ok, IP6Tables: ok, IP6TablesLegacy: ok,
		NFT: ok, IPSet: ok, IPVS: ok, Conntrack: ok,
	})
	require.Empty(b, problems)
	p := pkt("tcp 10.244.0.9:1000 > " + serviceIP(manyServices-1) + ":80")
	b.ReportAllocs()
	ways := 0
	for b.Loop() {
		ways = len(ns.Input(p, "veth0", netstack.Call{}))
	}
	require.Equal(b, manyEndpoints, ways)
	b.ReportMetric(float64(ways), "ways")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*ways), "ns/way")
}

// A packet through rules that do not match it costs no memory.
func TestNoAllocs(t *testing.T) {
	rs := parse(t, kubeProxy(100, 3))
	f := frame("tcp 10.244.0.9:1000 > 192.0.2.1:80 hook=PREROUTING")
	f.Choices = netfilter.NewChoices()
	base, _ := rs.Chain("nat", "KUBE-SERVICES")
	require.Len(t, base.Rules, 100)
	long := testing.AllocsPerRun(10, func() { g := f; rs.Run("nat", &g) })
	small := parse(t, kubeProxy(50, 3))
	short := testing.AllocsPerRun(10, func() { g := f; small.Run("nat", &g) })
	require.InDelta(t, short, long, 0)
}
