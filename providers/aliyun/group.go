package aliyun

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	wire "github.com/pathsnap/pathsnap/snapshot/aliyun"
)

// A group is a security group: what all answers say of it.
type group struct {
	wire.SecurityGroup
	rules []*wire.Rule
	cut   bool // rules of it are missing
}

// addGroups puts the rules to their groups.
func (v *vpc) addGroups() {
	for i := range v.facts.SecurityGroups {
		g := v.facts.SecurityGroups[i]
		have := v.groups[g.SecurityGroupID]
		if have == nil {
			v.groups[g.SecurityGroupID] = &group{SecurityGroup: g}
			continue
		}
		have.SecurityGroupType = cmp.Or(have.SecurityGroupType, g.SecurityGroupType)
		have.InnerAccessPolicy = cmp.Or(have.InnerAccessPolicy, g.InnerAccessPolicy)
		if g.Whole && !have.Whole {
			have.Whole, have.Place = true, g.Place
		}
	}
	for i := range v.facts.Rules {
		r := &v.facts.Rules[i]
		if g := v.groups[r.SecurityGroupID]; g != nil {
			g.rules = append(g.rules, r)
		}
	}
	for id, g := range v.groups {
		_, g.cut = v.facts.Missing()["DescribeSecurityGroupAttribute of "+id]
	}
}

// egress asks the security groups of the interface that sends.
func (t *trip) egress() answer { return t.ask(t.from, "egress") }

// ingress asks those of the interface that takes the packet.
func (t *trip) ingress() answer { return t.ask(t.to, "ingress") }

// ask asks the security groups of an interface. They are stateful: what belongs
// to a session that they let begin passes in both directions ("Security group
// rules" in the documentation of ECS).
func (t *trip) ask(e *eni, direction string) answer {
	if e == nil || !t.facts.Given("DescribeSecurityGroupAttribute") || len(e.SecurityGroupIDs.SecurityGroupID) == 0 {
		return passes()
	}
	netns := "infra/" + e.NetworkInterfaceID
	where := "vpc/security-groups-in"
	if direction == "egress" {
		where = "vpc/security-groups-out"
	}
	tracked := t.session(netns)
	if tracked == netfilter.Yes {
		return answer{is: netfilter.Yes, step: model.Step{Where: where, Rule: e.NetworkInterfaceID, Action: "pass: the session is known", Evidence: e.String()}}
	}
	a := t.judge(e, direction)
	a.step.Where = where
	if tracked == netfilter.Maybe && a.is == netfilter.No {
		a.is, a.step.Action, a.doubt = netfilter.Maybe, "", "whether the session that "+e.NetworkInterfaceID+" let begin covers "+t.outer()
	}
	if a.is != netfilter.No {
		tuple := t.p.Tuple()
		t.verdict.Flow = t.verdict.Flow.With(netns, model.Conn{Original: tuple, Reply: tuple.Invert()})
	}
	return a
}

// session answers whether the packet belongs to a session that an interface has
// let begin. The documentation speaks of TCP, UDP and ICMP; of others, and of
// errors about a session, it does not say.
func (t *trip) session(netns string) netfilter.Answer {
	tuple := t.p.Tuple()
	if t.p.Kind == model.KindError && t.p.About != nil {
		tuple = t.p.About.Tuple()
	}
	for _, c := range t.verdict.Flow.Conns(netns) {
		if c.Original != tuple && c.Reply != tuple {
			continue
		}
		if t.p.Kind == model.KindError || !t.p.Protocol.HasPorts() && t.p.Protocol != model.ICMP && t.p.Protocol != model.ICMPv6 {
			return netfilter.Maybe
		}
		return netfilter.Yes
	}
	return netfilter.No
}

