package rawimport

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// rulesOfText reads "ip rule".
func rulesOfText(data []byte, convert func(*rawRule, int) (nodedump.Rule, error)) ([]nodedump.Rule, []bad, error) {
	out, bads := plain(data, func(head string, _ []string) (*rawRule, error) {
		priority, rest, found := strings.Cut(head, ":")
		n, err := strconv.Atoi(strings.TrimSpace(priority))
		if !found || err != nil {
			return nil, fmt.Errorf("%q does not begin with a priority", head)
		}
		w := wordsOf(rest)
		r := &rawRule{Priority: n}
		for len(w.list) > 0 {
			if key := w.next(); !r.selector(w, key) && !r.deed(w, key) {
				return nil, fmt.Errorf("unknown word %q", key)
			}
		}
		return r, w.err
	}, convert)
	return out, bads, nil
}

// selector reads what belongs to a word that says whom a rule is about, and
// reports whether it is one.
func (r *rawRule) selector(w *words, key string) bool {
	texts := map[string]*string{"from": &r.Src, "to": &r.Dst, "iif": &r.IIf, "oif": &r.OIf}
	names := map[string]*word{"fwmark": &r.Mark, "ipproto": &r.IPProto, "sport": &r.SPort, "dport": &r.DPort,
		"dscp": &r.DSCP, "flowlabel": &r.FlowLabel, "tun_id": &r.TunID}
	if w.take(key, texts, names, map[string]*number{"tos": &r.TOS, "dsfield": &r.TOS}) {
		return true
	}
	switch key {
	case "not":
		r.Not = flag{true, true}
	case "uidrange":
		start, end, _ := strings.Cut(w.value(key), "-")
		r.UIDStart, r.UIDEnd = word(start), word(end)
	case "[detached]", "[unresolved]":
	case "proto", "protocol", "realms":
		w.value(key)
	default:
		return false
	}
	return true
}

// deed reads what belongs to a word that says what a rule does, and reports
// whether it is one.
func (r *rawRule) deed(w *words, key string) bool {
	one := func() *word { v := word(w.value(key)); return &v }
	switch {
	case key == "lookup" && len(w.list) > 0 && w.list[0] == "[l3mdev-table]", key == "l3mdev":
		r.L3MDev = true
		w.list = slices.DeleteFunc(w.list, func(s string) bool { return s == "[l3mdev-table]" })
	case key == "lookup", key == "table":
		r.Table = *one()
	case key == "goto":
		r.Goto = one()
	case key == "nop":
		r.NOP = true
	case key == "blackhole", key == "unreachable", key == "prohibit":
		r.Action = key
	case key == "suppress_prefixlength":
		r.SuppressPL = one()
	case key == "suppress_ifgroup":
		r.SuppressG = one()
	case key == "[l3mdev-table]":
		r.L3MDev = true
	default:
		return false
	}
	return true
}
