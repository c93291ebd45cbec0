package flannel

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A delegate is what the CNI plugin flannel hands on to the plugin bridge.
type delegate struct {
	Bridge      string
	HairpinMode bool
	MTU         int
}

// parseCNI reads flannel's part of a CNI configuration.
func parseCNI(text []byte) (delegate, bool) {
	conf, ok := plugin.CNIPlugin[struct{ Delegate delegate }](text, "flannel")
	return conf.Delegate, ok
}

// facts is what the bundle says about the cluster's flannel.
type facts struct {
	snapshot.FlannelConf
	file   string // that net-conf.json was read from, "" if there is none
	broken error  // why it could not be read whole
	cni    delegate
}

func read(snap *snapshot.Snapshot) (f facts) {
	conf, cni, file := snap.FlannelTexts()
	if f.file = file; file != "" {
		f.FlannelConf, f.broken = snapshot.ParseFlannelConf(conf)
		f.cni, _ = parseCNI([]byte(cni))
	}
	return f
}

// network is the whole pod network of the family of ip.
func (f *facts) network(ip netip.Addr, otherwise netip.Prefix) netip.Prefix {
	for _, text := range []string{f.Network, f.IPv6Network} {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(ip) {
			return p.Masked()
		}
	}
	return otherwise
}

// records is what a node has of flannel's: subnet.env, which flanneld writes for
// the CNI plugin, and the CNI configuration.
type records struct {
	env     map[string]string // nil if it was not collected
	envFile string
	cni     delegate
}

// records reads those of a node, once.
func (f *flannel) records(node string) *records {
	if r, ok := f.known.Load(node); ok {
		return r.(*records)
	}
	r := &records{cni: f.facts.cni}
	if _, text := plugin.CNIConfig(f.env, node); text != nil {
		if d, ok := parseCNI(text); ok {
			r.cni = d
		}
	}
	r.env, r.envFile = f.env.Snapshot.FlannelEnv(node)
	r.cni.Bridge = cmp.Or(f.cfg.Bridge, r.cni.Bridge, "cni0")
	f.known.Store(node, r)
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
	if object, ok := f.env.IPCache.GetNodeFromName(node); ok {
		return snapshot.FlannelNodeOf(object, v6)
	}
	return snapshot.FlannelNode{}
}

// readRanges are the ranges of nodes' pods: as the Node says, or, where flanneld keeps its
// own book in etcd, its subnet.env.
func (f *flannel) readRanges() *plugin.Ranges {
	r := &plugin.Ranges{}
	nodes := f.env.Snapshot.NodeNames()
	for _, n := range f.census().Nodes {
		nodes = append(nodes, n.Name)
	}
	for _, node := range nodes {
		for _, p := range f.env.IPCache.GetNodePodCIDRs(node) {
			r.Add(p, node)
		}
		if !f.told(node, false).Managed {
			for _, p := range f.records(node).subnets() {
				r.Add(p, node)
			}
		}
	}
	return r
}

// backend is how a node is joined to others. The annotation says what flanneld
// runs with, net-conf.json with what it should.
func (f *flannel) backend(node string) string {
	return cmp.Or(f.cfg.Backend, f.told(node, false).Backend, f.facts.Backend.Type, f.shown(node))
}

// shown is the backend that the devices of a node show. host-gw and alloc have
// none.
func (f *flannel) shown(node string) string {
	ns := f.env.Atlas.NetNS(plugin.PlaceOf(node))
	i := slices.IndexFunc(backends(), func(backend string) bool {
		if ns == nil {
			return false
		}
		_, ok := ns.Device(f.tunnel(backend, node, false))
		return ok
	})
	if i < 0 {
		return ""
	}
	return backends()[i]
}
