package plugin

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// A Census is who lives where, counted once.
type Census struct {
	Nodes []corev1.Node            // those of the Node objects, none if there are no such objects
	pods  map[string][]*corev1.Pod // by node
}

// Count takes a census.
func Count(env Env) Census {
	c := Census{pods: map[string][]*corev1.Pod{}}
	c.Nodes, _ = env.Snapshot.Nodes() // without Node objects there are no peers to ask about
	for _, pod := range env.IPCache.Pods() {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		if !pod.Spec.HostNetwork && !ended && len(PodIPs(pod)) > 0 {
			c.pods[pod.Spec.NodeName] = append(c.pods[pod.Spec.NodeName], pod)
		}
	}
	return c
}

// Pods are the pods of a node that have an address in the network and have not
// ended, by namespace and name.
func (c Census) Pods(node string) []*corev1.Pod { return c.pods[node] }

// Peers are the other nodes.
func (c Census) Peers(node string) (list []*corev1.Node) {
	for i := range c.Nodes {
		if c.Nodes[i].Name != node {
			list = append(list, &c.Nodes[i])
		}
	}
	return list
}

// PodIPv4 is the first IPv4 address of a pod, the zero Addr if it has none.
func PodIPv4(pod *corev1.Pod) netip.Addr {
	for _, ip := range PodIPs(pod) {
		if ip.Is4() {
			return ip
		}
	}
	return netip.Addr{}
}

// PodIPs are the addresses of a pod, the primary one first. What is no address
// is left out.
func PodIPs(pod *corev1.Pod) (ips []netip.Addr) {
	for _, p := range pod.Status.PodIPs {
		if a, err := netip.ParseAddr(p.IP); err == nil {
			ips = append(ips, a)
		}
	}
	if a, err := netip.ParseAddr(pod.Status.PodIP); err == nil && len(ips) == 0 {
		ips = append(ips, a)
	}
	return ips
}
