package plugin

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// An Absent stands for a namespace that the bundle does not hold. What becomes
// of a packet there is unknown, and so it says.
type Absent struct {
	Vertex *model.NetNode
	why    string
	end    model.Disposition
}

// NewAbsent returns the vertex of a pod or node that was not collected. why
// says why not.
func NewAbsent(hop model.Hop, why string) *Absent {
	if why == "" {
		why = "not collected"
	}
	return &Absent{Vertex: &model.NetNode{Hop: hop}, why: why, end: model.Unknown}
}

// NewOutside returns the vertex of an address outside what the bundle knows.
func NewOutside(hop model.Hop) *Absent {
	return &Absent{Vertex: &model.NetNode{Hop: hop}, why: "the bundle does not show what lies there", end: model.ExitsCluster}
}

// NewStranger returns, for the vertex of an address outside what the bundle
// knows, what it is as a source: where its packets come in is not known.
func NewStranger(outside model.NetNodeAction) *Absent {
	return &Absent{Vertex: outside.Node(), why: "the bundle does not show this host, nor where its packets would come in", end: model.Unknown}
}

// Node implements [model.NetNodeAction].
func (a *Absent) Node() *model.NetNode { return a.Vertex }

// Send implements [model.NetNodeAction].
func (a *Absent) Send(dst model.Endpoint, protocol model.Protocol) ([]model.Transmission, error) {
	a.visit(&model.Visit{Node: a.Vertex, Born: Opening(dst, protocol)})
	return nil, nil
}

// Receive implements [model.NetNodeAction].
func (a *Absent) Receive(upstream *model.Link) ([]model.Transmission, error) {
	a.visit(&model.Visit{Node: a.Vertex, Parent: upstream.From, Input: upstream, Flow: upstream.From.Flow})
	return nil, nil
}

func (a *Absent) visit(v *model.Visit) {
	v.Disposition, v.Share = a.end, 1
	v.Reason = fmt.Sprintf("%s: %s", a.Vertex.Hop, a.why)
	if v.Input != nil {
		v.Served = v.Input.Packet
	}
	v.Doubts = []model.Doubt{{What: "what becomes of the packet at " + v.Reason}}
	a.Vertex.Visits = append(a.Vertex.Visits, v)
}
