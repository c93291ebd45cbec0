package plugin

import (
	"crypto/sha1" //nolint:gosec // it names devices, as CNI plugins do
	"encoding/hex"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// A Veth is the cable of a pod that is on no bridge: the node has a route to each
// of the pod's addresses by its own end, and the pod's router is an address that
// nobody has.
type Veth struct {
	Pod    *corev1.Pod
	Device string // the end in the pod
	Peer   string // the end at the node

	env Env
}

// VethOf finds a pod's cable by its end in the pod. Where that does not show the
// node's end, it is the one that Calico and those who follow it make: prefix and a
// hash of the pod's name (libcalico-go/lib/backend/k8s/conversion/workload_endpoint_default.go),
// or, if the node has none of that name, the one that it has a route to the pod by: agents can be
// told another prefix in ways that no bundle shows.
func VethOf(env Env, pod *corev1.Pod, device, prefix string) Veth {
	v := Veth{Pod: pod, Device: device, env: env}
	dev, ok := PodEnd(env, pod, device)
	if v.Peer = dev; !ok {
		sum := sha1.Sum([]byte(pod.Namespace + "." + pod.Name)) //nolint:gosec // as above
		v.Peer = prefix + hex.EncodeToString(sum[:])[:11]
		v.Peer = v.routed(env.Atlas.NetNS(PlaceOf(pod.Spec.NodeName)))
	}
	return v
}

// routed is the veth by which the node has a route to the pod alone, if it has no Peer;
// otherwise Peer.
func (v Veth) routed(ns *netstack.NetNS) string {
	if ns == nil {
		return v.Peer
	}
	if _, ok := ns.Device(v.Peer); ok {
		return v.Peer
	}
	for _, ip := range PodIPs(v.Pod) {
		for _, e := range ns.FIB.Routes(route.TableMain, netip.PrefixFrom(ip, ip.BitLen())) {
			if e.Route == nil {
				continue
			}
			if dev, ok := ns.Device(e.Route.Dev); ok && dev.Kind == "veth" {
				return dev.Name
			}
		}
	}
	return v.Peer
}

func (v Veth) name() string { return v.Pod.Namespace + "/" + v.Pod.Name }

// Assert asserts what packets need to come from the node to the pod: both ends, the
// routes, and no wrong hardware address.
func (v Veth) Assert(a *assertions.NetstackAssertion) bool {
	if !v.AssertEnds(a) {
		return false
	}
	routed := v.AssertRoutes(a)
	return v.AssertNeighbours(a) && routed
}

// AssertEnds asserts that both ends of the cable are up.
func (v Veth) AssertEnds(a *assertions.NetstackAssertion) bool {
	return AssertPodDevice(v.env, a, v.Pod, v.Device) && v.AssertPeer(a)
}

// AssertPeer asserts that the node's end is up.
func (v Veth) AssertPeer(a *assertions.NetstackAssertion) bool {
	return a.AssertDevice(v.Peer, "the node's end of the veth of pod "+v.name())
}

// AssertRoutes asserts that the node routes each address of the pod to its end.
func (v Veth) AssertRoutes(a *assertions.NetstackAssertion) bool {
	return AssertPodRoutes(a, v.Pod, v.Peer)
}

// AssertPodRoutes asserts that a node routes each address of a pod to one of its devices.
func AssertPodRoutes(a *assertions.NetstackAssertion, pod *corev1.Pod, dev string) bool {
	all := true
	for _, ip := range PodIPs(pod) {
		all = a.AssertRoute(route.Query{}, assertions.Way{Dst: ip, To: netip.PrefixFrom(ip, ip.BitLen()), Dev: dev}) && all
	}
	return all
}

// AssertNeighbours asserts that what the node knows of the hardware address of the
// pod is so.
func (v Veth) AssertNeighbours(a *assertions.NetstackAssertion) bool {
	all := true
	dev, known := PodDevice(v.env, v.Pod, v.Device)
	for _, ip := range PodIPs(v.Pod) {
		if known {
			all = a.AssertNeighbour(v.Peer, ip, dev.MAC, false) && all
		}
	}
	return all
}

// AssertGateway asserts that the pod gets at the node's end for its router. Of IPv6
// that is an address of this end itself; of IPv4 one that nobody has: the node
// answers for everything that is asked for there (proxy_arp), or the pod has an entry
// that says so. static says that this entry is what the network means; otherwise it
// means that the node answers.
func (v Veth) AssertGateway(a *assertions.NetstackAssertion, gateway netip.Addr, static bool) bool {
	ns := a.NS()
	if ns == nil {
		return true
	}
	dev, ok := ns.Device(v.Peer)
	if !ok {
		return true
	}
	answered := gateway.Is6() || ns.FIB.Switched("ipv4", v.Peer, "proxy_arp")
	if place, in := PodPlace(v.env, v.Pod); in != nil &&
		!a.In(in, v.env.HopOf(place)).AssertNeighbour(v.Device, gateway, dev.MAC, static && !answered) {
		return false
	}
	return answered || static || a.AssertSysctl("neigh/missing", "net.ipv4.conf."+v.Peer+".proxy_arp", "1", fmt.Sprintf("nobody answers pod %s for its gateway %s", v.name(), gateway))
}
