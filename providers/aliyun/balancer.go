package aliyun

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	wire "github.com/pathsnap/pathsnap/snapshot/aliyun"
)

// checkBalancers looks at the load balancers whose addresses Services have: each
// port of a Service has a listener that runs, and servers behind it that serve the
// Service: nodes by its node port, or pods of its own by theirs (clbv1 of
// cloud-provider-alibaba-cloud).
func (v *vpc) checkBalancers(r infra.Reporter) {
	services, err := v.snap.Services()
	if err != nil || len(v.balancers) == 0 {
		return // told by whoever cannot do without
	}
	for i := range services {
		s := &services[i]
		for _, in := range s.Status.LoadBalancer.Ingress {
			ip, err := netip.ParseAddr(in.IP)
			if b := v.balancers[ip]; err == nil && b != nil && s.Spec.Type == corev1.ServiceTypeLoadBalancer {
				v.checkBalancer(b, s, r)
			}
		}
	}
}

// A served is one port of a Service at a load balancer.
type served struct {
	*vpc
	to   infra.Reporter
	b    *wire.LoadBalancer
	svc  *corev1.Service
	port *corev1.ServicePort
}

func (v *vpc) checkBalancer(b *wire.LoadBalancer, svc *corev1.Service, r infra.Reporter) {
	s := served{vpc: v, to: r, b: b, svc: svc}
	if b.LoadBalancerStatus == "inactive" || b.LoadBalancerStatus == "locked" {
		s.fail(b.Place, "it is %s, and forwards nothing", b.LoadBalancerStatus)
		return
	}
	for i := range svc.Spec.Ports {
		s.port = &svc.Spec.Ports[i]
		if l := s.listener(); l != nil {
			s.checkListener(l)
		} else if at, whole := s.lists(); whole && !s.listed() {
			s.fail(at, "it has no listener on port %d for %s", s.port.Port, s.port.Protocol)
		}
	}
}

// fail reports what keeps connections to the Service from its pods.
func (s served) fail(at wire.Place, format string, args ...any) {
	s.report(model.SuspicionLevelCritical, at, fmt.Sprintf(format, args...))
}

func (s served) report(level model.SuspicionLevel, at wire.Place, what string) {
	s.to.Report("", model.Suspicion{Level: level, Code: "infra/load-balancer", Evidence: at.String(),
		Remedy:  fmt.Sprintf("kubectl -n %s describe svc %s: its events say what the cloud controller manager could not do.", s.svc.Namespace, s.svc.Name),
		Message: fmt.Sprintf("load balancer %s (%s) of svc %s/%s: %s", s.b.LoadBalancerID, s.b.Address, s.svc.Namespace, s.svc.Name, what)})
}

// takes reports whether a listener takes what comes for the port: those of HTTP
// take TCP.
func (s served) takes(l *wire.ListenerPort) bool {
	udp := strings.EqualFold(l.ListenerProtocol, "udp")
	return int32(l.ListenerPort) == s.port.Port && udp == (s.port.Protocol == corev1.ProtocolUDP)
}

// listener finds the listener of the port, nil if none is known.
func (s served) listener() *wire.Listener {
	for i := range s.facts.Listeners {
		if l := &s.facts.Listeners[i]; l.LoadBalancerID == s.b.LoadBalancerID && s.takes(&l.ListenerPort) {
			return l
		}
	}
	return nil
}

// listed reports whether the load balancer's own answer has a listener of the port.
func (s served) listed() bool {
	for i := range s.b.Ports {
		if s.takes(&s.b.Ports[i]) {
			return true
		}
	}
	return false
}

// lists reports whether all listeners of the load balancer are known, and from
// where.
func (s served) lists() (at wire.Place, whole bool) {
	if s.b.Whole {
		return s.b.Place, true
	}
	_, cut := s.facts.Missing()["DescribeLoadBalancerListeners"]
	for i := range s.facts.Listeners {
		if l := &s.facts.Listeners[i]; l.LoadBalancerID == s.b.LoadBalancerID {
			return l.Place, !cut
		}
	}
	return at, false
}

