package check

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A cluster is all that the checks look at, read once.
type cluster struct {
	a        *analyze.Analyzer
	env      plugin.Env
	snap     *snapshot.Snapshot
	nodes    []*host // sorted by name
	services []corev1.Service
}

// A host is one node.
type host struct {
	name   string
	object *corev1.Node // nil if the bundle has none
	kernel string       // uname -r, "" if it is not known
	loaded []string     // modules of the kernel, nil if they are not known
	place  topology.Place
	ns     *netstack.NetNS // nil if it was not collected
	pods   []*space        // that do not use the node's network and have not ended, by name
}

// A space is a pod and its network namespace.
type space struct {
	pod   *corev1.Pod
	place topology.Place
	ns    *netstack.NetNS // nil if it was not collected
}

func (s *space) name() string   { return s.pod.Namespace + "/" + s.pod.Name }
func (s *space) hop() model.Hop { return model.PodHop(s.pod.Namespace, s.pod.Name) }

func newCluster(a *analyze.Analyzer) *cluster {
	env := a.Env()
	c := &cluster{a: a, env: env, snap: env.Snapshot}
	c.services, _ = c.snap.Services() // why not: the analyzer says
	names := map[string]bool{}
	for _, name := range c.snap.NodeNames() {
		names[name] = true
	}
	objects, _ := c.snap.Nodes()
	for i := range objects {
		names[objects[i].Name] = true
	}
	pods := map[string][]*corev1.Pod{}
	for _, pod := range env.IPCache.Pods() {
		if !pod.Spec.HostNetwork && !ended(pod) {
			pods[pod.Spec.NodeName] = append(pods[pod.Spec.NodeName], pod)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c.nodes = append(c.nodes, c.host(name, pods[name]))
	}
	return c
}

func (c *cluster) host(name string, pods []*corev1.Pod) *host {
	h := &host{name: name, place: topology.Place{Base: snapshot.NodeBase(name, false), Netns: nodedump.HostNetns}}
	h.object, _ = c.env.IPCache.GetNodeFromName(name)
	h.ns = c.env.Atlas.NetNS(h.place)
	if dump, err := c.snap.Node(name); err == nil {
		h.kernel, h.loaded = dump.Kernel, dump.Modules
	}
	places := map[model.Hop]topology.Place{}
	for _, p := range c.env.Atlas.Places(h.place.Base) {
		places[c.env.HopOf(p)] = p
	}
	for _, pod := range pods {
		s := &space{pod: pod}
		if p, ok := places[s.hop()]; ok {
			s.place, s.ns = p, c.env.Atlas.NetNS(p)
		}
		h.pods = append(h.pods, s)
	}
	return h
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func (c *cluster) names() (names []string) {
	for _, n := range c.nodes {
		names = append(names, n.name)
	}
	return names
}

// count says what the checks looked at.
func (c *cluster) count(out *report.Checkup) {
	for _, n := range c.nodes {
		if out.Only == "" || out.Only == n.name {
			out.Nodes++
		}
	}
	for _, p := range c.env.IPCache.Pods() {
		if !ended(p) && (out.Only == "" || out.Only == p.Spec.NodeName) {
			out.Pods++
		}
	}
	out.Services = len(c.services)
}

// read are the nodes whose own namespace was collected.
func (c *cluster) read() (list []*host) {
	for _, n := range c.nodes {
		if n.ns != nil {
			list = append(list, n)
		}
	}
	return list
}

// knows reports whether a section of a namespace was read, and says so if not.
func (s *scope) knows(node string, ns *netstack.NetNS, section string) bool {
	d := ns.Unread(section)
	if d != nil {
		s.unknown(node, d.Evidence, "%s", d.What)
	}
	return d == nil
}

// at is the evidence of a device.
func at(ns *netstack.NetNS, dev *nodedump.Interface) string {
	if dev.Line == 0 {
		return ns.Info.File
	}
	return fmt.Sprintf("%s:%d", ns.Info.File, dev.Line)
}
