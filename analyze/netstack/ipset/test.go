package ipset

import (
	"net/netip"
	"slices"
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
	if answer == netfilter.No && s.faulty || answer == netfilter.Yes && q.Counters && s.counts {
		return netfilter.Maybe
	}
	return answer
}

// testMembers asks the members of a list in turn, but not for their counters
// (list_set_ktest in net/netfilter/ipset/ip_set_list_set.c).
func (s *set) testMembers(q *Query) netfilter.Answer {
	answer, asked := netfilter.No, *q
	asked.Counters = false
	for _, m := range s.members {
		switch m.test(&asked) {
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
// each other the longest decides (mtype_test_cidrs in
// net/netfilter/ipset/ip_set_hash_gen.h).
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

// find returns what s says of k itself, and whether no shorter network is asked
// then.
func (s *set) find(k key, q *Query) (netfilter.Answer, bool) {
	if s.ifaces == nil {
		e, ok := s.entries[k]
		return s.answer(e, ok, q), ok
	}
	return s.findIface(s.ifaces[k], q)
}

// findIface looks for the device of q among the entries of one network. The first
// decides, as in the kernel's bucket. If there is none, but others of the network
// are in the bucket, shorter networks are not asked: the kernel has seen that it
// holds the network (multi in hash_netiface4_data_equal). Entries of bridge ports
// are never asked for, and are in the same bucket by chance.
func (s *set) findIface(entries []ifaceEntry, q *Query) (netfilter.Answer, bool) {
	iface, ports, others := q.iface(1), false, false
	for _, e := range entries {
		switch {
		case e.entry.physdev:
			ports = true
		case e.iface == iface || e.wildcard && strings.HasPrefix(iface, e.iface):
			return s.answer(e.entry, true, q), true
		default:
			others = true
		}
	}
	if ports && !others {
		return netfilter.Maybe, true
	}
	return netfilter.No, others
}

// answer is what ip_set_test makes of an entry: --return-nomatch turns it round
// in a set of networks only (IPSET_TYPE_NOMATCH).
func (s *set) answer(e entry, found bool, q *Query) netfilter.Answer {
	return netfilter.AnswerOf(found && e.nomatch == (q.ReturnNomatch && slices.Contains(s.dims, dimNet)))
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
			k.addr[addrs] = s.addrKey(end.Addr())
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
		ok = q.iface(i) != ""
	case dimMark:
		k.mark, ok = q.Packet.Mark&s.mark, true
	}
	return ok
}

func (s *set) addrKey(a netip.Addr) netKey {
	n := fullKey(a)
	if s.mask != nil {
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
