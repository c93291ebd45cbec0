package netns

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// readVLANs reads which VLANs bridges and their ports are members of (bridge
// vlan show). A kernel without VLAN filtering shows none.
func (d *dumper) readVLANs() error {
	q := routeDump(unix.RTM_GETLINK, unix.AF_BRIDGE, unix.SizeofIfInfomsg)
	q.data = append(q.data, attr(unix.IFLA_EXT_MASK, u32(nl.RTEXT_FILTER_BRVLAN_COMPRESSED))...)
	msgs, err := d.conn.all(q, d.deadline)
	for _, msg := range msgs {
		if len(msg) < unix.SizeofIfInfomsg {
			continue
		}
		index := int(binary.NativeEndian.Uint32(msg[4:]))
		for i := range d.info.Interfaces {
			if dev := &d.info.Interfaces[i]; dev.Index == index && len(dev.VLANs) == 0 {
				dev.VLANs = parseVLANs(after(msg, unix.SizeofIfInfomsg)[unix.IFLA_AF_SPEC])
			}
		}
	}
	if lacking(err) {
		return nil
	}
	return err
}

// parseVLANs reads the VLANs of one device: struct bridge_vlan_info, of which
// two make a range.
func parseVLANs(spec []byte) (vlans []nodedump.BridgeVLAN) {
	const size = 4
	first := 0
	eachAttr(spec, func(typ uint16, value []byte) {
		if typ != nl.IFLA_BRIDGE_VLAN_INFO || len(value) < size {
			return
		}
		flags, id := binary.NativeEndian.Uint16(value), int(binary.NativeEndian.Uint16(value[2:]))
		v := nodedump.BridgeVLAN{ID: id, PVID: flags&nl.BRIDGE_VLAN_INFO_PVID != 0, Untagged: flags&nl.BRIDGE_VLAN_INFO_UNTAGGED != 0}
		switch {
		case flags&nl.BRIDGE_VLAN_INFO_RANGE_BEGIN != 0:
			first = id
			return
		case flags&nl.BRIDGE_VLAN_INFO_RANGE_END != 0 && first != 0:
			v.ID, v.Last = first, id
		}
		vlans = append(vlans, v)
	})
	return vlans
}
