package route

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A rule is one policy routing rule (struct fib_rule).
type rule struct {
	nodedump.Rule
	from, to     netip.Prefix
	mask         uint32
	proto        int
	sport, dport portRange
	uid          *uidRange
	kind         action
	target       int    // index of the rule to go on with; -1 if there is none
	evidence     string // file:line; "" of a rule that was not dumped
}

type (
	portRange struct{ low, high uint16 } // the zero value is any
	uidRange  struct{ low, high uint32 }
)

// An action says what a rule that fits does.
type action uint8

const (
	actLookup action = iota
	actGoto
	actNop
	actRefuse // Rule.Action is the Type
)

// newRules returns the rules of a family in the order in which they are asked.
func newRules(info *nodedump.NetNSInfo, family int, p *problems) []rule {
	var rules []rule
	for i := range info.Rules {
		raw := &info.Rules[i]
		if raw.Family != family {
			if raw.Family != 4 && raw.Family != 6 && family == 4 {
				p.add(raw.Line, "rule %d: unknown family %d", raw.Priority, raw.Family)
			}
			continue
		}
		r, err := parseRule(raw)
		if err != nil {
			p.add(raw.Line, "rule %d: %w", raw.Priority, err)
			continue
		}
		r.evidence = evidence(info.File, raw.Line)
		rules = append(rules, r)
	}
	if len(rules) == 0 {
		return defaultRules(family)
	}
	slices.SortStableFunc(rules, func(a, b rule) int { return cmp.Compare(a.Priority, b.Priority) })
	resolve(rules)
	return rules
}

// defaultRules returns the rules that a new namespace has
// (fib_default_rules_init, fib6_rules_net_init).
func defaultRules(family int) []rule {
	rules := []rule{
		{Rule: nodedump.Rule{Family: family, Priority: 0, Table: TableLocal}},
		{Rule: nodedump.Rule{Family: family, Priority: 32766, Table: TableMain}},
		{Rule: nodedump.Rule{Family: family, Priority: 32767, Table: TableDefault}},
	}
	if family == 6 {
		return rules[:2]
	}
	return rules
}

// isDefault reports whether the IPv4 rules are those of a new namespace. The
// kernel then has one trie for the tables local and main
// (net.ipv4.fib_has_custom_rules, fib_unmerge).
func isDefault(rules []rule) bool {
	want := defaultRules(4)
	return slices.EqualFunc(rules, want, func(a, b rule) bool {
		a.Line = 0
		if a.Action == "lookup" {
			a.Action = ""
		}
		return a.Rule == b.Rule
	})
}

// Dissects reports whether the rules of a family make the kernel look at protocol
// and ports of a packet that it did not make itself.
func (f *FIB) Dissects(ipv6 bool) bool {
	if ipv6 {
		return slices.ContainsFunc(f.v6.rules, requiresDissect)
	}
	return f.dissects
}

// requiresDissect reports whether a rule makes the kernel look at protocol and
// ports of packets from outside, which those for packets born here do not
// (fib_rule_requires_fldissect).
func requiresDissect(r rule) bool {
	return r.IIf != loopback && (r.proto != 0 || r.sport != portRange{} || r.dport != portRange{})
}

// resolve finds the targets of goto rules: the first rule of the priority.
func resolve(rules []rule) {
	for i := range rules {
		r := &rules[i]
		if r.kind == actGoto {
			r.target = slices.IndexFunc(rules, func(to rule) bool { return to.Priority == r.Goto })
			if r.target <= i {
				r.target = -1 // backward jumps are refused by fib_nl_newrule
			}
		}
	}
}

func parseRule(raw *nodedump.Rule) (rule, error) {
	r := rule{Rule: *raw, mask: raw.Mask, target: -1}
	if raw.Mark != 0 && raw.Mask == 0 {
		r.mask = ^uint32(0)
	}
	var errs [6]error
	r.from, errs[0] = parseSelector(raw.From, raw.Family)
	r.to, errs[1] = parseSelector(raw.To, raw.Family)
	r.sport, errs[2] = parsePorts(raw.SPort)
	r.dport, errs[3] = parsePorts(raw.DPort)
	r.uid, errs[4] = parseUIDs(raw.UIDRange)
	r.kind, errs[5] = parseAction(raw.Action)
	if raw.IPProto != "" {
		if r.proto = protocolNumber(raw.IPProto); r.proto == 0 {
			return r, fmt.Errorf("unknown protocol %q", raw.IPProto)
		}
	}
	return r, errors.Join(errs[:]...)
}

func parseAction(s string) (action, error) {
	switch s {
	case "", "lookup", "table", "to_tbl":
		return actLookup, nil
	case "goto":
		return actGoto, nil
	case "nop":
		return actNop, nil
	case string(TypeBlackhole), string(TypeUnreachable), string(TypeProhibit):
		return actRefuse, nil
	}
	return 0, fmt.Errorf("unknown action %q", s)
}

// parseSelector parses the from or to of a rule; all is the zero prefix.
func parseSelector(s string, family int) (netip.Prefix, error) {
	if s == "" || s == "all" || s == "default" {
		return netip.Prefix{}, nil
	}
	prefix, err := parsePrefix(s, 128)
	if err == nil && prefix.Addr().Is4() != (family == 4) {
		err = fmt.Errorf("%s is not of family %d", s, family)
	}
	if prefix.Bits() == 0 {
		return netip.Prefix{}, err
	}
	return prefix, err
}

func parsePorts(s string) (portRange, error) {
	if s == "" {
		return portRange{}, nil
	}
	low, high, err := parseRange(s, 16)
	return portRange{uint16(low), uint16(high)}, err
}

func parseUIDs(s string) (*uidRange, error) {
	if s == "" {
		return nil, nil
	}
	low, high, err := parseRange(s, 32)
	return &uidRange{uint32(low), uint32(high)}, err
}

// parseRange parses "7" or "7-9".
func parseRange(s string, bits int) (low, high uint64, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	if low, err = strconv.ParseUint(from, 0, bits); err != nil {
		return 0, 0, err
	}
	high, err = strconv.ParseUint(to, 0, bits)
	return low, high, err
}
