package plugin

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/topology"
)

// A BasePluginNode turns a [SimplePluginNode] into a [model.NetNodeAction]. It
// lets the namespace do what it does, asks the SimplePluginNode by the type of
// the packet's destination what was meant, and reports how the two differ.
type BasePluginNode struct {
	*Reality
	IPCache *k8s.IPCache
	SimplePluginNode

	// Findings is where the SimplePluginNode reports what it finds wrong,
	// while it is asked. Its suspicions are reported once it is known whether
	// they matter to the packet.
	Findings *Findings
}

// Findings collects suspicions.
type Findings struct{ list []model.Suspicion }

// Report implements [assertions.Reporter].
func (f *Findings) Report(s model.Suspicion) { f.list = append(f.list, s) }

// take empties f.
func (f *Findings) take() []model.Suspicion {
	list := f.list
	f.list = nil
	return list
}

var _ assertions.Reporter = (*Findings)(nil)

// Send implements [model.NetNodeAction].
func (n *BasePluginNode) Send(dst model.Endpoint, protocol model.Protocol) ([]model.Transmission, error) {
	return n.compare(nil, n.born(Opening(dst, protocol), nil))
}

// Receive implements [model.NetNodeAction].
func (n *BasePluginNode) Receive(upstream *model.Link) ([]model.Transmission, error) {
	return n.compare(upstream, n.arrived(upstream))
}

// Respond implements [model.Responder].
func (n *BasePluginNode) Respond(v *model.Visit) ([]model.Transmission, error) {
	return n.compare(nil, n.answered(v))
}

// compare asks, for each way that the packet took, what was meant, and reports
// what became of it instead.
func (n *BasePluginNode) compare(upstream *model.Link, ways []passage) ([]model.Transmission, error) {
	out := transmissions(ways)
	alike := agree(ways)
	for _, w := range ways {
		w.alike = alike
		p := innermost(w)
		if p.Kind == model.KindError || passes(upstream, w) {
			n.judge(w, nil, false)
			continue
		}
		meant, err := n.dispatch(upstream, w.visit, p)
		if err != nil && !errors.Is(err, ErrNoOpinion) {
			return out, fmt.Errorf("%s: %w", n.Vertex.Hop, err)
		}
		n.judge(w, meant, err == nil)
	}
	return out, nil
}

// passes reports whether a frame came from a device that stands on one of the node's,
// or went up to one, and the node's routes were not asked: no network means anything
// about it there.
func passes(upstream *model.Link, w passage) bool {
	t := w.transmission
	return t != nil && lastRoute(w.visit.Trace) == (model.Step{}) && (upstream != nil && upstream.Type == model.LinkLocal || t.Link.Type == model.LinkLocal)
}

// innermost is the packet as the people at its ends know it.
func innermost(w passage) model.Packet {
	p := w.visit.Born
	if w.visit.Input != nil {
		p = w.visit.Input.Packet
	}
	return p.Innermost()
}

// dispatch asks the SimplePluginNode by the type of the destination. The
// destination of an answer that conntrack translates back is its receiver.
func (n *BasePluginNode) dispatch(upstream *model.Link, v *model.Visit, p model.Packet) ([]model.Transmission, error) {
	link := &model.Link{Source: n.Vertex, Packet: p, From: v}
	if upstream != nil {
		link.Source, link.DestinationAttribute = upstream.Source, upstream.DestinationAttribute
	}
	to := n.receiver(v, p)
	dst := n.IPCache.Endpoint(to.Addr(), to.Port())
	if to == p.Dst && p.Kind == model.KindOpen {
		if service, ok := n.service(p); ok {
			return n.ToService(link, dst, p.Protocol, service)
		}
	}
	if n.NS.FIB.IsLocal(to.Addr()) {
		return n.Serve(link, dst, p.Protocol)
	}
	if pod, ok := n.IPCache.GetPodFromIP(to.Addr()); ok {
		return n.ToPod(link, dst, p.Protocol, pod)
	}
	if node, ok := n.IPCache.GetNodeFromIP(to.Addr()); ok {
		return n.ToHost(link, dst, p.Protocol, node)
	}
	return n.ToExternal(link, dst, p.Protocol)
}

// receiver is the destination of p once conntrack has translated it back.
func (n *BasePluginNode) receiver(v *model.Visit, p model.Packet) netip.AddrPort {
	for _, c := range v.Flow.Conns(n.NS.ID) {
		if c.Reply == p.Tuple() && c.Reply.Invert() != c.Original {
			return c.Original.Src
		}
	}
	return p.Dst
}

