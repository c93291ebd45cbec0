package netns

import (
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Attributes and flags of tunnels that the libraries lack
// (include/uapi/linux/if_tunnel.h, ip6_tunnel.h, if_link.h).
const (
	iptunFwMark   = 20
	greIgnoreDF   = 19
	greFwMark     = 20
	greCsum       = 0x8000
	greKey        = 0x2000
	greSeq        = 0x1000
	ip6tnlNoLimit = 1 // IP6_TNL_F_IGN_ENCAP_LIMIT
	encapKinds    = 3
)

// parseTunnel reads a tunnel of any kind but VXLAN, nil if it is none.
func parseTunnel(kind string, a attrs) *nodedump.Tunnel {
	switch kind {
	case "ipip", "sit", "ip6tnl":
		return parseIPTunnel(kind, a)
	case "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan":
		return parseGRE(kind, a)
	case "vti", "vti6":
		return &nodedump.Tunnel{Local: a.ip(nl.IFLA_VTI_LOCAL), Remote: a.ip(nl.IFLA_VTI_REMOTE), Link: a.num(nl.IFLA_VTI_LINK)}
	case "geneve":
		remote := a.ip(unix.IFLA_GENEVE_REMOTE)
		if remote == "" {
			remote = a.ip(unix.IFLA_GENEVE_REMOTE6)
		}
		return &nodedump.Tunnel{Remote: remote, TTL: a.num(unix.IFLA_GENEVE_TTL), External: a.has(unix.IFLA_GENEVE_COLLECT_METADATA),
			ID: a.num(unix.IFLA_GENEVE_ID), Port: a.big(unix.IFLA_GENEVE_PORT), TOS: a.num(unix.IFLA_GENEVE_TOS),
			DF: dfOf(a)}
	case "wireguard":
		return &nodedump.Tunnel{}
	}
	return nil
}

// dfOf names how a geneve device sets DF, "" where the kernel does not say.
func dfOf(a attrs) string {
	if !a.has(unix.IFLA_GENEVE_DF) {
		return ""
	}
	return pick(a.num(unix.IFLA_GENEVE_DF), "unset", "set", "inherit")
}

// parseIPTunnel reads a tunnel whose outer packets say only which protocol is
// inside.
func parseIPTunnel(kind string, a attrs) *nodedump.Tunnel {
	t := &nodedump.Tunnel{
		Local: a.ip(nl.IFLA_IPTUN_LOCAL), Remote: a.ip(nl.IFLA_IPTUN_REMOTE), Link: a.num(nl.IFLA_IPTUN_LINK),
		TTL: a.num(nl.IFLA_IPTUN_TTL), NoPMTU: a.off(nl.IFLA_IPTUN_PMTUDISC), External: a.has(nl.IFLA_IPTUN_COLLECT_METADATA),
		FWMark: uint32(a.num(iptunFwMark)), Encap: udpEncap(a.num(nl.IFLA_IPTUN_ENCAP_TYPE)),
	}
	if a.has(nl.IFLA_IPTUN_PROTO) {
		t.Proto = tunnelProto(kind, a.num(nl.IFLA_IPTUN_PROTO))
	}
	if kind == "ip6tnl" {
		t.Flags = a.num(nl.IFLA_IPTUN_FLAGS)
		t.NoLimit = t.Flags&ip6tnlNoLimit != 0
		return t
	}
	t.TOS = a.num(nl.IFLA_IPTUN_TOS)
	if bits := a.num(nl.IFLA_IPTUN_6RD_PREFIXLEN); bits > 0 {
		t.Relay = netip.PrefixFrom(a.addr(nl.IFLA_IPTUN_6RD_PREFIX), bits).String()
	}
	return t
}

// tunnelProto names what a tunnel carries as ip does.
func tunnelProto(kind string, proto int) string {
	four, six := "ipip", "ip6ip"
	if kind == "ip6tnl" {
		four, six = "ipip6", "ip6ip6"
	}
	switch proto {
	case 0:
		return "any"
	case unix.IPPROTO_IPIP:
		return four
	case unix.IPPROTO_IPV6:
		return six
	case unix.IPPROTO_MPLS:
		return "mplsip"
	}
	return strconv.Itoa(proto)
}

// parseGRE reads a GRE tunnel. Its flags and keys are in network byte order.
func parseGRE(kind string, a attrs) *nodedump.Tunnel {
	iflags, oflags := a.big(nl.IFLA_GRE_IFLAGS), a.big(nl.IFLA_GRE_OFLAGS)
	t := &nodedump.Tunnel{
		Local: a.ip(nl.IFLA_GRE_LOCAL), Remote: a.ip(nl.IFLA_GRE_REMOTE), Link: a.num(nl.IFLA_GRE_LINK),
		TTL: a.num(nl.IFLA_GRE_TTL), NoPMTU: a.off(nl.IFLA_GRE_PMTUDISC), External: a.has(nl.IFLA_GRE_COLLECT_METADATA),
		FWMark: uint32(a.num(greFwMark)), Encap: udpEncap(a.num(nl.IFLA_GRE_ENCAP_TYPE)), IgnoreDF: a.on(greIgnoreDF),
		ISeq: iflags&greSeq != 0, OSeq: oflags&greSeq != 0, ICsum: iflags&greCsum != 0, OCsum: oflags&greCsum != 0,
	}
	if iflags&greKey != 0 {
		key := uint32(a.big(nl.IFLA_GRE_IKEY))
		t.IKey = &key
	}
	if oflags&greKey != 0 {
		key := uint32(a.big(nl.IFLA_GRE_OKEY))
		t.OKey = &key
	}
	if kind == "ip6gre" || kind == "ip6gretap" || kind == "ip6erspan" {
		t.NoPMTU, t.Flags = false, a.num(nl.IFLA_GRE_FLAGS)
		t.NoLimit = t.Flags&ip6tnlNoLimit != 0
		return t
	}
	t.TOS = a.num(nl.IFLA_GRE_TOS)
	return t
}

// udpEncap names the UDP header that goes around a tunnel's packets.
func udpEncap(n int) string {
	if n <= 0 || n > encapKinds {
		return ""
	}
	return pick(n, "", "fou", "gue", "mpls")
}
