// Package nftables reads the JSON of "nft -j list ruleset" and runs packets
// through it as the kernel's nf_tables do.
//
// What an expression or a statement is worth is written in tables,
// [Expressions] and [Statements]: exact, or left open on purpose and why.
package nftables

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Ruleset holds the tables of all families. It never changes once it is in
// use, and may be used by many at once.
type Ruleset struct {
	part   nodedump.Part // without its Data
	data   []byte
	tables []*table
	lost   string
	saved  map[string]bool // families whose tables of iptables are read elsewhere
}

// A Base is a base chain: one that a hook calls.
type Base struct {
	Family, Table, Name string // Family is ip, ip6, inet, bridge, netdev or arp
	Type, Hook          string // filter, nat or route; prerouting, input, forward, output, postrouting, ingress or egress
	Priority            int
	Policy              string   // accept or drop, "" if the dump does not say
	Devices             []string // at ingress and egress
	Line                int
	chain               *chain
}

// Status reports whether it is known what tables there are, and if not, why.
func (r *Ruleset) Status() (known bool, file, reason string) {
	return r.part.Status.Known(), r.part.File, r.part.Reason
}

// Saved tells that the tables that iptables-nft has made of a family, ip or ip6,
// are read from iptables-save: here they do nothing more.
func (r *Ruleset) Saved(family string) { r.saved[family] = true }

// Iptables reports whether the tables that iptables-nft has made of a family are
// read here for want of iptables-save: there are some, and nft shows all of them.
// Extensions it shows by their names only: tables with such rules are left out.
func (r *Ruleset) Iptables(family string) bool {
	found := false
	for _, t := range r.tables {
		if t.family == family && t.iptables() {
			if t.extensions > 0 {
				return false
			}
			found = true
		}
	}
	return found && !r.saved[family]
}

// WithoutIptables reports whether iptables-nft certainly has no table of a
// family: the text was read to its end, and shows none.
func (r *Ruleset) WithoutIptables(family string) bool {
	return r.part.Status.Known() && r.lost == "" && !slices.ContainsFunc(r.tables, func(t *table) bool { return t.family == family && t.iptables() })
}

// counts reports whether a table is read here.
func (r *Ruleset) counts(t *table) bool { return !t.iptables() || r.Iptables(t.family) }

// Stats returns how many rules there are in the tables that are read here, and
// how many of them are not understood in full.
func (r *Ruleset) Stats() (rules, notUnderstood int) {
	for _, t := range r.tables {
		if r.counts(t) {
			rules, notUnderstood = rules+t.rules, notUnderstood+t.faulty
		}
	}
	return rules, notUnderstood
}

// Bases returns the base chains of all families, in the order of the dump. Those
// of dormant tables are not called (NFT_TABLE_F_DORMANT).
func (r *Ruleset) Bases() (list []*Base) {
	for _, t := range r.tables {
		if t.dormant || !r.counts(t) {
			continue
		}
		for _, c := range t.bases {
			list = append(list, c.base)
		}
	}
	return list
}

// Acts reports whether b can do anything: it has rules, or drops what has come
// to its end.
func (b *Base) Acts() bool { return len(b.chain.rules) > 0 || b.Policy == "drop" }

// Evidence returns where b is read: "file:line".
func (r *Ruleset) Evidence(b *Base) string { return r.at(b.Line) }

func (r *Ruleset) at(line int) string {
	if line == 0 {
		return r.part.File
	}
	return r.part.File + ":" + strconv.Itoa(line)
}

// Lost reports whether the text could not be read to its end: what was in the
// rest is not known.
func (r *Ruleset) Lost() (what string, yes bool) { return r.lost, r.lost != "" }

// Run runs f through b, and returns Accept, Drop, Reject or Unknown. An accept
// ends b alone.
func (r *Ruleset) Run(b *Base, f *netfilter.Frame) netfilter.Verdict {
	w := &walk{rs: r, f: f}
	switch v := w.run(b.chain); v {
	case netfilter.Return, netfilter.Continue:
	default:
		return v
	}
	if b.Policy == "drop" {
		f.Step(b.chain.where(), b.declaration(), "policy drop", r.at(b.Line))
		return netfilter.Drop
	}
	return netfilter.Accept
}

// Opaque returns the doubt about a base chain of a family that is not modelled,
// bridge or netdev, for what it may do at a hook ("ingress", "forward") of a
// device; nil if there is none. Only netdev asks for the device.
func (r *Ruleset) Opaque(family, hook, dev string) *model.Doubt {
	for _, b := range r.Bases() {
		if b.Family == family && b.Hook == hook && b.Acts() && (family == "bridge" || slices.Contains(b.Devices, dev)) {
			return &model.Doubt{What: fmt.Sprintf("nftables of family %s is not modelled: chain %s %s, priority %d", family, b.Table, b.Name, b.Priority), Evidence: r.at(b.Line)}
		}
	}
	return nil
}

func (b *Base) declaration() string {
	return fmt.Sprintf("type %s hook %s priority %d; policy %s;", b.Type, b.Hook, b.Priority, cmp.Or(b.Policy, "accept"))
}

// At reports whether a hook of IPv4 or IPv6 calls b.
func (b *Base) At(h netfilter.Hook, ipv6 bool) bool {
	if b.Hook != strings.ToLower(h.String()) {
		return false
	}
	switch b.Family {
	case "inet":
		return true
	case "ip":
		return !ipv6
	case "ip6":
		return ipv6
	}
	return false
}

// iptables reports whether a table is one that iptables-nft made, so that
// iptables-save shows it: it has the name of one and no other base chains.
func (t *table) iptables() bool {
	if t.family != "ip" && t.family != "ip6" {
		return false
	}
	for _, c := range t.bases {
		if b := c.base; b.Hook != strings.ToLower(b.Name) || b.Name != strings.ToUpper(b.Name) || !standard(b) {
			return false
		}
	}
	switch t.name {
	case "filter", "nat", "mangle", "raw", "security":
		return true
	}
	return false
}

// standard reports whether b has the type and priority that iptables-nft
// gives it.
func standard(b *Base) bool {
	typ, priority := "filter", 0
	switch b.Table {
	case "raw":
		priority = -300
	case "mangle":
		priority = -150
		if b.Hook == "output" {
			typ = "route"
		}
	case "nat":
		typ, priority = "nat", -100
		if b.Hook == "input" || b.Hook == "postrouting" {
			priority = 100
		}
	case "security":
		priority = 50
	}
	return b.Type == typ && b.Priority == priority
}

// Expressions returns every expression that has a row, sorted: "payload tcp",
// "meta mark", "fib".
func Expressions() (list []netfilter.Entry) {
	for _, r := range exprRows() {
		list = append(list, netfilter.Entry{Name: r.name, Class: r.class, Why: r.why})
	}
	for _, r := range protocolRows() {
		list = append(list, netfilter.Entry{Name: "payload " + r.name, Class: r.class, Why: r.why})
	}
	for _, r := range keyRows() {
		list = append(list, netfilter.Entry{Name: r.name, Class: r.class, Why: r.why})
	}
	return sorted(list)
}

// Statements returns every statement that has a row, sorted.
func Statements() (list []netfilter.Entry) {
	for _, r := range stmtRows() {
		list = append(list, netfilter.Entry{Name: r.name, Class: r.class, Why: r.why})
	}
	return sorted(list)
}

func sorted(list []netfilter.Entry) []netfilter.Entry {
	slices.SortFunc(list, func(a, b netfilter.Entry) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
