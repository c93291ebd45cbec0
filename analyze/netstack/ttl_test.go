package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// ip_forward takes one off the TTL, and ends what has none left. What goes to a
// socket here may have 1.
func TestTTL(t *testing.T) {
	ns := world(t, router+"dev eth2 nic 02:00:00:00:00:05 fd02::1/64\ndev eth3 nic 02:00:00:00:00:06 fd03::1/64\n"+
		"route fd03::/64 eth3\nsysctl net.ipv6.conf.all.forwarding 1\nlisten tcp 0.0.0.0:80", "")
	for _, tt := range []struct {
		packet string
		ttl    uint8
		want   string
		left   uint8
	}{
		{"tcp 10.0.0.9:4 > 10.1.0.9:80", 0, "forwarded eth1", 0},
		{"tcp 10.0.0.9:4 > 10.1.0.9:80", 64, "forwarded eth1", 63},
		{"tcp 10.0.0.9:4 > 10.1.0.9:80", 2, "forwarded eth1", 1},
		{"tcp 10.0.0.9:4 > 10.1.0.9:80", 1, "dropped answer=error(11,0)", 1},
		{"tcp 10.0.0.9:4 > 10.0.0.1:80", 1, "delivered answer=reply", 1},
		{"tcp [fd02::9]:4 > [fd03::9]:80", 2, "forwarded eth3", 1},
		{"tcp [fd02::9]:4 > [fd03::9]:80", 1, "dropped answer=error(3,0)", 1},
	} {
		p := pkt(tt.packet)
		p.TTL = tt.ttl
		dev := "eth0"
		if p.IPv6() {
			dev = "eth2"
		}
		got := one(t, ns.Input(p, dev, everybody()))
		require.Equal(t, tt.want, ended(got), "%s ttl %d", tt.packet, tt.ttl)
		require.Equal(t, tt.left, got.Packet.TTL)
	}
}

// ip_select_ttl: the sysctl, where it was collected.
func TestTTLOfTheSender(t *testing.T) {
	require.Zero(t, one(t, world(t, router, "").Output(pkt("tcp - > 10.1.0.9:80"), "", everybody())).Packet.TTL, "not collected")
	ns := world(t, router+"sysctl net.ipv4.ip_default_ttl 100", "")
	require.Equal(t, uint8(100), one(t, ns.Output(pkt("tcp - > 10.1.0.9:80"), "", everybody())).Packet.TTL)
	p := pkt("tcp - > 10.1.0.9:80")
	p.TTL = 5
	require.Equal(t, uint8(5), one(t, ns.Output(p, "", everybody())).Packet.TTL, "the sender's own choice")
}

// An outcome names the last routing decision.
func TestOutcomeNamesTheRoute(t *testing.T) {
	ns := world(t, router, "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp -j DNAT --to-destination 10.1.0.9:80\nCOMMIT\n")
	out := one(t, ns.Output(pkt("tcp - > 10.1.0.9:80"), "", everybody())).Route
	require.Equal(t, route.TypeUnicast, out.Type)
	require.Equal(t, "eth1", out.Dev)
	require.Equal(t, "eth1", one(t, ns.Output(pkt("udp - > 10.0.0.9:80"), "", everybody())).Route.Dev, "OUTPUT sent it elsewhere")
	in := one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.0.0.1:80"), "eth0", everybody())).Route
	require.Equal(t, route.TypeLocal, in.Type)
	require.Empty(t, one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.0.0.1:80"), "eth9", everybody())).Route.Type, "no such device")
}
