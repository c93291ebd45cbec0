package netns

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// ndmsg builds the message of one neighbour: struct ndmsg and NDA_DST.
func ndmsg(ip string, state uint16, flags byte) []byte {
	addr := netip.MustParseAddr(ip)
	family := byte(unix.AF_INET)
	if addr.Is6() {
		family = unix.AF_INET6
	}
	raw := addr.AsSlice()
	msg := make([]byte, sizeofNdmsg+4+len(raw))
	msg[0], msg[10] = family, flags
	binary.NativeEndian.PutUint32(msg[4:], 2)
	binary.NativeEndian.PutUint16(msg[8:], state)
	binary.NativeEndian.PutUint16(msg[sizeofNdmsg:], uint16(4+len(raw)))
	binary.NativeEndian.PutUint16(msg[sizeofNdmsg+2:], unix.NDA_DST)
	copy(msg[sizeofNdmsg+4:], raw)
	return msg
}

// What is left out needs all its reasons at once, for both families: no entry
// that a packet could use is lost, IPv4 or IPv6, whatever its state.
func TestNeighboursLeftOut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ip    string
		state uint16
		flags byte
		kept  bool
	}{
		{"IPv4", "10.0.0.1", unix.NUD_REACHABLE, 0, true},
		{"IPv6", "2001:db8::1", unix.NUD_REACHABLE, 0, true},
		{"failed", "10.0.0.1", unix.NUD_FAILED, 0, true},
		{"permanent", "10.0.0.1", unix.NUD_PERMANENT, 0, true},
		{"somebody's NOARP entry", "10.0.0.1", unix.NUD_NOARP, 0, true},
		{"the kernel's own for a multicast group", "ff02::1", unix.NUD_NOARP, 0, false},
		{"the kernel's own for loopback", "127.0.0.1", unix.NUD_NOARP, 0, false},
		{"a multicast address that somebody wrote", "224.0.0.5", unix.NUD_PERMANENT, 0, true},
		{"a proxy entry", "ff02::1", unix.NUD_NOARP, unix.NTF_PROXY, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &dumper{names: map[int]string{2: "eth0"}, info: &nodedump.NetNSInfo{}}
			d.addNeighbour(ndmsg(tt.ip, tt.state, tt.flags))
			if !tt.kept {
				require.Empty(t, d.info.Neighbours)
				return
			}
			require.Len(t, d.info.Neighbours, 1)
			require.Equal(t, tt.ip, d.info.Neighbours[0].IP)
			require.Equal(t, "eth0", d.info.Neighbours[0].Dev)
		})
	}
}
