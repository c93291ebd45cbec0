package plugin

import (
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Sighting is something by which a network is known.
type Sighting struct {
	Kind     string // a row of the order of evidence: "config", "agent", "file", ...
	CNI      string // the network
	What     string // what was seen, without the name of the node: "DaemonSet kube-flannel/kube-flannel-ds"
	Evidence string // the part of the bundle
	Agents   bool   // the network has an agent on every node
	by       *Descriptor
}

// A NodeNetwork is what network a node is in, and how that was told.
type NodeNetwork struct {
	Node   string      // "" stands for the cluster as such
	Plugin *Descriptor // that serves it: the fallback if no network is recognised, nil if there is none
	CNI    string      // name of the network, "" if none is recognised
	Saw    []Sighting  // of this network, the strongest first
	Others []Sighting  // of other networks, on this node itself
}

// Evidence says in a few words by what the network was told, "" if it was not:
// the strongest of what was seen. A network that is not called like its plugin is
// named.
func (n *NodeNetwork) Evidence() string {
	if len(n.Saw) == 0 {
		return ""
	}
	if n.CNI != n.Plugin.Name {
		return n.CNI + ": " + n.Saw[0].What
	}
	return n.Saw[0].What
}

// Told is the Detection of who knows that a plugin serves every node, and why.
func Told(d *Descriptor, why string) *Detection {
	return &Detection{marks: marksOf([]*Descriptor{d}), Cluster: NodeNetwork{Plugin: d, CNI: d.Name, Saw: []Sighting{{Kind: "told", CNI: d.Name, What: why, by: d}}}}
}

// A Detection is which network each node is in. It does not change.
type Detection struct {
	Nodes   []NodeNetwork // by name
	Cluster NodeNetwork   // by what most nodes show; if no node shows any, by the cluster's objects
	marks   []mark
}

// Of returns the network of a node: the cluster's if nothing else is known of
// the node.
func (d *Detection) Of(node string) *NodeNetwork {
	i, ok := slices.BinarySearchFunc(d.Nodes, node, func(n NodeNetwork, name string) int { return strings.Compare(n.Node, name) })
	if !ok {
		return &d.Cluster
	}
	return &d.Nodes[i]
}

// Only returns the name of the network that every node is in whose network is
// recognised, "" if there is none or if there are several.
func (d *Detection) Only() string {
	for i := range d.Nodes {
		if n := &d.Nodes[i]; n.CNI != "" && n.CNI != d.Cluster.CNI {
			return ""
		}
	}
	return d.Cluster.CNI
}

// Serves reports whether a plugin, given by its name, serves any node, or the cluster.
func (d *Detection) Serves(name string) bool {
	for _, n := range append([]NodeNetwork{d.Cluster}, d.Nodes...) {
		if n.Plugin != nil && n.Plugin.Name == name {
			return true
		}
	}
	return false
}

// Left returns what devices of a node say about networks other than its own. It
// is asked by who has read them; Detect reads no node's devices unless nothing
// else tells.
func (d *Detection) Left(node string, devices []nodedump.Interface) (out []Sighting) {
	own := d.Of(node)
	if own.CNI == "" {
		return nil
	}
	names := slices.DeleteFunc(inUse(devices), func(name string) bool {
		return slices.ContainsFunc(d.marks, func(m mark) bool { return m.CNI == own.CNI && like(m.Devices, name) })
	})
	for _, s := range look(d.marks, func(m *mark) (string, string, bool) { return m.device(names, node) }) {
		s.Kind = "device"
		if s.CNI != own.CNI && !d.includes(own.CNI, s.CNI) {
			out = append(out, s)
		}
	}
	return out
}

// Detect tells which network each node is in, by the marks that all state.
// Devices are looked at only on nodes that nothing else tells about.
func Detect(snap *snapshot.Snapshot, all []*Descriptor) *Detection {
	d := &Detection{marks: marksOf(all)}
	s := newScene(snap, d.marks)
	var fallback *Descriptor
	for _, p := range all {
		if p.Fallback {
			fallback = p
		}
	}
	for _, node := range s.nodeNames() {
		n := d.node(s.at(node))
		if n.CNI == "" {
			devices := s.deviceNames(node)
			n.settle("device", look(d.marks, func(m *mark) (string, string, bool) { return m.device(devices, node) }))
		}
		if n.CNI == "" {
			n.Plugin = fallback
		}
		d.Nodes = append(d.Nodes, n)
	}
	d.Cluster = d.summary(s, fallback)
	return d
}

// marksOf are the marks of all plugins, in the order of these.
func marksOf(all []*Descriptor) (out []mark) {
	for _, p := range all {
		for i := range p.Detect {
			m := p.Detect[i]
			if m.CNI == "" {
				m.CNI = p.Name
			}
			out = append(out, mark{&m, p})
		}
	}
	return out
}

// look asks about each network.
func look(marks []mark, ask func(*mark) (what, evidence string, ok bool)) (out []Sighting) {
	for i := range marks {
		if what, evidence, ok := ask(&marks[i]); ok {
			out = append(out, Sighting{CNI: marks[i].CNI, What: what, Evidence: evidence, Agents: len(marks[i].Sets) > 0, by: marks[i].by})
		}
	}
	return out
}

// node tells the network of a node, of which "" is the cluster as such.
func (d *Detection) node(v *view) NodeNetwork {
	n := NodeNetwork{Node: v.node}
	own := map[string]bool{}
	var all []Sighting
	for _, r := range evidence() {
		if r.own && v.node == "" {
			continue
		}
		own[r.kind] = r.own
		for _, one := range look(d.marks, func(m *mark) (string, string, bool) { return r.look(v, m) }) {
			one.Kind = r.kind
			all = append(all, one)
		}
	}
	all = slices.DeleteFunc(slices.Clone(all), func(one Sighting) bool {
		return slices.ContainsFunc(all, func(other Sighting) bool {
			runs := other.Kind == "config" || other.Kind == "agent"
			return other.CNI != one.CNI && (runs || !own[one.Kind]) && d.includes(other.CNI, one.CNI)
		})
	})
	n.settle("", all)
	n.Others = slices.DeleteFunc(n.Others, func(one Sighting) bool { return !own[one.Kind] || d.chained(v, one.CNI) })
	if n.CNI != "" {
		n.Others = append(n.Others, d.unused(v, &n)...)
	}
	return n
}

// settle takes the network of the first sighting. kind is that of all of them,
// "" if they have one each.
func (n *NodeNetwork) settle(kind string, all []Sighting) {
	for _, one := range all {
		if kind != "" {
			one.Kind = kind
		}
		if n.CNI == "" {
			n.CNI, n.Plugin = one.CNI, one.by
		}
		switch {
		case one.CNI != n.CNI:
			n.Others = append(n.Others, one)
		case one.by == n.Plugin: // another plugin that serves the network, too, has seen the same
			n.Saw = append(n.Saw, one)
		}
	}
}

// includes reports whether one network brings the other along.
func (d *Detection) includes(one, other string) bool {
	return slices.ContainsFunc(d.marks, func(m mark) bool { return m.CNI == one && slices.Contains(m.Includes, other) })
}

// chained reports whether the configuration that the node's runtime uses calls a
// plugin of the network: it is there by intent.
func (d *Detection) chained(v *view, cni string) bool {
	return len(v.confs) > 0 && slices.ContainsFunc(v.confs[0].types, func(t string) bool {
		return slices.ContainsFunc(d.marks, func(m mark) bool { return m.CNI == cni && like(m.Types, t) })
	})
}

// unused are the CNI configurations that the node's runtime does not get to,
// and that are of other networks.
func (d *Detection) unused(v *view, n *NodeNetwork) (out []Sighting) {
	for _, c := range v.confs[min(len(v.confs), 1):] {
		for _, one := range look(d.marks, func(m *mark) (string, string, bool) { return m.config(d.marks, c) }) {
			if one.CNI != n.CNI && !d.includes(n.CNI, one.CNI) {
				one.Kind = "config"
				out = append(out, one)
			}
		}
	}
	return out
}

// summary is what network the cluster is in as a whole.
func (d *Detection) summary(s *scene, fallback *Descriptor) NodeNetwork {
	count := map[string]int{}
	var most *NodeNetwork
	for i := range d.Nodes {
		if n := &d.Nodes[i]; n.CNI != "" {
			count[n.CNI]++
			if most == nil || count[n.CNI] > count[most.CNI] {
				most = n
			}
		}
	}
	if most != nil {
		return NodeNetwork{Plugin: most.Plugin, CNI: most.CNI, Saw: most.Saw}
	}
	n := d.node(s.at(""))
	if n.CNI == "" {
		n.Plugin = fallback
	}
	return n
}
