package route

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A Refusal says why the kernel discards a packet because of its source, or of
// an impossible destination.
type Refusal struct {
	Code     string // a code of model.Codes: "sysctl/rp-filter", "sysctl/route-localnet", "walk/martian"
	Why      string // one sentence for people
	Evidence string // file:line of the sysctl or route that decided, "" if none did
}

const (
	codeRPFilter      = "sysctl/rp-filter"
	codeRouteLocalnet = "sysctl/route-localnet"
	codeMartian       = "walk/martian"
)

// Validate says why a packet that came in by q.IIf is discarded as martian or
// by reverse path filtering, nil if it is not: the checks of
// ip_route_input_slow and fib_validate_source, for IPv6 those of ip6_rcv_core.
// It is nil for packets that were born here and for those that are not routed
// anyway.
//
// Which checks apply to a packet that is forwarded depends on the device that
// it is to leave by: q.OIf names it, as [Result].Dev said; if that is "" the
// first next hop of a multipath route counts.
func (f *FIB) Validate(q Query) *Refusal {
	q.Src, q.Dst = clean(q.Src), clean(q.Dst)
	switch {
	case q.IIf == "" || q.IIf == loopback || !q.Src.IsValid() || !q.Dst.IsValid():
		return nil
	case q.Dst.Is6():
		return f.validate6(q)
	}
	dev := q.IIf
	if m := f.devices.master(dev); m != "" {
		dev = m // l3mdev_ip_rcv
	}
	if r := f.weird4(q, dev); r != nil {
		return r
	}
	switch {
	case isBroadcast(q.Dst) || q.Dst.IsMulticast():
		if q.Src.IsUnspecified() {
			return nil
		}
		return f.validateSource(q, dev, netip.Addr{}, "")
	case q.Dst.IsUnspecified():
		return nil
	}
	return f.validateRouted(q, dev)
}

// FilterMatters reports whether strict reverse path filtering would discard a
// packet that came in by q.IIf: what the sysctl rp_filter says then decides.
func (f *FIB) FilterMatters(q Query) bool {
	strict := *f
	strict.settings = map[confKey]setting{{"ipv4", "all", "rp_filter"}: {value: 1}}
	refused := strict.Validate(q)
	return refused != nil && refused.Code == codeRPFilter
}

// weird4 is the head of ip_route_input_slow: addresses that no route decides
// about.
func (f *FIB) weird4(q Query, dev string) *Refusal {
	switch {
	case q.Src.IsMulticast(), isBroadcast(q.Src):
		return martian("source %s is not an address to send from", q.Src)
	case q.Src.IsUnspecified():
		if isBroadcast(q.Dst) || q.Dst.IsUnspecified() || isLocalMulticast(q.Dst) {
			return nil
		}
		return martian("source %s may only broadcast", q.Src)
	case isBroadcast(q.Dst):
		return nil
	case q.Dst.IsUnspecified():
		return martian("destination %s means nothing from outside", q.Dst)
	case q.Dst.IsLoopback(), q.Src.IsLoopback():
		return f.checkLocalnet(q, dev)
	}
	return nil
}

func (f *FIB) checkLocalnet(q Query, dev string) *Refusal {
	v, ev := f.confMax(dev, "route_localnet")
	if v != 0 {
		return nil
	}
	return &Refusal{Code: codeRouteLocalnet, Evidence: ev,
		Why: fmt.Sprintf("%s > %s came in by %s, where loopback addresses are martian: route_localnet is off", q.Src, q.Dst, dev)}
}

func martian(format string, args ...any) *Refusal {
	return &Refusal{Code: codeMartian, Why: fmt.Sprintf(format, args...)}
}

