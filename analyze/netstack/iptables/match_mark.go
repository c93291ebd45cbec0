package iptables

import "github.com/pathsnap/pathsnap/analyze/netstack/netfilter"

// markMatch is "--mark VALUE/MASK", of the packet or of its connection.
type markMatch struct {
	value, mask uint32
	not, conn   bool
}

func (m *markMatch) match(f *netfilter.Frame) netfilter.Answer {
	mark := f.Packet.Mark
	if m.conn {
		if !tracked(&f.Ct) {
			return netfilter.No
		}
		mark = f.Ct.Mark
	}
	return answerOf((mark&m.mask == m.value) != m.not)
}

func matchMark(b *building, options []option) error     { return b.mark(options, false) }
func matchConnmark(b *building, options []option) error { return b.mark(options, true) }

func (b *building) mark(options []option, conn bool) error {
	for _, o := range options {
		value, mask, err := parseMark(o.arg())
		if err != nil {
			return err
		}
		if err := b.add(&markMatch{value: value, mask: mask, not: o.not, conn: conn}); err != nil {
			return err
		}
	}
	return nil
}
