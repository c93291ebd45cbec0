package route

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// isBroadcast reports whether a is the limited broadcast address.
func isBroadcast(a netip.Addr) bool { return a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) }

// Lookup routes a packet as ip_route_output_key_hash_rcu and
// ip6_route_output do for packets that were born here, ip_route_input_slow and
// ip6_route_input for those that came in by q.IIf: policy rules in order of
// priority, each with its table. Multipath routes are decided by c, one way
// per next hop that can be used; a nil c takes the first.
//
// Lookup does not judge the source of packets that came in (see
// [FIB.Validate]), nor whether they may be forwarded (see [FIB.Forwarding]).
func (f *FIB) Lookup(q Query, c *netfilter.Choices) Result {
	q.Src, q.Dst = clean(q.Src), clean(q.Dst)
	switch {
	case !q.Dst.IsValid():
		return Result{Type: TypeNone, Src: q.Src, Doubt: f.v4.doubt}
	case q.Dst.Is6():
		return f.lookupIPv6(q, c)
	case q.IIf == "":
		return f.output4(q, c)
	}
	return f.input4(q, c)
}

// input4 is ip_route_input_slow, as far as it routes.
func (f *FIB) input4(q Query, c *netfilter.Choices) Result {
	r := Result{Type: TypeNone, Src: q.Src, Doubt: f.v4.doubt}
	switch {
	case isBroadcast(q.Dst):
		r.Type, r.Dev = TypeBroadcast, f.loopbackOf(q.IIf)
		return r
	case q.Dst.IsMulticast():
		r.Type, r.Dev = TypeMulticast, q.IIf
		return r
	case q.Dst.IsUnspecified():
		return r
	}
	fl := q.flow(&f.devices)
	a, doubt := f.ask(&fl)
	if a.entry == nil || a.refusal != "" {
		return f.refused(q, a, doubt)
	}
	r = f.result(q, a, doubt)
	switch a.entry.typ {
	case TypeLocal, TypeBroadcast:
		r.Dev, r.Via = f.loopbackOf(r.Dev), netip.Addr{}
	case TypeUnicast:
		r.take(&a.entry.hops[a.entry.pick("", c)])
	}
	return r
}

// output4 is ip_route_output_key_hash_rcu.
func (f *FIB) output4(q Query, c *netfilter.Choices) Result {
	if r, refused := f.checkSender(q); refused {
		return r
	}
	if out := f.multicastDevice(q); out != "" {
		return f.direct(q, out, nil)
	}
	if q.Dst.IsUnspecified() {
		q = q.toSelf()
	}
	fl := q.flow(&f.devices)
	a, doubt := f.ask(&fl)
	if a.entry == nil || a.refusal != "" {
		if q.OIf != "" && (fl.vrf == "" || q.Dst.IsMulticast()) {
			return f.direct(q, q.OIf, doubt)
		}
		return f.refused(q, a, doubt)
	}
	r := f.result(q, a, doubt)
	if a.entry.typ == TypeLocal {
		return f.outputLocal(q, r, a.entry)
	}
	h := &a.entry.hops[a.hop]
	if q.OIf == "" {
		h = f.selectPath(&r, a.entry, c)
	}
	if !r.Src.IsValid() {
		r.Src = f.prefsrc4(a.entry, h)
	}
	return f.finish4(q, r)
}

