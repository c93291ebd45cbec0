package netstack

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// noteStale compares where the rules send a new conversation, over all its
// branches, with where entries of the dump send the packets of the same client
// to the same place. An entry that leads elsewhere outlives the rules: a client
// that uses its port again, as many of UDP do, is not seen by them.
func (ns *NetNS) noteStale(outcomes []Outcome) {
	key := serviceKey{}
	var chosen []string
	for _, o := range outcomes {
		if !o.chosen.IsValid() {
			continue
		}
		if key.protocol != "" && o.service != key {
			return
		}
		key = o.service
		chosen = append(chosen, o.chosen.String())
	}
	for _, c := range ns.conns.byService[key] {
		if slices.Contains(chosen, c.Reply.Src.String()) || closing(c.State) {
			continue
		}
		s := model.Suspicion{Level: model.SuspicionLevelWarning, Code: "conntrack/stale-entry", Evidence: c.Evidence,
			Message: fmt.Sprintf("a connection from %s to %s is translated to %s, where the rules send nobody now", c.Original.Src, c.Original.Dst, c.Reply.Src),
			Remedy:  fmt.Sprintf("conntrack -D -p %s --orig-src %s --orig-dst %s", key.protocol, key.client, key.server.Addr())}
		for i := range outcomes {
			outcomes[i].Noted = append(outcomes[i].Noted, s)
		}
	}
}
