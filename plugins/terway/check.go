package terway

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// CheckNode implements [plugin.Checker].
func (t *terway) CheckNode(r assertions.Reporter, node string) {
	ns := t.host(node)
	if ns == nil {
		return
	}
	c := &checkup{fabric: &fabric{terway: t, node: node}, to: r, ns: ns, assert: assertions.NewNetstackAssertion(r, ns, model.SuspicionLevelCritical)}
	modes := map[mode]bool{}
	for _, pod := range t.census().Pods(node) {
		c.checkPod(pod)
		modes[t.modeOf(pod)] = true
	}
	if modes[modeVeth] {
		for _, eni := range routing().ENIs(ns) {
			c.checkMTU(c.assert, eni.Name, "the ENI")
		}
	}
}

// A checkup is a check of one node.
type checkup struct {
	*fabric
	to     assertions.Reporter
	ns     *netstack.NetNS
	assert *assertions.NetstackAssertion
}

// checkPod asserts what one pod of the node needs: the way to it, the way out, that
// what it sends and gets is let in and passed on, and the MTU of the devices on its way.
func (c *checkup) checkPod(pod *corev1.Pod) {
	if !c.Apart(pod) {
		c.LocalPod(c.assert, pod)
	}
	ip := plugin.PodIPv4(pod)
	if !ip.IsValid() {
		return
	}
	out := plugin.Outside(ip)
	c.Leave(c.assert, out, out.Dst.Addr())
	veth := c.veth(pod).Peer
	sent := route.Query{Src: ip, Dst: out.Dst.Addr(), IIf: veth}
	switch c.modeOf(pod) {
	case modeVPC:
		plugin.CheckTransit(c.env, c.to, c.ns, sent)
	case modeVeth:
		plugin.CheckTransit(c.env, c.to, c.ns, sent)
		if got := c.ns.FIB.Lookup(sent, nil); got.Doubt == nil {
			plugin.CheckArrival(c.env, c.to, c.ns, route.Query{Src: sent.Dst, Dst: ip, IIf: got.Dev})
		}
	case modeExclusive:
		c.checkHostStack(pod)
		if _, up := c.ns.Device(veth); up && c.Masquerades(out) {
			plugin.CheckMasquerade(c.to, c.ns, out, veth, "Restart terway on the node, which writes the chain terway-masq.")
		}
	}
	c.checkDevices(pod, veth)
}

// checkHostStack asserts that what an exclusive pod sends to Services, and to
// host_stack_cidrs, goes by the veth to its node, where it has one.
func (c *checkup) checkHostStack(pod *corev1.Pod) {
	place, ns := plugin.PodPlace(c.env, pod)
	if _, peer := plugin.PodDevice(c.env, pod, exclusiveVeth); !peer {
		return
	}
	for _, to := range c.hostStack(c.node) {
		c.leadExclusive(c.node)(c.assert.In(ns, c.env.HopOf(place)), to.Addr())
	}
}

// checkDevices asserts the MTU of the devices that a pod is attached by.
func (c *checkup) checkDevices(pod *corev1.Pod, veth string) {
	if place, ns := plugin.PodPlace(c.env, pod); ns != nil {
		c.checkMTU(c.assert.In(ns, c.env.HopOf(place)), podDevice, "the pod's device")
	}
	c.checkMTU(c.assert, veth, "the node's end of the veth of pod "+pod.Namespace+"/"+pod.Name)
	if eni, ok := c.below(pod); ok {
		c.checkMTU(c.assert, eni.Name, "the ENI")
	}
}

func (c *checkup) checkMTU(a *assertions.NetstackAssertion, dev, what string) {
	if mtu := c.mtuOf(c.node); mtu != 0 {
		a.At(model.SuspicionLevelWarning).AssertMTU(dev, what, mtu, fmt.Sprintf("terway gives %d to all devices of pods", mtu))
	}
}
