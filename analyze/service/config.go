package service

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/pathsnap/pathsnap/snapshot"
)

// The modes of kube-proxy.
const (
	ModeIPTables = "iptables"
	ModeNFTables = "nftables"
	ModeIPVS     = "ipvs"
)

// The values of Config.DetectLocalMode.
const (
	DetectClusterCIDR     = "ClusterCIDR"
	DetectNodeCIDR        = "NodeCIDR"
	DetectBridgeInterface = "BridgeInterface"
	DetectNamePrefix      = "InterfaceNamePrefix"
)

// A Config is what of kube-proxy's configuration decides about packets.
type Config struct {
	Mode                string         // iptables nftables ipvs, "" if nothing tells
	ClusterCIDRs        []netip.Prefix // sources in them are pods; for DetectClusterCIDR
	DetectLocalMode     string         // "" is DetectClusterCIDR
	MasqueradeAll       bool
	NodePortAddresses   []string // CIDRs, or "primary"
	NoLocalhostNodePort bool     // of the mode iptables; the other modes never have them
	From                string   // where it was found, "" if it was not
	Replaced            string   // what tells that another program does kube-proxy's work on all nodes, "" if nothing does
}

// ReadConfig returns the configuration of kube-proxy: that of a ConfigMap with
// a KubeProxyConfiguration, or else the flags of a DaemonSet named kube-proxy,
// or else none. Mode is then what the rules of the nodes show.
func ReadConfig(snap *snapshot.Snapshot) (Config, error) {
	configs, err := snap.ConfigMaps()
	if errors.Is(err, snapshot.ErrNotCollected) {
		err = nil
	}
	c, err := readConfig(snap, configs, err)
	c.Replaced = replacedBy(configs)
	return c, err
}

// replacedBy finds Cilium's configuration where it does kube-proxy's work
// (kube-proxy-replacement, "strict" before Cilium 1.14).
func replacedBy(configs []corev1.ConfigMap) string {
	for i := range configs {
		if c := &configs[i]; c.Name == "cilium-config" {
			if v := c.Data["kube-proxy-replacement"]; v == "true" || v == "strict" {
				return fmt.Sprintf("configmap %s/%s has kube-proxy-replacement %s", c.Namespace, c.Name, v)
			}
		}
	}
	return ""
}

func readConfig(snap *snapshot.Snapshot, configs []corev1.ConfigMap, err error) (Config, error) {
	for i := range configs {
		if c, ok := configMap(&configs[i]); ok {
			return c, nil
		}
	}
	sets, setErr := snap.DaemonSets()
	if errors.Is(setErr, snapshot.ErrNotCollected) {
		setErr = nil
	}
	for i := range sets {
		if c := sets[i]; c.Name == "kube-proxy" {
			return flags(&c.Spec.Template.Spec, "daemonset "+c.Namespace+"/"+c.Name), nil
		}
	}
	return Config{}, errors.Join(err, setErr)
}

// proxyConfiguration is KubeProxyConfiguration of kubeproxy.config.k8s.io,
// as far as it decides about packets.
type proxyConfiguration struct {
	Kind              string   `json:"kind"`
	Mode              string   `json:"mode"`
	ClusterCIDR       string   `json:"clusterCIDR"`
	DetectLocalMode   string   `json:"detectLocalMode"`
	NodePortAddresses []string `json:"nodePortAddresses"`
	IPTables          struct {
		MasqueradeAll      bool  `json:"masqueradeAll"`
		LocalhostNodePorts *bool `json:"localhostNodePorts"`
	} `json:"iptables"`
	NFTables struct {
		MasqueradeAll bool `json:"masqueradeAll"`
	} `json:"nftables"`
}

// configMap finds a KubeProxyConfiguration in m.
func configMap(m *corev1.ConfigMap) (Config, bool) {
	for _, key := range slices.Sorted(maps.Keys(m.Data)) {
		var pc proxyConfiguration
		if yaml.Unmarshal([]byte(m.Data[key]), &pc) != nil || pc.Kind != "KubeProxyConfiguration" {
			continue
		}
		c := Config{
			Mode:                orIPTables(pc.Mode),
			ClusterCIDRs:        prefixes(pc.ClusterCIDR),
			DetectLocalMode:     pc.DetectLocalMode,
			NodePortAddresses:   pc.NodePortAddresses,
			NoLocalhostNodePort: pc.IPTables.LocalhostNodePorts != nil && !*pc.IPTables.LocalhostNodePorts,
			From:                fmt.Sprintf("configmap %s/%s %s", m.Namespace, m.Name, key),
		}
		c.MasqueradeAll = pc.IPTables.MasqueradeAll
		if c.Mode == ModeNFTables {
			c.MasqueradeAll = pc.NFTables.MasqueradeAll
		}
		return c, true
	}
	return Config{}, false
}

// orIPTables returns mode; the default is iptables.
func orIPTables(mode string) string {
	if mode == "" {
		return ModeIPTables
	}
	return mode
}

// prefixes parses ranges separated by commas, and skips nonsense: kube-proxy
// does not start with it.
func prefixes(text string) (out []netip.Prefix) {
	for one := range strings.SplitSeq(text, ",") {
		if p, err := netip.ParsePrefix(strings.TrimSpace(one)); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

// flags reads the command line of kube-proxy. A --config file that no
// ConfigMap shows leaves the mode open.
func flags(pod *corev1.PodSpec, from string) Config {
	c := Config{From: from}
	set := map[string]string{}
	for _, container := range pod.Containers {
		for _, arg := range slices.Concat(container.Command, container.Args) {
			if name, value, ok := strings.Cut(strings.TrimLeft(arg, "-"), "="); ok && strings.HasPrefix(arg, "-") {
				set[name] = value
			}
		}
	}
	c.Mode = set["proxy-mode"]
	c.ClusterCIDRs = prefixes(set["cluster-cidr"])
	c.DetectLocalMode = set["detect-local-mode"]
	c.MasqueradeAll = set["masquerade-all"] == "true"
	c.NoLocalhostNodePort = set["iptables-localhost-nodeports"] == "false"
	if list := set["nodeport-addresses"]; list != "" {
		c.NodePortAddresses = strings.Split(list, ",")
	}
	if len(set) == 0 {
		return Config{}
	}
	return c
}
