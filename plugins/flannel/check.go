package flannel

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// CheckNode implements [plugin.Checker].
func (f *flannel) CheckNode(r assertions.Reporter, node string) {
	ns := f.netns(node)
	c := &checkup{fabric: &fabric{flannel: f, node: &k8s.NodeInfo{NodeName: node}}, to: r, ns: ns,
		assert: assertions.NewNetstackAssertion(r, ns, model.SuspicionLevelCritical)}
	own, known := f.env.IPCache.GetNodeFromName(node)
	if known {
		c.checkRecords(own)
	}
	if ns == nil {
		return
	}
	c.bridged = c.checkPods()
	for _, peer := range f.census().Peers(node) {
		c.checkPeer(peer)
	}
	if known {
		c.checkMTU(own)
	}
	for _, local := range c.locals {
		c.checkMasquerade(local)
	}
}

// A checkup is a check of one node.
type checkup struct {
	*fabric
	to      assertions.Reporter
	ns      *netstack.NetNS
	assert  *assertions.NetstackAssertion
	locals  []netip.Addr // of a pod of the node, one of each family
	bridged bool         // the bridge of the pods is up
}

// checkRecords asserts what flannel's own records say of a node.
func (c *checkup) checkRecords(own *corev1.Node) {
	if c.facts.broken != nil && c.census().Nodes[0].Name == own.Name {
		c.assert.Fail("cni/broken", c.facts.file, "Correct net-conf.json, and restart flanneld on every node.", "net-conf.json cannot be read: %v", c.facts.broken)
	}
	c.truthful(c.assert, own)
	if slices.ContainsFunc(c.census().Nodes, func(n corev1.Node) bool { return managed(&n) }) {
		c.registered(c.assert, own)
	}
	if got, want := annotation(own, "backend-type"), c.facts.Backend.Type; got != "" && want != "" && got != want {
		c.assert.Fail("cni/contradiction", nodesFile, "Restart flanneld on the node, which reads net-conf.json when it starts.",
			"flanneld of node %s runs with the backend %s (annotation backend-type), and net-conf.json says %s", own.Name, got, want)
	}
	c.checkRanges(own)
}

// checkRanges asserts that the node has a range for its pods, in the network.
func (c *checkup) checkRanges(own *corev1.Node) {
	cidrs := c.env.IPCache.GetNodePodCIDRs(own.Name)
	if len(cidrs) == 0 && len(c.records(own.Name).env) == 0 {
		c.assert.Fail("cni/broken", nodesFile, "See that kube-controller-manager runs with --allocate-node-cidrs, and has ranges left.", "node %s has no podCIDR: flanneld does not start without one", own.Name)
	}
	for _, cidr := range cidrs {
		if whole := c.network(cidr.Addr(), netip.Prefix{}); c.facts.file != "" && c.facts.broken == nil && cidr.Addr().Is4() && !whole.IsValid() {
			c.assert.Fail("cni/contradiction", nodesFile, "Give net-conf.json the Network that the nodes' ranges are from, and restart flanneld.",
				"the podCIDR %s of node %s lies outside of flannel's Network %s: flanneld does not start with it", cidr, own.Name, c.facts.Network)
		}
	}
}

// checkPods asserts the bridge, the pods' cables and the route to them, and
// reports whether the bridge is there. A node without pods has no bridge yet.
func (c *checkup) checkPods() bool {
	pods := c.census().Pods(c.node.NodeName)
	if len(pods) == 0 {
		return false
	}
	bridged := false
	for _, pod := range pods {
		plugin.AssertBridged(c.env, c.assert, pod, "eth0", c.bridge())
		for _, ip := range plugin.PodIPs(pod) {
			if _, ok := c.podCIDR(c.node.NodeName, ip); ok && !c.local(ip).IsValid() {
				c.locals = append(c.locals, ip)
			}
		}
	}
	if dev, ok := c.ns.Device(c.bridge()); ok {
		bridged = netstack.Up(dev)
	}
	if bridged && c.records(c.node.NodeName).cni.HairpinMode {
		plugin.CheckHairpin(c.to, c.ns, c.bridge())
	}
	return bridged
}

// local is an address of the node's pods of the family of like, invalid if none
// is known.
func (c *checkup) local(like netip.Addr) netip.Addr {
	for _, ip := range c.locals {
		if ip.Is4() == like.Is4() {
			return ip
		}
	}
	return netip.Addr{}
}

