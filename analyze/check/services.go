package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
)

// checkServices is about what Services select, whatever the nodes' rules do. That
// nobody serves a Service is not the network's fault and may be meant: it is
// noted.
func checkServices(s *scope) {
	for _, resource := range []string{"services", "pods"} {
		if err := s.env.IPCache.Missing(resource); err != nil {
			s.unknown("", "", "%s: %v", resource, err)
			return
		}
	}
	slices, err := s.snap.EndpointSlices()
	if err != nil {
		s.unknown("", "", "whether the endpoints of Services are ready: %v", err)
	}
	states := endpointStates(slices)
	for i := range s.services {
		svc := &s.services[i]
		if svc.Spec.Type == corev1.ServiceTypeExternalName || len(svc.Spec.Selector) == 0 {
			continue
		}
		s.selected(svc, states[svc.Namespace+"/"+svc.Name])
	}
	for i := range slices {
		s.served(&slices[i])
	}
}

// served notes endpoints on whose port nobody listens, where the sockets of the
// pod are known.
func (s *scope) served(slice *discoveryv1.EndpointSlice) {
	for i := range slice.Endpoints {
		e := &slice.Endpoints[i]
		if e.TargetRef == nil || e.TargetRef.Kind != "Pod" || len(e.Addresses) == 0 || !isReady(e) {
			continue
		}
		ip, err := netip.ParseAddr(e.Addresses[0])
		n, ns, on := s.home(e.TargetRef.Namespace, e.TargetRef.Name)
		if err != nil || ns == nil {
			continue
		}
		for _, p := range slice.Ports {
			if p.Port == nil || p.Protocol == nil || heard(ns, string(*p.Protocol), netip.AddrPortFrom(ip, uint16(*p.Port))) {
				continue
			}
			s.find(n.name, model.Suspicion{Level: model.SuspicionLevelInfo, Code: "socket/none", On: on, Evidence: ns.Info.File,
				Message: fmt.Sprintf("svc %s/%s is sent to %s %d of pod %s, where nobody listens", slice.Namespace, slice.Labels[discoveryv1.LabelServiceName],
					strings.ToLower(string(*p.Protocol)), *p.Port, on.ID),
				Remedy: "Correct the target port of the Service, or start the server."})
		}
	}
}

// heard reports whether somebody listens on a port, or that is not known.
func heard(ns *netstack.NetNS, protocol string, at netip.AddrPort) bool {
	p := model.Packet{Protocol: model.Protocol(strings.ToLower(protocol)), Dst: at}
	m := ns.Sockets.Lookup(p, "")
	return !m.Known || m.Found || !p.Protocol.HasPorts()
}

// home finds the node of a pod and the namespace that its sockets are in, nil if
// that was not collected.
func (s *scope) home(namespace, name string) (*host, *netstack.NetNS, model.Hop) {
	on := model.PodHop(namespace, name)
	pod, ok := s.env.IPCache.GetPodFromName(namespace, name)
	if !ok {
		return nil, nil, on
	}
	for _, n := range s.nodes {
		if n.name != pod.Spec.NodeName {
			continue
		}
		if pod.Spec.HostNetwork {
			return n, n.ns, on
		}
		for _, p := range n.pods {
			if p.hop() == on {
				return n, p.ns, on
			}
		}
	}
	return nil, nil, on
}

// An endpointState is how many endpoints of a Service take packets, and the
// names of those that do not.
type endpointState struct {
	known   bool // the bundle has EndpointSlices of it
	ready   int
	unready []string
	ports   map[string]bool // by name, those with endpoints
}

func endpointStates(list []discoveryv1.EndpointSlice) map[string]endpointState {
	states := map[string]endpointState{}
	for i := range list {
		name := list[i].Namespace + "/" + list[i].Labels[discoveryv1.LabelServiceName]
		st := states[name]
		if st.known = true; st.ports == nil {
			st.ports = map[string]bool{}
		}
		for _, p := range list[i].Ports {
			if p.Name != nil && p.Port != nil && len(list[i].Endpoints) > 0 {
				st.ports[*p.Name] = true
			}
		}
		for j := range list[i].Endpoints {
			e := &list[i].Endpoints[j]
			if isReady(e) {
				st.ready++
			} else if who := endpointName(e); !slices.Contains(st.unready, who) {
				st.unready = append(st.unready, who)
			}
		}
		states[name] = st
	}
	return states
}

// isReady reports whether an endpoint takes packets: one of which nothing is said
// does.
func isReady(e *discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }

func endpointName(e *discoveryv1.Endpoint) string {
	if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
		return "pod " + e.TargetRef.Namespace + "/" + e.TargetRef.Name
	}
	return strings.Join(e.Addresses, ", ")
}

// selected reports a Service that selects no pod, or of whose endpoints some are
// not ready. That a pod is not ready is no fault of the network: its own probe
// says so.
func (s *scope) selected(svc *corev1.Service, st endpointState) {
	name := svc.Namespace + "/" + svc.Name
	selector := labels.SelectorFromValidatedSet(svc.Spec.Selector)
	matches := slices.ContainsFunc(s.env.IPCache.Pods(), func(p *corev1.Pod) bool {
		return p.Namespace == svc.Namespace && !ended(p) && selector.Matches(labels.Set(p.Labels))
	})
	if !matches {
		s.find("", model.Suspicion{Level: model.SuspicionLevelInfo, Code: "service/no-endpoints", Evidence: "cluster/services.yaml",
			Message: fmt.Sprintf("svc %s selects %s and no pod of namespace %s matches", name, selector, svc.Namespace),
			Remedy:  "Correct the selector of svc " + name + ", or start a pod that matches."})
		return
	}
	for i := range svc.Spec.Ports {
		s.named(svc, &svc.Spec.Ports[i], st)
	}
	if len(st.unready) == 0 {
		return
	}
	slices.Sort(st.unready)
	left := fmt.Sprintf("%d others are ready", st.ready)
	if st.ready == 0 {
		left = "no other is ready, so that connections to it are refused"
	}
	s.find("", model.Suspicion{Level: model.SuspicionLevelInfo, Code: "service/unready-endpoints", Evidence: "cluster/endpointslices.yaml",
		Message: fmt.Sprintf("svc %s has endpoints that are not ready: %s; %s", name, several(st.unready), left),
		Remedy:  "Look at the readiness probes of these pods."})
}

// named notes a target port whose name no port of a selected pod has.
func (s *scope) named(svc *corev1.Service, port *corev1.ServicePort, st endpointState) {
	if port.TargetPort.Type != intstr.String || !st.known || st.ports[port.Name] {
		return
	}
	s.find("", model.Suspicion{Level: model.SuspicionLevelInfo, Code: "service/no-endpoints", Evidence: "cluster/services.yaml",
		Message: fmt.Sprintf("port %d of svc %s/%s has no endpoint: its target port is named %s, and no pod that it selects has a port of that name", port.Port, svc.Namespace, svc.Name, port.TargetPort.StrVal),
		Remedy:  "Correct the target port, or name a container port so."})
}

// several joins up to three names and counts the rest.
func several(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
