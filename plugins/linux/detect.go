package linux

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A cni is a network that is known by name.
type cni struct {
	name    string
	sets    []string // its DaemonSets
	images  []string // a part of an image of its DaemonSet
	types   []string // of plugins in /etc/cni/net.d
	devices []string // how the names of its devices on nodes begin
}

// known are the networks in the order in which they are looked for: those that
// bring another's agent along come first.
func known() []cni {
	return []cni{
		{"calico", []string{"calico-node"}, []string{"/calico/node:", "/calico-node:"}, []string{"calico"}, nil},
		{"terway", []string{"terway", "terway-eniip", "terway-eni"}, []string{"/terway:"}, []string{"terway"}, nil},
		{"cilium", []string{"cilium"}, []string{"/cilium:"}, []string{"cilium-cni"}, []string{"cilium_", "lxc_health"}},
		{"kindnet", []string{"kindnet"}, []string{"/kindnetd:"}, nil, nil},
		{"kube-router", []string{"kube-router"}, []string{"/kube-router:"}, nil, []string{"kube-bridge"}},
		{"AWS VPC CNI", []string{"aws-node"}, []string{"amazon-k8s-cni:"}, []string{"aws-cni"}, nil},
		{"Azure CNI", []string{"azure-cni", "azure-cns"}, []string{"/azure-cns:"}, []string{"azure-vnet"}, []string{"azv"}},
		{"GKE", []string{"netd"}, []string{"/netd:"}, nil, nil},
		{"antrea", []string{"antrea-agent"}, []string{"/antrea-"}, []string{"antrea"}, []string{"antrea-gw"}},
		{"OVN-Kubernetes", []string{"ovnkube-node"}, []string{"/ovn-kube"}, []string{"ovn-k8s-cni-overlay"}, []string{"ovn-k8s-mp"}},
		{"Kube-OVN", []string{"kube-ovn-cni"}, []string{"/kube-ovn:"}, []string{"kube-ovn"}, []string{"ovn0"}},
		{"Weave Net", []string{"weave-net"}, []string{"/weave-kube:"}, []string{"weave-net"}, []string{"weave"}},
		{"canal", []string{"canal"}, nil, nil, nil},
		{"bridge", nil, nil, []string{"bridge"}, nil},
		{"ptp", nil, nil, []string{"ptp"}, nil},
		{"macvlan", nil, nil, []string{"macvlan"}, nil},
		{"ipvlan", nil, nil, []string{"ipvlan"}, nil},
		{"host-device", nil, nil, []string{"host-device"}, nil},
	}
}

// detect looks for a CNI that is known by name: by its DaemonSet, by what the
// nodes' CNI configuration calls, and only then, since it reads every node, by
// its devices.
func detect(snap *snapshot.Snapshot) (found bool, saw string) {
	sets := daemonSets(snap)
	if saw, ok := name(func(c *cni) (string, bool) { return c.inSets(sets) }); ok {
		return true, saw
	}
	types := cniTypes(snap)
	if saw, ok := name(func(c *cni) (string, bool) { return first(types, c.hasType) }); ok {
		return true, saw
	}
	devices := hostDevices(snap)
	if saw, ok := name(func(c *cni) (string, bool) { return first(devices, c.hasDevice) }); ok {
		return true, saw
	}
	return false, "no DaemonSet, CNI configuration or device of a CNI that is known by name"
}

// name returns the first network that look finds, and where.
func name(look func(*cni) (string, bool)) (saw string, ok bool) {
	for _, c := range known() {
		if where, ok := look(&c); ok {
			return c.name + ": " + where, true
		}
	}
	return "", false
}

// A sighting is something by which a network can be known, and where it is.
type sighting struct{ name, where string }

// first returns where the first sighting is that fits.
func first(all []sighting, fits func(name string) bool) (string, bool) {
	for _, s := range all {
		if fits(s.name) {
			return s.where, true
		}
	}
	return "", false
}

func (c *cni) hasType(name string) bool { return slices.Contains(c.types, name) }

func (c *cni) hasDevice(name string) bool {
	return slices.ContainsFunc(c.devices, func(begin string) bool { return strings.HasPrefix(name, begin) })
}

// A daemonSet is one with its images.
type daemonSet struct {
	namespace, name string
	images          []string
}

func (c *cni) inSets(sets []daemonSet) (string, bool) {
	for _, ds := range sets {
		ours := slices.Contains(c.sets, ds.name) || slices.ContainsFunc(ds.images, func(image string) bool {
			return slices.ContainsFunc(c.images, func(part string) bool { return strings.Contains(image, part) })
		})
		if ours {
			return fmt.Sprintf("DaemonSet %s/%s", ds.namespace, ds.name), true
		}
	}
	return "", false
}

func daemonSets(snap *snapshot.Snapshot) (out []daemonSet) {
	sets, err := snap.DaemonSets()
	if err != nil {
		return nil // analyze says that the list is missing
	}
	for i := range sets {
		out = append(out, daemonSet{sets[i].Namespace, sets[i].Name, images(&sets[i].Spec.Template.Spec)})
	}
	return out
}

func images(pod *corev1.PodSpec) (out []string) {
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		out = append(out, c.Image)
	}
	return out
}

// cniTypes are the types of the plugins in the CNI configurations of the nodes.
func cniTypes(snap *snapshot.Snapshot) (out []sighting) {
	for _, node := range snap.NodeNames() {
		for _, name := range snap.Files(node) {
			if !strings.Contains(path.Dir(name), "cni/net.d") {
				continue
			}
			text, err := snap.Read(name)
			if err != nil {
				continue
			}
			for _, t := range typesOf(text) {
				out = append(out, sighting{t, name})
			}
		}
	}
	return out
}

// typesOf reads a CNI configuration or a list of them. What is neither has none.
func typesOf(text []byte) (types []string) {
	type plugin struct {
		Type string `json:"type"`
	}
	var conf struct {
		plugin
		Plugins []plugin `json:"plugins"`
	}
	if json.Unmarshal(text, &conf) != nil {
		return nil
	}
	for _, p := range append(conf.Plugins, conf.plugin) {
		if p.Type != "" {
			types = append(types, p.Type)
		}
	}
	return types
}

// hostDevices are the devices of the nodes.
func hostDevices(snap *snapshot.Snapshot) (out []sighting) {
	for _, node := range snap.NodeNames() {
		info, err := snap.NetNS(node, nodedump.HostNetns)
		if err != nil {
			continue
		}
		for i := range info.Interfaces {
			out = append(out, sighting{info.Interfaces[i].Name, fmt.Sprintf("device %s of node %s", info.Interfaces[i].Name, node)})
		}
	}
	return out
}
