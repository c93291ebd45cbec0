package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// ErrQuestion indicates a question that cannot be asked of this snapshot. Words
// that name nothing are k8s.ErrWord and the like instead.
var ErrQuestion = errors.New("cannot be asked")

// A Resolver finds what the words of a question mean to policies. It does not
// change.
type Resolver struct {
	n        *NetworkPolicy
	ips      *k8s.IPCache
	services map[string]*corev1.Service              // by "namespace/name"
	slices   map[string][]*discoveryv1.EndpointSlice // of Services
}

// NewResolver reads the Services of snap. What could not be read is in errs.
func NewResolver(n *NetworkPolicy, snap *snapshot.Snapshot) (r *Resolver, errs []error) {
	r = &Resolver{n: n, ips: n.ips, services: map[string]*corev1.Service{}, slices: map[string][]*discoveryv1.EndpointSlice{}}
	services, err := snap.Services()
	if err != nil {
		errs = append(errs, err)
	}
	for i := range services {
		r.services[services[i].Namespace+"/"+services[i].Name] = &services[i]
	}
	list, err := snap.EndpointSlices()
	if err != nil {
		errs = append(errs, err)
	}
	for i := range list {
		name := list[i].Namespace + "/" + list[i].Labels[discoveryv1.LabelServiceName]
		r.slices[name] = append(r.slices[name], &list[i])
	}
	return r, errs
}

// A Question is a conversation in the words of the command line: those of
// k8s.IPCache.Resolve, and NAMESPACE/NAME alone where only a pod or only a
// Service is called that. Port is 0 for the one that Dst names.
type Question struct {
	Src, Dst string
	Port     uint16
	Protocol model.Protocol
}

// A place is an end and the port of it that is meant.
type place struct {
	End
	port uint16
}

