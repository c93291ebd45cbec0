package snapshot_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pathsnap/pathsnap/snapshot"
)

func TestCalicoNodeOf(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{snapshot.CalicoPrefix + "IPv4Address": "192.0.2.1/24",
		snapshot.CalicoPrefix + "IPv4VXLANTunnelAddr": "10.0.1.0", snapshot.CalicoPrefix + "VXLANTunnelMACAddr": "0a:00:00:00:00:01", snapshot.CalicoPrefix + "WireguardPublicKey": "k"}},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "n1"}, {Type: corev1.NodeInternalIP, Address: "198.51.100.1"}}}}
	require.Equal(t, "{192.0.2.1/24 10.0.1.0 0a:00:00:00:00:01 true false}", fmt.Sprint(snapshot.CalicoNodeOf(n, false)))
	n.Annotations = map[string]string{snapshot.CalicoPrefix + "IPv4Address": "nonsense", snapshot.CalicoPrefix + "RouteReflectorClusterID": "224.0.0.1"}
	require.Equal(t, "{198.51.100.1/32 invalid IP  false true}", fmt.Sprint(snapshot.CalicoNodeOf(n, false)))
	require.Equal(t, "{invalid Prefix invalid IP  false false}", fmt.Sprint(snapshot.CalicoNodeOf(&corev1.Node{}, false)))
}

func TestCalicoNodeOfIPv6(t *testing.T) {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{snapshot.CalicoPrefix + "IPv4Address": "192.0.2.1/24", snapshot.CalicoPrefix + "IPv6Address": "2001:db8::1/64",
		snapshot.CalicoPrefix + "IPv6VXLANTunnelAddr": "fd00::1", snapshot.CalicoPrefix + "VXLANTunnelMACAddrV6": "0a:00:00:00:06:01", snapshot.CalicoPrefix + "WireguardPublicKey": "k"}},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "198.51.100.1"}, {Type: corev1.NodeInternalIP, Address: "2001:db8::9"}}}}
	require.Equal(t, "{2001:db8::1/64 fd00::1 0a:00:00:00:06:01 false false}", fmt.Sprint(snapshot.CalicoNodeOf(n, true)))
	n.Annotations = nil
	require.Equal(t, "{invalid Prefix invalid IP  false false}", fmt.Sprint(snapshot.CalicoNodeOf(n, true)))
}

func TestCalicoAffinityBlock(t *testing.T) {
	for text, want := range map[string]string{
		`{"cidr":"10.0.1.7/26","node":"n1","state":"confirmed"}`:                   "10.0.1.0/26 true",
		`{"cidr":"10.0.1.0/26","node":"n1","state":"confirmed","deleted":"false"}`: "10.0.1.0/26 true",
		`{"cidr":"10.0.1.0/26","node":"n1","state":"confirmed","deleted":"true"}`:  "10.0.1.0/26 false",
		`{"cidr":"10.0.1.0/26","node":"n1","state":"confirmed","deleted":true}`:    "10.0.1.0/26 false",
		`{"cidr":"10.0.1.0/26","node":"n1","state":"pending"}`:                     "10.0.1.0/26 false",
		`{"cidr":"10.0.1.0/26","node":"n1","state":"confirmed","type":"virtual"}`:  "10.0.1.0/26 false",
		`{"cidr":"nonsense","node":"n1","state":"confirmed"}`:                      "invalid Prefix false",
	} {
		var a snapshot.CalicoAffinity
		require.NoError(t, json.Unmarshal([]byte(text), &a.Spec))
		block, ok := a.Block()
		require.Equal(t, want, fmt.Sprint(block, ok), text)
	}
}

func TestCalicoBlockGiven(t *testing.T) {
	for text, want := range map[string]string{
		`{"cidr":"10.0.1.0/30","affinity":"host:n1","allocations":[0,null,1],"attributes":[{"secondary":{"node":"n1"}},{"secondary":{"node":"n2"}}]}`: "10.0.1.0/30 n1 true map[10.0.1.0:n1 10.0.1.2:n2]",
		`{"cidr":"10.0.1.0/30","allocations":[null,0],"attributes":[{}]}`:                                                                             "10.0.1.0/30  true map[10.0.1.1:]",
		`{"cidr":"10.0.1.0/30","affinity":"virtual:lb","allocations":[0],"attributes":[{}],"deleted":true}`:                                           "10.0.1.0/30  false map[]",
		`{"cidr":"255.255.255.255/32","allocations":[0,0,0],"attributes":[{}]}`:                                                                       "255.255.255.255/32  true map[255.255.255.255:]",
		`{"cidr":"10.0.1.0/30","allocations":[7,-1],"attributes":[]}`:                                                                                 "10.0.1.0/30  true map[]",
		`{"cidr":"","allocations":[0],"attributes":[{}]}`:                                                                                             "invalid Prefix  false map[]",
	} {
		var b snapshot.CalicoBlock
		require.NoError(t, json.Unmarshal([]byte(text), &b.Spec))
		block, node, ok := b.Block()
		require.Equal(t, want, fmt.Sprint(block, " ", node, " ", ok, " ", b.Given()), text)
	}
}

