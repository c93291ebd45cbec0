package check

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// checkMTU is about devices that take less than what is sent through them.
func checkMTU(s *scope) {
	for _, n := range s.read() {
		if n.ns.Unread("interfaces") != nil {
			continue // said with the devices
		}
		for i := range n.ns.Info.Interfaces {
			s.tunnelFits(n, &n.ns.Info.Interfaces[i])
		}
		s.podsFit(n)
	}
	s.nodesAgree()
}

// overhead is what a tunnel adds to a packet: the outer headers as its kernel
// module counts them, over IPv4 and over IPv6; 0 for what is no tunnel.
func overhead(dev *nodedump.Interface, ipv6 bool) int {
	outer := 20
	if ipv6 {
		outer = 40
	}
	switch dev.Kind {
	case "vxlan", "geneve":
		return outer + 8 + 8 + 14 // UDP, VXLAN, inner Ethernet
	case "ipip", "sit":
		return outer
	case "gre":
		return outer + 4
	case "wireguard":
		return outer + 40
	}
	return 0
}

// tunnelFits is about a full packet of a tunnel with its outer headers.
func (s *scope) tunnelFits(n *host, dev *nodedump.Interface) {
	below, ipv6, ok := underneath(n.ns, dev)
	extra := overhead(dev, ipv6)
	if !ok || extra == 0 || !netstack.Up(dev) || dev.MTU+extra <= below.MTU {
		return
	}
	s.find(n.name, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "mtu/too-small", Evidence: at(n.ns, below),
		Message: fmt.Sprintf("%s of node %s takes packets of up to %d bytes, and the tunnel %s makes up to %d of its %d", below.Name, n.name, below.MTU, dev.Name, dev.MTU+extra, dev.MTU),
		Remedy:  fmt.Sprintf("ip link set %s mtu %d, and the same or less for the pods; or raise the MTU of %s", dev.Name, below.MTU-extra, below.Name)})
}

// underneath finds the device that a tunnel sends by: the one it is bound to, or
// the one with its own address.
func underneath(ns *netstack.NetNS, dev *nodedump.Interface) (below *nodedump.Interface, ipv6, ok bool) {
	var local netip.Addr
	link := 0
	switch {
	case dev.VXLAN != nil:
		local, _ = netip.ParseAddr(dev.VXLAN.Local)
		if !local.IsValid() {
			local, _ = netip.ParseAddr(dev.VXLAN.Local6)
		}
		link = dev.VXLAN.Link
	case dev.Tunnel != nil:
		local, _ = netip.ParseAddr(dev.Tunnel.Local)
		link = dev.Tunnel.Link
	}
	ipv6 = local.Is6()
	if link != 0 {
		below, ok = ns.FIB.DeviceByIndex(link)
		return below, ipv6, ok
	}
	if !local.IsValid() || local.IsUnspecified() {
		return nil, false, false
	}
	below, ok = ns.FIB.DeviceOwning(local)
	return below, ipv6, ok
}

// podsFit is about full packets of pods on the devices that lead to the pods of
// other nodes. A device that takes less tells the sender by ICMP, which a
// firewall may swallow; what is too large for the device that it comes in by is
// lost without a word.
func (s *scope) podsFit(n *host) {
	pod, mtu := largest(n)
	for _, peer := range s.nodes {
		dev, ok := s.toward(n, peer)
		if pod == nil || !ok || dev.MTU >= mtu {
			continue
		}
		f := model.Suspicion{Level: model.SuspicionLevelWarning, Code: "mtu/too-small", Evidence: at(n.ns, dev),
			Message: fmt.Sprintf("pods of node %s send packets of up to %d bytes (pod %s), and %s, which leads to other nodes' pods, takes %d", n.name, mtu, pod.name(), dev.Name, dev.MTU),
			Remedy:  fmt.Sprintf("Give the pods an MTU of at most %d, or raise that of %s.", dev.MTU, dev.Name)}
		_, theirs := largest(peer)
		if back, ok := s.toward(peer, n); ok && !tunnel(dev) && min(theirs, back.MTU) > dev.MTU {
			f.Level = model.SuspicionLevelCritical
			f.Message += fmt.Sprintf("; the pods of node %s send it up to %d, which are lost here", peer.name, min(theirs, back.MTU))
		}
		s.find(n.name, f)
	}
}

// toward is the device by which a node sends to the pods of another one.
func (s *scope) toward(n, peer *host) (*nodedump.Interface, bool) {
	if peer == n || n.ns == nil || len(peer.pods) == 0 {
		return nil, false
	}
	for _, ip := range podIPs(peer.pods[0].pod) {
		way := n.ns.FIB.Lookup(route.Query{Dst: ip}, nil)
		dev, ok := n.ns.Device(way.Dev)
		if way.Doubt == nil && way.Type == route.TypeUnicast && ok && netstack.Up(dev) {
			return dev, true
		}
	}
	return nil, false
}

// largest is the pod of a node with the largest MTU, nil if none is known.
func largest(n *host) (pod *space, mtu int) {
	for _, p := range n.pods {
		if p.ns == nil {
			continue
		}
		for _, ip := range podIPs(p.pod) {
			if dev, ok := p.ns.FIB.DeviceOwning(ip); ok && dev.MTU > mtu {
				pod, mtu = p, dev.MTU
			}
		}
	}
	return pod, mtu
}

// nodesAgree compares the devices with the nodes' addresses within each network:
// what one sends the others must take.
func (s *scope) nodesAgree() {
	type member struct {
		node *host
		dev  *nodedump.Interface
	}
	networks := map[netip.Prefix][]member{}
	var order []netip.Prefix
	for _, n := range s.read() {
		for _, ip := range nodeIPs(n) {
			dev, ok := n.ns.FIB.DeviceOwning(ip)
			if !ok {
				continue
			}
			p := prefixOf(dev.Addrs, ip).Masked()
			if networks[p] == nil {
				order = append(order, p)
			}
			networks[p] = append(networks[p], member{n, dev})
		}
	}
	for _, p := range order {
		values := map[string]string{}
		for _, m := range networks[p] {
			values[m.node.name] = fmt.Sprint(m.dev.MTU)
		}
		most, odd, ok := against(values)
		if !ok {
			most, odd, ok = smaller(values)
		}
		for _, m := range networks[p] {
			if !ok || !odd[m.node.name] {
				continue
			}
			s.find(m.node.name, model.Suspicion{Level: model.SuspicionLevelWarning, Code: "mtu/mismatch", Evidence: at(m.node.ns, m.dev),
				Message: fmt.Sprintf("%s of node %s has an MTU of %d, and the other nodes of %s have %s: the larger packets of one get lost at the other", m.dev.Name, m.node.name, m.dev.MTU, p, most),
				Remedy:  fmt.Sprintf("ip link set %s mtu %s, or correct the others.", m.dev.Name, most)})
		}
	}
}

// prefixOf is the prefix with which a device has an address.
func prefixOf(addrs []nodedump.Addr, ip netip.Addr) netip.Prefix {
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.Prefix); err == nil && p.Addr() == ip {
			return p
		}
	}
	return netip.PrefixFrom(ip, ip.BitLen())
}
