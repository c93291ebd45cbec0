package service

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// An asked is a packet that kube-proxy is asked about.
type asked struct {
	model.Packet
	src, dst netip.Addr // unmapped; src is invalid if routing has yet to choose it
	node     string
	fromPod  bool
}

// Process implements [Processor].
func (k *KubeProxyServiceProcessor) Process(p model.Packet, node string, fromPod bool) (*Decision, bool) {
	q := asked{p, p.Src.Addr().Unmap(), p.Dst.Addr().Unmap(), node, fromPod}
	if !p.Protocol.HasPorts() {
		return k.unknownPort(q, "kube-proxy translates only tcp, udp and sctp")
	}
	at := frontend{q.dst, apiProtocol(p.Protocol), p.Dst.Port()}
	if to, ok := k.frontends[at]; ok && to.has(q.dst.Is4()) {
		return k.decide(q, to), true
	}
	at.addr = netip.Addr{}
	if to, ok := k.nodePorts[at]; ok && to.has(q.dst.Is4()) && k.hasNodePorts(q) {
		return k.decide(q, portal{to, KindNodePort}), true
	}
	return k.unknownPort(q, "")
}

// unknownPort decides about packets to a port that no Service has. Such a
// packet to the address of a node is not to a Service, even if a Service has
// that address, too.
func (k *KubeProxyServiceProcessor) unknownPort(q asked, why string) (*Decision, bool) {
	ports := k.vips[q.dst]
	if _, isNode := k.ips.GetNodeNameFromIP(q.dst); len(ports) == 0 || isNode && !k.isClusterIP(q.dst) {
		return nil, false
	}
	var have []string
	for _, p := range ports {
		text := fmt.Sprintf("%d/%s", p.number, strings.ToLower(string(p.protocol)))
		if p.name != "" {
			text += " (" + p.name + ")"
		}
		have = append(have, text)
	}
	if why == "" {
		why = "it has " + strings.Join(have, ", ")
	}
	return &Decision{
		Service: ports[0].service, Port: fmt.Sprint(q.Dst.Port()), Kind: k.kindOf(q.dst, ports[0]), NoPort: true, Why: why,
	}, true
}

func (k *KubeProxyServiceProcessor) isClusterIP(addr netip.Addr) bool {
	p := k.vips[addr][0]
	return k.kindOf(addr, p) == KindClusterIP
}

func (k *KubeProxyServiceProcessor) kindOf(addr netip.Addr, p *port) string {
	return k.frontends[frontend{addr, p.protocol, p.number}].kind
}

// hasNodePorts reports whether the node takes node ports on the packet's
// destination.
func (k *KubeProxyServiceProcessor) hasNodePorts(q asked) bool {
	if q.dst.IsLoopback() {
		return q.dst.Is4() && k.config.Mode == ModeIPTables && !k.config.NoLocalhostNodePort && k.inNodePortAddresses(q)
	}
	return slices.Contains(k.ips.GetNodeIPs(q.node), q.dst) && k.inNodePortAddresses(q)
}

// inNodePortAddresses reports whether the destination, which is local to the
// node, is one that node ports are open on. Without ranges of its family those
// are all, except in the mode nftables.
func (k *KubeProxyServiceProcessor) inNodePortAddresses(q asked) bool {
	ranges := k.config.NodePortAddresses
	if len(ranges) == 0 && k.config.Mode == ModeNFTables || slices.Equal(ranges, []string{"primary"}) {
		return k.isPrimary(q)
	}
	ofFamily := false
	for _, r := range prefixes(strings.Join(ranges, ",")) {
		if r.Addr().Is4() == q.dst.Is4() {
			if r.Contains(q.dst) {
				return true
			}
			ofFamily = true
		}
	}
	return !ofFamily
}

// isPrimary reports whether the destination is the node's first address of its
// family.
func (k *KubeProxyServiceProcessor) isPrimary(q asked) bool {
	for _, ip := range k.ips.GetNodeIPs(q.node) {
		if ip.Is4() == q.dst.Is4() {
			return ip == q.dst
		}
	}
	return false
}

// decide decides about a packet to a port of a Service.
func (k *KubeProxyServiceProcessor) decide(q asked, to portal) *Decision {
	d := &Decision{Service: to.service, Port: to.label(), Kind: to.kind, Affinity: to.affinity, port: to.port}
	c := k.choose(to.port, q.dst.Is4(), q.node)
	if !c.any {
		d.NoEndpoints = true
		d.Why = noEndpoints(to.port, q.dst.Is4())
		return d
	}
	if to.kind == KindClusterIP {
		k.internal(q, c, d)
	} else {
		k.external(q, c, d)
	}
	return d
}

// internal decides about a packet to the cluster address.
func (k *KubeProxyServiceProcessor) internal(q asked, c choice, d *Decision) {
	use := c.cluster
	if d.port.internalLocal {
		d.Why = "internalTrafficPolicy is Local"
		use = k.localOr(c)
		if len(use) == 0 {
			k.drop(q, d)
			return
		}
	}
	local, known := k.isLocal(q.src, q.node, q.fromPod)
	k.use(q, use, k.config.MasqueradeAll || known && !local, d)
}

