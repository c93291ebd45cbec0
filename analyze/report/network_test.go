package report

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNetworksText(t *testing.T) {
	flannel := Network{Plugin: "flannel", CNI: "flannel", Evidence: "DaemonSet net/f"}
	on := func(n Network, nodes ...string) Network { n.Nodes = nodes; return n }
	for _, tt := range []struct {
		list []Network
		want string
	}{
		{nil, "network plugin flannel"},
		{[]Network{flannel}, "network plugin flannel (DaemonSet net/f)"},
		{[]Network{{}}, "network plugin not recognized"},
		{[]Network{{Plugin: "linux"}}, "network plugin linux (not recognized)"},
		{[]Network{on(flannel, "n1", "n2"), on(Network{Plugin: "linux", CNI: "ptp", Evidence: "ptp: file"}, "n3", "n4", "n5", "n6", "n7")},
			"network plugin flannel (DaemonSet net/f) on n1, n2; network plugin linux (ptp: file) on n3, n4, n5 and 2 more"},
	} {
		require.Equal(t, tt.want, networksText("flannel", tt.list))
	}
	require.Equal(t, "network plugin not recognized", networksText("", nil))
	require.Equal(t, []jsonNetwork{{"flannel", "flannel", "DaemonSet net/f", []string{}}}, networksJSON([]Network{flannel}))
}
