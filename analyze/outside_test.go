package analyze

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A node has an address at its cloud that is on none of its devices: what the
// cloud translates it to is not in the bundle.
func TestAddressOfTheCloud(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("cluster/nodes.yaml", []byte("items:\n- {metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}, {type: ExternalIP, address: 203.0.113.5}]}}\n")))
	for _, host := range []struct {
		name, addr, net string
		external        bool
	}{{"n1", "192.0.2.1/24", "192.0.2.0/24", false}, {"client", "203.0.113.9/24", "203.0.113.0/24", true}} {
		require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: host.name, External: host.external, Netns: []string{"host"}}))
		require.NoError(t, w.AddNetNS(snapshot.NodeBase(host.name, host.external), &nodedump.NetNSInfo{Key: "host",
			IPTables: nodedump.Part{Status: nodedump.StatusEmpty},
			Interfaces: []nodedump.Interface{{Name: "eth0", Index: 1, MAC: "02:00:00:00:00:01", MTU: 1500, Flags: []string{"UP"},
				Addrs: []nodedump.Addr{{Prefix: host.addr, Scope: "global"}}}},
			Routes: []nodedump.Route{{Family: 4, Table: 254, Dst: host.net, Dev: "eth0"}}}))
	}
	snap, err := w.Snapshot()
	require.NoError(t, err)
	a, err := New(snap, Options{})
	require.NoError(t, err)
	for _, src := range []string{"198.51.100.7", "external:client"} {
		d, err := a.Ask(Question{Source: src, Destination: "203.0.113.5", Port: 80, Protocol: model.TCP})
		require.NoError(t, err, src)
		require.Equal(t, model.OutcomeUnknown, d.Outcome, src)
		require.Empty(t, d.Suspicions, src)
	}
}