// checkListener asserts that a listener runs, and that one of its servers gets
// connections.
func (s served) checkListener(l *wire.Listener) {
	if strings.EqualFold(l.Status, "stopped") {
		s.fail(l.Place, "its listener on port %d is stopped", s.port.Port)
		return
	}
	if strings.EqualFold(l.HTTPListenerConfig.ListenerForward, "on") {
		return // to the listener of another port
	}
	servers, at, known := s.servers(l)
	if !known {
		s.to.Unknown("", l.String(), fmt.Sprintf("which servers are behind port %d of load balancer %s of svc %s/%s", s.port.Port, s.b.LoadBalancerID, s.svc.Namespace, s.svc.Name))
		return
	}
	used := false
	for i := range servers {
		if servers[i].Weight > 0 {
			used = true
			s.checkServer(l, &servers[i])
		}
	}
	if !used {
		s.fail(at, "no server gets what comes to port %d", s.port.Port)
	}
}

// servers are those behind a listener, and the place of the answer.
func (s served) servers(l *wire.Listener) (list []wire.BackendServer, at wire.Place, known bool) {
	switch {
	case l.Paired():
		return nil, at, false
	case l.VServerGroupID == "":
		return s.b.Servers, s.b.Place, s.b.Whole
	}
	for i := range s.facts.ServerGroups {
		if g := &s.facts.ServerGroups[i]; g.VServerGroupID == l.VServerGroupID {
			return g.Servers, g.Place, true
		}
	}
	return nil, at, false
}

// checkServer asserts that a server serves the Service. Machines outside of the
// cluster may be there on purpose.
func (s served) checkServer(l *wire.Listener, server *wire.BackendServer) {
	port := int32(server.Port)
	if l.VServerGroupID == "" {
		port = int32(l.BackendServerPort)
	}
	if server.Type == "eni" || server.Type == "eci" {
		if ready, known := s.ready(server.ServerIP, port); known && !ready {
			s.report(model.SuspicionLevelWarning, server.Place, fmt.Sprintf("it sends to %s:%d, which is no ready endpoint of the Service", server.ServerIP, port))
		}
		return
	}
	node := s.nodes[server.ServerID]
	switch {
	case node == "":
		s.report(model.SuspicionLevelInfo, server.Place, fmt.Sprintf("its server %s is no node of the cluster", server.ServerID))
	case port != s.port.NodePort:
		s.fail(server.Place, "what comes to port %d it sends to port %d of node %s, and the node port is %d", s.port.Port, port, node, s.port.NodePort)
	}
}

// ready reports whether an address and port is a ready endpoint of the port.
func (s served) ready(ip string, port int32) (ready, known bool) {
	list, err := s.snap.EndpointSlices()
	if err != nil {
		return false, false
	}
	for i := range list {
		l := &list[i]
		if l.Namespace == s.svc.Namespace && l.Labels[discoveryv1.LabelServiceName] == s.svc.Name && s.names(l, port) && holds(l, ip) {
			return true, true
		}
	}
	return false, true
}

// names reports whether a slice is about the port, and has it by this number.
func (s served) names(l *discoveryv1.EndpointSlice, port int32) bool {
	return slices.ContainsFunc(l.Ports, func(p discoveryv1.EndpointPort) bool {
		named := p.Name == nil && s.port.Name == "" || p.Name != nil && *p.Name == s.port.Name
		return named && p.Port != nil && *p.Port == port
	})
}

// holds reports whether an endpoint of a slice has an address and is ready: one
// that does not tell is.
func holds(l *discoveryv1.EndpointSlice, ip string) bool {
	return slices.ContainsFunc(l.Endpoints, func(e discoveryv1.Endpoint) bool {
		return slices.Contains(e.Addresses, ip) && (e.Conditions.Ready == nil || *e.Conditions.Ready)
	})
}
