package route

import "net/netip"

// selectAddr is inet_select_addr: the address of dev that a sender uses
// towards dst, the next hop if the route has one. An address of the next
// hop's subnet is preferred, then the first; addresses of a smaller scope
// than s are not used. A device without one borrows from another.
func (f *FIB) selectAddr(name string, dst netip.Addr, s scope) netip.Addr {
	nearest := scopeHost
	if v, _ := f.confMax(name, "route_localnet"); v != 0 {
		nearest = scopeLink
	}
	var first netip.Addr
	if dev := f.devices.byName[name]; dev != nil {
		for _, a := range dev.addrs {
			if !a.ip.Is4() || a.secondary || min(a.scope, nearest) > s {
				continue
			}
			if !dst.IsValid() || a.prefix.Contains(dst) {
				return a.ip
			}
			if !first.IsValid() {
				first = a.ip
			}
		}
	}
	if first.IsValid() {
		return first
	}
	return f.borrowAddr(name, s)
}

// borrowAddr takes the first fitting address of the device's VRF, or of any
// device of the same VRF, or of none.
func (f *FIB) borrowAddr(name string, s scope) netip.Addr {
	master := f.devices.master(name)
	if vrf := f.devices.byName[master]; vrf != nil {
		if a := vrf.anyAddr(s); a.IsValid() {
			return a
		}
	}
	for _, dev := range f.devices.all {
		if f.devices.master(dev.Name) != master {
			continue
		}
		if a := dev.anyAddr(s); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// anyAddr is in_dev_select_addr.
func (d *device) anyAddr(s scope) netip.Addr {
	for _, a := range d.addrs {
		if a.ip.Is4() && !a.secondary && a.scope != scopeLink && a.scope <= s {
			return a.ip
		}
	}
	return netip.Addr{}
}

// prefsrc4 is fib_result_prefsrc: the source address that a route gives.
func (f *FIB) prefsrc4(e *entry, h *hop) netip.Addr {
	if e.prefsrc.IsValid() {
		return e.prefsrc
	}
	via := h.via
	if via.Is6() {
		via = netip.Addr{}
	}
	return f.selectAddr(h.dev, via, e.scope)
}

// EgressAddr returns the address that MASQUERADE gives to a packet that leaves
// by dev; zero if there is none.
//
// For IPv4 dst is the next hop: the route's gateway, or the packet's
// destination if it is on link or the gateway is an IPv6 address
// (nf_nat_masquerade_ipv4: inet_select_addr with universe scope). For IPv6 dst
// is the packet's destination (nf_nat_masquerade_ipv6: ipv6_dev_get_saddr).
func (f *FIB) EgressAddr(dev string, dst netip.Addr) netip.Addr {
	if dst = clean(dst); dst.Is6() {
		return f.selectAddr6(dev, dst)
	}
	return f.selectAddr(dev, dst, scopeGlobal)
}

// InputAddr returns the first address of dev, which REDIRECT sends packets to
// that came in by it (nf_nat_redirect_ipv4, nf_nat_redirect_ipv6: there the
// first global one); zero if it has none of the family.
func (f *FIB) InputAddr(dev string, ipv6 bool) netip.Addr {
	d := f.devices.byName[dev]
	if d == nil {
		return netip.Addr{}
	}
	var first netip.Addr
	for _, a := range d.addrs {
		if a.ip.Is6() != ipv6 || a.tentative {
			continue
		}
		if !ipv6 || a.ip.IsGlobalUnicast() {
			return a.ip
		}
		if !first.IsValid() {
			first = a.ip
		}
	}
	return first
}
