package service

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service/kuberules"
)

// A wish is what the rules of a node should make of one frontend.
type wish struct {
	*port
	kind   string
	at     kuberules.Frontend
	choice choice
	local  bool // its traffic policy is Local
	ipvs   bool
}

// to returns the endpoints that packets of anybody go to.
func (w *wish) to() []*endpoint {
	if w.local && (len(w.choice.local) > 0 || !w.ipvs) {
		return w.choice.local
	}
	return w.choice.cluster // in the mode ipvs where no local one exists, too
}

// shortCut reports whether packets of pods and of the node itself go to all
// endpoints, though others go to those of the node alone.
func (w *wish) shortCut() bool {
	return w.local && !w.ipvs && w.kind != KindClusterIP && len(w.choice.cluster) > 0
}

// String names w for people: "svc demo/web:80 (10.96.0.1:80/tcp)".
func (w *wish) String() string { return fmt.Sprintf("%s (%s)", w.port, w.at) }

// wishes returns what the rules of a node should make of the frontends of one
// address family, in the order of the Services. Services without an address of
// the family have no frontend of it (kube-proxy, serviceToServiceMap).
func (k *KubeProxyServiceProcessor) wishes(node string, ipv4 bool) (out []wish) {
	for _, p := range k.ports {
		if !p.has(ipv4) {
			continue
		}
		c := k.choose(p, ipv4, node)
		for _, group := range []struct {
			kind  string
			addrs []netip.Addr
			local bool
		}{{KindClusterIP, p.addrs.cluster, p.internalLocal}, {KindExternalIP, p.addrs.external, p.externalLocal}, {KindLoadBalancer, p.addrs.lb, p.externalLocal}} {
			for _, addr := range group.addrs {
				if to := k.frontends[frontend{addr, p.protocol, p.number}]; addr.Is4() == ipv4 && to.port == p {
					out = append(out, wish{p, group.kind, kuberules.Frontend{Addr: addr, Protocol: p.modelProtocol(), Port: p.number}, c, group.local, false})
				}
			}
		}
		if p.nodePort != 0 && k.nodePorts[frontend{protocol: p.protocol, port: p.nodePort}] == p {
			out = append(out, wish{p, KindNodePort, kuberules.Frontend{Protocol: p.modelProtocol(), Port: p.nodePort}, c, p.externalLocal, false})
		}
	}
	return out
}

func (p *port) modelProtocol() model.Protocol {
	return model.Protocol(strings.ToLower(string(p.protocol)))
}

// masqueradesOut reports whether kube-proxy masquerades what does not come from
// pods of its own, and for which range where it goes by addresses. It is not
// known where its configuration is not.
func (k *KubeProxyServiceProcessor) masqueradesOut(node string, ipv4 bool) (yes bool, pods netip.Prefix) {
	if k.config.From == "" {
		return false, pods
	}
	ranges, byDevice := k.localRanges(node)
	if byDevice {
		return true, pods
	}
	for _, r := range ranges {
		if r.Addr().Is4() == ipv4 {
			return true, r.Masked()
		}
	}
	return false, pods
}