// Flows returns the conversations that a question means: one for each backend
// of a Service, and for each family of addresses that both ends have. A pod
// needs no address.
func (r *Resolver) Flows(q Question) ([]*Flow, error) {
	from, err := r.places(q.Src, 0, q.Protocol, true)
	if err != nil {
		return nil, err
	}
	to, err := r.places(q.Dst, q.Port, q.Protocol, false)
	if err != nil {
		return nil, err
	}
	var out []*Flow
	for _, s := range from {
		for _, d := range to {
			if q.Protocol.HasPorts() && d.port == 0 {
				return nil, fmt.Errorf("%s: %w: which port? give --dport, or one that the Service has", q.Dst, ErrQuestion)
			}
			if s.IP.IsValid() && d.IP.IsValid() && s.IP.Is4() != d.IP.Is4() {
				continue
			}
			f := &Flow{Src: s.End, Dst: d.End, Port: d.port, Protocol: q.Protocol}
			if !q.Protocol.HasPorts() {
				f.Port = 0
			}
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s and %s: %w: they have no family of addresses in common", q.Src, q.Dst, ErrQuestion)
	}
	return out, nil
}

// places finds what a word means. A source is all of a Service's pods, whatever
// its ports.
func (r *Resolver) places(word string, port uint16, protocol model.Protocol, source bool) ([]place, error) {
	word, err := r.kinded(word)
	if err != nil {
		return nil, err
	}
	kind, rest, _ := strings.Cut(word, ":")
	switch {
	case kind == "pod":
		return r.pod(word, rest, port, protocol)
	case kind == "svc" || kind == "service":
		name, portText, _ := strings.Cut(rest, ":")
		if !strings.Contains(name, "/") {
			name = "default/" + name
		}
		if port != 0 {
			portText = strconv.Itoa(int(port))
		}
		return r.service(name, portText, protocol, source)
	}
	t, err := r.ips.Resolve(word)
	if err != nil {
		return nil, err
	}
	return r.addresses(t.Endpoints, port, protocol, source)
}

// kinded puts the kind before a word of the form NAMESPACE/NAME.
func (r *Resolver) kinded(word string) (string, error) {
	name, port, _ := strings.Cut(word, ":")
	if strings.Count(name, "/") != 1 {
		return word, nil
	}
	if _, err := netip.ParsePrefix(word); err == nil {
		return word, nil
	}
	if port != "" {
		port = ":" + port
	}
	namespace, short, _ := strings.Cut(name, "/")
	_, isPod := r.ips.GetPodFromName(namespace, short)
	_, isService := r.services[name]
	switch {
	case isPod && isService:
		return "", fmt.Errorf("%q: %w: there is a pod and a Service of that name; say pod:%s or svc:%s", word, k8s.ErrWord, word, word)
	case isService:
		return "svc:" + name + port, nil
	}
	return "pod:" + name + port, nil
}

// addresses finds the ends that have addresses. Those of Services, and node
// ports, are what is behind them.
func (r *Resolver) addresses(list []model.Endpoint, port uint16, protocol model.Protocol, source bool) (out []place, err error) {
	for _, e := range list {
		if port != 0 {
			e.Port = port
		}
		name, portText := "", ""
		if s, ok := r.ips.GetServiceFromIP(e.IP); ok && (e.Type == model.EndpointTypeService || e.Type == model.EndpointTypeLoadbalancer) {
			name = s.Namespace + "/" + s.Name
			if e.Port != 0 {
				portText = strconv.Itoa(int(e.Port))
			}
		} else if s, sp, ok := r.ips.GetServiceFromNodePort(e.Port, protocol); ok && e.Type == model.EndpointTypeNode && !source {
			name, portText = s.Namespace+"/"+s.Name, strconv.Itoa(int(sp.Port))
		}
		if name == "" {
			out = append(out, place{r.n.End(e), e.Port})
			continue
		}
		behind, err := r.service(name, portText, protocol, source)
		if err != nil {
			return nil, err
		}
		out = append(out, behind...)
	}
	return out, nil
}

// pod finds a pod, which needs no address.
func (r *Resolver) pod(word, rest string, port uint16, protocol model.Protocol) ([]place, error) {
	t, err := r.ips.Resolve(word)
	if err == nil {
		return r.addresses(t.Endpoints, port, protocol, true)
	}
	if !errors.Is(err, k8s.ErrNoAddress) {
		return nil, err
	}
	name, portText, _ := strings.Cut(rest, ":")
	if !strings.Contains(name, "/") {
		name = "default/" + name
	}
	namespace, short, _ := strings.Cut(name, "/")
	pod, ok := r.ips.GetPodFromName(namespace, short)
	if !ok || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return nil, err
	}
	p := r.place(pod, netip.Addr{})
	switch number, err := strconv.ParseUint(portText, 10, 16); {
	case port != 0:
		p.port = port
	case portText == "":
	case err == nil:
		p.port = uint16(number)
	case p.Pod != nil && len(p.Pod.NamedPorts(portText, protocol)) > 0:
		p.port = p.Pod.NamedPorts(portText, protocol)[0]
	default:
		return nil, fmt.Errorf("pod %s: %w: it has no port %q", name, k8s.ErrWord, portText)
	}
	return []place{p}, nil
}

// place is a pod as an end. One with the network of its node is that node.
func (r *Resolver) place(pod *corev1.Pod, ip netip.Addr) place {
	if pod.Spec.HostNetwork {
		return place{End: r.n.End(model.Endpoint{Type: model.EndpointTypeNode, Name: pod.Spec.NodeName, IP: ip})}
	}
	return place{End: r.n.End(model.Endpoint{Type: model.EndpointTypePod, Name: pod.Namespace + "/" + pod.Name, IP: ip})}
}

// service finds the backends of a Service for one of its ports. Where endpoint
// slices do not tell, it is the pods that its selector selects.
func (r *Resolver) service(name, portText string, protocol model.Protocol, source bool) ([]place, error) {
	s := r.services[name]
	if s == nil {
		_, err := r.ips.Resolve("svc:" + name)
		return nil, err
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return nil, fmt.Errorf("svc %s: %w: it is another name of %s; give that host's address", name, k8s.ErrNoAddress, s.Spec.ExternalName)
	}
	port, err := portOf(s, portText, protocol, source)
	if err != nil {
		return nil, err
	}
	out := r.fromSlices(name, port)
	if len(out) == 0 {
		out = r.fromSelector(s, port, protocol)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("svc %s: %w: it has no backend", name, k8s.ErrNoAddress)
	}
	return out, nil
}

