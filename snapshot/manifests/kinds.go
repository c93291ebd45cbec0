package manifests

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A kind is what is read of one kind of object.
type kind struct {
	group, kind string
	part        string // of the bundle: cluster/<part>.yaml
	namespaced  bool
	custom      bool     // not there at all unless there is an object
	template    []string // where the template of its pods is; nil if it has none

	// typed reads an object as readers of the snapshot will. It is nil for what
	// they read one by one.
	typed func(*unstructured.Unstructured) error
}

// as reads an object as a T.
func as[T any](o *unstructured.Unstructured) error {
	data, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	var to T
	return json.Unmarshal(data, &to)
}

// kinds lists the kinds that are read. The same resource of Calico has two
// groups: how it is stored, and Calico's own API.
func kinds() []kind {
	const net, admin = "networking.k8s.io", "policy.networking.k8s.io"
	template := []string{"spec", "template"}
	out := []kind{
		{"", "Namespace", "namespaces", false, false, nil, as[corev1.Namespace]},
		{"", "Node", "nodes", false, false, nil, as[corev1.Node]},
		{"", "Pod", "pods", true, false, nil, as[corev1.Pod]},
		{"", "Service", "services", true, false, nil, as[corev1.Service]},
		{"", "Endpoints", "endpoints", true, false, nil, as[corev1.Endpoints]}, //nolint:staticcheck // old clusters have nothing else
		{"", "ConfigMap", "configmaps", true, false, nil, as[corev1.ConfigMap]},
		{"discovery.k8s.io", "EndpointSlice", "endpointslices", true, false, nil, as[discoveryv1.EndpointSlice]},
		{net, "NetworkPolicy", "networkpolicies", true, false, nil, as[networkingv1.NetworkPolicy]},
		{admin, "AdminNetworkPolicy", "adminnetworkpolicies." + admin, false, true, nil, nil},
		{admin, "BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies." + admin, false, true, nil, nil},
		{admin, "ClusterNetworkPolicy", "clusternetworkpolicies." + admin, false, true, nil, nil},
		{"apps", "Deployment", "", true, false, template, nil},
		{"apps", "StatefulSet", "", true, false, template, nil},
		{"apps", "DaemonSet", "", true, false, template, nil},
		{"apps", "ReplicaSet", "", true, false, template, nil},
		{"", "ReplicationController", "", true, false, template, nil},
		{"batch", "Job", "", true, false, template, nil},
		{"batch", "CronJob", "", true, false, []string{"spec", "jobTemplate", "spec", "template"}, nil},
	}
	for _, group := range []string{"projectcalico.org", "crd.projectcalico.org"} {
		out = append(out,
			kind{group, "NetworkPolicy", "networkpolicies." + group, true, true, nil, nil},
			kind{group, "GlobalNetworkPolicy", "globalnetworkpolicies." + group, false, true, nil, nil},
			kind{group, "NetworkSet", "networksets." + group, true, true, nil, nil},
			kind{group, "GlobalNetworkSet", "globalnetworksets." + group, false, true, nil, nil},
			kind{group, "Tier", "tiers." + group, false, true, nil, nil},
			kind{group, "HostEndpoint", "hostendpoints." + group, false, true, nil, nil},
			kind{group, "IPPool", "ippools." + group, false, true, nil, nil},
		)
	}
	return out
}

// kindOf finds the kind of an object.
func kindOf(o *unstructured.Unstructured) (kind, bool) {
	group, version, ok := strings.Cut(o.GetAPIVersion(), "/")
	if !ok || version == "" {
		group = ""
	}
	for _, k := range kinds() {
		if k.kind == o.GetKind() && k.group == group {
			return k, true
		}
	}
	return kind{}, false
}
