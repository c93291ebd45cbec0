package check

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// checkSysctls is about what a node with pods must have switched on.
func checkSysctls(s *scope) {
	for _, n := range s.read() {
		if len(n.pods) == 0 || !s.knows(n.name, n.ns, "sysctls") {
			continue
		}
		for _, ipv6 := range families(n) {
			s.forwarding(n, ipv6)
			s.bridgeNetfilter(n, ipv6)
		}
	}
}

// families are the address families of a node's pods: false is IPv4.
func families(n *host) []bool {
	var has [2]bool
	for _, p := range n.pods {
		for _, ip := range podIPs(p.pod) {
			has[map[bool]int{false: 0, true: 1}[ip.Is6()]] = true
		}
	}
	var list []bool
	for i, ipv6 := range []bool{false, true} {
		if has[i] {
			list = append(list, ipv6)
		}
	}
	return list
}

// forwarding is about packets of the pods that the node must pass on.
func (s *scope) forwarding(n *host, ipv6 bool) {
	name := "net.ipv4.ip_forward"
	if ipv6 {
		name = "net.ipv6.conf.all.forwarding"
	}
	value, where, ok := n.ns.FIB.Sysctl(name)
	if ok && value == "0" {
		s.find(n.name, model.Suspicion{Level: model.SuspicionLevelFatal, Code: "sysctl/ip-forward", Evidence: where,
			Message: fmt.Sprintf("%s is 0 on node %s, so that it passes on nothing that its %d pods send or are sent", name, n.name, len(n.pods)),
			Remedy:  "sysctl -w " + name + "=1"})
		return
	}
	if ipv6 {
		return // all decides
	}
	for _, dev := range s.carriers(n) {
		on, where, known := n.ns.FIB.Forwarding(dev.Name, false)
		if known && !on {
			s.find(n.name, model.Suspicion{Level: model.SuspicionLevelFatal, Code: "sysctl/ip-forward", Evidence: where,
				Message: fmt.Sprintf("node %s does not pass on what comes in by %s, although it forwards elsewhere", n.name, dev.Name),
				Remedy:  "sysctl -w net.ipv4.conf." + sysctlName(dev.Name) + ".forwarding=1"})
		}
	}
}

// carriers are the devices by which packets of or for pods come into the node:
// the bridges of pods, their unbridged cables, tunnels, and the device with the
// node's address.
func (s *scope) carriers(n *host) (list []*nodedump.Interface) {
	seen := map[string]bool{}
	add := func(dev *nodedump.Interface, ok bool) {
		if ok && !seen[dev.Name] && netstack.Up(dev) {
			seen[dev.Name] = true
			list = append(list, dev)
		}
	}
	for _, p := range n.pods {
		if dev, ok := s.nodeEnd(n, p); ok {
			if master, bridged := n.ns.Master(dev); bridged {
				dev = master
			}
			add(dev, true)
		}
	}
	for i := range n.ns.Info.Interfaces {
		if dev := &n.ns.Info.Interfaces[i]; tunnel(dev) {
			add(dev, true)
		}
	}
	for _, ip := range nodeIPs(n) {
		dev, ok := n.ns.FIB.DeviceOwning(ip)
		add(dev, ok)
	}
	return list
}

// nodeEnd finds the node's end of a pod's cable.
func (s *scope) nodeEnd(n *host, p *space) (*nodedump.Interface, bool) {
	if p.ns == nil {
		return nil, false
	}
	for i := range p.ns.Info.Interfaces {
		if end, ok := s.env.Topology.Peer(p.place, &p.ns.Info.Interfaces[i]); ok && end.Place == n.place {
			return n.ns.Device(end.Dev)
		}
	}
	return nil, false
}

// sysctlName is a device's name as sysctl(8) writes it.
func sysctlName(dev string) string {
	out := []byte(dev)
	for i, c := range out {
		if c == '.' {
			out[i] = '/'
		}
	}
	return string(out)
}

// bridgeNetfilter is about bridges between pods: what crosses one without
// netfilter is not translated back (br_nf_pre_routing is not asked).
func (s *scope) bridgeNetfilter(n *host, ipv6 bool) {
	name := "net.bridge.bridge-nf-call-iptables"
	if ipv6 {
		name = "net.bridge.bridge-nf-call-ip6tables"
	}
	value, where, ok := n.ns.FIB.Sysctl(name)
	if ok && value == "1" {
		return
	}
	why, remedy := name+" is "+value, "sysctl -w "+name+"=1"
	if !ok {
		where, why, remedy = n.ns.Info.File, name+" does not exist: the module br_netfilter is not loaded", "modprobe br_netfilter && "+remedy
	}
	for _, bridge := range s.carriers(n) {
		own := bridge.Bridge
		if bridge.Kind != "bridge" || own == nil || switched(own, ipv6) {
			continue
		}
		s.find(n.name, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "sysctl/bridge-nf", Evidence: where,
			Message: fmt.Sprintf("%s on node %s, so that what pods of bridge %s answer each other by a Service is not translated back", why, n.name, bridge.Name),
			Remedy:  remedy})
	}
}

// switched reports whether the bridge itself shows packets to netfilter.
func switched(b *nodedump.Bridge, ipv6 bool) bool {
	own := b.NFCallIPT
	if ipv6 {
		own = b.NFCallIP6T
	}
	return own != nil && *own
}
