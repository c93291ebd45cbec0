package plugin_test

import (
	"flag"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/plugin"
)

func TestCheckPodMTU(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	pods := plugin.Count(env).Pods("n1")
	for limit, want := range map[int]reported{1500: nil, 1499: {"warning mtu/too-small"}} {
		var got reported
		plugin.CheckPodMTU(env, &got, pods, limit, "so it is")
		require.Equal(t, want, got)
	}
}

func TestCheckMTU(t *testing.T) {
	for _, tt := range []struct {
		name, given string
		e           plugin.Encapsulation
		want        reported // the pods' MTU is 1500, that of vxlan9 1450
	}{
		{"nothing is taken", "", plugin.Encapsulation{}, nil},
		{"the tunnel fits, and the pods do not", "", plugin.Encapsulation{Device: "vxlan9", Overhead: 50}, reported{"warning mtu/too-small"}},
		{"the tunnel does not fit either", "", plugin.Encapsulation{Device: "vxlan9", Overhead: 60}, reported{"critical mtu/too-small", "warning mtu/too-small"}},
		{"the pods are said to have less", "", plugin.Encapsulation{PodMTU: 1400, Option: "--pod-mtu"}, reported{"warning mtu/too-small"}},
		{"a smaller device is given", "vxlan9", plugin.Encapsulation{}, reported{"warning mtu/too-small"}},
		{"no such device", "gone0", plugin.Encapsulation{Device: "vxlan9", Overhead: 60}, nil},
	} {
		w, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
		w.read[plugin.PlaceOf("n1")] = altered(t, w, tunnelled)
		var got reported
		c := plugin.NewCheckup(plugin.NewBasis(env, env.PodCIDRs), &got, "n1", &fabric{}, "the agent")
		c.CheckMTU(c.HostMTU(tt.given, netip.MustParseAddr("192.0.2.1")), tt.e)
		require.Equal(t, tt.want, got, tt.name)
	}
}

func TestMTULeft(t *testing.T) {
	host := plugin.MTU{Bytes: 1500, Why: "the MTU of eth0 is 1500", Evidence: "file:1"}
	tunnel := plugin.Encapsulation{Name: "VXLAN", Overhead: plugin.OverheadVXLAN, Option: "--pod-mtu"}
	require.Equal(t, plugin.MTU{Bytes: 1450, Why: "the MTU of eth0 is 1500, of which VXLAN takes 50", Evidence: "file:1"}, tunnel.Left(host))
	require.Equal(t, host, plugin.Encapsulation{}.Left(host))
	require.Zero(t, tunnel.Left(plugin.MTU{}))
	tunnel.PodMTU = 1400
	require.Equal(t, plugin.MTU{Bytes: 1400, Why: "--pod-mtu"}, tunnel.Left(plugin.MTU{}))
}

func TestMTUOptions(t *testing.T) {
	var n int
	options := []plugin.MTUOption{{Name: "x-mtu", Usage: "`BYTES`", Value: &n}}
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	plugin.BindMTUs(fs, options)
	for text, good := range map[string]bool{"0": true, "68": true, "65535": true, "67": false, "65536": false, "-1": false} {
		require.NoError(t, fs.Parse([]string{"-x-mtu", text}))
		err := plugin.ValidateMTUs(options)
		require.Equal(t, good, err == nil, text)
		if !good {
			require.ErrorContains(t, err, "--x-mtu "+text)
		}
	}
}
