package netns

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// ntfSticky marks an entry that does not move to another port.
const ntfSticky = 0x40

// ndaNHID names a next hop object (NDA_NH_ID).
const ndaNHID = 13

// sizeofNdmsg is the size of the header of a neighbour message.
const sizeofNdmsg = 12

// readNeighbours reads the ARP and NDP caches, and what is answered by proxy.
func (d *dumper) readNeighbours() error {
	for _, flags := range []byte{0, unix.NTF_PROXY} {
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			q := routeDump(unix.RTM_GETNEIGH, family, sizeofNdmsg)
			q.data[10] = flags
			msgs, err := d.conn.all(q, d.deadline)
			for _, msg := range msgs {
				d.addNeighbour(msg)
			}
			if err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(d.info.Neighbours, func(a, b nodedump.Neighbour) int {
		x, _ := netip.ParseAddr(a.IP)
		y, _ := netip.ParseAddr(b.IP)
		return cmp.Or(strings.Compare(a.Dev, b.Dev), x.Compare(y))
	})
	return nil
}

// addNeighbour reads one entry. Those of devices without neighbours say
// nothing that the device's NOARP does not say, and are left out.
func (d *dumper) addNeighbour(msg []byte) {
	a := after(msg, sizeofNdmsg)
	addr := a.addr(unix.NDA_DST)
	if len(msg) < sizeofNdmsg || !addr.IsValid() {
		return
	}
	state := binary.NativeEndian.Uint16(msg[8:])
	proxy := msg[10]&unix.NTF_PROXY != 0
	if !proxy && state == unix.NUD_NOARP && (addr.IsMulticast() || addr.IsLoopback() || addr.IsUnspecified()) {
		return
	}
	n := nodedump.Neighbour{
		IP: addr.String(), Dev: d.devName(int(binary.NativeEndian.Uint32(msg[4:]))),
		MAC: a.mac(unix.NDA_LLADDR), State: neighState(state), Proxy: proxy,
	}
	d.info.Neighbours = append(d.info.Neighbours, n)
}

// neighState names the state of a neighbour.
func neighState(state uint16) string {
	names := map[uint16]string{
		unix.NUD_NONE: "NONE", unix.NUD_INCOMPLETE: "INCOMPLETE", unix.NUD_REACHABLE: "REACHABLE", unix.NUD_STALE: "STALE",
		unix.NUD_DELAY: "DELAY", unix.NUD_PROBE: "PROBE", unix.NUD_FAILED: "FAILED", unix.NUD_NOARP: "NOARP", unix.NUD_PERMANENT: "PERMANENT",
	}
	return names[state]
}

// readFDB reads the forwarding databases of bridges and VXLAN devices.
func (d *dumper) readFDB() error {
	msgs, err := d.conn.all(routeDump(unix.RTM_GETNEIGH, unix.AF_BRIDGE, sizeofNdmsg), d.deadline)
	for _, msg := range msgs {
		if len(msg) >= sizeofNdmsg && msg[0] == unix.AF_BRIDGE {
			d.info.FDB = append(d.info.FDB, d.parseFDB(msg))
		}
	}
	slices.SortStableFunc(d.info.FDB, func(a, b nodedump.FDBEntry) int {
		return cmp.Or(strings.Compare(a.Dev, b.Dev), strings.Compare(a.MAC, b.MAC), a.VLAN-b.VLAN,
			strings.Compare(a.Master, b.Master), strings.Compare(a.Dst, b.Dst), a.VNI-b.VNI)
	})
	return err
}

// parseFDB reads one entry.
func (d *dumper) parseFDB(msg []byte) nodedump.FDBEntry {
	a := after(msg, sizeofNdmsg)
	return nodedump.FDBEntry{
		MAC: a.mac(unix.NDA_LLADDR), Dev: d.devName(int(binary.NativeEndian.Uint32(msg[4:]))),
		Master: d.devName(a.num(unix.NDA_MASTER)), VLAN: a.num(unix.NDA_VLAN),
		Dst: a.ip(unix.NDA_DST), NextHop: a.num(ndaNHID), Port: a.big(unix.NDA_PORT), VNI: a.num(unix.NDA_VNI),
		Via:   d.devName(a.num(unix.NDA_IFINDEX)),
		State: fdbState(binary.NativeEndian.Uint16(msg[8:])),
		Flags: flagNames(uint32(msg[10]), []flagName{
			{unix.NTF_SELF, "self"}, {unix.NTF_ROUTER, "router"}, {unix.NTF_EXT_LEARNED, "extern_learn"},
			{unix.NTF_OFFLOADED, "offload"}, {unix.NTF_MASTER, "master"}, {ntfSticky, "sticky"},
		}),
	}
}

// fdbState names the state of an entry as bridge does.
func fdbState(state uint16) string {
	switch {
	case state&unix.NUD_PERMANENT != 0:
		return "permanent"
	case state&unix.NUD_NOARP != 0:
		return "static"
	case state&unix.NUD_STALE != 0:
		return "stale"
	case state&unix.NUD_REACHABLE != 0:
		return "reachable"
	}
	return strings.ToLower(neighState(state))
}
