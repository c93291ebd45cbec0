package route

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A Query is one question to the routing tables: the flow key of the kernel
// (struct flowi4 and flowi6).
type Query struct {
	Src, Dst     netip.Addr     // Src may be unset: a local sender that has not chosen its address
	IIf, OIf     string         // the device the packet came in by, "" if it was born here; the device the sender's socket is bound to
	Mark         uint32         // fwmark
	TOS          uint8          // of the IP header, ECN bits are ignored
	Protocol     model.Protocol // "" matches no rule with ipproto
	SPort, DPort uint16         // 0 if there is none
	AnySrc       bool           // Src need not be an address of this namespace though the packet was born here: a transparent socket, or a reverse lookup (FLOWI_FLAG_ANYSRC)
}

// A Type says what a route does with a packet.
type Type string

// The types of route. TypeNone is not one: no rule led to a route.
const (
	TypeUnicast     Type = "unicast"
	TypeLocal       Type = "local"
	TypeBroadcast   Type = "broadcast"
	TypeMulticast   Type = "multicast"
	TypeAnycast     Type = "anycast"
	TypeBlackhole   Type = "blackhole"
	TypeUnreachable Type = "unreachable"
	TypeProhibit    Type = "prohibit"
	TypeThrow       Type = "throw" // never a result: the next rule is asked
	TypeNone        Type = "none"
)

// A Result is the answer to a Query.
type Result struct {
	Type     Type
	Prefix   netip.Prefix // destination of the route; invalid if there is none
	Dev      string       // where the packet leaves; "lo" for local destinations
	Via      netip.Addr   // next hop, zero if Dst is on link; may be IPv6 for an IPv4 route
	Src      netip.Addr   // Query.Src, or what a local sender without an address uses; zero if there is none
	Table    int          // of the route, 0 if there is none
	MTU      int          // of the route in bytes, 0 if it has none
	HopLimit int          // of what is sent by the route, 0 if the sysctl says
	Encap    string       // kind of the lightweight tunnel that takes the packet, "" if none does: what it does is not known
	OnLink   bool         // Via is reachable by Dev although no route says so
	Scope    string       // global site link host nowhere
	Text     string       // the route as ip prints it, "" if there is none
	Evidence string       // file:line of the route, or of the rule that refused
	Rule     string       // the rule that led there, with its file:line
	Doubt    *model.Doubt // what the answer depends on and the dump does not tell
}
