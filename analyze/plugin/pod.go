package plugin

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A SimpleVEthPod is a pod with one veth to its node, over which all its
// traffic goes. With [Leads] of its own it is a pod of any devices.
type SimpleVEthPod struct {
	*Reality
	pod      *k8s.Pod
	leads    Leads
	uplink   Uplink
	findings *Findings
}

// Leads asserts, in a pod's own namespace, what a packet to dst needs to leave the
// pod, and returns the device that it should leave by.
type Leads func(a *assertions.NetstackAssertion, dst netip.Addr) (dev string)

// An Uplink asserts what a packet from a pod to dst needs on the node's side of
// the pod's veth. It is asked when nobody answers there; nil asserts nothing.
type Uplink func(a *assertions.NetstackAssertion, pod *k8s.Pod, dst netip.Addr)

// NewSimpleVEthPod returns the vertex of a pod whose device to the node is
// called ifName.
func NewSimpleVEthPod(env Env, pod *k8s.Pod, ifName string, uplink Uplink) (model.NetNodeAction, error) {
	return NewGuidedPod(env, pod, ByDefault(ifName), uplink)
}

// NewGuidedPod returns the vertex of a pod whose packets should leave it as leads
// says.
func NewGuidedPod(env Env, pod *k8s.Pod, leads Leads, uplink Uplink) (model.NetNodeAction, error) {
	hop := model.PodHop(pod.Namespace, pod.PodName)
	place := topology.Place{Base: PlaceOf(pod.NodeName).Base, Netns: pod.Netns}
	if pod.Info == nil {
		return NewAbsent(hop, pod.Missing), nil
	}
	ns := env.Atlas.NetNS(place)
	if ns == nil {
		return NewAbsent(hop, pod.Missing), nil
	}
	return &SimpleVEthPod{Reality: NewReality(env, hop, place, ns), pod: pod, leads: leads, uplink: uplink, findings: &Findings{}}, nil
}

// Send implements [model.NetNodeAction].
func (s *SimpleVEthPod) Send(dst model.Endpoint, protocol model.Protocol) ([]model.Transmission, error) {
	return s.left(s.born(Opening(dst, protocol), nil)), nil
}

// Receive implements [model.NetNodeAction].
func (s *SimpleVEthPod) Receive(upstream *model.Link) ([]model.Transmission, error) {
	ways := s.arrived(upstream)
	for _, w := range ways {
		s.reportEnd(w, nil)
	}
	return transmissions(ways), nil
}

// Respond implements [model.Responder].
func (s *SimpleVEthPod) Respond(v *model.Visit) ([]model.Transmission, error) {
	return s.left(s.answered(v)), nil
}

// left compares how packets left the pod with how they should.
func (s *SimpleVEthPod) left(ways []passage) []model.Transmission {
	for _, w := range ways {
		if stays(w) {
			s.reportEnd(w, nil)
			continue
		}
		dst := w.visit.Born.Dst.Addr()
		dev := s.leads(assertions.NewNetstackAssertion(s.findings, s.NS, model.SuspicionLevelWarning), dst)
		if w.transmission != nil && w.outcome.Dev != dev || w.transmission == nil && wiring(w.outcome.Code) {
			for i := range s.findings.list {
				s.findings.list[i].Level = model.SuspicionLevelFatal
			}
		}
		if w.outcome.Code == "neigh/missing" {
			s.assertUplink(dst)
		}
		if w.transmission == nil {
			s.reportBelow(w, dev)
		}
		said := s.findings.take()
		for _, f := range said {
			s.Vertex.Report(f)
		}
		s.reportEnd(w, said)
	}
	return transmissions(ways)
}

// stays reports whether the pod talked to itself.
func stays(w passage) bool {
	return w.transmission == nil && (w.outcome.Disposition == model.Delivered || w.outcome.Disposition == model.NoListener)
}

// ByDefault returns the Leads of a pod all of whose packets leave by one device, by
// its default route.
func ByDefault(ifName string) Leads {
	return func(a *assertions.NetstackAssertion, dst netip.Addr) string {
		if !a.AssertDevice(ifName, "the pod's device") {
			return ifName
		}
		if !a.NS().FIB.IsLocal(dst) {
			a.AssertRoute(route.Query{}, assertions.Way{Dst: dst, To: Everywhere(dst), Dev: ifName})
		}
		return ifName
	}
}

// ByRange returns the Leads of a pod with a second device, for what is within some
// ranges, or within others that somebody gave it routes to by that device. The rest
// leaves as otherwise says, and so does all of it where the pod has no such device.
func ByRange(ifName, what string, ranges []netip.Prefix, otherwise Leads) Leads {
	return func(a *assertions.NetstackAssertion, dst netip.Addr) string {
		if _, ok := a.NS().Device(ifName); !ok {
			return otherwise(a, dst)
		}
		for _, to := range ranges {
			if to.Contains(dst) && a.AssertDevice(ifName, what) {
				a.AssertRoute(route.Query{}, assertions.Way{Dst: dst, To: to, Dev: ifName})
				return ifName
			}
		}
		if got := a.NS().FIB.InTable(route.TableMain, route.Query{Dst: dst}); got.Dev == ifName && got.Prefix.Bits() > 0 {
			return ifName
		}
		return otherwise(a, dst)
	}
}

// Everywhere is the prefix of the default route, of the family of like.
func Everywhere(like netip.Addr) netip.Prefix {
	if like.Is6() {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// assertUplink asserts the node's side of the veth.
func (s *SimpleVEthPod) assertUplink(dst netip.Addr) {
	host := s.Place.Host()
	if ns := s.env.Atlas.NetNS(host); ns != nil && s.uplink != nil {
		s.uplink(assertions.NewNetstackAssertion(s.findings, ns, model.SuspicionLevelFatal).In(ns, s.env.HopOf(host)), s.pod, dst)
	}
}

// PlaceOf is the place of a node's own namespace.
func PlaceOf(node string) topology.Place {
	return topology.Place{Base: "nodes/" + node, Netns: nodedump.HostNetns}
}
