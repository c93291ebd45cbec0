package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A trait is one thing in which nodes are compared. The key is in words that
// mean the same on every node: "{pods}" stands for the node's own pod CIDR.
type trait struct {
	key      string
	value    string // "" for a thing that is there or not, such as a rule
	text     string // as it stands on this node, "" if that is the key
	at       string // evidence
	matters  bool   // a difference may well change what becomes of packets
	optional bool   // of a device that a node need not have: that it is not there is no difference
}

// present is the value of a trait that is there, and absent of one that is not.
const (
	present = "\x00there"
	absent  = "\x00not there"
)

// A compared is what is compared by one check. read returns a node's traits; ok
// is false if the bundle does not tell them all.
type compared struct {
	code   string
	noun   string // of its traits, in the plural
	remedy string
	mild   bool // no such difference is more than worth knowing
	read   func(*scope, *host) (list []trait, ok bool)
}

// comparisons returns what is compared.
func comparisons() []compared {
	return []compared{
		{"odd/modules", "modules of the kernel", "Load the modules as on the other nodes (modprobe, /etc/modules-load.d).", true, moduleTraits},
		{"odd/mtu", "MTUs", "Make the MTUs agree.", false, mtuTraits},
		{"odd/routes", "routes", "Restart what writes these routes on the node.", false, routeTraits},
		{"odd/rules", "rules", "See who wrote the rules; restart kube-proxy and the CNI agent if they are theirs.", false, ruleTraits},
		{"odd/rules", "rules of nftables", "See who wrote the rules; restart the CNI agent if they are its own.", false, nftTraits},
		{"odd/software", "versions", "Bring the node to the version of the others.", true, softwareTraits},
		{"odd/sysctl", "sysctls", "Set the sysctls as on the other nodes, and see which file in /etc/sysctl.d sets them.", false, sysctlTraits},
	}
}

// checkOdd compares nodes that ought to be alike and reports the odd one: those
// of one system and architecture. Of two nodes nobody can say which is odd.
func checkOdd(s *scope) {
	groups := map[string][]*host{}
	var order []string
	for _, n := range s.read() {
		kind := kindOf(n)
		if groups[kind] == nil {
			order = append(order, kind)
		}
		groups[kind] = append(groups[kind], n)
	}
	for _, kind := range order {
		for _, c := range comparisons() {
			s.compare(c, groups[kind])
		}
	}
}

// kindOf tells which nodes ought to be alike.
func kindOf(n *host) string {
	if n.object == nil {
		return ""
	}
	info := n.object.Status.NodeInfo
	return info.OperatingSystem + "/" + info.Architecture
}

// A contrast is one trait in which a node differs from others.
type contrast struct {
	trait
	here, there string // values
}

// compare compares one kind of traits.
func (s *scope) compare(c compared, nodes []*host) {
	traits := map[string]map[string]trait{} // node, key
	var read []*host
	var keys []string
	known := map[string]bool{}
	for _, n := range nodes {
		list, ok := c.read(s, n)
		if !ok {
			continue
		}
		read = append(read, n)
		traits[n.name] = map[string]trait{}
		for _, t := range list {
			t.value = cmp.Or(t.value, present)
			traits[n.name][t.key] = t
			if !known[t.key] {
				known[t.key] = true
				keys = append(keys, t.key)
			}
		}
	}
	switch {
	case len(read) == 2:
		s.compareTwo(c, [2]*host{read[0], read[1]}, keys, traits)
	case len(read) > 2:
		s.compareMany(c, read, keys, traits)
	}
}

func valueOf(t trait) string { return cmp.Or(t.value, absent) }

