package analyze

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// cross asks what lies between machines what becomes of a transmission, and
// returns what goes on: to where it was sent, to where it is led instead, or to
// the vertex that stands for what lost it.
func (w *walk) cross(t model.Transmission) []model.Transmission {
	if w.nodes.n == nil || !w.betweenMachines(t) {
		return []model.Transmission{t}
	}
	if w.nodes.n.underlay == nil {
		return w.assume(t)
	}
	u := w.nodes.n.underlay
	verdicts := u.Cross(infra.Crossing{Packet: t.Link.Packet, Flow: t.Link.From.Flow,
		From: infra.Machine{Node: w.nodeOf(t.Link.Source.Hop), MAC: w.mac(t.Link.Source.Hop, t.Link.SourceAttribute.Interface)},
		To:   infra.Machine{Node: w.nodeOf(t.NextHop), MAC: w.mac(t.NextHop, t.Link.DestinationAttribute.Interface)}})
	out := make([]model.Transmission, 0, len(verdicts))
	for _, v := range verdicts {
		out = append(out, w.take(t, v, u.Name()))
	}
	return out
}

// crossAll is cross of several transmissions.
func (w *walk) crossAll(sent []model.Transmission) (out []model.Transmission) {
	for _, t := range sent {
		out = append(out, w.cross(t)...)
	}
	return out
}

// betweenMachines reports whether a transmission leaves a machine for another.
func (w *walk) betweenMachines(t model.Transmission) bool {
	return w.machine(t.Link.Source.Hop) != w.machine(t.NextHop)
}

// machine is the vertex of the machine that a vertex lies on.
func (w *walk) machine(hop model.Hop) model.Hop {
	if place, ok := w.nodes.n.atlas.placeOf(hop); ok {
		return w.nodes.n.atlas.hopOf(place.Host())
	}
	return hop
}

// nodeOf is the name of the node that a vertex lies on, "" if it is none.
func (w *walk) nodeOf(hop model.Hop) string {
	if m := w.machine(hop); m.Type == model.NetNodeTypeNode {
		return m.ID
	}
	return ""
}

// mac is the hardware address of a device, "" if it is not known.
func (w *walk) mac(hop model.Hop, dev string) string {
	place, ok := w.nodes.n.atlas.placeOf(hop)
	ns := w.nodes.n.atlas.NetNS(place)
	if !ok || ns == nil {
		return ""
	}
	if d, ok := ns.Device(dev); ok {
		return d.MAC
	}
	return ""
}

// take makes of a transmission what a verdict says. Each verdict has a visit of
// its own to come from, since branches differ by what they leave behind.
func (w *walk) take(t model.Transmission, v infra.Verdict, name string) model.Transmission {
	link, from := *t.Link, *t.Link.From
	from.Output, from.Flow = &link, v.Flow
	link.From = &from
	t.Link = &link
	if v.Disposition != model.Forwarded {
		return w.stopped(t, v, name)
	}
	w.untag(&link.Packet)
	from.Trace = append(slices.Clip(from.Trace), v.Steps...)
	from.Doubts = append(slices.Clip(from.Doubts), v.Doubts...)
	if dst := link.Packet.Dst.Addr(); v.Outside && !w.owns(t.NextHop, dst) {
		t.NextHop, link.Type = model.Hop{Type: model.NetNodeTypeExternal, ID: dst.String()}, model.LinkExternal
		link.DestinationAttribute = model.LinkAttribute{}
		return t
	}
	if hop, dev, ok := w.bystander(v, link.Packet.Dst.Addr()); ok {
		t.NextHop, link.Type = hop, model.LinkInfra
		link.DestinationAttribute, link.Packet.DstMAC = model.LinkAttribute{Interface: dev}, ""
		return t
	}
	if v.To.Node != "" {
		w.arrive(&t, v)
	}
	return t
}