// judge goes through the rules of all groups of an interface by priority, those
// that drop before those that accept ("AuthorizeSecurityGroup": of two rules of
// one priority the one that drops counts). Members of a basic group whose policy
// for them is Accept reach each other whatever the rules say
// ("ModifySecurityGroupPolicy").
func (t *trip) judge(e *eni, direction string) answer {
	q := &query{t: t, direction: direction, peer: t.p.Src.Addr(), behind: t.from}
	if direction == "egress" {
		q.peer, q.behind = t.p.Dst.Addr(), nil
	}
	var groups []*group
	for _, id := range e.SecurityGroupIDs.SecurityGroupID {
		g := t.groups[id]
		if g == nil || !g.Whole || g.cut {
			what := "the rules of security group " + id + " of " + e.NetworkInterfaceID
			return answer{is: netfilter.Maybe, end: model.Dropped, why: what + " are not all in the bundle", doubt: what, see: e.String()}
		}
		groups = append(groups, g)
	}
	q.inner(groups)
	for _, r := range ordered(groups, direction) {
		if q.done {
			break
		}
		q.rule(r)
	}
	if !q.done {
		q.fallThrough(groups)
	}
	return q.answer(e, groups)
}

// ordered returns the rules of one direction in the order in which they count.
func ordered(groups []*group, direction string) (rules []*wire.Rule) {
	for _, g := range groups {
		for _, r := range g.rules {
			if strings.EqualFold(r.Direction, direction) {
				rules = append(rules, r)
			}
		}
	}
	slices.SortStableFunc(rules, func(a, b *wire.Rule) int {
		return cmp.Or(cmp.Compare(max(a.Priority, 1), max(b.Priority, 1)), cmp.Compare(accepts(a), accepts(b)))
	})
	return rules
}

func accepts(r *wire.Rule) int {
	if strings.EqualFold(r.Policy, "Accept") {
		return 1
	}
	return 0
}

// A query is a packet before the rules of an interface. Each rule that may match
// adds what may become of the packet; one that does match ends it.
type query struct {
	t         *trip
	direction string
	peer      netip.Addr // the other end
	behind    *eni       // the interface that the peer's packets come from, if they do
	can       [2]bool    // drop, accept
	done      bool
	rules     [2]*wire.Rule // that first say so; nil is a default
	text      [2]string
	doubt     string
}

// may takes down that a rule, or a default, may decide so.
func (q *query) may(is netfilter.Answer, accept int, r *wire.Rule, text, doubt string) {
	if is == netfilter.No {
		return
	}
	if !q.can[accept] {
		q.can[accept], q.rules[accept], q.text[accept] = true, r, text
	}
	q.done = is == netfilter.Yes
	if is == netfilter.Maybe {
		q.doubt = cmp.Or(q.doubt, doubt)
	}
}

// inner is what members of a group may do with each other.
func (q *query) inner(groups []*group) {
	for _, g := range groups {
		if strings.EqualFold(g.InnerAccessPolicy, "Accept") && !q.done {
			q.may(q.member(g.SecurityGroupID), 1, nil, "members of "+g.SecurityGroupID+" reach each other",
				fmt.Sprintf("whether %s counts as a member of security group %s", q.peer, g.SecurityGroupID))
		}
	}
}

// fallThrough is what happens to what no rule matches: a basic group drops what
// comes in and lets out what goes out; an advanced one drops both ("Basic and
// advanced security groups").
func (q *query) fallThrough(groups []*group) {
	kind := ""
	for _, g := range groups {
		if kind = cmp.Or(kind, g.SecurityGroupType); kind == "" && strings.EqualFold(g.InnerAccessPolicy, "Accept") {
			kind = "normal"
		}
	}
	switch {
	case q.direction == "ingress":
		q.may(netfilter.Yes, 0, nil, "no rule lets it in", "")
	case strings.EqualFold(kind, "normal"):
		q.may(netfilter.Yes, 1, nil, "no rule keeps it in", "")
	case kind != "":
		q.may(netfilter.Yes, 0, nil, "no rule lets it out", "")
	default:
		doubt := "whether security group " + groups[0].SecurityGroupID + " is basic or advanced (DescribeSecurityGroups)"
		q.may(netfilter.Maybe, 0, nil, "no rule lets it out", doubt)
		q.may(netfilter.Maybe, 1, nil, "no rule keeps it in", doubt)
	}
}

