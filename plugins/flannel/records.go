package flannel

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// netConf is net-conf.json as flanneld and its backends read it (flannel's
// pkg/subnet/config.go): names of fields in any case, IPv4 on unless it is
// switched off, and the backend udp if there is none.
type netConf struct {
	EnableIPv4           *bool
	EnableIPv6           bool
	EnableNFTables       bool
	Network, IPv6Network string
	Backend              struct {
		Type          string
		VNI, MTU      int
		DirectRouting bool
		Mode          string // of wireguard: separate, auto, ipv4, ipv6
	}
}

// parseNetConf reads net-conf.json. What could be read of a broken one is
// returned, too.
func parseNetConf(text string) (conf netConf, err error) {
	if err = json.Unmarshal([]byte(text), &conf); err == nil {
		conf.Backend.Type = cmp.Or(conf.Backend.Type, "udp")
	}
	for _, r := range []struct {
		name, prefix string
		used         bool
	}{{"Network", conf.Network, conf.EnableIPv4 == nil || *conf.EnableIPv4}, {"IPv6Network", conf.IPv6Network, conf.EnableIPv6}} {
		if _, bad := netip.ParsePrefix(r.prefix); bad != nil && r.used {
			err = errors.Join(err, fmt.Errorf("%s: %w", r.name, bad))
		}
	}
	return conf, err
}

// A delegate is what the CNI plugin flannel hands on to the plugin bridge.
type delegate struct {
	Bridge      string
	HairpinMode bool
	MTU         int
}

// parseCNI reads flannel's part of a CNI configuration.
func parseCNI(text []byte) (delegate, bool) {
	conf, ok := plugin.CNIPlugin[struct{ Delegate delegate }](text, "flannel")
	return conf.Delegate, ok
}

// facts is what the bundle says about the cluster's flannel.
type facts struct {
	netConf
	file   string // that net-conf.json was read from, "" if there is none
	broken error  // why it could not be read whole
	cni    delegate
}

// read gathers the facts from flannel's ConfigMap, whatever namespace it is in,
// or else from what was collected of a node.
func read(snap *snapshot.Snapshot) (f facts) {
	maps, _ := snap.ConfigMaps() // the analyzer says what is missing
	for _, cm := range maps {
		if text := cm.Data["net-conf.json"]; text != "" && strings.Contains(cm.Name, "flannel") {
			f.file = "cluster/configmaps.yaml"
			f.netConf, f.broken = parseNetConf(text)
			f.cni, _ = parseCNI([]byte(cm.Data["cni-conf.json"]))
			return f
		}
	}
	for _, node := range snap.NodeNames() {
		for _, name := range snap.Files(node) {
			if text, err := snap.Read(name); path.Base(name) == "net-conf.json" && err == nil {
				f.file = name
				f.netConf, f.broken = parseNetConf(string(text))
				return f
			}
		}
	}
	return f
}

// records is what a node has of flannel's: subnet.env, which flanneld writes for
// the CNI plugin, and the CNI configuration.
type records struct {
	env     map[string]string // nil if it was not collected
	envFile string
	cni     delegate
}

// records reads those of a node, once.
func (f *flannel) records(node string) *records {
	if r, ok := f.known.Load(node); ok {
		return r.(*records)
	}
	r := &records{cni: f.facts.cni}
	if _, text := plugin.CNIConfig(f.env, node); text != nil {
		if d, ok := parseCNI(text); ok {
			r.cni = d
		}
	}
	for _, name := range f.env.Snapshot.Files(node) {
		if text, err := f.env.Snapshot.Read(name); strings.HasSuffix(name, "flannel/subnet.env") && err == nil {
			r.envFile, r.env = name, parseEnv(string(text))
		}
	}
	r.cni.Bridge = cmp.Or(f.cfg.Bridge, r.cni.Bridge, "cni0")
	f.known.Store(node, r)
	return r
}

func parseEnv(text string) map[string]string {
	env := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			env[key] = value
		}
	}
	return env
}

// subnet is the range of the family of ip that subnet.env gives to the node's
// pods.
func (r *records) subnet(ip netip.Addr) (netip.Prefix, bool) {
	key := "FLANNEL_SUBNET"
	if ip.Is6() {
		key = "FLANNEL_IPV6_SUBNET"
	}
	p, err := netip.ParsePrefix(r.env[key])
	return p.Masked(), err == nil
}

// Annotations that flanneld keeps on the Node (flannel's
// pkg/subnet/kube/annotations.go).
const annotationPrefix = "flannel.alpha.coreos.com/"

func annotation(node *corev1.Node, key string) string { return node.Annotations[annotationPrefix+key] }

// publicIP is the address that flanneld tells the other nodes, of IPv4 or IPv6.
func publicIP(node *corev1.Node, v6 bool) netip.Addr {
	keys := []string{"public-ip-overwrite", "public-ip"}
	if v6 {
		keys = []string{"public-ipv6-overwrite", "public-ipv6"}
	}
	for _, key := range keys {
		if a, err := netip.ParseAddr(annotation(node, key)); err == nil {
			return a
		}
	}
	for _, addr := range node.Status.Addresses {
		if a, err := netip.ParseAddr(addr.Address); err == nil && addr.Type == corev1.NodeInternalIP && a.Is6() == v6 {
			return a
		}
	}
	return netip.Addr{}
}

// vtep is what a node's annotation says of its tunnel device: zero if it does
// not tell.
func vtep(node *corev1.Node, v6 bool) (data struct {
	VNI     int
	VtepMAC string
}) {
	key := "backend-data"
	if v6 {
		key = "backend-v6-data"
	}
	if json.Unmarshal([]byte(annotation(node, key)), &data) != nil {
		data.VNI, data.VtepMAC = 0, ""
	}
	return data
}
