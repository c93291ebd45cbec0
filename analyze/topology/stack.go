package topology

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// PlaceOf returns the place with an ID. It reports false if it is none.
func PlaceOf(id string) (Place, bool) {
	base, key, ok := strings.Cut(id, "/netns/")
	return Place{base, key}, ok
}

// Below returns the device that dev, a macvlan, ipvlan or VLAN, stands on. It
// reports false if dev stands on none or the bundle does not show it.
func (t *Topology) Below(at Place, dev *nodedump.Interface) (End, bool) {
	if !netstack.Stacked(dev) || dev.Link == 0 {
		return End{}, false
	}
	p := at
	switch {
	case dev.PeerNetns != "":
		p.Netns = dev.PeerNetns
	case dev.LinkNSID != nil:
		return End{}, false
	}
	ns := t.atlas.NetNS(p)
	if ns == nil {
		return End{}, false
	}
	below, ok := ns.FIB.DeviceByIndex(dev.Link)
	if !ok || below == dev {
		return End{}, false
	}
	return End{p, below.Name}, true
}

// Above returns the devices of other namespaces that stand on a device.
func (t *Topology) Above(at Place, dev string) (list []netstack.Child) {
	ns := t.atlas.NetNS(at)
	if ns == nil {
		return nil
	}
	below, ok := ns.Device(dev)
	if !ok {
		return nil
	}
	for _, u := range below.Above {
		p := Place{at.Base, u.Netns}
		if other := t.atlas.NetNS(p); other != nil {
			if d, ok := other.FIB.DeviceByIndex(u.Index); ok {
				list = append(list, netstack.Child{Netns: p.ID(), Dev: d})
			}
		}
	}
	return list
}

// standing returns all devices that stand on one, in its own namespace too.
func (t *Topology) standing(e End) (ends []End, devs []*nodedump.Interface) {
	ns := t.atlas.NetNS(e.Place)
	if ns == nil {
		return nil, nil
	}
	below, ok := ns.Device(e.Dev)
	if !ok {
		return nil, nil
	}
	for i := range ns.Info.Interfaces {
		d := &ns.Info.Interfaces[i]
		if netstack.Stacked(d) && d.LinkNSID == nil && d.Link == below.Index && d != below {
			ends, devs = append(ends, End{e.Place, d.Name}), append(devs, d)
		}
	}
	for _, c := range t.Above(e.Place, e.Dev) {
		if p, ok := PlaceOf(c.Netns); ok {
			ends, devs = append(ends, End{p, c.Dev.Name}), append(devs, c.Dev)
		}
	}
	return ends, devs
}

// Above implements [netstack.Stacker].
func (w *wire) Above(_ *netstack.NetNS, dev string) []netstack.Child { return w.t.Above(w.at, dev) }

// Behind implements [netstack.FarEnd]: the frame is for the VXLAN device of the
// machine that has the address, or for somebody behind the bridge that this is a
// port of.
func (w *wire) Behind(_ *netstack.NetNS, _ string, remote netip.Addr, vni int, mac string) netfilter.Answer {
	owner, ok := w.t.atlas.Owner(remote)
	ns := w.t.atlas.NetNS(owner)
	if !ok || ns == nil {
		return netfilter.Maybe
	}
	i := slices.IndexFunc(ns.Info.Interfaces, func(d nodedump.Interface) bool { return d.VXLAN != nil && d.VXLAN.ID == vni })
	if i < 0 {
		return netfilter.No
	}
	dev := &ns.Info.Interfaces[i]
	if dev.MAC == mac {
		return netfilter.Yes
	}
	s := segment{found: func(e End) bool { return w.t.hardware(e) == mac }}
	w.t.arrive(&s, End{owner, dev.Name}, 0, maxDepth)
	switch {
	case s.done:
		return netfilter.Yes
	case s.open:
		return netfilter.Maybe
	}
	return netfilter.No
}

// hardware returns the hardware address of a device, "" if it is not known.
func (t *Topology) hardware(e End) string {
	if ns := t.atlas.NetNS(e.Place); ns != nil {
		if d, ok := ns.Device(e.Dev); ok {
			return d.MAC
		}
	}
	return ""
}
