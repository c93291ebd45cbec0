package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// softwareTraits are versions of what a node runs.
func softwareTraits(_ *scope, n *host) (list []trait, ok bool) {
	add := func(key, value, at string) {
		if value != "" {
			list = append(list, trait{key: key, value: value, at: at, matters: key == "kernel"})
		}
	}
	add("kernel", n.kernel, "nodes/"+n.name+"/node.json")
	if n.object != nil {
		info := n.object.Status.NodeInfo
		add("kubelet", info.KubeletVersion, "cluster/nodes.yaml")
		add("OS image", info.OSImage, "cluster/nodes.yaml")
		add("container runtime", info.ContainerRuntimeVersion, "cluster/nodes.yaml")
	}
	return list, len(list) > 0
}

// moduleTraits are the modules that are loaded into a node's kernel and have to do
// with packets of pods. The kernel loads most of them when they are first needed:
// those matter that somebody has to load.
func moduleTraits(_ *scope, n *host) (list []trait, ok bool) {
	for _, name := range n.loaded {
		matters := slices.Contains([]string{"br_netfilter", "ip_vs", "nf_conntrack", "vxlan", "ipip", "wireguard"}, name)
		if matters || slices.ContainsFunc([]string{"nf_", "nft_", "xt_", "ip_", "ip6_", "ipt_", "ip6t_", "ip6table_", "iptable_", "ebt", "br_", "cls_", "sch_", "act_"},
			func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			list = append(list, trait{key: name, at: "nodes/" + n.name + "/node.json", matters: matters})
		}
	}
	return list, n.loaded != nil
}

// role names a device by what it is for, so that nodes can be compared: the
// device with the node's address, the bridge of its pods, a tunnel; "" for the
// others.
func role(n *host, dev *nodedump.Interface) string {
	for _, ip := range nodeIPs(n) {
		if own, ok := n.ns.FIB.DeviceOwning(ip); ok && own.Name == dev.Name {
			return "{uplink}"
		}
	}
	if dev.Kind == "bridge" || tunnel(dev) {
		return dev.Name
	}
	return ""
}

// mtuTraits are the MTUs of bridges, tunnels and pods; those of the uplinks have
// a check of their own.
func mtuTraits(_ *scope, n *host) (list []trait, ok bool) {
	if n.ns.Unread("interfaces") != nil {
		return nil, false
	}
	for i := range n.ns.Info.Interfaces {
		dev := &n.ns.Info.Interfaces[i]
		if r := role(n, dev); r != "" && r != "{uplink}" && !strings.HasPrefix(r, "br-") {
			list = append(list, trait{key: "the MTU of " + r, value: fmt.Sprint(dev.MTU), at: at(n.ns, dev), matters: true, optional: true})
		}
	}
	if pod, mtu := largest(n); pod != nil {
		list = append(list, trait{key: "the MTU of pods", value: fmt.Sprint(mtu), at: pod.ns.Info.File, matters: true, optional: true})
	}
	return list, true
}

// sysctlTraits are the sysctls of a node's own namespace. Those of cables and of
// devices that others need not have are left out, and so is what only counts.
func sysctlTraits(_ *scope, n *host) (list []trait, ok bool) {
	if n.ns.Unread("sysctls") != nil {
		return nil, false
	}
	for _, name := range slices.Sorted(maps.Keys(n.ns.Info.Sysctls)) {
		key, ok := commonSysctl(n, name)
		if !ok {
			continue
		}
		where := n.ns.Info.File
		if line := n.ns.Info.SysctlLines[name]; line > 0 {
			where = fmt.Sprintf("%s:%d", where, line)
		}
		list = append(list, trait{key: key, value: cmp.Or(n.ns.Info.Sysctls[name], `""`), at: where, matters: decides(name), optional: ofDevice(name)})
	}
	return list, true
}

// commonSysctl returns the name of a sysctl with the role of its device. Sysctls
// whose value follows from the machine's memory or changes by itself are not
// common.
func commonSysctl(n *host, name string) (string, bool) {
	for _, own := range []string{"nf_conntrack_count", "nf_conntrack_buckets", "nf_conntrack_max"} {
		if strings.HasSuffix(name, own) {
			return "", false
		}
	}
	head, rest, found := strings.Cut(name, ".conf.")
	if !found {
		return name, true
	}
	i := strings.LastIndex(rest, ".")
	if i < 0 {
		return "", false
	}
	switch dev := strings.ReplaceAll(rest[:i], "/", "."); dev {
	case "all", "default":
		return name, true
	case "lo":
		return "", false
	default:
		d, ok := n.ns.Device(dev)
		if !ok || role(n, d) == "" || rest[i:] == ".route_localnet" { // the CNI plugin portmap sets it where a pod has a host port
			return "", false
		}
		return head + ".conf." + role(n, d) + rest[i:], true
	}
}

// ofDevice reports whether a sysctl is one of a device that others need not have.
func ofDevice(name string) bool {
	return strings.Contains(name, ".conf.") && !strings.Contains(name, ".conf.all.") && !strings.Contains(name, ".conf.default.")
}

// decides reports whether a sysctl decides what becomes of packets of pods.
func decides(name string) bool {
	return slices.ContainsFunc([]string{"ip_forward", ".forwarding", ".rp_filter", ".route_localnet", "bridge-nf-call", ".accept_local", ".src_valid_mark",
		".proxy_arp", ".arp_ignore", ".disable_ipv6", "nf_conntrack_tcp_be_liberal", "nf_conntrack_tcp_loose", "ip_nonlocal_bind"},
		func(part string) bool {
			return strings.HasSuffix(name, part) || strings.Contains(name, part) && strings.HasPrefix(part, "bridge")
		})
}
