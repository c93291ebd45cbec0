package aliyun

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	wire "github.com/pathsnap/pathsnap/snapshot/aliyun"
)

// route asks where the VPC sends the packet. It goes by the destination address
// alone: the next hop that the sender's node has chosen does not matter ("Route
// table" in the documentation of the VPC).
func (t *trip) route() answer {
	dst := t.p.Dst.Addr()
	if t.from == nil || !t.facts.Given("DescribeRouteEntryList") {
		t.deliver(t.owner(dst))
		return passes()
	}
	table, a := t.table()
	if a.is != netfilter.Yes {
		t.deliver(t.owner(dst))
		return a
	}
	r := lookup(t.tables[table], dst)
	switch {
	case t.inside(dst) > bits(r):
		a = t.local(dst, model.Step{Where: "vpc/route", Rule: "local", Evidence: t.facts.At("DescribeVSwitches").String()})
	case r == nil && t.internet(dst):
		a = answer{is: netfilter.Yes, step: model.Step{Where: "vpc/route", Rule: "public address of " + t.from.NetworkInterfaceID, Evidence: t.from.String()}}
	case r == nil:
		a = t.routeless(table, dst)
	default:
		a = t.follow(r, dst)
	}
	return t.asFarAsRead(table, r, a)
}

// asFarAsRead makes an answer a doubt where entries of the table may be missing,
// or the entry is not settled.
func (t *trip) asFarAsRead(table string, r *route, a answer) answer {
	doubt := ""
	if at, cut := t.facts.Missing()["DescribeRouteEntryList of "+table]; cut {
		doubt, a.see = "whether an entry of "+table+" that is not in the bundle is for "+t.p.Dst.Addr().String(), at.String()
	}
	if r != nil && r.Status != "" && !strings.EqualFold(r.Status, "Available") {
		doubt, a.see = fmt.Sprintf("whether the entry %s of %s is in force: it is %s", r.to, table, r.Status), r.String()
	}
	if hidden, at := t.hidden(table, t.p.Dst.Addr()); hidden != "" && bits(r) <= 0 {
		doubt, a.see = hidden, at.String()
	}
	if doubt == "" {
		return a
	}
	if a.why == "" {
		a.why, a.end = doubt, model.NoRoute
	}
	a.is, a.doubt = netfilter.Maybe, doubt
	return a
}

// hidden says which entry may lead to an address that only a default one is known to,
// "" if none may.
func (t *trip) hidden(table string, dst netip.Addr) (doubt string, at wire.Place) {
	if t.inside(dst) >= 0 {
		return "", at
	}
	if at, cut := t.facts.Missing()["DescribeVSwitches"]; cut && dst.IsPrivate() {
		return fmt.Sprintf("whether a vSwitch that is not in the bundle has %s", dst), at
	}
	if at, opaque := t.opaque[table]; opaque {
		return fmt.Sprintf("whether the entry of %s whose destination is not in the bundle is about %s", table, dst), at
	}
	return "", at
}

// table returns the route table of the vSwitch that the packet comes from.
func (t *trip) table() (id string, a answer) {
	id = t.tableOf(t.from.VSwitchID)
	if _, read := t.tables[id]; id != "" && read {
		return id, passes()
	}
	what := fmt.Sprintf("the entries of the route table of vSwitch %s", t.from.VSwitchID)
	return id, answer{is: netfilter.Maybe, end: model.NoRoute, why: what + " are not in the bundle", doubt: what, see: t.from.String()}
}

// tableOf returns the route table of a vSwitch, "" if it is not known. Where
// nothing tells of vSwitches and there is only one table, it is that.
func (v *vpc) tableOf(vswitch string) string {
	if s := v.vswitches[vswitch]; s != nil && s.RouteTable.RouteTableID != "" {
		return s.RouteTable.RouteTableID
	}
	for i := range v.facts.RouteTables {
		if slices.Contains(v.facts.RouteTables[i].VSwitchIDs.VSwitchID, vswitch) {
			return v.facts.RouteTables[i].RouteTableID
		}
	}
	if len(v.tables) == 1 && !v.facts.Given("DescribeVSwitches") && !v.facts.Given("DescribeRouteTableList") {
		for only := range v.tables {
			return only
		}
	}
	return ""
}

// lookup finds the entry with the longest prefix, nil if none has the address.
func lookup(table []route, dst netip.Addr) (best *route) {
	for i := range table {
		if r := &table[i]; r.to.Contains(dst) && (best == nil || r.to.Bits() > best.to.Bits()) {
			best = r
		}
	}
	return best
}

