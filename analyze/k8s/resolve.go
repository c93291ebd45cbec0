package k8s

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A Target is what the user named as one end of the conversation.
type Target struct {
	Endpoint    model.Endpoint      // the first of Endpoints
	Endpoints   []model.Endpoint    // one per address: two for dual stack, one per endpoint of a headless Service
	Pod         *corev1.Pod         // nil unless a pod was named
	Service     *corev1.Service     // nil unless a Service was named
	ServicePort *corev1.ServicePort // nil unless a port of the Service was named, or it has only one
}

// Resolve finds what word names:
//
//	pod:namespace/name    svc:namespace/name    node:name    external:name
//	10.0.0.1    fd00::1
//
// each with an optional ":port", for which an IPv6 address is written in
// brackets. Ports of pods and Services may be names. Without a namespace it is
// "default". A pod that uses its node's network is an endpoint of type node. A
// headless Service is its endpoints, with their own port unless a number says
// otherwise.
func (c *IPCache) Resolve(word string) (Target, error) {
	kind, rest, ok := strings.Cut(word, ":")
	if !ok {
		return c.resolveIP(word)
	}
	resolve, ok := map[string]func(string) (Target, error){
		"pod": c.resolvePod, "svc": c.resolveService, "service": c.resolveService, "node": c.resolveNode, "external": c.resolveExternal,
	}[kind]
	if !ok {
		return c.resolveIP(word)
	}
	if rest == "" {
		return Target{}, fmt.Errorf("%q: %w: the name is missing", word, ErrWord)
	}
	return resolve(rest)
}

func (c *IPCache) resolveIP(word string) (Target, error) {
	if ap, err := netip.ParseAddrPort(word); err == nil {
		return target(c.Endpoint(ap.Addr(), ap.Port())), nil
	}
	text := word
	if strings.HasPrefix(word, "[") && strings.HasSuffix(word, "]") {
		text = word[1 : len(word)-1]
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return Target{}, fmt.Errorf("%q: %w: want pod:NAMESPACE/NAME, svc:NAMESPACE/NAME[:PORT], node:NAME, external:NAME or IP[:PORT]", word, ErrWord)
	}
	return target(c.Endpoint(ip, 0)), nil
}

// target returns a Target of endpoints, of which there is at least one.
func target(endpoints ...model.Endpoint) Target {
	return Target{Endpoint: endpoints[0], Endpoints: endpoints}
}

// endpoints returns an endpoint for each of ips.
func endpoints(kind model.EndpointType, name string, ips []netip.Addr, port uint16) []model.Endpoint {
	var out []model.Endpoint
	for _, ip := range ips {
		out = append(out, model.Endpoint{Type: kind, Name: name, IP: ip, Port: port})
	}
	return out
}

// namespaced adds the default namespace to a name without one, and splits off
// the port.
func namespaced(word string) (name, port string) {
	name, port, _ = strings.Cut(word, ":")
	if !strings.Contains(name, "/") {
		name = "default/" + name
	}
	return name, port
}

// parsePort parses a port number; "" is 0, no port.
func parsePort(text, of string) (uint16, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s: %w: %q is no port", of, ErrWord, text)
	}
	return uint16(n), nil
}

func (c *IPCache) resolvePod(word string) (Target, error) {
	name, portText := namespaced(word)
	pod := c.pods[name]
	if pod == nil {
		return Target{}, c.orMissing("pods", notFound("pod", name, c.pods))
	}
	if ended(pod) {
		return Target{}, fmt.Errorf("pod %s: %w: it has ended (%s)", name, ErrNoAddress, pod.Status.Phase)
	}
	port, err := podPort(pod, portText)
	if err != nil {
		return Target{}, err
	}
	kind, owner := model.EndpointTypePod, name
	ips, _ := podIPs(pod)
	if pod.Spec.HostNetwork {
		kind, owner = model.EndpointTypeNode, pod.Spec.NodeName
		if len(ips) == 0 {
			ips = c.GetNodeIPs(owner)
		}
	}
	if len(ips) == 0 {
		return Target{}, fmt.Errorf("pod %s: %w: it is %s", name, ErrNoAddress, phase(pod))
	}
	t := target(endpoints(kind, owner, ips, port)...)
	t.Pod = pod
	return t, nil
}

func phase(pod *corev1.Pod) string {
	if pod.Status.Phase == "" {
		return "in no phase yet"
	}
	return string(pod.Status.Phase)
}

// podPort returns the number of a port of a pod.
func podPort(pod *corev1.Pod, text string) (uint16, error) {
	names := map[string]int32{}
	for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, p := range container.Ports {
			if p.Name != "" {
				names[p.Name] = p.ContainerPort
			}
		}
	}
	if number, ok := names[text]; ok {
		return uint16(number), nil
	}
	name := pod.Namespace + "/" + pod.Name
	if isName(text) {
		return 0, notFound("port", text, names)
	}
	return parsePort(text, "pod "+name)
}

