package k8s

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// A CIDR is an address range of the cluster and where it was found.
type CIDR struct {
	Prefix netip.Prefix
	From   string // such as "kube-proxy's clusterCIDR"
}

// ClusterCIDRs returns the ranges of pod addresses, the best source first:
// kube-proxy's configuration, kubeadm's, flannel's, the ranges of the nodes.
func (c *IPCache) ClusterCIDRs() []CIDR { return slices.Clone(c.clusterCIDRs) }

// ServiceCIDRs returns the ranges of Service addresses, the best source first:
// kubeadm's configuration, or else the shortest range that holds all cluster
// addresses of a family, which is only a guess.
func (c *IPCache) ServiceCIDRs() []CIDR { return slices.Clone(c.serviceCIDRs) }

// cidrs collects the ranges.
func (b *builder) cidrs() {
	configs, err := b.snap.ConfigMaps()
	b.failed("configmaps", err)
	for i := range configs {
		b.kubeProxyCIDRs(&configs[i])
	}
	for i := range configs {
		b.kubeadmCIDRs(&configs[i])
	}
	for i := range configs {
		b.flannelCIDRs(&configs[i])
	}
	for _, name := range sortedKeys(b.c.nodes) {
		for _, p := range b.c.nodes[name].podCIDRs {
			if !holds(b.c.clusterCIDRs, p) {
				b.c.clusterCIDRs = append(b.c.clusterCIDRs, CIDR{p, "podCIDR of node " + name})
			}
		}
	}
	b.guessServiceCIDRs()
}

func holds(list []CIDR, p netip.Prefix) bool {
	return slices.ContainsFunc(list, func(c CIDR) bool { return c.Prefix.Bits() <= p.Bits() && c.Prefix.Contains(p.Addr()) })
}

// addCIDRs appends the ranges in text, which are separated by commas.
func (b *builder) addCIDRs(list *[]CIDR, text, from string) {
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		p, err := netip.ParsePrefix(one)
		if err != nil {
			b.bad(from, err)
			continue
		}
		if !holds(*list, p.Masked()) {
			*list = append(*list, CIDR{p.Masked(), from})
		}
	}
}

func (b *builder) kubeProxyCIDRs(m *corev1.ConfigMap) {
	for _, key := range sortedKeys(m.Data) {
		var config struct {
			Kind        string `json:"kind"`
			ClusterCIDR string `json:"clusterCIDR"`
		}
		if yaml.Unmarshal([]byte(m.Data[key]), &config) == nil && config.Kind == "KubeProxyConfiguration" {
			b.addCIDRs(&b.c.clusterCIDRs, config.ClusterCIDR, configMapName(m)+" clusterCIDR")
		}
	}
}

func (b *builder) kubeadmCIDRs(m *corev1.ConfigMap) {
	var config struct {
		Networking struct {
			PodSubnet     string `json:"podSubnet"`
			ServiceSubnet string `json:"serviceSubnet"`
		} `json:"networking"`
	}
	if yaml.Unmarshal([]byte(m.Data["ClusterConfiguration"]), &config) == nil {
		b.addCIDRs(&b.c.clusterCIDRs, config.Networking.PodSubnet, configMapName(m)+" podSubnet")
		b.addCIDRs(&b.c.serviceCIDRs, config.Networking.ServiceSubnet, configMapName(m)+" serviceSubnet")
	}
}

func (b *builder) flannelCIDRs(m *corev1.ConfigMap) {
	text := m.Data["net-conf.json"]
	if text == "" {
		return
	}
	var config struct{ Network, IPv6Network string }
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		b.bad(configMapName(m)+" net-conf.json", err)
		return
	}
	b.addCIDRs(&b.c.clusterCIDRs, config.Network, configMapName(m)+" net-conf.json Network")
	b.addCIDRs(&b.c.clusterCIDRs, config.IPv6Network, configMapName(m)+" net-conf.json IPv6Network")
}

func configMapName(m *corev1.ConfigMap) string { return "configmap " + m.Namespace + "/" + m.Name }

// guessServiceCIDRs adds the shortest range that holds all cluster addresses of
// a family for which no range was found.
func (b *builder) guessServiceCIDRs() {
	var ranges [2]netip.Prefix
	var counts [2]int
	for _, name := range sortedKeys(b.c.services) {
		for _, text := range clusterIPs(b.c.services[name]) {
			ip, err := netip.ParseAddr(text)
			if err != nil || slices.ContainsFunc(b.c.serviceCIDRs, func(c CIDR) bool { return c.Prefix.Addr().Is4() == ip.Is4() }) {
				continue
			}
			family := 0
			if ip.Is6() {
				family = 1
			}
			ranges[family] = widen(ranges[family], ip)
			counts[family]++
		}
	}
	for family, p := range ranges {
		if p.IsValid() {
			b.c.serviceCIDRs = append(b.c.serviceCIDRs, CIDR{p, fmt.Sprintf("the cluster addresses of %d Services", counts[family])})
		}
	}
}

// widen returns the longest prefix that holds p and ip.
func widen(p netip.Prefix, ip netip.Addr) netip.Prefix {
	if !p.IsValid() {
		return netip.PrefixFrom(ip, ip.BitLen())
	}
	for !p.Contains(ip) {
		p = netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
	}
	return p
}

// subnetEnv takes the range of a node's pods from what flanneld wrote on it.
func (b *builder) subnetEnv(name string, n *nodeEntry) {
	for _, file := range b.snap.Files(name) {
		if !strings.HasSuffix(file, "/flannel/subnet.env") {
			continue
		}
		data, err := b.snap.Read(file)
		if err != nil {
			b.errs = append(b.errs, err)
			continue
		}
		for line := range bytes.Lines(data) {
			key, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
			if key != "FLANNEL_SUBNET" && key != "FLANNEL_IPV6_SUBNET" {
				continue
			}
			if p, err := netip.ParsePrefix(value); err == nil {
				n.podCIDRs = append(n.podCIDRs, p.Masked())
				b.c.podCIDRs.add(p, name)
			}
		}
	}
}