// checkPeer asserts the way to another node's pods, that no policy rule leads
// packets elsewhere, and that what comes from there is let in and passed on.
func (c *checkup) checkPeer(peer *corev1.Node) {
	c.checkTwin(peer)
	for _, like := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		far, local := c.census().Member(&c.env, peer.Name, like), c.local(like)
		if !far.IsValid() {
			continue
		}
		l, ok := c.lane(peer, far)
		if !ok {
			continue
		}
		l.assert(c.assert, c.bridge())
		if _, there := c.ns.Device(l.Dev); !there || !local.IsValid() || !c.bridged {
			continue
		}
		out, in := route.Query{Src: local, Dst: far, IIf: c.bridge()}, route.Query{Src: far, Dst: local, IIf: l.Dev}
		c.assert.AssertMainTable(out)
		for _, q := range []route.Query{in, out} {
			plugin.CheckArrival(c.env, c.to, c.ns, q)
			plugin.CheckForward(c.to, c.ns, q, "Restart flanneld on the node, which writes the rules that accept (FLANNEL-FWD).")
		}
	}
}

// checkTwin asserts that another node's tunnel does not have the hardware address
// of this one's: machines that were cloned do.
func (c *checkup) checkTwin(peer *corev1.Node) {
	own, ok := c.env.IPCache.GetNodeFromName(c.node.NodeName)
	if !ok || vtep(own, false).VtepMAC == "" || vtep(own, false).VtepMAC != vtep(peer, false).VtepMAC {
		return
	}
	c.assert.Fail("address/duplicate", nodesFile, "Give one of the machines its own /etc/machine-id, delete its "+c.tunnel("vxlan", own.Name, false)+" and restart flanneld there.",
		"the tunnels of nodes %s and %s have the same hardware address %s", min(own.Name, peer.Name), max(own.Name, peer.Name), vtep(own, false).VtepMAC)
}

// mtu is how large packets of pods may be that get to other nodes, and why: what
// the backend leaves of the MTU of the node's device. An option says otherwise,
// and MTU in net-conf.json gives it less. 0 if it is not known.
func (c *checkup) mtu(own *corev1.Node) (limit int, why string) {
	if c.cfg.PodMTU > 0 {
		return c.cfg.PodMTU, "--flannel-pod-mtu"
	}
	backend := c.backend(own.Name)
	below, ok := c.ns.FIB.DeviceOwning(publicIP(own, false))
	if !ok || !slices.Contains(backends(), backend) || backend == "alloc" {
		return 0, ""
	}
	if mtu := c.facts.Backend.MTU; mtu > 0 && mtu < below.MTU {
		return mtu - overhead(backend), fmt.Sprintf("net-conf.json gives the backend %s an MTU of %d, of which it takes %d", backend, mtu, overhead(backend))
	}
	return below.MTU - overhead(backend), fmt.Sprintf("%s has an MTU of %d, of which the backend %s takes %d", below.Name, below.MTU, backend, overhead(backend))
}

// checkMTU asserts that pods send no larger packets to other nodes than get
// there, nor will those that are made from now on.
func (c *checkup) checkMTU(own *corev1.Node) {
	limit, why := c.mtu(own)
	if limit <= 0 {
		return
	}
	r := c.records(own.Name)
	if mtu, err := strconv.Atoi(r.env["FLANNEL_MTU"]); err == nil && mtu > limit && r.cni.MTU == 0 {
		c.assert.At(model.SuspicionLevelWarning).Fail("mtu/too-small", r.envFile, "Restart flanneld on the node, and recreate its pods.",
			"subnet.env gives new pods of node %s an MTU of %d, and no more than %d get to other nodes: %s", own.Name, mtu, limit, why)
	}
	plugin.CheckPodMTU(c.env, c.to, c.census().Pods(own.Name), limit, why)
}

// checkMasquerade asserts that a packet of a pod to the world leaves with the
// node's address.
func (c *checkup) checkMasquerade(local netip.Addr) {
	if p := plugin.Outside(local); local.Is4() && c.bridged && c.Masquerades(p) {
		plugin.CheckMasquerade(c.to, c.ns, p, c.bridge(), "Restart flanneld on the node, which writes the masquerade rules.")
	}
}
