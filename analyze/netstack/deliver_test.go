package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// home is a host with both families.
const home = `
dev lo loopback 127.0.0.1/8 ::1/128 mtu=65536
dev eth0 nic 02:00:00:00:00:01 10.0.0.1/24 fd00::1/64 fe80::1/64
dev eth1 nic 02:00:00:00:00:02 10.1.0.1/24 fd01::1/64 fe80::2/64
route 10.0.0.0/24 eth0
route 10.1.0.0/24 eth1
route fd00::/64 eth0
route fd01::/64 eth1
route fe80::/64 eth0
route fe80::/64 eth1
listen tcp 0.0.0.0:80
listen udp 0.0.0.0:53
listen tcp [::]:81
listen udp [::]:54
sysctl net.ipv6.conf.all.forwarding 1
sysctl net.ipv6.conf.eth0.forwarding 1
`

// in reads a packet and lets it come in by eth0 of the host.
func in(t *testing.T, more, packet string) []Outcome {
	t.Helper()
	p, err := model.ParsePacket(packet)
	require.NoError(t, err)
	ns := world(t, home+more, "")
	ns.byIndex[2].Flags = append(ns.byIndex[2].Flags, "MULTICAST")
	return ns.Input(p, "eth0", everybody())
}

// What answers a packet that came to this host. Each row was seen in a real
// namespace.
func TestDelivery(t *testing.T) {
	for _, tt := range []struct{ packet, more, want string }{
		// tcp_rcv_state_process, tcp_v4_send_reset
		{"tcp 10.0.0.9:4 > 10.0.0.1:80 reply", "", "dropped answer=reset"},
		{"tcp 10.0.0.9:4 > 10.0.0.1:80 data", "", "dropped answer=reset"},
		{"tcp 10.0.0.9:4 > 10.0.0.1:99 data", "", "dropped answer=reset"},
		{"tcp 10.0.0.9:4 > 10.0.0.1:80 reset", "", "dropped"},
		{"sctp 10.0.0.9:4 > 10.0.0.1:80 data", "", "dropped answer=reset"},
		{"udp 10.0.0.9:4 > 10.0.0.1:53 reply", "", "delivered answer=reply"},
		{"udp 10.0.0.9:4 > 10.0.0.1:99 reply", "", "no-listener socket/none answer=error(3,3)"},
		// icmp_rcv, icmp_echo, icmpv6_echo_reply
		{"icmp 10.0.0.9 > 10.0.0.1", "", "delivered answer=reply"},
		{"icmp 10.0.0.9 > 10.0.0.1", "sysctl net.ipv4.icmp_echo_ignore_all 1", "dropped"},
		{"icmp 10.0.0.9 > 10.0.0.1 type 13", "", "delivered answer=reply"},
		{"icmp 10.0.0.9 > 10.0.0.1 type 17", "", "delivered"},
		{"icmp 10.0.0.9 > 10.0.0.1 type 0", "", "dropped"},
		{"icmpv6 fd00::9 > fd00::1", "", "delivered answer=reply"},
		{"icmpv6 fd00::9 > fd00::1", "sysctl net.ipv6.icmp.echo_ignore_all 1", "dropped"},
		{"icmpv6 fe80::9 > ff02::1 type 136 ttl 255", "", "delivered"},
		{"icmpv6 fe80::9 > ff02::1 type 136 ttl 64", "", "dropped"},
		{"icmpv6 fe80::9 > ff02::1:ff00:1 type 135 ttl 255", "", "unknown"},
		// udp_queue_rcv, __udp4_lib_mcast_deliver, tcp_conn_request: broadcasts
		{"udp 10.0.0.9:4 > 10.0.0.255:53", "", "delivered answer=reply"},
		{"udp 10.0.0.9:4 > 255.255.255.255:53", "", "delivered answer=reply"},
		{"udp 10.0.0.9:4 > 10.0.0.255:99", "", "dropped"},
		{"tcp 10.0.0.9:4 > 10.0.0.255:80", "", "dropped"},
		{"tcp 10.0.0.9:4 > 10.0.0.255:80 data", "", "dropped"},
		{"icmp 10.0.0.9 > 10.0.0.255", "", "dropped"},
		{"icmp 10.0.0.9 > 10.0.0.255", "sysctl net.ipv4.icmp_echo_ignore_broadcasts 0", "delivered answer=reply"},
		{"udp 10.0.0.9:4 > 10.1.0.255:53", "sysctl net.ipv4.conf.all.bc_forwarding 1\nsysctl net.ipv4.conf.eth0.bc_forwarding 1", "unknown"},
		// ip_mc_up, ipv6_mc_up, ip6_mc_input: groups that the kernel joins
		{"udp 10.0.0.9:4 > 224.0.0.1:53", "", "delivered answer=reply"},
		{"udp fd00::9 > [ff02::1]:54", "", "delivered answer=reply"},
		{"udp fd00::9 > [ff02::2]:54", "", "delivered answer=reply"},
		{"udp fd00::9 > [ff02::1:ff00:1]:54", "", "delivered answer=reply"},
		{"icmpv6 fd00::9 > ff02::1", "", "delivered answer=reply"},
		{"icmpv6 fd00::9 > ff02::1", "sysctl net.ipv6.icmp.echo_ignore_multicast 1", "dropped"},
		{"udp fd00::9 > [ff02::1]:99", "", "dropped"},
		// ip6_input: the anycast address of a router
		{"udp fd00::9 > [fd00::]:54", "route fd00::/128 eth0 type=anycast", "delivered answer=reply"},
		{"udp fd00::9 > [fd00::]:99", "route fd00::/128 eth0 type=anycast", "no-listener socket/none answer=error(1,4)"},
		{"tcp fd00::9 > [fd00::]:81", "route fd00::/128 eth0 type=anycast", "dropped"},
		{"icmpv6 fd00::9 > fd00::", "route fd00::/128 eth0 type=anycast", "delivered answer=reply"},
		{"icmpv6 fd00::9 > fd00::", "route fd00::/128 eth0 type=anycast\nsysctl net.ipv6.icmp.echo_ignore_anycast 1", "dropped"},
		// ip_protocol_deliver_rcu
		{"igmp 10.0.0.9 > 224.0.0.1", "", "delivered"},
		{"gre 10.0.0.9 > 10.0.0.1", "", "unknown"},
		// ip6_forward
		{"udp fe80::9 > [fd01::9]:53", "", "dropped walk/martian answer=error(1,2)"},
		{"udp [::]:4 > [fd01::9]:53", "", "dropped walk/martian"},
	} {
		require.Equal(t, tt.want, ended(one(t, in(t, tt.more, tt.packet))), "%s %s", tt.packet, tt.more)
	}
}

