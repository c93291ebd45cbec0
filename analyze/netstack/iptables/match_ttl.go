package iptables

import (
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// ttl is "--ttl-eq", "--ttl-lt" or "--ttl-gt", or the same of hop limits (ttl_mt
// and hl_mt6 in net/netfilter/xt_hl.c).
type ttl struct {
	lo, hi int
	not    bool
}

func matchTTL(b *building, options []option) error {
	for _, o := range options {
		n, err := parseUint(o.arg(), 8)
		if err != nil {
			return err
		}
		m := &ttl{lo: int(n), hi: int(n), not: o.not}
		switch {
		case strings.HasSuffix(o.name, "-lt"):
			m.lo, m.hi = 0, int(n)-1
		case strings.HasSuffix(o.name, "-gt"):
			m.lo, m.hi = int(n)+1, 255
		}
		if err := b.add(m); err != nil {
			return err
		}
	}
	return nil
}

func (m *ttl) match(f *netfilter.Frame) netfilter.Answer {
	n := int(f.Packet.TTL)
	if n == 0 {
		return netfilter.Maybe
	}
	return answerOf((m.lo <= n && n <= m.hi) != m.not)
}

func (m *ttl) doubt() string { return "the TTL that the packet comes with is not known" }

// setTTL is the target TTL or HL: it sets, lowers or raises what packets come
// with (ttl_tg and hl_tg6 in net/netfilter/xt_HL.c).
type setTTL struct {
	set bool
	n   int // to set, or to add
}

func targetTTL(options []option) (target, error) {
	if len(options) != 1 {
		return nil, errArgs
	}
	n, err := parseUint(options[0].arg(), 8)
	if err != nil {
		return nil, err
	}
	t := &setTTL{n: int(n)}
	switch name := options[0].name; {
	case strings.HasSuffix(name, "-set"):
		t.set = true
	case strings.HasSuffix(name, "-dec"):
		t.n = -t.n
	}
	return t, nil
}

func (t *setTTL) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	switch now := int(f.Packet.TTL); {
	case t.set:
		f.Packet.TTL = uint8(t.n)
	case now > 0: // else it is not known, and stays so
		f.Packet.TTL = uint8(min(max(now+t.n, 0), 255))
	}
	return netfilter.Continue, fmt.Sprintf("ttl %d", f.Packet.TTL)
}

// matchECN reads "-m ecn": that of IP is two bits of the TOS; the flags of TCP
// are not simulated.
func matchECN(b *building, options []option) error {
	for _, o := range options {
		if o.name != "ecn-ip-ect" { //nolint:misspell // ECN-capable transport
			if err := b.add(open("match not modelled: --" + o.name + ": the ECN flags of TCP are not simulated")); err != nil {
				return err
			}
			continue
		}
		n, err := parseUint(o.arg(), 2)
		if err != nil {
			return err
		}
		if err := b.add(&tos{uint8(n), 3, o.not}); err != nil {
			return err
		}
	}
	return nil
}
