package rawimport

import (
	"fmt"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A rawObject is an entry of "ip -j nexthop": one way, or a group of others.
type rawObject struct {
	rawNextHop
	ID        int        `json:"id"`
	Group     []rawGroup `json:"group"`
	Blackhole present    `json:"blackhole"`
}

type rawGroup struct {
	ID     int    `json:"id"`
	Weight number `json:"weight"`
}

// nextHops fills in the ways of routes that name only a next hop object, which is
// how they are printed where net.ipv4.nexthop_compat_mode is 0.
func (r *reader) nextHops() {
	list, status, _ := load(r, "ip-nexthop.json", func(data []byte) ([]rawObject, []bad, error) {
		return parseEntries(data, func(o *rawObject, _ int) (rawObject, error) { return *o, nil })
	})
	if status != nodedump.StatusOK && status != nodedump.StatusTruncated {
		return
	}
	objects := map[int]rawObject{}
	for _, o := range list {
		objects[o.ID] = o
	}
	for i := range r.info.Routes {
		route := &r.info.Routes[i]
		if route.NHID == 0 || route.Dev != "" || len(route.NextHops) > 0 || route.Type != "" {
			continue
		}
		if err := resolve(route, objects); err != nil {
			r.note("ip-nexthop.json: route to %s: %v", route.Dst, err)
		}
	}
}

// resolve fills in the ways of one route.
func resolve(route *nodedump.Route, objects map[int]rawObject) error {
	o, ok := objects[route.NHID]
	switch {
	case !ok:
		return fmt.Errorf("there is no next hop %d", route.NHID)
	case bool(o.Blackhole):
		route.Type = "blackhole"
		return nil
	case len(o.Group) == 0:
		hop, err := o.convert()
		route.Dev, route.Via, route.Encap = hop.Dev, hop.Via, hop.Encap
		route.Flags = append(route.Flags, hop.Flags...)
		return err
	}
	for _, g := range o.Group {
		member, ok := objects[g.ID]
		if !ok || len(member.Group) > 0 {
			return fmt.Errorf("there is no next hop %d, of group %d", g.ID, o.ID)
		}
		hop, err := member.convert()
		if err != nil {
			return err
		}
		hop.Weight = max(1, int(g.Weight))
		route.NextHops = append(route.NextHops, hop)
	}
	return nil
}
