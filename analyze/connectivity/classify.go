package connectivity

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/policy"
)

// A class is ends that are equal to every policy that is asked about some end.
type class struct {
	end             policy.End         // one of them
	ingress, egress *program           // what is asked about them
	src, dst        []netfilter.Answer // what each rule's peers say of them as source and as destination
	names           string             // the numbers of their named ports, as far as rules use them
}

// namedPorts returns the numbers of a named port, nil for what is no pod.
func (c *class) namedPorts() func(string, model.Protocol) []uint16 {
	if c.end.Pod == nil {
		return nil
	}
	return c.end.Pod.NamedPorts
}

// A program is what is asked in one direction.
type program struct {
	id        int
	direction policy.Direction
	asking    []policy.Asking
	rules     []int // places of the rules in the table, in the order of asking
	named     bool  // some of them have named ports
}

// A ruleKey is the rules of a policy in one direction.
type ruleKey struct {
	policy    *policy.Policy
	direction policy.Direction
}

// A classifier finds the classes of ends.
type classifier struct {
	n        *policy.NetworkPolicy
	space    *space
	tree     *blockTree
	policies map[ruleKey]int // place of its first rule in the table
	table    []*policy.Rule
	names    []string // of ports in rules, sorted
	programs map[string]*program
	classes  []*class
	known    map[string]int
	answers  map[answerKey]*class
}

// An answerKey is what the answers of peers depend on.
type answerKey struct {
	class *policy.Class
	block *block
}

// newClassifier reads the rules of the policies that are asked about one of the
// ends.
func newClassifier(n *policy.NetworkPolicy, ends []policy.End) *classifier {
	c := &classifier{
		n: n, policies: map[ruleKey]int{}, programs: map[string]*program{}, known: map[string]int{}, answers: map[answerKey]*class{},
	}
	seen := map[*policy.Class]bool{}
	for i := range ends {
		if pod := ends[i].Pod; pod != nil {
			if seen[pod.Class] {
				continue
			}
			seen[pod.Class] = true
		}
		for _, d := range []policy.Direction{policy.Ingress, policy.Egress} {
			for _, a := range n.Asking(d, &ends[i]) {
				c.addRules(a.Policies, d)
			}
		}
	}
	var prefixes []netip.Prefix
	var protocols []model.Protocol
	for _, r := range c.table {
		for _, p := range slices.Concat(r.Src, r.Dst) {
			prefixes = append(prefixes, p.Blocks()...)
		}
		for _, p := range slices.Concat(r.Ports, r.Also) {
			protocols = append(protocols, p.Protocol)
			c.names = append(c.names, p.Names...)
		}
	}
	slices.Sort(c.names)
	c.names = slices.Compact(c.names)
	c.space, c.tree = newSpace(protocols), newBlockTree(prefixes)
	return c
}

func (c *classifier) addRules(policies []*policy.Policy, d policy.Direction) {
	for _, p := range policies {
		key := ruleKey{p, d}
		if _, have := c.policies[key]; have {
			continue
		}
		c.policies[key] = len(c.table)
		rules := p.Rules(d)
		for i := range rules {
			c.table = append(c.table, &rules[i])
		}
	}
}

// class returns the index of the class of an end.
func (c *classifier) class(e policy.End) int {
	k := c.answersOf(&e)
	k.end = e
	k.names = c.namesOf(e.Pod)
	key := binary.AppendUvarint(nil, uint64(k.ingress.id))
	key = binary.AppendUvarint(key, uint64(k.egress.id))
	for i := range k.src {
		key = append(key, byte(k.src[i]), byte(k.dst[i]))
	}
	if e.Pod == nil {
		key = append(key, '-') // it has no named ports at all
	}
	id := string(append(key, k.names...))
	if i, have := c.known[id]; have {
		return i
	}
	c.known[id] = len(c.classes)
	c.classes = append(c.classes, &k)
	return len(c.classes) - 1
}

// answersOf returns a class with what does not depend on named ports.
func (c *classifier) answersOf(e *policy.End) class {
	key := answerKey{}
	if e.IP.IsValid() {
		key.block = c.tree.of(e.IP)
	}
	if e.Pod != nil {
		key.class = e.Pod.Class
		if have := c.answers[key]; have != nil {
			return *have
		}
	}
	k := &class{ingress: c.program(policy.Ingress, e), egress: c.program(policy.Egress, e)}
	k.src, k.dst = make([]netfilter.Answer, len(c.table)), make([]netfilter.Answer, len(c.table))
	for i, r := range c.table {
		k.src[i], k.dst[i] = policy.PeersHold(r.Src, e), policy.PeersHold(r.Dst, e)
	}
	if e.Pod != nil {
		c.answers[key] = k
	}
	return *k
}

// program returns what is asked about an end. Equal programs are one.
func (c *classifier) program(d policy.Direction, e *policy.End) *program {
	p := &program{id: len(c.programs), direction: d, asking: c.n.Asking(d, e)}
	key := []byte(d)
	for _, a := range p.asking {
		key = append(key, '/')
		for at, one := range a.Policies {
			if a.Unsure[at] {
				key = append(key, '?')
			}
			first := c.policies[ruleKey{one, d}]
			key = binary.AppendUvarint(append(key, ','), uint64(first))
			// Policies without rules have the place of the next one.
			key = append(append(key, one.Kind...), one.Name...)
			for i := range one.Rules(d) {
				p.rules = append(p.rules, first+i)
			}
		}
	}
	if have := c.programs[string(key)]; have != nil {
		return have
	}
	p.named = slices.ContainsFunc(p.rules, func(i int) bool {
		return slices.ContainsFunc(slices.Concat(c.table[i].Ports, c.table[i].Also), func(port policy.Port) bool { return len(port.Names) > 0 })
	})
	c.programs[string(key)] = p
	return p
}

// namesOf writes out the numbers of those named ports that rules use.
func (c *classifier) namesOf(pod *policy.Pod) string {
	if pod == nil {
		return ""
	}
	var b strings.Builder
	for _, name := range c.names {
		for _, protocol := range c.space.protocols {
			if !protocol.HasPorts() {
				break
			}
			numbers := slices.Clone(pod.NamedPorts(name, protocol))
			slices.Sort(numbers)
			for _, number := range slices.Compact(numbers) {
				fmt.Fprintf(&b, "%d,", number)
			}
			b.WriteByte('.')
		}
	}
	return b.String()
}
