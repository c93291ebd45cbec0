package snapshot

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// FlannelPrefix is what the annotations of flanneld begin with.
const FlannelPrefix = "flannel.alpha.coreos.com/"

// A FlannelConf is net-conf.json as flanneld and its backends read it (flannel's
// pkg/subnet/config.go): names of fields in any case.
type FlannelConf struct {
	EnableIPv4           *bool // nil is true
	EnableIPv6           bool
	EnableNFTables       bool // flanneld's rules are in tables of nftables' own
	Network, IPv6Network string
	Backend              struct {
		Type          string // udp if none is given
		VNI, MTU      int
		DirectRouting bool
		Mode          string // of wireguard: separate, auto, ipv4, ipv6
	}
}

// ParseFlannelConf reads net-conf.json. What could be read of a broken one is
// returned, too.
func ParseFlannelConf(text string) (conf FlannelConf, err error) {
	if err = json.Unmarshal([]byte(text), &conf); err == nil {
		conf.Backend.Type = strings.ToLower(cmp.Or(conf.Backend.Type, "udp")) // pkg/backend/manager.go takes any case
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

// NetworkOf returns the whole pod network of the family of ip, if ip is of it.
func (c *FlannelConf) NetworkOf(ip netip.Addr) (netip.Prefix, bool) {
	for _, text := range []string{c.Network, c.IPv6Network} {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(ip) {
			return p.Masked(), true
		}
	}
	return netip.Prefix{}, false
}

// FlannelConf returns net-conf.json of the cluster and the part of the bundle that it
// stands in: flannel's ConfigMap, whatever namespace it is in, or else the first file
// of a node. The part is "" if there is none; an error says why it could not be read
// whole.
func (s *Snapshot) FlannelConf() (conf FlannelConf, part string, err error) {
	text := ""
	maps, _ := s.ConfigMaps() // the analyzer says what is missing
	for i := range maps {
		if text == "" && strings.Contains(maps[i].Name, "flannel") {
			text, part = maps[i].Data["net-conf.json"], clusterName("configmaps")
		}
	}
	for _, node := range s.NodeNames() {
		if text == "" {
			text, part = s.fileOf(node, func(name string) bool { return path.Base(name) == "net-conf.json" })
		}
	}
	if text == "" {
		return conf, "", nil
	}
	conf, err = ParseFlannelConf(text)
	return conf, part, err
}

// fileOf returns the first file of a node whose name is as is says.
func (s *Snapshot) fileOf(node string, is func(string) bool) (text, name string) {
	for _, name := range s.Files(node) {
		if !is(name) {
			continue
		}
		if text, err := s.Read(name); err == nil {
			return string(text), name
		}
	}
	return "", ""
}

// FlannelEnv returns the variables of subnet.env, which flanneld writes on a node
// for the CNI plugin, and the part of the bundle that they stand in. They are nil if
// it was not collected.
func (s *Snapshot) FlannelEnv(node string) (env map[string]string, part string) {
	text, part := s.fileOf(node, func(name string) bool { return strings.HasSuffix(name, "flannel/subnet.env") })
	if part == "" {
		return nil, ""
	}
	env = map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			env[key] = value
		}
	}
	return env, part
}

// A FlannelNode is what flanneld tells of its node for one family of addresses, by
// annotations of the Node (flannel's pkg/subnet/kube/annotations.go).
type FlannelNode struct {
	Managed bool   // flanneld takes the range of the node's pods from the Node
	Backend string // that flanneld runs with
	Address netip.Addr
	Found   bool   // flanneld found Address out: nobody overwrote it, and it is not only the Node's internal one
	VNI     int    // of the tunnel device, 0 if it is not told
	VtepMAC string // of the tunnel device, "" if it is not told
}

// FlannelNodeOf reads what is told of a node.
func FlannelNodeOf(node *corev1.Node, v6 bool) (n FlannelNode) {
	annotation := func(key string) string { return node.Annotations[FlannelPrefix+key] }
	public, data := "public-ip", "backend-data"
	if v6 {
		public, data = "public-ipv6", "backend-v6-data"
	}
	var device struct {
		VNI     int
		VtepMAC string
	}
	if json.Unmarshal([]byte(annotation(data)), &device) == nil {
		n.VNI, n.VtepMAC = device.VNI, device.VtepMAC
	}
	n.Managed, n.Backend = annotation("kube-subnet-manager") == "true", annotation("backend-type")
	found, _ := netip.ParseAddr(annotation(public))
	chosen, _ := netip.ParseAddr(annotation(public + "-overwrite"))
	for _, ip := range []netip.Addr{internalIP(node, v6), found, chosen} {
		if ip.IsValid() {
			n.Address = ip
		}
	}
	n.Found = found.IsValid() && n.Address == found
	return n
}
