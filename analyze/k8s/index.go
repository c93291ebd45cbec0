package k8s

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pathsnap/pathsnap/snapshot"
)

// NewIPCache indexes the objects of snap. What could not be read is in errs;
// the cache then works with what there is: without cluster objects, nodes and
// pods are known from the dumps of the nodes.
func NewIPCache(snap *snapshot.Snapshot) (c *IPCache, errs []error) {
	b := &builder{snap: snap, c: &IPCache{
		pods:       map[string]*corev1.Pod{},
		podsByUID:  map[string]*corev1.Pod{},
		podsByIP:   map[netip.Addr]*corev1.Pod{},
		nodes:      map[string]*nodeEntry{},
		nodesByIP:  map[netip.Addr]string{},
		nodesByDev: map[netip.Addr]string{},
		services:   map[string]*corev1.Service{},
		vips:       map[netip.Addr]vip{},
		nodePorts:  map[portKey]nodePort{},
		headless:   map[string][]headlessAddr{},
		externals:  map[string][]netip.Addr{},
		externalIP: map[netip.Addr]string{},
		missing:    map[string]error{},
	}}
	b.nodeObjects()
	b.podObjects()
	b.serviceObjects()
	b.nodeDumps()
	b.externalDumps()
	b.cidrs()
	return b.c, b.errs
}

// A builder fills an IPCache.
type builder struct {
	snap *snapshot.Snapshot
	c    *IPCache
	errs []error
}

// failed notes that a resource could not be read, and reports whether that is
// so.
func (b *builder) failed(resource string, err error) bool {
	if err == nil {
		return false
	}
	b.c.missing[resource] = err
	b.errs = append(b.errs, err)
	return true
}

// bad notes that a field of an object makes no sense.
func (b *builder) bad(what string, err error) {
	b.errs = append(b.errs, fmt.Errorf("%s: %w", what, err))
}

// addr parses an address of an object. Absent ones are not an error.
func (b *builder) addr(text, what string) (netip.Addr, bool) {
	if text == "" {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		b.bad(what, err)
		return netip.Addr{}, false
	}
	return ip.Unmap(), true
}

func (b *builder) node(name string) *nodeEntry {
	n := b.c.nodes[name]
	if n == nil {
		n = &nodeEntry{}
		b.c.nodes[name] = n
	}
	return n
}

func (b *builder) nodeObjects() {
	nodes, err := b.snap.Nodes()
	if b.failed("nodes", err) {
		return
	}
	for i := range nodes {
		b.nodeObject(&nodes[i])
	}
}

func (b *builder) nodeObject(object *corev1.Node) {
	n := b.node(object.Name)
	n.object = object
	for _, a := range object.Status.Addresses {
		if a.Type != corev1.NodeInternalIP && a.Type != corev1.NodeExternalIP {
			continue
		}
		if ip, ok := b.addr(a.Address, "node "+object.Name); ok {
			n.ips = append(n.ips, ip)
			if _, twice := b.c.nodesByIP[ip]; !twice {
				b.c.nodesByIP[ip] = object.Name
			}
		}
	}
	cidrs := object.Spec.PodCIDRs
	if len(cidrs) == 0 && object.Spec.PodCIDR != "" {
		cidrs = []string{object.Spec.PodCIDR}
	}
	for _, text := range cidrs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			b.bad("node "+object.Name, err)
			continue
		}
		n.podCIDRs = append(n.podCIDRs, p.Masked())
		b.c.podCIDRs.add(p, object.Name)
	}
}

func (b *builder) podObjects() {
	pods, err := b.snap.Pods()
	if b.failed("pods", err) {
		return
	}
	for i := range pods {
		b.pod(&pods[i])
	}
}

// staticPodUID is the annotation with the UID by which the kubelet knows a
// static pod; the Pod object has another one.
const staticPodUID = "kubernetes.io/config.hash"

func (b *builder) pod(pod *corev1.Pod) {
	b.c.pods[pod.Namespace+"/"+pod.Name] = pod
	for _, uid := range []string{string(pod.UID), pod.Annotations[staticPodUID]} {
		if uid != "" {
			b.c.podsByUID[uid] = pod
		}
	}
	if pod.Spec.HostNetwork || ended(pod) {
		return
	}
	ips, errs := podIPs(pod)
	for _, err := range errs {
		b.bad("pod "+pod.Namespace+"/"+pod.Name, err)
	}
	for _, ip := range ips {
		if have, twice := b.c.podsByIP[ip]; !twice || wins(pod, have) {
			b.c.podsByIP[ip] = pod
		}
	}
}

