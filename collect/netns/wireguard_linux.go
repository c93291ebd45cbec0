package netns

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// readWireGuard reads the peers of WireGuard devices: where they are and what
// they may send. Keys are dropped as they are read.
func (d *dumper) readWireGuard() error {
	family := 0
	for i := range d.info.Interfaces {
		dev := &d.info.Interfaces[i]
		if dev.Kind != "wireguard" {
			continue
		}
		if family == 0 {
			var err error
			if family, err = d.genericFamily(unix.WG_GENL_NAME); err != nil {
				return err
			}
		}
		q := query{proto: unix.NETLINK_GENERIC, typ: family, flags: unix.NLM_F_DUMP}
		q.data = append([]byte{unix.WG_CMD_GET_DEVICE, unix.WG_GENL_VERSION, 0, 0}, attr(unix.WGDEVICE_A_IFNAME, append([]byte(dev.Name), 0))...)
		msgs, err := d.conn.all(q, d.deadline)
		if err != nil {
			return err
		}
		dev.WireGuard = parseWireGuard(msgs)
	}
	return nil
}

// sizeofGenlmsg is the size of the header of a generic netlink message.
const sizeofGenlmsg = 4

// genericFamily asks for the number of a family of generic netlink.
func (d *dumper) genericFamily(name string) (id int, err error) {
	q := query{proto: unix.NETLINK_GENERIC, typ: unix.GENL_ID_CTRL}
	q.data = append([]byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, attr(unix.CTRL_ATTR_FAMILY_NAME, append([]byte(name), 0))...)
	err = d.conn.each(q, d.deadline, func(msg []byte) bool {
		id = after(msg, sizeofGenlmsg).num(unix.CTRL_ATTR_FAMILY_ID)
		return true
	})
	return id, err
}

// parseWireGuard reads the answer about one device. A peer with many prefixes
// goes on in the next message, under the same key.
func parseWireGuard(msgs [][]byte) *nodedump.WireGuard {
	w := &nodedump.WireGuard{}
	var last []byte
	for _, msg := range msgs {
		a := after(msg, sizeofGenlmsg)
		if a.has(unix.WGDEVICE_A_LISTEN_PORT) {
			w.Port = a.num(unix.WGDEVICE_A_LISTEN_PORT)
		}
		if a.has(unix.WGDEVICE_A_FWMARK) {
			w.FWMark = uint32(a.num(unix.WGDEVICE_A_FWMARK))
		}
		eachAttr(a[unix.WGDEVICE_A_PEERS], func(_ uint16, value []byte) {
			peer := parseAttrs(value)
			key := peer[unix.WGPEER_A_PUBLIC_KEY]
			if len(w.Peers) == 0 || !bytes.Equal(key, last) {
				w.Peers = append(w.Peers, nodedump.WGPeer{Endpoint: sockaddrText(peer[unix.WGPEER_A_ENDPOINT])})
			}
			last = key
			p := &w.Peers[len(w.Peers)-1]
			p.AllowedIPs = append(p.AllowedIPs, allowedIPs(peer[unix.WGPEER_A_ALLOWEDIPS])...)
		})
	}
	return w
}

func allowedIPs(list []byte) (prefixes []string) {
	eachAttr(list, func(_ uint16, value []byte) {
		a := parseAttrs(value)
		if addr := a.addr(unix.WGALLOWEDIP_A_IPADDR); addr.IsValid() {
			prefixes = append(prefixes, netip.PrefixFrom(addr, a.num(unix.WGALLOWEDIP_A_CIDR_MASK)).String())
		}
	})
	return prefixes
}

// sockaddrText prints a struct sockaddr_in or sockaddr_in6, "" if it is none.
func sockaddrText(b []byte) string {
	const portAt, addr4, addr6 = 2, 4, 8
	if len(b) < unix.SizeofSockaddrInet4 {
		return ""
	}
	port := binary.BigEndian.Uint16(b[portAt:])
	var addr netip.Addr
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		addr, _ = netip.AddrFromSlice(b[addr4 : addr4+4])
	case unix.AF_INET6:
		if len(b) < addr6+16 {
			return ""
		}
		addr, _ = netip.AddrFromSlice(b[addr6 : addr6+16])
	default:
		return ""
	}
	return netip.AddrPortFrom(addr, port).String()
}
