package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
)

// An owner is who claims an address.
type owner struct {
	who  string // "pod demo/a"
	node string // that it is or runs on, "" for a Service
	file string
}

// claims are the owners of each address.
type claims struct {
	by    map[netip.Addr][]owner
	order []netip.Addr // in which they were first claimed
}

func (c *claims) add(ips []netip.Addr, o owner) {
	for _, ip := range ips {
		if len(c.by[ip]) == 0 {
			c.order = append(c.order, ip)
		}
		if !slices.Contains(c.by[ip], o) {
			c.by[ip] = append(c.by[ip], o)
		}
	}
}

// checkAddresses is about addresses that more than one pod, node or Service has.
// A pod that is being deleted may have lost its address already.
func checkAddresses(s *scope) {
	c := &claims{by: map[netip.Addr][]owner{}}
	for _, pod := range s.env.IPCache.Pods() {
		if !pod.Spec.HostNetwork && !ended(pod) && pod.DeletionTimestamp == nil {
			c.add(podIPs(pod), owner{"pod " + pod.Namespace + "/" + pod.Name, pod.Spec.NodeName, "cluster/pods.yaml"})
		}
	}
	for _, n := range s.nodes {
		c.add(nodeIPs(n), owner{"node " + n.name, n.name, "cluster/nodes.yaml"})
	}
	for i := range s.services {
		c.add(clusterIPs(&s.services[i]), owner{"svc " + s.services[i].Namespace + "/" + s.services[i].Name, "", "cluster/services.yaml"})
	}
	for _, ip := range c.order {
		s.claimed(ip, c.by[ip])
	}
}

func clusterIPs(svc *corev1.Service) (ips []netip.Addr) {
	for _, text := range append([]string{svc.Spec.ClusterIP}, svc.Spec.ClusterIPs...) {
		if ip, err := netip.ParseAddr(text); err == nil && !slices.Contains(ips, ip) {
			ips = append(ips, ip)
		}
	}
	return ips
}

func (s *scope) claimed(ip netip.Addr, by []owner) {
	if len(by) < 2 {
		return
	}
	node := by[0].node
	var names []string
	for _, o := range by {
		names = append(names, o.who)
		if o.node != node {
			node = ""
		}
	}
	s.find(node, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "address/duplicate", Evidence: by[0].file,
		Message: fmt.Sprintf("%s have the same address %s", strings.Join(names, " and "), ip),
		Remedy:  "Recreate all but one of them, and see how the address was given out twice."})
}

// A span is a range of addresses and what it is for.
type span struct {
	prefix netip.Prefix
	what   string
	node   string // whose it is, "" if it is the cluster's
}

// checkRanges is about ranges of addresses that overlap: those of the nodes'
// pods, of Services, and the nodes' own network.
func checkRanges(s *scope) {
	pods := s.podRanges()
	for i, a := range pods {
		for _, b := range pods[i+1:] {
			if !a.prefix.Overlaps(b.prefix) {
				break // they are sorted
			}
			if a.node != b.node {
				s.overlap(a, b, "Give one of the nodes another pod CIDR, and recreate its pods.")
			}
		}
	}
	for _, r := range s.serviceRanges() {
		for _, p := range pods {
			if r.prefix.Overlaps(p.prefix) {
				s.overlap(p, r, "Choose other ranges: a Service address that is a pod's cannot be reached.")
			}
		}
	}
	for _, n := range s.nodes {
		for _, r := range s.nodeRanges(n) {
			for _, p := range pods {
				if r.prefix.Overlaps(p.prefix) {
					s.overlap(p, r, "Choose a pod network that has none of the nodes' own addresses.")
				}
			}
		}
	}
}

func (s *scope) overlap(a, b span, remedy string) {
	s.find(a.node, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "address/overlap", Evidence: "cluster/nodes.yaml",
		Message: fmt.Sprintf("%s overlaps with %s", a.what, b.what), Remedy: remedy})
}

// podRanges are the pod CIDRs of the nodes, by address, the shorter prefix first.
func (s *scope) podRanges() (list []span) {
	for _, n := range s.nodes {
		for _, p := range s.env.IPCache.GetNodePodCIDRs(n.name) {
			r := span{p.Masked(), fmt.Sprintf("the pod CIDR %s of node %s", p, n.name), n.name}
			if !slices.Contains(list, r) {
				list = append(list, r)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b span) int { return a.prefix.Compare(b.prefix) })
	return list
}

// serviceRanges are the configured ranges of Services, or, since a guess proves
// nothing, the addresses that Services have.
func (s *scope) serviceRanges() (list []span) {
	for _, c := range s.env.IPCache.ServiceCIDRs() {
		if !guessed(c) {
			list = append(list, span{c.Prefix, fmt.Sprintf("the Service CIDR %s (%s)", c.Prefix, c.From), ""})
		}
	}
	if len(list) > 0 {
		return list
	}
	for i := range s.services {
		for _, ip := range clusterIPs(&s.services[i]) {
			list = append(list, span{netip.PrefixFrom(ip, ip.BitLen()), fmt.Sprintf("the address %s of svc %s/%s", ip, s.services[i].Namespace, s.services[i].Name), ""})
		}
	}
	return list
}

func guessed(c k8s.CIDR) bool { return strings.HasPrefix(c.From, "the cluster addresses of") }

// nodeRanges is the network that a node lies in, as its device has it, or its
// address alone.
func (s *scope) nodeRanges(n *host) (list []span) {
	for _, ip := range nodeIPs(n) {
		p := netip.PrefixFrom(ip, ip.BitLen())
		if n.ns != nil {
			if dev, ok := n.ns.FIB.DeviceOwning(ip); ok {
				p = prefixOf(dev.Addrs, ip)
			}
		}
		list = append(list, span{p, fmt.Sprintf("the network %s of node %s", p.Masked(), n.name), n.name})
	}
	return list
}
