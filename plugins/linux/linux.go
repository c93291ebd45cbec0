package linux

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// Descriptor returns a new description of the plugin. It has no options.
func Descriptor() *plugin.Descriptor {
	return &plugin.Descriptor{
		Name:     "linux",
		Doc:      "any network that plain Linux routes: what the kernels do is all that is expected",
		Detect:   marks(),
		New:      func(env plugin.Env) (plugin.Plugin, error) { return linux{env}, nil },
		Fallback: true,
	}
}

// linux implements [plugin.Plugin].
type linux struct{ env plugin.Env }

// CreatePod implements [plugin.Plugin].
func (l linux) CreatePod(pod *k8s.Pod) (model.NetNodeAction, error) {
	return plugin.NewPlainPod(l.env, pod)
}

// CreateNode implements [plugin.Plugin].
func (l linux) CreateNode(node *k8s.NodeInfo) (model.NetNodeAction, error) {
	return plugin.NewNode(l.env, node, fabric{}, func(h *plugin.Host) plugin.SimplePluginNode { return host{h} })
}

// A host has a say in Services, and in nothing else. It implements
// [plugin.SimplePluginNode].
type host struct{ *plugin.Host }

// ToPod implements [plugin.SimplePluginNode].
func (host) ToPod(*model.Link, model.Endpoint, model.Protocol, *corev1.Pod) ([]model.Transmission, error) {
	return nil, plugin.ErrNoOpinion
}

// ToHost implements [plugin.SimplePluginNode].
func (host) ToHost(*model.Link, model.Endpoint, model.Protocol, *corev1.Node) ([]model.Transmission, error) {
	return nil, plugin.ErrNoOpinion
}

// ToExternal implements [plugin.SimplePluginNode].
func (host) ToExternal(*model.Link, model.Endpoint, model.Protocol) ([]model.Transmission, error) {
	return nil, plugin.ErrNoOpinion
}

// ToService implements [plugin.SimplePluginNode]: whether the rules translate
// the packet as the Service means is checked; by which way it then goes to the
// backend is the kernel's.
func (h host) ToService(upstream *model.Link, dst model.Endpoint, protocol model.Protocol, service *corev1.Service) ([]model.Transmission, error) {
	if _, err := h.Host.ToService(upstream, dst, protocol, service); err != nil {
		return nil, err
	}
	return nil, plugin.ErrNoOpinion
}

// fabric expects nothing. It implements [plugin.Fabric].
type fabric struct{}

func (fabric) LocalPod(*assertions.NetstackAssertion, *corev1.Pod)            {}
func (fabric) Remote(*assertions.NetstackAssertion, netip.Addr, *corev1.Node) {}
func (fabric) Arrival(*assertions.NetstackAssertion, *model.Link)             {}
func (fabric) Masquerades(model.Packet) bool                                  { return false }