// arrive leads a transmission to the node, and to the device there, at which it
// arrives. Devices may be in the namespaces of pods.
func (w *walk) arrive(t *model.Transmission, v infra.Verdict) {
	meant, elsewhere := t.NextHop, w.nodeOf(t.NextHop) != v.To.Node
	hop, dev := w.device(v.To, t.Link.Packet.Dst.Addr())
	switch {
	case !elsewhere && (dev == "" || strings.EqualFold(w.mac(t.NextHop, t.Link.DestinationAttribute.Interface), v.To.MAC)):
		return
	case dev == "":
		hop, dev = w.own(v.To.Node)
	}
	t.NextHop, t.Link.Type = hop, model.LinkInfra
	t.Link.DestinationAttribute, t.Link.Packet.DstMAC = model.LinkAttribute{Interface: dev}, ""
	if !v.Diverted {
		return
	}
	s, from := suspicionOf(v), t.Link.Source
	s.On = from.Hop
	from.Report(s)
	from.Meant = append(from.Meant, model.Transmission{NextHop: meant})
	w.found = append(w.found, s)
}

// assume brings a packet that routers take, of which the bundle shows nothing, to
// who has its address: what lies between machines is taken to be good. Pods count
// only where the network between machines knows their addresses.
func (w *walk) assume(t model.Transmission) []model.Transmission {
	n := w.nodes.n
	if t.NextHop.Type != model.NetNodeTypeExternal || slices.Contains(n.snap.ExternalNames(), t.NextHop.ID) {
		return []model.Transmission{t}
	}
	dst := t.Link.Packet.Dst.Addr()
	end, ok := w.attached(dst)
	if place, owned := n.atlas.Owner(dst); !ok && owned && place != w.placeOf(t.Link.Source.Hop) {
		if ns := n.atlas.NetNS(place); ns != nil {
			dev, _ := ns.FIB.DeviceOwning(dst)
			end, ok = topology.End{Place: place, Dev: dev.Name}, true
		}
	}
	v := infra.Verdict{Disposition: model.Dropped, Flow: t.Link.From.Flow}
	doubt, doubted := w.foreign(t)
	if !doubted {
		if ok {
			w.deliver(&t, end)
		}
		return []model.Transmission{t}
	}
	v.Doubts, v.Reason = []model.Doubt{doubt}, doubt.What+" is not known"
	lost := w.take(t, v, "network")
	v.Disposition = model.Forwarded
	if t = w.take(t, v, "network"); ok {
		w.deliver(&t, end)
	}
	return []model.Transmission{lost, t}
}

// foreign is the doubt about a packet of a pod that leaves its node by another device
// than packets to the pod come by: clouds take packets only from whoever has their
// source address.
func (w *walk) foreign(t model.Transmission) (model.Doubt, bool) {
	src := t.Link.Packet.Src.Addr()
	pod, ok := w.nodes.n.ips.GetPodFromIP(src)
	if !ok || pod.Spec.HostNetwork || pod.Spec.NodeName != w.nodeOf(t.Link.Source.Hop) {
		return model.Doubt{}, false
	}
	p, ok := w.nodes.n.of(pod.Spec.NodeName).(plugin.Underlaid)
	if !ok {
		return model.Doubt{}, false
	}
	place, _ := w.nodes.n.atlas.placeOf(t.Link.Source.Hop)
	dev := t.Link.SourceAttribute.Interface
	if end, known := p.Attached(pod); known && (end == (topology.End{Place: place, Dev: dev}) || w.vlanOf(src, t.Link.Packet.Tags[0])) {
		return model.Doubt{}, false
	}
	return model.Doubt{What: fmt.Sprintf("whether the network between machines takes packets of %s, an address of pod %s/%s, from %s of %s", src, pod.Namespace, pod.Name, dev, t.Link.Source.Hop)}, true
}

