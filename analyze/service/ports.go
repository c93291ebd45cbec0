package service

import (
	"errors"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A Port is a port of a Service with the endpoints that some node may send to,
// whatever traffic policies and hints leave to which node.
type Port struct {
	Service   string // "namespace/name"
	Name      string // "" if it has none
	Number    uint16
	Protocol  model.Protocol
	Headless  bool              // clients address the endpoints themselves
	Selector  map[string]string // nil if it has none
	Target    intstr.IntOrString
	Known     bool             // an EndpointSlice or Endpoints object of the Service is there
	Endpoints []netip.AddrPort // ready, or if none is, those that still serve while they terminate; sorted
}

// Ports returns the ports of all Services but those of type ExternalName, in
// the order of the bundle. What could not be read is in errs.
func Ports(snap *snapshot.Snapshot) (ports []Port, errs []error) {
	services, err := snap.Services()
	if err != nil {
		return nil, []error{err}
	}
	endpoints, known, errs := readEndpoints(snap)
	if !known {
		errs = notCollectedLeftOut(errs)
	}
	have := haveEndpoints(snap)
	for i := range services {
		s := &services[i]
		if s.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		for j := range s.Spec.Ports {
			p := portOf(s, &s.Spec.Ports[j], endpoints)
			p.Known = have[p.Service]
			ports = append(ports, p)
		}
	}
	return ports, errs
}

// haveEndpoints finds the Services of which there are EndpointSlices, or
// Endpoints where there are no slices at all. A Service whose selector holds no
// pod has an empty one.
func haveEndpoints(snap *snapshot.Snapshot) map[string]bool {
	out := map[string]bool{}
	if slices, err := snap.EndpointSlices(); err == nil {
		for i := range slices {
			out[slices[i].Namespace+"/"+slices[i].Labels[discoveryv1.LabelServiceName]] = true
		}
		return out
	}
	old, err := snap.Endpoints()
	if err != nil {
		return out // readEndpoints says so
	}
	for i := range old {
		out[old[i].Namespace+"/"+old[i].Name] = true
	}
	return out
}

// notCollectedLeftOut drops the errors that known says.
func notCollectedLeftOut(errs []error) (out []error) {
	for _, err := range errs {
		if !errors.Is(err, snapshot.ErrNotCollected) {
			out = append(out, err)
		}
	}
	return out
}

func portOf(s *corev1.Service, from *corev1.ServicePort, endpoints endpointMap) Port {
	protocol := protocolOr(&from.Protocol)
	p := Port{
		Service: s.Namespace + "/" + s.Name, Name: from.Name, Number: uint16(from.Port), Protocol: model.Protocol(strings.ToLower(string(protocol))),
		Headless: s.Spec.ClusterIP == corev1.ClusterIPNone, Selector: s.Spec.Selector, Target: from.TargetPort,
	}
	all := endpoints[portName{p.Service, p.Name, protocol}]
	for _, e := range orFallback(keep(all, (*endpoint).usable), all) {
		p.Endpoints = append(p.Endpoints, e.addr)
	}
	return p
}
