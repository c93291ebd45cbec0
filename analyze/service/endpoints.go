package service

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pathsnap/pathsnap/snapshot"
)

// An endpoint is one address and port of an EndpointSlice or Endpoints object.
type endpoint struct {
	addr                        netip.AddrPort
	node                        string
	pod                         string // "namespace/name"
	ready, serving, terminating bool
	zones, nodes                []string // hints
}

func (e *endpoint) usable() bool   { return e.ready }
func (e *endpoint) fallback() bool { return e.serving && e.terminating }

// A portName is what EndpointSlices know a port of a Service by.
type portName struct {
	service  string // "namespace/name"
	name     string
	protocol corev1.Protocol
}

// An endpointMap has the endpoints of each port, sorted by address.
type endpointMap map[portName][]*endpoint

// readEndpoints reads the EndpointSlices, or the Endpoints if the bundle has no
// EndpointSlices that can be read. Without either, known is false.
func readEndpoints(snap *snapshot.Snapshot) (m endpointMap, known bool, errs []error) {
	m = endpointMap{}
	slices, err := snap.EndpointSlices()
	if err == nil {
		for i := range slices {
			errs = append(errs, m.addSlice(&slices[i])...)
		}
		m.sort()
		return m, true, errs
	}
	old, oldErr := snap.Endpoints()
	if oldErr != nil {
		return m, false, []error{err, oldErr}
	}
	if !errors.Is(err, snapshot.ErrNotCollected) {
		errs = append(errs, err)
	}
	for i := range old {
		errs = append(errs, m.addEndpoints(&old[i])...)
	}
	m.sort()
	return m, true, errs
}

func (m endpointMap) sort() {
	for _, list := range m {
		slices.SortFunc(list, func(a, b *endpoint) int { return a.addr.Compare(b.addr) })
	}
}

// add adds e to a port. Of two equal addresses the last counts: slices overlap
// while an endpoint moves from one to another.
func (m endpointMap) add(port portName, e *endpoint) {
	list := m[port]
	if i := slices.IndexFunc(list, func(have *endpoint) bool { return have.addr == e.addr }); i >= 0 {
		list[i] = e
		return
	}
	m[port] = append(list, e)
}

func (m endpointMap) addSlice(s *discoveryv1.EndpointSlice) (errs []error) {
	service := s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]
	if _, others := s.Labels[labelProxyName]; others || s.AddressType == discoveryv1.AddressTypeFQDN {
		return nil // kube-proxy does not use them
	}
	for i := range s.Endpoints {
		from := &s.Endpoints[i]
		if len(from.Addresses) == 0 {
			continue
		}
		ip, err := netip.ParseAddr(from.Addresses[0]) // kube-proxy uses no other
		if err != nil {
			errs = append(errs, fmt.Errorf("endpointslice %s/%s: %w", s.Namespace, s.Name, err))
			continue
		}
		for _, p := range s.Ports {
			if p.Name == nil || p.Port == nil || *p.Port <= 0 || *p.Port > 65535 {
				continue
			}
			e := sliceEndpoint(from)
			e.addr = netip.AddrPortFrom(ip.Unmap(), uint16(*p.Port))
			m.add(portName{service, *p.Name, protocolOr(p.Protocol)}, e)
		}
	}
	return errs
}

// sliceEndpoint returns from without its address.
func sliceEndpoint(from *discoveryv1.Endpoint) *endpoint {
	e := &endpoint{
		ready:       isTrue(from.Conditions.Ready, true),
		serving:     isTrue(from.Conditions.Serving, true),
		terminating: isTrue(from.Conditions.Terminating, false),
		pod:         podOf(from.TargetRef),
	}
	if from.NodeName != nil {
		e.node = *from.NodeName
	}
	if from.Hints != nil {
		for _, z := range from.Hints.ForZones {
			e.zones = append(e.zones, z.Name)
		}
		for _, n := range from.Hints.ForNodes {
			e.nodes = append(e.nodes, n.Name)
		}
	}
	return e
}

func isTrue(b *bool, otherwise bool) bool {
	if b == nil {
		return otherwise
	}
	return *b
}

func protocolOr(p *corev1.Protocol) corev1.Protocol {
	if p == nil || *p == "" {
		return corev1.ProtocolTCP
	}
	return *p
}

func podOf(ref *corev1.ObjectReference) string {
	if ref == nil || ref.Kind != "Pod" {
		return ""
	}
	return ref.Namespace + "/" + ref.Name
}

// addEndpoints adds what old clusters have instead of slices. It knows nothing
// of endpoints that are terminating.
func (m endpointMap) addEndpoints(e *corev1.Endpoints) (errs []error) { //nolint:staticcheck // old clusters have nothing else
	service := e.Namespace + "/" + e.Name
	for _, subset := range e.Subsets {
		for _, p := range subset.Ports {
			port := portName{service, p.Name, protocolOr(&p.Protocol)}
			for _, group := range []struct {
				addresses []corev1.EndpointAddress
				ready     bool
			}{{subset.Addresses, true}, {subset.NotReadyAddresses, false}} {
				for _, a := range group.addresses {
					ip, err := netip.ParseAddr(a.IP)
					if err != nil {
						errs = append(errs, fmt.Errorf("endpoints %s: %w", service, err))
						continue
					}
					to := &endpoint{addr: netip.AddrPortFrom(ip.Unmap(), uint16(p.Port)), pod: podOf(a.TargetRef), ready: group.ready, serving: group.ready}
					if a.NodeName != nil {
						to.node = *a.NodeName
					}
					m.add(port, to)
				}
			}
		}
	}
	return errs
}
