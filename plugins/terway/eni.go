package terway

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// routing are the numbers of terway's policy routing: toContainerPriority,
// fromContainerPriority and GetRouteTableID.
func routing() *plugin.SourceRouting {
	return &plugin.SourceRouting{By: "terway", ToPod: 512, FromPod: 2048,
		TableOf: func(index int) int { return 1000 + index }, Tables: "the table of an ENI is 1000 and its index"}
}

// tenant is a pod of the mode veth as its node routes what it sends. Whose ENI has its
// address the cloud knows best, and terway's own records otherwise.
func (t *terway) tenant(pod *corev1.Pod) plugin.Tenant {
	ip := plugin.PodIPv4(pod)
	owner := infra.Owner(t.recorded()[ip])
	if o, ok := t.OwnerOf(ip); ok {
		owner = o
	}
	return plugin.Tenant{Name: pod.Namespace + "/" + pod.Name, IP: ip, Veth: t.veth(pod).Peer, Owner: owner, Router: routerOf(owner.Network)}
}

// routerOf is the router of a vSwitch: the last address but two of its range
// (DeriveGatewayIP in pkg/ip/ip.go). It is invalid for what can be no vSwitch.
func routerOf(network netip.Prefix) netip.Addr {
	if !network.Addr().Is4() || network.Bits() > 29 {
		return netip.Addr{}
	}
	b := network.Masked().Addr().As4()
	for bit := network.Bits(); bit < 32; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(b).Prev().Prev()
}