// localOr returns the endpoints for a policy Local. In the mode ipvs the others
// take the place of local ones that do not exist.
func (k *KubeProxyServiceProcessor) localOr(c choice) []*endpoint {
	if len(c.local) == 0 && k.config.Mode == ModeIPVS {
		return c.cluster
	}
	return c.local
}

// external decides about a packet to any other address of the Service.
func (k *KubeProxyServiceProcessor) external(q asked, c choice, d *Decision) {
	if d.Kind == KindLoadBalancer && !k.mayUse(q, d.port) {
		d.Dropped, d.refused = true, true
		d.Why = fmt.Sprintf("loadBalancerSourceRanges %s do not hold the source %s", joined(d.port.sourceRanges), q.src)
		return
	}
	if !d.port.externalLocal {
		k.use(q, c.cluster, true, d)
		return
	}
	podLocal, _ := k.isLocal(q.src, q.node, q.fromPod)
	nodeLocal := k.fromNode(q)
	switch {
	case k.config.Mode == ModeIPVS:
		d.Why = "externalTrafficPolicy is Local"
		k.use(q, k.localOr(c), nodeLocal, d)
	case podLocal:
		d.Why = "externalTrafficPolicy Local does not count for pods"
		k.use(q, c.cluster, false, d)
	case nodeLocal:
		d.Why = "externalTrafficPolicy Local does not count for the node itself"
		k.use(q, c.cluster, true, d)
	case len(c.local) == 0:
		d.Why = "externalTrafficPolicy is Local"
		k.drop(q, d)
	default:
		d.Why = "externalTrafficPolicy is Local"
		k.use(q, c.local, false, d)
	}
}

// fromNode reports whether the packet has a source address of the node itself.
// A packet whose source is yet to be chosen was born there.
func (k *KubeProxyServiceProcessor) fromNode(q asked) bool {
	if !q.src.IsValid() {
		return !q.fromPod
	}
	return q.src.IsLoopback() || slices.Contains(k.ips.GetNodeIPs(q.node), q.src)
}

// mayUse reports whether the source may use the load balancer address.
func (k *KubeProxyServiceProcessor) mayUse(q asked, p *port) bool {
	fromNode, ofFamily := false, false
	nodeIPs := k.ips.GetNodeIPs(q.node)
	for _, r := range p.sourceRanges {
		if r.Addr().Is4() != q.dst.Is4() {
			continue
		}
		if r.Contains(q.src) || r.Bits() == 0 {
			return true
		}
		ofFamily = true
		fromNode = fromNode || slices.ContainsFunc(nodeIPs, r.Contains)
	}
	// The node itself may have the address of the load balancer as its own.
	return !ofFamily || fromNode && slices.Contains(p.addrs.lb, q.src)
}

// use makes the endpoints the backends of d.
func (k *KubeProxyServiceProcessor) use(q asked, endpoints []*endpoint, masquerade bool, d *Decision) {
	for _, e := range endpoints {
		b := Backend{Addr: e.addr, Node: e.node, Pod: e.pod, Masquerade: masquerade || e.addr.Addr() == q.src, Share: 1 / float64(len(endpoints))}
		if pod, ok := k.ips.GetPodFromIP(e.addr.Addr()); ok {
			b.Pod = cmp.Or(b.Pod, pod.Namespace+"/"+pod.Name)
			b.Node = cmp.Or(b.Node, pod.Spec.NodeName)
		}
		if b.Node == "" {
			b.Node, _ = k.ips.GetNodeNameFromIP(e.addr.Addr())
		}
		d.Backends = append(d.Backends, b)
	}
}

// drop says that the policy leaves no endpoint, and where there are some.
func (k *KubeProxyServiceProcessor) drop(q asked, d *Decision) {
	d.Dropped = true
	var nodes []string
	for _, e := range d.port.endpoints {
		if (e.usable() || e.fallback()) && e.node != "" && !slices.Contains(nodes, e.node) {
			nodes = append(nodes, e.node)
		}
	}
	slices.Sort(nodes)
	d.Why += fmt.Sprintf(" and node %s has no endpoint; %s", q.node, several("endpoints are on ", nodes))
}

// noEndpoints says why p has no endpoint of a family.
func noEndpoints(p *port, ipv4 bool) string {
	var unready []string
	other := false
	for _, e := range p.endpoints {
		switch {
		case e.addr.Addr().Is4() != ipv4:
			other = true
		case e.pod != "":
			unready = append(unready, "pod "+e.pod)
		default:
			unready = append(unready, e.addr.String())
		}
	}
	switch {
	case len(unready) > 0:
		return several("not ready: ", unready)
	case other:
		return "all its endpoints are of the other IP family"
	case !p.hasSelector:
		return "it has no selector, and nobody has made endpoints for it"
	}
	return "no pod matches its selector"
}

// several joins up to three names and counts the rest.
func several(prefix string, names []string) string {
	const most = 3
	if len(names) <= most {
		return prefix + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s%s and %d more", prefix, strings.Join(names[:most], ", "), len(names)-most)
}

func joined(ranges []netip.Prefix) string {
	var texts []string
	for _, r := range ranges {
		texts = append(texts, r.String())
	}
	return strings.Join(texts, ", ")
}
