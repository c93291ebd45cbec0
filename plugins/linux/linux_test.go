package linux

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// seen makes a bundle with one node that shows one thing: "set NAME", "image
// IMAGE", "conf JSON" or "device NAME".
func seen(t *testing.T, kind, what string) *snapshot.Snapshot {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "net", Name: "agent"}}
	info := &nodedump.NetNSInfo{Key: nodedump.HostNetns, Interfaces: []nodedump.Interface{{Name: "eth0", Index: 2}}}
	switch kind {
	case "set":
		set.Name = what
	case "image":
		set.Spec.Template.Spec.Containers = []corev1.Container{{Image: what}}
	case "device":
		info.Interfaces = append(info.Interfaces, nodedump.Interface{Name: what, Index: 3})
	}
	require.NoError(t, w.AddList("daemonsets", set))
	require.NoError(t, w.AddNetNS("nodes/n1", info))
	if kind == "conf" {
		require.NoError(t, w.Add("nodes/n1/files/etc/cni/net.d/10-x.conflist", []byte(what)))
	}
	s, err := w.Snapshot()
	require.NoError(t, err)
	return s
}

func TestDetect(t *testing.T) {
	const conf = "nodes/n1/files/etc/cni/net.d/10-x.conflist"
	tested := map[string]bool{}
	for _, tt := range []struct{ cni, kind, what, where string }{
		{"calico", "set", "calico-node", "DaemonSet net/calico-node"},
		{"calico", "conf", `{"plugins": [{"type": "calico"}, {"type": "portmap"}]}`, conf},
		{"terway", "set", "terway-eniip", "DaemonSet net/terway-eniip"},
		{"cilium", "set", "cilium", "DaemonSet net/cilium"},
		{"cilium", "image", "quay.io/cilium/cilium:v1.16.0", "DaemonSet net/agent"},
		{"cilium", "device", "cilium_host", "device cilium_host of node n1"},
		{"kindnet", "set", "kindnet", "DaemonSet net/kindnet"},
		{"kindnet", "image", "docker.io/kindest/kindnetd:v20250512", "DaemonSet net/agent"},
		{"kube-router", "device", "kube-bridge", "device kube-bridge of node n1"},
		{"AWS VPC CNI", "image", "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.19.0", "DaemonSet net/agent"},
		{"AWS VPC CNI", "conf", `{"plugins": [{"type": "aws-cni"}, {"type": "portmap"}]}`, conf},
		{"Azure CNI", "conf", `{"plugins": [{"type": "azure-vnet"}]}`, conf},
		{"GKE", "set", "netd", "DaemonSet net/netd"},
		{"antrea", "set", "antrea-agent", "DaemonSet net/antrea-agent"},
		{"OVN-Kubernetes", "set", "ovnkube-node", "DaemonSet net/ovnkube-node"},
		{"Kube-OVN", "device", "ovn0", "device ovn0 of node n1"},
		{"Weave Net", "set", "weave-net", "DaemonSet net/weave-net"},
		{"canal", "set", "canal", "DaemonSet net/canal"},
		{"bridge", "conf", `{"type": "bridge", "bridge": "br0"}`, conf},
		{"ptp", "conf", `{"plugins": [{"type": "ptp"}]}`, conf},
		{"macvlan", "conf", `{"type": "macvlan"}`, conf},
		{"ipvlan", "conf", `{"type": "ipvlan"}`, conf},
		{"host-device", "conf", `{"type": "host-device"}`, conf},
	} {
		tested[tt.cni] = true
		found, saw := detect(seen(t, tt.kind, tt.what))
		require.True(t, found, tt)
		require.Equal(t, tt.cni+": "+tt.where, saw)
	}
	for _, c := range known() {
		require.True(t, tested[c.name], "%s has no row", c.name)
	}
}

func TestNothingDetected(t *testing.T) {
	for _, tt := range []struct{ kind, what string }{
		{"set", "node-exporter"},
		{"image", "registry/not-a-cni:v1"},
		{"conf", `{"type": "mine"}`},
		{"conf", `not JSON with "type": "bridge"`},
		{"device", "eth1"},
	} {
		found, saw := detect(seen(t, tt.kind, tt.what))
		require.False(t, found, tt)
		require.NotEmpty(t, saw)
	}
}
