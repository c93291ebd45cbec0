package report

import (
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// important reports whether a step changed the packet or decided its way. The
// others only led from rule to rule.
func important(s model.Step) bool {
	verb, _, _ := strings.Cut(strings.ToLower(s.Action), " ")
	return !slices.Contains([]string{"", "jump", "goto", "return", "accept", "continue", "mark", "match", "pass", "policy", "up", "none", "new", "tracked", "ok"}, verb)
}

// bad reports whether a step stopped the packet.
func bad(s model.Step) bool {
	verb, _, _ := strings.Cut(strings.ToLower(s.Action), " ")
	verb = strings.TrimSuffix(verb, ":")
	return s.Where == "end" || slices.Contains([]string{"drop", "dropped", "reject", "rejected", "unreachable", "blackhole", "prohibit", "discard", "failed", "missing"}, verb)
}

// device returns the device that a step names: the second word of its Where.
func device(s model.Step) string {
	kind, dev, _ := strings.Cut(s.Where, " ")
	if strings.Contains(kind, "/") || strings.Contains(dev, " ") {
		return ""
	}
	return dev
}

// devices returns the devices that h crossed between IIf and OIf, in order.
// Those named after the encapsulation, or after the route, come after the
// node's own decision.
func (h Hop) devices() (before, after []string) {
	into, routed := &before, false
	for _, s := range h.Steps {
		if !routed && strings.HasPrefix(s.Where, "route") {
			into, routed = &after, true
		}
		dev := device(s)
		if dev == "" || strings.HasPrefix(s.Where, "route") || dev == h.IIf || dev == h.OIf || slices.Contains(before, dev) || slices.Contains(after, dev) {
			continue
		}
		*into = append(*into, dev)
	}
	return before, after
}

// ruleAt returns the text of the rule that evidence points to on hop, "" if no
// step tells.
func (d *Diagnosis) ruleAt(hop model.Hop, evidence string) string {
	if evidence == "" {
		return ""
	}
	for _, b := range d.Branches {
		for _, dir := range []Direction{b.Request, b.Reply} {
			for _, h := range dir.Hops {
				if h.At != hop {
					continue
				}
				for _, s := range h.Steps {
					if s.Evidence == evidence && s.Rule != "" {
						return s.Rule
					}
				}
			}
		}
	}
	return ""
}
