package connectivity

import (
	"net/netip"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Workload is pods that one object owns, or a pod that nobody owns.
type Workload struct {
	Namespace, Name string
	Kind            string   // "Deployment", "DaemonSet", ...; "Pod" for a pod that nobody owns
	Pods            []string // names of those in the group, sorted
	Part            bool     // other pods of it are in other groups
	twin            bool     // another kind has one of the same name
}

// scheduled ends the names of Jobs that a CronJob makes: minutes since 1970.
const scheduled = `^(.+)-[0-9]{8,}$`

// workloadOf returns what owns a pod, without its pods. A ReplicaSet with the
// hash of a template belongs to a Deployment (or a Rollout of Argo), a Job with
// a time to a CronJob; the mirror of a static pod is named after its node, so
// that it is one with those of the other nodes.
func workloadOf(pod *corev1.Pod) Workload {
	w := Workload{Namespace: pod.Namespace, Name: pod.Name, Kind: "Pod"}
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return w
	}
	w.Kind, w.Name = owner.Kind, owner.Name
	switch owner.Kind {
	case "ReplicaSet":
		for label, kind := range map[string]string{"pod-template-hash": "Deployment", "rollouts-pod-template-hash": "Rollout"} {
			if name, ok := strings.CutSuffix(owner.Name, "-"+pod.Labels[label]); ok && pod.Labels[label] != "" {
				w.Kind, w.Name = kind, name
			}
		}
	case "Job":
		if m := regexp.MustCompile(scheduled).FindStringSubmatch(owner.Name); m != nil {
			w.Kind, w.Name = "CronJob", m[1]
		}
	case "Node":
		w.Name = strings.TrimSuffix(pod.Name, "-"+owner.Name)
	}
	return w
}

// ended reports whether a pod has ended for good and talks to nobody.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// addressesOf returns the first address of each family that a pod has.
func addressesOf(pod *corev1.Pod) (out []netip.Addr) {
	texts := []string{pod.Status.PodIP}
	for _, ip := range pod.Status.PodIPs {
		texts = append(texts, ip.IP)
	}
	var all []netip.Addr
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil { // who reads the pods says what makes no sense
			all = append(all, a)
		}
	}
	return firstOfFamilies(all)
}

func firstOfFamilies(all []netip.Addr) (out []netip.Addr) {
	have := map[int]bool{}
	for _, a := range all {
		if a = a.Unmap(); !have[familyOf(a)] {
			have[familyOf(a)] = true
			out = append(out, a)
		}
	}
	return out
}
