package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/policy/calico"
	"github.com/pathsnap/pathsnap/snapshot"
)

// The kinds of Calico's policies.
const (
	kindCalico       = "CalicoNetworkPolicy"
	kindGlobal       = "GlobalNetworkPolicy"
	kindHostEndpoint = "HostEndpoint"
)

// behindAllTiers and behindAllPolicies are the order of what has none: "the
// order is infinite". Tiers leave room for what comes behind them.
const behindAllTiers = math.MaxFloat64

func behindAllPolicies() float64 { return math.Inf(1) }

// calicoNames maps Calico's names of the tiers that Kubernetes has to ours.
func calicoNames() map[string]string {
	return map[string]string{
		"default": TierNetworkPolicy, "kube-admin": TierAdmin, "adminnetworkpolicy": TierAdmin,
		"kube-baseline": TierBaseline, "baselineadminnetworkpolicy": TierBaseline,
	}
}

// A calicoReader compiles the policies of Calico.
type calicoReader struct {
	b        *builder
	world    *calicoWorld
	failsafe *failsafe
	newer    netfilter.Answer // whether policies are sorted as since Calico 3.32
}

// readCalico reads the policies of Calico, of whatever group has them.
func readCalico(b *builder) {
	c := &calicoReader{b: b, newer: calicoIsNewer(b.snap)}
	asked := false // a cluster with Calico has all of them
	for _, plural := range []string{"networkpolicies", "globalnetworkpolicies", "tiers", "hostendpoints", "networksets", "globalnetworksets"} {
		asked = b.ask(b.snap.CalicoResource(plural), true) || asked
	}
	if !asked && calicoRuns(b.snap) {
		b.missing = append(b.missing, "cluster/globalnetworkpolicies."+snapshot.CalicoStored+".yaml and the like: not collected, and Calico's agent runs")
	}
	if !c.any() {
		return
	}
	c.world = newCalicoWorld(b)
	c.readFailsafe()
	c.readTiers()
	for _, p := range optional(b, b.snap.CalicoNetworkPolicies) {
		c.policy(&p, kindCalico)
	}
	for _, p := range optional(b, b.snap.CalicoGlobalNetworkPolicies) {
		c.policy(&p, kindGlobal)
	}
	c.closeHosts()
	c.settleTies()
}

// any reports whether the bundle has policies or host endpoints of Calico.
func (c *calicoReader) any() bool {
	s := c.b.snap
	return some(s.CalicoNetworkPolicies) || some(s.CalicoGlobalNetworkPolicies) || some(s.CalicoHostEndpoints)
}

// some reports whether a list has objects, or errors that are worth telling.
func some[T any](list func() ([]T, error)) bool {
	items, err := list()
	return len(items) > 0 || err != nil && !errors.Is(err, snapshot.ErrNotCollected)
}

// optional returns the objects of a resource that need not be there. One that
// could not be collected is told by builder.ask.
func optional[T any](b *builder, list func() ([]T, error)) []T {
	items, err := list()
	if !errors.Is(err, snapshot.ErrNotCollected) {
		b.bad(err)
	}
	return items
}

// readTiers makes the tiers that the objects name.
func (c *calicoReader) readTiers() {
	tiers := optional(c.b, c.b.snap.CalicoTiers)
	for i := range tiers {
		t := &tiers[i]
		end, order := Deny, behindAllTiers
		if t.Spec.DefaultAction == "Pass" {
			end = Pass
		}
		if t.Spec.Order != nil {
			order = min(*t.Spec.Order, behindAllTiers)
		}
		if calicoNames()[t.Name] == "" {
			c.b.tier(Tier{Name: t.Name, Order: order, End: end})
		}
	}
}

// tier returns the tier that a policy names. One that does not exist comes
// last, as Felix has it (policy_sorter.go, TierLess).
func (c *calicoReader) tier(name string) *Tier {
	switch calicoNames()[cmp.Or(name, "default")] {
	case TierNetworkPolicy:
		return c.b.networkPolicy()
	case TierAdmin:
		return c.b.admin()
	case TierBaseline:
		return c.b.baseline()
	}
	return c.b.tier(Tier{Name: name, Order: behindAllTiers, End: Deny})
}

