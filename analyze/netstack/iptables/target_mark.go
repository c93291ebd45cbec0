package iptables

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// setMark changes a mark: the bits of mask are cleared, those of value flipped.
type setMark struct {
	value, mask uint32
	conn        bool // of the connection
}

func (t *setMark) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	if !t.conn {
		f.Packet.Mark = f.Packet.Mark&^t.mask ^ t.value
		return netfilter.Continue, fmt.Sprintf("mark %#x/%#x", t.value, t.mask)
	}
	if tracked(&f.Ct) {
		f.Ct.Mark = f.Ct.Mark&^t.mask ^ t.value
	}
	return netfilter.Continue, fmt.Sprintf("connmark %#x/%#x", t.value, t.mask)
}

func targetMark(options []option) (target, error) {
	if len(options) != 1 {
		return nil, errArgs
	}
	return parseSetMark(options[0], false)
}

func parseSetMark(o option, conn bool) (target, error) {
	value, mask, err := parseMark(o.arg())
	if err != nil {
		return nil, err
	}
	switch o.name {
	case "set-mark":
		mask |= value
	case "set-xmark":
	case "and-mark":
		value, mask = 0, ^value
	case "or-mark":
		mask = value
	case "xor-mark":
		mask = 0
	default:
		return nil, errOption
	}
	return &setMark{value, mask, conn}, nil
}

// moveMark copies the mark of the packet to its connection, or back.
type moveMark struct {
	nfmask, ctmask uint32
	restore        bool
}

func targetConnmark(options []option) (target, error) {
	t, moves := &moveMark{nfmask: 0xffffffff, ctmask: 0xffffffff}, false
	for _, o := range options {
		switch o.name {
		case "save-mark", "restore-mark":
			moves, t.restore = true, o.name == "restore-mark"
			continue
		case "nfmask", "ctmask", "mask":
		default:
			return parseSetMark(o, true)
		}
		n, err := parseUint(o.arg(), 32)
		if err != nil {
			return nil, err
		}
		if o.name != "ctmask" {
			t.nfmask = uint32(n)
		}
		if o.name != "nfmask" {
			t.ctmask = uint32(n)
		}
	}
	if !moves {
		return nil, errArgs
	}
	return t, nil
}

func (t *moveMark) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	if t.restore {
		if tracked(&f.Ct) {
			f.Packet.Mark = f.Packet.Mark&^t.nfmask ^ f.Ct.Mark&t.ctmask
		}
		return netfilter.Continue, fmt.Sprintf("restore mark %#x/%#x", f.Packet.Mark&t.nfmask, t.nfmask)
	}
	if tracked(&f.Ct) {
		f.Ct.Mark = f.Ct.Mark&^t.ctmask ^ f.Packet.Mark&t.nfmask
	}
	return netfilter.Continue, fmt.Sprintf("save mark %#x/%#x", f.Packet.Mark&t.nfmask, t.ctmask)
}

// notrack keeps conntrack from looking at the packet.
type notrack struct{}

func targetNotrack([]option) (target, error) { return notrack{}, nil }

func (notrack) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	if f.Ct.State == netfilter.CtNone { // else conntrack has seen it (notrack_tg, xt_ct_target)
		f.NoTrack, f.Ct.State = true, netfilter.CtUntracked // at once, for the rest of the table
	}
	return netfilter.Continue, "notrack"
}

// targetCT reads "-j CT". Helpers, timeouts and events do not change the way
// of the packet itself; a zone decides which connections it is one of.
func targetCT(options []option) (target, error) {
	t := target(passive("ct"))
	for _, o := range options {
		switch o.name {
		case "notrack":
			return notrack{}, nil
		case "zone":
			if o.arg() == "mark" {
				t = &zone{fromMark: true}
				continue
			}
			n, err := parseUint(o.arg(), 16)
			if err != nil {
				return nil, err
			}
			t = &zone{n: int(n)}
		case "zone-orig", "zone-reply":
			t = openTarget("CT --" + o.name)
		}
	}
	return t, nil
}