// No dump tells which groups sockets have joined, nor raw sockets.
func TestDeliveryThatIsNotKnown(t *testing.T) {
	for packet, want := range map[string][]string{
		"udp 10.0.0.9:4 > 239.1.1.1:53": {"delivered answer=reply", "dropped"},
		"253 10.0.0.9 > 10.0.0.1":       {"delivered", "no-listener socket/none answer=error(3,2)"},
		"253 fd00::9 > fd00::1":         {"delivered", "no-listener socket/none answer=error(4,1)"},
	} {
		var got []string
		for _, o := range in(t, "", packet) {
			got = append(got, ended(o))
			require.NotEmpty(t, o.Doubts)
		}
		require.Equal(t, want, got, packet)
	}
}

// Answers without a socket: addresses, TOS and marks.
func TestAnswers(t *testing.T) {
	answer := func(more, packet string) model.Packet {
		p, err := model.ParsePacket(packet)
		require.NoError(t, err)
		rules := "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j MARK --set-mark 7\nCOMMIT\n"
		got := one(t, world(t, home+more, rules).Input(p, "eth0", everybody()))
		require.NotNil(t, got.Answer, packet)
		return *got.Answer
	}
	require.Equal(t, uint8(0xd0), answer("", "udp 10.0.0.9:4 > 10.0.0.1:99 tos 0x10").TOS, "__icmp_send")
	require.Equal(t, uint8(0x10), answer("", "tcp 10.0.0.9:4 > 10.0.0.1:99 tos 0x10").TOS, "tcp_v4_send_reset")
	require.Equal(t, uint8(0x10), answer("", "icmp 10.0.0.9 > 10.0.0.1 tos 0x10").TOS, "icmp_reply")
	require.Zero(t, answer("", "udp 10.0.0.9:4 > 10.0.0.1:99").Mark)
	for _, packet := range []string{"udp 10.0.0.9:4 > 10.0.0.1:99", "tcp 10.0.0.9:4 > 10.0.0.1:99", "icmp 10.0.0.9 > 10.0.0.1"} {
		require.Equal(t, uint32(7), answer("sysctl net.ipv4.fwmark_reflect 1", packet).Mark, packet)
	}
	require.Equal(t, uint32(7), answer("sysctl net.ipv4.tcp_fwmark_accept 1", "tcp 10.0.0.9:4 > 10.0.0.1:80").Mark, "inet_request_mark")
	require.False(t, answer("", "udp 10.0.0.9:4 > 10.0.0.255:53").Src.Addr().IsValid(), "the routes choose")
	require.Equal(t, "fe80::9%eth0", answer("", "tcp [fe80::9]:4 > [fe80::1]:81").Dst.Addr().String(), "inet6_iif")
	far := "udp 10.0.0.9:4 > 10.9.0.1:53"
	require.False(t, answer("", far).Src.Addr().IsValid(), "the routes choose")
	require.Equal(t, "10.0.0.1", answer("sysctl net.ipv4.icmp_errors_use_inbound_ifaddr 1", far).Src.Addr().String())
}