// service finds the Service that p goes to. It is nil if only its name is
// known.
func (n *BasePluginNode) service(p model.Packet) (*corev1.Service, bool) {
	if n.env.Services == nil {
		return nil, false
	}
	d, ok := n.env.Services.Process(p, n.Vertex.ID, n.fromPod(p))
	if !ok || d == nil {
		return nil, false
	}
	namespace, name, _ := strings.Cut(d.Service, "/")
	service, _ := n.IPCache.GetServiceFromName(namespace, name)
	return service, true
}

func (n *BasePluginNode) fromPod(p model.Packet) bool {
	if !p.Src.Addr().IsValid() {
		return false
	}
	_, ok := n.IPCache.GetPodFromIP(p.Src.Addr())
	return ok
}

// judge reports the suspicions of the plugin and of the namespace in the order
// in which they explain what happened. opinion says whether the plugin means
// anything about the packet.
func (n *BasePluginNode) judge(w passage, meant []model.Transmission, opinion bool) {
	findings := n.Findings.take()
	diverged := opinion && astray(w, meant) && !n.tunnelled(w, meant)
	level := model.SuspicionLevelWarning
	if diverged {
		level = model.SuspicionLevelFatal
	}
	for i := range findings {
		if findings[i].Level == model.SuspicionLevelCritical {
			findings[i].Level = level
		}
		findings[i].Level = doubted(w, findings[i].Level)
	}
	asked := func(s model.Suspicion) bool { return s.Code == "service/no-port" } // no fault of the network's
	n.reportAll(findings, func(s model.Suspicion) bool { return !asked(s) })
	n.reportEnd(w, findings)
	n.reportAll(findings, asked)
	if diverged {
		n.Vertex.Meant = append(n.Vertex.Meant, meant...)
	}
	if diverged && len(findings) == 0 && w.transmission != nil {
		n.reportDetour(w, meant)
	}
	n.reportNotReady()
}

func (r *Reality) reportAll(list []model.Suspicion, which func(model.Suspicion) bool) {
	for _, s := range list {
		if which(s) {
			r.Vertex.Report(s)
		}
	}
}

// reportNotReady tells that the cluster has given the node up.
func (n *BasePluginNode) reportNotReady() {
	node, ok := n.IPCache.GetNodeFromName(n.Vertex.ID)
	if !ok {
		return
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			n.Vertex.Report(model.Suspicion{Level: model.SuspicionLevelWarning, Code: "cluster/node-not-ready", Evidence: "cluster/nodes.yaml",
				Message: fmt.Sprintf("node %s is not ready: %s", node.Name, c.Message)})
		}
	}
}

// astray reports whether the packet went, or was lost on its way, where the
// plugin did not mean it to. What a rule or a sysctl did to it is no matter of
// the network's wiring.
func astray(w passage, meant []model.Transmission) bool {
	o := w.outcome
	if o.Disposition == model.Unknown || len(o.Doubts) > 0 {
		return false
	}
	if w.transmission == nil {
		return wiring(o.Code)
	}
	return !slices.ContainsFunc(meant, func(t model.Transmission) bool {
		if t.Link != nil && t.Link.SourceAttribute.Interface != "" {
			return t.Link.SourceAttribute.Interface == o.Dev
		}
		return t.NextHop == w.transmission.NextHop
	})
}

// tunnelled reports whether the packet left inside of another one that goes to
// the node that it was meant to: routers may stand between.
func (n *BasePluginNode) tunnelled(w passage, meant []model.Transmission) bool {
	if w.transmission == nil || w.transmission.Link.Packet.Encap == nil {
		return false
	}
	node, ok := n.IPCache.GetNodeNameFromIP(w.transmission.Link.Packet.Dst.Addr())
	return ok && slices.ContainsFunc(meant, func(t model.Transmission) bool {
		return t.NextHop == model.Hop{Type: model.NetNodeTypeNode, ID: node}
	})
}

// wiring reports whether a code says that the way itself is broken.
func wiring(code string) bool {
	for _, prefix := range []string{"neigh/", "fdb/", "route/", "link/", "bridge/"} {
		if strings.HasPrefix(code, prefix) {
			return true
		}
	}
	return false
}

// reportDetour tells that the packet takes a way that nobody explains.
func (n *BasePluginNode) reportDetour(w passage, meant []model.Transmission) {
	step := lastRoute(w.visit.Trace)
	want := "keep it here"
	if len(meant) > 0 {
		want = "send it to " + meant[0].NextHop.String()
	}
	n.Vertex.Report(model.Suspicion{Level: model.SuspicionLevelFatal, Code: "route/diverted", Evidence: step.Evidence,
		Message: fmt.Sprintf("the packet goes to %s (%s); the network means to %s", w.transmission.NextHop, step.Rule, want)})
}

func lastRoute(trace []model.Step) (step model.Step) {
	for _, s := range trace {
		if s.Where == "route" {
			step = s
		}
	}
	return step
}