// toSelf returns a query to 0.0.0.0 as the kernel takes it: to this host.
func (q Query) toSelf() Query {
	if q.Dst = q.Src; !q.Dst.IsValid() {
		q.Dst = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	q.OIf = ""
	return q
}

// outputLocal is what ip_route_output_key_hash_rcu does with RTN_LOCAL: the
// sender without address uses the route's, or the destination itself.
func (f *FIB) outputLocal(q Query, r Result, e *entry) Result {
	if !r.Src.IsValid() {
		r.Src = q.Dst
		if e.prefsrc.IsValid() {
			r.Src = e.prefsrc
		}
	}
	r.Dev, r.Via = f.loopbackOf(r.Dev), netip.Addr{}
	return f.finish4(q, r)
}

// selectPath is fib_select_path.
func (f *FIB) selectPath(r *Result, e *entry, c *netfilter.Choices) *hop {
	h := &e.hops[e.pick("", c)]
	r.take(h)
	if len(e.hops) > 1 {
		if r.Src.IsValid() && r.Doubt == nil && f.sourceMatters(r.Src, e) {
			r.Doubt = &model.Doubt{What: "Linux 6.16 and later prefer the next hop to which " + r.Src.String() +
				" belongs; the kernel's version is not looked at: " + e.text(), Evidence: r.Evidence}
		}
		return h
	}
	if e.prefix.Bits() == 0 && e.typ == TypeUnicast && r.Doubt == nil && f.rivals(e) {
		r.Doubt = &model.Doubt{What: "several default routes of equal metric: the kernel takes a gateway that answers " +
			"(fib_select_default)", Evidence: r.Evidence}
	}
	return h
}

// sourceMatters reports whether some but not all next hops have src as the
// address to send from (fib_select_multipath).
func (f *FIB) sourceMatters(src netip.Addr, e *entry) bool {
	n := 0
	for i := range e.hops {
		if f.prefsrc4(&entry{scope: e.scope}, &e.hops[i]) == src {
			n++
		}
	}
	return n > 0 && n < len(e.hops)
}

// rivals reports whether another default route through a gateway is as good
// as e.
func (f *FIB) rivals(e *entry) bool {
	entries, _ := f.v4.tables[e.table].lpm.Get(e.prefix)
	n := 0
	for _, other := range entries {
		if other.typ == TypeUnicast && other.metric == e.metric && other.tos == e.tos && other.hops[0].via.IsValid() {
			n++
		}
	}
	return n > 1
}

// checkSender refuses what a local sender cannot send: from an address that is
// not its own, or by a device that is down.
func (f *FIB) checkSender(q Query) (Result, bool) {
	r := Result{Type: TypeNone, Src: q.Src, Doubt: f.v4.doubt}
	switch src := q.Src; {
	case !src.IsValid():
	case src.IsMulticast(), isBroadcast(src), src.IsUnspecified():
		r.Rule = "nobody sends from " + src.String()
		return r, true
	case !q.AnySrc && f.devices.known && !f.hasLocal(src):
		r.Rule = src.String() + " is not an address of this namespace"
		return r, true
	}
	if q.OIf == "" {
		return r, false
	}
	dev := f.devices.byName[q.OIf]
	if dev == nil && f.devices.known {
		r.Rule = "device " + q.OIf + " does not exist"
		return r, true
	}
	if dev != nil && !dev.up() {
		r.Rule, r.Evidence = "device "+q.OIf+" is down", f.evidence(dev.Line)
		return r, true
	}
	return r, false
}

// hasLocal is __ip_dev_find: the addresses of the devices, then the local
// table.
func (f *FIB) hasLocal(a netip.Addr) bool {
	return f.devices.byAddr[a] != nil || f.addrType4(a, "") == netfilter.AddrLocal
}

// multicastDevice returns the device that a multicast or broadcast leaves by
// without a lookup, "" if it takes one.
func (f *FIB) multicastDevice(q Query) string {
	if q.OIf != "" {
		if isBroadcast(q.Dst) || isLocalMulticast(q.Dst) {
			return q.OIf
		}
		return ""
	}
	if !q.Src.IsValid() || !isBroadcast(q.Dst) && !q.Dst.IsMulticast() {
		return ""
	}
	if dev := f.devices.byAddr[q.Src]; dev != nil {
		return dev.Name
	}
	a := f.localTable().lookup4(&flow{dst: q.Src}) // __ip_dev_find
	if a.entry == nil || a.entry.typ != TypeLocal {
		return ""
	}
	return a.entry.hops[0].dev
}

// isLocalMulticast is ipv4_is_local_multicast: 224.0.0.0/24.
func isLocalMulticast(a netip.Addr) bool { return a.Is4() && a.IsLinkLocalMulticast() }

// direct is the result of a sender bound to a device without a route: what it
// sends is taken to be on link.
func (f *FIB) direct(q Query, dev string, doubt *model.Doubt) Result {
	r := Result{Type: TypeUnicast, Dev: dev, Src: q.Src, Scope: scopeLink.String(), Doubt: doubt,
		Text: "no route: on link, because the sender is bound to " + dev}
	if !r.Src.IsValid() {
		r.Src = f.selectAddr(dev, netip.Addr{}, scopeLink)
	}
	return f.finish4(q, r)
}

// finish4 is __mkroute_output: broadcasts and multicasts take no gateway, and
// loopback addresses do not leave.
func (f *FIB) finish4(q Query, r Result) Result {
	switch {
	case isBroadcast(q.Dst):
		r.Type = TypeBroadcast
	case q.Dst.IsMulticast():
		r.Type = TypeMulticast
	}
	if r.Type == TypeBroadcast || r.Type == TypeMulticast && r.Prefix.Bits() < 4 {
		r.Via, r.OnLink = netip.Addr{}, false
	}
	dev := f.devices.byName[r.Dev]
	if !r.Src.IsLoopback() || dev == nil || dev.isLoopback() || dev.Kind == "vrf" {
		return r
	}
	if v, ev := f.confMax(r.Dev, "route_localnet"); v == 0 {
		return Result{Type: TypeNone, Src: r.Src, Evidence: ev, Doubt: r.Doubt,
			Rule: r.Src.String() + " may not leave by " + r.Dev + " (route_localnet is off)"}
	}
	return r
}

// loopbackOf returns the device that delivers what is local: lo, or the VRF
// that dev belongs to.
func (f *FIB) loopbackOf(dev string) string {
	if m := f.devices.master(dev); m != "" {
		return m
	}
	return loopback
}
