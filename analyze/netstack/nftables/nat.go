package nftables

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A nat is dnat, snat, masquerade or redirect (nft_nat_eval, nft_masq_ipv4_eval,
// nft_redir_ipv4_eval).
type nat struct {
	kind   string
	family byte   // 4 or 6 of the addresses, 0 if there are none
	addr   target // invalid if the address stays
	port   target
	netmap bool // the part of the address that the range leaves open stays
	random bool // the port is not kept
}

// A target is a range that is written down, or the value of an expression: of a
// map it may be an address and a port.
type target struct {
	set  bool
	is   span
	expr loader
}

func readNAT(p *parser, t *table, n *node) (op, error) {
	x := &nat{kind: string(n.key), family: map[string]byte{"ip": 4, "ip6": 6}[n.get("family").str()]}
	flags := n.get("flags")
	x.netmap, x.random = flags.has("netmap"), flags.has("random") || flags.has("fully-random")
	var err error
	if a := n.get("addr"); a != nil {
		if x.family == 0 {
			x.family = familyOf(t, a)
		}
		typ := p.types["ipv4_addr"]
		if x.family == 6 {
			typ = p.types["ipv6_addr"]
		}
		if x.addr, err = p.target(t, a, typ); err != nil {
			return nil, err
		}
	}
	if port := n.get("port"); port != nil {
		if x.port, err = p.target(t, port, p.types["inet_service"]); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// familyOf tells the family of an address where the statement does not.
func familyOf(t *table, a *node) byte {
	text := a.str()
	if only := a.only(); text == "" && only != nil {
		if text = only.get("addr").str(); text == "" && only.first != nil {
			text = only.first.str()
		}
	}
	if addr, err := netip.ParseAddr(text); err == nil && addr.Is6() || err != nil && t.family == "ip6" {
		return 6
	}
	return 4
}

func (p *parser) target(t *table, n *node, typ *dtype) (target, error) {
	if e, ok := p.dynamic(t, n); ok {
		return target{set: true, expr: e.loader}, nil
	}
	s, err := typ.span(n)
	if err != nil {
		return target{}, notUnderstood("%v", err)
	}
	return target{set: true, is: s}, nil
}

// values returns what the packet gets: an address, a port, or both.
func (x *target) values(f *netfilter.Frame) (data []span, why string, ok bool) {
	switch e := x.expr.(type) {
	case nil:
		return []span{x.is}, "", true
	case *mapped:
		if e.in.fault != "" {
			return nil, e.in.fault, false
		}
		data, ok = e.spans(f)
		return data, "", ok
	}
	r := x.expr.load(f)
	if !r.unk.zero() {
		return nil, doubtOf(x.expr), false
	}
	return []span{one(r.v)}, "", !r.broke
}

func (x *nat) do(w *walk) flow {
	if x.family != 0 && (x.family == 6) != w.f.Packet.IPv6() {
		return next // nft_nat_inet_eval
	}
	if !w.settle() {
		return stop
	}
	to, why, ok := x.to(w.f)
	switch {
	case why != "":
		return w.unknown(why)
	case !ok:
		return stop
	}
	v, action := x.apply(w.f, to)
	w.verdict.is = v
	w.act(action)
	return final
}

// to returns what address and port it is to be.
func (x *nat) to(f *netfilter.Frame) (n netfilter.NATRange, why string, ok bool) {
	n.Base, n.Random = -1, x.random
	ipv6 := f.Packet.IPv6()
	if x.addr.set {
		data, why, ok := x.addr.values(f)
		if !ok {
			return n, why, false
		}
		n.Lo, n.Hi = wordAddr(data[0].lo, ipv6), wordAddr(data[0].hi, ipv6)
		if len(data) > 1 {
			n.HasPorts, n.PortLo, n.PortHi = true, uint16(data[1].lo.lo), uint16(data[1].hi.lo)
		}
	}
	if x.port.set {
		data, why, ok := x.port.values(f)
		if !ok {
			return n, why, false
		}
		n.HasPorts, n.PortLo, n.PortHi = true, uint16(data[0].lo.lo), uint16(data[0].hi.lo)
	}
	return n, "", true
}

func (x *nat) apply(f *netfilter.Frame, n netfilter.NATRange) (netfilter.Verdict, string) {
	if x.netmap {
		a := f.Packet.Dst.Addr()
		if x.kind == "snat" {
			a = f.Packet.Src.Addr()
		}
		n.Lo = netmapped(a, n.Lo, n.Hi)
		n.Hi = n.Lo
	}
	switch x.kind {
	case "snat":
		return netfilter.SNAT(f, &n)
	case "masquerade":
		return netfilter.Masquerade(f, &n)
	case "redirect":
		return netfilter.Redirect(f, &n)
	}
	return netfilter.DNAT(f, &n)
}

// netmapped keeps the bits of an address in which a range varies
// (nft_nat_setup_netmap).
func netmapped(a, lo, hi netip.Addr) netip.Addr {
	from, to := addrWord(lo), addrWord(hi)
	host := from.xor(to)
	return wordAddr(from.and(host.not()).or(addrWord(a).and(host)), a.Is6())
}
