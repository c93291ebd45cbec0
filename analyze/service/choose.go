package service

import (
	"net/netip"
	"slices"
)

// A choice is the endpoints of a port that a node can use, as kube-proxy
// categorizes them.
type choice struct {
	cluster, local []*endpoint
	any            bool // some node has a usable one
}

// choose returns the endpoints of p with the addresses of one family that node
// uses, for each of the two policies.
func (k *KubeProxyServiceProcessor) choose(p *port, ipv4 bool, node string) choice {
	all := keep(p.endpoints, func(e *endpoint) bool { return e.addr.Addr().Is4() == ipv4 })
	var c choice
	if p.usesCluster(ipv4) {
		c.cluster = orFallback(k.near(keep(all, (*endpoint).usable), node), all)
		c.any = len(c.cluster) > 0
	}
	if p.usesLocal(ipv4) {
		local := keep(all, func(e *endpoint) bool { return e.node == node && node != "" })
		c.local = orFallback(keep(local, (*endpoint).usable), local)
		c.any = c.any || slices.ContainsFunc(all, func(e *endpoint) bool { return e.usable() || e.fallback() })
	}
	return c
}

// usesCluster reports whether some packet to p follows the policy Cluster. From
// inside, packets to external addresses always do.
func (p *port) usesCluster(ipv4 bool) bool { return !p.internalLocal || p.external(ipv4) }

// usesLocal reports whether some packet to p follows the policy Local.
func (p *port) usesLocal(ipv4 bool) bool {
	return p.internalLocal || p.externalLocal && p.external(ipv4)
}

// orFallback returns ready, or if there is none, those of all that still serve
// while they terminate.
func orFallback(ready, all []*endpoint) []*endpoint {
	if len(ready) > 0 {
		return ready
	}
	return keep(all, (*endpoint).fallback)
}

func keep(list []*endpoint, want func(*endpoint) bool) (out []*endpoint) {
	for _, e := range list {
		if want(e) {
			out = append(out, e)
		}
	}
	return out
}

// near returns those of the ready endpoints whose hints name the node, or else
// those whose hints name its zone; or all, if one of them has no such hint or
// none is near.
func (k *KubeProxyServiceProcessor) near(ready []*endpoint, node string) []*endpoint {
	zone := k.zones[node]
	for _, hint := range []func(*endpoint) ([]string, string){
		func(e *endpoint) ([]string, string) { return e.nodes, node },
		func(e *endpoint) ([]string, string) { return e.zones, zone },
	} {
		if slices.ContainsFunc(ready, func(e *endpoint) bool { hints, _ := hint(e); return len(hints) == 0 }) {
			continue
		}
		if found := keep(ready, func(e *endpoint) bool { hints, want := hint(e); return slices.Contains(hints, want) }); len(found) > 0 {
			return found
		}
	}
	return ready
}

// isLocal reports whether kube-proxy takes a source for that of a pod, and
// whether it can tell at all.
func (k *KubeProxyServiceProcessor) isLocal(src netip.Addr, node string, fromPod bool) (local, known bool) {
	if !src.IsValid() && fromPod {
		return true, true
	}
	ranges, byDevice := k.localRanges(node)
	if byDevice {
		return fromPod && k.livesOn(src, node), true
	}
	// kube-proxy uses the first range of each family.
	for _, r := range ranges {
		if r.Addr().Is4() == src.Is4() || !src.IsValid() {
			return r.Contains(src), true
		}
	}
	return false, false
}

// localRanges are the ranges by which kube-proxy takes a source for that of a
// pod of its own, unless it goes by the device.
func (k *KubeProxyServiceProcessor) localRanges(node string) (ranges []netip.Prefix, byDevice bool) {
	switch k.config.DetectLocalMode {
	case "", DetectClusterCIDR:
		return k.config.ClusterCIDRs, false
	case DetectNodeCIDR:
		return k.ips.GetNodePodCIDRs(node), false
	}
	return nil, k.config.DetectLocalMode == DetectBridgeInterface || k.config.DetectLocalMode == DetectNamePrefix
}

// livesOn reports whether src is the address of a pod of node.
func (k *KubeProxyServiceProcessor) livesOn(src netip.Addr, node string) bool {
	pod, ok := k.ips.GetPodFromIP(src)
	return ok && pod.Spec.NodeName == node
}
