package nftables

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A dtype is a type of values (nft describe): how many bits they have, and how
// nft spells them.
type dtype struct {
	name  string
	bits  int
	parse func(text string) (word, bool) // of what is no plain number, nil if there is nothing but numbers
	text  bool                           // numbers are texts too: "7" names a device
	any   bool                           // what cannot be read does no harm: no packet's value of the type is known
}

// dtypes is the table of types, by the names that sets use.
func dtypes() []dtype {
	return []dtype{
		{name: "ipv4_addr", bits: 32, parse: parseAddr4},
		{name: "ipv6_addr", bits: 128, parse: parseAddr6},
		{name: "ether_addr", bits: 48, parse: parseEther},
		{name: "inet_proto", bits: 8, parse: parseProto},
		{name: "inet_service", bits: 16},
		{name: "mark", bits: 32},
		{name: "ifname", bits: 128, parse: parseIfname, text: true},
		{name: "iface_index", bits: 128, parse: parseIfindex, text: true},
		{name: "iface_type", bits: 16, parse: symbols("ether=1 ppp=512 ipip=768 ipip6=769 loopback=772 sit=776 ipgre=778")},
		{name: "ct_state", bits: 32, parse: symbols("invalid=1 established=2 related=4 new=8 untracked=64")},
		{name: "ct_dir", bits: 8, parse: symbols("original=0 reply=1")},
		{name: "ct_status", bits: 32, parse: symbols("expected=1 seen-reply=2 assured=4 confirmed=8 snat=16 dnat=32 dying=512")},
		{name: "ct_event", bits: 32, any: true},
		{name: "ct_label", bits: 128, any: true},
		{name: "nf_proto", bits: 8, parse: symbols("ipv4=2 ipv6=10")},
		{name: "ether_type", bits: 16, parse: symbols("ip=2048 arp=2054 ip6=34525 vlan=33024 8021q=33024 8021ad=34984")},
		{name: "icmp_type", bits: 8, parse: symbols("echo-reply=0 destination-unreachable=3 source-quench=4 redirect=5 echo-request=8 router-advertisement=9 router-solicitation=10 time-exceeded=11 parameter-problem=12 timestamp-request=13 timestamp-reply=14 info-request=15 info-reply=16 address-mask-request=17 address-mask-reply=18")},
		{name: "icmpv6_type", bits: 8, parse: symbols("destination-unreachable=1 packet-too-big=2 time-exceeded=3 parameter-problem=4 echo-request=128 echo-reply=129 mld-listener-query=130 mld-listener-report=131 mld-listener-done=132 mld-listener-reduction=132 nd-router-solicit=133 nd-router-advert=134 nd-neighbor-solicit=135 nd-neighbor-advert=136 nd-redirect=137 router-renumbering=138 ind-neighbor-solicit=141 ind-neighbor-advert=142 mld2-listener-report=143")},
		{name: "icmp_code", bits: 8, parse: symbols("net-unreachable=0 host-unreachable=1 prot-unreachable=2 port-unreachable=3 frag-needed=4 net-prohibited=9 host-prohibited=10 admin-prohibited=13")},
		{name: "icmpv6_code", bits: 8, parse: symbols("no-route=0 admin-prohibited=1 addr-unreachable=3 port-unreachable=4 policy-fail=5 reject-route=6")},
		{name: "igmp_type", bits: 8, parse: symbols("membership-query=17 membership-report-v1=18 membership-report-v2=22 leave-group=23 membership-report-v3=34")},
		{name: "dscp", bits: 6, parse: symbols("df=0 be=0 cs0=0 lephb=1 cs1=8 af11=10 af12=12 af13=14 cs2=16 af21=18 af22=20 af23=22 cs3=24 af31=26 af32=28 af33=30 cs4=32 af41=34 af42=36 af43=38 cs5=40 va=44 ef=46 cs6=48 cs7=56")},
		{name: "ecn", bits: 2, parse: symbols("not-ect=0 ect1=1 ect0=2 ce=3")}, //nolint:misspell // the names of the bits
		{name: "tcp_flag", bits: 8, parse: symbols("fin=1 syn=2 rst=4 psh=8 ack=16 urg=32 ecn=64 cwr=128")},
		{name: "fib_addrtype", bits: 32, parse: symbols("unspec=0 unicast=1 local=2 broadcast=3 anycast=4 multicast=5 blackhole=6 unreachable=7 prohibit=8 throw=9 nat=10 xresolve=11")},
		{name: "pkt_type", bits: 8, parse: symbols("host=0 unicast=0 broadcast=1 multicast=2 other=3")},
		{name: "devgroup", bits: 32, parse: symbols("default=0")},
		{name: "boolean", bits: 8, parse: symbols("missing=0 exists=1")},
		{name: "integer", bits: 128},
		{name: "string", bits: 128, parse: func(s string) (word, bool) { return bytesWord(s), true }, text: true},
		{name: "uid", bits: 32, any: true}, {name: "gid", bits: 32, any: true},
		{name: "cgroupsv2", bits: 64, any: true}, {name: "realm", bits: 32, any: true}, {name: "classid", bits: 32, any: true},
		{name: "day", bits: 8, any: true}, {name: "hour", bits: 32, any: true}, {name: "time", bits: 64, any: true},
		{name: "mh_type", bits: 8, any: true}, {name: "dccp_pkttype", bits: 4, any: true}, {name: "arp_op", bits: 16, any: true},
		{name: "whatever", bits: 128, any: true},
	}
}

