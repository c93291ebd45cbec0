package route

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// matches is fib_rule_match with fib4_rule_match and fib6_rule_match.
// A rule with selectors that are not known matches if it may.
func (r *rule) matches(fl *flow, d *devices) bool {
	selected := r.selects(fl, d)
	return selected != r.Not || selected && r.Unread != ""
}

func (r *rule) selects(fl *flow, d *devices) bool {
	switch {
	case r.IIf != "" && !r.onDevice(r.IIf, fl.iif, fl, d),
		r.OIf != "" && !r.onDevice(r.OIf, fl.oif, fl, d),
		(r.Mark^fl.mark)&r.mask != 0,
		r.L3MDev && fl.vrf == "",
		r.uid != nil && r.uid.low > 0: // see askUID
		return false
	}
	return r.selectsPacket(fl)
}

func (r *rule) selectsPacket(fl *flow) bool {
	switch {
	case !covers(r.from, fl.src), !covers(r.to, fl.dst),
		r.TOS != 0 && uint8(r.TOS) != fl.tos&r.tosMask(),
		r.DSCP != nil && uint8(*r.DSCP<<2) != fl.tos&0xfc,
		r.proto != 0 && r.proto != fl.proto,
		!r.sport.has(fl.sport), !r.dport.has(fl.dport):
		return false
	}
	return true
}

// open returns the doubt whether the rule matches, nil if that is known.
func (r *rule) open(fl *flow, d *devices) *model.Doubt {
	if r.Unread != "" && r.selects(fl, d) {
		return &model.Doubt{What: "whether a policy rule matches by " + r.Unread + ": " + r.String(), Evidence: r.evidence}
	}
	return r.askUID(fl)
}

// onDevice is fib_rule_iif_match and fib_rule_oif_match: a rule that names a
// VRF is for packets in the VRF. A device that does not exist never matches.
func (r *rule) onDevice(want, have string, fl *flow, d *devices) bool {
	dev := d.byName[want]
	if dev == nil && d.known {
		return false
	}
	if dev != nil && dev.Kind == "vrf" {
		return fl.vrf == want
	}
	return want == have
}

// tosMask is what of the TOS the rule compares: IPv6 the whole DSCP.
func (r *rule) tosMask() uint8 {
	if r.Family == 6 {
		return 0xfc
	}
	return tosMask
}

// covers reports whether a selector takes the address; an unset address is
// taken by no selector but "all".
func covers(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }

func (p portRange) has(port uint16) bool {
	return p == portRange{} || p.low <= port && port <= p.high
}

// askUID returns the doubt that a rule with uidrange leaves: packets that were
// not born here count as root's, and so do the others for want of better.
func (r *rule) askUID(fl *flow) *model.Doubt {
	if r.uid == nil || !fl.local || r.uid.low == 0 && r.uid.high >= 1<<32-2 {
		return nil
	}
	return &model.Doubt{What: "the sender's user, which a policy rule asks for: " + r.String(), Evidence: r.evidence}
}
