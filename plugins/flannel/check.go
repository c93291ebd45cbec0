package flannel

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// CheckNode implements [plugin.Checker].
func (f *flannel) CheckNode(r assertions.Reporter, node string) {
	n := f.at(node)
	c := plugin.NewCheckup(f.Basis, r, node, n, "flanneld")
	_, known := f.IPCache.GetNodeFromName(node)
	if known {
		n.checkRecords(c)
	}
	if c.NS() == nil {
		return
	}
	n.checkPods(c)
	plugin.CheckUnlike(c, "hardware address of their tunnels", func(n *corev1.Node) string { return snapshot.FlannelNodeOf(n, false).VtepMAC },
		"Give one of the machines its own /etc/machine-id, delete its "+f.tunnel("vxlan", node, false)+" and restart flanneld there.")
	c.CheckLanes(n.lane)
	if known {
		n.checkMTU(c)
	}
	c.CheckMasquerade()
}

// checkRecords asserts what flannel's own records say of a node.
func (f *fabric) checkRecords(c *plugin.Checkup) {
	if dumped := f.Snapshot.NodeNames(); f.broken != nil && len(dumped) > 0 && dumped[0] == f.node {
		c.Fail("cni/broken", f.file, "Correct net-conf.json, and restart flanneld on every node.", "net-conf.json cannot be read: %v", f.broken)
	}
	f.truthful(c.NetstackAssertion)
	if f.managed() {
		f.registered(c.NetstackAssertion)
	}
	if got, want := f.told(f.node, false).Backend, f.net.Backend.Type; got != "" && want != "" && got != want {
		c.Fail("cni/contradiction", plugin.NodesFile, "Restart flanneld on the node, which reads net-conf.json when it starts.",
			"flanneld of node %s runs with the backend %s (annotation backend-type), and net-conf.json says %s", f.node, got, want)
	}
	f.checkRanges(c)
}

// managed reports whether flanneld has taken the ranges of pods from Nodes, and not
// from etcd.
func (f *flannel) managed() bool {
	return slices.ContainsFunc(f.Census().Nodes, func(n corev1.Node) bool { return snapshot.FlannelNodeOf(&n, false).Managed })
}

// checkRanges asserts that the node has a range for its pods, in the network. Where
// there is no net-conf.json flanneld has ranges from etcd (its --net-config-path).
func (f *fabric) checkRanges(c *plugin.Checkup) {
	cidrs := f.IPCache.GetNodePodCIDRs(f.node)
	if len(cidrs) == 0 && len(f.records(f.node).env) == 0 && (f.file != "" || f.managed()) {
		c.Fail("cni/broken", plugin.NodesFile, "See that kube-controller-manager runs with --allocate-node-cidrs, and has ranges left.", "node %s has no podCIDR: flanneld does not start without one", f.node)
	}
	for _, cidr := range cidrs {
		if _, inside := f.net.NetworkOf(cidr.Addr()); f.file != "" && f.broken == nil && cidr.Addr().Is4() && !inside {
			c.Fail("cni/contradiction", plugin.NodesFile, "Give net-conf.json the Network that the nodes' ranges are from, and restart flanneld.",
				"the podCIDR %s of node %s lies outside of flannel's Network %s: flanneld does not start with it", cidr, f.node, f.net.Network)
		}
	}
}

// checkPods asserts the bridge, the pods' cables and the route to them. A node
// without pods has no bridge yet.
func (f *fabric) checkPods(c *plugin.Checkup) {
	for _, pod := range c.Pods() {
		f.LocalPod(c.NetstackAssertion, pod)
		for _, ip := range plugin.PodIPs(pod) {
			if _, ok := f.Ranges().Has(f.node, ip); ok {
				c.Sends(ip, f.bridge())
			}
		}
	}
	dev, ok := c.NS().Device(f.bridge())
	if ok && netstack.Up(dev) && len(c.Pods()) > 0 && f.records(f.node).Delegate.HairpinMode {
		plugin.CheckHairpin(c.To, c.NS(), dev.Name)
	}
}

// checkMTU asserts that pods send no larger packets to other nodes than the backend
// leaves of what the node's device takes, nor will those that are made from now on.
// MTU in net-conf.json gives the backend less.
func (f *fabric) checkMTU(c *plugin.Checkup) {
	backend := f.backend(f.node)
	host := c.HostMTU(f.cfg.HostInterface, f.told(f.node, false).Address)
	if !slices.Contains(backends(), backend) || backend == "alloc" {
		host = plugin.MTU{}
	}
	if mtu := f.net.Backend.MTU; mtu > 0 && mtu < host.Bytes {
		host.Bytes, host.Why = mtu, fmt.Sprintf("net-conf.json gives the backend %s an MTU of %d", backend, mtu)
	}
	e := plugin.Encapsulation{Name: "the backend " + backend, Overhead: overhead(backend), PodMTU: f.cfg.PodMTU, Option: "--flannel-pod-mtu"}
	r, left := f.records(f.node), e.Left(host)
	if mtu, err := strconv.Atoi(r.env["FLANNEL_MTU"]); err == nil && left.Bytes > 0 && mtu > left.Bytes && r.Delegate.MTU == 0 {
		c.At(model.SuspicionLevelWarning).Fail("mtu/too-small", r.envFile, "Restart flanneld on the node, and recreate its pods.",
			"subnet.env gives new pods of node %s an MTU of %d, and no more than %d get to other nodes: %s", f.node, mtu, left.Bytes, left.Why)
	}
	c.CheckMTU(host, e)
}