// isName reports whether text names a port rather than numbers it.
func isName(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' })
}

// orMissing replaces err by the reason why the resource is not there at all.
func (c *IPCache) orMissing(resource string, err error) error {
	if why := c.missing[resource]; why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}

func (c *IPCache) resolveService(word string) (Target, error) {
	name, portText := namespaced(word)
	s := c.services[name]
	if s == nil {
		return Target{}, c.orMissing("services", notFound("svc", name, c.services))
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return Target{}, fmt.Errorf("svc %s: %w: it is another name of %s; give that host's address", name, ErrNoAddress, s.Spec.ExternalName)
	}
	sp, port, err := servicePort(s, portText)
	if err != nil {
		return Target{}, err
	}
	var ips []netip.Addr
	for _, text := range clusterIPs(s) {
		if ip, err := netip.ParseAddr(text); err == nil {
			ips = append(ips, ip.Unmap())
		}
	}
	ends := endpoints(model.EndpointTypeService, name, ips, port)
	if len(ends) == 0 {
		srv := sp != nil && portText != strconv.Itoa(int(sp.Port))
		ends = c.headlessEndpoints(name, sp, port, srv)
	}
	if len(ends) == 0 {
		return Target{}, fmt.Errorf("svc %s: %w: it is headless and has no ready endpoint", name, ErrNoAddress)
	}
	t := target(ends...)
	t.Service, t.ServicePort = s, sp
	return t, nil
}

// servicePort finds a port of s by name or number. A number that s does not
// have is not an error: what becomes of such a packet can be asked. Without
// text it is the only port.
func servicePort(s *corev1.Service, text string) (*corev1.ServicePort, uint16, error) {
	if text == "" {
		if len(s.Spec.Ports) == 1 {
			return &s.Spec.Ports[0], uint16(s.Spec.Ports[0].Port), nil
		}
		return nil, 0, nil
	}
	names := map[string]bool{}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.Name == text || strconv.Itoa(int(p.Port)) == text {
			return p, uint16(p.Port), nil
		}
		if p.Name != "" {
			names[p.Name] = true
		}
	}
	of := "svc " + s.Namespace + "/" + s.Name
	if isName(text) {
		return nil, 0, fmt.Errorf("%s: %w", of, notFound("port", text, names))
	}
	port, err := parsePort(text, of)
	return nil, port, err
}

// headlessEndpoints returns what the name of a headless Service resolves to.
// Nothing translates ports there: a client that does not ask for the SRV record
// sends to the very number it was given.
func (c *IPCache) headlessEndpoints(name string, sp *corev1.ServicePort, port uint16, srv bool) (out []model.Endpoint) {
	for _, a := range c.headless[name] {
		e := c.Endpoint(a.ip, port)
		if srv {
			e.Port = targetPort(sp, a.ports, port)
		}
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b model.Endpoint) int { return a.AddrPort().Compare(b.AddrPort()) })
	return out
}

// targetPort returns the endpoints' number of a port of their Service.
func targetPort(sp *corev1.ServicePort, ports []discoveryv1.EndpointPort, other uint16) uint16 {
	for _, p := range ports {
		if p.Name != nil && *p.Name == sp.Name && p.Port != nil {
			return uint16(*p.Port)
		}
	}
	if sp.TargetPort.Type == intstr.Int && sp.TargetPort.IntVal > 0 {
		return uint16(sp.TargetPort.IntVal)
	}
	return other
}

func (c *IPCache) resolveNode(word string) (Target, error) {
	name, portText, _ := strings.Cut(word, ":")
	n := c.nodes[name]
	if n == nil {
		return Target{}, c.orMissing("nodes", notFound("node", name, c.nodes))
	}
	return resolveHost(model.EndpointTypeNode, name, n.ips, portText)
}

func (c *IPCache) resolveExternal(word string) (Target, error) {
	name, portText, _ := strings.Cut(word, ":")
	ips, ok := c.externals[name]
	if !ok {
		return Target{}, notFound("external", name, c.externals)
	}
	return resolveHost(model.EndpointTypeExternal, name, ips, portText)
}

// resolveHost returns the first address of each family.
func resolveHost(kind model.EndpointType, name string, ips []netip.Addr, portText string) (Target, error) {
	port, err := parsePort(portText, string(kind)+" "+name)
	if err != nil {
		return Target{}, err
	}
	var first []netip.Addr
	for _, ip := range ips {
		if !slices.ContainsFunc(first, func(have netip.Addr) bool { return have.Is4() == ip.Is4() }) {
			first = append(first, ip)
		}
	}
	if len(first) == 0 {
		return Target{}, fmt.Errorf("%s %s: %w", kind, name, ErrNoAddress)
	}
	return target(endpoints(kind, name, first, port)...), nil
}
