package netstack

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/nftables"
)

// The priorities of what the kernel itself registers
// (include/uapi/linux/netfilter_ipv4.h).
const (
	priorityRaw       = -300
	priorityConntrack = -200
	priorityMangle    = -150
	priorityNATDst    = -100
	priorityFilter    = 0
	prioritySecurity  = 50
	priorityNATSrc    = 100
)

// A registered is one function that netfilter calls at a hook. Run reports
// whether the packet came out of it; if it did not, the journey has ended.
type registered struct {
	priority int
	name     string // as a doubt names it
	evidence string // file, or file:line
	run      func(*run) bool
	table    string // of nftables: in which order its chains were made is known
}

// A pipeline is what is registered at one hook of one address family, in the
// order in which it is called. What has one priority is together: the kernel
// calls first what was registered last (nf_hook_entries_grow), which a dump
// shows only of the chains of one table of nftables.
type pipeline [][]registered

// pipelines are those of every hook.
type pipelines [netfilter.Postrouting + 1]pipeline

// newPipelines lists what is registered for a family.
func (ns *NetNS) newPipelines(ipv6 bool) (all pipelines) {
	for h := range all {
		all[h] = ns.newPipeline(ipv6, netfilter.Hook(h))
	}
	return all
}

func (ns *NetNS) newPipeline(ipv6 bool, h netfilter.Hook) pipeline {
	var list []registered
	if h == netfilter.Prerouting || h == netfilter.Output {
		list = append(list, registered{priority: priorityConntrack, name: "conntrack", evidence: ns.Info.File, run: (*run).track})
	}
	for _, set := range ns.Tables(ipv6) {
		list = append(list, tablesAt(set, h)...)
	}
	nat := natAt(ns, ipv6, h)
	list = append(list, ns.chainsAt(h, ipv6, false)...)
	if source := natSource(h); h != netfilter.Forward {
		at := priorityNATDst
		if source {
			at = priorityNATSrc
		}
		list = append(list, registered{priority: at, name: "nat", evidence: ns.Info.File, run: func(r *run) bool { return r.nat(nat, source) }})
	}
	return byPriority(append(list, ns.ipvsAt(h)...))
}

// natSource reports whether sources are translated at h; otherwise it is
// destinations.
func natSource(h netfilter.Hook) bool { return h == netfilter.Input || h == netfilter.Postrouting }

// byPriority sorts what is registered, and keeps together what has one
// priority.
func byPriority(list []registered) (p pipeline) {
	slices.SortStableFunc(list, func(a, b registered) int { return cmp.Compare(a.priority, b.priority) })
	for i, s := range list {
		if i == 0 || list[i-1].priority != s.priority {
			p = append(p, nil)
		}
		p[len(p)-1] = append(p[len(p)-1], s)
	}
	return p
}

// tablesAt lists the tables of one backend of iptables at h, but for nat.
func tablesAt(set *iptables.Ruleset, h netfilter.Hook) (list []registered) {
	for _, t := range []struct {
		name     string
		priority int
	}{{"raw", priorityRaw}, {"mangle", priorityMangle}, {"filter", priorityFilter}, {"security", prioritySecurity}} {
		if lost(set, t.name) || set.HasBase(t.name, h) {
			list = append(list, registered{priority: t.priority, name: tableName(set, t.name), evidence: fileOf(set), run: func(r *run) bool { return r.table(set, t.name) }})
		}
	}
	return list
}

func lost(set *iptables.Ruleset, table string) bool {
	_, _, yes := set.Lost(table)
	return yes
}

func tableName(set *iptables.Ruleset, table string) string {
	return fmt.Sprintf("table %s of %s", table, path.Base(fileOf(set)))
}

func fileOf(set *iptables.Ruleset) string {
	_, file, _ := set.Status()
	return file
}

// natAt lists the nat chains at h: those of iptables, of both backends, and
// those of nftables. nf_nat calls them all from one hook of its own
// (nf_nat_register_fn).
func natAt(ns *NetNS, ipv6 bool, h netfilter.Hook) pipeline {
	var list []registered
	at := priorityNATDst
	if natSource(h) {
		at = priorityNATSrc
	}
	for _, set := range ns.Tables(ipv6) {
		if lost(set, "nat") || set.HasBase("nat", h) {
			list = append(list, registered{priority: at, name: tableName(set, "nat"), evidence: fileOf(set), run: func(r *run) bool { return r.natTable(set) }})
		}
	}
	return byPriority(append(list, ns.chainsAt(h, ipv6, true)...))
}

// chainsAt lists the base chains of nftables, of type nat or of the others, the
// last first: a dump has those of a table in the order in which they were made.
func (ns *NetNS) chainsAt(h netfilter.Hook, ipv6, nat bool) (list []registered) {
	for _, b := range slices.Backward(ns.nft.Bases()) {
		if (b.Type == "nat") == nat && b.At(h, ipv6) {
			list = append(list, baseChain(ns.nft, b))
		}
	}
	return list
}

// baseChain is a base chain of nftables.
func baseChain(set *nftables.Ruleset, b *nftables.Base) registered {
	return registered{priority: b.Priority, name: fmt.Sprintf("chain %s %s %s", b.Family, b.Table, b.Name), evidence: set.Evidence(b),
		table: b.Family + " " + b.Table, run: func(r *run) bool { return r.base(set, b) }}
}
