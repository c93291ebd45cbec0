package plugin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

func TestNodeAddress(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay}) // n1 is 192.0.2.1/24
	for _, tt := range []struct {
		name, node, ip string
		nat            bool
		want           string // how the message ends, "" if there is none
	}{
		{"its own", "n1", "192.0.2.1", false, ""},
		{"another of its own", "n1", "10.244.1.1", false, ""},
		{"another node's", "n1", "192.0.2.2", true, "none of its devices has: it is node n2's"},
		{"nobody's, of its network", "n1", "192.0.2.77", true, "none of its devices has: it is nobody's"},
		{"nobody's, and of another network", "n1", "203.0.113.9", false, "none of its devices has: it is nobody's"},
		{"of a router before it", "n1", "203.0.113.9", true, ""},
		{"nothing is told", "n1", "", false, ""},
		{"a node that was not collected", "n2", "203.0.113.9", false, ""},
	} {
		ip, _ := netip.ParseAddr(tt.ip)
		findings := &suspicions{}
		a := assertions.NewNetstackAssertion(findings, nil, model.SuspicionLevelCritical)
		ok := plugin.NodeAddress{Node: tt.node, IP: ip, By: "Somebody", NAT: tt.nat, Remedy: "Mend it."}.Assert(env, a)
		require.Equal(t, tt.want == "", ok, tt.name)
		if tt.want == "" {
			require.Empty(t, *findings, tt.name)
			continue
		}
		require.Equal(t, suspicions{{On: hops[plugin.PlaceOf("n1")], Level: model.SuspicionLevelCritical, Code: "address/wrong", Evidence: "cluster/nodes.yaml", Remedy: "Mend it.",
			Message: "Somebody tells the other nodes that node n1 is at " + tt.ip + ", which " + tt.want}}, *findings, tt.name)
	}
}

// suspicions are all of what is reported.
type suspicions []model.Suspicion

func (f *suspicions) Report(s model.Suspicion) { *f = append(*f, s) }

func TestCheckUnlike(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	for _, tt := range []struct {
		name   string
		values map[string]string // of the nodes
		want   reported
	}{
		{"each has its own", map[string]string{"n1": "a", "n2": "b", "n3": "c"}, nil},
		{"one has the node's", map[string]string{"n1": "a", "n2": "b", "n3": "a"}, reported{"critical address/duplicate"}},
		{"two others have the same", map[string]string{"n1": "a", "n2": "b", "n3": "b"}, nil},
		{"nobody tells", nil, nil},
	} {
		var got reported
		c := plugin.NewCheckup(plugin.NewBasis(env, env.PodCIDRs), &got, "n1", &fabric{}, "the agent")
		plugin.CheckUnlike(c, "name", func(n *corev1.Node) string { return tt.values[n.Name] }, "Change one.")
		require.Equal(t, tt.want, got, tt.name)
	}
}
