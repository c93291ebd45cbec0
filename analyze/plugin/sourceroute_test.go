package plugin_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// bySource are numbers like those of no network: a table is 100 less its ENI's index.
func bySource() *plugin.SourceRouting {
	return &plugin.SourceRouting{By: "agentd", ToPod: 7, FromPod: 9, TableOf: func(index int) int { return 100 - index }, Tables: "it is 100 less the index"}
}

// sourced is a node with a pod 10.0.1.10 of ENI eth1, by rules "PRIORITY from|to WHAT TABLE
// [IIF]" and default routes "TABLE DEV VIA".
func sourced(t *testing.T, rules, defaults, unread string) *netstack.NetNS {
	t.Helper()
	info := netns("host", nil)
	for i, name := range []string{"eth0", "eth1", "eth2", "veth0"} {
		info.Interfaces = append(info.Interfaces, nodedump.Interface{Name: name, Index: i + 2, MAC: fmt.Sprintf("02:00:00:00:00:e%d", i), Flags: []string{"UP"}})
	}
	for _, text := range strings.Split(defaults, ", ") {
		r := nodedump.Route{Family: 4, Dst: "0.0.0.0/0", Flags: []string{"onlink"}}
		_, err := fmt.Sscan(text, &r.Table, &r.Dev, &r.Via)
		require.NoError(t, err)
		info.Routes = append(info.Routes, r)
	}
	for i, text := range strings.Split("0 any - 255, "+rules+", 32766 any - 254", ", ") {
		r, of, what := nodedump.Rule{Family: 4, Line: i + 1}, "", ""
		_, err := fmt.Sscan(text, &r.Priority, &of, &what, &r.Table)
		require.NoError(t, err)
		switch of {
		case "from":
			r.From = what
		case "to":
			r.To = what
		}
		if f := strings.Fields(text); len(f) > 4 {
			r.IIf = f[4]
		}
		info.Rules = append(info.Rules, r)
	}
	if unread != "" {
		info.Sections = map[string]nodedump.Status{unread: nodedump.StatusDenied}
	}
	ns, problems := netstack.New(info)
	require.Empty(t, problems)
	return ns
}