// validateRouted is the rest of ip_route_input_slow: it routes the packet to
// know which check comes next.
func (f *FIB) validateRouted(q Query, dev string) *Refusal {
	out := q.OIf
	q.OIf = ""
	fl := q.flow(&f.devices)
	a, _ := f.ask(&fl)
	if a.entry == nil || a.refusal != "" {
		return nil
	}
	switch a.entry.typ {
	case TypeLocal:
		return f.validateSource(q, dev, q.Dst, "")
	case TypeBroadcast:
		return f.validateSource(q, dev, netip.Addr{}, "")
	}
	if on, _, known := f.Forwarding(dev, false); known && !on {
		return nil
	}
	if a.entry.typ != TypeUnicast {
		return &Refusal{Code: codeMartian, Evidence: f.evidence(a.entry.line),
			Why: fmt.Sprintf("destination %s is %s and cannot be forwarded to", q.Dst, a.entry.typ)}
	}
	if out == "" {
		out = a.entry.hops[a.hop].dev
	}
	return f.validateSource(q, dev, q.Dst, out)
}

// validateSource is fib_validate_source. The packet is to leave by out, or to
// stay here if that is "".
func (f *FIB) validateSource(q Query, dev string, dst netip.Addr, out string) *Refusal {
	filter, _ := f.confMax(dev, "rp_filter")
	redirects, _ := f.confMax(dev, "send_redirects")
	if filter == 0 && (dev != out || redirects == 0) {
		if v, _ := f.confMax(dev, "accept_local"); v != 0 {
			return nil
		}
		if f.merged && !f.custom {
			return f.checkOwnSource(q)
		}
	}
	return f.checkReverse(q, dev, dst, out)
}

// checkOwnSource is inet_lookup_ifaddr_rcu.
func (f *FIB) checkOwnSource(q Query) *Refusal {
	owner := f.devices.byAddr[q.Src]
	if owner == nil {
		return nil
	}
	return &Refusal{Code: codeMartian, Evidence: f.evidence(owner.Line),
		Why: fmt.Sprintf("source %s is an address of this namespace itself (%s)", q.Src, owner.Name)}
}

// checkReverse is __fib_validate_source: would a packet to the source leave by
// the device that this one came in by?
func (f *FIB) checkReverse(q Query, dev string, dst netip.Addr, out string) *Refusal {
	filter, filterEvidence := f.confMax(dev, "rp_filter")
	fl := f.reverse(q, dev, dst, out)
	a, _ := f.ask(&fl)
	if a.entry == nil || a.refusal != "" {
		return f.lastResort(q, dev, a)
	}
	if a.entry.typ != TypeUnicast {
		accept, _ := f.confMax(dev, "accept_local")
		if a.entry.typ != TypeLocal || accept == 0 {
			return &Refusal{Code: codeMartian, Evidence: f.evidence(a.entry.line),
				Why: fmt.Sprintf("source %s is %s here: %s", q.Src, a.entry.typ, a.entry.text())}
		}
	}
	switch {
	case a.entry.uses(dev, &f.devices):
		return nil
	case f.hasNoAddress(dev):
		return f.lastResort(q, dev, a)
	case filter == 1:
		return &Refusal{Code: codeRPFilter, Evidence: filterEvidence,
			Why: fmt.Sprintf("strict reverse path filter on %s: the way back to %s is %s (%s)",
				dev, q.Src, a.entry.text(), f.evidence(a.entry.line))}
	}
	return nil
}

// reverse returns the flow of the way back.
func (f *FIB) reverse(q Query, dev string, dst netip.Addr, out string) flow {
	back := q
	back.Src, back.Dst = dst, q.Src
	back.IIf, back.OIf = out, ""
	back.SPort, back.DPort = q.DPort, q.SPort
	if v, _ := f.confMax(dev, "src_valid_mark"); v == 0 {
		back.Mark = 0
	}
	if !f.dissects {
		back.Protocol, back.SPort, back.DPort = "", 0, 0
	}
	fl := back.flow(&f.devices)
	fl.vrf, fl.local = f.devices.master(dev), false
	if out != "" {
		fl.iif = out
	}
	return fl
}

