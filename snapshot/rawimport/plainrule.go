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
	return plain(data, func(head string, _ []string) (*rawRule, error) {
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
}

// selector reads what belongs to a word that says whom a rule is about, and
// reports whether it is one.
func (r *rawRule) selector(w *words, key string) bool {
	switch key {
	case "not":
		r.Not = flag{true, true}
	case "from":
		r.Src = w.value(key)
	case "to":
		r.Dst = w.value(key)
	case "iif":
		r.IIf = w.value(key)
	case "oif":
		r.OIf = w.value(key)
	case "fwmark":
		r.Mark = word(w.value(key))
	case "tos", "dsfield":
		r.TOS = w.number(key)
	case "ipproto":
		r.IPProto = word(w.value(key))
	case "sport":
		r.SPort = word(w.value(key))
	case "dport":
		r.DPort = word(w.value(key))
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
