package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/nftables"
)

// hook runs the packet through all that is registered at a hook, and reports
// whether it came out. If it did not, the journey has ended.
func (r *run) hook(h netfilter.Hook, in, out string) bool {
	r.f.Hook, r.f.In, r.f.Out = h, in, out
	if r.blind() {
		return false
	}
	hooks := &r.ns.hooks4
	if r.f.Packet.IPv6() {
		hooks = &r.ns.hooks6
	}
	on := r.pass(hooks[h])
	r.remark()
	return on
}

// table runs one table of one backend, and reports whether the packet came out
// of it.
func (r *run) table(set *iptables.Ruleset, name string) bool {
	before := r.f.Packet
	if r.unreadable(set, name) || set.HasBase(name, r.f.Hook) && !r.decided(set.Run(name, &r.f), name) {
		return false
	}
	if r.f.Hook == netfilter.Output && name == "mangle" && rerouted(before, r.f.Packet) {
		return r.reroute()
	}
	return true
}

// natTable runs the nat table of one backend.
func (r *run) natTable(set *iptables.Ruleset) bool {
	return !r.unreadable(set, "nat") && (!set.HasBase("nat", r.f.Hook) || r.decided(set.Run("nat", &r.f), "nat"))
}

// base runs a base chain of nftables. One of type route sends a packet that it
// has changed by another route (nft_route_ipv4_hook).
func (r *run) base(set *nftables.Ruleset, b *nftables.Base) bool {
	before := r.f.Packet
	if !r.decided(set.Run(b, &r.f), b.Family+" "+b.Table) {
		return false
	}
	if b.Type == "route" && r.f.Hook == netfilter.Output && rerouted(before, r.f.Packet) {
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
// were not collected at all, or not read to their end; the other branch goes on
// as if there were none. Where nft shows the tables of iptables these are read
// there, and where it shows none there are none.
func (r *run) blind() bool {
	part := r.ns.Info.IPTables
	if r.f.Packet.IPv6() {
		part = r.ns.Info.IP6Tables
	}
	family := "ip"
	if r.f.Packet.IPv6() {
		family = "ip6"
	}
	if what, yes := r.ns.nft.Lost(); yes && r.forks(model.Doubt{What: what, Evidence: r.ns.Info.NFT.File}) {
		return true
	}
	if part.Status.Known() || r.ns.nftTells(family) {
		return false
	}
	return r.forks(model.Doubt{What: "the rules of this namespace: iptables-save is " + part.StatusText(), Evidence: part.File})
}

// unreadable ends the journey on one branch if a table holds what could not be
// read; the other branch goes on as if that did nothing.
func (r *run) unreadable(set *iptables.Ruleset, table string) bool {
	what, evidence, yes := set.Lost(table)
	return yes && r.forks(model.Doubt{What: what, Evidence: evidence})
}

// decided does what a table says of the packet, and reports whether it goes on.
func (r *run) decided(v netfilter.Verdict, table string) bool {
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

// nat consults the chains of type nat, which only the first packet of a
// conversation does, or applies what they decided then.
func (r *run) nat(chains pipeline, source bool) bool {
	if r.settled && r.f.Hook == netfilter.Output {
		return r.natServed()
	}
	if r.looped {
		return true
	}
	before := r.f.Packet
	if r.conn != nil {
		r.applyConn(source)
		return r.translated(before, source)
	}
	if r.f.Ct.State != netfilter.CtNew {
		return true
	}
	r.f.Bound = false
	on := r.pass(chains)
	r.f.Bound = false
	return on && r.translated(before, source)
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
