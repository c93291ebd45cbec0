package terway

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// A checkup is the check of one node.
type checkup struct {
	*plugin.Checkup
	*fabric
	mtu int // of pods and ENIs, 0 if it is not known
}

// CheckNode implements [plugin.Checker].
func (t *terway) CheckNode(r assertions.Reporter, node string) {
	f := t.at(node)
	c := &checkup{plugin.NewCheckup(t.Basis, r, node, f, "terway"), f, t.mtuOf(node)}
	if c.NS() == nil {
		return
	}
	modes := map[mode]bool{}
	for _, pod := range c.Pods() {
		modes[t.modeOf(pod)] = true
		c.checkPod(pod)
	}
	if modes[modeVeth] {
		for _, eni := range routing().ENIs(c.NS()) {
			c.checkMTU(c.NetstackAssertion, eni.Name, "the ENI")
		}
	}
	c.CheckMasquerade()
}

// checkPod asserts what one pod of the node needs: the way to it, the way out, that
// what it sends and gets is let in and passed on, and the MTU of the devices that it
// is attached by.
func (c *checkup) checkPod(pod *corev1.Pod) {
	if !c.Apart(pod) {
		c.LocalPod(c.NetstackAssertion, pod)
	}
	ip := plugin.PodIPv4(pod)
	if !ip.IsValid() {
		return
	}
	out, veth := plugin.Outside(ip), c.veth(pod).Peer
	c.Leave(c.NetstackAssertion, out, out.Dst.Addr())
	sent := route.Query{Src: ip, Dst: out.Dst.Addr(), IIf: veth}
	switch c.modeOf(pod) {
	case modeVPC:
		plugin.CheckTransit(c.Env, c.To, c.NS(), sent)
	case modeVeth:
		plugin.CheckTransit(c.Env, c.To, c.NS(), sent)
		if got := c.NS().FIB.Lookup(sent, nil); got.Doubt == nil {
			plugin.CheckArrival(c.Env, c.To, c.NS(), route.Query{Src: sent.Dst, Dst: ip, IIf: got.Dev})
		}
	case modeExclusive:
		c.checkHostStack(pod)
		c.Sends(ip, veth) // and what it sends by its node is masqueraded
	}
	if place, ns := plugin.PodPlace(c.Env, pod); ns != nil {
		c.checkMTU(c.In(ns, c.HopOf(place)), podDevice, "the pod's device")
	}
	c.checkMTU(c.NetstackAssertion, veth, "the node's end of the veth of pod "+pod.Namespace+"/"+pod.Name)
	if eni, ok := c.below(pod); ok {
		c.checkMTU(c.NetstackAssertion, eni.Name, "the ENI")
	}
}

// checkHostStack asserts that what an exclusive pod sends to Services, and to
// host_stack_cidrs, goes by the veth to its node, where it has one.
func (c *checkup) checkHostStack(pod *corev1.Pod) {
	place, ns := plugin.PodPlace(c.Env, pod)
	if _, peer := plugin.PodDevice(c.Env, pod, exclusiveVeth); !peer {
		return
	}
	lead := c.leadExclusive(c.node)
	for _, to := range c.hostStack(c.node) {
		lead(c.In(ns, c.HopOf(place)), to.Addr())
	}
}

func (c *checkup) checkMTU(a *assertions.NetstackAssertion, dev, what string) {
	if c.mtu != 0 {
		a.At(model.SuspicionLevelWarning).AssertMTU(dev, what, c.mtu, fmt.Sprintf("terway gives %d to all devices of pods", c.mtu))
	}
}
