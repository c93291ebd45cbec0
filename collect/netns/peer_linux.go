package netns

import (
	"golang.org/x/sys/unix"
)

// findPeers finds out in which known namespace the far ends of the devices
// lie: the kernel is asked under which number it knows each of the others.
func (d *dumper) findPeers() {
	wanted := map[int][]int{} // devices by netnsid
	for _, dev := range d.info.Interfaces {
		if dev.LinkNSID != nil && *dev.LinkNSID >= 0 {
			wanted[*dev.LinkNSID] = append(wanted[*dev.LinkNSID], dev.Index)
		}
	}
	for _, other := range d.spaces { // the host's first: most far ends lie there
		if len(wanted) == 0 {
			return
		}
		if other == d.space {
			continue
		}
		nsid, ok := d.nsid(other)
		if !ok {
			continue
		}
		for _, index := range wanted[nsid] {
			d.peers[index] = other
		}
		delete(wanted, nsid)
	}
}

// nsid returns the number under which this namespace knows another one.
func (d *dumper) nsid(other *space) (nsid int, ok bool) {
	q := query{proto: unix.NETLINK_ROUTE, typ: unix.RTM_GETNSID}
	q.data = append([]byte{unix.AF_UNSPEC, 0, 0, 0}, attr(unix.NETNSA_FD, u32(uint32(other.ns)))...)
	err := d.conn.each(q, d.deadline, func(msg []byte) bool {
		nsid = int(int32(after(msg, 4).num(unix.NETNSA_NSID)))
		ok = nsid >= 0
		return true
	})
	return nsid, ok && err == nil
}
