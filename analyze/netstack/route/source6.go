package route

import (
	"math/bits"
	"net/netip"
)

// selectAddr6 is ipv6_dev_get_saddr: the source address towards dst for a
// packet that leaves by dev, by the rules of RFC 6724. Addresses of all
// devices are candidates unless dst means nothing beyond its link.
func (f *FIB) selectAddr6(name string, dst netip.Addr) netip.Addr {
	var best candidate
	master := f.devices.master(name)
	only, _, _ := f.conf("ipv6", name, "use_oif_addrs_only")
	near := dst.IsMulticast() || scope6(dst) <= scope6Link || only != 0
	for _, dev := range f.devices.all {
		if near && dev.Name != name || f.devices.master(dev.Name) != master || !dev.up() {
			continue
		}
		for _, c := range f.candidates(dev, name) {
			if !best.ip.IsValid() || c.beats(best, dst) {
				best = c
			}
		}
	}
	return best.ip
}

// candidates returns the addresses of dev that may be used for a packet that
// leaves by the device out.
func (f *FIB) candidates(dev *device, out string) (all []candidate) {
	temporary, _, _ := f.conf("ipv6", dev.Name, "use_tempaddr")
	for _, a := range dev.addrs {
		if a.ip.Is6() && !a.tentative && !a.ip.IsMulticast() {
			all = append(all, candidate{address: a, here: out == "" || dev.Name == out, private: a.temporary == (temporary >= 2)})
		}
	}
	return all
}

// A candidate is an address that may become a source address.
type candidate struct {
	address
	here    bool // it belongs to the device that the packet leaves by
	private bool // its being temporary or not is as the device wants it
}

// beats reports whether c is better than d, by ipv6_get_saddr_eval: the first
// rule that tells them apart decides, a tie is won by the earlier one.
func (c candidate) beats(d candidate, dst netip.Addr) bool {
	mine, other := c.score(dst), d.score(dst)
	for i := range mine {
		if mine[i] != other[i] {
			return mine[i] > other[i]
		}
	}
	return false
}

// score rates c by the rules of RFC 6724 that the kernel applies, in order.
func (c candidate) score(dst netip.Addr) [7]int {
	distance := scope6(c.ip)
	if distance >= scope6(dst) {
		distance = -distance
	} else {
		distance -= 128
	}
	return [...]int{
		number(c.ip == dst),
		distance,
		number(!c.outdated),
		number(c.here),
		number(label6(c.ip) == label6(dst)),
		number(c.private),
		min(commonBits(c.ip, dst), c.prefix.Bits()),
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// The scopes of IPv6 addresses, as in multicast addresses (RFC 4291).
const (
	scope6Node   = 1
	scope6Link   = 2
	scope6Site   = 5
	scope6Global = 14
)

// scope6 is __ipv6_addr_src_scope.
func scope6(a netip.Addr) int {
	b := a.As16()
	switch {
	case a.IsMulticast():
		return int(b[1] & 0xf)
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return scope6Link
	case b[0] == 0xfe && b[1]&0xc0 == 0xc0:
		return scope6Site
	}
	return scope6Global
}

// label6 is ipv6_addr_label with the kernel's own policy table.
func label6(a netip.Addr) int {
	label, longest := 1, -1
	for _, row := range [...]struct {
		prefix netip.Prefix
		label  int
	}{
		{netip.PrefixFrom(netip.IPv6Loopback(), 128), 0},
		{prefix6(0, 0, 96), 3},
		{netip.PrefixFrom(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff}), 96), 4},
		{prefix6(0x2001, 0, 32), 6},
		{prefix6(0x2001, 0x10, 28), 7},
		{prefix6(0x2002, 0, 16), 2},
		{prefix6(0x3ffe, 0, 16), 12},
		{prefix6(0xfec0, 0, 10), 11},
		{prefix6(0xfc00, 0, 7), 5},
	} {
		if row.prefix.Bits() > longest && row.prefix.Contains(a) {
			label, longest = row.label, row.prefix.Bits()
		}
	}
	return label
}

// prefix6 returns the prefix whose address begins with the two groups.
func prefix6(first, second uint16, length int) netip.Prefix {
	a := [16]byte{byte(first >> 8), byte(first), byte(second >> 8), byte(second)}
	return netip.PrefixFrom(netip.AddrFrom16(a), length)
}

// commonBits is ipv6_addr_diff: how many leading bits a and b share.
func commonBits(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	for i := range x {
		if d := x[i] ^ y[i]; d != 0 {
			return 8*i + bits.LeadingZeros8(d)
		}
	}
	return 128
}

// ErrorSource6 is the address that an ICMPv6 error is sent from about a packet that
// came in by a device, if it was for another host: the best of that device, unless
// the route that q finds names one. The zero value leaves it to the routes.
func (f *FIB) ErrorSource6(in string, q Query) netip.Addr {
	fl := q.flow(&f.devices)
	if a, _ := f.ask(&fl); a.entry != nil && a.refusal == "" && a.entry.prefsrc.IsValid() {
		return netip.Addr{}
	}
	return f.selectAddr6(in, q.Dst)
}
