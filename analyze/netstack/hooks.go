package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A stage is one step of a hook, in the order of netfilter's priorities.
type stage struct {
	table string // "" is conntrack
	nat   bool
}

// stages returns what runs at a hook, in order: raw -300, conntrack -200,
// mangle -150, nat for destinations -100, filter 0, security 50, nat for
// sources 100 (include/uapi/linux/netfilter_ipv4.h).
func stages(h netfilter.Hook) []stage {
	switch h {
	case netfilter.Prerouting:
		return []stage{{table: "raw"}, {}, {table: "mangle"}, {table: "nat", nat: true}}
	case netfilter.Output:
		return []stage{{table: "raw"}, {}, {table: "mangle"}, {table: "nat", nat: true}, {table: "filter"}, {table: "security"}}
	case netfilter.Input:
		return []stage{{table: "mangle"}, {table: "filter"}, {table: "security"}, {table: "nat", nat: true}}
	case netfilter.Forward:
		return []stage{{table: "mangle"}, {table: "filter"}, {table: "security"}}
	}
	return []stage{{table: "mangle"}, {table: "nat", nat: true}}
}

// hook runs the packet through every table of a hook, and reports whether it
// came out. If it did not, the journey has ended.
func (r *run) hook(h netfilter.Hook, in, out string) bool {
	r.f.Hook, r.f.In, r.f.Out = h, in, out
	if r.blind() {
		return false
	}
	for _, s := range stages(h) {
		if !r.stage(s) {
			return false
		}
	}
	what, evidence, yes := r.ns.nft.Opaque(&r.f)
	return !yes || !r.forks(model.Doubt{What: what, Evidence: evidence})
}

// stage runs one step of a hook.
func (r *run) stage(s stage) bool {
	switch {
	case s.table == "":
		r.track()
		return true
	case s.nat:
		return r.nat(s.table)
	}
	before := r.f.Packet
	if !r.table(s.table) {
		return false
	}
	if r.f.Hook == netfilter.Output && s.table == "mangle" && rerouted(before, r.f.Packet) {
		return r.reroute()
	}
	return true
}

// rerouted reports whether mangle's OUTPUT changed what routes depend on
// (ipt_mangle_out in net/ipv4/netfilter/iptable_mangle.c).
func rerouted(a, b model.Packet) bool {
	return a.Mark != b.Mark || a.Src.Addr() != b.Src.Addr() || a.Dst.Addr() != b.Dst.Addr() || a.TOS != b.TOS
}

// blind ends the journey on one branch if the rules of the packet's family
// were not collected at all; the other branch goes on as if there were none.
func (r *run) blind() bool {
	part := r.ns.Info.IPTables
	if r.f.Packet.IPv6() {
		part = r.ns.Info.IP6Tables
	}
	if part.Status.Known() {
		return false
	}
	return r.forks(model.Doubt{What: "the rules of this namespace: iptables-save is " + statusText(part), Evidence: part.File})
}

// table runs one table of both backends and reports whether the packet came
// out of it.
func (r *run) table(name string) bool {
	for _, set := range r.ns.Tables(r.f.Packet.IPv6()) {
		if r.unreadable(set, name) || set.HasBase(name, r.f.Hook) && !r.verdict(set, name) {
			return false
		}
	}
	return true
}

// unreadable ends the journey on one branch if a table holds what could not be
// read; the other branch goes on as if that did nothing.
func (r *run) unreadable(set *iptables.Ruleset, table string) bool {
	what, evidence, yes := set.Lost(table)
	return yes && r.forks(model.Doubt{What: what, Evidence: evidence})
}

// verdict runs one table of one backend.
func (r *run) verdict(set *iptables.Ruleset, table string) bool {
	v := set.Run(table, &r.f)
	last := model.Step{}
	if n := len(r.f.Trace); n > 0 {
		last = r.f.Trace[n-1]
	}
	where := fmt.Sprintf("%s/%s", table, r.f.Hook)
	if last.Where != "" {
		where = last.Where
	}
	switch v {
	case netfilter.Accept:
		return true
	case netfilter.Drop:
		r.end(model.Dropped, "netfilter/drop", fmt.Sprintf("%s drops it: %s", where, ruleText(last)), last.Evidence)
		r.out.LocalError = r.toldAtOnce()
	case netfilter.Reject:
		r.end(model.Rejected, "netfilter/reject", fmt.Sprintf("%s rejects it (%s): %s", where, r.f.RejectWith, ruleText(last)), last.Evidence)
		r.rejected()
		r.out.LocalError = r.toldAtOnce()
	default:
		r.unknown("where the packet goes after "+where+": "+ruleText(last), last.Evidence)
	}
	r.out.Remedy = remedyFor(last)
	return false
}

// toldAtOnce reports whether sending fails with EPERM because a rule has taken
// the packet on its way out, rejected or not. TCP does not care: it sends again.
func (r *run) toldAtOnce() bool {
	out := r.f.Hook == netfilter.Output || r.f.Hook == netfilter.Postrouting
	return out && r.local && !r.looped && r.f.Packet.Protocol != model.TCP
}

func ruleText(s model.Step) string {
	if s.Rule == "" {
		return "policy of the chain"
	}
	return s.Rule
}

func remedyFor(s model.Step) string {
	if s.Rule == "" {
		return "let the chain accept the packet before its policy applies"
	}
	return fmt.Sprintf("delete the rule, or accept the packet before it: %s", s.Rule)
}

// nat consults the nat tables, which only the first packet of a conversation
// does, or applies what they decided then.
func (r *run) nat(table string) bool {
	source := r.f.Hook == netfilter.Input || r.f.Hook == netfilter.Postrouting
	if r.f.Ct.State == netfilter.CtNew && !r.looped && r.conn == nil {
		before := r.f.Packet
		if !r.natTables(table, source) {
			return false
		}
		return r.translated(before, source)
	}
	if r.conn == nil || r.looped {
		return true
	}
	before := r.f.Packet
	r.applyConn(source)
	return r.translated(before, source)
}

// natTables runs the nat table of each backend until one has translated.
func (r *run) natTables(table string, source bool) bool {
	for _, set := range r.ns.Tables(r.f.Packet.IPv6()) {
		if source && r.f.Ct.SNAT && r.f.Packet.Src != r.f.Ct.Original.Src || !source && r.f.Packet.Dst != r.f.Ct.Original.Dst {
			return true
		}
		if r.unreadable(set, table) || set.HasBase(table, r.f.Hook) && !r.verdict(set, table) {
			return false
		}
	}
	return true
}

// translated tells of a translation, and routes again a packet that was born
// here and now goes elsewhere (nf_nat_ipv4_local_fn).
func (r *run) translated(before model.Packet, source bool) bool {
	if before.Src == r.f.Packet.Src && before.Dst == r.f.Packet.Dst {
		return true
	}
	action := fmt.Sprintf("dnat %s -> %s", before.Dst, r.f.Packet.Dst)
	if source {
		action = fmt.Sprintf("snat %s -> %s", before.Src, r.f.Packet.Src)
	}
	r.step("nat/"+r.f.Hook.String(), "", action, "")
	if r.f.Hook == netfilter.Output && before.Dst.Addr() != r.f.Packet.Dst.Addr() {
		return r.reroute()
	}
	return true
}
