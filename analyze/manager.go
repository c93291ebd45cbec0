package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// manager makes the nodes of one walk. It implements [NetNodeManager].
type manager struct {
	n     *network
	nodes map[model.Hop]model.NetNodeAction
	order []*model.NetNode // in walking order
}

func newManager(n *network) *manager {
	return &manager{n: n, nodes: map[model.Hop]model.NetNodeAction{}}
}

// GetNetNode implements [NetNodeManager].
func (m *manager) GetNetNode(hop model.Hop) (model.NetNodeAction, error) {
	if a, ok := m.nodes[hop]; ok {
		return a, nil
	}
	a, err := m.make(hop)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", hop, err)
	}
	m.nodes[hop] = a
	m.order = append(m.order, a.Node())
	return a, nil
}

func (m *manager) make(hop model.Hop) (model.NetNodeAction, error) {
	switch hop.Type {
	case model.NetNodeTypePod:
		namespace, name, _ := strings.Cut(hop.ID, "/")
		pod, err := m.n.collector.CollectPod(namespace, name)
		if err != nil {
			return m.plain(hop, err.Error()), nil
		}
		if p := m.n.of(pod.NodeName); p != nil {
			return p.CreatePod(pod)
		}
	case model.NetNodeTypeNode:
		node, err := m.n.collector.CollectNode(hop.ID)
		if err != nil {
			return m.plain(hop, err.Error()), nil
		}
		if p := m.n.of(hop.ID); p != nil {
			return p.CreateNode(node)
		}
	case model.NetNodeTypeExternal:
		if !slices.Contains(m.n.snap.ExternalNames(), hop.ID) {
			return plugin.NewOutside(hop), nil
		}
	}
	return m.plain(hop, ""), nil
}

// plain is a namespace that no plugin has a say in.
func (m *manager) plain(hop model.Hop, why string) model.NetNodeAction {
	place, ok := m.n.atlas.placeOf(hop)
	if !ok {
		return plugin.NewAbsent(hop, why)
	}
	ns := m.n.atlas.NetNS(place)
	if ns == nil {
		return plugin.NewAbsent(hop, why)
	}
	return plugin.NewPlain(m.n.env, hop, place, ns)
}

var (
	_ NetNodeManager   = (*manager)(nil)
	_ CollectorManager = (*collector)(nil)
)