// reportEnd reports what ended the packet's journey here, unless a finding has
// said it better.
func (r *Reality) reportEnd(w passage, said []model.Suspicion) {
	for _, s := range w.outcome.Noted {
		r.Vertex.Report(s)
	}
	o := w.outcome
	if o.Code == "" {
		return
	}
	if o.Code == "link/down" && w.visit.Input != nil {
		r.reportBelow(w, w.visit.Input.DestinationAttribute.Interface)
	}
	if slices.ContainsFunc(said, func(s model.Suspicion) bool { return s.Code == o.Code }) {
		return
	}
	switch o.Code {
	case "neigh/missing":
		r.reportSilent(&o)
	case "neigh/wrong":
		if r.reportMisled(w.visit) {
			return
		}
	}
	r.Vertex.Report(model.Suspicion{Level: doubted(w, model.SuspicionLevelFatal), Code: o.Code, Message: o.Reason, Evidence: o.Evidence, Remedy: o.Remedy})
}

// agree reports whether the ways differ by one thing that is not known, and
// all lead to the same: then it does not matter.
func agree(ways []passage) bool {
	if len(ways) < 2 {
		return false
	}
	first := ways[0].outcome
	return !slices.ContainsFunc(ways, func(w passage) bool {
		o := w.outcome
		return len(o.Doubts) != 1 || o.Doubts[0] != first.Doubts[0] || o.Share != 1 || o.Disposition != first.Disposition ||
			o.Dev != first.Dev || o.Packet.String() != first.Packet.String()
	})
}

// doubted is the level of a suspicion about a way that the packet may not take
// at all: what is not known is no cause.
func doubted(w passage, level model.SuspicionLevel) model.SuspicionLevel {
	if len(w.outcome.Doubts) > 0 && !w.alike {
		return min(level, model.SuspicionLevelWarning)
	}
	return level
}

// reportSilent tells why a machine of the bundle does not answer for its
// address.
func (r *Reality) reportSilent(o *netstack.Outcome) {
	ip := o.NextHop
	if at, lost, ok := r.env.Topology.Silenced(topology.End{Place: r.Place, Dev: o.Route.Dev}, ip, o.Packet); ok {
		r.Vertex.Report(model.Suspicion{Level: model.SuspicionLevelFatal, Code: lost.Code, On: r.env.HopOf(at), Evidence: lost.Evidence, Remedy: lost.Remedy,
			Message: fmt.Sprintf("of the question who has %s, and its answer, which are ICMPv6 of types 135 and 136: %s", ip, lost.Reason)})
		return
	}
	place, ok := r.env.Atlas.Owner(ip)
	ns := r.env.Atlas.NetNS(place)
	if !ok || ns == nil || place == r.Place {
		return
	}
	if dev, ok := ns.FIB.DeviceOwning(ip); ok {
		assertions.NewNetstackAssertion(r.Vertex, ns, model.SuspicionLevelFatal).In(ns, r.env.HopOf(place)).AssertDevice(dev.Name, "the device with "+ip.String())
	}
}

// reportBelow tells that the device that a device stands on is down: a VLAN goes down
// with it (vlan_device_event), an ipvlan stays up, and nothing leaves by it.
func (r *Reality) reportBelow(w passage, name string) {
	dev, ok := r.NS.Device(name)
	if !ok {
		return
	}
	end, ok := r.env.Topology.Below(r.Place, dev)
	ns := r.env.Atlas.NetNS(end.Place)
	if !ok || ns == nil {
		return
	}
	if below, ok := ns.Device(end.Dev); ok && !netstack.Up(below) {
		r.Vertex.Report(model.Suspicion{Level: doubted(w, model.SuspicionLevelFatal), Code: "link/down", On: r.env.HopOf(end.Place), Evidence: ns.DeviceEvidence(below), Remedy: "ip link set " + below.Name + " up",
			Message: fmt.Sprintf("device %s is down, which %s stands on", below.Name, dev.Name)})
	}
}

// reportMisled blames the neighbour entry of the sender for a frame that came
// in with an address that nobody has.
func (r *Reality) reportMisled(v *model.Visit) bool {
	if v.Input == nil || v.Input.Packet.DstMAC == "" || v.Served.DstMAC != v.Input.Packet.DstMAC {
		return false
	}
	for _, s := range slices.Backward(v.Input.From.Trace) {
		if s.Where != "neigh" {
			continue
		}
		if s.Evidence == "" || !strings.Contains(s.Rule, v.Input.Packet.DstMAC) {
			return false
		}
		r.Vertex.Report(model.Suspicion{Level: model.SuspicionLevelFatal, Code: "neigh/wrong", On: v.Input.Source.Hop, Evidence: s.Evidence,
			Message: fmt.Sprintf("the neighbour entry %s leads to an address that nobody there has", s.Rule), Remedy: "ip neigh del " + strings.Join(strings.Fields(s.Rule)[:3], " ")})
		return true
	}
	return false
}
