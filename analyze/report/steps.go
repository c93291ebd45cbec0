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

// devices returns the devices that h crossed between IIf and OIf, in order:
// those before and after the node routed the packet. The route that counts is
// that of the packet that was sent, not of a tunnel's outer one.
func (h Hop) devices() (before, after []string) {
	inTunnel, routed := h.In.Encap != nil, false
	seen := []string{"", h.IIf, h.OIf}
	for _, s := range h.Steps {
		if strings.HasPrefix(s.Where, "route") {
			routed = routed || !inTunnel
			continue
		}
		if isTunnel(s) {
			inTunnel = false
		}
		dev := device(s)
		if slices.Contains(seen, dev) {
			continue
		}
		seen = append(seen, dev)
		if routed {
			after = append(after, dev)
		} else {
			before = append(before, dev)
		}
	}
	return before, after
}

// isTunnel reports whether s puts the packet into a tunnel or takes it out.
func isTunnel(s model.Step) bool {
	kind, _, _ := strings.Cut(s.Where, " ")
	return slices.Contains([]string{"vxlan", "tunnel", "encap", "decap", "ipip", "geneve", "gre"}, kind)
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
