package model

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestParsePacketPrints reads what String prints; other spellings of the same
// are read too.
func TestParsePacketPrints(t *testing.T) {
	for _, row := range []struct{ text, also string }{
		{"tcp 10.244.0.5:40000 > 10.96.0.10:53", " TCP  10.244.0.5:40000>10.96.0.10:53 "},
		{"udp [fd00::1]:4000 > [fd00::2]:53", "17 [fd00::1]:4000 > [fd00::2]:53"},
		{"sctp 10.0.0.1:0 > 10.0.0.2:0", "132 10.0.0.1 > 10.0.0.2"},
		{"tcp [fd00::1]:0 > [fd00::2]:0", "tcp fd00::1 > [fd00::2]"},
		{"tcp > 10.0.0.2:80", "6 > [::ffff:10.0.0.2]:80"},
		{"icmp 10.0.0.1 > 10.0.0.2", "icmp 10.0.0.1 > 10.0.0.2 type 8 code 0"},
		{"ipv6-icmp fd00::1 > fd00::2", "icmpv6 fd00::1 > fd00::2 type 128"},
		{"udp [fe80::1%eth0]:5 > [ff02::1%eth0]:53", "udp [fe80::1%eth0]:5 > [ff02::1%eth0]:53"},
		{"ipv6-icmp fe80::1%eth0 > ff02::1", "58 fe80::1%eth0 > ff02::1"},
		{"icmp 10.0.0.1 > 10.0.0.2 type 3 code 1", "1 10.0.0.1 > 10.0.0.2 type 0x3 code 1"},
		{"icmp 10.0.0.1 > 10.0.0.2 reply", "icmp 10.0.0.1 > 10.0.0.2 type 0"},
		{"icmp 10.0.0.1 > 10.0.0.2 type 13 code 0", "icmp 10.0.0.1 > 10.0.0.2 type 13"},
		{"ipv6-icmp fd00::1 > fd00::2 type 135 code 0", "icmpv6 fd00::1 > fd00::2 type 135"},
		{"ipv6-icmp fd00::1 > fd00::2 type 1 code 4", "icmpv6 fd00::1 > fd00::2 code 4 type 1"},
		{"tcp 10.0.0.1:80 > 10.0.0.2:4000 reset", "tcp 10.0.0.1:80 > 10.0.0.2:4000 reset"},
		{"gre 10.0.0.1 > 10.0.0.2", "47 10.0.0.1 > 10.0.0.2"},
		{"200 10.0.0.1 > 10.0.0.2", "0xc8 10.0.0.1 > 10.0.0.2"},
	} {
		p, err := ParsePacket(row.text)
		require.NoError(t, err)
		require.Equal(t, row.text, p.String())
		also, err := ParsePacket(row.also)
		require.NoError(t, err, row.also)
		require.Equal(t, p.String(), also.String())
		require.Equal(t, p.Kind, also.Kind)
	}
}

func TestParsePacketFields(t *testing.T) {
	p, err := ParsePacket("tcp 10.0.0.1 > 10.0.0.2:80 ttl 1 tos 0x10 size 1500 data")
	require.NoError(t, err)
	require.Equal(t, Packet{Protocol: TCP, Kind: KindData, Src: end("10.0.0.1:0"), Dst: end("10.0.0.2:80"), TTL: 1, TOS: 16, Size: 1500}, p)
}

func TestParsePacketErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "not of the form",
		"tcp 10.0.0.1:80":                   "not of the form",
		"10.0.0.1 > 10.0.0.2":               `"10.0.0.1" is no IP protocol`,
		"tcq 10.0.0.1 > 10.0.0.2":           `"tcq" is no IP protocol`,
		"tcp web > 10.0.0.2":                `source: "web" is no address`,
		"tcp 10.0.0.1 > 10.0.0.2:99999":     `destination: "10.0.0.2:99999" is no address`,
		"tcp 10.0.0.1 > fd00::2:80:":        "[ADDRESS]:PORT",
		"icmp 10.0.0.1:7 > 10.0.0.2":        "has a port, icmp has none",
		"tcp 10.0.0.1 > fd00::1":            "one address is IPv4, the other IPv6",
		"icmp fd00::1 > fd00::2":            "icmp does not go with",
		"icmpv6 10.0.0.1 > 10.0.0.2":        "ipv6-icmp does not go with",
		"tcp 10.0.0.1 > 10.0.0.2 type 3":    "only ICMP has it",
		"icmp 10.0.0.1 > 10.0.0.2 type":     `"type" says nothing`,
		"icmp 10.0.0.1 > 10.0.0.2 type x":   "invalid syntax",
		"icmp 10.0.0.1 > 10.0.0.2 code 256": "too large",
		"tcp 10.0.0.1 > 10.0.0.2 colour 3":  "unknown field",
	} {
		_, err := ParsePacket(text)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "packet ", text)
	}
}

func FuzzParsePacket(f *testing.F) {
	f.Add("tcp 10.244.0.5:40000 > 10.96.0.10:53")
	f.Add("icmpv6 fe80::1%eth0 > ff02::1 type 135 code 0")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePacket(s)
		if err != nil {
			return
		}
		again, err := ParsePacket(p.String())
		require.NoError(t, err)
		require.Equal(t, p.String(), again.String())
	})
}

func TestProtocolNumbers(t *testing.T) {
	for name, number := range map[Protocol]int{TCP: 6, UDP: 17, SCTP: 132, ICMP: 1, ICMPv6: 58, IPIP: 4, "gre": 47, "200": 200, "nonsense": -1} {
		require.Equal(t, number, name.Number())
	}
}
