package calico

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// CheckNode implements [plugin.Checker].
func (c *calico) CheckNode(r assertions.Reporter, node string) {
	ns := c.env.Atlas.NetNS(plugin.PlaceOf(node))
	if ns == nil {
		return
	}
	u := &checkup{fabric: &fabric{calico: c, node: node}, to: r, ns: ns,
		assert: assertions.NewNetstackAssertion(r, ns, model.SuspicionLevelCritical)}
	if u.bpf() {
		u.assert.At(model.SuspicionLevelInfo).Fail("network/not-checked", "cluster/"+c.env.Snapshot.CalicoResource("felixconfigurations")+".yaml", "",
			"Calico's eBPF data plane is on (bpfEnabled): what it needs of the node is not checked, and what becomes of packets at its programs is not known")
		return
	}
	u.checkPods()
	u.checkOwn()
	for _, peer := range c.census().Peers(node) {
		u.checkPeer(peer)
		u.assertSession(u.assert.At(model.SuspicionLevelWarning), peer.Name) // the routes may be there still
	}
	u.checkMTU()
	if p := plugin.Outside(u.local); u.local.IsValid() && u.Masquerades(p) {
		plugin.CheckMasquerade(r, ns, p, u.from, "Restart calico-node on the node, which writes the rules and sets of natOutgoing.")
	}
}

// A checkup is a check of one node.
type checkup struct {
	*fabric
	to     assertions.Reporter
	ns     *netstack.NetNS
	assert *assertions.NetstackAssertion
	local  netip.Addr // of a pod of the node, invalid if there is none
	from   string     // the node's end of its veth
}

// checkPods asserts the pods' veths, the routes to them, who answers them, and
// that their addresses are the node's to give.
func (c *checkup) checkPods() {
	for _, pod := range c.census().Pods(c.node) {
		c.LocalPod(c.assert, pod)
		c.veth(pod).AssertGateway(c.assert, gateway(), false)
		for _, ip := range plugin.PodIPs(pod) {
			if dev, ok := c.ns.Device(c.veth(pod).Peer); ok && netstack.Up(dev) && ip.Is4() {
				c.local, c.from = ip, dev.Name
			}
			c.checkPlace(pod, ip)
		}
	}
}

// checkPlace asserts that an address is of a pool, and of a block that the node
// claims or borrowed the address from. Without pools nothing is known of them.
func (c *checkup) checkPlace(pod *corev1.Pod, ip netip.Addr) {
	if len(c.facts().pools) == 0 || !ip.Is4() {
		return
	}
	at := "cluster/" + c.env.Snapshot.CalicoResource("ippools") + ".yaml"
	p, ok := c.facts().pool(ip)
	if !ok {
		c.assert.Fail("address/wrong", at, "Recreate the pod, or restore the IPPool.",
			"%s, the address of pod %s/%s, is in no IPPool: Calico has no tunnel and no masquerading for it", ip, pod.Namespace, pod.Name)
		return
	}
	if p.disabled {
		c.assert.At(model.SuspicionLevelInfo).Fail("address/wrong", at, "", "pod %s/%s keeps %s until it is recreated: the IPPool %s is disabled", pod.Namespace, pod.Name, ip, p.name)
	}
	c.placed(c.assert, ip, c.node)
}

// checkOwn asserts that the others reach the node by an address of its own, which
// no other node has.
func (c *checkup) checkOwn() {
	own := c.facts().members[c.node]
	c.assertAddress(c.assert, c.node)
	for _, peer := range c.census().Peers(c.node) {
		m := c.facts().members[peer.Name]
		if own != nil && own.addr.IsValid() && m.addr.IsValid() && m.addr.Addr() == own.addr.Addr() {
			c.assert.Fail("address/duplicate", "cluster/nodes.yaml", "Set IP_AUTODETECTION_METHOD of calico-node so that it finds the right address of each.",
				"Calico tells that nodes %s and %s are both at %s", min(c.node, peer.Name), max(c.node, peer.Name), own.addr.Addr())
		}
	}
}

