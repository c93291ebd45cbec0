package plugin

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// A Host is the part of a node that every plugin shares: it is a
// [SimplePluginNode], given a [Fabric].
type Host struct {
	Fabric
	Info     *k8s.NodeInfo
	reality  *Reality
	findings *Findings
}

// NewHost returns the node of a network: the kit's BasePluginNode on a Host
// that differs from others by its fabric.
func NewHost(env Env, node *k8s.NodeInfo, fabric Fabric) (model.NetNodeAction, error) {
	return NewNode(env, node, fabric, func(h *Host) SimplePluginNode { return h })
}

// NewNode returns the node of a network that differs from others by more than
// its fabric: as is makes of the Host that NewHost would take.
func NewNode(env Env, node *k8s.NodeInfo, fabric Fabric, as func(*Host) SimplePluginNode) (model.NetNodeAction, error) {
	hop := model.Hop{Type: model.NetNodeTypeNode, ID: node.NodeName}
	if node.Info == nil {
		return NewAbsent(hop, node.Missing), nil
	}
	place := PlaceOf(node.NodeName)
	ns := env.Atlas.NetNS(place)
	if ns == nil {
		return NewAbsent(hop, node.Missing), nil
	}
	findings := &Findings{}
	reality := NewReality(env, hop, place, ns)
	host := &Host{Fabric: fabric, Info: node, reality: reality, findings: findings}
	return &BasePluginNode{Reality: reality, IPCache: env.IPCache, SimplePluginNode: as(host), Findings: findings}, nil
}

// assert returns assertions on the node's namespace.
func (h *Host) assert() *assertions.NetstackAssertion {
	return assertions.NewNetstackAssertion(h.findings, h.reality.NS, model.SuspicionLevelCritical)
}

// ToPod implements [SimplePluginNode].
func (h *Host) ToPod(upstream *model.Link, dst model.Endpoint, _ model.Protocol, pod *corev1.Pod) ([]model.Transmission, error) {
	h.Arrival(h.assert(), upstream)
	leaver, leaves := h.Fabric.(Leaver)
	if pod.Spec.NodeName == h.Info.NodeName && !(leaves && leaver.Apart(pod)) {
		h.LocalPod(h.assert(), pod)
	} else if leaves {
		return h.leave(leaver, upstream, dst.IP)
	} else if node, ok := h.reality.env.IPCache.GetNodeFromName(pod.Spec.NodeName); ok {
		before := len(h.findings.list)
		h.Remote(h.assert(), dst.IP, node)
		if len(h.findings.list) == before && h.byRouter(dst.IP) {
			return nil, ErrNoOpinion
		}
	}
	return toward(h.nextFor(pod)), nil
}

// byRouter reports whether the main table hands packets to ip to somebody who is
// no node: a router, which knows where the nodes are.
func (h *Host) byRouter(ip netip.Addr) bool {
	main := h.reality.NS.FIB.InTable(route.TableMain, route.Query{Dst: ip})
	_, node := h.reality.env.IPCache.GetNodeNameFromIP(main.Via)
	return main.Via.IsValid() && !node
}

// ToHost implements [SimplePluginNode].
func (h *Host) ToHost(upstream *model.Link, dst model.Endpoint, _ model.Protocol, node *corev1.Node) ([]model.Transmission, error) {
	if leaver, ok := h.Fabric.(Leaver); ok {
		return h.leave(leaver, upstream, dst.IP)
	}
	before := len(h.findings.list)
	h.Remote(h.assert(), dst.IP, node)
	if main := h.reality.NS.FIB.InTable(route.TableMain, route.Query{Dst: dst.IP}); main.Via.IsValid() && len(h.findings.list) == before {
		return nil, ErrNoOpinion // routers stand between
	}
	return toward(model.Hop{Type: model.NetNodeTypeNode, ID: node.Name}), nil
}

// ToService implements [SimplePluginNode]: the packet should go on to one of
// the backends, as a packet to that backend would.
func (h *Host) ToService(upstream *model.Link, _ model.Endpoint, protocol model.Protocol, _ *corev1.Service) ([]model.Transmission, error) {
	env, p := h.reality.env, upstream.Packet
	_, fromPod := env.IPCache.GetPodFromIP(p.Src.Addr())
	want, ok := env.Services.Process(p, h.Info.NodeName, fromPod && p.Src.Addr().IsValid())
	if !ok {
		return nil, ErrNoOpinion
	}
	got, seen := translatedTo(upstream.From, h.reality.NS.ID, p)
	if seen {
		for _, s := range env.Services.Validate(p, want, got, h.Info.NodeName) {
			if s.Code != "service/not-translated" || !endedEarly(upstream.From) {
				h.findings.Report(s)
			}
		}
		h.reportUnmasked(upstream, want, got)
		p.Dst = got.Dst
		h.assertMasquerade(upstream, p)
	}
	if len(want.Backends) == 0 {
		return nil, ErrNoOpinion
	}
	var all []model.Transmission
	for _, b := range want.Backends {
		ts, err := h.toBackend(upstream, protocol, b.Addr.Addr(), got)
		if err != nil {
			return nil, err
		}
		all = append(all, ts...)
	}
	return all, nil
}

