package plugin_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// ranged fills Ranges: "PREFIX NODE" each, and who borrowed which address.
func ranged(borrowed map[string]string, ranges ...[2]string) *plugin.Ranges {
	r := &plugin.Ranges{}
	for _, x := range ranges {
		r.Add(netip.MustParsePrefix(x[0]), x[1])
	}
	if borrowed != nil {
		r.Borrower = func(ip netip.Addr) (string, bool) { return borrowed[ip.String()], true }
	}
	return r
}

func TestRangesOf(t *testing.T) {
	r := ranged(nil, [2]string{"10.244.0.0/16", "n1"}, [2]string{"10.244.2.9/24", "n2"}, [2]string{"10.244.2.128/26", "n3"}, [2]string{"10.244.2.128/26", "n1"}, [2]string{"10.244.2.128/26", "n1"}, [2]string{"fd00::/64", "n1"})
	for ip, want := range map[string]string{
		"10.244.9.9": "10.244.0.0/16 [n1] true", "10.244.2.7": "10.244.2.0/24 [n2] true", "10.244.2.130": "10.244.2.128/26 [n3 n1] true",
		"fd00::9": "fd00::/64 [n1] true", "fd01::9": "invalid Prefix [] false", "10.9.9.9": "invalid Prefix [] false",
	} {
		p, nodes, ok := r.Of(netip.MustParseAddr(ip))
		require.Equal(t, want, fmt.Sprint(p, nodes, ok), ip)
	}
	p, ok := r.Has("n2", netip.MustParseAddr("10.244.2.77"))
	require.True(t, ok)
	require.Equal(t, "10.244.2.0/24", p.String())
	_, ok = r.Has("n1", netip.MustParseAddr("10.244.2.77"))
	require.False(t, ok, "another node's")
	_, ok = (&plugin.Ranges{}).Has("n1", netip.MustParseAddr("10.244.2.77"))
	require.False(t, ok)
}

func TestAims(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay}) // pods of n1 have 10.244.1.10 and 10.244.1.11, that of n2 10.244.2.10
	one, two, three := [2]string{"10.244.1.0/24", "n1"}, [2]string{"10.244.2.0/24", "n2"}, [2]string{"10.244.3.0/24", "n3"}
	for _, tt := range []struct {
		name string
		r    *plugin.Ranges
		want string
	}{
		{"one pod of each range, and where there is none an address that one may have", ranged(nil, one, two, three), "map[n1:[10.244.1.10] n2:[10.244.2.10] n3:[10.244.3.1]]"},
		{"of both families", ranged(nil, three, [2]string{"fd00:3::/64", "n3"}), "map[n3:[10.244.3.1 fd00:3::1]]"},
		{"of two ranges", ranged(nil, two, [2]string{"10.244.9.0/26", "n2"}), "map[n2:[10.244.2.10 10.244.9.1]]"},
		{"a pod with an address of another node's range", ranged(nil, one, [2]string{"10.244.2.0/24", "n3"}), "map[n1:[10.244.1.10] n2:[10.244.2.10] n3:[10.244.2.1]]"},
		{"what another node borrowed is no aim", ranged(map[string]string{"10.244.3.1": "n1", "10.244.3.2": "n3"}, three), "map[n3:[10.244.3.2]]"},
		{"the first address, if there is no other", ranged(map[string]string{"10.244.3.9": "n1"}, [2]string{"10.244.3.8/31", "n3"}), "map[n3:[10.244.3.8]]"},
		{"nothing is left", ranged(map[string]string{"10.244.3.9": "n1"}, [2]string{"10.244.3.9/32", "n3"}), "map[]"},
		{"two nodes have the range, and no pod lives there", ranged(nil, three, [2]string{"10.244.3.0/24", "n2"}), "map[]"},
		{"two nodes have the range of a pod", ranged(nil, two, [2]string{"10.244.2.0/24", "n3"}), "map[n2:[10.244.2.10]]"},
		{"nobody has ranges", &plugin.Ranges{}, "map[]"},
	} {
		require.Equal(t, tt.want, fmt.Sprint(tt.r.Aims(plugin.Count(env))), tt.name)
	}
}
