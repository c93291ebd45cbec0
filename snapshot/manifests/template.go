package manifests

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// templates makes a pod of each workload that has none.
func (r *reader) templates() {
	const pods = "pods"
	real := r.parts[pods]
	for _, w := range r.workloads {
		if hasPods(w, real) {
			continue
		}
		pod, err := podOf(w)
		if err == nil {
			err = as[corev1.Pod](pod)
		}
		if err != nil {
			r.bad(w.GetKind()+" "+w.GetNamespace()+"/"+w.GetName(), err)
			continue
		}
		if key := pods + "Pod\x00" + pod.GetNamespace() + "/" + pod.GetName(); !r.seen[key] {
			r.seen[key] = true
			r.parts[pods] = append(r.parts[pods], pod)
		}
	}
}

// hasPods reports whether one of the pods is a workload's: by its owner, or by
// the selector.
func hasPods(w *unstructured.Unstructured, pods []runtime.Object) bool {
	selector := selectorOf(w)
	for _, o := range pods {
		pod, ok := o.(*unstructured.Unstructured)
		if !ok || pod.GetNamespace() != w.GetNamespace() {
			continue
		}
		for _, owner := range pod.GetOwnerReferences() {
			if owner.Kind == w.GetKind() && owner.Name == w.GetName() {
				return true
			}
		}
		if selector != nil && selector.Matches(labels.Set(pod.GetLabels())) {
			return true
		}
	}
	return false
}

// selectorOf returns the selector of a workload, nil if it has none that can be
// read. ReplicationControllers have plain labels.
func selectorOf(w *unstructured.Unstructured) labels.Selector {
	content, _, _ := unstructured.NestedMap(w.Object, "spec", "selector")
	if len(content) == 0 {
		return nil
	}
	if w.GetKind() == "ReplicationController" {
		plain, _, err := unstructured.NestedStringMap(w.Object, "spec", "selector")
		if err != nil {
			return nil
		}
		return labels.SelectorFromSet(plain)
	}
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &s); err != nil {
		return nil
	}
	out, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil || out.Empty() {
		return nil
	}
	return out
}

// podOf makes a pod of a workload's template.
func podOf(w *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	k, _ := kindOf(w)
	template, ok, err := unstructured.NestedMap(w.Object, k.template...)
	if err != nil {
		return nil, fmt.Errorf("its template of pods: %w", err)
	}
	if !ok {
		return nil, errors.New("it has no template of pods")
	}
	spec, _ := template["spec"].(map[string]any)
	pod := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	if spec == nil {
		delete(pod.Object, "spec")
	}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	pod.SetNamespace(w.GetNamespace())
	pod.SetName(w.GetName())
	given, _, err := unstructured.NestedStringMap(template, "metadata", "labels")
	if err != nil {
		return nil, err
	}
	pod.SetLabels(given)
	pod.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: w.GetAPIVersion(), Kind: w.GetKind(), Name: w.GetName()}})
	return pod, nil
}
