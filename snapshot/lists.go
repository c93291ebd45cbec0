package snapshot

import (
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Pods returns the pods of the cluster.
func (s *Snapshot) Pods() ([]corev1.Pod, error) { return list[corev1.Pod](s, "pods") }

// Nodes returns the nodes of the cluster.
func (s *Snapshot) Nodes() ([]corev1.Node, error) { return list[corev1.Node](s, "nodes") }

// Namespaces returns the namespaces of the cluster.
func (s *Snapshot) Namespaces() ([]corev1.Namespace, error) {
	return list[corev1.Namespace](s, "namespaces")
}

// Services returns the services of the cluster.
func (s *Snapshot) Services() ([]corev1.Service, error) { return list[corev1.Service](s, "services") }

// Endpoints returns the endpoints of the cluster, the predecessor of
// EndpointSlices.
func (s *Snapshot) Endpoints() ([]corev1.Endpoints, error) { //nolint:staticcheck // old clusters have nothing else
	return list[corev1.Endpoints](s, "endpoints") //nolint:staticcheck // as above
}

// EndpointSlices returns the endpoint slices of the cluster.
func (s *Snapshot) EndpointSlices() ([]discoveryv1.EndpointSlice, error) {
	return list[discoveryv1.EndpointSlice](s, "endpointslices")
}

// NetworkPolicies returns the network policies of the cluster.
func (s *Snapshot) NetworkPolicies() ([]networkingv1.NetworkPolicy, error) {
	return list[networkingv1.NetworkPolicy](s, "networkpolicies")
}

// DaemonSets returns the daemon sets of the cluster.
func (s *Snapshot) DaemonSets() ([]appsv1.DaemonSet, error) {
	return list[appsv1.DaemonSet](s, "daemonsets")
}

// ConfigMaps returns the config maps of kube-proxy and the CNI.
func (s *Snapshot) ConfigMaps() ([]corev1.ConfigMap, error) {
	return list[corev1.ConfigMap](s, "configmaps")
}

// Custom returns the objects of a custom resource, named "<plural>.<group>".
func (s *Snapshot) Custom(resource string) ([]unstructured.Unstructured, error) {
	objects, err := list[map[string]any](s, resource)
	if err != nil {
		return nil, err
	}
	out := make([]unstructured.Unstructured, len(objects))
	for i, o := range objects {
		out[i].Object = o
	}
	return out, nil
}

// list reads cluster/<resource>.yaml.
func list[T any](s *Snapshot, resource string) ([]T, error) {
	name := clusterName(resource)
	data, err := s.Read(name)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	var l struct {
		Items []T `json:"items"`
	}
	if data, err = yaml.YAMLToJSON(data); err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l.Items, nil
}

func clusterName(resource string) string { return "cluster/" + resource + ".yaml" }