// A typeTable finds types by name. It is made once per text.
type typeTable map[string]*dtype

func newTypeTable() typeTable {
	t, list := typeTable{}, dtypes()
	for i := range list {
		t[list[i].name] = &list[i]
	}
	return t
}

// sized returns the type of numbers of a size.
func sized(n int) *dtype { return &dtype{name: "integer", bits: n} }

// symbols returns the parser of "name=number name=number".
func symbols(list string) func(string) (word, bool) {
	return func(text string) (word, bool) {
		for pair := range strings.FieldsSeq(list) {
			name, value, _ := strings.Cut(pair, "=")
			if name == text {
				n, err := strconv.ParseUint(value, 10, 32)
				return number(n), err == nil
			}
		}
		return word{}, false
	}
}

func parseAddr4(s string) (word, bool) {
	a, err := netip.ParseAddr(s)
	return addrWord(a), err == nil && a.Is4()
}

func parseAddr6(s string) (word, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return word{}, false
	}
	b := a.As16()
	return bytesWord(b[:]), true
}

func parseEther(s string) (w word, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 6 {
		return w, false
	}
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 16, 8)
		if err != nil {
			return w, false
		}
		w = w.shl(8)
		w.lo |= n
	}
	return w, true
}

func parseProto(s string) (word, bool) {
	n, ok := netfilter.ProtocolNumber(s)
	return number(uint64(n)), ok
}

func parseIfname(s string) (word, bool) { return bytesWord(s), len(s) < 16 }

// parseIfindex reads the index of a device, which nft prints as its name: a
// number is that of a device that is gone, or 0 for none.
func parseIfindex(s string) (word, bool) {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		if n == 0 {
			return word{}, true
		}
		return ones(), true
	}
	return parseIfname(s)
}

// constant reads a single value.
func (t *dtype) constant(n *node) (word, error) {
	switch n.kind {
	case isTrue:
		return number(1), nil
	case isFalse:
		return word{}, nil
	case isNumber, isString:
		return t.scalar(string(n.text), n.kind == isString)
	case isArray: // flags
		return t.union(n.first)
	case isObject:
		if only := n.only(); only != nil && string(only.key) == "|" {
			return t.union(only.first)
		}
	}
	return word{}, fmt.Errorf("%s %s", t.name, brief(n))
}

func (t *dtype) union(first *node) (all word, err error) {
	for ; first != nil; first = first.next {
		w, err := t.constant(first)
		if err != nil {
			return all, err
		}
		all = all.or(w)
	}
	return all, nil
}

func (t *dtype) scalar(s string, quoted bool) (word, error) {
	if t.parse != nil {
		if w, ok := t.parse(s); ok {
			return w, nil
		}
	}
	if !t.text || !quoted {
		if n, err := strconv.ParseUint(s, 0, 64); err == nil {
			return number(n), nil
		}
	}
	if t.any {
		return word{}, nil
	}
	return word{}, fmt.Errorf("%s %q", t.name, s)
}

// span reads a value, a prefix, a range, or a name of a device with "*".
func (t *dtype) span(n *node) (span, error) {
	only := n.only()
	switch {
	case only != nil && string(only.key) == "prefix":
		return t.prefix(only)
	case only != nil && string(only.key) == "range" && only.first != nil && only.first.next != nil:
		lo, err := t.constant(only.first)
		if err != nil {
			return span{}, err
		}
		hi, err := t.constant(only.first.next)
		return span{lo, hi}, err
	case n.kind == isString && t.name == "ifname" && len(n.text) > 0 && n.text[len(n.text)-1] == '*':
		lo := bytesWord(n.text[:len(n.text)-1])
		return span{lo, lo.or(mask(128 - 8*min(16, len(n.text)-1)))}, nil
	}
	w, err := t.constant(n)
	return one(w), err
}

func (t *dtype) prefix(n *node) (span, error) {
	lo, err := t.constant(orNull(n.get("addr")))
	if err != nil {
		return span{}, err
	}
	length, err := strconv.Atoi(n.get("len").str())
	if err != nil || length < 0 || length > t.bits {
		return span{}, fmt.Errorf("length of a prefix %q", n.get("len").str())
	}
	host := mask(t.bits - length)
	return span{lo.and(host.not()), lo.or(host)}, nil
}

// orNull returns n, or null for one that is missing.
func orNull(n *node) *node {
	if n == nil {
		return &node{}
	}
	return n
}

// brief names a JSON value in an error.
func brief(n *node) string {
	switch {
	case n == nil:
		return "nothing"
	case n.kind == isObject && n.first != nil:
		return string(n.first.key)
	case n.kind == isObject, n.kind == isArray:
		return "a list"
	case n.kind == isNull:
		return "null"
	case n.kind == isTrue:
		return "true"
	case n.kind == isFalse:
		return "false"
	}
	return strconv.Quote(string(n.text))
}