// policy compiles a policy. One that Calico cannot read it treats as if it was
// not there (felix/calc/validation_filter.go); so is it here, with an error.
func (c *calicoReader) policy(from *snapshot.CalicoPolicy, kind string) {
	m := &calicoMaker{maker: maker{kind: kind, name: from.Name, b: c.b}, world: c.world, namespace: from.Namespace}
	if kind == kindCalico {
		m.name = from.Namespace + "/" + from.Name
	}
	spec := &from.Spec
	p := &Policy{Kind: kind, Name: m.name, Order: behindAllPolicies(), key: c.key(from, kind)}
	if spec.Order != nil {
		p.Order = *spec.Order
	}
	selector := m.subject(spec)
	p.Ingress, p.Egress = m.rules(spec.Ingress), m.rules(spec.Egress)
	p.IsIngress, p.IsEgress = calicoTypes(from)
	p.Admit = admitByCalico(p, from.Namespace)
	if m.failed {
		return
	}
	t := c.tier(spec.Tier)
	if kind == kindGlobal {
		t = c.aboutHosts(p, spec, selector, t)
	}
	p.Selects = func(class *Class) bool {
		return !spec.DoNotTrack && !spec.PreDNAT && selector.Match(c.world.ofClass(class)) != netfilter.No
	}
	p.Perhaps = orElse(p.Perhaps, func(e *End) bool {
		return e.Pod != nil && selector.Match(c.world.ofClass(e.Pod.Class)) == netfilter.Maybe
	})
	t.add(p)
}

// orElse reports whether one of two functions holds; the first may be nil.
func orElse(a, b func(*End) bool) func(*End) bool {
	return func(e *End) bool { return a != nil && a(e) || b(e) }
}

// subject is the selector of a policy as the processors of libcalico-go make
// it (updateprocessors/networkpolicyprocessor.go and
// globalnetworkpolicyprocessor.go).
func (m *calicoMaker) subject(spec *snapshot.CalicoPolicySpec) *calico.Selector {
	out := m.parse(spec.Selector)
	accounts := m.parse(spec.ServiceAccountSelector).Prefixed(accountPrefix)
	if m.kind == kindCalico {
		return calico.And(out, calico.Equal(labelNamespace, m.namespace), accounts)
	}
	if spec.NamespaceSelector != "" {
		out = calico.And(out, m.parse(spec.NamespaceSelector).Prefixed(namespacePrefix)).Within(labelNamespace)
	}
	if spec.ServiceAccountSelector != "" {
		out = calico.And(out, accounts).Within(labelAccount)
	}
	return out
}

// calicoTypes returns the directions of a policy. Without types those of the
// rules are meant; the API writes that down (api/pkg/defaults), and a policy
// that was stored without it is about both (policy_sorter.go,
// ExtractPolicyMetadata).
func calicoTypes(p *snapshot.CalicoPolicy) (ingress, egress bool) {
	switch stored := strings.HasPrefix(p.APIVersion, snapshot.CalicoStored); {
	case len(p.Spec.Types) > 0:
		for _, t := range p.Spec.Types {
			ingress, egress = ingress || strings.EqualFold(t, "Ingress"), egress || strings.EqualFold(t, "Egress")
		}
		return ingress, egress
	case stored:
		return true, true
	case len(p.Spec.Egress) == 0:
		return true, false
	}
	return len(p.Spec.Ingress) > 0, true
}

// A sortKey is what policies of one order are sorted by.
type sortKey struct {
	now, before string
	doubtful    bool // whether it comes before NetworkPolicies depends on the version
}

// key returns how a policy is sorted: since Calico 3.32 by name, namespace and
// kind, before by namespace and name, in which the tier came first.
func (c *calicoReader) key(p *snapshot.CalicoPolicy, kind string) *sortKey {
	name := p.Name
	if tier := cmp.Or(p.Spec.Tier, "default") + "."; !strings.HasPrefix(name, tier) {
		name = tier + name
	}
	if kind == kindCalico {
		return &sortKey{now: p.Name + "/" + p.Namespace + "/NetworkPolicy", before: p.Namespace + "/" + name}
	}
	return &sortKey{now: p.Name + "//" + kind, before: name}
}

