package plugin

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Marks are the names by which one network is known. A plugin states its own,
// and nothing about others; which kind of mark counts more is said once, in
// [Detect]. A "*" in a name stands for any text without a slash.
type Marks struct {
	// CNI is the name of the network, "" if it is the plugin's. It differs
	// where one plugin serves several.
	CNI string
	// Sets are names of its DaemonSets, in any namespace.
	Sets []string
	// Images are images of its agent, without registry, tag and digest:
	// "calico/node", "*flannel". An image matches by its last elements.
	Images []string
	// Configs are names of its files in a cni/net.d.
	Configs []string
	// Types are types of its plugins in CNI configurations.
	Types []string
	// Files are names of what it leaves on nodes, from their roots: "run/flannel/subnet.env".
	Files []string
	// Annotations are keys of the annotations that it gives to Nodes.
	Annotations []string
	// ConfigMaps are names of its ConfigMaps, in any namespace.
	ConfigMaps []string
	// Resources are custom resources that it has objects of, "<plural>.<group>".
	Resources []string
	// Devices are names of devices that it makes on nodes.
	Devices []string
	// Includes are networks whose agents and plugins it brings along: where
	// it runs, theirs are its own. Where only the cluster's objects show it,
	// a node that runs one of them is in the network of that one.
	Includes []string
}

// like reports whether a name is one of the marks.
func like(marks []string, name string) bool {
	return slices.ContainsFunc(marks, func(mark string) bool {
		ok, err := path.Match(mark, name)
		return ok && err == nil
	})
}

// likeImage reports whether the last elements of an image are one of the marks.
func likeImage(marks []string, image string) bool {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		image = image[:i]
	}
	parts := strings.Split(image, "/")
	return slices.ContainsFunc(marks, func(mark string) bool {
		n := strings.Count(mark, "/") + 1
		return n <= len(parts) && like([]string{mark}, strings.Join(parts[len(parts)-n:], "/"))
	})
}

// likeImages reports whether a pod runs an image of the network.
func (m *Marks) likeImages(pod *corev1.PodSpec) bool {
	return slices.ContainsFunc(slices.Concat(pod.InitContainers, pod.Containers), func(c corev1.Container) bool { return likeImage(m.Images, c.Image) })
}
