package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A packet that TPROXY gives to a socket arrives there with the destination that
// it came with, if the socket is transparent; else it is dropped.
func TestTProxy(t *testing.T) {
	const node = "dev lo loopback 127.0.0.1/8\ndev eth0 veth 10.0.0.1/24\nroute 10.0.0.0/24 eth0\nroute 10.4.0.0/16 lo type=local\n"
	const rules = "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j TPROXY --on-port 15001 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1\nCOMMIT\n"
	p := pkt("tcp 10.0.0.9:4 > 10.4.0.1:80")
	got := world(t, node+"listen tcp 127.0.0.1:15001", rules).Input(p, "eth0", everybody())
	require.Len(t, got, 2)
	require.Equal(t, model.Delivered, got[0].Disposition)
	require.Equal(t, "10.4.0.1:80", got[0].Packet.Dst.String())
	require.Equal(t, model.Dropped, got[1].Disposition)
	got = world(t, node+"listen tcp 0.0.0.0:80", rules).Input(p, "eth0", everybody())
	require.Equal(t, model.Dropped, one(t, got).Disposition)
}
