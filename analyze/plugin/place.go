package plugin

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/topology"
)

// PodPlace finds the namespace of a pod, nil if it was not collected.
func PodPlace(env Env, pod *corev1.Pod) (topology.Place, *netstack.NetNS) { return podPlace(env, pod) }