// Serve implements [SimplePluginNode].
func (h *Host) Serve(*model.Link, model.Endpoint, model.Protocol) ([]model.Transmission, error) {
	return nil, ErrNoOpinion
}

// ToExternal implements [SimplePluginNode]: packets out of the cluster go as
// the main table says, masqueraded if a pod sent them.
func (h *Host) ToExternal(upstream *model.Link, dst model.Endpoint, _ model.Protocol) ([]model.Transmission, error) {
	h.assertMasquerade(upstream, upstream.Packet)
	if leaver, ok := h.Fabric.(Leaver); ok {
		if ts, err := h.leave(leaver, upstream, dst.IP); err == nil {
			return ts, nil
		}
	}
	q := route.Query{Dst: dst.IP}
	if upstream.Source != h.reality.Vertex {
		q.Src, q.IIf = upstream.Packet.Src.Addr(), upstream.DestinationAttribute.Interface
	}
	main, ok := h.assert().AssertMainTable(q)
	if ok || main.Type != route.TypeUnicast {
		return nil, ErrNoOpinion
	}
	hop := dst.IP
	if main.Via.IsValid() {
		hop = main.Via
	}
	place, known := h.reality.env.Atlas.Owner(hop)
	if !known {
		return nil, ErrNoOpinion
	}
	return toward(h.reality.env.HopOf(place)), nil
}

// assertMasquerade asserts that a pod's packet leaves with the node's address,
// where p, which it is after its destination was translated, should.
func (h *Host) assertMasquerade(upstream *model.Link, p model.Packet) {
	_, fromPod := h.reality.env.IPCache.GetPodFromIP(p.Src.Addr())
	if !fromPod || p.Kind != model.KindOpen || !h.Masquerades(p) || upstream.From.Output == nil {
		return
	}
	if left := upstream.From.Output.Packet; left.Src == p.Src {
		h.findings.Report(model.Suspicion{Level: model.SuspicionLevelCritical, Code: "netfilter/masquerade-missing", Evidence: rulesOf(h.Fabric, h.reality.NS),
			Message: fmt.Sprintf("the packet to %s leaves with the pod's address %s", p.Dst.Addr(), p.Src.Addr())})
	}
}

// leave asks the fabric about a packet that is to leave the node.
func (h *Host) leave(leaver Leaver, upstream *model.Link, dst netip.Addr) ([]model.Transmission, error) {
	if ts := leaver.Leave(h.assert(), upstream.Packet, dst); len(ts) > 0 {
		return ts, nil
	}
	return nil, ErrNoOpinion
}

func toward(hop model.Hop) []model.Transmission { return []model.Transmission{{NextHop: hop}} }

// toBackend is about a packet to a backend of a Service, after translation.
func (h *Host) toBackend(upstream *model.Link, protocol model.Protocol, backend netip.Addr, got model.Packet) ([]model.Transmission, error) {
	cache := h.reality.env.IPCache
	dst := cache.Endpoint(backend, 0)
	if h.reality.NS.FIB.IsLocal(backend) {
		return nil, nil
	}
	if pod, ok := cache.GetPodFromIP(backend); ok {
		if got.Dst.Addr() != backend { // another branch's: only where it should go
			return toward(h.nextFor(pod)), nil
		}
		return h.ToPod(upstream, dst, protocol, pod)
	}
	if node, ok := cache.GetNodeFromIP(backend); ok {
		return h.ToHost(upstream, dst, protocol, node)
	}
	return nil, ErrNoOpinion
}

// nextFor is where a packet to a pod goes next.
func (h *Host) nextFor(pod *corev1.Pod) model.Hop {
	if pod.Spec.NodeName == h.Info.NodeName {
		return model.PodHop(pod.Namespace, pod.Name)
	}
	return model.Hop{Type: model.NetNodeTypeNode, ID: pod.Spec.NodeName}
}

// translatedTo is what the namespace made of p before it routed it: the
// entries that the visit left behind tell, and for a packet that ended before
// it was entered, the packet as it ended.
func translatedTo(v *model.Visit, netns string, p model.Packet) (model.Packet, bool) {
	got := p
	for _, c := range v.Flow.Conns(netns) {
		if c.Original.Dst == p.Dst && c.Original.Protocol == p.Protocol {
			got.Dst, got.Src = c.Reply.Src, c.Reply.Dst
			return got, true
		}
	}
	if v.LocalError && v.Disposition == model.NoRoute {
		return got, false // no rule saw it
	}
	if v.Served.Protocol == p.Protocol && v.Served.Encap == nil {
		got.Dst, got.Src = v.Served.Dst, v.Served.Src
		return got, true
	}
	return got, false
}