// compareMany reports nodes that differ from the majority.
func (s *scope) compareMany(c compared, nodes []*host, keys []string, traits map[string]map[string]trait) {
	found := map[string][]contrast{}
	for _, key := range keys {
		values := map[string]string{}
		var like trait
		for _, n := range nodes {
			t := traits[n.name][key]
			values[n.name] = valueOf(t)
			if t.key != "" {
				like = t
			}
		}
		if like.optional {
			maps.DeleteFunc(values, func(_, v string) bool { return v == absent })
		}
		most, odd, ok := against(values)
		if !ok {
			continue
		}
		for _, n := range nodes {
			if !odd[n.name] {
				continue
			}
			t, has := traits[n.name][key]
			if !has {
				t = like
			}
			found[n.name] = append(found[n.name], contrast{t, values[n.name], most})
		}
	}
	for _, n := range nodes {
		s.tell(c, n.name, len(nodes)-1, found[n.name])
	}
}

// compareTwo reports, as worth knowing, differences of two nodes that matter.
func (s *scope) compareTwo(c compared, pair [2]*host, keys []string, traits map[string]map[string]trait) {
	var differ []contrast
	for i, n := range pair {
		other := pair[1-i]
		var only []contrast
		for _, key := range keys {
			t, has := traits[n.name][key]
			here, there := valueOf(t), valueOf(traits[other.name][key])
			switch {
			case !has || here == there || !t.matters:
			case there == absent && !t.optional:
				only = append(only, contrast{t, here, there})
			case there != absent && i == 0: // what both have is said once
				differ = append(differ, contrast{t, here, there})
			}
		}
		if len(only) > 0 {
			s.find(n.name, model.Suspicion{Level: model.SuspicionLevelInfo, Code: c.code, Evidence: only[0].at, Remedy: c.remedy,
				Message: fmt.Sprintf("node %s has %s that node %s has not: %s", n.name, c.noun, other.name, wordsOf(only))})
		}
	}
	if len(differ) > 0 {
		s.find("", model.Suspicion{Level: model.SuspicionLevelInfo, Code: c.code, Evidence: differ[0].at, Remedy: c.remedy,
			Message: fmt.Sprintf("nodes %s and %s have different %s: %s", pair[0].name, pair[1].name, c.noun, wordsOf(differ))})
	}
}

// tell reports the differences of a node from the majority: what it lacks, what
// only it has, and what it has otherwise.
func (s *scope) tell(c compared, node string, others int, list []contrast) {
	for _, how := range []struct {
		which func(contrast) bool
		text  string
	}{
		{func(x contrast) bool { return x.here == absent }, "node %s lacks %s that the other %d nodes have: %s"},
		{func(x contrast) bool { return x.there == absent }, "node %s has %s that the other %d nodes have not: %s"},
		{func(x contrast) bool { return x.here != absent && x.there != absent }, "node %s has other %s than the other %d nodes: %s"},
	} {
		chosen := slices.DeleteFunc(slices.Clone(list), func(x contrast) bool { return !how.which(x) })
		if len(chosen) == 0 {
			continue
		}
		slices.SortStableFunc(chosen, func(a, b contrast) int { return weight(a) - weight(b) })
		f := model.Suspicion{Level: model.SuspicionLevelInfo, Code: c.code, Evidence: chosen[0].at, Remedy: c.remedy,
			Message: fmt.Sprintf(how.text, node, c.noun, others, wordsOf(chosen))}
		if chosen[0].matters && !c.mild {
			f.Level = model.SuspicionLevelWarning
		}
		s.find(node, f)
	}
}

// weight puts what matters first.
func weight(x contrast) int {
	if x.matters {
		return 0
	}
	return 1
}

// words says what differs.
func (x contrast) words() string {
	switch {
	case x.here != absent && x.there != absent:
		return fmt.Sprintf("%s is %s, not %s", x.key, x.here, x.there)
	case x.text != "" || x.value == present:
		return cmp.Or(x.text, x.key)
	}
	return fmt.Sprintf("%s (%s)", x.key, x.value)
}

// wordsOf joins up to three differences and counts the rest.
func wordsOf(list []contrast) string {
	const most = 3
	var texts []string
	for _, x := range list[:min(most, len(list))] {
		texts = append(texts, x.words())
	}
	if len(list) > most {
		texts = append(texts, fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(texts, "; ")
}
