package snapshot_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot"
)

func TestTerwayAddresses(t *testing.T) {
	const nodes = "items:\n- {metadata: {name: n1}, status: {networkInterfaces: {eni-1: {macAddress: '02:00:00:00:00:E1', ipv4CIDR: 10.0.1.0/24, ipv4: {10.0.1.10: {}, bad: {}}}, eni-2: {ipv4: {10.0.1.19: {}}}}}}\n"
	const pods = "items:\n- {metadata: {name: a, namespace: demo}, spec: {allocations: [{ipv4: 10.0.1.11, ipv4CIDR: 10.0.1.129/25, eni: {mac: '02:00:00:00:00:e2'}}]}}\n" +
		"- {metadata: {name: b, namespace: demo}, spec: {allocations: [{ipv4: 10.0.1.12, eni: {mac: '02:00:00:00:00:e3'}}]}, status: {trunkENIID: eni-9}}\n- {spec: 7}\n"
	w := snapshot.NewWriter(snapshot.Meta{})
	s, err := w.Snapshot()
	require.NoError(t, err)
	require.Empty(t, s.TerwayAddresses(), "without records")
	w = snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("cluster/nodes.network.alibabacloud.com.yaml", []byte(nodes)))
	require.NoError(t, w.Add("cluster/podenis.network.alibabacloud.com.yaml", []byte(pods)))
	s, err = w.Snapshot()
	require.NoError(t, err)
	require.Equal(t, map[netip.Addr]snapshot.TerwayAddress{
		netip.MustParseAddr("10.0.1.10"): {MAC: "02:00:00:00:00:e1", Network: netip.MustParsePrefix("10.0.1.0/24"), Evidence: "cluster/nodes.network.alibabacloud.com.yaml"},
		netip.MustParseAddr("10.0.1.11"): {MAC: "02:00:00:00:00:e2", Network: netip.MustParsePrefix("10.0.1.128/25"), Evidence: "cluster/podenis.network.alibabacloud.com.yaml"},
	}, s.TerwayAddresses())
}