// attached is the device by which packets of other machines come to the pod that has
// an address, where its network tells.
func (w *walk) attached(ip netip.Addr) (topology.End, bool) {
	pod, ok := w.nodes.n.ips.GetPodFromIP(ip)
	if !ok || pod.Spec.HostNetwork {
		return topology.End{}, false
	}
	p, ok := w.nodes.n.of(pod.Spec.NodeName).(plugin.Underlaid)
	if !ok {
		return topology.End{}, false
	}
	return p.Attached(pod)
}

// onVLAN is the device by which packets come to the pod that has an address, if
// that is a VLAN of a device which many share: what lies between machines tells
// them apart by the tag, and takes it off.
func (w *walk) onVLAN(ip netip.Addr) (end topology.End, dev *nodedump.Interface, ok bool) {
	if end, ok = w.attached(ip); !ok {
		return end, nil, false
	}
	if ns := w.nodes.n.atlas.NetNS(end.Place); ns != nil {
		dev, ok = ns.Device(end.Dev)
	}
	return end, dev, ok && dev != nil && dev.Kind == "vlan" && dev.VLAN != nil
}

// vlanOf reports whether a tag is that of the VLAN of the pod that has an address.
func (w *walk) vlanOf(ip netip.Addr, tag model.Tag) bool {
	_, dev, ok := w.onVLAN(ip)
	return ok && tag.Present && int(tag.ID) == dev.VLAN.ID
}

// untag takes the tag of its sender's VLAN off a packet.
func (w *walk) untag(p *model.Packet) {
	if w.vlanOf(p.Src.Addr(), p.Tags[0]) {
		p.Tags = [2]model.Tag{}
	}
}

// deliver lets a transmission arrive at a device.
func (w *walk) deliver(t *model.Transmission, end topology.End) {
	link := *t.Link
	w.untag(&link.Packet)
	link.Type, link.DestinationAttribute, link.Packet.DstMAC = model.LinkInfra, model.LinkAttribute{Interface: end.Dev}, ""
	t.NextHop, t.Link = w.nodes.n.atlas.hopOf(end.Place), &link
}

// placeOf is the namespace of the machine that a vertex lies on.
func (w *walk) placeOf(hop model.Hop) topology.Place {
	place, _ := w.nodes.n.atlas.placeOf(w.machine(hop))
	return place
}

// bystander is the machine outside the cluster that a packet comes to by a
// device of its own, where the bundle has that machine.
func (w *walk) bystander(v infra.Verdict, dst netip.Addr) (hop model.Hop, dev string, ok bool) {
	place, known := w.nodes.n.atlas.Owner(dst)
	ns := w.nodes.n.atlas.NetNS(place)
	if !known || ns == nil || v.To.Node != "" || v.To.MAC == "" {
		return hop, "", false
	}
	if d, owns := ns.FIB.DeviceOwning(dst); owns && strings.EqualFold(d.MAC, v.To.MAC) {
		return w.nodes.n.atlas.hopOf(place), d.Name, true
	}
	return hop, "", false
}

// owns reports whether an address is one of a machine's.
func (w *walk) owns(hop model.Hop, ip netip.Addr) bool {
	place, ok := w.nodes.n.atlas.Owner(ip)
	return ok && w.nodes.n.atlas.hopOf(place) == hop
}

// device finds the device of a node with a hardware address, or that of the pod
// on it which has the address dst; the zero Hop if none has it.
func (w *walk) device(to infra.Machine, dst netip.Addr) (model.Hop, string) {
	atlas := w.nodes.n.atlas
	host := topology.Place{Base: snapshot.NodeBase(to.Node, false)}.Host()
	places := []topology.Place{host}
	if pod, ok := atlas.Pod(dst); ok && pod.Host() == host {
		places = append(places, pod)
	}
	for _, place := range places {
		ns := atlas.NetNS(place)
		if ns == nil || to.MAC == "" {
			continue
		}
		for i := range ns.Info.Interfaces {
			if dev := &ns.Info.Interfaces[i]; strings.EqualFold(dev.MAC, to.MAC) && dev.Kind != "vlan" && dev.Master == 0 {
				return atlas.hopOf(place), dev.Name
			}
		}
	}
	if end, _, ok := w.onVLAN(dst); ok && end.Place.Host() == host {
		return atlas.hopOf(end.Place), end.Dev
	}
	return model.Hop{}, ""
}

