package snapshot_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestParseFlannelConf(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string // "TYPE VNI DIRECT", then what is wrong
	}{
		{"vxlan", `{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"}}`, "vxlan 0 false"},
		{"flanneld reads it in any case", `{"Network":"10.244.0.0/16","Backend":{"Type":"VXLAN"}}`, "vxlan 0 false"},
		{"a name that contains vxlan is not vxlan", `{"Network":"10.244.0.0/16","Name":"no-vxlan","Backend":{"Type":"host-gw"}}`, "host-gw 0 false"},
		{"fields in any case", `{"network":"10.244.0.0/16","backend":{"type":"vxlan","vni":4096,"directRouting":true}}`, "vxlan 4096 true"},
		{"no backend is udp", `{"Network":"10.244.0.0/16"}`, "udp 0 false"},
		{"IPv6 alone", `{"EnableIPv4":false,"EnableIPv6":true,"IPv6Network":"fd00::/48","Backend":{"Type":"host-gw"}}`, "host-gw 0 false"},
		{"no network", `{"Backend":{"Type":"vxlan"}}`, `vxlan 0 false: Network: netip.ParsePrefix(""): no '/'`},
		{"no IPv6 network", `{"EnableIPv6":true,"Network":"10.244.0.0/16","IPv6Network":"fd00::","Backend":{"Type":"vxlan"}}`, `vxlan 0 false: IPv6Network: netip.ParsePrefix("fd00::"): no '/'`},
		{"broken", `{"Network":"10.244.0.0/16","Backend":{"Type":"vxlan"`, ` 0 false: unexpected end of JSON input`},
		{"a number for a word", `{"Network":"10.244.0.0/16","Backend":{"Type":1}}`, ` 0 false: json: cannot unmarshal number`},
	} {
		conf, err := snapshot.ParseFlannelConf(tt.text)
		got := fmt.Sprintf("%s %d %t", conf.Backend.Type, conf.Backend.VNI, conf.Backend.DirectRouting)
		if err != nil {
			got += ": " + err.Error()
		}
		require.True(t, strings.HasPrefix(got, tt.want), "%s: %s", tt.name, got)
		require.Equal(t, strings.Contains(tt.want, ":"), err != nil, tt.name)
	}
}

func TestFlannelNodeOf(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		snapshot.FlannelPrefix + "backend-data": `{"VNI":7,"VtepMAC":"0a:00:00:00:00:01"}`, snapshot.FlannelPrefix + "backend-v6-data": "broken",
		snapshot.FlannelPrefix + "public-ip": "192.0.2.1", snapshot.FlannelPrefix + "public-ipv6": "2001:db8::1"}}}
	require.Equal(t, "0a:00:00:00:00:01", snapshot.FlannelNodeOf(n, false).VtepMAC)
	require.Equal(t, 7, snapshot.FlannelNodeOf(n, false).VNI)
	require.Equal(t, snapshot.FlannelNode{Address: netip.MustParseAddr("2001:db8::1"), Found: true}, snapshot.FlannelNodeOf(n, true), "broken")
	require.Zero(t, snapshot.FlannelNodeOf(&corev1.Node{}, false))
	require.Equal(t, "192.0.2.1 2001:db8::1", fmt.Sprint(snapshot.FlannelNodeOf(n, false).Address, " ", snapshot.FlannelNodeOf(n, true).Address))
	n.Annotations[snapshot.FlannelPrefix+"public-ip-overwrite"] = "192.0.2.9"
	require.Equal(t, "192.0.2.9", snapshot.FlannelNodeOf(n, false).Address.String())
	require.False(t, snapshot.FlannelNodeOf(n, false).Found)
	n.Annotations = nil
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "192.0.2.5"}, {Type: corev1.NodeInternalIP, Address: "192.0.2.6"}}
	require.Equal(t, "192.0.2.6 invalid IP", fmt.Sprint(snapshot.FlannelNodeOf(n, false).Address, " ", snapshot.FlannelNodeOf(n, true).Address))
}

func TestFlannelFiles(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1"}))
	require.NoError(t, w.Add("nodes/n1/files/etc/kube-flannel/net-conf.json", []byte(`{"Network":"10.244.0.0/16","EnableIPv6":true}`)))
	require.NoError(t, w.Add("nodes/n1/files/run/flannel/subnet.env", []byte("FLANNEL_MTU=1450\nnonsense\nFLANNEL_SUBNET=10.244.1.1/24\n")))
	s, err := w.Snapshot()
	require.NoError(t, err)
	conf, part, err := s.FlannelConf()
	require.ErrorContains(t, err, "IPv6Network")
	require.Equal(t, "nodes/n1/files/etc/kube-flannel/net-conf.json", part)
	for ip, want := range map[string]string{"10.244.9.9": "10.244.0.0/16 true", "10.9.9.9": "invalid Prefix false", "fd00::1": "invalid Prefix false"} {
		p, ok := conf.NetworkOf(netip.MustParseAddr(ip))
		require.Equal(t, want, fmt.Sprint(p, ok))
	}
	env, part := s.FlannelEnv("n1")
	require.Equal(t, map[string]string{"FLANNEL_MTU": "1450", "FLANNEL_SUBNET": "10.244.1.1/24"}, env)
	require.Equal(t, "nodes/n1/files/run/flannel/subnet.env", part)
	env, part = s.FlannelEnv("n2")
	require.Nil(t, env)
	require.Empty(t, part)
}
