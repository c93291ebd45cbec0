package route

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// text prints the route as ip does, in one line.
func (e *entry) text() string {
	var b strings.Builder
	if e.typ != TypeUnicast {
		b.WriteString(string(e.typ) + " ")
	}
	b.WriteString(prefixText(e.prefix))
	if e.tos != 0 {
		fmt.Fprintf(&b, " tos %#02x", e.tos)
	}
	if len(e.hops) == 1 {
		e.hops[0].write(&b, e.prefix.Addr().Is4())
	}
	if e.table != TableMain {
		b.WriteString(" table " + tableName(e.table))
	}
	if r := e.route; r != nil && r.Protocol != "" && r.Protocol != "boot" {
		b.WriteString(" proto " + r.Protocol)
	}
	if e.scope != scopeGlobal {
		b.WriteString(" scope " + e.scope.String())
	}
	if e.prefsrc.IsValid() {
		b.WriteString(" src " + e.prefsrc.String())
	}
	if e.metric != 0 {
		b.WriteString(" metric " + strconv.Itoa(e.metric))
	}
	e.writeRest(&b)
	return b.String()
}

func (e *entry) writeRest(b *strings.Builder) {
	if len(e.hops) == 1 && e.hops[0].onlink {
		b.WriteString(" onlink")
	}
	if e.route != nil {
		for _, flag := range e.route.Flags {
			if flag != "onlink" {
				b.WriteString(" " + flag)
			}
		}
		if e.route.MTU != 0 {
			b.WriteString(" mtu " + strconv.Itoa(e.route.MTU))
		}
	}
	if len(e.hops) > 1 {
		for i := range e.hops {
			b.WriteString(" nexthop")
			e.hops[i].write(b, e.prefix.Addr().Is4())
			fmt.Fprintf(b, " weight %g", e.hops[i].weight)
		}
	}
	if e.derived != "" {
		b.WriteString(" (derived from the " + e.derived + ")")
	}
}

func (h *hop) write(b *strings.Builder, ipv4 bool) {
	if h.via.IsValid() {
		b.WriteString(" via ")
		if ipv4 && h.via.Is6() {
			b.WriteString("inet6 ")
		}
		b.WriteString(h.via.String())
	}
	b.WriteString(" dev " + h.dev)
}

func prefixText(p netip.Prefix) string {
	switch {
	case p.Bits() == 0:
		return "default"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// tableName returns the name of a table as iproute2 knows it without
// configuration.
func tableName(id int) string {
	switch id {
	case TableDefault:
		return "default"
	case TableMain:
		return "main"
	case TableLocal:
		return "local"
	}
	return strconv.Itoa(id)
}

// String prints the rule as ip does: "100: from 10.0.0.0/8 fwmark 0x1 lookup 100".
func (r *rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", r.Priority)
	if r.Not {
		b.WriteString(" not")
	}
	b.WriteString(" from ")
	b.WriteString(orAll(r.From))
	r.writeSelectors(&b)
	switch {
	case r.kind == actGoto:
		fmt.Fprintf(&b, " goto %d", r.Goto)
	case r.kind == actLookup && r.L3MDev:
		b.WriteString(" lookup [l3mdev-table]")
	case r.kind == actLookup:
		b.WriteString(" lookup " + tableName(r.Table))
	default:
		b.WriteString(" " + r.Action)
	}
	if r.SuppressPrefixLen != nil {
		fmt.Fprintf(&b, " suppress_prefixlength %d", *r.SuppressPrefixLen)
	}
	if r.SuppressIfGroup != nil {
		fmt.Fprintf(&b, " suppress_ifgroup %d", *r.SuppressIfGroup)
	}
	return b.String()
}

func (r *rule) writeSelectors(b *strings.Builder) {
	words := [...][2]string{{"to", r.To}, {"tos", hexText(uint32(r.TOS))}, {"fwmark", r.markText()},
		{"iif", r.IIf}, {"oif", r.OIf}, {"uidrange", r.UIDRange}, {"ipproto", r.IPProto},
		{"sport", r.SPort}, {"dport", r.DPort}}
	for _, w := range words {
		if w[1] != "" {
			b.WriteString(" " + w[0] + " " + w[1])
		}
	}
}

func (r *rule) markText() string {
	switch r.mask {
	case 0:
		return ""
	case ^uint32(0):
		return fmt.Sprintf("%#x", r.Mark)
	}
	return fmt.Sprintf("%#x/%#x", r.Mark, r.mask)
}

func hexText(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%#02x", n)
}

func orAll(s string) string {
	if s == "" {
		return "all"
	}
	return s
}

// described is the rule with its place in the dump, for Result.Rule.
func (r *rule) described() string {
	if r == nil {
		return ""
	}
	if r.evidence == "" {
		return r.String()
	}
	return r.String() + " (" + r.evidence + ")"
}