// lastResort decides when no route leads back: any filtering refuses then.
func (f *FIB) lastResort(q Query, dev string, a answer) *Refusal {
	filter, ev := f.confMax(dev, "rp_filter")
	if filter == 0 {
		return nil
	}
	why := fmt.Sprintf("reverse path filter on %s: there is no way back to %s", dev, q.Src)
	if a.entry != nil {
		why += " by this device: " + a.entry.text() + " (" + f.evidence(a.entry.line) + ")"
	}
	return &Refusal{Code: codeRPFilter, Why: why, Evidence: ev}
}

// hasNoAddress reports whether the device has no IPv4 address (no ifa_list).
func (f *FIB) hasNoAddress(dev string) bool {
	d := f.devices.byName[dev]
	if d == nil {
		return f.devices.known
	}
	for _, a := range d.addrs {
		if a.ip.Is4() {
			return false
		}
	}
	return true
}

// validate6 is ip6_rcv_core: IPv6 has no reverse path filter.
func (f *FIB) validate6(q Query) *Refusal {
	dev := f.devices.byName[q.IIf]
	switch {
	case dev != nil && (dev.isLoopback() || dev.Kind == "vrf"):
		return nil
	case q.Src.IsLoopback(), q.Dst.IsLoopback():
		return martian("%s > %s came in by %s: loopback addresses do not cross devices", q.Src, q.Dst, q.IIf)
	case q.Src.IsMulticast():
		return martian("source %s is multicast", q.Src)
	case q.Dst.IsUnspecified():
		return martian("destination %s means nothing from outside", q.Dst)
	}
	return nil
}

// ReversePath answers "-m rpfilter" of iptables and "fib saddr . iif" of nft:
// whether a packet to q.Src would leave by q.IIf, or at all if loose
// (rpfilter_lookup_reverse). q.Mark must be 0 unless the rule says
// --validmark. q.OIf is the device that routes and rules of IPv6 are asked for:
// iptables asks for q.IIf unless loose, nft for none. acceptLocal also takes sources of this namespace.
func (f *FIB) ReversePath(q Query, loose, acceptLocal bool) bool {
	return f.ReversePathBy(q, loose, acceptLocal, nil)
}

// ReversePathBy is ReversePath with what decides multipath routes of IPv6, which
// nft's fib meets as any packet does: the hash of the flow chooses the device
// (ip6_pol_route_lookup). A nil c takes the first.
func (f *FIB) ReversePathBy(q Query, loose, acceptLocal bool, c *netfilter.Choices) bool {
	q.Src, q.Dst = clean(q.Src), clean(q.Dst)
	if !q.Src.IsValid() {
		return false
	}
	dst := q.Dst
	if dst.IsMulticast() || isBroadcast(dst) || dst.IsUnspecified() {
		dst = netip.Addr{}
	}
	fl := flow{src: dst, dst: q.Src, iif: loopback, mark: q.Mark, tos: q.TOS,
		vrf: f.devices.master(q.IIf), ignoreLinkstate: true}
	if q.Src.Is6() {
		fl.proto, fl.choices = protocolNumber(string(q.Protocol)), c // IPv4's flow has no protocol
		return f.reversePath6(&fl, q, loose, acceptLocal)
	}
	a, _ := f.ask(&fl)
	switch {
	case a.entry == nil || a.refusal != "":
		return false
	case a.entry.typ != TypeUnicast && (a.entry.typ != TypeLocal || !acceptLocal):
		return false
	}
	return loose || a.entry.uses(q.IIf, &f.devices)
}

// reversePath6 is rpfilter_lookup_reverse6, and nft_fib6_eval.
func (f *FIB) reversePath6(fl *flow, q Query, loose, acceptLocal bool) bool {
	dev := q.IIf
	fl.plain = true
	if fl.near = q.OIf; fl.dst.IsLinkLocalUnicast() {
		fl.near, fl.strict = dev, true
	}
	fl.oif = fl.near
	a, _ := f.ask(fl)
	switch {
	case a.entry == nil || a.refusal != "":
		return false
	case a.entry.typ == TypeLocal || a.entry.typ == TypeAnycast:
		return acceptLocal && a.entry.typ == TypeLocal
	}
	return loose || a.entry.hops[a.hop].dev == dev
}
