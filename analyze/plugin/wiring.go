package plugin

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// AssertPodDevice asserts, in the pod's own namespace, that its device is up.
func AssertPodDevice(env Env, a *assertions.NetstackAssertion, pod *corev1.Pod, ifName string) bool {
	place, ns := PodPlace(env, pod)
	return ns == nil || a.In(ns, env.HopOf(place)).AssertDevice(ifName, "the pod's device")
}

// PodEnd finds the node's end of a pod's veth.
func PodEnd(env Env, pod *corev1.Pod, ifName string) (dev string, ok bool) {
	own, ok := PodDevice(env, pod, ifName)
	if !ok {
		return "", false
	}
	place, _ := PodPlace(env, pod)
	end, ok := env.Topology.Peer(place, own)
	return end.Dev, ok && end.Place == place.Host()
}

// PodDevice returns a pod's device, if the pod's namespace was collected.
func PodDevice(env Env, pod *corev1.Pod, ifName string) (*nodedump.Interface, bool) {
	if _, ns := PodPlace(env, pod); ns != nil {
		return ns.Device(ifName)
	}
	return nil, false
}

// Outward is the kind of a device that leads out of its machine, though it is a pod's:
// hardware, or a veth that is a port of something beyond.
const Outward = "outward"

// PodAttachment tells how a pod's device is joined to its machine, and to what there:
// "veth" and its other end, or the kind of a device that stands on another one
// ("ipvlan", "macvlan", "vlan" ...) and that device, or Outward and the pod's device
// itself. An end that is not known is zero, and the kind "" if nothing is.
func PodAttachment(env Env, pod *corev1.Pod, ifName string) (kind string, at topology.End) {
	own, ok := PodDevice(env, pod, ifName)
	if !ok {
		return "", at
	}
	place, _ := PodPlace(env, pod)
	if netstack.Stacked(own) {
		at, _ = env.Topology.Below(place, own)
		return own.Kind, at
	}
	if dev, ok := PodEnd(env, pod, ifName); ok {
		return "veth", topology.End{Place: place.Host(), Dev: dev}
	}
	if at = (topology.End{Place: place, Dev: ifName}); own.Kind == "" || env.Topology.Outward(at) {
		return Outward, at
	}
	return "", topology.End{}
}

// AssertPodPort asserts that the node's end of the pod's veth is a port of a
// bridge.
func AssertPodPort(env Env, a *assertions.NetstackAssertion, pod *corev1.Pod, ifName, bridge string) {
	if end, ok := PodEnd(env, pod, ifName); ok {
		a.AssertBridgePort(end, bridge, "the veth of pod "+pod.Namespace+"/"+pod.Name)
	}
}

// DeviceToward returns the device of a node that leads to ip: the given one, or
// by the node's routes. Where only a default route leads there, or none does, it is
// a device in the network of ip, whose own route must have gone; where there is none,
// the default route's, or else the one with the node's own address. Names of devices
// say nothing.
func DeviceToward(env Env, node, given string, ip netip.Addr) (string, bool) {
	if given != "" {
		return given, true
	}
	ns := env.Atlas.NetNS(PlaceOf(node))
	if ns == nil || !ip.IsValid() {
		return "", false
	}
	res := ns.FIB.Lookup(route.Query{Dst: ip}, nil)
	routed := res.Type == route.TypeUnicast
	if routed && res.Prefix.Bits() > 0 {
		return res.Dev, true
	}
	if dev, ok := deviceWithin(ns, ip); ok {
		return dev, true
	}
	if routed {
		return res.Dev, true
	}
	for _, own := range env.IPCache.GetNodeIPs(node) {
		if dev, ok := ns.FIB.DeviceOwning(own); ok && own.Is4() == ip.Is4() {
			return dev.Name, true
		}
	}
	return "", false
}

// deviceWithin finds the device with an address in the network of ip, the
// smallest network if there are several.
func deviceWithin(ns *netstack.NetNS, ip netip.Addr) (dev string, ok bool) {
	best := 0
	for i := range ns.Info.Interfaces {
		for _, a := range ns.Info.Interfaces[i].Addrs {
			if p, err := netip.ParsePrefix(a.Prefix); err == nil && p.Contains(ip) && p.Bits() > best {
				dev, best = ns.Info.Interfaces[i].Name, p.Bits()
			}
		}
	}
	return dev, best > 0
}

// PodPlace finds the namespace of a pod, nil if it was not collected.
func PodPlace(env Env, pod *corev1.Pod) (topology.Place, *netstack.NetNS) {
	ip, err := netip.ParseAddr(pod.Status.PodIP)
	if err != nil {
		return topology.Place{}, nil
	}
	place, ok := env.Atlas.Pod(ip)
	if !ok || env.HopOf(place) != model.PodHop(pod.Namespace, pod.Name) {
		return topology.Place{}, nil
	}
	return place, env.Atlas.NetNS(place)
}
