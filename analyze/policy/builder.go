package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A source is a kind of policy.
type source struct {
	resource string // its part of the bundle is cluster/<resource>.yaml; "" if read asks for its own
	custom   bool   // a cluster need not have the resource
	read     func(*builder)
}

// sources lists the kinds of policy. Their order means nothing.
func sources() []source {
	return []source{
		{"networkpolicies", false, readNetworkPolicies},
		{"adminnetworkpolicies.policy.networking.k8s.io", true, readAdminNetworkPolicies},
		{"baselineadminnetworkpolicies.policy.networking.k8s.io", true, readBaselineAdminNetworkPolicies},
		{"clusternetworkpolicies.policy.networking.k8s.io", true, readClusterNetworkPolicies},
		{"", true, readCalico},
	}
}

// A builder collects the policies of a snapshot.
type builder struct {
	snap  *snapshot.Snapshot
	tiers map[string]*Tier
	errs  []error

	missing []string // what is not known of the policies as a whole
}

// read reads a kind of policy. A custom resource that the bundle does not list
// is one that the cluster does not have.
func (b *builder) read(s source) {
	if s.resource == "" || b.ask(s.resource, s.custom) {
		s.read(b)
	}
}

// ask reports whether a resource is worth reading, and keeps what is wrong with
// it.
func (b *builder) ask(resource string, custom bool) bool {
	p := b.snap.Part("cluster/" + resource + ".yaml")
	if custom && p.Status == nodedump.StatusNotCollected {
		return false
	}
	if !p.Status.Known() {
		b.missing = append(b.missing, strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", p.File, p.Status, p.Reason), ": "))
	}
	return true
}

// bad keeps what could not be read or understood; nil is nothing.
func (b *builder) bad(err error) {
	if err != nil {
		b.errs = append(b.errs, err)
	}
}

// tier returns a tier by its name. One that is not there yet begins as t.
func (b *builder) tier(t Tier) *Tier {
	have := b.tiers[t.Name]
	if have == nil {
		have = &t
		b.tiers[t.Name] = have
	}
	return have
}

// add adds a policy to a tier.
func (t *Tier) add(p *Policy) { t.Policies = append(t.Policies, p) }

// The tiers that Kubernetes has.
func (b *builder) admin() *Tier {
	return b.tier(Tier{Name: TierAdmin, Order: OrderOfAdmin, End: Pass})
}

func (b *builder) networkPolicy() *Tier {
	return b.tier(Tier{Name: TierNetworkPolicy, Order: OrderOfNetworkPolicy, End: Deny})
}

func (b *builder) baseline() *Tier {
	return b.tier(Tier{Name: TierBaseline, Order: OrderOfBaseline, End: Pass})
}

// sorted returns the tiers with their policies in the order in which they are
// asked.
func (b *builder) sorted() []*Tier {
	out := slices.Collect(maps.Values(b.tiers))
	slices.SortFunc(out, func(a, b *Tier) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), strings.Compare(a.Name, b.Name))
	})
	for _, t := range out {
		slices.SortStableFunc(t.Policies, func(a, b *Policy) int {
			if order := cmp.Compare(a.Order, b.Order); order != 0 || a.Tie == TieUnion && a.sort == "" {
				return order
			}
			return strings.Compare(cmp.Or(a.sort, a.Name), cmp.Or(b.sort, b.Name))
		})
	}
	return out
}

// A maker collects what is wrong with one object.
type maker struct {
	kind, name string
	b          *builder
}

func (m *maker) bad(err error) {
	m.b.bad(fmt.Errorf("%s %s: %w", strings.ToLower(m.kind), m.name, err))
}
