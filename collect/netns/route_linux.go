package netns

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Numbers that golang.org/x/sys lacks.
const (
	rtaNexthopID = 30
	rtaxMTU      = 2
	rtaxHopLimit = 10
)

// readRoutes reads every table of both families.
func (d *dumper) readRoutes() error {
	var incomplete error
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		msgs, err := d.conn.all(routeDump(unix.RTM_GETROUTE, family, unix.SizeofRtMsg), d.deadline)
		for _, msg := range msgs {
			if len(msg) < unix.SizeofRtMsg || binary.NativeEndian.Uint32(msg[8:])&unix.RTM_F_CLONED != 0 {
				continue
			}
			route, err := d.parseRoute(msg)
			if err != nil {
				incomplete = err
				continue
			}
			d.info.Routes = append(d.info.Routes, route)
		}
		if err != nil {
			return fmt.Errorf("IPv%d: %w", familyNumber(byte(family)), err)
		}
	}
	sortRoutes(d.info.Routes)
	return errors.Join(incomplete, d.resolveHops())
}

// sortRoutes orders routes by family, table and destination. Routes that are
// equal in this stay in the kernel's order, which is the order of preference.
func sortRoutes(routes []nodedump.Route) {
	dst := func(r nodedump.Route) netip.Prefix {
		prefix, _ := netip.ParsePrefix(r.Dst)
		return prefix
	}
	slices.SortStableFunc(routes, func(a, b nodedump.Route) int {
		return cmp.Or(a.Family-b.Family, a.Table-b.Table, comparePrefix(dst(a), dst(b)), a.Metric-b.Metric)
	})
}

// comparePrefix orders prefixes by address, then by length.
func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits())
}

// parseRoute reads one route.
func (d *dumper) parseRoute(msg []byte) (nodedump.Route, error) {
	a := after(msg, unix.SizeofRtMsg)
	family := familyNumber(msg[0])
	r := nodedump.Route{
		Family: family, Table: int(msg[4]),
		Type: routeType(msg[7]), Dst: prefixOf(a.addr(unix.RTA_DST), int(msg[1]), family),
		Dev: d.devName(a.num(unix.RTA_OIF)), Via: a.gateway(), Src: a.ip(unix.RTA_PREFSRC),
		Scope: scopeName(int(msg[6])), Protocol: routeProtocol(int(msg[5])),
		Metric: a.num(unix.RTA_PRIORITY), TOS: int(msg[3]),
		MTU:   a.nest(unix.RTA_METRICS).num(rtaxMTU),
		Flags: hopFlags(binary.NativeEndian.Uint32(msg[8:])),
		Encap: encapName(a.num(unix.RTA_ENCAP_TYPE)), NHID: a.num(rtaNexthopID),
		HopLimit: a.nest(unix.RTA_METRICS).num(rtaxHopLimit), Pref: routerPref(a[unix.RTA_PREF]),
	}
	if a.has(unix.RTA_TABLE) {
		r.Table = a.num(unix.RTA_TABLE)
	}
	if msg[2] != 0 {
		return r, truncated("routes that depend on the source are left out, such as to " + r.Dst)
	}
	r.NextHops = d.parseHops(a[unix.RTA_MULTIPATH])
	return r, nil
}

// routerPref names the preference of a router, "" for medium (RFC 4191).
func routerPref(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return pick(int(b[0]&3), "", "high", "", "low")
}

// parseHops reads the ways of a multipath route.
func (d *dumper) parseHops(b []byte) (hops []nodedump.NextHop) {
	for len(b) >= unix.SizeofRtNexthop {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtNexthop || size > len(b) {
			return hops
		}
		a := parseAttrs(b[unix.SizeofRtNexthop:size])
		hops = append(hops, nodedump.NextHop{
			Dev: d.devName(int(binary.NativeEndian.Uint32(b[4:]))), Via: a.gateway(),
			Weight: int(b[3]) + 1, Flags: hopFlags(uint32(b[2])), Encap: encapName(a.num(unix.RTA_ENCAP_TYPE)),
		})
		b = b[min(len(b), (size+3)&^3):]
	}
	return hops
}

// gateway returns the next hop, which may be of the other family.
func (a attrs) gateway() string {
	if via := a[unix.RTA_VIA]; len(via) > 2 {
		addr, _ := netip.AddrFromSlice(via[2:])
		return addr.String()
	}
	return a.ip(unix.RTA_GATEWAY)
}

// devName returns the name of a device, "" for none. One that came after the
// list of devices was read keeps its number.
func (d *dumper) devName(index int) string {
	if index == 0 {
		return ""
	}
	if name, ok := d.names[index]; ok {
		return name
	}
	return "if" + strconv.Itoa(index)
}

// prefixOf returns a prefix as text; no address is all of the family.
func prefixOf(addr netip.Addr, bits, family int) string {
	if !addr.IsValid() {
		addr = netip.IPv4Unspecified()
		if family == 6 {
			addr = netip.IPv6Unspecified()
		}
	}
	return netip.PrefixFrom(addr, bits).String()
}

// familyNumber returns 4 or 6.
func familyNumber(family byte) int {
	if family == unix.AF_INET6 {
		return 6
	}
	return 4
}

// routeType names the type of a route; unicast is "".
func routeType(n byte) string {
	if n == unix.RTN_UNICAST {
		return ""
	}
	return pick(int(n), "unspec", "unicast", "local", "broadcast", "anycast", "multicast",
		"blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve")
}

// routeProtocol names who made a route, as /etc/iproute2/rt_protos does.
func routeProtocol(n int) string {
	names := map[int]string{
		0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra",
		12: "bird", 13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 18: "keepalived", 42: "babel",
		186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
	}
	if name, ok := names[n]; ok {
		return name
	}
	return strconv.Itoa(n)
}

// hopFlags names the flags of a route or of a next hop.
func hopFlags(flags uint32) []string {
	return flagNames(flags, []flagName{
		{unix.RTNH_F_DEAD, "dead"}, {unix.RTNH_F_ONLINK, "onlink"}, {unix.RTNH_F_PERVASIVE, "pervasive"},
		{unix.RTNH_F_OFFLOAD, "offload"}, {unix.RTNH_F_TRAP, "trap"}, {unix.RTNH_F_LINKDOWN, "linkdown"},
		{unix.RTNH_F_UNRESOLVED, "unresolved"},
	})
}

// encapName names the kind of a lightweight tunnel, "" for none.
func encapName(n int) string {
	return pick(n, "", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm")
}
