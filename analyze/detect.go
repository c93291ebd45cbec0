package analyze

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/snapshot"
)

// DetectNetworkPlugin tells, node by node, which network snap shows and which
// plugin serves it. Clusters are mixed: a pool of nodes may have a network of
// its own, and a migration goes one node at a time. Nodes that no network is
// recognised on get the plugin that serves all others, if all has one.
func DetectNetworkPlugin(snap *snapshot.Snapshot, all []*plugin.Descriptor) *plugin.Detection {
	return plugin.Detect(snap, all)
}

// unrecognised says what was looked for.
const unrecognised = "no network plugin recognised (no CNI configuration, agent, file, annotation, DaemonSet, ConfigMap, custom resource or device of one that is known)"

// alone says what that means for the walk.
const alone = "the walk follows the kernel's state alone"

// choose takes the plugin that was asked for, for every node, or those that the
// bundle shows.
func (a *Analyzer) choose(snap *snapshot.Snapshot, o Options) (*plugin.Detection, error) {
	if o.NetworkPlugin == "" {
		d := DetectNetworkPlugin(snap, o.Plugins)
		if d.Cluster.CNI == "" {
			a.unknowns = append(a.unknowns, model.Doubt{What: unrecognised + ": " + alone + "; name the plugin with --network-plugin"})
		}
		return d, nil
	}
	var names []string
	for _, d := range o.Plugins {
		if d.Name == o.NetworkPlugin {
			return plugin.Told(d, "--network-plugin"), nil
		}
		names = append(names, d.Name)
	}
	return nil, usagef("--network-plugin %q: known are %s", o.NetworkPlugin, strings.Join(names, ", "))
}

// build makes the plugins that serve a node.
func build(env plugin.Env, d *plugin.Detection) (map[*plugin.Descriptor]plugin.Plugin, error) {
	out := map[*plugin.Descriptor]plugin.Plugin{}
	for _, n := range append([]plugin.NodeNetwork{d.Cluster}, d.Nodes...) {
		if n.Plugin == nil || out[n.Plugin] != nil {
			continue
		}
		p, err := n.Plugin.New(env)
		if err != nil {
			return nil, fmt.Errorf("network plugin %s: %w", n.Plugin.Name, err)
		}
		out[n.Plugin] = p
	}
	return out, nil
}

// recognised says whether the network of a node is, if that of others is.
func (a *Analyzer) recognised(node string) (doubts []model.Doubt) {
	if a.detected.Cluster.CNI == "" || a.detected.Of(node).CNI != "" {
		return nil
	}
	return []model.Doubt{{What: fmt.Sprintf("node %s: %s: %s", node, unrecognised, alone)}}
}

// NetworkPlugin returns the plugin that serves a node, nil if the kernel's state
// is all there is, and how that was told. The node "" stands for most nodes.
func (a *Analyzer) NetworkPlugin(node string) (plugin.Plugin, *plugin.NodeNetwork) {
	of := a.detected.Of(node)
	if n, ok := a.network.(*network); ok {
		return n.plugins[of.Plugin], of
	}
	return nil, of
}

// Detection returns which network each node is in.
func (a *Analyzer) Detection() *plugin.Detection { return a.detected }

// PluginName is the plugin that serves most nodes, "" if none does.
func (a *Analyzer) PluginName() string {
	if d := a.detected.Cluster.Plugin; d != nil {
		return d.Name
	}
	return ""
}

// Networks are the networks of the nodes for a report, each with what the first
// of its nodes shows: one if all nodes have the same, with no nodes named.
func (a *Analyzer) Networks() []report.Network { return slices.Clone(a.networks) }

// networksOf is Networks for a report that is about some nodes only: where there
// are several networks, it names those of these nodes.
func (a *Analyzer) networksOf(nodes []string) []report.Network {
	if len(a.networks) < 2 {
		return a.Networks()
	}
	var of []plugin.NodeNetwork
	for _, name := range nodes {
		n := *a.detected.Of(name)
		n.Node = name
		of = append(of, n)
	}
	return grouped(of)
}

// networksOfAll is what Networks returns.
func networksOfAll(d *plugin.Detection) []report.Network {
	if len(d.Nodes) == 0 {
		d = &plugin.Detection{Nodes: []plugin.NodeNetwork{d.Cluster}}
	}
	list := grouped(d.Nodes)
	if len(list) == 1 {
		list[0].Nodes = nil
	}
	return list
}

// grouped puts nodes of one network together.
func grouped(nodes []plugin.NodeNetwork) (list []report.Network) {
	for i := range nodes {
		one := report.Network{CNI: nodes[i].CNI, Evidence: nodes[i].Evidence()}
		if nodes[i].Plugin != nil {
			one.Plugin = nodes[i].Plugin.Name
		}
		at := slices.IndexFunc(list, func(n report.Network) bool { return n.Plugin == one.Plugin && n.CNI == one.CNI })
		if at < 0 {
			list = append(list, one)
			at = len(list) - 1
		}
		list[at].Nodes = append(list[at].Nodes, nodes[i].Node)
	}
	return list
}
