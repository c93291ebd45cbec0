package check

import (
	"slices"
	"strings"
)

// nftTraits are the rules of the tables that are nobody's but nftables'. Those of
// kube-proxy are compared with the Services (drift); those of Calico and of the
// CNI plugin portmap are for single pods.
func nftTraits(s *scope, n *host) (list []trait, ok bool) {
	set, m := n.ns.NFTables(), newNamer(s, n)
	if known, _, _ := set.Status(); !known {
		return nil, false
	}
	for _, l := range set.Lines() {
		if slices.Contains([]string{"kube-proxy", "calico", "cni_hostport"}, l.Table) {
			continue
		}
		where := strings.Join([]string{l.Family, l.Table, l.Chain}, " ") + ": "
		list = append(list, trait{key: where + m.nftText(l.Text), text: where + l.Text, at: l.Evidence, matters: nftRefuses(l.Text)})
	}
	return list, true
}

// nftRefuses reports whether a rule drops or rejects what it matches.
func nftRefuses(text string) bool {
	words := strings.Fields(text)
	return len(words) > 0 && (words[len(words)-1] == "drop" || slices.Contains(words, "reject"))
}

// nftText is a rule with names for its addresses and devices.
func (m *namer) nftText(text string) string {
	words := fields(text)
	for i, w := range words {
		bare, comma := strings.CutSuffix(w, ",")
		if name, quoted := strings.CutPrefix(bare, `"`); quoted {
			bare = m.dev(strings.TrimSuffix(name, `"`))
		} else {
			bare = m.word(bare)
		}
		if words[i] = bare; comma {
			words[i] += ","
		}
	}
	return strings.Join(words, " ")
}
