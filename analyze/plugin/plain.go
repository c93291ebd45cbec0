package plugin

import (
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/topology"
)

// A Plain is a namespace that no plugin has a say in: a host outside the
// cluster, or any host where the network is not recognised. It reports what
// ended a packet's journey there, and nothing else.
type Plain struct{ *Reality }

// NewPlain returns the vertex of a namespace.
func NewPlain(env Env, hop model.Hop, place topology.Place, ns *netstack.NetNS) *Plain {
	return &Plain{NewReality(env, hop, place, ns)}
}

// NewPlainPod returns the vertex of a pod that may have any devices and routes.
func NewPlainPod(env Env, pod *k8s.Pod) (model.NetNodeAction, error) {
	hop, place := model.PodHop(pod.Namespace, pod.PodName), topology.Place{Base: PlaceOf(pod.NodeName).Base, Netns: pod.Netns}
	if ns := env.Atlas.NetNS(place); pod.Info != nil && ns != nil {
		return NewPlain(env, hop, place, ns), nil
	}
	return NewAbsent(hop, pod.Missing), nil
}

// Send implements [model.NetNodeAction].
func (p *Plain) Send(dst model.Endpoint, protocol model.Protocol) ([]model.Transmission, error) {
	return p.reported(p.born(Opening(dst, protocol), nil)), nil
}

// Receive implements [model.NetNodeAction].
func (p *Plain) Receive(upstream *model.Link) ([]model.Transmission, error) {
	return p.reported(p.arrived(upstream)), nil
}

// Respond implements [model.Responder].
func (p *Plain) Respond(v *model.Visit) ([]model.Transmission, error) {
	return p.reported(p.answered(v)), nil
}

func (p *Plain) reported(ways []passage) []model.Transmission {
	for _, w := range ways {
		p.reportEnd(w, nil)
	}
	return transmissions(ways)
}
