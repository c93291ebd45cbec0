package netns

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestResolveHop(t *testing.T) {
	objects := map[int]hopObject{
		1: {hop: nodedump.NextHop{Dev: "eth0", Via: "10.0.0.9", Weight: 1, Flags: []string{"onlink"}}},
		2: {hop: nodedump.NextHop{Dev: "eth1", Weight: 1, Encap: "mpls"}},
		3: {group: []groupMember{{1, 1}, {2, 3}}},
		4: {blackhole: true},
		5: {group: []groupMember{{9, 1}}},
		6: {group: []groupMember{{3, 1}}},
	}
	for id, want := range map[int]nodedump.Route{
		1: {NHID: 1, Dev: "eth0", Via: "10.0.0.9", Flags: []string{"onlink"}},
		2: {NHID: 2, Dev: "eth1", Encap: "mpls"},
		3: {NHID: 3, NextHops: []nodedump.NextHop{{Dev: "eth0", Via: "10.0.0.9", Weight: 1, Flags: []string{"onlink"}}, {Dev: "eth1", Weight: 3, Encap: "mpls"}}},
		4: {NHID: 4, Type: "blackhole"},
	} {
		got := nodedump.Route{NHID: id}
		require.True(t, resolveHop(&got, objects))
		require.Equal(t, want, got)
	}
	for _, id := range []int{5, 6, 7} {
		require.False(t, resolveHop(&nodedump.Route{NHID: id}, objects), "%d", id)
	}
}

func TestRouterPref(t *testing.T) {
	for n, want := range map[byte]string{0: "", 1: "high", 3: "low"} {
		require.Equal(t, want, routerPref([]byte{n}))
	}
	require.Empty(t, routerPref(nil))
}