// ended reports whether the pod has ended for good, so that its addresses may
// be another's.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// wins reports whether a rather than b owns an address that both have.
func wins(a, b *corev1.Pod) bool {
	rank := func(p *corev1.Pod) int {
		switch {
		case p.Status.Phase != corev1.PodRunning:
			return 0
		case p.DeletionTimestamp != nil:
			return 1
		}
		return 2
	}
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra > rb
	}
	return a.CreationTimestamp.After(b.CreationTimestamp.Time)
}

// podIPs returns the addresses in a pod's status.
func podIPs(pod *corev1.Pod) (ips []netip.Addr, errs []error) {
	texts := []string{pod.Status.PodIP}
	for _, p := range pod.Status.PodIPs {
		texts = append(texts, p.IP)
	}
	for _, text := range texts {
		if text == "" {
			continue
		}
		ip, err := netip.ParseAddr(text)
		if err != nil {
			errs = append(errs, err)
		} else if ip = ip.Unmap(); !slices.Contains(ips, ip) {
			ips = append(ips, ip)
		}
	}
	return ips, errs
}

func (b *builder) serviceObjects() {
	services, err := b.snap.Services()
	if b.failed("services", err) {
		return
	}
	for i := range services {
		b.service(&services[i])
	}
	slices, err := b.snap.EndpointSlices()
	if errors.Is(err, snapshot.ErrNotCollected) {
		return // only headless Services by name need them
	}
	if b.failed("endpointslices", err) {
		return
	}
	for i := range slices {
		b.headlessSlice(&slices[i])
	}
}

func (b *builder) service(s *corev1.Service) {
	name := s.Namespace + "/" + s.Name
	b.c.services[name] = s
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	for _, text := range clusterIPs(s) {
		b.vip(text, vip{service: s})
	}
	for _, text := range s.Spec.ExternalIPs {
		b.vip(text, vip{service: s})
	}
	for _, in := range s.Status.LoadBalancer.Ingress {
		b.vip(in.IP, vip{service: s, lb: true})
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.NodePort > 0 && p.NodePort <= 65535 {
			b.c.nodePorts[portKey{uint16(p.NodePort), servicePortProtocol(p)}] = nodePort{s, p}
		}
	}
}

func (b *builder) vip(text string, v vip) {
	ip, ok := b.addr(text, "svc "+v.service.Namespace+"/"+v.service.Name)
	if _, twice := b.c.vips[ip]; ok && !twice {
		b.c.vips[ip] = v
	}
}

// clusterIPs returns the cluster addresses of s; a headless Service has none.
func clusterIPs(s *corev1.Service) []string {
	ips := s.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{s.Spec.ClusterIP}
	}
	return slices.DeleteFunc(slices.Clone(ips), func(ip string) bool { return ip == "" || ip == corev1.ClusterIPNone })
}

// servicePortProtocol returns the protocol of p, which is TCP by default.
func servicePortProtocol(p *corev1.ServicePort) corev1.Protocol {
	if p.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return p.Protocol
}

// A headlessAddr is an address that a headless Service's name resolves to.
type headlessAddr struct {
	ip    netip.Addr
	ports []discoveryv1.EndpointPort
}

// headlessSlice notes the addresses that DNS gives for a headless Service.
func (b *builder) headlessSlice(slice *discoveryv1.EndpointSlice) {
	name := slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]
	s := b.c.services[name]
	if s == nil || s.Spec.ClusterIP != corev1.ClusterIPNone {
		return
	}
	for _, e := range slice.Endpoints {
		if e.Conditions.Ready != nil && !*e.Conditions.Ready {
			continue
		}
		for _, text := range e.Addresses {
			if ip, ok := b.addr(text, "endpointslice "+slice.Namespace+"/"+slice.Name); ok {
				b.c.headless[name] = append(b.c.headless[name], headlessAddr{ip, slice.Ports})
			}
		}
	}
}
