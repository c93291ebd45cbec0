package check

import (
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// ruleTraits are the rules of iptables of a node, both backends and families, in
// words that mean the same on every node, whatever their order. What kube-proxy
// writes for single Services is compared with the Services themselves (drift),
// and what is written for single pods need not be on other nodes.
func ruleTraits(s *scope, n *host) (list []trait, ok bool) {
	m := newNamer(s, n)
	for _, ipv6 := range []bool{false, true} {
		for i, set := range n.ns.Tables(ipv6) {
			if known, _, _ := set.Status(); !known && i == 0 {
				return nil, false
			}
			list = append(list, m.ruleset(set, ipv6)...)
		}
	}
	return list, true
}

func (m *namer) ruleset(set *iptables.Ruleset, ipv6 bool) (list []trait) {
	family := ""
	if ipv6 {
		family = "IPv6 "
	}
	for _, table := range set.Tables() {
		for _, c := range set.Chains(table) {
			if own(c.Name) || service(c.Name) {
				continue
			}
			if c.Policy == netfilter.Drop {
				list = append(list, trait{key: family + table + " policy DROP of " + c.Name, at: evidenceOf(set, c), matters: true})
			}
			for _, r := range c.Rules {
				if own(r.JumpTo()) {
					continue
				}
				list = append(list, trait{key: family + table + " " + m.ruleText(r.Raw), text: table + " " + r.Raw, at: set.Evidence(r), matters: refuses(r.Raw)})
			}
		}
	}
	return list
}

func evidenceOf(set *iptables.Ruleset, c *iptables.Chain) string {
	_, file, _ := set.Status()
	return line(file, c.Line)
}

// own reports whether a chain is for single pods, policies or host endpoints: of
// the CNI plugins portmap and bridge, of kube-router and Weave Net, of Calico but
// for what it calls from the kernel's own chains (cali-FORWARD).
func own(chain string) bool {
	if name, calico := strings.CutPrefix(chain, "cali-"); calico {
		return name == "" || name[0] < 'A' || name[0] > 'Z'
	}
	for _, prefix := range []string{"CNI-", "KUBE-POD-FW-", "KUBE-NWPLCY-", "WEAVE-NPC"} {
		if strings.HasPrefix(chain, prefix) {
			return true
		}
	}
	return false
}

// service reports whether a chain is of what kube-proxy writes for Services.
func service(chain string) bool {
	for _, prefix := range []string{"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-", "KUBE-SERVICES", "KUBE-NODEPORTS",
		"KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"} {
		if strings.HasPrefix(chain, prefix) {
			return true
		}
	}
	return false
}

// refuses reports whether a rule drops or rejects what it matches.
func refuses(raw string) bool {
	return strings.HasSuffix(raw, " -j DROP") || strings.Contains(raw, " -j REJECT") || strings.Contains(raw, " -j DROP ")
}

// ruleText is a rule without comments, with names for its addresses and devices.
func (m *namer) ruleText(raw string) string {
	words := fields(raw)
	var out []string
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "--comment":
			i++
			continue
		case w == "-m" && i+1 < len(words) && words[i+1] == "comment":
			i++
			continue
		case i > 0 && (words[i-1] == "-i" || words[i-1] == "-o" || words[i-1] == "--physdev-in" || words[i-1] == "--physdev-out"):
			w = m.dev(w)
		default:
			w = m.word(w)
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}

// word names a word that is an address, with a length or a port.
func (m *namer) word(w string) string {
	if p, err := netip.ParsePrefix(w); err == nil {
		return m.prefix(p)
	}
	if a, err := netip.ParseAddr(w); err == nil {
		return m.addr(a)
	}
	if ap, err := netip.ParseAddrPort(w); err == nil {
		_, port, _ := strings.Cut(w[strings.LastIndex(w, ":"):], ":")
		return m.addr(ap.Addr()) + ":" + port
	}
	return w
}

// fields splits a line at spaces that are not in quotes.
func fields(text string) (words []string) {
	quoted := false
	for _, part := range strings.Split(text, " ") {
		if quoted && len(words) > 0 {
			words[len(words)-1] += " " + part
		} else if part != "" {
			words = append(words, part)
		}
		if strings.Count(part, `"`)%2 == 1 {
			quoted = !quoted
		}
	}
	return words
}