// inside returns the length of the prefix of the vSwitch that has an address, -1
// if none has it. Each table has a system entry for each vSwitch, which lists of
// custom entries leave out.
func (v *vpc) inside(ip netip.Addr) int {
	best := -1
	for _, s := range v.vswitches {
		for _, text := range []string{s.CidrBlock, s.Ipv6CidrBlock} {
			if p, err := netip.ParsePrefix(text); err == nil && p.Contains(ip) {
				best = max(best, p.Bits())
			}
		}
	}
	return best
}

// bits is the length of an entry's prefix, -1 without an entry.
func bits(r *route) int {
	if r == nil {
		return -1
	}
	return r.to.Bits()
}

// internet reports whether the packet needs no route: its source is known to
// the Internet by an address of its own.
func (t *trip) internet(dst netip.Addr) bool {
	for _, ip := range t.from.public {
		if ip == t.p.Src.Addr() && !dst.IsPrivate() {
			return true
		}
	}
	return false
}

// follow does what an entry says.
func (t *trip) follow(r *route, dst netip.Addr) answer {
	var hop wire.NextHop
	if len(r.NextHops.NextHop) > 0 {
		hop = r.NextHops.NextHop[0]
	}
	step := model.Step{Where: "vpc/route", Rule: strings.TrimSpace(fmt.Sprintf("%s %s %s", r.to, hop.NextHopType, hop.NextHopID)), Evidence: r.String()}
	switch strings.ToLower(hop.NextHopType) {
	case "local", "":
		return t.local(dst, step)
	case "instance":
		return t.reach(t.primary(hop.NextHopID), hop.NextHopID, step)
	case "networkinterface":
		e := t.byID(hop.NextHopID)
		if e == nil {
			return t.reach(nil, "", step)
		}
		return t.reach(e, e.InstanceID, step)
	}
	if strings.EqualFold(hop.NextHopType, "HaVip") && t.instances[t.meant()] != "" {
		what := "which instance has the HaVip " + hop.NextHopID
		return answer{is: netfilter.Maybe, end: model.Dropped, why: what + " is not known", doubt: what, see: r.String(), step: step}
	}
	return t.gateway(r, hop, step)
}

// local delivers to whoever in the VPC has the address.
func (t *trip) local(dst netip.Addr, step model.Step) answer {
	if owner := t.owner(dst); owner != nil && owner.InstanceID == "" && strings.EqualFold(owner.Status, "Available") {
		step.Action = "drop"
		return answer{is: netfilter.No, end: model.Dropped, code: "infra/address-not-owned", step: step, see: owner.String(),
			why: fmt.Sprintf("%s is an address of %s, which is attached to no instance", dst, owner.NetworkInterfaceID)}
	} else if owner != nil {
		t.deliver(owner)
		return answer{is: netfilter.Yes, step: step}
	}
	if b := t.balancers[dst]; b != nil {
		step.Rule += " to load balancer " + b.LoadBalancerID
		return answer{is: netfilter.Yes, step: step}
	}
	listed := t.attached(t.instances[t.c.To.Node])
	if len(listed) == 0 {
		return answer{is: netfilter.Yes, step: step}
	}
	step.Action = "drop"
	a := answer{is: netfilter.No, end: model.Dropped, code: "infra/address-not-owned", step: step, see: listed[0].String(),
		why: fmt.Sprintf("%s lies in a vSwitch, and no ENI of node %s has it", dst, t.c.To.Node)}
	if pod, isPod := t.cluster.GetPodFromIP(dst); (!isPod || pod.Spec.HostNetwork) && !slices.Contains(t.cluster.GetNodeIPs(t.c.To.Node), dst) {
		a.is, a.step.Action, a.doubt = netfilter.Maybe, "", fmt.Sprintf("whether %s is a HaVip that leads to node %s", dst, t.c.To.Node)
	}
	if at, cut := t.facts.Missing()["DescribeNetworkInterfaces"]; cut {
		a.is, a.step.Action, a.see, a.doubt = netfilter.Maybe, "", at.String(), "whether an ENI that is not in the bundle has "+dst.String()
	}
	return a
}

