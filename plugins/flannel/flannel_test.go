package flannel

import (
	"flag"
	"fmt"
	"strings"
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

func TestParseNetConf(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string // "TYPE VNI DIRECT", then what is wrong
	}{
		{"vxlan", `{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}`, "vxlan 0 false"},
		{"a name that contains vxlan is not vxlan", `{"Network":"10.244.0.0/16","Name":"no-vxlan","Backend":{"Type":"host-gw"}}`, "host-gw 0 false"},
		{"fields in any case", `{"network":"10.244.0.0/16","backend":{"type":"vxlan","vni":4096,"directRouting":true}}`, "vxlan 4096 true"},
		{"no backend is udp", `{"Network":"10.244.0.0/16"}`, "udp 0 false"},
		{"IPv6 alone", `{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fd00::/48","Backend":{"Type":"host-gw"}}`, "host-gw 0 false"},
		{"no network", `{"Backend":{"Type":"vxlan"}}`, `vxlan 0 false: Network: netip.ParsePrefix(""): no '/'`},
		{"no IPv6 network", `{"EnableIPv6":true,"Network":"10.244.0.0/16","IPv6Network":"fd00::","Backend":{"Type":"vxlan"}}`, `vxlan 0 false: IPv6Network: netip.ParsePrefix("fd00::"): no '/'`},
		{"broken", `{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"`, ` 0 false: unexpected end of JSON input`},
		{"a number for a word", `{"Network":"10.244.0.0/16","Backend":{"Type":1}}`, ` 0 false: json: cannot unmarshal number`},
	} {
		conf, err := parseNetConf(tt.text)
		got := fmt.Sprintf("%s %d %t", conf.Backend.Type, conf.Backend.VNI, conf.Backend.DirectRouting)
		if err != nil {
			got += ": " + err.Error()
		}
		require.True(t, strings.HasPrefix(got, tt.want), "%s: %s", tt.name, got)
		require.Equal(t, strings.Contains(tt.want, ":"), err != nil, tt.name)
	}
}

func TestParseCNI(t *testing.T) {
	for text, want := range map[string]string{
		`{"plugins":[{"type":"flannel","delegate":{"bridge":"kube-bridge","hairpinMode":true,"mtu":1400}},{"type":"portmap"}]}`: "kube-bridge true 1400 true",
		`{"type":"flannel"}`:                        " false 0 true",
		`{"plugins":[{"type":"bridge"}]}`:           " false 0 false",
		`{"type":"flannel","delegate":{"mtu":"x"}}`: " false 0 false",
		`{`: " false 0 false",
	} {
		d, ok := parseCNI([]byte(text))
		require.Equal(t, want, fmt.Sprint(d.Bridge, " ", d.HairpinMode, " ", d.MTU, " ", ok), text)
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

func TestAnnotations(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		annotationPrefix + "backend-data": `{"VNI":7,"VtepMAC":"0a:00:00:00:00:01"}`, annotationPrefix + "backend-v6-data": "broken",
		annotationPrefix + "public-ip": "192.0.2.1", annotationPrefix + "public-ipv6": "2001:db8::1"}}}
	require.Equal(t, "0a:00:00:00:00:01", vtep(n, false).VtepMAC)
	require.Equal(t, 7, vtep(n, false).VNI)
	require.Zero(t, vtep(n, true))
	require.Zero(t, vtep(&corev1.Node{}, false))
	require.Equal(t, "192.0.2.1 2001:db8::1", fmt.Sprint(publicIP(n, false), " ", publicIP(n, true)))
	n.Annotations[annotationPrefix+"public-ip-overwrite"] = "192.0.2.9"
	require.Equal(t, "192.0.2.9", publicIP(n, false).String())
	n.Annotations = nil
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "192.0.2.5"}, {Type: corev1.NodeInternalIP, Address: "192.0.2.6"}}
	require.Equal(t, "192.0.2.6 invalid IP", fmt.Sprint(publicIP(n, false), " ", publicIP(n, true)))
}