// portOf finds a port of a Service by name or number, nil for a source.
func portOf(s *corev1.Service, text string, protocol model.Protocol, source bool) (*corev1.ServicePort, error) {
	if source || !protocol.HasPorts() {
		return nil, nil
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		only := text == "" && len(s.Spec.Ports) == 1
		if only || text != "" && (p.Name == text || strconv.Itoa(int(p.Port)) == text) && serviceProtocol(p) == protocol {
			return p, nil
		}
	}
	if text == "" {
		return nil, fmt.Errorf("svc %s/%s: %w: it has %d ports; say which", s.Namespace, s.Name, ErrQuestion, len(s.Spec.Ports))
	}
	return nil, fmt.Errorf("svc %s/%s: %w: it has no %s port %s", s.Namespace, s.Name, ErrQuestion, protocol, text)
}

func serviceProtocol(p *corev1.ServicePort) model.Protocol {
	if p.Protocol == "" {
		return model.TCP
	}
	return apiProtocol(p.Protocol)
}

// fromSlices returns the endpoints of a Service: those that are ready, or all
// if none is.
func (r *Resolver) fromSlices(name string, sp *corev1.ServicePort) []place {
	var ready, all []place
	for _, slice := range r.slices[name] {
		port, ok := slicePort(slice, sp)
		if !ok {
			continue
		}
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			for _, text := range e.Addresses {
				p, ok := r.endpoint(slice.Namespace, e, text)
				if !ok {
					continue
				}
				p.port = port
				all = append(all, p)
				if e.Conditions.Ready == nil || *e.Conditions.Ready {
					ready = append(ready, p)
				}
			}
		}
	}
	if len(ready) > 0 {
		return ready
	}
	return all
}

func slicePort(slice *discoveryv1.EndpointSlice, sp *corev1.ServicePort) (uint16, bool) {
	if sp == nil {
		return 0, true
	}
	for _, p := range slice.Ports {
		if p.Port != nil && (p.Name == nil && sp.Name == "" || p.Name != nil && *p.Name == sp.Name) {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

func (r *Resolver) endpoint(namespace string, e *discoveryv1.Endpoint, text string) (place, bool) {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return place{}, false
	}
	if e.TargetRef != nil && e.TargetRef.Kind == "Pod" {
		if pod, ok := r.ips.GetPodFromName(namespace, e.TargetRef.Name); ok {
			return r.place(pod, ip), true
		}
	}
	return place{End: r.n.End(r.ips.Endpoint(ip, 0))}, true
}

// fromSelector returns the pods that a Service selects and that have its port.
func (r *Resolver) fromSelector(s *corev1.Service, sp *corev1.ServicePort, protocol model.Protocol) (out []place) {
	if len(s.Spec.Selector) == 0 {
		return nil
	}
	selector := labels.SelectorFromSet(s.Spec.Selector)
	for _, pod := range r.ips.Pods() {
		if pod.Namespace != s.Namespace || !selector.Matches(labels.Set(pod.Labels)) || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		ports := targetPorts(pod, sp, protocol)
		for _, ip := range addressesOf(pod) {
			for _, port := range ports {
				p := r.place(pod, ip)
				p.port = port
				out = append(out, p)
			}
		}
	}
	return out
}

// addressesOf returns the addresses of a pod, or one that is not valid.
func addressesOf(pod *corev1.Pod) (out []netip.Addr) {
	for _, text := range append([]corev1.PodIP{{IP: pod.Status.PodIP}}, pod.Status.PodIPs...) {
		if ip, err := netip.ParseAddr(text.IP); err == nil && !slices.Contains(out, ip.Unmap()) {
			out = append(out, ip.Unmap())
		}
	}
	if len(out) == 0 {
		return []netip.Addr{{}}
	}
	return out
}

// targetPorts returns the number that a port of a Service has at a pod: none if
// the pod lacks the name.
func targetPorts(pod *corev1.Pod, sp *corev1.ServicePort, protocol model.Protocol) []uint16 {
	switch {
	case sp == nil:
		return []uint16{0}
	case sp.TargetPort.Type == intstr.String && sp.TargetPort.StrVal != "":
		p := Pod{ports: namedPorts(&pod.Spec)}
		return p.NamedPorts(sp.TargetPort.StrVal, protocol)
	case sp.TargetPort.IntVal > 0:
		return []uint16{uint16(sp.TargetPort.IntVal)}
	}
	return []uint16{uint16(sp.Port)}
}
