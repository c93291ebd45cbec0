package plugin_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

func TestBasis(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	env.ClusterCIDRs = []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00::/48")}
	b := plugin.NewBasis(env, env.PodCIDRs)
	require.Equal(t, "map[n1:[10.244.1.10] n2:[10.244.2.10] n3:[10.244.3.1]]", fmt.Sprint(b.Aims()))
	require.NotNil(t, b.HostNS("n1"))
	require.Nil(t, b.HostNS("n2"))
	for ip, want := range map[string]bool{"10.244.9.9": true, "fd00::1": true, "10.245.0.1": false, "2001:db8::1": false} {
		require.Equal(t, want, b.InPodNetwork(netip.MustParseAddr(ip)), ip)
	}
}

// asked notes which pods a fabric is asked about.
type asked struct {
	fabric
	pods []string
}

func (f *asked) LocalPod(_ *assertions.NetstackAssertion, pod *corev1.Pod) {
	f.pods = append(f.pods, pod.Name)
}

func TestLocalUplink(t *testing.T) {
	w, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	a, _ := w.ips.GetPodFromName("demo", "a")
	for _, tt := range []struct {
		dst  string
		of   *corev1.Pod
		want string
	}{
		{"10.244.1.11", a, "[a unseen]"},
		{"10.244.1.10", a, "[a]"}, // itself
		{"10.244.2.10", a, "[a]"}, // of another node
		{"203.0.113.1", a, "[a]"},
		{"10.244.1.11", nil, "[unseen]"}, // a pod without an object
	} {
		f := &asked{}
		uplink := plugin.LocalUplink(env, func(node string) plugin.Fabric {
			require.Equal(t, "n1", node)
			return f
		})
		uplink(nil, &k8s.Pod{NodeName: "n1", Object: tt.of}, netip.MustParseAddr(tt.dst))
		require.Equal(t, tt.want, fmt.Sprint(f.pods), tt.dst)
	}
}

func TestCheckLanes(t *testing.T) {
	_, env := open(t, []string{onLink, onBridge}, []string{podLink, podWay})
	var got reported
	var far []string
	c := plugin.NewCheckup(plugin.NewBasis(env, env.PodCIDRs), &got, "n1", &fabric{}, "the agent")
	c.CheckLanes(func(peer string, ip netip.Addr) (plugin.Lane, bool) {
		far = append(far, peer+" "+ip.String())
		return toTunnel(), peer == "n2"
	})
	require.Equal(t, []string{"n2 10.244.2.10", "n3 10.244.3.1"}, far)
	require.Equal(t, reported{"critical link/missing"}, got, "of n2 alone")

	got = nil // a node that was not collected
	c = plugin.NewCheckup(plugin.NewBasis(env, env.PodCIDRs), &got, "n2", &fabric{}, "the agent")
	c.Sends(netip.MustParseAddr("10.244.2.10"), "cni0")
	c.CheckLanes(func(string, netip.Addr) (plugin.Lane, bool) { return toTunnel(), true })
	c.CheckMTU(c.HostMTU("", netip.MustParseAddr("192.0.2.2")), plugin.Encapsulation{Device: "vxlan9", Overhead: 50})
	c.CheckMasquerade()
	require.Empty(t, got)
}

func TestOnce(t *testing.T) {
	calls := 0
	length := plugin.Once(func(s string) int { calls++; return len(s) })
	for range 2 {
		require.Equal(t, 1, length("a"))
		require.Equal(t, 2, length("ab"))
	}
	require.Equal(t, 2, calls)
}