// rule asks one rule.
func (q *query) rule(r *wire.Rule) {
	is := q.matches(r)
	q.may(is, accepts(r), r, ruleText(r), fmt.Sprintf("whether the rule %s of security group %s is about %s", ruleText(r), r.SecurityGroupID, q.t.outer()))
}

// matches answers whether a rule is about the packet.
func (q *query) matches(r *wire.Rule) netfilter.Answer {
	p := q.t.p
	is := netfilter.AnswerOf(protocolMatches(r.IPProtocol, p.Protocol))
	if p.Protocol.HasPorts() {
		is = is.And(portMatches(r.PortRange, p.Dst.Port(), false)).And(portMatches(r.SourcePortRange, p.Src.Port(), p.AnyPort || p.Encap != nil))
	}
	if r.PortRangeListID != "" {
		is = is.And(netfilter.Maybe)
	}
	source := q.address(p.Src.Addr(), r.SourceCidrIP, r.Ipv6SourceCidrIP, r.SourcePrefixListID, r.SourceGroupID)
	dest := q.address(p.Dst.Addr(), r.DestCidrIP, r.Ipv6DestCidrIP, r.DestPrefixListID, r.DestGroupID)
	return is.And(source).And(dest)
}

// address answers whether an address is one that a rule names; one that names
// none is about all.
func (q *query) address(ip netip.Addr, cidr4, cidr6, list, group string) netfilter.Answer {
	if cidr4 == "" && cidr6 == "" && list == "" && group == "" {
		return netfilter.Yes
	}
	is := netfilter.No
	for _, cidr := range []string{cidr4, cidr6} {
		is = is.Or(within(ip, cidr))
	}
	if list != "" {
		prefixes, known := q.t.prefixes[list]
		if !known {
			is = is.Or(netfilter.Maybe)
		}
		is = is.Or(netfilter.AnswerOf(slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })))
	}
	if group != "" && ip == q.peer {
		is = is.Or(q.member(group))
	}
	return is
}

// within answers whether an address lies in a prefix, or is the address.
func within(ip netip.Addr, cidr string) netfilter.Answer {
	if cidr == "" {
		return netfilter.No
	}
	if one, err := netip.ParseAddr(cidr); err == nil {
		return netfilter.AnswerOf(one == ip)
	}
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return netfilter.Maybe
	}
	return netfilter.AnswerOf(p.Contains(ip))
}

// member answers whether the other end belongs to a group. The addresses of
// interfaces in it do. Whether an address does that only lies behind one, as a
// pod's in a cluster with routes of the VPC, the documentation does not say.
func (q *query) member(group string) netfilter.Answer {
	owner := q.t.owner(q.peer)
	if owner != nil {
		return netfilter.AnswerOf(slices.Contains(owner.SecurityGroupIDs.SecurityGroupID, group))
	}
	_, isPod := q.t.cluster.GetPodFromIP(q.peer)
	if q.behind != nil {
		return netfilter.AnswerOf(slices.Contains(q.behind.SecurityGroupIDs.SecurityGroupID, group)).And(netfilter.Maybe)
	}
	if isPod || q.t.inside(q.peer) >= 0 {
		return netfilter.Maybe
	}
	return netfilter.No
}

func protocolMatches(rule string, p model.Protocol) bool {
	switch strings.ToUpper(rule) {
	case "ALL", "":
		return true
	case "TCP", "UDP", "GRE":
		return strings.EqualFold(rule, string(p))
	case "ICMP":
		return p == model.ICMP
	case "ICMPV6":
		return p == model.ICMPv6
	}
	return false
}

