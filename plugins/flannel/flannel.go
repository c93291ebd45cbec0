package flannel

import (
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
		Doc:    "flannel with the backends vxlan (also DirectRouting), host-gw, wireguard, ipip and alloc",
		Config: cfg,
		Detect: marks(),
		New:    func(env plugin.Env) (plugin.Plugin, error) { return open(env, cfg), nil },
	}
}

// marks are by what flannel is known. k3s runs it in its own process, where only
// the annotations and subnet.env tell. Older installations of it leave the pods
// to the plugin bridge.
func marks() []plugin.Marks {
	return []plugin.Marks{{
		Sets:        []string{"kube-flannel-ds*", "kube-flannel"},
		Images:      []string{"*flannel"},
		Configs:     []string{"*-flannel.conflist", "*-flannel.conf"},
		Types:       []string{"flannel"},
		Files:       []string{"run/flannel/subnet.env"},
		Annotations: []string{snapshot.FlannelPrefix + "*"},
		ConfigMaps:  []string{"kube-flannel-cfg", "*flannel-config"},
		Devices:     []string{"flannel.*", "flannel-v6.*", "flannel-wg*"},
		Includes:    []string{"bridge"},
	}}
}

// ifName is the pod's device.
const ifName = "eth0"

// flannel implements [plugin.Plugin].
type flannel struct {
	*plugin.Basis
	cfg     *Config
	net     snapshot.FlannelConf
	file    string // that net was read from, "" if there is none
	broken  error  // why it could not be read whole
	records func(node string) *records
}

func open(env plugin.Env, cfg *Config) *flannel {
	f := &flannel{cfg: cfg}
	f.Basis, f.records = plugin.NewBasis(env, f.ranges), plugin.Once(f.read)
	f.net, f.file, f.broken = env.Snapshot.FlannelConf()
	return f
}

// CreatePod implements [plugin.Plugin].
func (f *flannel) CreatePod(pod *k8s.Pod) (model.NetNodeAction, error) {
	return plugin.NewSimpleVEthPod(f.Env, pod, ifName, plugin.LocalUplink(f.Env, func(node string) plugin.Fabric { return f.at(node) }))
}

// CreateNode implements [plugin.Plugin].
func (f *flannel) CreateNode(node *k8s.NodeInfo) (model.NetNodeAction, error) {
	return plugin.NewHost(f.Env, node, f.at(node.NodeName))
}
