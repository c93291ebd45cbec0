package report

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// journeys writes the hops of the branch that tells most.
func (t *texter) journeys() {
	b := t.d.telling()
	if b == nil {
		return
	}
	of := ""
	if len(t.d.Branches) > 1 {
		of = fmt.Sprintf(" (%s branch, %s)", b.Outcome, percent(b.Share))
	}
	t.title("Request" + of + ": " + ending(b.Request))
	t.hops(b.Request)
	if b.Request.Disposition != model.Delivered && len(b.Reply.Hops) == 0 {
		return
	}
	if len(b.Reply.Hops) == 0 {
		t.title("Reply: none")
		return
	}
	name := kindName(b.Reply.Kind)
	t.title(strings.ToUpper(name[:1]) + name[1:] + ": " + ending(b.Reply))
	t.hops(b.Reply)
}

func (t *texter) hops(d Direction) {
	wide := 0
	for _, h := range d.Hops {
		wide = min(max(wide, len([]rune(hopName(h.At)))), 32)
	}
	for i, h := range d.Hops {
		t.hop(i, h, wide)
		last := i == len(d.Hops)-1
		if last && d.Reason != "" && d.Disposition != model.Delivered {
			sign, i := "× ", red
			if d.Disposition == model.ExitsCluster {
				sign, i = "→ ", plain
			}
			t.line("       ", sign, i, d.Reason)
			t.line("         ", "", cyan, d.Evidence)
		}
	}
}

// hop writes one hop: where, by which devices, what was decided, and the
// packet if it is new or has changed.
func (t *texter) hop(i int, h Hop, wide int) {
	name := hopName(h.At)
	pad := strings.Repeat(" ", max(0, wide-len([]rune(name))))
	fmt.Fprintf(&t.b, "  %2d %s%s  %s\n", i+1, t.paint(bold, name), pad, t.paint(plain, h.through()))
	if i == 0 {
		t.line("       ", "", plain, t.packet(h.In))
	}
	t.steps(h)
	if h.Out.Protocol != "" && h.Out.String() != h.In.String() {
		t.line("       ", "= ", plain, t.packet(h.Out))
	}
}

// through is "cni0 → flannel.1".
func (h Hop) through() string {
	switch {
	case h.IIf == "" && h.OIf == "" && h.Out.Protocol != "":
		return "→"
	case h.IIf == "" && h.OIf == "":
		return "stays here"
	case h.IIf == "":
		return "→ " + h.OIf
	case h.OIf == "":
		return h.IIf + " →"
	}
	return h.IIf + " → " + h.OIf
}

// steps writes the steps that changed or decided something, and counts the
// rest.
func (t *texter) steps(h Hop) {
	decisive, passed, count := h.decisive()
	wide := 0
	for _, s := range decisive {
		wide = max(wide, len([]rune(s.Where)))
	}
	for _, s := range decisive {
		t.step(s, min(wide, 24))
	}
	if count > 0 {
		t.line("       ", "", dim, collapsed(count, passed))
	}
}

func (t *texter) step(s model.Step, wide int) {
	i := plain
	if bad(s) {
		i = red
	}
	where := elide(s.Where, 24)
	where += strings.Repeat(" ", max(0, wide-len([]rune(where)))) + "  "
	t.line("       ", t.paint(plain, where), i, t.d.named(stepText(s)))
	if bad(s) && s.Rule != "" {
		t.b.WriteString("       " + strings.Repeat(" ", len([]rune(where))) + t.paint(dim, s.Rule) + "\n")
	}
}

// collapsed is "+ 5 steps that only led on: nat/PREROUTING, nat/KUBE-SERVICES".
func collapsed(count int, where []string) string {
	steps, more := "steps", ""
	if count == 1 {
		steps = "step"
	}
	if len(where) > 3 {
		where, more = where[:3], ", …"
	}
	return fmt.Sprintf("+ %d %s that only led on: %s%s", count, steps, strings.Join(where, ", "), more)
}

// packet is p with the names of its addresses, a tunnel's outer packet last.
func (t *texter) packet(p model.Packet) string {
	inner, suffix := p, ""
	if p.Encap != nil {
		inner = *p.Encap
		suffix = fmt.Sprintf(", inside %s %s → %s", tunnelName(p), p.Src.Addr(), p.Dst.Addr())
	}
	kind := ""
	if inner.Kind != model.KindOpen {
		kind = " " + kindName(inner.Kind)
	}
	return fmt.Sprintf("%s%s %s → %s%s", inner.Protocol, kind, t.end(inner.Protocol, inner.Src), t.end(inner.Protocol, inner.Dst), suffix)
}

func (t *texter) end(proto model.Protocol, a netip.AddrPort) string {
	return endText(proto, a) + t.d.inBrackets(a.Addr())
}

// tunnelName is "VXLAN 1", or the protocol of another tunnel.
func tunnelName(p model.Packet) string {
	switch {
	case p.VNI != 0:
		return fmt.Sprintf("VXLAN %d", p.VNI)
	case p.Protocol == model.IPIP:
		return "IP-in-IP"
	}
	return string(p.Protocol) + " tunnel"
}
