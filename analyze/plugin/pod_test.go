package plugin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A pod that has a second device net1 for 10.96.0.0/12, and the rest by eth0.
func TestByRange(t *testing.T) {
	const all, services, more = "0.0.0.0/0 eth0 10.244.1.1", "10.96.0.0/12 net1", "203.0.113.0/24 net1"
	up := []string{"UP"}
	for _, tt := range []struct {
		name   string
		routes []string
		net1   []string // its flags, nil if there is no such device
		dst    string
		dev    string // that is meant
		want   reported
	}{
		{"within", []string{all, services}, up, "10.96.0.10", "net1", nil},
		{"within, no route", []string{all}, up, "10.96.0.10", "net1", reported{"warning route/missing"}},
		{"within, the device is down", []string{all}, []string{}, "10.96.0.10", "eth0", reported{"warning link/down"}},
		{"within, no such device", []string{all}, nil, "10.96.0.10", "eth0", nil},
		{"by somebody's route", []string{all, services, more}, up, "203.0.113.7", "net1", nil},
		{"the rest", []string{all, services}, up, "203.0.113.7", "eth0", nil},
		{"the rest, no route", []string{services}, up, "203.0.113.7", "eth0", reported{"warning route/missing"}},
		{"the rest, by a default route of the other device", []string{"0.0.0.0/0 net1"}, up, "203.0.113.7", "eth0", reported{"warning route/diverted"}},
	} {
		info := netns("a", tt.routes, nodedump.Interface{Name: "eth0", Index: 2, Flags: up})
		if tt.net1 != nil {
			info.Interfaces = append(info.Interfaces, nodedump.Interface{Name: "net1", Index: 3, Flags: tt.net1})
		}
		ns, problems := netstack.New(info)
		require.Empty(t, problems)
		var got reported
		leads := plugin.ByRange("net1", "the second device", []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12")}, plugin.ByDefault("eth0"))
		require.Equal(t, tt.dev, leads(assertions.NewNetstackAssertion(&got, ns, model.SuspicionLevelWarning), netip.MustParseAddr(tt.dst)), tt.name)
		require.Equal(t, tt.want, got, tt.name)
	}
}