// portMatches answers whether a port lies in ranges such as "80/80,443/443"; "",
// "-1/-1" and "1/65535" are all. open says that the port stands for any.
func portMatches(ranges string, port uint16, open bool) netfilter.Answer {
	if ranges == "" || ranges == "-1/-1" || ranges == "1/65535" {
		return netfilter.Yes
	}
	if open {
		return netfilter.Maybe
	}
	is := netfilter.No
	for one := range strings.SplitSeq(ranges, ",") {
		first, last, _ := strings.Cut(strings.TrimSpace(one), "/")
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		switch {
		case err != nil || err2 != nil:
			is = is.Or(netfilter.Maybe)
		case from <= int(port) && int(port) <= to:
			is = netfilter.Yes
		}
	}
	return is
}

// ruleText is a rule for people: "Drop UDP 8472/8472 from 0.0.0.0/0, priority 1".
func ruleText(r *wire.Rule) string {
	from := cmp.Or(r.SourceCidrIP, r.Ipv6SourceCidrIP, r.SourcePrefixListID, r.SourceGroupID)
	to := cmp.Or(r.DestCidrIP, r.Ipv6DestCidrIP, r.DestPrefixListID, r.DestGroupID)
	text := fmt.Sprintf("%s %s %s", r.Policy, r.IPProtocol, cmp.Or(r.PortRange, r.PortRangeListID))
	if from != "" {
		text += " from " + from
	}
	if to != "" {
		text += " to " + to
	}
	return fmt.Sprintf("%s, priority %d", text, max(r.Priority, 1))
}

// answer is what the rules come to.
func (q *query) answer(e *eni, groups []*group) answer {
	const drop, accept = 0, 1
	which, id := accept, groups[0].SecurityGroupID
	if q.can[drop] {
		which = drop
	}
	see := groups[0].String()
	if r := q.rules[which]; r != nil {
		see, id = r.String(), r.SecurityGroupID
	}
	a := answer{is: netfilter.Yes, step: model.Step{Rule: id + ": " + q.text[which], Evidence: see}, see: see, end: model.Dropped, code: "infra/security-group"}
	if !q.can[drop] {
		return a
	}
	a.is, a.step.Action = netfilter.No, "drop"
	verb := "in to"
	if q.direction == "egress" {
		verb = "out of"
	}
	a.why = fmt.Sprintf("security group %s does not let %s %s %s: %s", id, q.t.outer(), verb, e.NetworkInterfaceID, q.text[drop])
	a.cure = q.cure(id, q.rules[drop])
	if q.can[accept] {
		a.is, a.step.Action, a.doubt = netfilter.Maybe, "", q.doubt
	}
	return a
}

// cure is the command that lets the packet pass.
func (q *query) cure(id string, wrong *wire.Rule) string {
	suffix, end := "", "Source"
	if q.direction == "egress" {
		suffix, end = "Egress", "Dest"
	}
	if wrong != nil && wrong.SecurityGroupRuleID != "" {
		return fmt.Sprintf("aliyun ecs RevokeSecurityGroup%s --SecurityGroupId %s --SecurityGroupRuleId.1 %s", suffix, id, wrong.SecurityGroupRuleID)
	}
	protocol, ports := "ALL", "-1/-1"
	switch p := q.t.p; {
	case p.Protocol == model.TCP || p.Protocol == model.UDP:
		protocol, ports = strings.ToUpper(string(p.Protocol)), fmt.Sprintf("%d/%d", p.Dst.Port(), p.Dst.Port())
	case p.Protocol == model.ICMP || p.Protocol == model.GRE:
		protocol = strings.ToUpper(string(p.Protocol))
	}
	flag := end + "CidrIp"
	if q.peer.Is6() {
		flag = "Ipv6" + flag
	}
	return fmt.Sprintf("aliyun ecs AuthorizeSecurityGroup%s --SecurityGroupId %s --IpProtocol %s --PortRange %s --%s %s",
		suffix, id, protocol, ports, flag, netip.PrefixFrom(q.peer, q.peer.BitLen()))
}
