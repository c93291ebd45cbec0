package collect

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/collect/netns"
	"github.com/pathsnap/pathsnap/snapshot"
)

// PodRefs returns what a bundle knows about the pods of a node, so that a
// collector on that node can name their network namespaces. Pods that have
// ended have no namespace any more and are left out.
func PodRefs(s *snapshot.Snapshot, node string) ([]netns.PodRef, error) {
	pods, err := s.Pods()
	if err != nil {
		return nil, fmt.Errorf("pods of node %s: %w", node, err)
	}
	var refs []netns.PodRef
	for i := range pods {
		pod := &pods[i]
		if pod.Spec.NodeName != node || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			continue
		}
		refs = append(refs, podRef(pod))
	}
	return refs, nil
}

// podRef returns what a namespace can be recognized by.
func podRef(pod *corev1.Pod) netns.PodRef {
	ref := netns.PodRef{
		Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), HostNetwork: pod.Spec.HostNetwork,
	}
	// The cgroup of a static pod has the hash of its manifest, not the UID of
	// the pod that stands for it in the cluster.
	if hash := pod.Annotations["kubernetes.io/config.hash"]; hash != "" {
		ref.UID = hash
	}
	ips := pod.Status.PodIPs
	if len(ips) == 0 {
		ips = []corev1.PodIP{{IP: pod.Status.PodIP}}
	}
	for _, ip := range ips {
		if addr, err := netip.ParseAddr(ip.IP); err == nil {
			ref.IPs = append(ref.IPs, addr)
		}
	}
	return ref
}
