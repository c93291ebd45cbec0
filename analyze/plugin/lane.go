package plugin

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// A Lane is the way by which a node means to send packets to pods of another one.
// A plugin computes lanes; what they need of the node is asserted here.
type Lane struct {
	assertions.Way // with no device the way is not known, and nothing is asserted

	Tunnel   string     // what the device is, for people: the network's tunnel; "" if it is the one towards the other nodes
	MAC      string     // of the far end of a VXLAN, "" if there is none or it is not known
	Underlay netip.Addr // where the other node is, invalid if that is not known
	From     string     // the device that packets to it come in by, "" for packets of the node itself
	ByRule   bool       // a policy rule of the network's own leads to it, as well as the main table would

	// LinkLocal says that the route may have any link-local next hop as well: a
	// router of IPv6 has one of another name than its address.
	LinkLocal bool

	// Why says, before it is said that the route is missing or wrong, why it
	// is; nil if the plugin knows nothing of that.
	Why func(*assertions.NetstackAssertion)
}

// NextHop is what a node hands packets to an address to, by its routes: a router,
// or the address itself.
func (e *Env) NextHop(node string, ip netip.Addr) netip.Addr {
	if ns := e.Atlas.NetNS(PlaceOf(node)); ns != nil && ip.IsValid() {
		if r := ns.FIB.Lookup(route.Query{Dst: ip}, nil); r.Type == route.TypeUnicast && r.Via.IsValid() {
			return r.Via
		}
	}
	return ip
}

// AssertDevice asserts that the device of the lane is up.
func (l Lane) AssertDevice(a *assertions.NetstackAssertion) bool {
	what := l.Tunnel
	if what == "" {
		what = "the device towards the other nodes"
	}
	return l.Dev == "" || a.AssertDevice(l.Dev, what)
}

// Assert asserts a lane: the device, the route, and, of a VXLAN, the hardware
// address of the far end and where that is. Which peer of a WireGuard device has
// the address is told where the packet is encrypted.
func (l Lane) Assert(a *assertions.NetstackAssertion) bool {
	if l.Dev == "" {
		return true
	}
	if !l.AssertDevice(a) || !l.assertRoute(a) {
		return false
	}
	return l.MAC == "" || a.AssertNeighbour(l.Dev, l.Via, l.MAC, true) && (!l.Underlay.IsValid() || a.AssertFDB(l.Dev, l.MAC, l.Underlay))
}

func (l Lane) assertRoute(a *assertions.NetstackAssertion) bool {
	q := route.Query{Dst: l.Dst, IIf: l.From}
	if l.LinkLocal && a.NS() != nil {
		if got := a.NS().FIB.Lookup(q, nil); got.Prefix == l.To && got.Via.IsLinkLocalUnicast() {
			l.Via = got.Via
		}
	}
	if l.Why != nil && !assertions.NewNetstackAssertion(&Findings{}, a.NS(), model.SuspicionLevelInfo).AssertRoute(q, l.Way) {
		l.Why(a)
	}
	return a.AssertRoute(q, l.Way)
}
