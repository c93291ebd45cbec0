package plugin

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
)

// A mark is the Marks of one network, with whose they are.
type mark struct {
	*Marks
	by *Descriptor
}

// A row is one kind of evidence.
type row struct {
	kind string
	own  bool // it is on the node itself
	look func(*view, *mark) (what, evidence string, ok bool)
}

// evidence lists what tells a network, the strongest first: what the node
// itself runs comes before what it was left with, that before what the cluster's
// objects say about it, and these before what the cluster has. Within a row
// the order of the plugins decides.
func evidence() []row {
	return []row{
		{"config", true, (*view).config},
		{"agent", true, (*view).agent},
		{"file", true, (*view).file},
		{"annotation", true, (*view).annotation},
		{"daemonset", false, (*view).daemonSet},
		{"configmap", false, (*view).configMap},
		{"resource", false, (*view).resource},
	}
}

// config looks at the CNI configuration that the node's runtime uses.
func (s *view) config(m *mark) (what, evidence string, ok bool) {
	if len(s.confs) == 0 {
		return "", "", false
	}
	return m.config(s.marks, s.confs[0])
}

// config reports whether a CNI configuration is of the network: by the name of
// its file, or else by the first type in it that anybody knows. The plugins
// behind that are chained.
func (m *mark) config(all []mark, c confFile) (what, evidence string, ok bool) {
	what = "CNI configuration " + path.Base(c.part)
	if slices.ContainsFunc(all, func(one mark) bool { return like(one.Configs, path.Base(c.part)) }) {
		return what, c.part, like(m.Configs, path.Base(c.part))
	}
	for _, t := range c.types {
		if slices.ContainsFunc(all, func(one mark) bool { return like(one.Types, t) }) {
			return what + " of type " + t, c.part, like(m.Types, t)
		}
	}
	return "", "", false
}

// agent looks for the network's agent among the pods that run on the node.
func (s *view) agent(m *mark) (what, evidence string, ok bool) {
	for _, pod := range s.agents[s.node] {
		set := setOf(pod)
		if set != "" && like(m.Sets, set) || m.likeImages(&pod.Spec) {
			if set == "" {
				return fmt.Sprintf("pod %s/%s", pod.Namespace, pod.Name), "cluster/pods.yaml", true
			}
			return fmt.Sprintf("pod of DaemonSet %s/%s", pod.Namespace, set), "cluster/pods.yaml", true
		}
	}
	return "", "", false
}

// file looks for what the network leaves on nodes.
func (s *view) file(m *mark) (what, evidence string, ok bool) {
	root := snapshot.NodeBase(s.node, false) + "/files/"
	for _, name := range s.files {
		if like(m.Files, strings.TrimPrefix(name, root)) {
			return strings.TrimPrefix(name, root[:len(root)-1]), name, true
		}
	}
	return "", "", false
}

// annotation looks at the Node object.
func (s *view) annotation(m *mark) (what, evidence string, ok bool) {
	object := s.nodes[s.node]
	if object == nil {
		return "", "", false
	}
	for _, key := range slices.Sorted(maps.Keys(object.Annotations)) {
		if like(m.Annotations, key) {
			return "annotation " + key, "cluster/nodes.yaml", true
		}
	}
	return "", "", false
}

// daemonSet looks for a DaemonSet that is for the node.
func (s *view) daemonSet(m *mark) (what, evidence string, ok bool) {
	for i := range s.sets {
		ds := &s.sets[i]
		if (like(m.Sets, ds.Name) || m.likeImages(&ds.Spec.Template.Spec)) && s.meant(ds) {
			return fmt.Sprintf("DaemonSet %s/%s", ds.Namespace, ds.Name), "cluster/daemonsets.yaml", true
		}
	}
	return "", "", false
}

// configMap looks for a ConfigMap.
func (s *view) configMap(m *mark) (what, evidence string, ok bool) {
	for i := range s.maps {
		if like(m.ConfigMaps, s.maps[i].Name) {
			return fmt.Sprintf("ConfigMap %s/%s", s.maps[i].Namespace, s.maps[i].Name), "cluster/configmaps.yaml", true
		}
	}
	return "", "", false
}

// resource looks for custom resources that there are objects of.
func (s *view) resource(m *mark) (what, evidence string, ok bool) {
	for _, r := range m.Resources {
		if s.resources[r] {
			return r, "cluster/" + r + ".yaml", true
		}
	}
	return "", "", false
}

// device looks for a device of the network among those of a node.
func (m *mark) device(names []string, node string) (what, evidence string, ok bool) {
	for _, name := range names {
		if like(m.Devices, name) {
			return "device " + name, hostPart(node), true
		}
	}
	return "", "", false
}
