package check

import (
	"fmt"
	"strconv"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/snapshot"
)

// nearlyFull is how much of a table of connections may be used, in percent.
const nearlyFull = 90

// checkConntrack is about tables of connections that have no room, or soon will
// have none. Each namespace has a count of its own (nf_conntrack_alloc).
func checkConntrack(s *scope) {
	for _, n := range s.read() {
		s.connections(n.name, model.Hop{}, "node "+n.name, n.ns)
		for _, p := range n.pods {
			if p.ns != nil {
				s.connections(n.name, p.hop(), "pod "+p.name(), p.ns)
			}
		}
	}
}

func (s *scope) connections(node string, on model.Hop, who string, ns *netstack.NetNS) {
	count, limit, where := tableOf(ns)
	if limit <= 0 || count*100 < limit*nearlyFull {
		return
	}
	f := model.Suspicion{Level: model.SuspicionLevelWarning, Code: "conntrack/nearly-full", On: on, Evidence: where,
		Message: fmt.Sprintf("the table of connections of %s holds %d of at most %d, %d %%", who, count, limit, count*100/limit),
		Remedy:  fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d, or find out who opens so many connections", 2*limit)}
	if count >= limit {
		f.Level, f.Code = model.SuspicionLevelFatal, "conntrack/full"
		f.Message = fmt.Sprintf("the table of connections of %s is full (%d of %d), so that the first packet of each new connection is dropped", who, count, limit)
	}
	s.find(node, f)
}

// tableOf returns how many connections a namespace has and may have, 0 if the
// dump does not tell. The dump of the table counts before the sysctls.
func tableOf(ns *netstack.NetNS) (count, limit int, where string) {
	part := ns.Info.Conntrack
	if part.Status.Known() && len(part.Data) > 0 {
		if t, err := snapshot.ParseConntrack(part.Data); err == nil && t.Max > 0 {
			return t.Count, t.Max, part.File
		}
	}
	number := func(name string) (int, string) {
		text, at, _ := ns.FIB.Sysctl("net.netfilter." + name)
		v, err := strconv.Atoi(text)
		if err != nil {
			return 0, ""
		}
		return v, at
	}
	count, where = number("nf_conntrack_count")
	limit, _ = number("nf_conntrack_max")
	return count, limit, where
}
