package analyze

import (
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/report"
)

// conclude fills the diagnosis from the branches.
func (c *conversation) conclude(d *report.Diagnosis) {
	seen := map[model.Doubt]bool{}
	note := func(doubts []model.Doubt) {
		for _, u := range doubts {
			if !seen[u] {
				seen[u] = true
				d.Unknowns = append(d.Unknowns, u)
			}
		}
	}
	for _, b := range c.branches {
		r := c.reported(b)
		note(r.Doubts)
		d.Branches = append(d.Branches, r)
	}
	d.Outcome = overall(d.Branches)
	d.Suspicions = c.suspicions(d)
	note(c.assumed())
	note(c.unknowns)
}

// overall is the outcome of all branches together. Branches that differ by
// what the bundle does not tell make it unknown; those that differ by chance
// make it mixed.
func overall(branches []report.Branch) model.Outcome {
	if len(branches) == 0 {
		return model.OutcomeUnknown
	}
	first, differ, doubted := branches[0].Outcome, false, false
	for _, b := range branches {
		differ = differ || b.Outcome != first
		doubted = doubted || len(b.Doubts) > 0
	}
	switch {
	case !differ:
		return first
	case doubted:
		return model.OutcomeUnknown
	}
	return model.OutcomeMixed
}

// reported is a branch as the report shows it.
func (c *conversation) reported(b branch) report.Branch {
	request := chain(b.request)
	r := report.Branch{Outcome: b.outcome, Share: 1, Request: direction(request)}
	all := request
	if b.reply != nil {
		reply := chain(b.reply)
		r.Reply = direction(reply)
		all = append(slices.Clone(request), reply...)
	}
	for _, v := range all {
		r.Share *= v.Share
		for _, d := range v.Doubts {
			if !slices.Contains(r.Doubts, d) {
				r.Doubts = append(r.Doubts, d)
			}
		}
	}
	return r
}

// direction is the journey of one packet as the report shows it.
func direction(visits []*model.Visit) report.Direction {
	last := visits[len(visits)-1]
	d := report.Direction{Kind: visits[0].Born.Kind, Disposition: last.Disposition, At: last.Node.Hop, Reason: last.Reason, Evidence: last.Evidence, Last: last.Served}
	for _, v := range visits {
		h := report.Hop{At: v.Node.Hop, In: v.Born, Steps: v.Trace}
		if v.Input != nil {
			h.In, h.IIf = v.Input.Packet, v.Input.DestinationAttribute.Interface
		}
		if v.Output != nil {
			h.Out, h.OIf = v.Output.Packet, v.Output.SourceAttribute.Interface
		}
		d.Hops = append(d.Hops, h)
	}
	return d
}

// suspicions are what was found on the way, what explains the outcome first:
// the worst, in the order of the walk. Nothing is fatal to a conversation that
// succeeds.
func (c *conversation) suspicions(d *report.Diagnosis) (all []model.Suspicion) {
	for _, s := range c.walk.found {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	for i := range all {
		if all[i].Code == "netfilter/masquerade-missing" && (c.unanswered() || refused(all)) {
			all[i].Level = model.SuspicionLevelFatal
		}
	}
	from := c.astray(all)
	if d.Outcome == model.OutcomeReached {
		from = 0
	}
	for i := from; i < len(all); i++ {
		all[i].Level = min(all[i].Level, model.SuspicionLevelWarning)
	}
	all = c.comparePolicies(all)
	slices.SortStableFunc(all, func(a, b model.Suspicion) int { return int(b.Level) - int(a.Level) })
	return all
}

// unanswered reports whether a request arrived and its answer was lost.
func (c *conversation) unanswered() bool {
	return slices.ContainsFunc(c.branches, func(b branch) bool {
		return b.reply != nil && b.request.Disposition == model.Delivered && b.outcome == model.OutcomeTimeout
	})
}

// refused reports whether the network between machines did not take a packet for
// its source.
func refused(all []model.Suspicion) bool {
	return slices.ContainsFunc(all, func(s model.Suspicion) bool { return s.Code == "infra/address-not-owned" })
}

// astray returns where the suspicions begin that are found only because the
// packet was led to where it was not meant to go: what a stranger does with it
// is no fault of the stranger's.
func (c *conversation) astray(all []model.Suspicion) int {
	strayed := model.Hop{}
	for i, s := range all {
		if strayed != (model.Hop{}) && s.On != strayed {
			return i
		}
		for _, n := range c.walk.nodes.order {
			if n.Hop == s.On && len(n.Meant) > 0 && s.Level == model.SuspicionLevelFatal {
				strayed = s.On
			}
		}
	}
	return len(all)
}

// assumed is what was taken for granted about the namespaces that were
// crossed, and what could not be understood there.
func (c *conversation) assumed() (doubts []model.Doubt) {
	for _, n := range c.walk.nodes.order {
		place, ok := c.atlas.placeOf(n.Hop)
		if !ok {
			continue
		}
		if n.Hop.Type == model.NetNodeTypeNode {
			doubts = append(doubts, c.recognised(n.Hop.ID)...)
		}
		if ns := c.atlas.NetNS(place); ns != nil {
			doubts = append(doubts, ns.Unknowns()...)
		}
		for _, p := range c.atlas.Problems(place) {
			doubts = append(doubts, netstack.DoubtOf(p))
		}
	}
	return doubts
}

// pathWithMeant is the graph that was walked, with what the plugin meant
// instead where the network does not do it.
func (c *conversation) pathWithMeant() *model.PacketPath {
	path := c.walk.path
	for _, n := range slices.Clone(c.walk.nodes.order) {
		for _, t := range n.Meant {
			to, err := c.walk.nodes.GetNetNode(t.NextHop)
			if err == nil {
				path.Links = append(path.Links, &model.Link{Type: model.LinkInfra, Source: n, Destination: to.Node(), Intended: true})
			}
		}
	}
	path.Nodes = c.walk.nodes.order
	return path
}
