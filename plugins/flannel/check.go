package flannel

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// CheckNode implements [plugin.Checker].
func (f *flannel) CheckNode(r assertions.Reporter, node string) {
	ns := f.env.Atlas.NetNS(topology.Place{Base: "nodes/" + node, Netns: nodedump.HostNetns})
	if ns == nil {
		return
	}
	c := &checkup{fabric: &fabric{flannel: f, node: &k8s.NodeInfo{NodeName: node}}, to: r, ns: ns,
		assert: assertions.NewNetstackAssertion(r, ns, model.SuspicionLevelCritical)}
	c.bridged = c.checkPods()
	c.checkHairpin()
	c.checkVTEP()
	for _, peer := range f.census().Peers(node) {
		c.checkPeer(peer)
	}
	c.checkMasquerade()
}

// A checkup is a check of one node.
type checkup struct {
	*fabric
	to      assertions.Reporter
	ns      *netstack.NetNS
	assert  *assertions.NetstackAssertion
	local   netip.Addr // of a pod of the node, invalid if there is none
	bridged bool       // the bridge of the pods is up
}

// checkPods asserts the bridge, the pods' cables and the route to them, and
// reports whether the bridge is there. A node without pods has no bridge yet.
func (c *checkup) checkPods() bool {
	pods := c.census().Pods(c.node.NodeName)
	if len(pods) == 0 {
		return false
	}
	bridged := c.assert.AssertDevice(c.facts.bridge, "the bridge of the pods")
	routed := true
	for _, pod := range pods {
		if plugin.AssertPodDevice(c.env, c.assert, pod, "eth0") && bridged {
			plugin.AssertPodPort(c.env, c.assert, pod, "eth0", c.facts.bridge)
		}
		for _, ip := range plugin.PodIPs(pod) {
			cidr, ok := c.podCIDR(c.node.NodeName, ip)
			if !ok {
				continue
			}
			c.local = ip
			if bridged && routed {
				routed = c.assert.AssertRoute(route.Query{IIf: c.facts.bridge}, assertions.Way{Dst: ip, To: cidr, Dev: c.facts.bridge})
			}
		}
	}
	return bridged
}

// checkHairpin asserts that ports of the bridge send back by where a packet came
// in, if the configuration says so: a pod reaches itself by a Service that way.
func (c *checkup) checkHairpin() {
	bridge, ok := c.ns.Device(c.facts.bridge)
	if !ok || !c.facts.hairpin || !c.bridged {
		return
	}
	for _, port := range c.ns.Ports(bridge.Name) {
		if port.Kind == "veth" && port.Port != nil && !port.Port.Hairpin {
			c.to.Report(model.Suspicion{Level: model.SuspicionLevelWarning, Code: "bridge/hairpin", Evidence: c.ns.DeviceEvidence(port),
				Message: fmt.Sprintf("hairpin mode of port %s of bridge %s is off, so that its pod cannot reach itself by a Service", port.Name, bridge.Name),
				Remedy:  fmt.Sprintf("bridge link set dev %s hairpin on", port.Name)})
		}
	}
}

// checkVTEP asserts that no other node's tunnel has the hardware address of this
// one's: machines that were cloned do.
func (c *checkup) checkVTEP() {
	own, ok := c.env.IPCache.GetNodeFromName(c.node.NodeName)
	if !ok || c.facts.backend != "vxlan" || vtepMAC(own) == "" {
		return
	}
	for _, peer := range c.census().Peers(own.Name) {
		if vtepMAC(peer) == vtepMAC(own) {
			c.to.Report(model.Suspicion{Level: model.SuspicionLevelCritical, Code: "address/duplicate", Evidence: "cluster/nodes.yaml",
				Message: fmt.Sprintf("the tunnels of nodes %s and %s have the same hardware address %s", min(own.Name, peer.Name), max(own.Name, peer.Name), vtepMAC(own)),
				Remedy:  "Give one of the machines its own /etc/machine-id, delete its " + c.facts.device() + " and restart flanneld there."})
		}
	}
}

// checkPeer asserts the way to another node's pods, that no policy rule leads
// packets elsewhere, and that what comes from there is let in.
func (c *checkup) checkPeer(peer *corev1.Node) {
	far := c.member(peer.Name)
	if !far.IsValid() {
		return
	}
	c.Remote(c.assert, far, peer)
	dev := c.arrivalDevice(peer)
	if _, ok := c.ns.Device(dev); !ok || !c.local.IsValid() || !c.bridged {
		return
	}
	c.assert.AssertMainTable(route.Query{Src: c.local, Dst: far, IIf: c.facts.bridge})
	plugin.CheckArrival(c.env, c.to, c.ns, route.Query{Src: far, Dst: c.local, IIf: dev})
	plugin.CheckArrival(c.env, c.to, c.ns, route.Query{Src: c.local, Dst: far, IIf: c.facts.bridge})
}

// member is an address of a node's pod network: a pod's, or else the first that
// a pod may have; invalid if the node has no range.
func (f *flannel) member(node string) netip.Addr {
	cidrs := f.env.IPCache.GetNodePodCIDRs(node)
	for _, pod := range f.census().Pods(node) {
		for _, ip := range plugin.PodIPs(pod) {
			for _, c := range cidrs {
				if c.Contains(ip) && ip.Is4() {
					return ip
				}
			}
		}
	}
	for _, c := range cidrs {
		if c.Addr().Is4() {
			return c.Masked().Addr().Next()
		}
	}
	return netip.Addr{}
}

// arrivalDevice is where packets of another node's pods come in, "" if that is
// not known.
func (c *checkup) arrivalDevice(peer *corev1.Node) string {
	if c.facts.backend == "vxlan" && !c.facts.direct {
		return c.facts.device()
	}
	if c.facts.backend != "host-gw" {
		return ""
	}
	dev, _ := plugin.DeviceToward(c.env, c.node.NodeName, c.cfg.HostInterface, publicIP(peer))
	return dev
}

// checkMasquerade asserts that a packet of a pod to the world leaves with the
// node's address.
func (c *checkup) checkMasquerade() {
	if p := plugin.Outside(c.local); c.local.IsValid() && c.bridged && c.Masquerades(p) {
		plugin.CheckMasquerade(c.to, c.ns, p, c.facts.bridge, "Restart flanneld on the node, which writes the masquerade rules.")
	}
}
