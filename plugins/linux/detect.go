package linux

import "github.com/pathsnap/pathsnap/analyze/plugin"

// marks are by what the networks are known that have no plugin of their own.
// Those that bring another's agent along say so.
func marks() []plugin.Marks {
	return []plugin.Marks{
		{CNI: "canal", Sets: []string{"canal", "rke2-canal"}, Configs: []string{"*-canal.conflist"}, ConfigMaps: []string{"canal-config", "*-canal-config"},
			Includes: []string{"calico", "flannel"}},
		{CNI: "AWS VPC CNI", Sets: []string{"aws-node"}, Images: []string{"amazon-k8s-cni"}, Configs: []string{"*-aws.conflist"}, Types: []string{"aws-cni"},
			Devices: []string{"eni*"}, Includes: []string{"calico"}},
		{CNI: "Azure CNI", Sets: []string{"azure-cni", "azure-cns"}, Images: []string{"azure-cns"}, Types: []string{"azure-vnet", "azure-ipam"},
			Devices: []string{"azv*"}, Includes: []string{"calico"}},
		{CNI: "GKE", Sets: []string{"netd"}, Images: []string{"netd"}, Configs: []string{"*-gke-ptp.conflist"}, Includes: []string{"calico", "ptp"}},
		{CNI: "cilium", Sets: []string{"cilium"}, Images: []string{"cilium/cilium"}, Types: []string{"cilium-cni"}, ConfigMaps: []string{"cilium-config"},
			Devices: []string{"cilium_*", "lxc[0-9a-f][0-9a-f]*", "lxc_health"}},
		{CNI: "kindnet", Sets: []string{"kindnet"}, Images: []string{"kindnetd"}, Configs: []string{"*-kindnet.conflist"}, Includes: []string{"ptp"}},
		{CNI: "kube-router", Sets: []string{"kube-router"}, Images: []string{"kube-router"}, Configs: []string{"*-kuberouter.conf", "*-kuberouter.conflist"},
			Devices: []string{"kube-bridge"}, Includes: []string{"bridge"}},
		{CNI: "antrea", Sets: []string{"antrea-agent"}, Images: []string{"antrea-agent*", "antrea-ubuntu"}, Types: []string{"antrea"}, Devices: []string{"antrea-gw*"}},
		{CNI: "OVN-Kubernetes", Sets: []string{"ovnkube-node"}, Images: []string{"ovn-kube*"}, Types: []string{"ovn-k8s-cni-overlay"}, Devices: []string{"ovn-k8s-mp*"}},
		{CNI: "Kube-OVN", Sets: []string{"kube-ovn-cni"}, Images: []string{"kube-ovn"}, Types: []string{"kube-ovn"}, Devices: []string{"ovn0"}},
		{CNI: "Weave Net", Sets: []string{"weave-net"}, Images: []string{"weave-kube"}, Types: []string{"weave-net"}, Devices: []string{"weave"}},
		{CNI: "bridge", Types: []string{"bridge"}},
		{CNI: "ptp", Types: []string{"ptp"}},
		{CNI: "macvlan", Types: []string{"macvlan"}},
		{CNI: "ipvlan", Types: []string{"ipvlan"}},
		{CNI: "host-device", Types: []string{"host-device"}},
	}
}
