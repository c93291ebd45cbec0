package iptables

import (
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

const physdevOptions = "physdev-in physdev-out physdev-is-in:0 physdev-is-out:0 physdev-is-bridged:0"

// physdev is "-m physdev". A packet that no bridge has handled matches only
// what is asked for with "!".
type physdev struct {
	in, out              *ifaceMatch
	isIn, isOut, bridged *bool // wanted, nil if not asked
}

func matchPhysdev(b *building, options []option) error {
	m := &physdev{}
	for _, o := range options {
		wanted := !o.not
		switch o.name {
		case "physdev-in":
			m.in = parseIfaceMatch(strings.Clone(o.arg()), o.not)
		case "physdev-out":
			m.out = parseIfaceMatch(strings.Clone(o.arg()), o.not)
		case "physdev-is-in":
			m.isIn = &wanted
		case "physdev-is-out":
			m.isOut = &wanted
		case "physdev-is-bridged":
			m.bridged = &wanted
		}
	}
	return b.add(m)
}

func (m *physdev) match(f *netfilter.Frame) netfilter.Answer {
	if !f.Bridged && f.PhysIn == "" && f.PhysOut == "" {
		return m.unbridged()
	}
	out, in := f.PhysOut != "", f.PhysIn != ""
	switch {
	case !agrees(m.bridged, out) || !agrees(m.isIn, in) || !agrees(m.isOut, out):
		return netfilter.No
	case m.in != nil && in && !m.in.matches(f.PhysIn):
		return netfilter.No
	case m.out == nil:
		return netfilter.Yes
	}
	return answerOf(out && m.out.matches(f.PhysOut))
}

// unbridged answers for a packet that no bridge has handled.
func (m *physdev) unbridged() netfilter.Answer {
	flags := unwanted(m.bridged) && unwanted(m.isIn) && unwanted(m.isOut)
	return answerOf(flags && (m.in == nil || m.in.not) && (m.out == nil || m.out.not))
}

func agrees(asked *bool, is bool) bool { return asked == nil || *asked == is }

func unwanted(asked *bool) bool { return asked == nil || !*asked }

// rpfilter is "-m rpfilter".
type rpfilter struct{ loose, acceptLocal, invert bool }

func matchRPFilter(b *building, options []option) error {
	m := &rpfilter{}
	for _, o := range options {
		switch o.name {
		case "loose":
			m.loose = true
		case "accept-local":
			m.acceptLocal = true
		case "invert":
			m.invert = true
		}
	}
	return b.add(m)
}

func (m *rpfilter) match(f *netfilter.Frame) netfilter.Answer {
	return not(f.Env.ReversePath(f, m.loose, m.acceptLocal), m.invert)
}

func (m *rpfilter) doubt() string { return "the way back to the packet's source is not known" }

// devgroup is "--src-group GROUP/MASK" or "--dst-group".
type devgroup struct {
	value, mask uint32
	src, not    bool
}

func matchDevgroup(b *building, options []option) error {
	for _, o := range options {
		value, mask, err := parseMark(o.arg())
		if err != nil {
			return err
		}
		if err := b.add(&devgroup{value, mask, o.name == "src-group", o.not}); err != nil {
			return err
		}
	}
	return nil
}

func (m *devgroup) match(f *netfilter.Frame) netfilter.Answer {
	dev := f.Out
	if m.src {
		dev = f.In
	}
	group, ok := f.Env.DevGroup(dev)
	if !ok {
		return netfilter.Maybe
	}
	return answerOf((uint32(group)^m.value)&m.mask == 0 != m.not)
}

func (m *devgroup) doubt() string { return "the group of a device is not known" }

// mac is "--mac-source". A packet without a frame has none.
type mac struct {
	addr string
	not  bool
}

func matchMAC(b *building, options []option) error {
	for _, o := range options {
		if len(o.arg()) != len("00:00:00:00:00:00") {
			return fmt.Errorf("%w: %q", errValue, o.arg())
		}
		if err := b.add(&mac{strings.Clone(o.arg()), o.not}); err != nil {
			return err
		}
	}
	return nil
}

func (m *mac) match(f *netfilter.Frame) netfilter.Answer {
	if f.Packet.SrcMAC == "" {
		return netfilter.No
	}
	return answerOf(strings.EqualFold(f.Packet.SrcMAC, m.addr) != m.not)
}

// pkttype is "--pkt-type", which a device tells of the frames it receives.
type pkttype struct {
	want string
	not  bool
}

func matchPkttype(b *building, options []option) error {
	for _, o := range options {
		want := strings.Clone(o.arg())
		switch want {
		case "host":
			want = "unicast"
		case "unicast", "broadcast", "multicast", "otherhost":
		default:
			return fmt.Errorf("%w: %q", errValue, want)
		}
		if err := b.add(&pkttype{want, o.not}); err != nil {
			return err
		}
	}
	return nil
}

func (m *pkttype) doubt() string {
	return "whether an address is one to broadcast to: none were collected"
}

func (m *pkttype) match(f *netfilter.Frame) netfilter.Answer {
	is, dst := "unicast", f.Packet.Dst.Addr()
	switch {
	case f.In == "": // born here
	case f.Env.AddrType(dst, "") == netfilter.AddrUnknown:
		return netfilter.Maybe
	case dst.IsMulticast():
		is = "multicast"
	case dst.Is4() && f.Env.AddrType(dst, "") == netfilter.AddrBroadcast:
		is = "broadcast"
	}
	return answerOf((is == m.want) != m.not)
}
