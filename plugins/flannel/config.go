package flannel

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Config holds the options of flannel. Empty ones are read from the bundle.
type Config struct {
	Backend       string // vxlan or host-gw
	Bridge        string // of the pods of a node
	IPMasq        bool   // flanneld masquerades what leaves the pod network
	HostInterface string // towards the other nodes
}

// BindFlags implements the plugin package's ConfigBinder.
func (c *Config) BindFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Backend, "flannel-backend", "", "`TYPE` of backend, vxlan or host-gw (default: from net-conf.json, or what the nodes' annotations say)")
	fs.StringVar(&c.Bridge, "flannel-bridge", "", "`DEVICE` that the pods of a node are attached to (default: from the CNI configuration, or cni0)")
	fs.BoolVar(&c.IPMasq, "flannel-ip-masq", true, "flanneld runs with --ip-masq")
	fs.StringVar(&c.HostInterface, "flannel-host-interface", "", "`DEVICE` towards the other nodes (default: by the nodes' routes)")
}

// Validate implements the plugin package's ConfigBinder.
func (c *Config) Validate() error {
	switch c.Backend {
	case "", "vxlan", "host-gw":
		return nil
	}
	return fmt.Errorf("--flannel-backend %q: only vxlan and host-gw are modelled", c.Backend)
}

// netConf is net-conf.json, as far as it matters.
type netConf struct {
	Backend struct {
		Type          string
		VNI           int
		DirectRouting bool
	}
}

// cniConf is cni-conf.json, as far as it matters.
type cniConf struct {
	Plugins []struct {
		Type     string
		Delegate struct {
			Bridge      string
			HairpinMode bool
		}
	}
}

// facts is what the bundle says about this flannel.
type facts struct {
	backend string
	direct  bool // DirectRouting: nodes of one subnet need no tunnel
	vni     int
	bridge  string
	hairpin bool // ports of the bridge send back by where a packet came in
}

// read gathers the facts; options come before what the bundle says.
func read(snap *snapshot.Snapshot, cfg *Config) facts {
	f := facts{backend: cfg.Backend, bridge: cfg.Bridge, vni: 1}
	if cm, ok := configMap(snap); ok {
		f.fromNetConf(cm.Data["net-conf.json"])
		f.fromCNIConf(cm.Data["cni-conf.json"])
	}
	if f.backend == "" {
		f.backend = annotated(snap)
	}
	if f.backend == "" {
		f.backend = shown(snap, f.device())
	}
	if f.bridge == "" {
		f.bridge = "cni0"
	}
	return f
}

func (f *facts) fromNetConf(text string) {
	var conf netConf
	if json.Unmarshal([]byte(text), &conf) != nil {
		return
	}
	if f.backend == "" {
		f.backend = conf.Backend.Type
	}
	f.direct = conf.Backend.DirectRouting
	if conf.Backend.VNI != 0 {
		f.vni = conf.Backend.VNI
	}
}

func (f *facts) fromCNIConf(text string) {
	var conf cniConf
	if json.Unmarshal([]byte(text), &conf) != nil {
		return
	}
	for _, p := range conf.Plugins {
		if p.Type == "flannel" {
			f.bridge, f.hairpin = cmp.Or(f.bridge, p.Delegate.Bridge), p.Delegate.HairpinMode
		}
	}
}

// configMap finds flannel's ConfigMap, in whatever namespace it is.
func configMap(snap *snapshot.Snapshot) (corev1.ConfigMap, bool) {
	maps, err := snap.ConfigMaps()
	if err != nil {
		return corev1.ConfigMap{}, false
	}
	for _, cm := range maps {
		if strings.Contains(cm.Name, "flannel") && cm.Data["net-conf.json"] != "" {
			return cm, true
		}
	}
	return corev1.ConfigMap{}, false
}

// device is the name of the tunnel device.
func (f *facts) device() string { return fmt.Sprintf("flannel.%d", f.vni) }

// shown returns vxlan if a node of flannel's has its tunnel device. Other
// backends leave no device that is theirs alone.
func shown(snap *snapshot.Snapshot, device string) string {
	if _, flannel := nodeFile(snap); !flannel {
		return ""
	}
	for _, node := range snap.NodeNames() {
		info, err := snap.NetNS(node, nodedump.HostNetns)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(info.Interfaces, func(d nodedump.Interface) bool { return d.Name == device && d.VXLAN != nil }) {
			return "vxlan"
		}
	}
	return ""
}

// annotated returns the backend type that the Nodes carry.
func annotated(snap *snapshot.Snapshot) string {
	nodes, err := snap.Nodes()
	if err != nil {
		return ""
	}
	for i := range nodes {
		if t := nodes[i].Annotations[annotationPrefix+"backend-type"]; t != "" {
			return t
		}
	}
	return ""
}

const annotationPrefix = "flannel.alpha.coreos.com/"
