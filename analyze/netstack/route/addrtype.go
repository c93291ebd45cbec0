package route

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// AddrType returns the type of a as "-m addrtype" and "fib daddr type" see it;
// dev limits LOCAL (and BROADCAST) to what belongs to that device, "" does
// not limit. For IPv4 the local table tells (inet_dev_addr_type), for IPv6 a
// lookup (match_lookup_rt6).
func (f *FIB) AddrType(a netip.Addr, dev string) netfilter.AddrType {
	if a = clean(a); a.Is4() {
		return f.addrType4(a, dev)
	}
	return f.addrType6(a, dev)
}

func (f *FIB) addrType4(a netip.Addr, dev string) netfilter.AddrType {
	switch {
	case a.IsUnspecified(), isBroadcast(a):
		return netfilter.AddrBroadcast
	case a.IsMulticast():
		return netfilter.AddrMulticast
	}
	if !f.devices.known && f.v4.tables[TableLocal] == nil {
		return netfilter.AddrUnknown
	}
	got := f.localTable().lookup4(&flow{dst: a})
	if got.entry == nil || got.refusal != "" || dev != "" && got.entry.hops[0].dev != dev {
		return netfilter.AddrUnicast
	}
	return addrTypeOf(got.entry.typ)
}

// localTable returns the IPv4 table local, which shares one trie with main
// unless there are custom rules.
func (f *FIB) localTable() *table {
	if f.merged {
		return f.v4.both
	}
	return f.v4.tables[TableLocal]
}

func addrTypeOf(t Type) netfilter.AddrType {
	switch t {
	case TypeLocal:
		return netfilter.AddrLocal
	case TypeBroadcast:
		return netfilter.AddrBroadcast
	case TypeMulticast:
		return netfilter.AddrMulticast
	case TypeAnycast:
		return "ANYCAST"
	}
	return netfilter.AddrUnicast
}

func (f *FIB) addrType6(a netip.Addr, dev string) netfilter.AddrType {
	switch {
	case a.IsUnspecified():
		return netfilter.AddrUnspec
	case a.IsMulticast():
		return netfilter.AddrMulticast
	case f.hasAddr6(a, dev):
		return netfilter.AddrLocal
	case !f.devices.known && f.v6.tables[TableLocal] == nil:
		return netfilter.AddrUnknown
	}
	fl := Query{Dst: a, OIf: dev}.flow(&f.devices)
	fl.near, fl.strict = dev, dev != ""
	got, _ := f.ask(&fl)
	switch {
	case got.entry == nil || got.refusal != "":
		return netfilter.AddrUnreachable
	case got.entry.typ == TypeLocal && dev != "":
		return netfilter.AddrUnicast
	}
	return addrTypeOf(got.entry.typ)
}

// hasAddr6 is ipv6_chk_addr.
func (f *FIB) hasAddr6(a netip.Addr, dev string) bool {
	for _, d := range f.devices.all {
		if dev != "" && d.Name != dev {
			continue
		}
		for _, own := range d.addrs {
			if own.ip == a && !own.tentative {
				return true
			}
		}
	}
	return false
}

// IsLocal reports whether a packet to a is delivered in this namespace,
// whatever device it comes in by.
func (f *FIB) IsLocal(a netip.Addr) bool { return f.AddrType(a, "") == netfilter.AddrLocal }