// reach is a route that leads to an instance, or to an interface of one.
func (t *trip) reach(e *eni, instance string, step model.Step) answer {
	node := t.nodes[instance]
	if node == "" {
		return t.stray(step)
	}
	if e != nil {
		t.deliver(e)
	} else {
		t.arrives = infra.Machine{Node: node}
	}
	if want := t.c.To.Node; want != "" && want != node {
		t.diverted = true
		t.verdict.Code, t.verdict.Evidence = "infra/route-wrong", step.Evidence
		t.verdict.Reason = fmt.Sprintf("the VPC routes %s to node %s (%s), not to node %s", t.p.Dst.Addr(), node, step.Rule, want)
		t.verdict.Remedy = t.mend(step.Rule)
	}
	return answer{is: netfilter.Yes, step: step}
}

// stray is a route to an instance that is no node: what it does with the packet
// is not known.
func (t *trip) stray(step model.Step) answer {
	a := answer{is: netfilter.No, end: model.Unknown, step: step, see: step.Evidence,
		why: fmt.Sprintf("the VPC routes %s to what is no node of the bundle (%s)", t.p.Dst.Addr(), step.Rule)}
	if t.c.To.Node != "" {
		a.code, a.cure = "infra/route-wrong", t.mend(step.Rule)
	}
	return a
}

// gateway is a route out of the VPC. For what a node that is no instance of the
// cloud should get it is as good as any.
func (t *trip) gateway(r *route, hop wire.NextHop, step model.Step) answer {
	if t.instances[t.meant()] == "" {
		t.verdict.Outside = true
		return answer{is: netfilter.Yes, step: step}
	}
	a := answer{is: netfilter.No, end: model.Unknown, code: "infra/route-wrong", step: step, see: step.Evidence, cure: t.mend(step.Rule),
		why: fmt.Sprintf("the VPC routes %s out by %s", t.p.Dst.Addr(), step.Rule)}
	if r.to.Bits() == 0 {
		a.code, a.cure = "infra/route-missing", t.mend("")
		a.why = fmt.Sprintf("no entry of %s leads to %s but the default one (%s)", r.RouteTableID, t.p.Dst.Addr(), step.Rule)
	}
	switch strings.ToLower(hop.NextHopType) {
	case "natgateway", "ipv4gateway", "ipv6gateway": // to the Internet, where private addresses lead nowhere
		if a.end = model.NoRoute; !t.p.Dst.Addr().IsPrivate() {
			a.end = model.Unknown
		}
	}
	return a
}

// routeless is an address that no entry leads to.
func (t *trip) routeless(table string, dst netip.Addr) answer {
	at := t.facts.At("DescribeRouteEntryList")
	if list := t.tables[table]; len(list) > 0 {
		at = list[0].Place
	}
	return answer{is: netfilter.No, end: model.NoRoute, code: "infra/route-missing", see: at.String(), cure: t.mend(""),
		why:  fmt.Sprintf("no entry of route table %s leads to %s", table, dst),
		step: model.Step{Where: "vpc/route", Rule: table, Action: "no entry", Evidence: at.String()}}
}

// meant is the node that the packet should come to, "" if it is none: that of
// the pod with its destination, or that of the next hop.
func (t *trip) meant() string {
	if pod, ok := t.cluster.GetPodFromIP(t.p.Dst.Addr()); ok {
		return pod.Spec.NodeName
	}
	return t.c.To.Node
}

// mend is the command that adds the entry that is missing, or puts it in the
// place of one that leads astray, of which wrong is "PREFIX TYPE ID".
func (t *trip) mend(wrong string) string {
	node := t.meant()
	if t.instances[node] == "" {
		return ""
	}
	dst := netip.PrefixFrom(t.p.Dst.Addr(), t.p.Dst.Addr().BitLen())
	for _, p := range t.cluster.GetNodePodCIDRs(node) {
		if p.Contains(dst.Addr()) {
			dst = p
		}
	}
	table, _ := t.table()
	command := t.create(table, dst, node)
	if w := strings.Fields(wrong); len(w) == 3 && w[0] == dst.String() {
		command = fmt.Sprintf("aliyun vpc DeleteRouteEntry --RouteTableId %s --DestinationCidrBlock %s --NextHopId %s && %s", table, dst, w[2], command)
	}
	return command
}

// create is the command that adds an entry that leads to a node.
func (v *vpc) create(table string, to netip.Prefix, node string) string {
	return fmt.Sprintf("aliyun vpc CreateRouteEntry --RouteTableId %s --DestinationCidrBlock %s --NextHopType Instance --NextHopId %s", table, to, v.instances[node])
}

// deliver notes the interface that the packet comes to.
func (t *trip) deliver(e *eni) {
	if t.to = e; e == nil {
		return
	}
	t.arrives = infra.Machine{Node: t.nodes[e.InstanceID], MAC: e.MacAddress}
}
