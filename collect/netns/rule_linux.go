package netns

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// fibRuleInvert is the flag of a rule with "not".
const fibRuleInvert = 2

// Selectors that golang.org/x/sys lacks.
const (
	fraDSCP          = 25
	fraFlowlabel     = 26
	fraFlowlabelMask = 27
	fraSPortMask     = 28
	fraDPortMask     = 29
	fraDSCPMask      = 30
)

// readRules reads the policy routing rules of both families, in the order in
// which the kernel asks them.
func (d *dumper) readRules() error {
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		msgs, err := d.conn.all(routeDump(unix.RTM_GETRULE, family, unix.SizeofRtMsg), d.deadline)
		var rules []nodedump.Rule
		for _, msg := range msgs {
			if len(msg) < unix.SizeofRtMsg {
				continue
			}
			rules = append(rules, parseRule(msg))
		}
		slices.SortStableFunc(rules, func(a, b nodedump.Rule) int { return a.Priority - b.Priority })
		d.info.Rules = append(d.info.Rules, rules...)
		if err != nil {
			return fmt.Errorf("IPv%d: %w", familyNumber(byte(family)), err)
		}
	}
	return nil
}

// parseRule reads one rule.
func parseRule(msg []byte) nodedump.Rule {
	a := after(msg, unix.SizeofRtMsg)
	family := familyNumber(msg[0])
	r := nodedump.Rule{
		Family: family, Priority: a.num(unix.FRA_PRIORITY),
		Not: binary.NativeEndian.Uint32(msg[8:])&fibRuleInvert != 0,
		IIf: a.str(unix.FRA_IIFNAME), OIf: a.str(unix.FRA_OIFNAME),
		Mark: uint32(a.num(unix.FRA_FWMARK)), Mask: uint32(a.num(unix.FRA_FWMASK)),
		TOS: int(msg[3]), IPProto: ipProtocol(a.num(unix.FRA_IP_PROTO)),
		SPort: portRange(a[unix.FRA_SPORT_RANGE]), DPort: portRange(a[unix.FRA_DPORT_RANGE]),
		UIDRange: uidRange(a[unix.FRA_UID_RANGE]), L3MDev: a.on(unix.FRA_L3MDEV),
		Action: ruleAction(msg[7]), Goto: a.num(unix.FRA_GOTO),
		SuppressPrefixLen: a.unlessMinusOne(unix.FRA_SUPPRESS_PREFIXLEN),
		SuppressIfGroup:   a.unlessMinusOne(unix.FRA_SUPPRESS_IFGROUP),
	}
	if a.has(unix.FRA_SRC) {
		r.From = prefixOf(a.addr(unix.FRA_SRC), int(msg[2]), family)
	}
	if a.has(unix.FRA_DST) {
		r.To = prefixOf(a.addr(unix.FRA_DST), int(msg[1]), family)
	}
	if r.Action == "" && !r.L3MDev {
		if r.Table = int(msg[4]); a.has(unix.FRA_TABLE) {
			r.Table = a.num(unix.FRA_TABLE)
		}
	}
	if a.has(fraDSCP) {
		n := a.num(fraDSCP)
		r.DSCP = &n
	}
	r.Unread = a.strangeSelectors()
	return r
}

// strangeSelectors names the selectors that a Rule has no field for: such a rule
// must not look as if it had none.
func (a attrs) strangeSelectors() string {
	var names []string
	for typ := range a {
		strange := typ > unix.FRA_DPORT_RANGE || typ == unix.FRA_TUN_ID
		switch typ {
		case fraDSCP:
			strange = false
		case fraSPortMask, fraDPortMask:
			strange = a.num(typ) != 0xffff
		case fraDSCPMask:
			strange = a.num(typ) != 0x3f
		}
		if strange {
			names = append(names, selectorName(typ))
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// selectorName names an attribute of a rule (include/uapi/linux/fib_rules.h).
func selectorName(typ uint16) string {
	switch typ {
	case unix.FRA_TUN_ID:
		return "tun_id"
	case fraSPortMask:
		return "sport-mask"
	case fraDPortMask:
		return "dport-mask"
	case fraDSCPMask:
		return "dscp-mask"
	case fraFlowlabel, fraFlowlabelMask:
		return "flowlabel"
	}
	return fmt.Sprintf("attribute-%d", typ)
}

// unlessMinusOne returns a number, nil if it is not there or -1.
func (a attrs) unlessMinusOne(typ uint16) *int {
	if n := int(int32(a.num(typ))); a.has(typ) && n != -1 {
		return &n
	}
	return nil
}

// ruleAction names what a rule does; a lookup is "".
func ruleAction(n byte) string {
	switch n {
	case unix.FR_ACT_TO_TBL:
		return ""
	case unix.FR_ACT_GOTO:
		return "goto"
	case unix.FR_ACT_NOP:
		return "nop"
	case unix.FR_ACT_BLACKHOLE:
		return "blackhole"
	case unix.FR_ACT_UNREACHABLE:
		return "unreachable"
	case unix.FR_ACT_PROHIBIT:
		return "prohibit"
	}
	return strconv.Itoa(int(n))
}

// portRange reads "53" or "1000-2000".
func portRange(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	return rangeText(uint32(binary.NativeEndian.Uint16(b)), uint32(binary.NativeEndian.Uint16(b[2:])))
}

// uidRange reads "0-99".
func uidRange(b []byte) string {
	if len(b) < 8 {
		return ""
	}
	return fmt.Sprintf("%d-%d", binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:]))
}

// rangeText writes a range, or the number if it is only one.
func rangeText(from, to uint32) string {
	if from == to {
		return strconv.Itoa(int(from))
	}
	return fmt.Sprintf("%d-%d", from, to)
}

// ipProtocol names a protocol, "" for none.
func ipProtocol(n int) string {
	names := map[int]string{
		0: "", unix.IPPROTO_ICMP: "icmp", unix.IPPROTO_IGMP: "igmp", unix.IPPROTO_IPIP: "ipencap", unix.IPPROTO_TCP: "tcp",
		unix.IPPROTO_UDP: "udp", unix.IPPROTO_IPV6: "ipv6", unix.IPPROTO_GRE: "gre", unix.IPPROTO_ICMPV6: "ipv6-icmp",
		unix.IPPROTO_SCTP: "sctp", unix.IPPROTO_DCCP: "dccp", unix.IPPROTO_UDPLITE: "udplite",
	}
	if name, ok := names[n]; ok {
		return name
	}
	return strconv.Itoa(n)
}
