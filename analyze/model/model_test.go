package model

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func end(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestPacket(t *testing.T) {
	p := Packet{Protocol: TCP, Src: end("10.0.0.1:1000"), Dst: end("10.0.0.2:80"), Mark: 1, DstMAC: "02:00:00:00:00:01"}
	require.Equal(t, "tcp 10.0.0.1:1000 > 10.0.0.2:80", p.String())
	require.Equal(t, "tcp 10.0.0.2:80 > 10.0.0.1:1000 reset", p.Reply(KindReset).String())
	require.Zero(t, p.Reply(KindReply).Mark, "an answer is a packet of its own")
	require.Equal(t, p.Tuple(), p.Tuple().Invert().Invert())
	outer := Packet{Protocol: UDP, Src: end("192.0.2.1:50000"), Dst: end("192.0.2.2:8472"), Encap: &p}
	require.Equal(t, "udp 192.0.2.1:50000 > 192.0.2.2:8472 (tcp 10.0.0.1:1000 > 10.0.0.2:80)", outer.String())
	icmp := Packet{Protocol: ICMP, Kind: KindError, ICMPType: 3, ICMPCode: 1, Src: end("10.0.0.9:0"), Dst: end("10.0.0.1:0")}
	require.Equal(t, "icmp 10.0.0.9 > 10.0.0.1 type 3 code 1", icmp.String())
}

func TestIPv6(t *testing.T) {
	require.True(t, Packet{Dst: end("[2001:db8::1]:80")}.IPv6())
	require.False(t, Packet{Dst: end("10.0.0.1:80")}.IPv6())
	require.True(t, Packet{Dst: end("[::ffff:10.0.0.1]:80")}.IPv6(), "an IPv4 address in an IPv6 one")
}

func TestFlowSharesItsPast(t *testing.T) {
	var empty *Flow
	require.Empty(t, empty.Conns("a"))
	first := Conn{Mark: 1}
	base := empty.With("a", first)
	left, right := base.With("a", Conn{Mark: 2}), base.With("b", Conn{Mark: 3})
	require.Equal(t, []Conn{{Mark: 2}, first}, left.Conns("a"), "newest first")
	require.Equal(t, []Conn{first}, right.Conns("a"), "branches do not see each other")
}

func TestReportOnce(t *testing.T) {
	n := &NetNode{Hop: Hop{NetNodeTypeNode, "n1"}}
	n.Report(Suspicion{Code: "link/down", Message: "eth0 is down"})
	n.Report(Suspicion{Code: "link/down", Message: "eth0 is down"})
	n.Report(Suspicion{Code: "link/down", Message: "eth0 is down", On: Hop{NetNodeTypeNode, "n2"}})
	require.Len(t, n.Suspicions, 2)
	require.Equal(t, "node:n1", n.Suspicions[0].On.String())
	require.Equal(t, "node:n2", n.Suspicions[1].On.String(), "found here, on another node")
}

func TestNamesOfConstants(t *testing.T) {
	for d := Forwarded; d <= Unknown; d++ {
		require.NotContains(t, d.String(), "(")
	}
	require.Equal(t, "disposition(99)", Disposition(99).String())
	require.Equal(t, "level(0)", SuspicionLevel(0).String(), "a forgotten level shows")
	require.Equal(t, "fatal", SuspicionLevelFatal.String())
}
