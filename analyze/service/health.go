package service

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service/kuberules"
)

// A Health is what kube-proxy of a node tells load balancers about a Service of
// externalTrafficPolicy Local, by HTTP at its healthCheckNodePort. kube-proxy
// itself listens there, no endpoint does.
//
// Source: kubernetes pkg/proxy/healthcheck/service_health.go.
type Health struct {
	Service string // "demo/web"
	Local   int    // endpoints of the node that are ready, or serve while they terminate
}

// OK reports whether the answer is 200, if kube-proxy is well; otherwise 503.
func (h Health) OK() bool { return h.Local > 0 }

// Health returns what kube-proxy answers at an address of node. It reports false
// if the port is no healthCheckNodePort, or the address not one that node ports
// are open on.
func (k *KubeProxyServiceProcessor) Health(to netip.AddrPort, node string) (h Health, ok bool) {
	q := asked{dst: to.Addr().Unmap(), node: node}
	for _, p := range k.ports {
		if p.health == 0 || p.health != to.Port() || !p.has(q.dst.Is4()) || !k.inNodePortAddresses(q) {
			continue
		}
		h.Service, ok = p.service, true
		h.Local = max(h.Local, len(k.choose(p, q.dst.Is4(), node).local))
	}
	return h, ok
}

// health looks whether somebody listens at the healthCheckNodePorts. A namespace
// of which no socket is known shows none.
func (d *drift) health() {
	if _, unread := d.info.Sections["sockets"]; unread || len(d.info.Sockets) == 0 {
		return
	}
	listens := map[string]bool{}
	for i := range d.info.Sockets {
		if s := &d.info.Sockets[i]; s.Protocol == "tcp" {
			listens[s.Local[strings.LastIndexByte(s.Local, ':')+1:]] = true
		}
	}
	for _, p := range d.k.ports {
		if p.health == 0 || listens[strconv.Itoa(int(p.health))] {
			continue
		}
		d.report(difference{
			level: model.SuspicionLevelWarning, code: "service/health-check", port: p, who: "svc " + p.service, at: kuberules.At{Text: kuberules.NetNS}, remedy: d.restart(),
			message: fmt.Sprintf("node %s has nobody who listens at %d, the healthCheckNodePort of svc %s: load balancers take the node for unfit", d.node, p.health, p.service),
			plural:  "has nobody who listens at the healthCheckNodePorts of Services, which number",
		}, p.service)
	}
}