func TestSourceRouting(t *testing.T) {
	const (
		rules    = "7 to 10.0.1.10/32 254, 9 from 10.0.1.10/32 97"
		defaults = "254 eth0 10.0.0.1, 97 eth1 10.0.1.1, 96 eth2 10.0.2.1"
		diverted = "critical route/diverted"
		missing  = "critical route/missing"
	)
	eth1 := infra.Owner{MAC: "02:00:00:00:00:E1", Evidence: "enis.json:1"}
	for _, tt := range []struct {
		name            string
		rules, defaults string
		unread          string
		owner           infra.Owner
		router          string
		eni             string // that is meant
		exit, to        reported
	}{
		{"as it should be", rules, defaults, "", infra.Owner{}, "", "eth1", nil, nil},
		{"of the owner, by the router that is known", rules, defaults, "", eth1, "10.0.1.1", "eth1", nil, nil},
		{"no rule to the pod", "9 from 10.0.1.10/32 97", defaults, "", infra.Owner{}, "", "eth1", nil, reported{missing}},
		{"a rule to the pod of another priority", "8 to 10.0.1.10/32 254, 9 from 10.0.1.10 97", defaults, "", infra.Owner{}, "", "eth1", nil, reported{missing}},
		{"no rule from the pod, nobody knows its ENI", "7 to 10.0.1.10 254", defaults, "", infra.Owner{}, "", "an ENI", reported{missing}, nil},
		{"no rule from the pod, of the owner", "7 to 10.0.1.10 254", defaults, "", eth1, "", "eth1", reported{missing}, nil},
		{"no rule from the pod, one ENI", "7 to 10.0.1.10 254", "254 eth0 10.0.0.1, 96 eth2 10.0.2.1", "", infra.Owner{}, "", "eth2", reported{missing}, nil},
		{"a rule from a range is none", "7 to 10.0.1.10 254, 9 from 10.0.1.0/24 97", defaults, "", eth1, "", "eth1", reported{missing}, nil},
		{"another ENI's table", "7 to 10.0.1.10 254, 9 from 10.0.1.10 96", defaults, "", eth1, "", "eth1", reported{diverted}, nil},
		{"another ENI's table, nobody knows better", "7 to 10.0.1.10 254, 9 from 10.0.1.10 96", defaults, "", infra.Owner{}, "", "eth2", nil, nil},
		{"the owner is of another machine", rules, defaults, "", infra.Owner{MAC: "02:00:00:00:00:99"}, "", "eth1", nil, nil},
		{"the table of nothing", "7 to 10.0.1.10 254, 9 from 10.0.1.10 5", defaults, "", infra.Owner{}, "", "an ENI", reported{diverted}, nil},
		{"for another device", "7 to 10.0.1.10 254, 9 from 10.0.1.10 97 veth9", defaults, "", infra.Owner{}, "", "an ENI", reported{diverted}, nil},
		{"for its own device", "7 to 10.0.1.10 254, 9 from 10.0.1.10 97 veth0", defaults, "", infra.Owner{}, "", "eth1", nil, nil},
		{"an empty table", rules, "254 eth0 10.0.0.1", "", infra.Owner{}, "", "eth1", reported{missing}, nil},
		{"a table that leads out by another", rules, "254 eth0 10.0.0.1, 97 eth2 10.0.1.1", "", infra.Owner{}, "", "eth1", reported{diverted}, nil},
		{"another router", rules, defaults, "", infra.Owner{}, "10.0.1.2", "eth1", reported{diverted}, nil},
		{"a rule before it", rules + ", 8 any - 254", defaults, "", infra.Owner{}, "", "eth1", reported{diverted}, nil},
		{"rules that were not collected", "7 any - 254", defaults, "rules", infra.Owner{}, "", "", nil, nil},
		{"routes that were not collected", "9 any - 254", defaults, "routes", infra.Owner{}, "", "", nil, reported{missing}},
	} {
		ns := sourced(t, tt.rules, tt.defaults, tt.unread)
		pod := plugin.Tenant{Name: "demo/a", IP: netip.MustParseAddr("10.0.1.10"), Veth: "veth0", Owner: tt.owner}
		if tt.router != "" {
			pod.Router = netip.MustParseAddr(tt.router)
		}
		var exit, to reported
		eni, _ := bySource().AssertExit(assertions.NewNetstackAssertion(&exit, ns, model.SuspicionLevelCritical), pod, netip.MustParseAddr("10.0.9.9"))
		require.Equal(t, tt.eni, eni, tt.name)
		require.Equal(t, tt.exit, exit, tt.name)
		require.Equal(t, tt.to == nil, bySource().AssertRuleTo(assertions.NewNetstackAssertion(&to, ns, model.SuspicionLevelCritical), pod), tt.name)
		require.Equal(t, tt.to, to, tt.name)
	}
	var none reported
	nobody := assertions.NewNetstackAssertion(&none, nil, model.SuspicionLevelCritical)
	eni, _ := bySource().AssertExit(nobody, plugin.Tenant{}, netip.Addr{})
	require.Empty(t, eni)
	require.True(t, bySource().AssertRuleTo(nobody, plugin.Tenant{IP: netip.MustParseAddr("10.0.1.10")}))
	require.Empty(t, none)
}

// What says by which ENI a pod's packets come.
func TestSourceRoutingENI(t *testing.T) {
	ns := sourced(t, "9 from 10.0.1.10 97", "254 eth0 10.0.0.1, 97 eth1 10.0.1.1", "")
	ip := netip.MustParseAddr("10.0.1.10")
	for want, pod := range map[string]plugin.Tenant{
		"eth2": {IP: ip, Owner: infra.Owner{MAC: "02:00:00:00:00:e2"}},
		"eth1": {IP: ip, Owner: infra.Owner{MAC: "02:00:00:00:00:99"}},
		"":     {IP: netip.MustParseAddr("10.0.1.11")},
	} {
		got := ""
		if dev := bySource().ENI(ns, pod); dev != nil {
			got = dev.Name
		}
		require.Equal(t, want, got)
	}
}
