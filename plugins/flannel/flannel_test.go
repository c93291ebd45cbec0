package flannel

import (
	"flag"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func bundle(t *testing.T, resource string, objects ...runtime.Object) *snapshot.Snapshot {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.AddList(resource, objects...))
	s, err := w.Snapshot()
	require.NoError(t, err)
	return s
}

func config(net, cni string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-flannel", Name: "kube-flannel-cfg"},
		Data: map[string]string{"net-conf.json": net, "cni-conf.json": cni}}
}

func TestParseCNI(t *testing.T) {
	for text, want := range map[string]string{
		`{"plugins":[{"type":"flannel","delegate":{"bridge":"kube-bridge","hairpinMode":true,"mtu":1400}},{"type":"portmap"}]}`: "kube-bridge true 1400 true",
		`{"type":"flannel"}`:                        " false 0 true",
		`{"plugins":[{"type":"bridge"}]}`:           " false 0 false",
		`{"type":"flannel","delegate":{"mtu":"x"}}`: " false 0 false",
		`{`: " false 0 false",
	} {
		c, ok := plugin.CNIPlugin[cniConf]([]byte(text), "flannel")
		require.Equal(t, want, fmt.Sprint(c.Delegate.Bridge, " ", c.Delegate.HairpinMode, " ", c.Delegate.MTU, " ", ok), text)
	}
}

func TestMarks(t *testing.T) {
	ds := func(name, image string) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "net", Name: name},
			Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}}}
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Annotations: map[string]string{snapshot.FlannelPrefix + "backend-type": "vxlan"}}}
	for _, tt := range []struct {
		name string
		snap *snapshot.Snapshot
		saw  string // "" if flannel is not recognised
	}{
		{"by DaemonSet", bundle(t, "daemonsets", ds("kube-flannel-ds", "x")), "DaemonSet net/kube-flannel-ds"},
		{"by the DaemonSet of an architecture", bundle(t, "daemonsets", ds("kube-flannel-ds-arm64", "x")), "DaemonSet net/kube-flannel-ds-arm64"},
		{"by image", bundle(t, "daemonsets", ds("cni", "ghcr.io/flannel-io/flannel:v0.27")), "DaemonSet net/cni"},
		{"by a mirror's image", bundle(t, "daemonsets", ds("cni", "registry:5000/rancher/hardened-flannel:v0.27@sha256:1234")), "DaemonSet net/cni"},
		{"by ConfigMap", bundle(t, "configmaps", config("{}", "")), "ConfigMap kube-flannel/kube-flannel-cfg"},
		{"by annotation", bundle(t, "nodes", node), "annotation flannel.alpha.coreos.com/backend-type"},
		{"not at all", bundle(t, "daemonsets", ds("calico-node", "calico/node:v3")), ""},
	} {
		d := plugin.Detect(tt.snap, []*plugin.Descriptor{Descriptor()})
		require.Equal(t, tt.saw, d.Cluster.Evidence(), tt.name)
		require.Equal(t, tt.saw != "", d.Cluster.CNI == "flannel", tt.name)
	}
}

func TestShownByANode(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1", Netns: []string{"host"}}))
	require.NoError(t, w.AddNetNS("nodes/n1", &nodedump.NetNSInfo{Key: "host", Interfaces: []nodedump.Interface{{Name: "flannel.1", Kind: "vxlan", VXLAN: &nodedump.VXLAN{ID: 1}}}}))
	require.NoError(t, w.Add("nodes/n1/files/run/flannel/subnet.env", []byte("FLANNEL_MTU=1450\n")))
	s, err := w.Snapshot()
	require.NoError(t, err)
	require.Equal(t, "/run/flannel/subnet.env", plugin.Detect(s, []*plugin.Descriptor{Descriptor()}).Of("n1").Evidence())
}

func TestConfig(t *testing.T) {
	d := Descriptor()
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	d.Config.BindFlags(fs)
	require.NoError(t, fs.Parse([]string{"-flannel-backend", "host-gw"}))
	require.NoError(t, d.Config.Validate())
	require.NoError(t, fs.Parse([]string{"-flannel-backend", "udp"}))
	require.ErrorContains(t, d.Config.Validate(), `--flannel-backend "udp"`)
	require.NoError(t, fs.Parse([]string{"-flannel-backend", "", "-flannel-pod-mtu", "-1"}))
	require.ErrorContains(t, d.Config.Validate(), "--flannel-pod-mtu -1")
}
