package rawimport

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func (r *reader) rules() {
	r.info.Rules = byFamily(r, "rules", [2]family{{4, "ip-rule.json"}, {6, "ip-rule6.json"}}, parseRules)
}

// A rawRule is an entry of "ip -j rule".
type rawRule struct {
	Priority   int     `json:"priority"`
	Not        flag    `json:"not"`
	Src        string  `json:"src"`
	SrcLen     *int    `json:"srclen"`
	Dst        string  `json:"dst"`
	DstLen     *int    `json:"dstlen"`
	IIf        string  `json:"iif"`
	OIf        string  `json:"oif"`
	Mark       word    `json:"fwmark"`
	Mask       word    `json:"fwmask"`
	TOS        number  `json:"tos"`
	IPProto    word    `json:"ipproto"`
	SPort      word    `json:"sport"`
	SPortStart word    `json:"sport_start"`
	SPortEnd   word    `json:"sport_end"`
	DPort      word    `json:"dport"`
	DPortStart word    `json:"dport_start"`
	DPortEnd   word    `json:"dport_end"`
	SPortMask  word    `json:"sport_mask"`
	DPortMask  word    `json:"dport_mask"`
	DSCP       word    `json:"dscp"`
	DSCPMask   word    `json:"dscp_mask"`
	FlowLabel  word    `json:"flowlabel"`
	TunID      word    `json:"tun_id"`
	UIDStart   word    `json:"uid_start"`
	UIDEnd     word    `json:"uid_end"`
	L3MDev     present `json:"l3mdev"`
	NOP        present `json:"nop"`
	Goto       *word   `json:"goto"`
	Action     string  `json:"action"`
	Type       string  `json:"type"` // spellings of action
	To         string  `json:"to"`
	Table      word    `json:"table"`
	SuppressPL *word   `json:"suppress_prefixlength"`
	SuppressP  *word   `json:"suppress_prefixlen"`
	SuppressG  *word   `json:"suppress_ifgroup"`
}

// parseRules reads "ip -j [-6] rule", or what it prints without -j.
func parseRules(data []byte, version int) ([]nodedump.Rule, []bad, error) {
	parse := rulesOfText
	if isJSON(data) {
		parse = parseEntries[rawRule, nodedump.Rule]
	}
	list, bads, err := parse(data, func(r *rawRule, line int) (nodedump.Rule, error) {
		out, err := r.convert(version)
		out.Line = line
		if err != nil {
			err = fmt.Errorf("rule %d: %w", r.Priority, err)
		}
		return out, err
	})
	if err == nil && len(data) == 0 {
		err = errors.New("1: the file is empty")
	}
	return list, bads, err
}

func (r *rawRule) convert(version int) (nodedump.Rule, error) {
	out := nodedump.Rule{
		Family: version, Priority: r.Priority, Not: r.Not.on, IIf: r.IIf, OIf: r.OIf, TOS: int(r.TOS),
		IPProto: string(r.IPProto), L3MDev: bool(r.L3MDev),
		SPort: span(r.SPort, r.SPortStart, r.SPortEnd), DPort: span(r.DPort, r.DPortStart, r.DPortEnd),
		UIDRange: span("", r.UIDStart, r.UIDEnd),
	}
	r.rare(&out)
	var errs [4]error
	out.From, errs[0] = ruleAddr(r.Src, r.SrcLen, version)
	out.To, errs[1] = ruleAddr(r.Dst, r.DstLen, version)
	out.Mark, out.Mask, errs[2] = mark(r.Mark, r.Mask)
	errs[3] = r.action(&out)
	return out, errors.Join(errs[:]...)
}

// rare sets the selectors that only newer kernels have: those of which a rule has
// no field are named.
func (r *rawRule) rare(out *nodedump.Rule) {
	var unread []string
	for _, s := range []struct {
		name  string
		value word
	}{{"tun_id", r.TunID}, {"flowlabel", r.FlowLabel}, {"sport-mask", r.SPortMask}, {"dport-mask", r.DPortMask}, {"dscp-mask", r.DSCPMask}} {
		if s.value != "" {
			unread = append(unread, s.name)
		}
	}
	if r.DSCP != "" {
		if n, err := strconv.ParseUint(string(r.DSCP), 0, 6); err == nil {
			dscp := int(n)
			out.DSCP = &dscp
		} else {
			unread = append(unread, "dscp")
		}
	}
	out.Unread = strings.Join(unread, " ")
}

// action sets what the rule does.
func (r *rawRule) action(out *nodedump.Rule) (err error) {
	if out.SuppressPrefixLen, err = suppress(r.SuppressPL, r.SuppressP); err != nil {
		return err
	}
	if out.SuppressIfGroup, err = suppress(r.SuppressG); err != nil {
		return err
	}
	out.Action = r.verb()
	switch {
	case out.Action == "goto" && *r.Goto != "none":
		out.Goto, err = strconv.Atoi(string(*r.Goto))
	case out.Action == "" && !out.L3MDev && r.Table == "":
		return errors.New("neither table nor action")
	case out.Action == "" && !out.L3MDev:
		out.Table = table(string(r.Table))
	}
	return err
}

// verb returns the action in any of its spellings, "" for a lookup.
func (r *rawRule) verb() string {
	if r.NOP {
		return "nop"
	}
	if r.Goto != nil {
		return "goto"
	}
	for _, action := range []string{r.Action, r.Type, r.To} {
		if action != "" && action != "unicast" && action != "lookup" {
			return action
		}
	}
	return ""
}

// span writes a range as "1-5", a single value as "1".
func span(single, start, end word) string {
	switch {
	case single != "" || start == "":
		return string(single)
	case end == "":
		return string(start)
	default:
		return string(start + "-" + end)
	}
}

// ruleAddr returns a selector as a prefix, "" for all. "0.0.0.0" with a length
// of 0 is all too, but from a rule that says so.
func ruleAddr(addr string, length *int, version int) (string, error) {
	if addr == "" || addr == "all" || addr == "any" || addr == "default" {
		return "", nil
	}
	if length == nil || strings.Contains(addr, "/") {
		return cidr(addr, version)
	}
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Is6() != (version == 6) {
		return "", fmt.Errorf("%q is no IPv%d address", addr, version)
	}
	return prefixOf(addr, *length)
}

// mark reads a mark and its mask, which is all ones if it is left out.
func mark(value, mask word) (uint32, uint32, error) {
	if value == "" && mask == "" {
		return 0, 0, nil
	}
	text, maskText, found := strings.Cut(string(value), "/")
	if !found {
		maskText = string(mask)
	}
	if text == "" {
		text = "0"
	}
	v, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is no mark", value)
	}
	if maskText == "" {
		return uint32(v), 0xffffffff, nil
	}
	m, err := strconv.ParseUint(maskText, 0, 32)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is no mask", maskText)
	}
	return uint32(v), uint32(m), nil
}

// suppress reads the first number that is there.
func suppress(spellings ...*word) (*int, error) {
	for _, w := range spellings {
		if w == nil {
			continue
		}
		if *w == "default" {
			return new(int), nil
		}
		n, err := strconv.Atoi(string(*w))
		return &n, err
	}
	return nil, nil
}
