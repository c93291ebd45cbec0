package terway

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
)

// CheckNode implements [plugin.Checker].
func (t *terway) CheckNode(r assertions.Reporter, node string) {
	ns := t.host(node)
	if ns == nil {
		return
	}
	to := &once{to: r}
	c := &checkup{fabric: &fabric{terway: t, node: node}, to: to, ns: ns, mtu: t.mtuOf(node),
		assert: assertions.NewNetstackAssertion(to, ns, model.SuspicionLevelCritical)}
	for _, pod := range t.census().Pods(node) {
		c.pod(pod)
	}
}

// once reports what several pods suffer from a single time.
type once struct {
	to   assertions.Reporter
	said []model.Suspicion
}

// Report implements [assertions.Reporter].
func (o *once) Report(s model.Suspicion) {
	if !slices.Contains(o.said, s) {
		o.said = append(o.said, s)
		o.to.Report(s)
	}
}

// A checkup is a check of one node.
type checkup struct {
	*fabric
	to     assertions.Reporter
	ns     *netstack.NetNS
	mtu    int // of pods and ENIs, 0 if it is not known
	assert *assertions.NetstackAssertion
}

// pod asserts what one pod of the node needs.
func (c *checkup) pod(pod *corev1.Pod) {
	m := c.modeOf(pod)
	if !c.Apart(pod) {
		c.LocalPod(c.assert, pod)
	}
	i := slices.IndexFunc(plugin.PodIPs(pod), netip.Addr.Is4)
	if i < 0 {
		return
	}
	p := plugin.Outside(plugin.PodIPs(pod)[i])
	c.Leave(c.assert, p, p.Dst.Addr())
	switch m {
	case modeVPC:
		c.let(p, c.hostEnd(pod, podDevice))
	case modeVeth:
		c.let(p, c.hostEnd(pod, podDevice))
		if got := c.ns.FIB.Lookup(route.Query{Src: p.Src.Addr(), Dst: p.Dst.Addr(), IIf: c.hostEnd(pod, podDevice)}, nil); got.Doubt == nil {
			plugin.CheckArrival(c.env, c.to, c.ns, route.Query{Src: p.Dst.Addr(), Dst: p.Src.Addr(), IIf: got.Dev})
		}
	case modeExclusive:
		if _, up := c.ns.Device(c.hostEnd(pod, exclusiveVeth)); up && c.Masquerades(p) {
			plugin.CheckMasquerade(c.to, c.ns, p, c.hostEnd(pod, exclusiveVeth), "Restart terway on the node, which writes the chain terway-masq.")
		}
	}
	c.checkMTU(pod, m)
}

// let asserts that what a pod sends is let in and passed on.
func (c *checkup) let(p model.Packet, veth string) {
	plugin.CheckArrival(c.env, c.to, c.ns, route.Query{Src: p.Src.Addr(), Dst: p.Dst.Addr(), IIf: veth})
	if dev, ok := c.ns.Device(veth); ok && netstack.Up(dev) {
		if on, at, known := c.ns.FIB.Forwarding(veth, false); known && !on {
			c.assert.Fail("sysctl/ip-forward", at, "sysctl -w net.ipv4.conf."+veth+".forwarding=1", "the node does not pass on what comes in by %s", veth)
		}
	}
}

// checkMTU asserts that the devices on a pod's way have the MTU that terway gives to
// all of them.
func (c *checkup) checkMTU(pod *corev1.Pod, m mode) {
	if place, ns := plugin.PodPlace(c.env, pod); ns != nil {
		c.deviceMTU(c.assert.In(ns, c.env.HopOf(place)), ns, podDevice, "the pod's device")
	}
	switch m {
	case modeVPC, modeVeth:
		c.deviceMTU(c.assert, c.ns, c.hostEnd(pod, podDevice), "the node's end of the veth of pod "+pod.Namespace+"/"+pod.Name)
	case modeIPvlan, modeVLAN:
		if eni, ok := c.parent(c.ns, pod); ok {
			c.deviceMTU(c.assert, c.ns, eni.Name, "the ENI")
		}
	}
	if m == modeVeth {
		for _, eni := range enis(c.ns) {
			c.deviceMTU(c.assert, c.ns, eni.Name, "the ENI")
		}
	}
}

func (c *checkup) deviceMTU(a *assertions.NetstackAssertion, ns *netstack.NetNS, name, what string) {
	dev, ok := ns.Device(name)
	if !ok || c.mtu == 0 || dev.MTU == c.mtu {
		return
	}
	code := "mtu/mismatch"
	if dev.MTU < c.mtu {
		code = "mtu/too-small"
	}
	a.At(model.SuspicionLevelWarning).Fail(code, ns.DeviceEvidence(dev), fmt.Sprintf("ip link set %s mtu %d", name, c.mtu), "%s %s has the MTU %d; terway gives %d to all devices of pods", what, name, dev.MTU, c.mtu)
}
