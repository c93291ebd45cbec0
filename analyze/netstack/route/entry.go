package route

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// An entry is one route as the lookup needs it.
type entry struct {
	route   *nodedump.Route // nil if derived
	prefix  netip.Prefix
	prefsrc netip.Addr
	hops    []hop // empty for IPv4 routes that refuse
	typ     Type
	scope   scope
	table   int
	metric  int
	pref    int // of an IPv6 router: -1 low, 1 high
	tos     uint8
	line    int
	derived string // of a route that was not dumped: where it comes from
}

// A hop is one way of an entry (struct fib_nh_common).
type hop struct {
	dev    string
	via    netip.Addr
	weight float64
	onlink bool
	own    bool   // via is an address of this namespace: the destination is taken to be on link
	dead   bool   // its device is down or gone
	encap  string // kind of a lightweight tunnel: what it does to a packet is not known
	idle   bool   // no carrier, and the sysctl ignore_routes_with_linkdown is on
}

// addRoute parses r into its table.
func (f *FIB) addRoute(r *nodedump.Route, p *problems) {
	e, err := f.newEntry(r)
	if err != nil {
		p.add(r.Line, "route %s: %w", r.Dst, err)
		return
	}
	fam := &f.v4
	if r.Family == 6 {
		fam = &f.v6
	}
	f.insert(fam, e)
}

func (f *FIB) newEntry(r *nodedump.Route) (*entry, error) {
	if r.Family != 4 && r.Family != 6 {
		return nil, fmt.Errorf("unknown family %d", r.Family)
	}
	e := &entry{route: r, typ: TypeUnicast, scope: parseScope(r.Scope), table: r.Table,
		metric: r.Metric, tos: uint8(r.TOS), line: r.Line}
	var err error
	if e.prefix, err = parseDestination(r.Dst, r.Family); err != nil {
		return nil, err
	}
	if r.Type != "" {
		e.typ = Type(r.Type)
	}
	e.pref = map[string]int{"low": -1, "high": 1}[r.Pref]
	if !e.typ.known() {
		return nil, fmt.Errorf("unknown type %q", r.Type)
	}
	if r.Src != "" {
		if e.prefsrc, err = netip.ParseAddr(r.Src); err != nil {
			return nil, err
		}
		e.prefsrc = clean(e.prefsrc)
	}
	e.hops, err = f.newHops(e)
	return e, err
}

// parseDestination parses the destination of a route: a prefix, an address or
// "default".
func parseDestination(dst string, family int) (netip.Prefix, error) {
	if dst == "default" || dst == "" {
		if family == 4 {
			return netip.PrefixFrom(netip.IPv4Unspecified(), 0), nil
		}
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0), nil
	}
	prefix, err := parsePrefix(dst, 128)
	if err == nil && prefix.Addr().Is4() != (family == 4) {
		err = fmt.Errorf("not of family %d", family)
	}
	return prefix, err
}

// refuses reports whether the route has no way out: it decides by its type.
func (e *entry) refuses() bool {
	switch e.typ {
	case TypeBlackhole, TypeUnreachable, TypeProhibit, TypeThrow:
		return true
	}
	return false
}

func (f *FIB) newHops(e *entry) ([]hop, error) {
	r := e.route
	if e.refuses() {
		if r.Family == 4 {
			return nil, nil
		}
		return []hop{{dev: loopback, weight: 1}}, nil // ip6_route_info_create: fib6_nh_dev of a reject route
	}
	ways := r.NextHops
	if len(ways) == 0 {
		if r.Dev == "" {
			return nil, errors.New("no device")
		}
		ways = []nodedump.NextHop{{Dev: r.Dev, Via: r.Via, Weight: 1, Flags: r.Flags, Encap: r.Encap}}
	}
	hops := make([]hop, 0, len(ways))
	for _, w := range ways {
		h := hop{dev: w.Dev, weight: float64(max(w.Weight, 1)), onlink: slices.Contains(w.Flags, "onlink"), encap: w.Encap}
		if w.Via != "" {
			via, err := netip.ParseAddr(w.Via)
			if err != nil {
				return nil, err
			}
			h.via = clean(via)
		}
		f.judge(&h, e, w.Flags)
		hops = append(hops, h)
	}
	return hops, nil
}

// judge finds out whether a packet can go by h. When a device goes down the
// kernel removes its routes or marks them dead (fib_sync_down_dev,
// fib6_ifdown), but for IPv4 routes of host scope: addresses stay reachable
// from inside. When it loses its carrier they are only marked linkdown, and
// dumped as dead too if a sysctl has them ignored (fib_nexthop_info).
func (f *FIB) judge(h *hop, e *entry, flags []string) {
	dead := slices.Contains(flags, "dead")
	linkdown := slices.Contains(flags, "linkdown")
	dev := f.devices.byName[h.dev]
	switch {
	case dev == nil:
		h.dead = dead || f.devices.known
	case !dev.up():
		h.dead = dead || e.prefix.Addr().Is6() || e.scope < scopeHost
	case linkdown:
		h.idle = dead || f.ignoresLinkdown(h.dev, e.prefix.Addr().Is6())
	default:
		h.dead = dead
	}
}

// ignoresLinkdown is ip_ignore_linkdown and ip6_ignore_linkdown: conf/all
// counts for IPv4 only.
func (f *FIB) ignoresLinkdown(dev string, ipv6 bool) bool {
	const key = "ignore_routes_with_linkdown"
	if ipv6 {
		v, _, _ := f.conf("ipv6", dev, key)
		return v != 0
	}
	v, _ := f.confMax(dev, key)
	return v != 0
}

// good is fib_lookup_good_nhc: whether a packet that must leave by oif, unless
// that is "", can go by h.
func (h *hop) good(oif string, ignoreLinkstate bool) bool {
	return !h.dead && (!h.idle || ignoreLinkstate) && (oif == "" || oif == h.dev)
}

// uses is fib_info_nh_uses_dev: whether any way of the route leaves by dev.
func (e *entry) uses(dev string, d *devices) bool {
	for i := range e.hops {
		if e.hops[i].dev == dev || d.master(e.hops[i].dev) == dev {
			return true
		}
	}
	return false
}

// pickable returns the weights of the hops, 0 for those that cannot be
// used, by oif unless that is "".
func (e *entry) pickable(oif string) []float64 {
	weights := make([]float64, len(e.hops))
	for i := range e.hops {
		if e.hops[i].good(oif, false) {
			weights[i] = e.hops[i].weight
		}
	}
	return weights
}
