package snapshot_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// manyNodes is a cluster of equal nodes: ten pods each, and the rules of a
// kube-proxy with 200 services.
func manyNodes(t testing.TB, nodes int) *snapshot.Writer {
	t.Helper()
	const podsPerNode = 10
	w := snapshot.NewWriter(snapshot.Meta{Tool: "bench"})
	var rules strings.Builder
	rules.WriteString("*nat\n:KUBE-SERVICES - [0:0]\n")
	for i := range 200 {
		fmt.Fprintf(&rules, "-A KUBE-SERVICES -d 10.96.%d.%d/32 -p tcp -m comment --comment \"ns/svc-%d cluster IP\" -m tcp --dport 80 -j KUBE-SVC-%016X\n", i/256, i%256, i, i*2654435761)
	}
	rules.WriteString("COMMIT\n")
	sysctls := map[string]string{}
	for i := range 300 {
		sysctls[fmt.Sprintf("net.ipv4.conf.dev%d.rp_filter", i)] = "0"
	}
	var pods []runtime.Object
	for n := range nodes {
		node := &nodedump.NodeNetworkStackDump{Name: fmt.Sprintf("node-%04d", n), Kernel: "6.1", Netns: []string{"host"}}
		for p := range podsPerNode {
			key := fmt.Sprintf("ns_pod-%d-%d", n, p)
			ip := fmt.Sprintf("10.%d.%d.%d", n>>8, n&255, p)
			node.Netns = append(node.Netns, key)
			require.NoError(t, w.AddNetNS("nodes/"+node.Name, &nodedump.NetNSInfo{
				Key: key, Sysctls: sysctls, IPTables: nodedump.Part{Status: nodedump.StatusEmpty},
				Interfaces: []nodedump.Interface{{Name: "eth0", Index: 2, Kind: "veth", Addrs: []nodedump.Addr{{Prefix: ip + "/24", Scope: "global"}}}},
			}))
			pods = append(pods, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: key[3:]}, Spec: corev1.PodSpec{NodeName: node.Name}, Status: corev1.PodStatus{PodIP: ip}})
		}
		require.NoError(t, w.AddNetNS("nodes/"+node.Name, &nodedump.NetNSInfo{
			Key: "host", Sysctls: sysctls, IPTables: nodedump.Part{Status: nodedump.StatusOK, Data: []byte(rules.String())},
		}))
		require.NoError(t, w.AddNode(node))
	}
	require.NoError(t, w.AddList("pods", pods...))
	return w
}

func BenchmarkOpenArchive1000Nodes(b *testing.B) {
	data := pack(b, manyNodes(b, 1000))
	b.ReportMetric(float64(len(data)), "archive-bytes")
	b.ReportAllocs()
	for b.Loop() {
		s, err := snapshot.OpenArchive(bytes.NewReader(data), snapshot.DefaultLimits())
		require.NoError(b, err)
		b.ReportMetric(float64(snapshot.Info(s).Size), "bytes")
	}
	b.ReportMetric(float64(len(data)), "archive-bytes")
}

func BenchmarkOpen1000Nodes(b *testing.B) {
	s, err := manyNodes(b, 1000).Snapshot()
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := snapshot.Open(s.FS())
		require.NoError(b, err)
	}
	b.ReportMetric(float64(len(s.Manifest().Parts)), "parts")
}

func BenchmarkNetNS(b *testing.B) {
	s, err := manyNodes(b, 1).Snapshot()
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, err := s.NetNS("node-0000", "host")
		require.NoError(b, err)
	}
}

func BenchmarkPods10000(b *testing.B) {
	s, err := manyNodes(b, 1000).Snapshot()
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		pods, err := s.Pods()
		require.NoError(b, err)
		require.Len(b, pods, 10_000)
	}
}

func BenchmarkWriteArchive1000Nodes(b *testing.B) {
	w := manyNodes(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		pack(b, w)
	}
}
