package collect

import "k8s.io/apimachinery/pkg/runtime/schema"

// A resource is what is listed into one part of the bundle.
type resource struct {
	group, version string // version "" is the one that the server prefers
	plural         string
}

// part returns the name of the resource in the bundle: that of the API for
// what Kubernetes itself has, with the group for custom resources.
func (r resource) part() string {
	if r.version != "" {
		return r.plural
	}
	return r.plural + "." + r.group
}

// at returns the resource in a version.
func (r resource) at(version string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: r.group, Version: version, Resource: r.plural}
}

// builtins lists the resources that every cluster has. Secrets must never be
// among them.
func builtins() []resource {
	return []resource{
		{"", "v1", "namespaces"},
		{"", "v1", "nodes"},
		{"", "v1", "pods"},
		{"", "v1", "services"},
		{"", "v1", "serviceaccounts"},
		{"", "v1", "endpoints"},
		{"discovery.k8s.io", "v1", "endpointslices"},
		{"networking.k8s.io", "v1", "networkpolicies"},
		{"apps", "v1", "daemonsets"},
	}
}

// customs lists the custom resources of CNI plugins. A group that the cluster
// does not have leaves no trace in the bundle.
func customs() []resource {
	const calico, calicoAPI, admin = "crd.projectcalico.org", "projectcalico.org", "policy.networking.k8s.io"
	var out []resource
	for _, plural := range []string{
		"ippools", "blockaffinities", "ipamblocks", "felixconfigurations", "bgpconfigurations", "bgppeers", "caliconodestatuses",
		"networkpolicies", "globalnetworkpolicies", "globalnetworksets", "networksets", "tiers", "hostendpoints",
	} {
		out = append(out, resource{group: calico, plural: plural}, resource{group: calicoAPI, plural: plural})
	}
	for _, plural := range []string{"nodes", "podenis", "podnetworkings"} {
		out = append(out, resource{group: "network.alibabacloud.com", plural: plural})
	}
	for _, plural := range []string{"adminnetworkpolicies", "baselineadminnetworkpolicies", "clusternetworkpolicies"} {
		out = append(out, resource{group: admin, plural: plural})
	}
	return out
}

// A configMap is one that says how the network is set up.
type configMap struct{ namespace, name string }

// configMaps lists the only config maps that are read.
func configMaps() []configMap {
	return []configMap{
		{"kube-system", "kube-proxy"},
		{"kube-system", "kube-proxy-config"},
		{"kube-system", "kubeadm-config"},
		{"kube-flannel", "kube-flannel-cfg"},
		{"kube-system", "kube-flannel-cfg"},
		{"kube-system", "rke2-flannel-config"},
		{"kube-system", "canal-config"},
		{"kube-system", "rke2-canal-config"},
		{"kube-system", "calico-config"},
		{"calico-system", "cni-config"},
		{"kube-system", "cilium-config"},
		{"kube-system", "eni-config"},
		{"kube-system", "terway-config"},
	}
}
