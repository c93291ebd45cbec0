package connectivity

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkConnectivity is 1,000 pods and 200 policies: random ones, and as
// clusters have them, where each pod has labels of its own.
func BenchmarkConnectivity(b *testing.B) {
	b.Run("random", func(b *testing.B) { bench(b, dice{rand.New(rand.NewPCG(1, 1))}.world(1000, 200, 0)) })
	b.Run("distinct", func(b *testing.B) {
		w := dice{rand.New(rand.NewPCG(1, 1))}.world(1000, 200, 0)
		for i, pod := range w["pods"] {
			pod["metadata"].(object)["labels"].(object)["pod-name"] = fmt.Sprint(i)
		}
		bench(b, w)
	})
	b.Run("admin", func(b *testing.B) { bench(b, dice{rand.New(rand.NewPCG(1, 1))}.world(1000, 100, 100)) })
}

func bench(b *testing.B, w world) {
	n, ips, _ := w.open(b)
	b.ReportAllocs()
	groups, connections := 0, 0
	for b.Loop() {
		r := New(n, ips, []string{"node0", "node1", "node2"}, Options{})
		groups, connections = len(r.Groups), len(r.Connections)
	}
	b.ReportMetric(float64(groups), "groups")
	b.ReportMetric(float64(connections), "connections")
}
