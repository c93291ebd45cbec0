package service

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service/kuberules"
)

// nodeAddresses looks whether the set of the addresses that have node ports has
// those of the node that should. Rules that go by no set are not asked.
//
// Source: kubernetes pkg/proxy/nftables/proxier.go, nodePortIPsSet.
func (d *drift) nodeAddresses(have *kuberules.Addrs) {
	if have == nil || !d.k.hasNodePort(d.ipv4) {
		return
	}
	for _, ip := range d.k.ips.GetNodeIPs(d.node) {
		if ip.Is4() != d.ipv4 || have.Has[ip] || !d.k.inNodePortAddresses(asked{dst: ip, node: d.node}) {
			continue
		}
		d.report(difference{
			level: model.SuspicionLevelCritical, code: "service/not-translated", at: have.At, who: ip.String(), remedy: d.restart(),
			message: fmt.Sprintf("node %s does not take packets to its address %s to node ports: the set %s lacks it", d.node, ip, have.Name),
			plural:  "does not take packets to its addresses to node ports; they number",
		}, ip.String())
	}
}

// hasNodePort reports whether a Service has a node port for an address family.
func (k *KubeProxyServiceProcessor) hasNodePort(ipv4 bool) bool {
	return slices.ContainsFunc(k.ports, func(p *port) bool { return p.nodePort != 0 && p.has(ipv4) })
}

// sourceRanges looks whether the rules let those sources to the address of a load
// balancer that may use it. The mode ipvs has them in sets, which are compared as
// such.
func (d *drift) sourceRanges(w *wish, e *kuberules.Entry) {
	own := func(r netip.Prefix) bool { return r.IsSingleIP() && slices.Contains(w.addrs.lb, r.Addr()) }
	want, have := w.ranges(), slices.DeleteFunc(slices.Clone(e.Ranges), own) // the node may send with the address itself
	x := difference{level: model.SuspicionLevelCritical, code: "service/source-ranges", port: w.port, who: w.port.String(), at: e.GuardAt, remedy: d.restart(),
		plural: "lets other sources to load balancer addresses than Services say; their ports number"}
	if x.at == (kuberules.At{}) {
		x.at = e.At
	}
	free, all := len(want) == 0 || everybody(want), !e.Guarded || everybody(have)
	lacks, extra := beyond(want, have), beyond(have, want)
	switch {
	case free && all:
		return
	case free:
		x.message = fmt.Sprintf("node %s lets only %s to %s, which everybody may use", d.node, sources(have), w)
	case all:
		x.level = model.SuspicionLevelWarning
		x.message = fmt.Sprintf("node %s lets everybody to %s, whose loadBalancerSourceRanges are %s", d.node, w, joined(want))
	case len(lacks) > 0:
		x.message = fmt.Sprintf("node %s does not let %s to %s, whose loadBalancerSourceRanges have it", d.node, joined(lacks), w)
	case len(extra) > 0:
		x.level = model.SuspicionLevelWarning
		x.message = fmt.Sprintf("node %s lets %s to %s, whose loadBalancerSourceRanges are %s", d.node, joined(extra), w, joined(want))
	default:
		return
	}
	d.report(x, w.at.String())
}

// ranges are the loadBalancerSourceRanges of the address family of w.
func (w *wish) ranges() (out []netip.Prefix) {
	for _, r := range w.sourceRanges {
		if r.Addr().Is4() == w.at.Addr.Is4() {
			out = append(out, r)
		}
	}
	return out
}

// everybody reports whether one of the ranges has all addresses.
func everybody(ranges []netip.Prefix) bool {
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Bits() == 0 })
}

// beyond returns the ranges that lie in none of others.
func beyond(ranges, others []netip.Prefix) (out []netip.Prefix) {
	for _, r := range ranges {
		if !slices.ContainsFunc(others, func(o netip.Prefix) bool { return o.Bits() <= r.Bits() && o.Contains(r.Addr()) }) {
			out = append(out, r)
		}
	}
	return out
}

func sources(ranges []netip.Prefix) string {
	if len(ranges) == 0 {
		return "nobody"
	}
	return joined(ranges)
}
