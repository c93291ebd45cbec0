package netns

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Attributes of a next hop object that golang.org/x/sys lacks
// (include/uapi/linux/nexthop.h).
const (
	sizeofNhmsg  = 8
	nhaID        = 1
	nhaGroup     = 2
	nhaBlackhole = 4
	nhaOIF       = 5
	nhaGateway   = 6
	nhaEncapType = 7
	sizeofGroup  = 8
)

// A hopObject is a next hop object: one way, or a group of others.
type hopObject struct {
	hop       nodedump.NextHop
	blackhole bool
	group     []groupMember
}

type groupMember struct{ id, weight int }

// resolveHops fills in the ways of routes of which the kernel shows only the
// object (net.ipv4.nexthop_compat_mode is 0).
func (d *dumper) resolveHops() error {
	var objects map[int]hopObject
	for i := range d.info.Routes {
		r := &d.info.Routes[i]
		if r.NHID == 0 || r.Dev != "" || len(r.NextHops) > 0 || r.Type == "blackhole" {
			continue
		}
		if objects == nil {
			var err error
			if objects, err = d.readHopObjects(); err != nil {
				return fmt.Errorf("next hop objects: %w", err)
			}
		}
		if !resolveHop(r, objects) {
			return truncated(fmt.Sprintf("next hop object %d of the route to %s is not there", r.NHID, r.Dst))
		}
	}
	return nil
}

// resolveHop fills in the ways of one route.
func resolveHop(r *nodedump.Route, objects map[int]hopObject) bool {
	o, ok := objects[r.NHID]
	switch {
	case !ok:
		return false
	case o.blackhole:
		r.Type = "blackhole"
		return true
	case len(o.group) == 0:
		r.Dev, r.Via, r.Encap = o.hop.Dev, o.hop.Via, o.hop.Encap
		r.Flags = append(r.Flags, o.hop.Flags...)
		return true
	}
	for _, m := range o.group {
		member, ok := objects[m.id]
		if !ok || len(member.group) > 0 {
			return false
		}
		hop := member.hop
		hop.Weight = m.weight
		r.NextHops = append(r.NextHops, hop)
	}
	return true
}

// readHopObjects reads the next hop objects by their number.
func (d *dumper) readHopObjects() (map[int]hopObject, error) {
	objects := map[int]hopObject{}
	msgs, err := d.conn.all(query{proto: unix.NETLINK_ROUTE, typ: unix.RTM_GETNEXTHOP, flags: unix.NLM_F_DUMP, data: make([]byte, sizeofNhmsg)}, d.deadline)
	for _, msg := range msgs {
		if len(msg) < sizeofNhmsg {
			continue
		}
		a := after(msg, sizeofNhmsg)
		o := hopObject{blackhole: a.has(nhaBlackhole), hop: nodedump.NextHop{
			Dev: d.devName(a.num(nhaOIF)), Via: a.ip(nhaGateway), Weight: 1,
			Flags: hopFlags(binary.NativeEndian.Uint32(msg[4:])), Encap: encapName(a.num(nhaEncapType)),
		}}
		for b := a[nhaGroup]; len(b) >= sizeofGroup; b = b[sizeofGroup:] {
			o.group = append(o.group, groupMember{int(binary.NativeEndian.Uint32(b)), int(b[4]) + int(b[5])<<8 + 1})
		}
		objects[a.num(nhaID)] = o
	}
	return objects, err
}
