package netns

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// linkMessage builds the answer about one device of a kind.
func linkMessage(kind string, data ...[]byte) []byte {
	msg := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(msg[4:], 7)
	info := append(attr(unix.IFLA_INFO_KIND, append([]byte(kind), 0)), attr(unix.IFLA_INFO_DATA, bytes.Join(data, nil))...)
	return bytes.Join([][]byte{msg, attr(unix.IFLA_IFNAME, []byte("dev0\x00")), attr(unix.IFLA_LINKINFO|unix.NLA_F_NESTED, info)}, nil)
}

func key(k uint32) *uint32 { return &k }

// TestKinds covers kinds of devices that not every kernel can make.
func TestKinds(t *testing.T) {
	v4 := func(last byte) []byte { return []byte{10, 0, 0, last} }
	u16 := func(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }
	v6 := append(make([]byte, 15), 1)
	for _, c := range []struct {
		msg  []byte
		want nodedump.Interface
	}{
		{linkMessage("vlan", attr(1, u16(7)), attr(5, []byte{0x88, 0xa8})), nodedump.Interface{Kind: "vlan", VLAN: &nodedump.VLAN{ID: 7, Protocol: "802.1ad"}}},
		{linkMessage("ipvlan", attr(1, u16(1))), nodedump.Interface{Kind: "ipvlan", Mode: "l3"}},
		{linkMessage("macvlan", attr(1, u32(8))), nodedump.Interface{Kind: "macvlan", Mode: "passthru"}},
		{linkMessage("bond", attr(1, []byte{4})), nodedump.Interface{Kind: "bond", Mode: "802.3ad"}},
		{linkMessage("vrf", attr(1, u32(1001))), nodedump.Interface{Kind: "vrf", VRFTable: 1001}},
		{linkMessage("ipip", attr(1, u32(3)), attr(2, v4(1)), attr(3, v4(2)), attr(4, []byte{64}), attr(10, []byte{0})),
			nodedump.Interface{Kind: "ipip", Tunnel: &nodedump.Tunnel{Local: "10.0.0.1", Remote: "10.0.0.2", Link: 3, TTL: 64, NoPMTU: true}}},
		{linkMessage("sit", attr(9, []byte{0}), attr(5, []byte{1}), attr(20, u32(9)), attr(10, []byte{1}), attr(11, append([]byte{0x20, 1, 0xd, 0xb8}, make([]byte, 12)...)), attr(13, u16(32))),
			nodedump.Interface{Kind: "sit", Tunnel: &nodedump.Tunnel{Proto: "any", TOS: 1, FWMark: 9, Relay: "2001:db8::/32"}}},
		{linkMessage("gre", attr(2, []byte{0x20, 0}), attr(3, []byte{0x30, 0}), attr(4, []byte{0, 0, 0, 5}), attr(5, []byte{0, 0, 1, 0}), attr(19, []byte{1})),
			nodedump.Interface{Kind: "gre", Tunnel: &nodedump.Tunnel{IKey: key(5), OKey: key(256), OSeq: true, IgnoreDF: true}}},
		{linkMessage("ip6tnl", attr(2, v6), attr(8, u32(1)), attr(9, []byte{41})),
			nodedump.Interface{Kind: "ip6tnl", Tunnel: &nodedump.Tunnel{Local: "::1", Proto: "ip6ip6", NoLimit: true, Flags: 1}}},
		{linkMessage("ipvlan", attr(1, u16(0)), attr(2, u16(3))), nodedump.Interface{Kind: "ipvlan", Mode: "l2", ModeFlags: []string{"private", "vepa"}}},
		{linkMessage("macvlan", attr(1, u32(16)), attr(5, attr(4, []byte{2, 0, 0, 0, 0, 1}))),
			nodedump.Interface{Kind: "macvlan", Mode: "source", Sources: []string{"02:00:00:00:00:01"}}},
		{linkMessage("bond", attr(1, []byte{1}), attr(2, u32(4))), nodedump.Interface{Kind: "bond", Mode: "active-backup", ActiveSlave: 4}},
		{linkMessage("bridge", attr(7, []byte{1}), attr(8, []byte{0x88, 0xa8}), attr(39, u16(1)), attr(23, []byte{0})),
			nodedump.Interface{Kind: "bridge", Bridge: &nodedump.Bridge{VLANFiltering: true, VLANProtocol: "802.1ad", DefaultPVID: 1, NoMcastSnoop: true}}},
		{linkMessage("ipip", attr(2, v4(0)[:0]), attr(19, nil)), nodedump.Interface{Kind: "ipip", Tunnel: &nodedump.Tunnel{External: true}}},
		{linkMessage("gre", attr(1, u32(3)), attr(6, v4(1)), attr(7, v4(2)), attr(8, []byte{0}), attr(10, []byte{1})),
			nodedump.Interface{Kind: "gre", Tunnel: &nodedump.Tunnel{Local: "10.0.0.1", Remote: "10.0.0.2", Link: 3}}},
		{linkMessage("ip6tnl", attr(2, v6)), nodedump.Interface{Kind: "ip6tnl", Tunnel: &nodedump.Tunnel{Local: "::1"}}},
		{linkMessage("vti", attr(1, u32(3)), attr(4, v4(1)), attr(5, v4(2))),
			nodedump.Interface{Kind: "vti", Tunnel: &nodedump.Tunnel{Local: "10.0.0.1", Remote: "10.0.0.2", Link: 3}}},
		{linkMessage("geneve", attr(2, v4(2)), attr(6, nil)), nodedump.Interface{Kind: "geneve", Tunnel: &nodedump.Tunnel{Remote: "10.0.0.2", External: true}}},
		{linkMessage("wireguard"), nodedump.Interface{Kind: "wireguard", Tunnel: &nodedump.Tunnel{}}},
		{linkMessage("dummy"), nodedump.Interface{Kind: "dummy"}},
		{linkMessage("vxlan", attr(1, u32(4096)), attr(7, []byte{1}), attr(15, []byte{0x21, 0x18}), attr(17, v6), attr(25, []byte{1})),
			nodedump.Interface{Kind: "vxlan", VXLAN: &nodedump.VXLAN{ID: 4096, Local6: "::1", Port: 8472, External: true, DF: "unset"}}},
	} {
		c.want.Name, c.want.Index, c.want.OperState = "dev0", 7, "UNKNOWN"
		require.Equal(t, c.want, parseLink(c.msg), c.want.Kind)
	}
}

