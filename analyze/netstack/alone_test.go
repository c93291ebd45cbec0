package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// TestAlone holds what a namespace answers when nothing around it is asked.
func TestAlone(t *testing.T) {
	port := func(name string, index int) nodedump.Interface {
		return nodedump.Interface{Name: name, Index: index, Kind: "veth", MTU: 1500, Flags: []string{"UP"}, MAC: "02:00:00:00:00:0" + name[1:], Master: 3}
	}
	info := func(ports ...nodedump.Interface) *nodedump.NetNSInfo {
		return &nodedump.NetNSInfo{
			File: "f", Key: "host", IPTables: nodedump.Part{Status: nodedump.StatusEmpty}, NFT: nodedump.Part{Status: nodedump.StatusEmpty},
			IPTablesLegacy: nodedump.Part{Status: nodedump.StatusEmpty},
			Interfaces: append([]nodedump.Interface{
				{Name: "lo", Index: 1, Kind: "loopback", MTU: 65536, Flags: []string{"UP", "LOOPBACK"}},
				{Name: "eth0", Index: 2, MTU: 1500, Flags: []string{"UP", "BROADCAST"}, MAC: "02:00:00:00:01:01", Addrs: []nodedump.Addr{{Prefix: "192.0.2.1/24", Scope: "global"}}},
				{Name: "br0", Index: 3, Kind: "bridge", MTU: 1500, Flags: []string{"UP", "BROADCAST"}, MAC: "02:00:00:00:01:02", Addrs: []nodedump.Addr{{Prefix: "10.0.0.1/24", Scope: "global"}}},
				{Name: "wg0", Index: 4, Kind: "odd", MTU: 1500, Flags: []string{"UP", "NOARP"}},
			}, ports...),
			Routes: []nodedump.Route{
				{Family: 4, Table: 254, Dst: "10.0.0.0/24", Dev: "br0", Scope: "link"}, {Family: 4, Table: 254, Dst: "192.0.2.0/24", Dev: "eth0", Scope: "link"},
				{Family: 4, Table: 254, Dst: "0.0.0.0/0", Dev: "eth0", Via: "192.0.2.254"}, {Family: 4, Table: 254, Dst: "10.9.0.0/16", Dev: "wg0", Scope: "link"},
			},
			Sysctls:  map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.forwarding": "1", "net.ipv4.conf.eth0.forwarding": "1"},
			Sections: map[string]nodedump.Status{"sockets": nodedump.StatusNotCollected},
		}
	}
	for _, row := range []struct {
		ports      []nodedump.Interface
		packet, in string
		dev        string // "" has arrived
		doubt      string // of the branch
	}{
		{nil, "udp 192.0.2.9:1 > 10.0.0.1:53", "eth0", "", ""},
		{nil, "tcp > 198.51.100.1:80", "", "eth0", ""},
		{[]nodedump.Interface{port("p1", 5)}, "tcp > 10.0.0.7:80", "", "p1", ""},
		{[]nodedump.Interface{port("p1", 5), port("p2", 6)}, "tcp > 10.0.0.7:80", "", "br0", "which port of br0 leads to 10.0.0.7"},
		{nil, "tcp 192.0.2.9:1 > 10.9.0.7:80", "eth0", "wg0", "what odd device wg0 does with a packet"},
	} {
		ns, problems := New(info(row.ports...))
		require.Empty(t, problems)
		p, err := model.ParsePacket(row.packet)
		require.NoError(t, err)
		p.Mark = 7
		var outcomes []Outcome
		if row.in == "" {
			outcomes = ns.Output(p, "", ns.Alone())
		} else {
			outcomes = ns.Input(p, row.in, ns.Alone())
		}
		require.Len(t, outcomes, 1, row.packet)
		o := outcomes[0]
		require.Equal(t, row.dev, o.Dev, "%s: %s %s", row.packet, o.Disposition, o.Reason)
		require.Equal(t, row.dev == "", o.Arrived, row.packet)
		require.Equal(t, uint32(7), o.Packet.Mark, row.packet)
		if row.doubt == "" {
			require.Empty(t, o.Doubts, row.packet)
		} else {
			require.Equal(t, row.doubt, o.Doubts[0].What, row.packet)
		}
	}
}
