package policy

// An Asking is the policies of a tier that are asked about an end in one
// direction, in their order.
type Asking struct {
	Tier     *Tier
	Policies []*Policy
	Unsure   []bool // of each policy: whether it is about the end is not known
}

// Asking returns what is asked about an end, tier by tier. It is nil for one
// that no policy selects, which is not isolated. The caller must not change it.
func (n *NetworkPolicy) Asking(d Direction, e *End) (out []Asking) {
	for _, a := range e.asked(d, n) {
		out = append(out, Asking{a.tier, a.policies, a.unsure})
	}
	return out
}

// Rules returns the rules of one direction, in their order.
func (p *Policy) Rules(d Direction) []Rule { return p.rules(d) }
