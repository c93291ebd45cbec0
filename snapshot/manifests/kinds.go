package manifests

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A kind is what is read of one kind of object.
type kind struct {
	group, kind string
	part        string // of the bundle: cluster/<part>.yaml
	namespaced  bool
	custom      bool     // not there at all unless there is an object
	template    []string // where the template of its pods is; nil if it has none
}

// kinds lists the kinds that are read. The same resource of Calico has two
// groups: how it is stored, and Calico's own API.
func kinds() []kind {
	const net, admin = "networking.k8s.io", "policy.networking.k8s.io"
	template := []string{"spec", "template"}
	out := []kind{
		{"", "Namespace", "namespaces", false, false, nil},
		{"", "Node", "nodes", false, false, nil},
		{"", "Pod", "pods", true, false, nil},
		{"", "Service", "services", true, false, nil},
		{"", "Endpoints", "endpoints", true, false, nil},
		{"", "ConfigMap", "configmaps", true, false, nil},
		{"discovery.k8s.io", "EndpointSlice", "endpointslices", true, false, nil},
		{net, "NetworkPolicy", "networkpolicies", true, false, nil},
		{admin, "AdminNetworkPolicy", "adminnetworkpolicies." + admin, false, true, nil},
		{admin, "BaselineAdminNetworkPolicy", "baselineadminnetworkpolicies." + admin, false, true, nil},
		{admin, "ClusterNetworkPolicy", "clusternetworkpolicies." + admin, false, true, nil},
		{"apps", "Deployment", "", true, false, template},
		{"apps", "StatefulSet", "", true, false, template},
		{"apps", "DaemonSet", "", true, false, template},
		{"apps", "ReplicaSet", "", true, false, template},
		{"", "ReplicationController", "", true, false, template},
		{"batch", "Job", "", true, false, template},
		{"batch", "CronJob", "", true, false, []string{"spec", "jobTemplate", "spec", "template"}},
	}
	for _, group := range []string{"projectcalico.org", "crd.projectcalico.org"} {
		out = append(out,
			kind{group, "NetworkPolicy", "networkpolicies." + group, true, true, nil},
			kind{group, "GlobalNetworkPolicy", "globalnetworkpolicies." + group, false, true, nil},
			kind{group, "NetworkSet", "networksets." + group, true, true, nil},
			kind{group, "GlobalNetworkSet", "globalnetworksets." + group, false, true, nil},
			kind{group, "Tier", "tiers." + group, false, true, nil},
			kind{group, "HostEndpoint", "hostendpoints." + group, false, true, nil},
			kind{group, "IPPool", "ippools." + group, false, true, nil},
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
