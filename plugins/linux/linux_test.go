package linux

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// seen makes a bundle with one node that shows one thing: "set NAME", "image
// IMAGE", "conf JSON", "file NAME" of a CNI configuration, "map NAME" or
// "device NAME".
func seen(t *testing.T, kind, what string) *plugin.NodeNetwork {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "net", Name: "agent"}}
	info := &nodedump.NetNSInfo{Key: nodedump.HostNetns, Interfaces: []nodedump.Interface{{Name: "eth0", Index: 2}}}
	file, text := "", ""
	switch kind {
	case "set":
		set.Name = what
	case "image":
		set.Spec.Template.Spec.Containers = []corev1.Container{{Image: what}}
	case "device":
		info.Interfaces = append(info.Interfaces, nodedump.Interface{Name: what, Index: 3})
	case "map":
		require.NoError(t, w.AddList("configmaps", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "net", Name: what}}))
	case "conf":
		file, text = "10-x.conflist", what
	case "file":
		file, text = what, `{"plugins": [{"type": "ptp"}, {"type": "portmap"}]}`
	}
	require.NoError(t, w.AddList("daemonsets", set))
	require.NoError(t, w.AddNetNS("nodes/n1", info))
	if file != "" {
		require.NoError(t, w.Add("nodes/n1/files/etc/cni/net.d/"+file, []byte(text)))
	}
	s, err := w.Snapshot()
	require.NoError(t, err)
	return plugin.Detect(s, []*plugin.Descriptor{Descriptor()}).Of("n1")
}

func TestMarks(t *testing.T) {
	tested := map[string]bool{}
	for _, tt := range []struct{ cni, kind, what, saw string }{
		{"cilium", "set", "cilium", "DaemonSet net/cilium"},
		{"cilium", "image", "quay.io/cilium/cilium:v1.16.0", "DaemonSet net/agent"},
		{"cilium", "device", "cilium_host", "device cilium_host"},
		{"cilium", "device", "lxc1234abcd", "device lxc1234abcd"},
		{"cilium", "map", "cilium-config", "ConfigMap net/cilium-config"},
		{"kindnet", "set", "kindnet", "DaemonSet net/kindnet"},
		{"kindnet", "image", "docker.io/kindest/kindnetd:v20250512", "DaemonSet net/agent"},
		{"kindnet", "file", "10-kindnet.conflist", "CNI configuration 10-kindnet.conflist"},
		{"kube-router", "device", "kube-bridge", "device kube-bridge"},
		{"AWS VPC CNI", "image", "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.19.0", "DaemonSet net/agent"},
		{"AWS VPC CNI", "conf", `{"plugins": [{"type": "aws-cni"}, {"type": "portmap"}]}`, "CNI configuration 10-x.conflist of type aws-cni"},
		{"AWS VPC CNI", "device", "eni0123456789a", "device eni0123456789a"},
		{"Azure CNI", "conf", `{"plugins": [{"type": "azure-vnet"}]}`, "CNI configuration 10-x.conflist of type azure-vnet"},
		{"Azure CNI", "device", "azv0123456789a", "device azv0123456789a"},
		{"GKE", "set", "netd", "DaemonSet net/netd"},
		{"antrea", "set", "antrea-agent", "DaemonSet net/antrea-agent"},
		{"OVN-Kubernetes", "set", "ovnkube-node", "DaemonSet net/ovnkube-node"},
		{"Kube-OVN", "device", "ovn0", "device ovn0"},
		{"Weave Net", "set", "weave-net", "DaemonSet net/weave-net"},
		{"canal", "set", "canal", "DaemonSet net/canal"},
		{"canal", "file", "10-canal.conflist", "CNI configuration 10-canal.conflist"},
		{"bridge", "conf", `{"type": "bridge", "bridge": "br0"}`, "CNI configuration 10-x.conflist of type bridge"},
		{"ptp", "conf", `{"plugins": [{"type": "ptp"}]}`, "CNI configuration 10-x.conflist of type ptp"},
		{"macvlan", "conf", `{"type": "macvlan"}`, "CNI configuration 10-x.conflist of type macvlan"},
		{"ipvlan", "conf", `{"type": "ipvlan"}`, "CNI configuration 10-x.conflist of type ipvlan"},
		{"host-device", "conf", `{"type": "host-device"}`, "CNI configuration 10-x.conflist of type host-device"},
	} {
		tested[tt.cni] = true
		n := seen(t, tt.kind, tt.what)
		require.Equal(t, tt.cni, n.CNI, tt)
		require.Equal(t, tt.cni+": "+tt.saw, n.Evidence())
		require.Equal(t, "linux", n.Plugin.Name)
	}
	page, err := os.ReadFile("../../docs/plugins/linux.md")
	require.NoError(t, err)
	for _, m := range marks() {
		require.True(t, tested[m.CNI], "%s has no row", m.CNI)
		require.Contains(t, string(page), m.CNI, "docs/plugins/linux.md says what is known of it")
	}
}

func TestNothingRecognised(t *testing.T) {
	for _, tt := range []struct{ kind, what string }{
		{"set", "node-exporter"},
		{"image", "registry/not-a-cni:v1"},
		{"conf", `{"type": "mine"}`},
		{"conf", `not JSON with "type": "bridge"`},
		{"device", "eth1"},
		{"device", "tunl0"},
		{"device", "lxcbr0"}, // of LXC
	} {
		n := seen(t, tt.kind, tt.what)
		require.Empty(t, n.CNI, tt)
		require.Empty(t, n.Evidence(), tt)
		require.Equal(t, "linux", n.Plugin.Name, "the fallback")
	}
}