func TestCalicoFelixOf(t *testing.T) {
	configs, err := calicoBundle(t, "felixconfigurations."+snapshot.CalicoStored, "- {metadata: {name: node.n1}, spec: {bpfEnabled: false, vxlanMTU: 1400}}\n"+
		"- {metadata: {name: default}, spec: {bpfEnabled: true, interfacePrefix: tap, vxlanMTU: 1450}}\n").CalicoFelixConfigurations()
	require.NoError(t, err)
	own, other := snapshot.CalicoFelixOf(configs, "n1"), snapshot.CalicoFelixOf(configs, "n2")
	require.Equal(t, "false tap 1400", fmt.Sprint(*own.BPFEnabled, " ", own.InterfacePrefix, " ", own.VXLANMTU))
	require.Equal(t, "true tap 1450", fmt.Sprint(*other.BPFEnabled, " ", other.InterfacePrefix, " ", other.VXLANMTU))
	require.Zero(t, snapshot.CalicoFelixOf(nil, "n1"))
}

func TestCalicoClaims(t *testing.T) {
	const claims = "- {metadata: {name: a}, spec: {cidr: 10.0.1.0/26, node: n1, state: confirmed}}\n- {metadata: {name: b}, spec: {cidr: 10.0.1.0/26, node: n2, state: confirmed}}\n- {metadata: {name: c}, spec: {cidr: 10.0.2.0/26, node: n2, state: pending}}\n"
	const blocks = "- {metadata: {name: a}, spec: {cidr: 10.0.3.0/26, affinity: 'host:n3', allocations: [0], attributes: [{secondary: {node: n1}}]}}\n- {metadata: {name: b}, spec: {cidr: 10.0.4.0/26, allocations: [], attributes: []}}\n"
	got := calicoBundle(t, "blockaffinities."+snapshot.CalicoStored, claims)
	require.Equal(t, "map[10.0.1.0/26:[n1 n2]]", fmt.Sprint(got.CalicoClaims()))
	_, err := got.CalicoAddresses()
	require.Error(t, err, "not collected")
	got = calicoBundle(t, "ipamblocks."+snapshot.CalicoStored, blocks)
	require.Equal(t, "map[10.0.3.0/26:[n3]]", fmt.Sprint(got.CalicoClaims()), "by the blocks")
	given, err := got.CalicoAddresses()
	require.NoError(t, err)
	require.Equal(t, "map[10.0.3.0:n1]", fmt.Sprint(given))
}

func TestCalicoPoolTunnel(t *testing.T) {
	for modes, want := range map[[2]string]string{
		{"Always", "Never"}: "ipip false", {"CrossSubnet", ""}: "ipip true", {"Never", "Always"}: "vxlan false", {"", "CrossSubnet"}: "vxlan true", {"Never", "Never"}: " false", {"", ""}: " false",
	} {
		var p snapshot.CalicoPool
		p.Spec.IPIPMode, p.Spec.VXLANMode = modes[0], modes[1]
		kind, cross := p.Tunnel()
		require.Equal(t, want, fmt.Sprint(kind, " ", cross), modes)
	}
}

func TestCalicoMesh(t *testing.T) {
	for items, want := range map[string]bool{
		"- {metadata: {name: default}, spec: {}}\n":                                                                                                 true,
		"- {metadata: {name: default}, spec: {nodeToNodeMeshEnabled: false}}\n":                                                                     false,
		"- {metadata: {name: node.n1}, spec: {nodeToNodeMeshEnabled: false}}\n":                                                                     true,
		"- {metadata: {name: node.n1}, spec: {nodeToNodeMeshEnabled: true}}\n- {metadata: {name: default}, spec: {nodeToNodeMeshEnabled: false}}\n": false,
	} {
		require.Equal(t, want, calicoBundle(t, "bgpconfigurations."+snapshot.CalicoStored, items).CalicoMesh(), items)
	}
	require.False(t, calicoBundle(t, "ippools."+snapshot.CalicoStored, "").CalicoMesh(), "not collected")
}

func TestCalicoSessions(t *testing.T) {
	got := calicoBundle(t, "caliconodestatuses."+snapshot.CalicoStored, "- {metadata: {name: a}, spec: {node: n1}, status: {bgp: {peersV4: [{peerIP: 192.0.2.2, state: Active}], peersV6: [{peerIP: \"2001:db8::2\", state: Idle}]}}}\n"+
		"- {metadata: {name: b}, spec: {node: n1}, status: {bgp: {peersV4: [{peerIP: 192.0.2.3, state: Established}]}}}\n").CalicoSessions()
	require.Equal(t, "map[n1:[{192.0.2.2  Active } {2001:db8::2  Idle } {192.0.2.3  Established }]]", fmt.Sprint(got))
}
