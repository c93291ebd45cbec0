package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// tproxyNode is a host that takes what has the mark 1, whoever it is for.
func tproxyNode(t *testing.T, listen string) *NetNS {
	t.Helper()
	ns := world(t, "dev lo loopback 127.0.0.1/8\ndev eth0 veth 10.0.0.1/24\nroute 10.0.0.0/24 eth0\nlisten tcp "+listen,
		"*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j TPROXY --on-port 15001 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1\nCOMMIT\n")
	info := *ns.Info
	info.Routes = append(info.Routes, nodedump.Route{Family: 4, Table: 100, Type: "local", Dst: "0.0.0.0/0", Dev: "lo", Scope: "host"})
	info.Rules = []nodedump.Rule{
		{Family: 4, Priority: 0, Table: 255}, {Family: 4, Priority: 100, Mark: 1, Mask: 0xffffffff, Table: 100},
		{Family: 4, Priority: 32766, Table: 254}, {Family: 4, Priority: 32767, Table: 253},
	}
	again, problems := New(&info)
	require.Empty(t, problems)
	return again
}

// A packet that TPROXY gives to a socket arrives there with the destination that
// it came with, if the socket is transparent; else it is dropped. The socket
// answers in the name of the destination.
func TestTProxy(t *testing.T) {
	ns := tproxyNode(t, "127.0.0.1:15001")
	got := ns.Input(pkt("tcp 10.0.0.9:4 > 10.4.0.1:80"), "eth0", everybody())
	require.Len(t, got, 2)
	require.Equal(t, model.Delivered, got[0].Disposition)
	require.Equal(t, "10.4.0.1:80", got[0].Packet.Dst.String())
	require.Equal(t, model.Dropped, got[1].Disposition)

	call := everybody()
	call.Flow = got[0].Flow
	answer := one(t, ns.Output(*got[0].Answer, "", call))
	require.Equal(t, model.Forwarded, answer.Disposition)
	require.Equal(t, "10.4.0.1:80", answer.Packet.Src.String())

	got = tproxyNode(t, "0.0.0.0:80").Input(pkt("tcp 10.0.0.9:4 > 10.4.0.1:80"), "eth0", everybody())
	require.Equal(t, model.Dropped, one(t, got).Disposition)
}
