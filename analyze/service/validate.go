package service

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// Validate implements [Processor]. In the mode ipvs got is the packet behind
// the virtual server.
func (k *KubeProxyServiceProcessor) Validate(p model.Packet, want *Decision, got model.Packet, node string) []model.Suspicion {
	if want == nil || k.blind && !want.NoPort {
		return nil // who does not know the endpoints cannot say what is wrong with them
	}
	to := netip.AddrPortFrom(got.Dst.Addr().Unmap(), got.Dst.Port())
	translated := to != netip.AddrPortFrom(p.Dst.Addr().Unmap(), p.Dst.Port())
	switch {
	case translated && !slices.ContainsFunc(want.Backends, func(b Backend) bool { return b.Addr == to }):
		return []model.Suspicion{k.stale(p, want, to, node)}
	case translated:
		return nil
	case want.NoPort:
		return []model.Suspicion{{
			Level: model.SuspicionLevelFatal, Code: "service/no-port",
			Message: fmt.Sprintf("svc %s has no port %s: %s", want.Service, portText(p), want.Why),
			Remedy:  "Use a port of the Service, or add this one to it.",
		}}
	case want.NoEndpoints:
		return []model.Suspicion{{
			Level: model.SuspicionLevelFatal, Code: "service/no-endpoints",
			Message: fmt.Sprintf("%s has no ready endpoint: %s", want.name(p), want.Why),
			Remedy:  want.remedyNoEndpoints(),
		}}
	case want.Dropped:
		return []model.Suspicion{{
			Level: model.SuspicionLevelFatal, Code: "service/no-endpoints",
			Message: fmt.Sprintf("%s has no endpoint for this packet: %s", want.name(p), want.Why),
			Remedy:  want.remedyDropped(node),
		}}
	}
	return []model.Suspicion{k.notTranslated(p, want, node)}
}

// name names the port of the Service, such as "svc demo/web:80".
func (d *Decision) name(p model.Packet) string {
	if d.port != nil {
		return d.port.String()
	}
	return fmt.Sprintf("svc %s:%d", d.Service, p.Dst.Port())
}

func portText(p model.Packet) string {
	if !p.Protocol.HasPorts() {
		return "for " + string(p.Protocol)
	}
	return fmt.Sprintf("%d/%s", p.Dst.Port(), p.Protocol)
}

func (d *Decision) remedyNoEndpoints() string {
	switch {
	case d.port != nil && len(d.port.endpoints) > 0:
		return "Make a pod of the Service ready: look at its readiness probe."
	case d.port != nil && !d.port.hasSelector:
		return "Make an EndpointSlice for the Service, or give it a selector."
	}
	return "Correct the Service's selector or port names, or start a pod that matches."
}

func (d *Decision) remedyDropped(node string) string {
	switch {
	case d.refused:
		return "Add the source to loadBalancerSourceRanges, if it may use the Service."
	case d.Kind == KindClusterIP:
		return fmt.Sprintf("Run an endpoint on node %s, or set internalTrafficPolicy to Cluster.", node)
	}
	return fmt.Sprintf("Send to a node that has an endpoint, run one on node %s, or set externalTrafficPolicy to Cluster.", node)
}

// notTranslated reports a packet that kept the Service's address. It is not
// fatal for sure if nothing shows that kube-proxy runs: another program may
// translate, where no dump shows it.
func (k *KubeProxyServiceProcessor) notTranslated(p model.Packet, want *Decision, node string) model.Suspicion {
	var to []string
	for _, b := range want.Backends {
		to = append(to, k.owner(b.Addr, b.Pod))
	}
	s := model.Suspicion{
		Level: model.SuspicionLevelFatal, Code: "service/not-translated",
		Message: fmt.Sprintf("node %s does not translate %s (%s); it should go to %s", node, want.name(p), p.Dst, several("", to)),
		Remedy:  fmt.Sprintf("Restart kube-proxy on node %s, which writes these rules.", node),
	}
	if k.config.Mode == "" || k.config.Replaced != "" {
		s.Level = model.SuspicionLevelCritical
		s.Remedy = fmt.Sprintf("See which program implements Services on node %s: nothing in the bundle shows kube-proxy.", node)
	}
	return s
}

// stale reports a packet that was translated to an address that the Service
// does not mean for it.
func (k *KubeProxyServiceProcessor) stale(p model.Packet, want *Decision, to netip.AddrPort, node string) model.Suspicion {
	s := model.Suspicion{
		Level: model.SuspicionLevelFatal, Code: "service/stale-endpoint",
		Message: fmt.Sprintf("node %s sends %s to %s, %s", node, want.name(p), k.owner(to, ""), k.whyNot(want, to, node)),
		Remedy:  fmt.Sprintf("Restart kube-proxy on node %s, which writes these rules.", node),
	}
	if want.has(to) {
		s.Level = model.SuspicionLevelWarning // it may be served all the same
	}
	return s
}

// owner names an address and who has it: "10.244.1.2:80 (pod demo/a)".
func (k *KubeProxyServiceProcessor) owner(addr netip.AddrPort, pod string) string {
	name := k.ips.Name(addr.Addr())
	if pod != "" {
		name = "pod " + pod
	}
	if name == "" {
		name = "nobody is known to have that address"
	}
	return fmt.Sprintf("%s (%s)", addr, name)
}

// has reports whether the Service has an endpoint, ready or not.
func (d *Decision) has(addr netip.AddrPort) bool {
	return d.port != nil && slices.ContainsFunc(d.port.endpoints, func(e *endpoint) bool { return e.addr == addr })
}

func reason(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// whyNot says why an address is not one for this packet.
func (k *KubeProxyServiceProcessor) whyNot(want *Decision, to netip.AddrPort, node string) string {
	if want.port == nil {
		return "a port that it does not have"
	}
	var all []string
	for _, e := range want.port.endpoints {
		switch {
		case e.addr == to && !e.usable() && !e.fallback():
			return "an endpoint that is not ready"
		case e.addr == to:
			return "an endpoint that this packet should not go to from node " + node + reason(want.Why)
		case e.addr.Addr() == to.Addr():
			return fmt.Sprintf("an endpoint, but its port is %d", e.addr.Port())
		}
		all = append(all, k.owner(e.addr, e.pod))
	}
	if len(all) == 0 {
		return "which is no endpoint of it; it has none"
	}
	return "which is no endpoint of it; " + several("its endpoints are ", all)
}
