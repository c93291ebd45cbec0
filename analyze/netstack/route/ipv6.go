package route

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// lookupIPv6 is ip6_route_output and ip6_route_input.
func (f *FIB) lookupIPv6(q Query, c *netfilter.Choices) Result {
	fl := q.flow(&f.devices)
	fl.choices = c
	if q.IIf == "" {
		fl.near, fl.strict = fl.oif, q.OIf != "" || needsStrict(q.Dst)
	} else {
		fl.near, fl.strict = fl.iif, needsStrict(q.Dst) // ip6_pol_route_input prefers routes that lead back
	}
	a, doubt := f.ask(&fl)
	if a.entry == nil || a.refusal != "" {
		return f.refused(q, a, doubt)
	}
	r := f.result(q, a, doubt)
	if q.IIf == "" && !r.Src.IsValid() { // ip6_route_get_saddr
		if r.Src = a.entry.prefsrc; !r.Src.IsValid() {
			r.Src = f.selectAddr6(r.Dev, q.Dst)
		}
	}
	return f.finish6(q, r, a.entry)
}

// finish6 is ip6_rt_init_dst with ip6_rt_get_dev_rcu: what is local is
// delivered by the loopback device, whatever device has the address. Whether a
// packet is for a group, its destination says, not the route. An anycast route
// that somebody added takes what comes in, but what is sent leaves by it: only
// the kernel's own are marked (RTF_ANYCAST).
func (f *FIB) finish6(q Query, r Result, e *entry) Result {
	added := e.route != nil && e.route.Protocol != "kernel"
	switch {
	case q.Dst.IsMulticast():
		r.Type = TypeMulticast
	case r.Type == TypeMulticast, r.Type == TypeAnycast && q.IIf == "" && added:
		r.Type = TypeUnicast
	case r.Type == TypeLocal, r.Type == TypeAnycast:
		r.Dev, r.Via = f.loopbackOf(r.Dev), netip.Addr{}
	}
	return r
}