// A sender to no address talks to itself; one to many is refused by TCP; a zone
// binds it to a device.
func TestSenders(t *testing.T) {
	for _, tt := range []struct{ packet, more, want string }{
		{"udp > 0.0.0.0:53", "", "delivered udp 127.0.0.1:40000 > 127.0.0.1:53"},
		{"tcp 10.0.0.1:4 > 0.0.0.0:80", "", "delivered tcp 10.0.0.1:4 > 10.0.0.1:80"},
		{"udp > [::]:54", "", "delivered udp [::1]:40000 > [::1]:54"},
		{"tcp > 10.0.0.255:80", "", "no-route tcp > 10.0.0.255:80"},
		{"tcp > 224.0.0.5:80", "", "no-route tcp > 224.0.0.5:80"},
		{"udp > 10.0.0.255:53", "", "unknown udp > 10.0.0.255:53"},
		{"udp > [fe80::9%eth1]:53", "", "forwarded udp [fe80::2]:40000 > [fe80::9]:53"},
		{"udp > [fe80::9%eth0]:53", "", "forwarded udp [fe80::1]:40000 > [fe80::9]:53"},
	} {
		p, err := model.ParsePacket(tt.packet)
		require.NoError(t, err)
		p.Src = end("-")
		if tt.packet == "tcp 10.0.0.1:4 > 0.0.0.0:80" {
			p.Src = end("10.0.0.1:4")
		}
		got := world(t, home+tt.more+"route 224.0.0.0/4 eth0", "").Output(p, "", everybody())[0]
		s := got.Packet.String()
		if got.Disposition == model.NoRoute || got.Disposition == model.Unknown {
			got.Packet.Src = end("-")
			s = got.Packet.String()
		}
		require.Equal(t, tt.want, got.Disposition.String()+" "+s, tt.packet)
	}
}
