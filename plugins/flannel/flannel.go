package flannel

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// Descriptor returns a new description of flannel with default options.
func Descriptor() *plugin.Descriptor {
	cfg := &Config{IPMasq: true}
	return &plugin.Descriptor{
		Name:   "flannel",
		Doc:    "flannel with the vxlan or host-gw backend",
		Config: cfg,
		Detect: detect,
		New: func(env plugin.Env) (plugin.Plugin, error) {
			return &flannel{env: env, cfg: cfg, facts: read(env.Snapshot, cfg), census: sync.OnceValue(func() census { return take(env) })}, nil
		},
	}
}

// detect looks for flannel's DaemonSet, its ConfigMap, its annotations and what
// it leaves on nodes.
func detect(snap *snapshot.Snapshot) (found bool, saw string) {
	if sets, err := snap.DaemonSets(); err == nil {
		for i := range sets {
			if ds := &sets[i]; strings.HasPrefix(ds.Name, "kube-flannel-ds") || runsFlannel(ds.Spec.Template.Spec) {
				return true, fmt.Sprintf("DaemonSet %s/%s", ds.Namespace, ds.Name)
			}
		}
	}
	if cm, ok := configMap(snap); ok {
		return true, fmt.Sprintf("ConfigMap %s/%s", cm.Namespace, cm.Name)
	}
	if t := annotated(snap); t != "" {
		return true, "the nodes' annotation " + annotationPrefix + "backend-type: " + t
	}
	if file, ok := nodeFile(snap); ok {
		return true, file
	}
	return false, "no DaemonSet kube-flannel-ds, no ConfigMap with net-conf.json, no node annotation " + annotationPrefix + "backend-type, no subnet.env on a node"
}

// nodeFile finds what flanneld leaves on a node: its subnet.env.
func nodeFile(snap *snapshot.Snapshot) (string, bool) {
	for _, node := range snap.NodeNames() {
		for _, name := range snap.Files(node) {
			if strings.HasSuffix(name, "flannel/subnet.env") {
				return name, true
			}
		}
	}
	return "", false
}

func runsFlannel(pod corev1.PodSpec) bool {
	for _, c := range pod.Containers {
		if strings.Contains(c.Image, "/flannel:") {
			return true
		}
	}
	return false
}

// flannel implements [plugin.Plugin].
type flannel struct {
	env    plugin.Env
	cfg    *Config
	facts  facts
	census func() census // of who lives where, taken when somebody asks
}

// CreatePod implements [plugin.Plugin].
func (f *flannel) CreatePod(pod *k8s.Pod) (model.NetNodeAction, error) {
	return plugin.NewSimpleVEthPod(f.env, pod, "eth0", f.uplink)
}

// uplink asserts the node's side of a pod's veth, and that of the pod of the
// same node that it talks to.
func (f *flannel) uplink(a *assertions.NetstackAssertion, pod *k8s.Pod, dst netip.Addr) {
	fabric := &fabric{flannel: f, node: &k8s.NodeInfo{NodeName: pod.NodeName}}
	if pod.Object != nil {
		fabric.LocalPod(a, pod.Object)
	}
	if to, ok := f.env.IPCache.GetPodFromIP(dst); ok && to.Spec.NodeName == pod.NodeName {
		fabric.LocalPod(a, to)
	}
}

// CreateNode implements [plugin.Plugin].
func (f *flannel) CreateNode(node *k8s.NodeInfo) (model.NetNodeAction, error) {
	return plugin.NewHost(f.env, node, &fabric{flannel: f, node: node})
}

// inNetwork reports whether ip is of the pod network.
func (f *flannel) inNetwork(ip netip.Addr) bool {
	return slices.ContainsFunc(f.env.ClusterCIDRs, func(n netip.Prefix) bool { return n.Contains(ip) })
}