// settleTies sorts policies of one order, those of Kubernetes too where
// Calico's stand beside them. If the bundle does not tell Calico's version, the
// order of those that the versions sort differently is not known.
func (c *calicoReader) settleTies() {
	for _, t := range c.b.tiers {
		if slices.ContainsFunc(t.Policies, func(p *Policy) bool { return p.key != nil && p.Order == OrderOfNetworkPolicies }) {
			for _, p := range t.Policies {
				if p.key == nil && p.Kind == kindNetworkPolicy {
					namespace, name, _ := strings.Cut(p.Name, "/")
					p.key = &sortKey{now: name + "/" + namespace + "/KubernetesNetworkPolicy", before: namespace + "/knp.default." + name}
				}
			}
		}
		if c.newer == netfilter.Maybe {
			markTies(t)
		}
		for _, p := range t.Policies {
			if p.key == nil {
				continue
			}
			p.sort = p.key.now
			switch {
			case c.newer == netfilter.No:
				p.sort = p.key.before
			case p.key.doubtful: // asked first, so that the doubt is told
				p.sort = "\x00" + p.sort
			}
		}
	}
}

// markTies finds policies of one order that two versions sort differently.
func markTies(t *Tier) {
	same := map[float64][]*Policy{}
	for _, p := range t.Policies {
		if p.key != nil {
			same[p.Order] = append(same[p.Order], p)
		}
	}
	for _, order := range slices.Sorted(maps.Keys(same)) {
		list := same[order]
		now := slices.SortedFunc(slices.Values(list), func(a, b *Policy) int { return strings.Compare(a.key.now, b.key.now) })
		before := slices.SortedFunc(slices.Values(list), func(a, b *Policy) int { return strings.Compare(a.key.before, b.key.before) })
		if slices.Equal(now, before) {
			continue
		}
		for i, p := range now {
			for _, q := range now[i+1:] {
				if strings.Compare(p.key.before, q.key.before) > 0 && (p.Tie != TieUnion || q.Tie != TieUnion) && together(p, q) {
					p.undecided(q)
				}
			}
		}
	}
}

// together reports whether two policies may select one pod.
func together(p, q *Policy) bool {
	a, _, inA := strings.Cut(p.Name, "/")
	b, _, inB := strings.Cut(q.Name, "/")
	return !inA || !inB || a == b
}

// undecided says that it is not known which of two policies is asked first.
func (p *Policy) undecided(q *Policy) {
	if p.Tie != TieUnion && q.Tie != TieUnion {
		p.Tie, q.Tie = TieUndefined, TieUndefined
		return
	}
	if p.Tie == TieUnion {
		p, q = q, p
	}
	p.key.doubtful = true
	for _, rules := range [][]Rule{p.Ingress, p.Egress} {
		for i := range rules {
			rules[i].Doubt = cmp.Or(rules[i].Doubt, fmt.Sprintf("whether it is asked before %s depends on Calico's version, which the bundle does not tell", q))
		}
	}
}

// calicoIsNewer reports whether the Calico of the cluster is 3.32 or newer, by
// the image of its agent.
func calicoIsNewer(s *snapshot.Snapshot) netfilter.Answer {
	sets, _ := s.DaemonSets()
	for i := range sets {
		for _, c := range sets[i].Spec.Template.Spec.Containers {
			if major, minor, ok := calicoVersion(c.Image); ok {
				return netfilter.AnswerOf(major > 3 || major == 3 && minor >= 32)
			}
		}
	}
	return netfilter.Maybe
}

// calicoRuns reports whether the cluster has Calico's agent, alone or beside
// another network plugin.
func calicoRuns(s *snapshot.Snapshot) bool {
	return calicoIsNewer(s) != netfilter.Maybe || some(s.CalicoFelixConfigurations)
}

// calicoVersion reads "docker.io/calico/node:v3.28.5".
func calicoVersion(image string) (major, minor int, ok bool) {
	image, _, _ = strings.Cut(image, "@")
	at := strings.LastIndexByte(image, ':')
	if at < 0 || !strings.HasSuffix(image[:at], "calico/node") && !strings.HasSuffix(image[:at], "calico-node") {
		return 0, 0, false
	}
	numbers := strings.Split(strings.TrimPrefix(image[at+1:], "v"), ".")
	if len(numbers) < 2 {
		return 0, 0, false
	}
	major, err1 := strconv.Atoi(numbers[0])
	minor, err2 := strconv.Atoi(numbers[1])
	return major, minor, err1 == nil && err2 == nil
}
