package ipset

import (
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// test reports whether q is a member of s.
func (s *set) test(q *Query) netfilter.Answer {
	var answer netfilter.Answer
	switch {
	case s.list:
		answer = s.testMembers(q)
	case s.dims == nil:
		return netfilter.Maybe
	case len(q.Dirs) < len(s.dims) || q.Packet.IPv6() != s.ipv6 && s.hasAddr():
		return netfilter.No
	default:
		answer = s.testEntries(q)
	}
	if answer == netfilter.No && s.faulty {
		return netfilter.Maybe
	}
	return answer
}

// testMembers asks the members of a list in turn.
func (s *set) testMembers(q *Query) netfilter.Answer {
	answer := netfilter.No
	for _, m := range s.members {
		switch m.test(q) {
		case netfilter.Yes:
			return netfilter.Yes
		case netfilter.Maybe:
			answer = netfilter.Maybe
		}
	}
	return answer
}

func (s *set) hasAddr() bool {
	for _, d := range s.dims {
		if d == dimIP || d == dimNet {
			return true
		}
	}
	return false
}

// testEntries looks for the entry that q falls into. Of networks that contain
// each other the longest decides.
func (s *set) testEntries(q *Query) netfilter.Answer {
	k, nets, ok := s.keyOf(q)
	if !ok {
		return netfilter.No
	}
	if s.bitmap && len(s.dims) == 2 {
		return s.testIPMAC(k)
	}
	if nets == 0 {
		return s.lookup(k, q)
	}
	first, second := k.addr[0], k.addr[1]
	for _, n := range s.lengths[0] {
		k.addr[0] = first.cut(n)
		if nets == 1 {
			if a, found := s.find(k, q); found {
				return a
			}
			continue
		}
		for _, n := range s.lengths[1] {
			k.addr[1] = second.cut(n)
			if a, found := s.find(k, q); found {
				return a
			}
		}
	}
	return netfilter.No
}

func (s *set) lookup(k key, q *Query) netfilter.Answer {
	a, _ := s.find(k, q)
	return a
}

// find returns what s says of k itself.
func (s *set) find(k key, q *Query) (netfilter.Answer, bool) {
	if e, ok := s.entries[k]; ok {
		return e.answer(q), true
	}
	if s.wildcard == nil {
		return netfilter.No, false
	}
	iface := k.iface
	k.iface = ""
	for _, w := range s.wildcard[k] {
		if strings.HasPrefix(iface, w.prefix) {
			return w.entry.answer(q), true
		}
	}
	return netfilter.No, false
}

func (e entry) answer(q *Query) netfilter.Answer {
	if e.physdev {
		return netfilter.Maybe
	}
	return netfilter.AnswerOf(e.nomatch == q.ReturnNomatch)
}

// testIPMAC tests a bitmap:ip,mac: an address without a MAC takes any.
func (s *set) testIPMAC(k key) netfilter.Answer {
	if _, ok := s.entries[k]; ok {
		return netfilter.Yes
	}
	k.mac = ""
	_, ok := s.entries[k]
	return netfilter.AnswerOf(ok)
}

// keyOf returns what s compares of q, its networks at full length, and how
// many of them are networks. It reports false if q lacks something.
func (s *set) keyOf(q *Query) (k key, nets int, ok bool) {
	addrs := 0
	for i, d := range s.dims {
		switch end := q.end(i); d {
		case dimIP, dimNet:
			k.addr[addrs] = s.addrKey(end.Addr(), d)
			addrs++
			if d == dimNet {
				nets++
			}
		default:
			if !s.keyPart(d, q, i, &k) {
				return k, 0, false
			}
		}
	}
	if nets == 1 && addrs == 2 { // hash:ip,port,net: keep the network first
		k.addr[0], k.addr[1] = k.addr[1], k.addr[0]
	}
	return k, nets, true
}

// keyPart fills in what is no address. It reports false if q lacks it.
func (s *set) keyPart(d dim, q *Query, i int, k *key) (ok bool) {
	switch d {
	case dimPort:
		k.proto, k.port, ok = s.portKey(q, q.end(i))
	case dimMAC:
		k.mac = q.mac(i)
		ok = k.mac != ""
	case dimIface:
		k.iface = q.iface(i)
		ok = k.iface != ""
	case dimMark:
		k.mark, ok = q.Packet.Mark&s.mark, true
	}
	return ok
}

func (s *set) addrKey(a netip.Addr, d dim) netKey {
	n := fullKey(a)
	if d == dimIP && s.mask != nil {
		for i := range n.bytes {
			n.bytes[i] &= s.mask[i]
		}
	}
	return n
}

func fullKey(a netip.Addr) netKey { return netKey{a.As16(), uint8(a.BitLen())} }

// cut returns n shortened to a network of the given length.
func (n netKey) cut(bits int) netKey {
	keep := bits + 128 - int(n.bits)
	for i := range n.bytes {
		switch left := keep - 8*i; {
		case left >= 8:
		case left > 0:
			n.bytes[i] &= ^byte(0xff >> left)
		default:
			n.bytes[i] = 0
		}
	}
	n.bits = uint8(bits)
	return n
}

// portKey returns the port of q: of ICMP its type and code, of protocols
// without ports 0. A bitmap of ports has none but those of TCP and UDP.
func (s *set) portKey(q *Query, end netip.AddrPort) (model.Protocol, uint16, bool) {
	p := q.Packet.Protocol
	switch {
	case s.bitmap:
		return "", end.Port(), p == model.TCP || p == model.UDP
	case p.HasPorts():
		return p, end.Port(), true
	case p == model.ICMP || p == model.ICMPv6:
		return p, uint16(q.Packet.ICMPType)<<8 | uint16(q.Packet.ICMPCode), true
	}
	return p, 0, true
}

func (q *Query) end(i int) netip.AddrPort {
	if q.Dirs[i] == Src {
		return q.Packet.Src
	}
	return q.Packet.Dst
}

func (q *Query) mac(i int) string {
	if q.Dirs[i] == Src {
		return strings.ToLower(q.Packet.SrcMAC)
	}
	return strings.ToLower(q.Packet.DstMAC)
}

func (q *Query) iface(i int) string {
	if q.Dirs[i] == Src {
		return q.In
	}
	return q.Out
}
