// Package route is the routing state of one network namespace: policy rules,
// tables and local addresses, answered for one packet as the Linux kernel
// does. It reads no file and changes nothing.
package route

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A FIB is the routing state of one network namespace (forwarding information
// base). It is immutable and safe for concurrent use.
type FIB struct {
	info *nodedump.NetNSInfo
}

// New indexes the rules, routes, addresses and sysctls of info. One bad entry
// costs that entry and one error that begins with its file:line; the FIB is
// always usable. Sections of info that were not collected are remembered:
// Lookup then says so in Result.Doubt.
func New(info *nodedump.NetNSInfo) (*FIB, []error) {
	return &FIB{info: info}, nil
}

// Lookup routes a packet as fib_lookup and fib6_rule_lookup do: policy rules
// in order of priority, each with its table. Multipath routes are decided by
// c, one way per next hop; a nil c takes the first.
func (f *FIB) Lookup(q Query, c *netfilter.Choices) Result { return Result{Type: TypeNone} }

// AddrType returns the type of a, as inet_addr_type_table and
// inet_dev_addr_type do; dev limits LOCAL to addresses of that device.
func (f *FIB) AddrType(a netip.Addr, dev string) netfilter.AddrType { return netfilter.AddrUnicast }

// EgressAddr returns the address that MASQUERADE gives to a packet to dst that
// leaves by dev (inet_select_addr with universe scope); zero if dev has none.
func (f *FIB) EgressAddr(dev string, dst netip.Addr) netip.Addr { return netip.Addr{} }

// InputAddr returns the first address of dev, which REDIRECT sends packets to;
// zero if it has none of the family.
func (f *FIB) InputAddr(dev string, ipv6 bool) netip.Addr { return netip.Addr{} }

// IsLocal reports whether a packet to a is delivered in this namespace.
func (f *FIB) IsLocal(a netip.Addr) bool { return false }

// A Refusal says why the kernel discards a packet because of its source (or
// its impossible destination).
type Refusal struct {
	Code     string // a code of model.Codes: "sysctl/rp-filter", "sysctl/route-localnet", "walk/martian"
	Why      string // one sentence for people
	Evidence string // file:line of the sysctl or route that decided, "" if none did
}

// Validate is fib_validate_source: it says why a packet that came in by
// q.IIf is discarded as martian, nil if it is not.
func (f *FIB) Validate(q Query) *Refusal { return nil }

// Sysctl returns the value of a sysctl by its dotted name and where it was
// read from; ok is false if the dump does not have it.
func (f *FIB) Sysctl(name string) (value, evidence string, ok bool) { return "", "", false }

// Forwarding reports whether packets of others that come in by dev are
// forwarded; known is false if the dump does not tell.
func (f *FIB) Forwarding(dev string, ipv6 bool) (on bool, evidence string, known bool) {
	return false, "", false
}

// Device returns the interface of that name.
func (f *FIB) Device(name string) (*nodedump.Interface, bool) { return nil, false }

// DeviceByIndex returns the interface with that ifindex.
func (f *FIB) DeviceByIndex(index int) (*nodedump.Interface, bool) { return nil, false }

// DeviceOwning returns the interface that has the address.
func (f *FIB) DeviceOwning(addr netip.Addr) (*nodedump.Interface, bool) { return nil, false }

// An Entry is one route of a table, for reading.
type Entry struct {
	Prefix   netip.Prefix
	Table    int
	Route    *nodedump.Route // as it was dumped, not to be changed
	Text     string          // as ip prints it
	Evidence string          // file:line
}

// Routes returns the routes of a table that are exactly for prefix, in the
// order in which the kernel tries them. Table 0 means every table.
func (f *FIB) Routes(table int, prefix netip.Prefix) []Entry { return nil }