// own is a node, and its device with the node's own address, "" if there is none.
func (w *walk) own(node string) (model.Hop, string) {
	hop := model.Hop{Type: model.NetNodeTypeNode, ID: node}
	place, _ := w.nodes.n.atlas.placeOf(hop)
	if ns := w.nodes.n.atlas.NetNS(place); ns != nil {
		for _, ip := range w.nodes.n.ips.GetNodeIPs(node) {
			if dev, ok := ns.FIB.DeviceOwning(ip); ok {
				return hop, dev.Name
			}
		}
	}
	return hop, ""
}

// stopped sends a transmission to the vertex that stands for what lies between
// the machines, where it ends.
func (w *walk) stopped(t model.Transmission, v infra.Verdict, name string) model.Transmission {
	hop := model.Hop{Type: model.NetNodeTypeInfra, ID: name}
	b, ok := w.nodes.nodes[hop].(*between)
	if !ok {
		b = &between{vertex: &model.NetNode{Hop: hop}, fate: map[*model.Link]infra.Verdict{}}
		w.nodes.nodes[hop] = b
		w.nodes.order = append(w.nodes.order, b.vertex)
	}
	b.fate[t.Link] = v
	if meant := t.NextHop; len(v.Doubts) == 0 && meant.Type == model.NetNodeTypeNode && !slices.ContainsFunc(b.vertex.Meant, func(m model.Transmission) bool { return m.NextHop == meant }) {
		b.vertex.Meant = append(b.vertex.Meant, model.Transmission{NextHop: meant})
	}
	t.NextHop, t.Link.DestinationAttribute = hop, model.LinkAttribute{}
	return t
}

// A between is the vertex of what lies between machines. Packets come to it only
// to end there.
type between struct {
	vertex *model.NetNode
	fate   map[*model.Link]infra.Verdict
}

// Node implements [model.NetNodeAction].
func (b *between) Node() *model.NetNode { return b.vertex }

// Send implements [model.NetNodeAction]: nothing begins here.
func (b *between) Send(model.Endpoint, model.Protocol) ([]model.Transmission, error) { return nil, nil }

// Receive implements [model.NetNodeAction].
func (b *between) Receive(upstream *model.Link) ([]model.Transmission, error) {
	v := b.fate[upstream]
	served := upstream.Packet.Innermost()
	b.vertex.Visits = append(b.vertex.Visits, &model.Visit{Node: b.vertex, Parent: upstream.From, Input: upstream, Flow: v.Flow, Trace: v.Steps,
		Disposition: v.Disposition, Reason: v.Reason, Evidence: v.Evidence, Doubts: v.Doubts, Share: 1, Served: served})
	if v.Code != "" {
		b.vertex.Report(suspicionOf(v))
	}
	return nil, nil
}

// suspicionOf is what a verdict finds wrong.
func suspicionOf(v infra.Verdict) model.Suspicion {
	return model.Suspicion{Level: model.SuspicionLevelFatal, Code: v.Code, Message: v.Reason, Evidence: v.Evidence, Remedy: v.Remedy}
}

// crossed reports whether a conversation went from one machine to another.
func (c *conversation) crossed() bool {
	return slices.ContainsFunc(c.walk.path.Links, func(l *model.Link) bool {
		return !l.Intended && c.walk.betweenMachines(model.Transmission{NextHop: l.Destination.Hop, Link: l})
	})
}

var _ model.NetNodeAction = (*between)(nil)
var _ Provider = provider{}
