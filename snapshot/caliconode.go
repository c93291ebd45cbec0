package snapshot

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// CalicoPrefix is what the annotations of Calico's agent begin with.
const CalicoPrefix = "projectcalico.org/"

// A CalicoNode is what Calico's agent tells of its node for one family of addresses,
// by annotations of the Node (libcalico-go/lib/backend/k8s/resources/node.go).
type CalicoNode struct {
	Address   netip.Prefix // that the others reach it by, and its subnet; a whole address if the subnet is not told; invalid without an address
	VTEP      netip.Addr   // of its VXLAN device, invalid if it has none
	MAC       string       // of that, "" if nobody chose one
	Encrypted bool         // it takes packets through WireGuard
	Reflector bool         // of BGP routes, of both families
}

// CalicoNodeOf reads what is told of a node. Where the agent told no address of IPv4
// it is the node's internal one; of IPv6 there is none.
func CalicoNodeOf(node *corev1.Node, v6 bool) (n CalicoNode) {
	annotation := func(name string) string { return node.Annotations[CalicoPrefix+name] }
	family, suffix := "IPv4", ""
	if v6 {
		family, suffix = "IPv6", "V6"
	}
	n.Address, _ = netip.ParsePrefix(annotation(family + "Address"))
	n.VTEP, _ = netip.ParseAddr(annotation(family + "VXLANTunnelAddr"))
	n.MAC = annotation("VXLANTunnelMACAddr" + suffix)
	n.Encrypted, n.Reflector = annotation("WireguardPublicKey"+suffix) != "", annotation("RouteReflectorClusterID") != ""
	if ip := internalIP(node, v6); !v6 && !n.Address.IsValid() && ip.IsValid() {
		n.Address = netip.PrefixFrom(ip, ip.BitLen())
	}
	return n
}

// internalIP is the node's internal address of a family, invalid if it has none.
func internalIP(node *corev1.Node, v6 bool) netip.Addr {
	for _, a := range node.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && a.Type == corev1.NodeInternalIP && ip.Is6() == v6 {
			return ip
		}
	}
	return netip.Addr{}
}
