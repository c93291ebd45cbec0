package service

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A KubeProxyServiceProcessor knows what kube-proxy makes of the Services. It
// does not change.
type KubeProxyServiceProcessor struct {
	config    Config
	ips       Owners
	frontends map[frontend]portal
	vips      map[netip.Addr][]*port // all ports of an address, for what to say when none fits
	nodePorts map[frontend]*port     // without an address
	ports     []*port                // in the order of the Services
	zones     map[string]string      // of nodes
	blind     bool                   // the endpoints could not be read
	unread    error                  // why the Services could not be read
}

// A frontend is where packets come to a Service.
type frontend struct {
	addr     netip.Addr
	protocol corev1.Protocol
	port     uint16
}

// A portal is what a frontend leads to.
type portal struct {
	*port
	kind string
}

// A port is one port of a Service.
type port struct {
	service       string // "namespace/name"
	name          string // "" if it has none
	number        uint16
	protocol      corev1.Protocol
	nodePort      uint16
	internalLocal bool
	externalLocal bool
	addrs         addresses
	health        uint16 // healthCheckNodePort, 0 if it has none
	affinity      int    // seconds for which a client stays with its endpoint, 0 if it need not
	sourceRanges  []netip.Prefix
	hasSelector   bool
	endpoints     []*endpoint
}

// label returns the name of p, or its number if it has none.
func (p *port) label() string {
	if p.name == "" {
		return strconv.Itoa(int(p.number))
	}
	return p.name
}

// String names p for people, such as "svc demo/web:80".
func (p *port) String() string { return fmt.Sprintf("svc %s:%d", p.service, p.number) }

// NewKubeProxyServiceProcessor compiles the Services of snap. The mode is
// iptables, nftables, ipvs or "" for what [DetectProxyMode] finds; the rest of
// the configuration is what [ReadConfig] finds. What could not be read is in
// errs.
func NewKubeProxyServiceProcessor(snap *snapshot.Snapshot, ips Owners, mode string) (k *KubeProxyServiceProcessor, errs []error) {
	config, err := ReadConfig(snap)
	if err != nil {
		errs = append(errs, err)
	}
	if mode != "" {
		config.Mode = mode
	}
	if config.Mode == "" {
		config.Mode, _ = DetectProxyMode(snap)
	}
	k, more := NewKubeProxyWithConfig(snap, ips, config)
	return k, append(errs, more...)
}

// NewKubeProxyWithConfig compiles the Services of snap for a configuration that
// the caller knows. Without a configuration of its own (From is "") and without
// ClusterCIDRs, the range of the pods is what the rules of the nodes use.
func NewKubeProxyWithConfig(snap *snapshot.Snapshot, ips Owners, config Config) (k *KubeProxyServiceProcessor, errs []error) {
	if config.From == "" && len(config.ClusterCIDRs) == 0 {
		config.ClusterCIDRs = cidrsOfRules(snap)
	}
	k = &KubeProxyServiceProcessor{
		config:    config,
		ips:       ips,
		frontends: map[frontend]portal{},
		vips:      map[netip.Addr][]*port{},
		nodePorts: map[frontend]*port{},
		zones:     map[string]string{},
	}
	services, err := snap.Services()
	if err != nil {
		k.unread = err
		return k, []error{err}
	}
	endpoints, known, errs := readEndpoints(snap)
	k.blind = !known
	for i := range services {
		errs = append(errs, k.add(&services[i], endpoints)...)
	}
	nodes, err := snap.Nodes()
	if err != nil {
		errs = append(errs, err)
	}
	for _, n := range nodes {
		k.zones[n.Name] = n.Labels[corev1.LabelTopologyZone]
	}
	return k, errs
}

// Config returns the configuration that k works with.
func (k *KubeProxyServiceProcessor) Config() Config { return k.config }

// addresses are what packets to a Service can be sent to.
type addresses struct {
	cluster, external, lb []netip.Addr
}

// labelProxyName is on Services and EndpointSlices that another program than
// kube-proxy implements (pkg/proxy/apis, LabelServiceProxyName).
const labelProxyName = "service.kubernetes.io/service-proxy-name"

