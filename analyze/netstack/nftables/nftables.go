// Package nftables reads the JSON of "nft -j list ruleset". So far it tells
// only where tables that are not those of iptables have a say.
package nftables

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Ruleset holds the base chains of all tables but those that iptables-save
// shows. It never changes.
type Ruleset struct {
	part  nodedump.Part // without its Data
	bases []Base
	rules int
}

// A Base is a base chain: one that a hook calls.
type Base struct {
	Family, Table, Name string // Family is ip, ip6, inet, bridge or netdev
	Type, Hook          string // filter, nat or route; prerouting, input, forward, output, postrouting, ingress or egress
	Priority            int
	Policy              string // accept or drop, "" if the dump does not say
	Rules               int    // of the chain itself
	Line                int
}

// Status reports whether it is known what tables there are, and if not, why.
func (r *Ruleset) Status() (known bool, file, reason string) {
	return r.part.Status.Known(), r.part.File, r.part.Reason
}

// Stats returns how many rules there are in the tables that are not those of
// iptables, and how many of them are not understood: so far all.
func (r *Ruleset) Stats() (rules, notUnderstood int) { return r.rules, r.rules }

// Bases returns the base chains of families ip, ip6 and inet, in the order of
// the dump.
func (r *Ruleset) Bases() (list []*Base) {
	for i := range r.bases {
		list = append(list, &r.bases[i])
	}
	return list
}

// Evidence returns where b is read: "file:line".
func (r *Ruleset) Evidence(b *Base) string { return fmt.Sprintf("%s:%d", r.part.File, b.Line) }

// Run runs f through b, and returns Accept, Drop, Reject or Unknown.
func (r *Ruleset) Run(b *Base, f *netfilter.Frame) netfilter.Verdict {
	if b.Rules == 0 && b.Policy != "drop" {
		return netfilter.Accept
	}
	what := fmt.Sprintf("nftables not modelled: chain %s %s %s, priority %d", b.Family, b.Table, b.Name, b.Priority)
	if !f.Choices.Doubt(model.Doubt{What: what, Evidence: r.Evidence(b)}) {
		return netfilter.Accept
	}
	f.Step(b.Family+" "+b.Table+"/"+b.Name, "", what, r.Evidence(b))
	return netfilter.Unknown
}

// At reports whether a hook of IPv4 or IPv6 calls b.
func (b *Base) At(h netfilter.Hook, ipv6 bool) bool {
	if b.Hook != hookName(h) {
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

func hookName(h netfilter.Hook) string {
	return [...]string{"prerouting", "input", "forward", "output", "postrouting"}[h]
}
