package iptables_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// kubeProxy writes the nat table of kube-proxy for many Services of three
// endpoints each: 11 rules per Service.
func kubeProxy(services int) string {
	var chains, rules strings.Builder
	for i := range services {
		ip := fmt.Sprintf("10.%d.%d.%d", 96+i>>16, i>>8&0xff, i&0xff)
		svc := fmt.Sprintf("KUBE-SVC-%016X", i)
		fmt.Fprintf(&chains, ":%s - [0:0]\n", svc)
		fmt.Fprintf(&rules, "-A KUBE-SERVICES -d %s/32 -p tcp -m comment --comment \"ns%d/app-%d:http cluster IP\" -m tcp --dport 80 -j %s\n", ip, i%50, i, svc)
		fmt.Fprintf(&rules, "-A %s ! -s 10.244.0.0/16 -d %s/32 -p tcp -m comment --comment \"ns%d/app-%d:http cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ\n", svc, ip, i%50, i)
		for e := range 3 {
			sep, pod := fmt.Sprintf("KUBE-SEP-%015X%d", i, e), fmt.Sprintf("10.244.%d.%d", i&0xff, 1+e)
			fmt.Fprintf(&chains, ":%s - [0:0]\n", sep)
			share := fmt.Sprintf(" -m statistic --mode random --probability %.11f", 1/float64(3-e))
			if e == 2 {
				share = ""
			}
			fmt.Fprintf(&rules, "-A %s -m comment --comment \"ns%d/app-%d:http -> %s:8080\"%s -j %s\n", svc, i%50, i, pod, share, sep)
			fmt.Fprintf(&rules, "-A %s -s %s/32 -m comment --comment \"ns%d/app-%d:http\" -j KUBE-MARK-MASQ\n", sep, pod, i%50, i)
			fmt.Fprintf(&rules, "-A %s -p tcp -m comment --comment \"ns%d/app-%d:http\" -m tcp -j DNAT --to-destination %s:8080\n", sep, i%50, i, pod)
		}
	}
	return "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n" + chains.String() +
		"-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\n" +
		rules.String() + "COMMIT\n"
}

const services = 1820 // 20,000 rules

func BenchmarkParse(b *testing.B) {
	text := kubeProxy(services)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		rs, errs := parseAny(text)
		require.Empty(b, errs)
		rules, _ := rs.Stats()
		b.ReportMetric(float64(rules), "rules")
	}
}

// BenchmarkRun sends a packet to the last Service.
func BenchmarkRun(b *testing.B) {
	rs, _ := parseAny(kubeProxy(services))
	f := frame(fmt.Sprintf("tcp 10.244.0.9:1000 > 10.96.%d.%d:80 hook=PREROUTING", (services-1)>>8, (services-1)&0xff))
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

// A packet through rules that do not match it costs no memory.
func TestNoAllocs(t *testing.T) {
	rs := parse(t, kubeProxy(100))
	f := frame("tcp 10.244.0.9:1000 > 192.0.2.1:80 hook=PREROUTING")
	f.Choices = netfilter.NewChoices()
	base, _ := rs.Chain("nat", "KUBE-SERVICES")
	require.Len(t, base.Rules, 100)
	long := testing.AllocsPerRun(10, func() { g := f; rs.Run("nat", &g) })
	small := parse(t, kubeProxy(50))
	short := testing.AllocsPerRun(10, func() { g := f; small.Run("nat", &g) })
	require.InDelta(t, short, long, 0)
}
