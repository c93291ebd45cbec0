// Package route is the routing state of one network namespace: policy rules,
// tables and local addresses, asked about one packet at a time as the Linux
// kernel asks them. It reads no file and changes nothing.
package route

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// The tables that the kernel makes itself (include/uapi/linux/rtnetlink.h).
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

// A FIB is the routing state of one network namespace (forwarding information
// base). It is immutable and safe for concurrent use.
type FIB struct {
	info     *nodedump.NetNSInfo
	devices  devices
	v4, v6   family
	settings map[confKey]setting // sysctls of devices
	failed   map[neighbour]bool  // neighbours that do not answer
	merged   bool                // IPv4: no custom rules, so that the tables local and main are searched as one
	dissects bool                // IPv4: rules may look at the ports of the way back, see requiresDissect
	custom   bool                // IPv4: somebody added local routes, see fib_validate_source
}

// A family is what IPv4 and IPv6 have each of their own.
type family struct {
	bits   int // of an address
	rules  []rule
	tables map[int]*table
	both   *table // IPv4: local and main in one, nil unless FIB.merged
	doubt  *model.Doubt
}

// neighbour is the key of the neighbour table.
type neighbour struct {
	dev string
	ip  netip.Addr
}

// New indexes the rules, routes, addresses and sysctls of info. One bad entry
// costs that entry and one error that begins with its file:line; the FIB is
// always usable. Sections of info that were not collected are remembered:
// Lookup then says so in Result.Doubt. Without policy rules of a family the
// kernel's own are assumed; without a local table it is derived from the
// addresses, and the routes say so in their text.
func New(info *nodedump.NetNSInfo) (*FIB, []error) {
	f := &FIB{info: info, failed: map[neighbour]bool{}}
	f.readConf()
	p := &problems{file: info.File}
	f.devices = newDevices(info, p)
	f.v4 = family{bits: 32, tables: map[int]*table{}, doubt: sectionDoubt(info, 4)}
	f.v6 = family{bits: 128, tables: map[int]*table{}, doubt: sectionDoubt(info, 6)}
	f.v4.rules = newRules(info, 4, p)
	f.v6.rules = newRules(info, 6, p)
	f.merged = isDefault(f.v4.rules)
	f.dissects = slices.ContainsFunc(f.v4.rules, requiresDissect)
	for i := range info.Routes {
		f.addRoute(&info.Routes[i], p)
	}
	if d := p.doubt(); d != nil {
		f.v4.doubt, f.v6.doubt = orElse(f.v4.doubt, d), orElse(f.v6.doubt, d)
	}
	f.deriveLocal()
	f.sortTables()
	f.markOwnGateways()
	f.addNeighbours()
	return f, p.errs
}

// Doubt returns what every answer about an IP version is under: sections that
// were not collected, entries that could not be read. It is nil if there is
// nothing of that kind.
func (f *FIB) Doubt(ipv6 bool) *model.Doubt {
	if ipv6 {
		return f.v6.doubt
	}
	return f.v4.doubt
}

// addNeighbours remembers which neighbours are known not to answer.
func (f *FIB) addNeighbours() {
	for _, n := range f.info.Neighbours {
		if ip, err := netip.ParseAddr(n.IP); err == nil && n.State == "FAILED" {
			f.failed[neighbour{n.Dev, ip.WithZone("")}] = true
		}
	}
}

// family returns the family of a.
func (f *FIB) family(a netip.Addr) *family {
	if a.Is4() {
		return &f.v4
	}
	return &f.v6
}

// sectionDoubt returns the doubt that every answer about an IP version is
// under, nil if its rules and routes and the interfaces were all collected.
func sectionDoubt(info *nodedump.NetNSInfo, version int) *model.Doubt {
	for _, name := range []string{"routes", "rules", "interfaces"} {
		name = sectionOf(info, name, version)
		if s, ok := info.Sections[name]; ok && !s.Known() {
			what := fmt.Sprintf("%s not collected (%s)", name, s)
			if reason := info.Reasons[name]; reason != "" {
				what += ": " + reason
			}
			return &model.Doubt{What: what, Evidence: info.File}
		}
	}
	return nil
}

// sectionOf names the section with the status of an IP version: its own,
// "routes6" or "rules6", if there is one, otherwise that of both.
func sectionOf(info *nodedump.NetNSInfo, name string, version int) string {
	if _, own := info.Sections[name+"6"]; own && version == 6 {
		return name + "6"
	}
	return name
}

// problems gathers what could not be read.
type problems struct {
	file string
	errs []error
}

// doubt is what every answer depends on if an entry could not be read: nobody
// knows what it would have taken.
func (p *problems) doubt() *model.Doubt {
	if len(p.errs) == 0 {
		return nil
	}
	return &model.Doubt{What: "an entry that could not be read: " + p.errs[0].Error(), Evidence: p.file}
}

func orElse(a, b *model.Doubt) *model.Doubt {
	if a != nil {
		return a
	}
	return b
}

func (p *problems) add(line int, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s: %w", evidence(p.file, line), fmt.Errorf(format, args...)))
}

// evidence returns "file:line", or what is known of it.
func evidence(file string, line int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

func (f *FIB) evidence(line int) string { return evidence(f.info.File, line) }
