package service

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// large makes n Services with three endpoints each, and the rules that
// kube-proxy writes for them on any node, without comments as in all large
// clusters. The order of the Services begins with a different one on each node.
func large(n int) (services, slices string, rules func(node int) string) {
	var svc, ep strings.Builder
	var chains, dispatch []string
	var jumps strings.Builder
	for i := range n {
		vip := fmt.Sprintf("10.96.%d.%d", i/250, i%250+1)
		fmt.Fprintf(&svc, "- {metadata: {namespace: ns, name: s%d}, spec: {clusterIP: %s, ports: [{port: 80}]}}\n", i, vip)
		fmt.Fprintf(&ep, "- {metadata: {namespace: ns, name: s%d-1, labels: {kubernetes.io/service-name: s%d}}, addressType: IPv4, ports: [{name: '', port: 8080}], endpoints: [", i, i)
		chains = append(chains, fmt.Sprintf(":KUBE-SVC-%d - [0:0]\n", i))
		dispatch = append(dispatch, fmt.Sprintf("-A KUBE-SERVICES -d %s/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-%d\n", vip, i))
		fmt.Fprintf(&jumps, "-A KUBE-SVC-%d ! -s 10.244.0.0/16 -d %s/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ\n", i, vip)
		for e, share := range []string{" -m statistic --mode random --probability 0.33333333349", " -m statistic --mode random --probability 0.50000000000", ""} {
			pod := fmt.Sprintf("10.244.%d.%d", (3*i+e)/200%100, (3*i+e)%200+2)
			if e > 0 {
				ep.WriteString(", ")
			}
			fmt.Fprintf(&ep, "{addresses: [%s], nodeName: n%d}", pod, (3*i+e)/200%100)
			chains = append(chains, fmt.Sprintf(":KUBE-SEP-%d-%d - [0:0]\n", i, e))
			fmt.Fprintf(&jumps, "-A KUBE-SVC-%d%s -j KUBE-SEP-%d-%d\n", i, share, i, e)
			fmt.Fprintf(&jumps, "-A KUBE-SEP-%d-%d -s %s/32 -j KUBE-MARK-MASQ\n-A KUBE-SEP-%d-%d -p tcp -m tcp -j DNAT --to-destination %s:8080\n", i, e, pod, i, e, pod)
		}
		ep.WriteString("]}\n")
	}
	return svc.String(), ep.String(), func(node int) string {
		k := node * len(dispatch) / 100
		return "*nat\n" + strings.Join(chains, "") + strings.Join(dispatch[k:], "") + strings.Join(dispatch[:k], "") + jumps.String() +
			"-A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n-A POSTROUTING -j KUBE-POSTROUTING\n-A KUBE-POSTROUTING -j MASQUERADE\n-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000\nCOMMIT\n"
	}
}

// BenchmarkDrift compares 100 nodes with 5,000 Services of three endpoints: with
// the same rules on all nodes, and in an order of its own on each.
func BenchmarkDrift(b *testing.B) {
	services, slices, rules := large(5000)
	k, errs := NewKubeProxyServiceProcessor(open(b, map[string]string{
		"services": "\n" + services, "endpointslices": "\n" + slices, "nodes": nodes, "configmaps": proxyConfig("clusterCIDR: 10.244.0.0/16\n"),
	}), owners{}, "")
	require.Empty(b, errs)
	node := func(text string) *nodedump.NetNSInfo {
		return &nodedump.NetNSInfo{IPTables: nodedump.Part{File: "iptables-save.txt", Status: nodedump.StatusOK, Data: []byte(text)}}
	}
	for _, tt := range []struct {
		name string
		of   func(i int) int
	}{{"equal", func(int) int { return 0 }}, {"own", func(i int) int { return i }}} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			infos := map[int]*nodedump.NetNSInfo{}
			for i := range 100 {
				if infos[tt.of(i)] == nil {
					infos[tt.of(i)] = node(rules(tt.of(i)))
				}
			}
			require.Empty(b, k.Drift("n1", infos[0]))
			for b.Loop() {
				d := k.Drifter()
				for i := range 100 {
					if got := d.Drift(fmt.Sprint("n", i), infos[tt.of(i)]); len(got) > 0 {
						b.Fatal(got[0])
					}
				}
			}
		})
	}
}
