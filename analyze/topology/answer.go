package topology

import (
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// answers reports whether an end answers a question of asker for ip. An invalid
// asker is one whose address is not known.
func (t *Topology) answers(e End, ip, asker netip.Addr) (mac string, ok bool) {
	ns := t.atlas.NetNS(e.Place)
	if ns == nil {
		return "", false
	}
	dev, ok := ns.Device(e.Dev)
	if !ok || !netstack.Up(dev) {
		return "", false
	}
	if ip.Is6() {
		return dev.MAC, answersNDP(ns, dev, ip)
	}
	return dev.MAC, answersARP(ns, dev, ip, asker)
}

// answersARP is arp_process. The question is routed like a packet: what reverse
// path filtering refuses is not answered.
func answersARP(ns *netstack.NetNS, dev *nodedump.Interface, ip, asker netip.Addr) bool {
	if slices.Contains(dev.Flags, "NOARP") {
		return false
	}
	q := route.Query{Src: asker, Dst: ip, IIf: dev.Name}
	res := ns.FIB.Lookup(q, nil)
	if res.Type == route.TypeUnicast {
		q.OIf = res.Dev
	}
	if ns.FIB.Validate(q) != nil {
		return false
	}
	switch res.Type {
	case route.TypeLocal:
		return !ignores(ns, dev, ip, asker) && !filtered(ns, dev, ip, asker)
	case route.TypeUnicast:
		if on, _, known := ns.FIB.Forwarding(dev.Name, false); known && !on {
			return false
		}
		if res.Dev == dev.Name { // arp_fwd_pvlan
			pvlan, _, _ := ns.FIB.Conf("ipv4", dev.Name, "proxy_arp_pvlan")
			return pvlan != 0 && ip != asker
		}
		return ns.FIB.Switched("ipv4", dev.Name, "proxy_arp") || proxied(ns, dev.Name, ip)
	}
	return false
}

// ignores reports whether a device says nothing about a local address
// (arp_ignore).
func ignores(ns *netstack.NetNS, dev *nodedump.Interface, ip, asker netip.Addr) bool {
	all, _, _ := ns.FIB.Conf("ipv4", "all", "arp_ignore")
	here, _, _ := ns.FIB.Conf("ipv4", dev.Name, "arp_ignore")
	own, scope, subnet := carries(dev, ip, asker)
	const onDevice, inSubnet, noHost, never = 1, 2, 3, 8
	switch max(all, here) {
	case onDevice:
		return !own
	case inSubnet:
		return !own || asker.IsValid() && !subnet
	case noHost:
		if owner, ok := ns.FIB.DeviceOwning(ip); ok {
			_, scope, _ = carries(owner, ip, asker)
		}
		return scope == "host"
	case never:
		return true
	}
	return false
}

// carries reports whether a device has an address, of which scope it is, and
// whether the asker is in its network.
func carries(dev *nodedump.Interface, ip, asker netip.Addr) (own bool, scope string, subnet bool) {
	for _, a := range dev.Addrs {
		p, err := netip.ParsePrefix(a.Prefix)
		if err == nil && p.Addr() == ip {
			return true, a.Scope, p.Contains(asker)
		}
	}
	return false, "", false
}

// filtered reports whether a device leaves the answer to the one by which it
// would answer the asker (arp_filter).
func filtered(ns *netstack.NetNS, dev *nodedump.Interface, ip, asker netip.Addr) bool {
	if !ns.FIB.Switched("ipv4", dev.Name, "arp_filter") || !asker.IsValid() {
		return false
	}
	back := ns.FIB.Lookup(route.Query{Src: ip, Dst: asker}, nil)
	return back.Dev != dev.Name
}

// proxied reports whether somebody wrote that a device answers for an address
// (pneigh_lookup).
func proxied(ns *netstack.NetNS, dev string, ip netip.Addr) bool {
	return slices.ContainsFunc(ns.Info.Neighbours, func(n nodedump.Neighbour) bool {
		a, err := netip.ParseAddr(n.IP)
		return err == nil && n.Proxy && a == ip && (n.Dev == dev || n.Dev == "")
	})
}

// answersNDP is ndisc_recv_ns: a device answers for its own addresses, once
// they are known to be nobody else's, and as a router for what somebody wrote.
func answersNDP(ns *netstack.NetNS, dev *nodedump.Interface, ip netip.Addr) bool {
	for _, a := range dev.Addrs {
		p, err := netip.ParsePrefix(a.Prefix)
		if err == nil && p.Addr() == ip {
			waiting := slices.Contains(a.Flags, "tentative") && !slices.Contains(a.Flags, "optimistic")
			return !waiting && !slices.Contains(a.Flags, "dadfailed")
		}
	}
	forwards, _, known := ns.FIB.Conf("ipv6", dev.Name, "forwarding")
	return (forwards != 0 || !known) && ns.FIB.Switched("ipv6", dev.Name, "proxy_ndp") && proxied(ns, dev.Name, ip)
}
