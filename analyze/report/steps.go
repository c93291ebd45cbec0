package report

import (
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// verb is the first word of what a step did.
func verb(s model.Step) string {
	v, _, _ := strings.Cut(strings.ToLower(s.Action), " ")
	return strings.TrimSuffix(v, ":")
}

// important reports whether a step changed the packet or decided its way. The
// others only led from rule to rule, and from device to device.
func important(s model.Step) bool {
	switch {
	case bad(s):
		return true
	case strings.Contains(s.Where, "/"): // a chain of a table
		return slices.Contains([]string{"dnat", "snat", "masquerade", "redirect", "netmap", "tproxy", "queue", "unknown"}, verb(s))
	case strings.HasPrefix(s.Where, "bridge"), strings.HasPrefix(s.Where, "device"):
		return false
	}
	return s.Action != ""
}

// bad reports whether a step stopped the packet.
func bad(s model.Step) bool {
	return s.Where == "end" || s.Action == "policy drop" || slices.Contains([]string{"drop", "dropped", "reject", "rejected",
		"unreachable", "blackhole", "prohibit", "discard", "throw", "failed", "missing", "none"}, verb(s))
}

// decisive returns the important steps of h, without those that only repeat
// what a rule has just done.
func (h Hop) decisive() (steps []model.Step, passed []string, count int) {
	done := map[string]bool{}
	for _, s := range h.Steps {
		words := strings.Fields(s.Action)
		to := s.Where[:strings.IndexByte(s.Where+"/", '/')] + strings.Join(words[max(0, len(words)-1):], "")
		switch {
		case s.Where == "end" || s.Rule == "" && done[to]:
		case !important(s):
			count++
			if !slices.Contains(passed, s.Where) {
				passed = append(passed, s.Where)
			}
		default:
			done[to] = strings.Contains(s.Where, "/")
			steps = append(steps, s)
		}
	}
	return steps, passed, count
}

// stepText says what a step did: routes and neighbours speak for themselves.
func stepText(s model.Step) string {
	if bad(s) || s.Rule == "" || !strings.HasPrefix(s.Where, "route") && !strings.HasPrefix(s.Where, "neigh") {
		return s.Action
	}
	if about, _, found := strings.Cut(s.Action, ": "); found {
		return about + ": " + s.Rule
	}
	return s.Rule
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
	for _, s := range h.Steps {
		if strings.HasPrefix(s.Where, "route") {
			routed = routed || !inTunnel
			continue
		}
		if isTunnel(s) {
			inTunnel = false
		}
		dev, part, other := device(s), &before, h.IIf
		if routed {
			part, other = &after, h.OIf
		}
		if dev != "" && dev != other && !slices.Contains(*part, dev) {
			*part = append(*part, dev)
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
