package k8s

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A PodNetns is a network namespace of a node and the pod that lives in it.
type PodNetns struct {
	Key                string
	Namespace, PodName string // "" if nobody is known to live there
	By                 string // how that was found: "name", "uid" or "address"
}

// PodNetns says which pod lives in which namespace of a node, in the order of
// the dump. The host's own namespace is not among them. load reads a namespace;
// it is called only for those that must be told by their addresses.
func (c *IPCache) PodNetns(node *nodedump.NodeNetworkStackDump, load func(key string) (*nodedump.NetNSInfo, error)) []PodNetns {
	named := map[string]PodNetns{}
	for _, p := range node.Pods {
		if found, ok := c.byEntry(p); ok {
			if have, twice := named[p.Netns]; !twice || have.By == "uid" && found.By == "name" {
				named[p.Netns] = found
			}
		}
	}
	var out []PodNetns
	for _, key := range netnsKeys(node) {
		found, ok := named[key]
		if !ok {
			found = c.byAddress(node.Name, key, load)
		}
		out = append(out, found)
	}
	return out
}

// netnsKeys returns the keys of all namespaces but the host's, those that only
// a pod mentions too.
func netnsKeys(node *nodedump.NodeNetworkStackDump) (keys []string) {
	add := func(key string) {
		if key != "" && key != nodedump.HostNetns && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, key := range node.Netns {
		add(key)
	}
	for _, p := range node.Pods {
		add(p.Netns)
	}
	return keys
}

// byEntry names the pod of an entry of node.json by its UID, which is never
// used twice, or else by its name.
func (c *IPCache) byEntry(p nodedump.PodNetInfo) (PodNetns, bool) {
	if p.Netns == "" || p.Netns == nodedump.HostNetns || p.HostNetwork {
		return PodNetns{}, false
	}
	if pod := c.podsByUID[p.UID]; p.UID != "" && pod != nil && (p.Name == "" || p.Name == pod.Name) {
		by := "uid"
		if p.Name != "" {
			by = "name"
		}
		return PodNetns{p.Netns, pod.Namespace, pod.Name, by}, true
	}
	if p.Name == "" {
		return PodNetns{}, false
	}
	return PodNetns{p.Netns, p.Namespace, p.Name, "name"}, true
}

// byAddress names the pod of a namespace by the addresses of its devices.
func (c *IPCache) byAddress(node, key string, load func(key string) (*nodedump.NetNSInfo, error)) PodNetns {
	unknown := PodNetns{Key: key}
	info, err := load(key)
	if err != nil || info == nil {
		return unknown
	}
	for _, ip := range globalIPs(info.Interfaces) {
		pod, ok := c.GetPodFromIP(ip)
		if ok && runsOn(pod, node) {
			return PodNetns{key, pod.Namespace, pod.Name, "address"}
		}
	}
	return unknown
}

// runsOn reports whether pod may run on node.
func runsOn(pod *corev1.Pod, node string) bool {
	return pod.Spec.NodeName == "" || pod.Spec.NodeName == node
}