// checkPeer asserts the ways to the blocks of another node, that no policy rule
// leads packets elsewhere, and that what comes from there is let in.
func (c *checkup) checkPeer(peer *corev1.Node) {
	for _, far := range c.targets()[peer.Name] {
		if _, pod := c.env.IPCache.GetPodFromIP(far); !pod && c.perPod() {
			continue // felix writes no route for it
		}
		c.remote(c.assert, far, peer)
		p, ok := c.facts().pool(far)
		if !ok || !c.local.IsValid() {
			continue
		}
		dev := c.way(p, peer.Name).Dev
		if dev != c.wireguard() { // to which a rule of felix's leads
			c.assert.AssertMainTable(route.Query{Src: c.local, Dst: far, IIf: c.from})
		}
		plugin.CheckArrival(c.env, c.to, c.ns, route.Query{Src: far, Dst: c.local, IIf: dev})
		plugin.CheckArrival(c.env, c.to, c.ns, route.Query{Src: c.local, Dst: far, IIf: c.from})
	}
}

// aims are addresses of each node: one for each of its blocks, a pod's where it
// has one, and those that it borrowed.
func (c *calico) aims() map[string][]netip.Addr {
	all, blocks := map[string][]netip.Addr{}, c.facts().blocksByNode()
	for _, n := range c.census().Nodes {
		seen := map[netip.Prefix]bool{}
		for _, pod := range c.census().Pods(n.Name) {
			for _, ip := range plugin.PodIPs(pod) {
				block, nodes, ok := c.facts().block(ip)
				if ok && (!seen[block] || !slices.Contains(nodes, n.Name)) {
					all[n.Name] = append(all[n.Name], ip)
				}
				seen[block] = seen[block] || slices.Contains(nodes, n.Name)
			}
		}
		for _, block := range blocks[n.Name] {
			if !seen[block] {
				all[n.Name] = append(all[n.Name], c.facts().sample(block, n.Name))
			}
		}
	}
	return all
}

// An encapsulation is what a way between nodes costs.
type encapsulation struct {
	device, what string
	overhead     int    // felix/dataplane/linux/int_dataplane.go
	option       string // that says what pods may send, and what it is
	podMTU       int
}

// encapsulations are those that packets of the node's pods need.
func (c *checkup) encapsulations() (list []encapsulation) {
	all := []encapsulation{
		{ipipDevice, "IPIP", 20, "--calico-ipip-pod-mtu", c.cfg.IPIPPodMTU},
		{vxlanDevice, "VXLAN", 50, "--calico-vxlan-pod-mtu", c.cfg.VXLANPodMTU},
		{c.wireguard(), "WireGuard", 60, "", 0},
	}
	used := map[string]bool{}
	for _, peer := range c.census().Peers(c.node) {
		for _, p := range c.facts().pools {
			if p.prefix.Addr().Is4() {
				used[c.way(p, peer.Name).Dev] = true
			}
		}
	}
	list = slices.DeleteFunc(all, func(e encapsulation) bool { return !used[e.device] })
	if len(list) == 0 {
		list = append(list, encapsulation{what: "no encapsulation", option: "--calico-pod-mtu", podMTU: c.cfg.PodMTU})
	}
	return list
}

// checkMTU asserts that a full packet of a tunnel fits what the nodes exchange,
// and one of a pod as well, with what its encapsulation costs.
func (c *checkup) checkMTU() {
	below, ok := c.hostDevice()
	if !ok {
		return
	}
	host, from := below.MTU, "the MTU of "+below.Name
	if c.cfg.HostMTU != 0 {
		host, from = c.cfg.HostMTU, "--calico-host-mtu"
	}
	for _, e := range c.encapsulations() {
		dev, ok := c.ns.Device(e.device)
		if ok && netstack.Up(dev) && dev.MTU+e.overhead > host {
			c.assert.Fail("mtu/too-small", c.ns.DeviceEvidence(below), fmt.Sprintf("ip link set %s mtu %d, and the same or less for the pods; or raise the MTU between the nodes.", dev.Name, host-e.overhead),
				"%s is %d, and the tunnel %s makes packets of up to %d bytes of its %d", from, host, dev.Name, dev.MTU+e.overhead, dev.MTU)
		}
		limit, why := host-e.overhead, fmt.Sprintf("%s is %d, of which %s takes %d", from, host, e.what, e.overhead)
		if e.podMTU != 0 {
			limit, why = e.podMTU, e.option
		}
		plugin.CheckPodMTU(c.env, c.to, c.census().Pods(c.node), limit, why)
	}
}

// hostDevice is the device towards the other nodes.
func (c *checkup) hostDevice() (*nodedump.Interface, bool) {
	if own := c.facts().members[c.node]; c.cfg.HostInterface == "" && own != nil && own.addr.IsValid() {
		return c.ns.FIB.DeviceOwning(own.addr.Addr())
	}
	return c.ns.Device(c.cfg.HostInterface)
}