// add adds the frontends of s. Headless Services and other names have none, and
// those that are another program's are left to it.
func (k *KubeProxyServiceProcessor) add(s *corev1.Service, endpoints endpointMap) []error {
	if _, others := s.Labels[labelProxyName]; others || s.Spec.Type == corev1.ServiceTypeExternalName || s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return nil
	}
	a, errs := addressesOf(s)
	ranges, bad := sourceRanges(s)
	errs = append(errs, bad...)
	for i := range s.Spec.Ports {
		from := &s.Spec.Ports[i]
		p := &port{
			service:       s.Namespace + "/" + s.Name,
			name:          from.Name,
			number:        uint16(from.Port),
			protocol:      protocolOr(&from.Protocol),
			nodePort:      uint16(from.NodePort),
			internalLocal: s.Spec.InternalTrafficPolicy != nil && *s.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal,
			externalLocal: s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
			addrs:         a,
			affinity:      affinity(s),
			health:        healthPort(s),
			sourceRanges:  ranges,
			hasSelector:   len(s.Spec.Selector) > 0,
		}
		p.endpoints = endpoints[portName{p.service, p.name, p.protocol}]
		k.addPort(p, a)
	}
	return errs
}

// healthPort returns the port at which kube-proxy answers load balancers for s
// (apiservice.NeedsHealthCheck), 0 if it has none.
func healthPort(s *corev1.Service) uint16 {
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer || s.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		return 0
	}
	return uint16(s.Spec.HealthCheckNodePort)
}

// has reports whether p has a cluster address of a family. Without one
// kube-proxy gives the Service nothing of that family.
func (p *port) has(ipv4 bool) bool {
	return slices.ContainsFunc(p.addrs.cluster, func(a netip.Addr) bool { return a.Is4() == ipv4 })
}

// external reports whether p can be reached by another address of a family than
// the cluster's (ServicePort.ExternallyAccessible).
func (p *port) external(ipv4 bool) bool {
	of := func(a netip.Addr) bool { return a.Is4() == ipv4 }
	return p.nodePort != 0 || slices.ContainsFunc(p.addrs.external, of) || slices.ContainsFunc(p.addrs.lb, of)
}

// affinity returns for how long a client stays with its endpoint.
func affinity(s *corev1.Service) int {
	if s.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	if c := s.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		return int(*c.ClientIP.TimeoutSeconds)
	}
	return int(corev1.DefaultClientIPServiceAffinitySeconds)
}

func (k *KubeProxyServiceProcessor) addPort(p *port, a addresses) {
	k.ports = append(k.ports, p)
	for _, group := range []struct {
		kind  string
		addrs []netip.Addr
	}{{KindClusterIP, a.cluster}, {KindExternalIP, a.external}, {KindLoadBalancer, a.lb}} {
		for _, addr := range group.addrs {
			at := frontend{addr, p.protocol, p.number}
			if _, twice := k.frontends[at]; !twice {
				k.frontends[at] = portal{p, group.kind}
			}
			k.vips[addr] = append(k.vips[addr], p)
		}
	}
	if p.nodePort != 0 {
		k.nodePorts[frontend{protocol: p.protocol, port: p.nodePort}] = p
	}
}

// addressesOf returns the addresses of s. Load balancers that proxy are none
// of kube-proxy's business.
func addressesOf(s *corev1.Service) (a addresses, errs []error) {
	parse := func(texts ...string) (out []netip.Addr) {
		for _, text := range texts {
			ip, err := netip.ParseAddr(text)
			if err != nil {
				errs = append(errs, fmt.Errorf("svc %s/%s: %w", s.Namespace, s.Name, err))
			} else if ip = ip.Unmap(); !slices.Contains(out, ip) {
				out = append(out, ip)
			}
		}
		return out
	}
	cluster := s.Spec.ClusterIPs
	if len(cluster) == 0 {
		cluster = []string{s.Spec.ClusterIP}
	}
	a.cluster = parse(cluster...)
	a.external = parse(s.Spec.ExternalIPs...)
	var lb []string
	for _, in := range s.Status.LoadBalancer.Ingress {
		if in.IP != "" && (in.IPMode == nil || *in.IPMode == corev1.LoadBalancerIPModeVIP) {
			lb = append(lb, in.IP)
		}
	}
	a.lb = parse(lb...)
	return a, errs
}

// sourceRanges returns the sources that may use the load balancer addresses of
// s.
func sourceRanges(s *corev1.Service) (out []netip.Prefix, errs []error) {
	for _, text := range s.Spec.LoadBalancerSourceRanges {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			errs = append(errs, fmt.Errorf("svc %s/%s: loadBalancerSourceRanges: %w", s.Namespace, s.Name, err))
			continue
		}
		out = append(out, p.Masked())
	}
	return out, errs
}

// apiProtocol returns p as the API spells it.
func apiProtocol(p model.Protocol) corev1.Protocol {
	return corev1.Protocol(strings.ToUpper(string(p)))
}
