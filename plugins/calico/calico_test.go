package calico

import (
	"flag"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestConfig(t *testing.T) {
	d := Descriptor()
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	d.Config.BindFlags(fs)
	require.NoError(t, d.Config.Validate(), "the defaults")
	require.NoError(t, fs.Parse([]string{"-calico-host-interface", "eth1", "-calico-ipip-pod-mtu", "1480"}))
	require.NoError(t, d.Config.Validate())
	for _, name := range []string{"calico-host-mtu", "calico-pod-mtu", "calico-ipip-pod-mtu", "calico-vxlan-pod-mtu"} {
		require.NoError(t, fs.Parse([]string{"-" + name, "67"}))
		require.ErrorContains(t, d.Config.Validate(), "--"+name+" 67")
		require.NoError(t, fs.Parse([]string{"-" + name, "0"}))
	}
}

// marked makes a bundle whose node n1 shows one thing.
func marked(t *testing.T, kind, what string) *plugin.NodeNetwork {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	info := &nodedump.NetNSInfo{Key: nodedump.HostNetns, Interfaces: []nodedump.Interface{{Name: "eth0", Index: 2}}}
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "net", Name: "agent"}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	switch kind {
	case "set":
		set.Name = what
	case "image":
		set.Spec.Template.Spec.Containers = []corev1.Container{{Image: what}}
	case "annotation":
		node.Annotations = map[string]string{what: "x"}
	case "resource":
		require.NoError(t, w.Add("cluster/"+what+".yaml", []byte("items:\n- {metadata: {name: p}}\n")))
	case "conf":
		require.NoError(t, w.Add("nodes/n1/files/etc/cni/net.d/10-x.conflist", []byte(what)))
	case "device":
		info.Interfaces = append(info.Interfaces, nodedump.Interface{Name: what, Index: 3, Flags: []string{"UP"}})
	}
	require.NoError(t, w.AddList("daemonsets", set))
	require.NoError(t, w.AddList("nodes", node))
	require.NoError(t, w.AddNetNS("nodes/n1", info))
	s, err := w.Snapshot()
	require.NoError(t, err)
	return plugin.Detect(s, []*plugin.Descriptor{Descriptor()}).Of("n1")
}

func TestMarks(t *testing.T) {
	for _, tt := range []struct{ kind, what string }{
		{"set", "calico-node"},
		{"image", "quay.io/calico/node:v3.30.0"},
		{"image", "registry/rancher/mirrored-calico-node:v3.28.1"},
		{"conf", `{"plugins": [{"type": "calico"}, {"type": "portmap"}]}`},
		{"annotation", "projectcalico.org/IPv4Address"},
		{"annotation", "projectcalico.org/IPv4IPIPTunnelAddr"},
		{"resource", "ippools.crd.projectcalico.org"},
		{"resource", "ippools.projectcalico.org"},
		{"device", "vxlan.calico"},
		{"device", "cali0123456789a"},
	} {
		n := marked(t, tt.kind, tt.what)
		require.Equal(t, "calico", n.CNI, tt)
		require.NotEmpty(t, n.Evidence(), tt)
	}
	for _, tt := range []struct{ kind, what string }{
		{"set", "calico-kube-controllers"},
		{"image", "calico/kube-controllers:v3"},
		{"conf", `{"plugins": [{"type": "bridge"}]}`},
		{"device", "tunl0"},
	} {
		require.Empty(t, marked(t, tt.kind, tt.what).CNI, tt)
	}
}

// farVeth is the node's end of the veth of demo/b, whose namespace the bundle lacks.
func farVeth(t *testing.T, s *state) string {
	t.Helper()
	c := open(s.write(t), &Config{})
	pod, ok := c.IPCache.GetPodFromName("demo", "b")
	require.True(t, ok)
	return c.at("n2").veth(pod).Peer
}

func TestFacts(t *testing.T) {
	told := func(s *state, node string) string {
		return open(s.write(t), &Config{}).told(node, netip.IPv4Unspecified()).Address.String()
	}
	f := read(healthy("ipip CrossSubnet").write(t).Snapshot)
	require.Equal(t, "p 10.0.0.0/16 ipip true true", fmt.Sprint(f.pools[0].Name, " ", f.pools[0].prefix, " ", f.pools[0].tunnel, " ", f.pools[0].cross, " ", f.pools[0].Spec.NATOutgoing))
	require.True(t, f.mesh)
	require.Equal(t, "172.31.0.1/24", told(healthy("ipip CrossSubnet"), "n1"))
	require.Equal(t, "66:2d:bf:44:a6:8b", vtepMAC("node2", false), "as felix of 3.28.5 made it in the lab")

	s := healthy("vxlan Always")
	object("felixconfigurations", "spec: {}", "spec: {interfacePrefix: \"tap,cali\"}")(s)
	object("nodes", "projectcalico.org/IPv4Address: 172.31.0.2/24, ", "")(s)
	object("bgpconfigurations", "spec: {}", "spec: {nodeToNodeMeshEnabled: false}")(s)
	f = read(s.write(t).Snapshot)
	require.Regexp(t, "^tap[0-9a-f]{11}$", farVeth(t, s), "of the first prefix")
	require.Equal(t, "172.31.0.2/32", told(s, "n2"), "the node's address, of which the subnet is not known")
	require.False(t, f.mesh)

	delete(s.objects, "bgpconfigurations."+snapshot.CalicoAPI)
	require.False(t, read(s.write(t).Snapshot).mesh, "not collected")
}

// What is broken in one object costs that object.
func TestHostileObjects(t *testing.T) {
	s := healthy("vxlan Always")
	for resource, items := range map[string]string{
		"ippools":         "- {metadata: {name: bad}, spec: {cidr: 10.0.0.0/99}}\n- {metadata: {name: worse}, spec: 5}\n",
		"blockaffinities": "- {metadata: {name: bad}, spec: {cidr: nonsense, node: n1, state: confirmed}}\n",
		"ipamblocks": "- {metadata: {name: bad}, spec: {cidr: \"\", allocations: [0]}}\n" +
			"- {metadata: {name: worse}, spec: {cidr: 10.0.9.0/26, allocations: [7, -1], attributes: []}}\n- {metadata: {name: worst}, spec: {cidr: 255.255.255.255/32, allocations: [0, 0, 0], attributes: [{}]}}\n",
	} {
		s.objects[resource+"."+snapshot.CalicoStored] += items
	}
	object("nodes", "IPv4VXLANTunnelAddr: 10.0.3.0", "IPv4VXLANTunnelAddr: nonsense")(s)
	var got said
	open(s.write(t), &Config{}).CheckNode(&got, "n1")
	require.Len(t, got, 1, "%q", got)
	require.Contains(t, got[0], "node n3 tells nobody the address of its VXLAN device")
	got = nil
	open(s.write(t), &Config{}).CheckNode(&got, "n9")
	require.Empty(t, got)
}
