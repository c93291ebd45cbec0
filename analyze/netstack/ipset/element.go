package ipset

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// add adds one element, as "ipset save" prints it.
func (s *set) add(element string, options []string) error {
	e, err := parseEntry(options)
	if err != nil {
		return err
	}
	k, iface, err := s.parseKey(element, &e)
	if err != nil {
		return err
	}
	if s.ifaces == nil {
		s.entries[k] = e
		return nil
	}
	s.ifaces[k] = append(s.ifaces[k], ifaceEntry{iface, slices.Contains(options, "wildcard"), e})
	return nil
}

// parseEntry reads what follows an element.
func parseEntry(options []string) (e entry, err error) {
	for i := 0; i < len(options); i++ {
		switch options[i] {
		case "nomatch":
			e.nomatch = true
		case "wildcard":
		case "timeout", "packets", "bytes", "comment", "skbmark", "skbprio", "skbqueue":
			i++
		default:
			return e, fmt.Errorf("%w: %s", errValue, options[i])
		}
	}
	return e, nil
}

// parseKey reads the parts of an element, one per dimension. The device is no
// part of the key: it may be a prefix.
func (s *set) parseKey(element string, e *entry) (k key, iface string, err error) {
	parts := strings.Split(element, ",")
	optional := s.bitmap && len(s.dims) == 2 // the MAC of a bitmap:ip,mac
	if len(parts) != len(s.dims) && (!optional || len(parts) != 1) {
		return k, "", errParts
	}
	addrs, nets := 0, 0
	for i, part := range parts {
		switch s.dims[i] {
		case dimIP:
			k.addr[addrs], err = s.parseAddr(part)
			addrs++
		case dimNet:
			k.addr[addrs], err = s.parseNet(part)
			addrs, nets = addrs+1, nets+1
		case dimIface:
			iface, e.physdev = strings.CutPrefix(part, "physdev:")
		default:
			err = s.parsePart(s.dims[i], part, &k)
		}
		if err != nil {
			return k, "", err
		}
	}
	if nets == 1 && addrs == 2 {
		k.addr[0], k.addr[1] = k.addr[1], k.addr[0]
	}
	s.note(k, nets)
	return k, iface, nil
}

// parsePart reads a part that is neither an address nor a device.
func (s *set) parsePart(d dim, part string, k *key) (err error) {
	switch d {
	case dimPort:
		k.proto, k.port, err = s.parsePort(part)
	case dimMAC:
		k.mac = strings.ToLower(part)
	case dimMark:
		var n uint64
		n, err = strconv.ParseUint(part, 0, 32)
		k.mark = uint32(n) & s.mark
	}
	return err
}

// note remembers which lengths of networks occur.
func (s *set) note(k key, nets int) {
	for i := range nets {
		if n := int(k.addr[i].bits); !slices.Contains(s.lengths[i], n) {
			s.lengths[i] = append(s.lengths[i], n)
		}
	}
}

func (s *set) parseAddr(part string) (netKey, error) {
	part = strings.TrimSuffix(part, s.full())
	a, err := netip.ParseAddr(part)
	if err != nil || a.Is6() != s.ipv6 || a.Zone() != "" {
		return netKey{}, fmt.Errorf("%w: %s", errValue, part)
	}
	return s.addrKey(a), nil
}

// full is the prefix length that says no more than the address.
func (s *set) full() string {
	if s.ipv6 {
		return "/128"
	}
	return "/32"
}

func (s *set) parseNet(part string) (netKey, error) {
	if !strings.Contains(part, "/") {
		part += s.full()
	}
	p, err := netip.ParsePrefix(part)
	if err != nil || p.Addr().Is6() != s.ipv6 || p.Addr().Is4In6() {
		return netKey{}, fmt.Errorf("%w: %s", errValue, part)
	}
	return fullKey(p.Addr()).cut(p.Bits()), nil
}