// zone is "--zone N" or "--zone mark", of a packet that conntrack has not seen
// (xt_ct_target in net/netfilter/xt_CT.c).
type zone struct {
	n        int
	fromMark bool
}

func (t *zone) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	n := t.n
	if t.fromMark {
		n = int(f.Packet.Mark & 0xffff)
	}
	if f.Ct.State == netfilter.CtNone {
		f.Ct.Zone = n
	}
	return netfilter.Continue, fmt.Sprintf("ct zone %d", n)
}

// changeSets is "-j SET": later rules may see the packet in other sets.
type changeSets struct{ names []string }

func targetSet(options []option) (target, error) {
	t := &changeSets{}
	for _, o := range options {
		switch o.name {
		case "map-set":
			return openTarget("SET --map-set"), nil
		case "add-set", "del-set":
			t.names = append(t.names, o.arg())
		}
	}
	return t, nil
}

func (t *changeSets) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	f.ChangedSets = append(slices.Clip(f.ChangedSets), t.names...)
	return netfilter.Continue, "set"
}

// setTOS changes the TOS byte as setMark does a mark.
type setTOS struct{ value, mask uint8 }

func (t *setTOS) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	f.Packet.TOS = f.Packet.TOS&^t.mask ^ t.value
	return netfilter.Continue, fmt.Sprintf("tos %#x/%#x", t.value, t.mask)
}

func targetTOS(options []option) (target, error) {
	if len(options) != 1 {
		return nil, errArgs
	}
	value, mask, err := parseTOS(options[0].arg())
	if err != nil {
		return nil, err
	}
	switch options[0].name {
	case "and-tos":
		return &setTOS{0, ^value}, nil
	case "or-tos":
		return &setTOS{value, value}, nil
	case "xor-tos":
		return &setTOS{value, 0}, nil
	}
	return &setTOS{value, mask}, nil
}

func targetDSCP(options []option) (target, error) {
	if len(options) != 1 {
		return nil, errArgs
	}
	value, err := parseDSCP(options[0])
	return &setTOS{value << 2, 0xfc}, err
}

// tproxy hands the packet to a local socket that is transparent, or drops it if
// there is none (tproxy_tg4 in net/netfilter/xt_TPROXY.c).
type tproxy struct {
	ip          *addrMatch
	port        uint16
	value, mask uint32
}

func targetTPROXY(options []option) (target, error) {
	t := &tproxy{}
	for _, o := range options {
		var err error
		switch o.name {
		case "on-port":
			var n uint64
			n, err = parseUint(o.arg(), 16)
			t.port = uint16(n)
		case "on-ip":
			t.ip, err = parseAddrMatch(o.arg(), false)
		case "tproxy-mark":
			t.value, t.mask, err = parseMark(o.arg())
		}
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *tproxy) apply(f *netfilter.Frame, at string) (netfilter.Verdict, string) {
	to := f.Packet.Dst
	if t.ip != nil && !t.ip.prefix.Addr().IsUnspecified() {
		to = addrPort(t.ip.prefix.Addr(), to.Port())
	} else if a := f.Env.InputAddr(f.In, f.Packet.IPv6()); a.IsValid() { // nf_tproxy_laddr4
		to = addrPort(a, to.Port())
	}
	if t.port != 0 {
		to = addrPort(to.Addr(), t.port)
	}
	asked := *f
	asked.Packet.Dst = to
	s := f.Env.Listener(&asked)
	taken := s.Found
	if taken == netfilter.Yes {
		taken = s.Transparent
	}
	if taken == netfilter.No && f.Packet.Kind != model.KindOpen {
		taken = netfilter.Maybe // a connected socket goes first
	}
	if taken == netfilter.No || taken == netfilter.Maybe &&
		!f.Choices.Doubt(model.Doubt{What: "whether a transparent socket waits at " + to.String() + " (-j TPROXY)", Evidence: at}) {
		return netfilter.Drop, "drop: no socket for tproxy to " + to.String()
	}
	f.Packet.Mark = f.Packet.Mark&^t.mask ^ t.value
	f.TProxy = to
	return netfilter.Accept, "tproxy to " + to.String()
}
