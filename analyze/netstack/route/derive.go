package route

import (
	"encoding/binary"
	"net/netip"
)

// deriveLocal makes the local table of a family from the addresses if the
// dump has none, as fib_add_ifaddr and addrconf do.
func (f *FIB) deriveLocal() {
	need4, need6 := f.v4.tables[TableLocal] == nil, f.v6.tables[TableLocal] == nil
	for _, dev := range f.devices.all {
		for _, a := range dev.addrs {
			switch {
			case a.ip.Is4() && need4:
				f.deriveLocal4(dev, a)
			case a.ip.Is6() && need6 && !a.tentative && dev.up():
				f.derive(dev, TypeLocal, netip.PrefixFrom(a.ip, 128), netip.Addr{}, scopeGlobal)
			}
		}
	}
	if need6 && f.v6.tables[TableLocal] != nil {
		f.deriveMulticast6()
	}
}

// deriveMulticast6 is addrconf_add_mroute, for each device.
func (f *FIB) deriveMulticast6() {
	for _, dev := range f.devices.all {
		if dev.up() && !dev.isLoopback() {
			f.derive(dev, TypeMulticast, netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8), netip.Addr{}, scopeGlobal)
		}
	}
}

// deriveLocal4 is fib_add_ifaddr.
func (f *FIB) deriveLocal4(dev *device, a address) {
	src := a.ip
	if a.secondary {
		src = primary(dev, a)
	}
	f.derive(dev, TypeLocal, netip.PrefixFrom(a.ip, 32), src, scopeHost)
	if !dev.up() || a.secondary || a.prefix.Bits() == 32 {
		return
	}
	if dev.isLoopback() {
		f.derive(dev, TypeLocal, a.prefix, src, scopeHost)
	}
	if a.prefix.Bits() < 31 {
		f.derive(dev, TypeBroadcast, netip.PrefixFrom(lastOf(a.prefix), 32), src, scopeLink)
	}
}

// primary returns the address that a secondary one belongs to: the first of
// the same prefix.
func primary(dev *device, a address) netip.Addr {
	for _, p := range dev.addrs {
		if !p.secondary && p.prefix == a.prefix {
			return p.ip
		}
	}
	return a.ip
}

// lastOf returns the last address of an IPv4 prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	last := binary.BigEndian.Uint32(b[:]) | uint32(1<<(32-p.Bits())-1)
	binary.BigEndian.PutUint32(b[:], last)
	return netip.AddrFrom4(b)
}

func (f *FIB) derive(dev *device, typ Type, prefix netip.Prefix, src netip.Addr, s scope) {
	e := &entry{prefix: prefix, prefsrc: src, typ: typ, scope: s, table: TableLocal, line: dev.Line,
		derived: "address of " + dev.Name, hops: []hop{{dev: dev.Name, weight: 1}}}
	fam := &f.v4
	if prefix.Addr().Is6() {
		fam = &f.v6
		if typ == TypeMulticast {
			e.metric = 256
		}
	}
	f.judge(&e.hops[0], e, nil)
	f.insert(fam, e)
}