func TestRulesWithStrangeSelectors(t *testing.T) {
	rule := func(attributes ...[]byte) []byte {
		return append([]byte{unix.AF_INET, 0, 0, 0, 254, 0, 0, unix.FR_ACT_TO_TBL, 0, 0, 0, 0}, bytes.Join(attributes, nil)...)
	}
	u16 := func(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }
	for _, c := range []struct {
		name   string
		msg    []byte
		unread string
	}{
		{"none", rule(), ""},
		{"full port mask", rule(attr(29, u16(0xffff))), ""},
		{"port mask", rule(attr(28, u16(0xff00))), "sport-mask"},
		{"dscp", rule(attr(25, []byte{10})), ""},
		{"dscp mask", rule(attr(30, []byte{0x30})), "dscp-mask"},
		{"flow label", rule(attr(26, u32(5))), "flowlabel"},
		{"tunnel id", rule(attr(unix.FRA_TUN_ID, make([]byte, 8))), "tun_id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parseRule(c.msg)
			require.Equal(t, c.unread, r.Unread)
			if c.name == "dscp" {
				require.Equal(t, 10, *r.DSCP)
			}
			require.Equal(t, 254, r.Table)
		})
	}
}

func TestVLANs(t *testing.T) {
	info := func(flags, id uint16) []byte {
		return attr(2, binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, flags), id))
	}
	spec := bytes.Join([][]byte{info(2|4, 1), info(8, 10), info(16, 20), info(4, 30)}, nil)
	require.Equal(t, []nodedump.BridgeVLAN{{ID: 1, PVID: true, Untagged: true}, {ID: 10, Last: 20}, {ID: 30, Untagged: true}}, parseVLANs(spec))
}

func TestBondSlave(t *testing.T) {
	msg := make([]byte, unix.SizeofIfInfomsg)
	slave := append(attr(1, []byte{1}), attr(2, []byte{0})...)
	info := append(attr(unix.IFLA_INFO_SLAVE_KIND, []byte("bond\x00")), attr(unix.IFLA_INFO_SLAVE_DATA, slave)...)
	msg = append(msg, attr(unix.IFLA_LINKINFO|unix.NLA_F_NESTED, info)...)
	require.Equal(t, &nodedump.Slave{State: "backup", MII: "UP"}, parseLink(msg).Slave)
}

// A peer whose prefixes do not fit into one message goes on in the next, and no
// key is kept.
func TestWireGuard(t *testing.T) {
	prefix := func(last byte, bits byte) []byte {
		return attr(0, bytes.Join([][]byte{attr(1, []byte{2, 0}), attr(2, []byte{10, 0, last, 0}), attr(3, []byte{bits})}, nil))
	}
	peer := func(name string, rest ...[]byte) []byte {
		return attr(0, append(attr(1, []byte(name)), bytes.Join(rest, nil)...))
	}
	at := append(binary.NativeEndian.AppendUint16(nil, unix.AF_INET), 0xca, 0x6c, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	head := []byte{0, 1, 0, 0}
	first := bytes.Join([][]byte{head, attr(3, []byte("private")), attr(6, []byte{0x6c, 0xca}), attr(7, u32(7)),
		attr(8, append(peer("a", attr(4, at), attr(9, prefix(1, 24))), peer("b", attr(9, prefix(2, 24)))...))}, nil)
	second := bytes.Join([][]byte{head, attr(8, peer("b", attr(9, prefix(3, 32))))}, nil)
	w := parseWireGuard([][]byte{first, second})
	w.Port = 0 // in the byte order of this machine
	require.Equal(t, &nodedump.WireGuard{FWMark: 7, Peers: []nodedump.WGPeer{
		{Endpoint: "192.0.2.1:51820", AllowedIPs: []string{"10.0.1.0/24"}}, {AllowedIPs: []string{"10.0.2.0/24", "10.0.3.0/32"}}}}, w)
}

func TestAttributesThatAreCutOff(t *testing.T) {
	whole := append(attr(1, []byte("abc")), attr(2, u32(7))...)
	for n := range whole {
		a := parseAttrs(whole[:n])
		require.LessOrEqual(t, len(a), 2)
	}
	require.Equal(t, 7, parseAttrs(whole).num(2))
	require.Empty(t, parseAttrs([]byte{0, 0, 1, 0}))
	require.Empty(t, after([]byte{1}, 4))
}

func FuzzParse(f *testing.F) {
	f.Add(linkMessage("vxlan", attr(1, u32(1))))
	f.Fuzz(func(_ *testing.T, msg []byte) {
		d := &dumper{info: emptyInfo(), machine: &machine{}}
		if len(msg) < unix.SizeofIfInfomsg {
			return
		}
		parseLink(msg)
		parseAddr(msg, "eth0")
		parseRule(msg)
		_, _ = d.parseRoute(msg)
		d.addNeighbour(msg)
		d.parseFDB(msg)
		parseConn(msg)
	})
}
