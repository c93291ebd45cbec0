package analyze

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// scripted is a node that always does the same.
type scripted struct {
	node *model.NetNode
	next model.Hop // where it sends what it gets; the zero Hop keeps it
	err  error
}

func (s *scripted) Node() *model.NetNode { return s.node }

func (s *scripted) Send(dst model.Endpoint, protocol model.Protocol) ([]model.Transmission, error) {
	return s.pass(nil, model.Packet{Protocol: protocol, Dst: dst.AddrPort()})
}

func (s *scripted) Receive(upstream *model.Link) ([]model.Transmission, error) {
	return s.pass(upstream, upstream.Packet)
}

func (s *scripted) pass(upstream *model.Link, p model.Packet) ([]model.Transmission, error) {
	if s.err != nil {
		return nil, s.err
	}
	v := &model.Visit{Node: s.node, Input: upstream, Share: 1, Disposition: model.Delivered}
	if upstream != nil {
		v.Parent = upstream.From
	}
	s.node.Visits = append(s.node.Visits, v)
	if s.next == (model.Hop{}) {
		return nil, nil
	}
	v.Disposition = model.Forwarded
	v.Output = &model.Link{Source: s.node, Packet: p, From: v}
	return []model.Transmission{{NextHop: s.next, Link: v.Output}}, nil
}

func hop(id string) model.Hop { return model.Hop{Type: model.NetNodeTypeNode, ID: id} }

// script makes a walk over nodes that pass packets on as told.
func script(ways map[string]string, broken string) (*walk, model.NetNodeAction) {
	w := &walk{nodes: &manager{nodes: map[model.Hop]model.NetNodeAction{}}, path: &model.PacketPath{}}
	for from, to := range ways {
		s := &scripted{node: &model.NetNode{Hop: hop(from)}}
		if to != "" {
			s.next = hop(to)
		}
		if from == broken {
			s.err = errors.New("the simulation broke")
		}
		w.nodes.nodes[hop(from)] = s
	}
	return w, w.nodes.nodes[hop("a")]
}

func TestLoopEnds(t *testing.T) {
	w, a := script(map[string]string{"a": "b", "b": "c", "c": "b"}, "")
	ends, err := w.start(a, func() ([]model.Transmission, error) { return a.Send(model.Endpoint{}, model.TCP) })
	require.NoError(t, err)
	require.Len(t, ends, 1)
	require.Equal(t, model.Loop, ends[0].Disposition)
	require.Equal(t, "walk/loop", w.found[0].Code)
}

func TestFailedReceiveIsAnError(t *testing.T) {
	w, a := script(map[string]string{"a": "b", "b": "c", "c": ""}, "c")
	_, err := w.start(a, func() ([]model.Transmission, error) { return a.Send(model.Endpoint{}, model.TCP) })
	require.ErrorContains(t, err, "node:c: the simulation broke")
	require.Len(t, w.path.Links, 2, "what was walked is kept")
}

func TestWalkEnds(t *testing.T) {
	w, a := script(map[string]string{"a": "b", "b": "c", "c": ""}, "")
	ends, err := w.start(a, func() ([]model.Transmission, error) { return a.Send(model.Endpoint{}, model.TCP) })
	require.NoError(t, err)
	require.Len(t, ends, 1)
	require.Equal(t, "node:c", ends[0].Node.String())
	require.Len(t, chain(ends[0]), 3)
}
