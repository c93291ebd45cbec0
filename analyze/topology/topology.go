// Package topology knows what is at the other end of a device: the peer of a
// veth, the ports of a bridge, the neighbour on the underlay.
package topology

import (
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Place is a network namespace of the bundle. It is comparable.
type Place struct {
	Base  string // "nodes/n1" or "external/gw"
	Netns string // key of the namespace there
}

// ID returns the directory of the place in the bundle, which is also the ID of
// its [netstack.NetNS].
func (p Place) ID() string { return p.Base + "/netns/" + p.Netns }

// Host returns the place of the machine that p lies on.
func (p Place) Host() Place { return Place{p.Base, nodedump.HostNetns} }

// An Atlas finds the places of a bundle.
type Atlas interface {
	// NetNS returns the parsed namespace of a place, nil if it was not
	// collected.
	NetNS(p Place) *netstack.NetNS
	// Places returns the namespaces of one machine, the host's own first.
	Places(base string) []Place
	// Pod returns the namespace of the pod that has ip. It reports false if
	// the bundle knows none.
	Pod(ip netip.Addr) (Place, bool)
	// Owner returns the machine that ip is an address of, by its own
	// namespace. It reports false if the bundle knows none.
	Owner(ip netip.Addr) (Place, bool)
}

// An End is one end of a wire.
type End struct {
	Place Place
	Dev   string
}

// A Topology answers questions about wires. It keeps nothing that changes.
type Topology struct{ atlas Atlas }

// New returns the topology of the places that atlas finds.
func New(atlas Atlas) *Topology { return &Topology{atlas} }

// From returns what the namespace of a place can ask about its wires.
func (t *Topology) From(p Place) netstack.Wire { return &wire{t, p} }

// Peer returns the other end of a veth. It reports false if dev is no veth or
// its other end is not in the bundle.
func (t *Topology) Peer(at Place, dev *nodedump.Interface) (End, bool) {
	if dev.Kind != "veth" || dev.Link == 0 {
		return End{}, false
	}
	if dev.PeerNetns != "" {
		return t.end(Place{at.Base, dev.PeerNetns}, dev)
	}
	if dev.LinkNSID == nil {
		return t.end(at, dev)
	}
	for _, p := range t.atlas.Places(at.Base) {
		if p == at {
			continue
		}
		if e, ok := t.end(p, dev); ok {
			return e, true
		}
	}
	return End{}, false
}

// Outward reports whether a device leads from its namespace to other machines,
// though it may be a pod's: it is hardware with nothing at its other end, or a veth
// whose other end would be seen if it were on the machine.
func (t *Topology) Outward(at End) bool {
	ns := t.atlas.NetNS(at.Place)
	if ns == nil {
		return false
	}
	dev, ok := ns.Device(at.Dev)
	switch {
	case !ok || dev.Master != 0:
		return false
	case dev.Kind == "":
		return dev.Link == 0 && dev.LinkNSID == nil
	case dev.Kind != "veth" || dev.LinkNSID == nil || dev.PeerNetns != "":
		return false
	}
	_, here := t.Peer(at.Place, dev)
	return !here && t.atlas.NetNS(at.Place.Host()) != nil
}

// end returns the device of p that is the other end of dev: each names the
// index of the other.
func (t *Topology) end(p Place, dev *nodedump.Interface) (End, bool) {
	ns := t.atlas.NetNS(p)
	if ns == nil {
		return End{}, false
	}
	for i := range ns.Info.Interfaces {
		d := &ns.Info.Interfaces[i]
		if d.Index == dev.Link && d.Link == dev.Index && d.Kind == "veth" {
			return End{p, d.Name}, true
		}
	}
	return End{}, false
}

// Underlay returns who takes a frame to nexthop that leaves a machine by a
// device whose wire the bundle does not show: the machine whose hardware
// address it bears, if the machine's other neighbours tell which that is,
// otherwise the owner of nexthop. asIs reports whether the frame's hardware
// address is the taker's own: between machines it may be a router's, or be
// rewritten on the way.
func (t *Topology) Underlay(from End, nexthop netip.Addr, mac string) (end End, asIs, ok bool) {
	owner, ok := t.atlas.Owner(nexthop)
	if !ok || owner == from.Place {
		return End{}, false, false
	}
	ns := t.atlas.NetNS(owner)
	if ns == nil {
		return End{Place: owner}, false, true
	}
	dev := facing(ns, nexthop)
	if mac == dev.MAC {
		return End{owner, dev.Name}, true, dev.Name != ""
	}
	if other, _ := t.behind(from, mac); other != (End{}) {
		return other, true, true
	}
	return End{owner, dev.Name}, false, dev.Name != ""
}

// behind finds the machine with a hardware address among the neighbours that a
// machine has on a device, the zero End if none has it. transparent says that
// they show that addresses cross the wire as they are.
func (t *Topology) behind(from End, mac string) (end End, transparent bool) {
	ns := t.atlas.NetNS(from.Place)
	if ns == nil {
		return End{}, false
	}
	for i := range ns.Info.Neighbours {
		n := &ns.Info.Neighbours[i]
		ip, err := netip.ParseAddr(n.IP)
		if err != nil || n.Dev != from.Dev || n.MAC == "" {
			continue
		}
		owner, known := t.atlas.Owner(ip)
		far := t.atlas.NetNS(owner)
		if !known || far == nil {
			continue
		}
		dev := facing(far, ip)
		transparent = transparent || dev.MAC == n.MAC
		if dev.MAC == mac {
			end = End{owner, dev.Name}
		}
	}
	return end, transparent
}

// owned answers whether a frame to mac arrives that leaves a machine by a
// device. A machine may be behind an address that is not its own, unless the
// neighbours show that addresses cross the wire as they are.
func (t *Topology) owned(from End, mac string) netfilter.Answer {
	end, transparent := t.behind(from, mac)
	switch {
	case end != (End{}):
		return netfilter.Yes
	case transparent && !t.learned(from, mac):
		return netfilter.No
	}
	return netfilter.Maybe
}

// learned reports whether a machine has heard of a hardware address from a
// neighbour that the bundle does not hold.
func (t *Topology) learned(from End, mac string) bool {
	return slices.ContainsFunc(t.atlas.NetNS(from.Place).Info.Neighbours, func(n nodedump.Neighbour) bool {
		return n.Dev == from.Dev && n.MAC == mac && n.State != "PERMANENT"
	})
}

// facing returns the device that takes a frame to ip: the one that carries the
// address.
func facing(ns *netstack.NetNS, ip netip.Addr) nodedump.Interface {
	if dev, ok := ns.FIB.DeviceOwning(ip); ok {
		return *dev
	}
	return nodedump.Interface{}
}

// wire is the wires of one place as its namespace asks about them.
type wire struct {
	t  *Topology
	at Place
}

// Resolve implements [netstack.Wire].
func (w *wire) Resolve(ns *netstack.NetNS, dev string, ip netip.Addr, p model.Packet) (mac string, known netfilter.Answer) {
	q := w.t.question(End{w.at, dev}, ip, p)
	to, mac, known := w.t.resolve(q)
	if known != netfilter.Yes {
		return mac, known
	}
	if _, _, lost := w.t.muted(q, to); !lost {
		return mac, known
	}
	if n, _, ok := ns.Neighbour(dev, ip); ok && netstack.Usable(n) {
		return "", netfilter.Maybe // nobody needs to ask
	}
	return "", netfilter.No
}

// resolve finds who answers a question.
func (t *Topology) resolve(q question) (to End, mac string, known netfilter.Answer) {
	if to, mac, ok := t.podBehind(q.from, q.ip); ok {
		return to, mac, netfilter.Yes
	}
	s := t.segment(q.from, func(e End) (answers bool) {
		to = e
		mac, answers = t.answers(e, q.ip, q.asker)
		return answers
	})
	switch {
	case s.done:
		return to, mac, netfilter.Yes
	case !s.open:
		return End{}, "", netfilter.No
	case !s.underlay:
		return End{}, "", netfilter.Maybe
	}
	return t.resolveUnderlay(q.from.Place, q.ip)
}

// podBehind answers for a pod of the machine whose veth is a port of the bridge
// that is asked, without looking at any other pod.
func (t *Topology) podBehind(from End, ip netip.Addr) (to End, mac string, ok bool) {
	place, ok := t.atlas.Pod(ip)
	if !ok || place.Host() != from.Place {
		return End{}, "", false
	}
	ns := t.atlas.NetNS(place)
	if ns == nil {
		return End{}, "", false
	}
	dev, ok := ns.FIB.DeviceOwning(ip)
	if !ok || !netstack.Up(dev) {
		return End{}, "", false
	}
	end, ok := t.Peer(place, dev)
	return End{place, dev.Name}, dev.MAC, ok && end.Place == from.Place && t.bridges(end, from.Dev)
}

// bridges reports whether a device is a port through which a bridge sends.
func (t *Topology) bridges(e End, bridge string) bool {
	ns := t.atlas.NetNS(e.Place)
	if ns == nil {
		return false
	}
	port, ok := ns.Device(e.Dev)
	if !ok || !netstack.Up(port) || !netstack.Forwards(port) {
		return false
	}
	master, ok := ns.Master(port)
	return ok && master.Name == bridge && netstack.Up(master)
}

// resolveUnderlay answers for addresses between machines. The end is none where
// no device is known.
func (t *Topology) resolveUnderlay(at Place, ip netip.Addr) (to End, mac string, known netfilter.Answer) {
	if pod, ok := t.atlas.Pod(ip); ok && pod.Base == at.Base && pod != at && t.stands(pod, ip) {
		return End{}, "", t.comesBack(at)
	}
	owner, ok := t.atlas.Owner(ip)
	if !ok || owner == at {
		return End{}, "", netfilter.Maybe
	}
	if owner.Base == at.Base {
		return End{}, "", t.comesBack(at)
	}
	ns := t.atlas.NetNS(owner)
	if ns == nil {
		return End{}, "", netfilter.Yes
	}
	dev := facing(ns, ip)
	return End{owner, dev.Name}, dev.MAC, netfilter.AnswerOf(dev.Name != "" && netstack.Up(&dev) && netstack.Carrier(&dev))
}

// stands reports whether an address of a namespace is on a device that stands on
// another one.
func (t *Topology) stands(at Place, ip netip.Addr) bool {
	ns := t.atlas.NetNS(at)
	if ns == nil {
		return false
	}
	dev, ok := ns.FIB.DeviceOwning(ip)
	return ok && netstack.Stacked(dev)
}

// comesBack answers whether what leaves a machine can reach it again: not by the
// device that it left by, and with only one to the world there is no other.
func (t *Topology) comesBack(at Place) netfilter.Answer {
	ns := t.atlas.NetNS(at.Host())
	if ns == nil {
		return netfilter.Maybe
	}
	n := 0
	for i := range ns.Info.Interfaces {
		if dev := &ns.Info.Interfaces[i]; dev.Kind == "" && netstack.Up(dev) && dev.Master == 0 {
			n++
		}
	}
	if n > 1 {
		return netfilter.Maybe
	}
	return netfilter.No
}

// Leads implements [netstack.Wire].
func (w *wire) Leads(_ *netstack.NetNS, dev, mac string) netfilter.Answer {
	s := w.t.segment(End{w.at, dev}, func(e End) bool { return w.t.hardware(e) == mac })
	switch {
	case s.done:
		return netfilter.Yes
	case s.open:
		return netfilter.Maybe
	}
	return netfilter.No
}

// Lost implements [netstack.Wire].
func (w *wire) Lost(_ *netstack.NetNS, dev, mac string) bool {
	from := End{w.at, dev}
	s := w.t.segment(from, func(End) bool { return true })
	return !s.done && s.underlay && w.t.owned(from, mac) == netfilter.No
}
