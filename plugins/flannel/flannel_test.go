package flannel

import (
	"flag"
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

func TestFacts(t *testing.T) {
	for _, tt := range []struct {
		name, net, cni string
		cfg            Config
		want           facts
	}{
		{"vxlan", `{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}`, "", Config{}, facts{backend: "vxlan", vni: 1, bridge: "cni0"}},
		{"a name that contains vxlan is not vxlan", `{"Network":"10.244.0.0/16","Name":"no-vxlan","Backend":{"Type":"host-gw"}}`, "", Config{}, facts{backend: "host-gw", vni: 1, bridge: "cni0"}},
		{"VNI and DirectRouting", `{"Backend":{"Type":"vxlan","VNI":4096,"DirectRouting":true}}`, "", Config{}, facts{backend: "vxlan", vni: 4096, direct: true, bridge: "cni0"}},
		{"another bridge", `{"Backend":{"Type":"vxlan"}}`, `{"plugins":[{"type":"flannel","delegate":{"bridge":"kube-bridge"}}]}`, Config{}, facts{backend: "vxlan", vni: 1, bridge: "kube-bridge"}},
		{"hairpin mode", `{"Backend":{"Type":"vxlan"}}`, `{"plugins":[{"type":"flannel","delegate":{"hairpinMode":true}}]}`, Config{Bridge: "br9"}, facts{backend: "vxlan", vni: 1, bridge: "br9", hairpin: true}},
		{"options come first", `{"Backend":{"Type":"vxlan"}}`, "", Config{Backend: "host-gw", Bridge: "br9"}, facts{backend: "host-gw", vni: 1, bridge: "br9"}},
		{"broken JSON tells nothing", `{"Backend":{"Type":"vxlan"`, "", Config{}, facts{vni: 1, bridge: "cni0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := read(bundle(t, "configmaps", config(tt.net, tt.cni)), &tt.cfg)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestMarks(t *testing.T) {
	ds := func(name, image string) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "net", Name: name},
			Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}}}
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Annotations: map[string]string{annotationPrefix + "backend-type": "vxlan"}}}
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
	require.Equal(t, "vxlan", read(s, &Config{}).backend)
}

func TestConfig(t *testing.T) {
	d := Descriptor()
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	d.Config.BindFlags(fs)
	require.NoError(t, fs.Parse([]string{"-flannel-backend", "host-gw"}))
	require.NoError(t, d.Config.Validate())
	require.NoError(t, fs.Parse([]string{"-flannel-backend", "udp"}))
	require.ErrorContains(t, d.Config.Validate(), `--flannel-backend "udp"`)
}

func TestAnnotations(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		annotationPrefix + "backend-data": `{"VNI":1,"VtepMAC":"0a:00:00:00:00:01"}`, annotationPrefix + "public-ip": "192.0.2.1"}}}
	require.Equal(t, "0a:00:00:00:00:01", vtepMAC(n))
	require.Equal(t, "192.0.2.1", publicIP(n).String())
	n.Annotations[annotationPrefix+"public-ip-overwrite"] = "192.0.2.9"
	require.Equal(t, "192.0.2.9", publicIP(n).String())
	require.Empty(t, vtepMAC(&corev1.Node{}))
}
