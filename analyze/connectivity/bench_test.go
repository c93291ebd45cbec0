package connectivity

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkConnectivity is 1,000 pods and 200 policies: applications that each
// have a policy, as clusters have them; random policies; random policies and
// pods with labels of their own; and random policies of two kinds.
func BenchmarkConnectivity(b *testing.B) {
	b.Run("applications", func(b *testing.B) { bench(b, applications()) })
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
	groups, connections, lines := 0, 0, 0
	for b.Loop() {
		r := New(n, ips, []string{"node0", "node1", "node2"}, Options{})
		groups, connections = len(r.Groups), len(r.Connections)
		lines = len(r.Lines(Pods)) + len(r.Lines(Nodes)) + len(r.Lines(Outside))
	}
	b.ReportMetric(float64(groups), "groups")
	b.ReportMetric(float64(connections), "connections")
	b.ReportMetric(float64(lines), "lines")
}

// applications is 10 namespaces with 20 applications of 5 pods each.
func applications() world {
	w := world{"namespaces": nil, "nodes": nil, "services": nil, "configmaps": nil}
	for i := range 1000 {
		ns, app := fmt.Sprintf("ns%d", i/100), i/5%20
		w["pods"] = append(w["pods"], object{
			"metadata": object{
				"namespace": ns, "name": fmt.Sprintf("app%d-5d-%d", app, i%5),
				"labels":          object{"app": fmt.Sprintf("app%d", app), "pod-template-hash": "5d", "pod": fmt.Sprint(i)},
				"ownerReferences": []object{{"kind": "ReplicaSet", "name": fmt.Sprintf("app%d-5d", app), "controller": true}},
			},
			"spec":   object{"nodeName": "node0", "containers": []object{{"name": "c", "ports": []object{{"name": "http", "containerPort": 8080 + app%3}}}}},
			"status": object{"phase": "Running", "podIP": fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)},
		})
		if i%5 > 0 {
			continue
		}
		peer := object{"podSelector": object{"matchLabels": object{"app": fmt.Sprintf("app%d", (app+1)%20)}}}
		spec := object{
			"podSelector": object{"matchLabels": object{"app": fmt.Sprintf("app%d", app)}},
			"ingress":     []object{{"from": []object{peer, {"ipBlock": object{"cidr": fmt.Sprintf("192.0.2.%d/32", app)}}}, "ports": []object{{"port": "http"}}}},
		}
		if app%3 == 0 {
			spec["egress"] = []object{{"to": []object{peer}}, {"ports": []object{{"port": 53, "protocol": "UDP"}}}}
		}
		w["networkpolicies"] = append(w["networkpolicies"], object{"metadata": object{"namespace": ns, "name": fmt.Sprintf("app%d", app)}, "spec": spec})
	}
	return w
}
