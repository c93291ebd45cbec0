package plugin

import (
	"cmp"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A scene is what a bundle shows of the networks in it, read once.
type scene struct {
	marks     []mark // of all networks that are known
	snap      *snapshot.Snapshot
	sets      []appsv1.DaemonSet
	maps      []corev1.ConfigMap
	nodes     map[string]*corev1.Node
	agents    map[string][]*corev1.Pod // by node, those that use its network and have not ended
	resources map[string]bool          // custom resources with objects
}

// newScene reads what belongs to the cluster. Lists that are missing show
// nothing; the analyzer says that they are.
func newScene(snap *snapshot.Snapshot, marks []mark) *scene {
	s := &scene{marks: marks, snap: snap, nodes: map[string]*corev1.Node{}, agents: map[string][]*corev1.Pod{}, resources: map[string]bool{}}
	s.sets, _ = snap.DaemonSets()
	s.maps, _ = snap.ConfigMaps()
	nodes, _ := snap.Nodes()
	for i := range nodes {
		s.nodes[nodes[i].Name] = &nodes[i]
	}
	pods, _ := snap.Pods()
	for i := range pods {
		p := &pods[i]
		if p.Spec.HostNetwork && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			s.agents[p.Spec.NodeName] = append(s.agents[p.Spec.NodeName], p)
		}
	}
	for _, p := range snap.Manifest().Parts {
		name, ok := strings.CutPrefix(p.Name, "cluster/")
		if ok && p.Size > 0 {
			s.resources[strings.TrimSuffix(name, ".yaml")] = true
		}
	}
	return s
}

// nodeNames are the nodes that have an object, were dumped or run an agent,
// sorted.
func (s *scene) nodeNames() []string {
	names := map[string]bool{}
	for _, name := range s.snap.NodeNames() {
		names[name] = true
	}
	for name := range s.nodes {
		names[name] = true
	}
	for name := range s.agents {
		names[name] = name != ""
	}
	delete(names, "")
	return slices.Sorted(maps.Keys(names))
}

// A view is the scene as one node shows it, or, with no name, the cluster.
type view struct {
	*scene
	node  string
	files []string   // of the node, parts of the bundle
	confs []confFile // the first is the one that its runtime uses
}

func (s *scene) at(node string) *view {
	v := &view{scene: s, node: node}
	if node != "" {
		v.files = s.snap.Files(node)
		v.confs = s.configs(v.files)
	}
	return v
}

// A confFile is a CNI configuration of a node.
type confFile struct {
	part  string   // of the bundle
	types []string // of its plugins, in their order
}

// configs are the CNI configurations among a node's files, in the order in which runtimes
// look at them: by name, of which they take the first (libcni's ConfFiles,
// containerd's go-cni, CRI-O's ocicni). Of several directories the first with
// a configuration counts; etc/cni/net.d comes after that of OpenShift, where it has
// what CRI-O was installed with.
func (s *scene) configs(files []string) (out []confFile) {
	dir := ""
	files = slices.SortedStableFunc(slices.Values(files), func(a, b string) int { return cmp.Compare(unlikely(a), unlikely(b)) })
	for _, name := range files {
		at := path.Dir(name)
		if !strings.HasSuffix(at, "cni/net.d") && !strings.HasSuffix(at, "args/cni-network") || !slices.Contains([]string{".conf", ".conflist", ".json"}, path.Ext(name)) || dir != "" && at != dir {
			continue
		}
		text, err := s.snap.Read(name)
		if err != nil {
			continue // its part says why
		}
		dir = at
		out = append(out, confFile{name, cniTypes(text)})
	}
	if len(out) > 1 && isMeta(out[0].types) {
		return out[1:]
	}
	return out
}

// unlikely is 0 for files that count before others.
func unlikely(name string) int {
	if strings.Contains(name, "/files/etc/kubernetes/cni/net.d/") {
		return 0
	}
	return 1
}

// isMeta reports whether a configuration only calls those of other networks,
// which it does not hold itself.
func isMeta(types []string) bool {
	return len(types) == 1 && (types[0] == "multus" || types[0] == "multus-shim")
}

// cniTypes are the types of the plugins of a CNI configuration, of a list of
// plugins or of one that delegates to others. What is none of these has none.
func cniTypes(text []byte) (types []string) {
	type plugin struct {
		Type string `json:"type"`
	}
	type list struct {
		plugin
		Plugins []plugin `json:"plugins"`
	}
	var conf struct {
		list
		Delegates []list `json:"delegates"` // of Multus
	}
	if json.Unmarshal(text, &conf) != nil {
		return nil
	}
	for _, l := range append(conf.Delegates, conf.list) {
		for _, p := range append(l.Plugins, l.plugin) {
			if p.Type != "" {
				types = append(types, p.Type)
			}
		}
	}
	return types
}

// meant reports whether a DaemonSet is for a node, by its node selector and what
// its node affinity requires. One that has neither is for all, and for the cluster
// as such, whose name is "".
func (s *view) meant(ds *appsv1.DaemonSet) bool {
	object, pod := s.nodes[s.node], &ds.Spec.Template.Spec
	if object == nil {
		return true
	}
	if !labels.SelectorFromSet(pod.NodeSelector).Matches(labels.Set(object.Labels)) {
		return false
	}
	if pod.Affinity == nil || pod.Affinity.NodeAffinity == nil || pod.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return true
	}
	terms := pod.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	return slices.ContainsFunc(terms, func(t corev1.NodeSelectorTerm) bool { return fits(t, object.Labels) })
}

// fits reports whether a node's labels are as a term requires. What makes no sense
// fits no node, as for the scheduler.
func fits(t corev1.NodeSelectorTerm, of labels.Set) bool {
	for _, e := range t.MatchExpressions {
		r, err := labels.NewRequirement(e.Key, operators()[e.Operator], e.Values)
		if err != nil || !r.Matches(of) {
			return false
		}
	}
	return true
}

// operators are those of node affinity as labels know them.
func operators() map[corev1.NodeSelectorOperator]selection.Operator {
	return map[corev1.NodeSelectorOperator]selection.Operator{
		corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn,
		corev1.NodeSelectorOpExists: selection.Exists, corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
		corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
	}
}

// setOf is the DaemonSet that made a pod, "" if none did.
func setOf(pod *corev1.Pod) string {
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == "DaemonSet" {
		return owner.Name
	}
	return ""
}

// deviceNames are the devices of a node's own namespace. No more of it is read.
func (s *scene) deviceNames(node string) []string {
	data, err := s.snap.Read(hostPart(node))
	if err != nil {
		return nil
	}
	var info struct {
		Interfaces []nodedump.Interface `json:"interfaces"`
	}
	if json.Unmarshal(data, &info) != nil {
		return nil // whoever walks there is told
	}
	return inUse(info.Interfaces)
}

// inUse are the names of the devices that somebody made, or brought up.
func inUse(devices []nodedump.Interface) (names []string) {
	for i := range devices {
		if !slices.Contains(kernelMade(), devices[i].Name) || slices.Contains(devices[i].Flags, "UP") {
			names = append(names, devices[i].Name)
		}
	}
	return names
}

// kernelMade are devices that a module of the kernel makes when it is loaded,
// and leaves down: they say nothing unless somebody brought them up.
func kernelMade() []string { return []string{"tunl0", "gre0", "sit0", "ip6tnl0", "ip_vti0"} }

func hostPart(node string) string {
	return snapshot.NodeBase(node, false) + "/netns/" + nodedump.HostNetns + "/netns.json"
}