// parsePort reads "80" or "tcp:80", "icmp:8/0" or "icmp:echo-request".
func (s *set) parsePort(part string) (model.Protocol, uint16, error) {
	name, value, named := strings.Cut(part, ":")
	proto := model.Protocol("")
	if !named {
		value = name
		if !s.bitmap {
			proto = model.TCP
		}
	} else if !s.bitmap {
		proto = protocol(name)
	}
	if proto == model.ICMP || proto == model.ICMPv6 {
		port, err := icmpPort(proto, value)
		return proto, port, err
	}
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return proto, 0, fmt.Errorf("%w: %s", errValue, part)
	}
	return proto, uint16(n), nil
}

// protocol returns the model's word for ipset's.
func protocol(name string) model.Protocol {
	switch name {
	case "icmpv6", "58", "ipv6-icmp":
		return model.ICMPv6
	case "tcp", "6":
		return model.TCP
	case "udp", "17":
		return model.UDP
	case "sctp", "132":
		return model.SCTP
	case "icmp", "1":
		return model.ICMP
	case "4", "ipencap":
		return model.IPIP
	}
	return model.Protocol(name)
}

// icmpPort reads "TYPE/CODE" or a name that ipset prints.
func icmpPort(proto model.Protocol, s string) (uint16, error) {
	if typ, code, ok := strings.Cut(s, "/"); ok {
		t, err := strconv.ParseUint(typ, 10, 8)
		if err != nil {
			return 0, err
		}
		c, err := strconv.ParseUint(code, 10, 8)
		return uint16(t)<<8 | uint16(c), err
	}
	names := icmpNames()
	if proto == model.ICMPv6 {
		names = icmp6Names()
	}
	if n, ok := names[s]; ok {
		return n, nil
	}
	return 0, fmt.Errorf("%w: %s", errValue, s)
}

func icmpNames() map[string]uint16 {
	return map[string]uint16{
		"echo-reply": 0, "pong": 0, "network-unreachable": 0x300, "host-unreachable": 0x301,
		"protocol-unreachable": 0x302, "port-unreachable": 0x303, "fragmentation-needed": 0x304,
		"source-route-failed": 0x305, "network-unknown": 0x306, "host-unknown": 0x307,
		"network-prohibited": 0x309, "host-prohibited": 0x30a, "TOS-network-unreachable": 0x30b,
		"TOS-host-unreachable": 0x30c, "communication-prohibited": 0x30d, "host-precedence-violation": 0x30e,
		"precedence-cutoff": 0x30f, "source-quench": 0x400, "network-redirect": 0x500, "host-redirect": 0x501,
		"TOS-network-redirect": 0x502, "TOS-host-redirect": 0x503, "echo-request": 0x800, "ping": 0x800,
		"router-advertisement": 0x900, "router-solicitation": 0xa00, "ttl-zero-during-transit": 0xb00,
		"ttl-zero-during-reassembly": 0xb01, "ip-header-bad": 0xc00, "required-option-missing": 0xc01,
		"timestamp-request": 0xd00, "timestamp-reply": 0xe00, "address-mask-request": 0x1100,
		"address-mask-reply": 0x1200,
	}
}

func icmp6Names() map[string]uint16 {
	return map[string]uint16{
		"no-route": 0x100, "communication-prohibited": 0x101, "address-unreachable": 0x103,
		"port-unreachable": 0x104, "packet-too-big": 0x200, "ttl-zero-during-transit": 0x300,
		"ttl-zero-during-reassembly": 0x301, "bad-header": 0x400, "unknown-header-type": 0x401,
		"unknown-option": 0x402, "echo-request": 0x8000, "ping": 0x8000, "echo-reply": 0x8100, "pong": 0x8100,
		"router-solicitation": 0x8500, "router-advertisement": 0x8600, "neighbour-solicitation": 0x8700,
		"neighbour-advertisement": 0x8800, "redirect": 0x8900,
		"neigbour-solicitation": 0x8700, "neigbour-advertisement": 0x8800, //nolint:misspell // so ipset spells them too
	}
}
