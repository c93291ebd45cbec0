package flannel

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// cniConf is flannel's part of a CNI configuration: what it hands on to the plugin
// bridge.
type cniConf struct {
	Delegate struct {
		Bridge      string
		HairpinMode bool
		MTU         int
	}
}

// records is what a node has of flannel's: subnet.env, which flanneld writes for
// the CNI plugin, and the CNI configuration.
type records struct {
	env     map[string]string // nil if it was not collected
	envFile string
	cniConf
}

// read reads the records of a node.
func (f *flannel) read(node string) *records {
	r := &records{}
	r.cniConf, _ = plugin.NodeCNIPlugin[cniConf](f.Env, node, "flannel", "cni-conf.json")
	r.env, r.envFile = f.Snapshot.FlannelEnv(node)
	r.Delegate.Bridge = cmp.Or(f.cfg.Bridge, r.Delegate.Bridge, "cni0")
	return r
}

// subnets are the ranges that subnet.env gives to the node's pods.
func (r *records) subnets() (list []netip.Prefix) {
	for _, key := range []string{"FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"} {
		if p, err := netip.ParsePrefix(r.env[key]); err == nil {
			list = append(list, p.Masked())
		}
	}
	return list
}

// told is what flanneld tells of a node: nothing of one without a Node object.
func (f *flannel) told(node string, v6 bool) snapshot.FlannelNode {
	if object, ok := f.IPCache.GetNodeFromName(node); ok {
		return snapshot.FlannelNodeOf(object, v6)
	}
	return snapshot.FlannelNode{}
}

// ranges are those of nodes' pods: as the Node says, or, where flanneld keeps its
// own book in etcd, its subnet.env.
func (f *flannel) ranges(c plugin.Census) *plugin.Ranges {
	r := f.PodCIDRs(c)
	for _, node := range f.Snapshot.NodeNames() {
		if f.told(node, false).Managed {
			continue
		}
		for _, p := range f.records(node).subnets() {
			r.Add(p, node)
		}
	}
	return r
}

// backend is how a node is joined to others. The annotation says what flanneld
// runs with, net-conf.json with what it should.
func (f *flannel) backend(node string) string {
	return cmp.Or(f.cfg.Backend, f.told(node, false).Backend, f.net.Backend.Type, f.shown(node))
}

// shown is the backend that the devices of a node show. host-gw and alloc have
// none.
func (f *flannel) shown(node string) string {
	ns := f.HostNS(node)
	if i := slices.IndexFunc(backends(), func(backend string) bool {
		if ns == nil {
			return false
		}
		_, ok := ns.Device(f.tunnel(backend, node, false))
		return ok
	}); i >= 0 {
		return backends()[i]
	}
	return ""
}
