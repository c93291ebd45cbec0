package plugin

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// AssertBridged asserts what a pod on a bridge of its node needs, as the CNI
// plugin bridge makes it: its own device, the cable as a port of the bridge, and
// the route of the node's range to the bridge for each of the pod's addresses.
// It reports whether all of that holds.
func AssertBridged(env Env, a *assertions.NetstackAssertion, pod *corev1.Pod, ifName, bridge string) bool {
	plugged := AssertPodDevice(env, a, pod, ifName)
	if !a.AssertDevice(bridge, "the bridge of the pods") {
		return false
	}
	if plugged {
		AssertPodPort(env, a, pod, ifName, bridge)
	}
	routed := true
	for _, ip := range PodIPs(pod) {
		if cidr, ok := env.PodCIDR(pod.Spec.NodeName, ip); ok {
			routed = a.AssertRoute(route.Query{IIf: bridge}, assertions.Way{Dst: ip, To: cidr, Dev: bridge}) && routed
		}
	}
	return plugged && routed
}

// CheckHairpin reports ports of a bridge that do not send back by where a packet
// came in, though hairpinMode of the bridge plugin is on: a pod reaches itself by
// a Service that way.
func CheckHairpin(r assertions.Reporter, ns *netstack.NetNS, bridge string) {
	for _, port := range ns.Ports(bridge) {
		if port.Kind == "veth" && port.Port != nil && !port.Port.Hairpin {
			r.Report(model.Suspicion{Level: model.SuspicionLevelWarning, Code: "bridge/hairpin", Evidence: ns.DeviceEvidence(port),
				Message: fmt.Sprintf("hairpin mode of port %s of bridge %s is off, so that its pod cannot reach itself by a Service", port.Name, bridge),
				Remedy:  fmt.Sprintf("bridge link set dev %s hairpin on", port.Name)})
		}
	}
}

// PodCIDR returns the range of a node's pods that ip lies in.
func (e *Env) PodCIDR(node string, ip netip.Addr) (netip.Prefix, bool) {
	for _, c := range e.IPCache.GetNodePodCIDRs(node) {
		if c.Contains(ip) {
			return c, true
		}
	}
	return netip.Prefix{}, false
}
