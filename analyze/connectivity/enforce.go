package connectivity

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/snapshot"
)

// engines are parts of the names of images that enforce policies.
func engines() []string {
	return []string{"calico", "canal", "cilium", "kube-router", "kube-network-policies", "antrea", "weave-npc", "romana", "ovn", "kindnetd", "netpol"}
}

// Unenforced says that nothing in the bundle enforces policies, "" if something
// does or if the bundle does not tell. Plugin is the name of the network plugin:
// flannel has no policy engine unless one runs beside it.
func Unenforced(snap *snapshot.Snapshot, plugin string) string {
	if plugin != "flannel" {
		return ""
	}
	sets, err := snap.DaemonSets()
	if err != nil {
		return ""
	}
	for i := range sets {
		if enforces(&sets[i].Spec.Template.Spec) {
			return ""
		}
	}
	return fmt.Sprintf("%s does not enforce policies, and no DaemonSet of the bundle is a policy engine: what is denied here passes all the same", plugin)
}

func enforces(pod *corev1.PodSpec) bool {
	return slices.ContainsFunc(slices.Concat(pod.InitContainers, pod.Containers), func(c corev1.Container) bool {
		return slices.ContainsFunc(engines(), func(part string) bool { return strings.Contains(c.Image, part) })
	})
}
