package snapshot_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// calicoBundle holds one resource in one group.
func calicoBundle(t *testing.T, resource, items string) *snapshot.Snapshot {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("cluster/"+resource+".yaml", []byte("items:\n"+items)))
	s, err := w.Snapshot()
	require.NoError(t, err)
	return s
}

func TestCalicoNetwork(t *testing.T) {
	for _, group := range []string{snapshot.CalicoStored, snapshot.CalicoAPI} {
		pools, err := calicoBundle(t, "ippools."+group, "- {metadata: {name: p}, spec: {cidr: 10.0.0.0/16, vxlanMode: CrossSubnet, natOutgoing: true}}\n").CalicoPools()
		require.NoError(t, err)
		require.Equal(t, "CrossSubnet", pools[0].Spec.VXLANMode)
		require.True(t, pools[0].Spec.NATOutgoing)

		claims, err := calicoBundle(t, "blockaffinities."+group, "- {metadata: {name: a}, spec: {cidr: 10.0.1.0/26, node: n1, state: confirmed, deleted: \"false\"}}\n"+
			"- {metadata: {name: b}, spec: {cidr: 10.0.2.0/26, node: n2, state: confirmed, deleted: true}}\n").CalicoAffinities()
		require.NoError(t, err)
		require.Equal(t, "n1", claims[0].Spec.Node)
		require.Equal(t, true, claims[1].Spec.Deleted, "a string in one version, a boolean in another")

		blocks, err := calicoBundle(t, "ipamblocks."+group, "- {metadata: {name: a}, spec: {cidr: 10.0.1.0/26, affinity: 'host:n1', allocations: [null, 0], attributes: [{handle_id: h, secondary: {node: n2, pod: x}}]}}\n").CalicoBlocks()
		require.NoError(t, err)
		require.Nil(t, blocks[0].Spec.Allocations[0])
		require.Equal(t, "n2", blocks[0].Spec.Attributes[*blocks[0].Spec.Allocations[1]].Secondary["node"])

		bgp, err := calicoBundle(t, "bgpconfigurations."+group, "- {metadata: {name: default}, spec: {nodeToNodeMeshEnabled: false}}\n").CalicoBGPConfigurations()
		require.NoError(t, err)
		require.False(t, *bgp[0].Spec.NodeToNodeMeshEnabled)

		peers, err := calicoBundle(t, "bgppeers."+group, "- {metadata: {name: tor}, spec: {peerIP: 192.0.2.1, asNumber: 64512}}\n").CalicoBGPPeers()
		require.NoError(t, err)
		require.Equal(t, "192.0.2.1", peers[0].Spec.PeerIP)

		status, err := calicoBundle(t, "caliconodestatuses."+group, "- {metadata: {name: n1}, spec: {node: n1}, status: {lastUpdated: null, bgp: {peersV4: [{peerIP: 192.0.2.2, type: NodeMesh, state: Active}]}}}\n").CalicoNodeStatuses()
		require.NoError(t, err)
		require.Equal(t, snapshot.CalicoSession{PeerIP: "192.0.2.2", Type: "NodeMesh", State: "Active"}, status[0].Status.BGP.PeersV4[0])

		felix, err := calicoBundle(t, "felixconfigurations."+group, "- {metadata: {name: default}, spec: {bpfEnabled: true, interfacePrefix: 'cali,tap', vxlanMTU: 1400}}\n").CalicoFelixConfigurations()
		require.NoError(t, err)
		require.True(t, *felix[0].Spec.BPFEnabled)
		require.Equal(t, 1400, felix[0].Spec.VXLANMTU)
	}
}

func TestCalicoResource(t *testing.T) {
	const stored, offered = "ippools." + snapshot.CalicoStored, "ippools." + snapshot.CalicoAPI
	for _, tt := range []struct {
		name            string
		stored, offered nodedump.Status // not-collected: not listed
		want            string
	}{
		{"both have some", nodedump.StatusOK, nodedump.StatusOK, stored},
		{"only the API has some", nodedump.StatusEmpty, nodedump.StatusOK, offered},
		{"only the API was asked", nodedump.StatusNotCollected, nodedump.StatusEmpty, offered},
		{"neither has any", nodedump.StatusEmpty, nodedump.StatusEmpty, stored},
		{"what is stored was denied, and the API does not have the resource", nodedump.StatusDenied, nodedump.StatusEmpty, stored},
		{"nobody was asked", nodedump.StatusNotCollected, nodedump.StatusNotCollected, stored},
	} {
		w := snapshot.NewWriter(snapshot.Meta{})
		for name, status := range map[string]nodedump.Status{stored: tt.stored, offered: tt.offered} {
			part := "cluster/" + name + ".yaml"
			switch status {
			case nodedump.StatusOK:
				require.NoError(t, w.Add(part, []byte("items:\n- {metadata: {name: p}}\n")))
			case nodedump.StatusEmpty:
				require.NoError(t, w.Add(part, nil))
			case nodedump.StatusDenied:
				require.NoError(t, w.AddStatus(part, nil, status, "no"))
			}
		}
		s, err := w.Snapshot()
		require.NoError(t, err)
		require.Equal(t, tt.want, s.CalicoResource("ippools"), tt.name)
	}
}
