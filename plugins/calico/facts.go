package calico

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // it names devices, as Calico does
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// facts is what the bundle says about this Calico.
type facts struct {
	pools    []pool
	blocks   plugin.Ranges                       // of nodes
	sessions map[string][]snapshot.CalicoSession // of BGP, by node
	mesh     bool                                // every node tells every other one its blocks
}

// A pool is an IPPool.
type pool struct {
	*snapshot.CalicoPool
	prefix netip.Prefix
	tunnel string // ipip, vxlan, "" for none
	cross  bool   // nodes of one subnet need no tunnel
}

// between is the tunnel between two nodes, "" if they need none: the subnet is that
// of the node that sends.
func (p pool) between(own, peer snapshot.CalicoNode) string {
	if p.cross && own.Address.Masked().Contains(peer.Address.Addr()) {
		return ""
	}
	return p.tunnel
}

// read gathers the facts. Lists that are missing say nothing.
func read(snap *snapshot.Snapshot) *facts {
	f := &facts{sessions: map[string][]snapshot.CalicoSession{}}
	pools, _ := snap.CalicoPools()
	for i := range pools {
		f.addPool(&pools[i])
	}
	for block, nodes := range snap.CalicoClaims() {
		for _, node := range nodes {
			f.blocks.Add(block, node)
		}
	}
	addresses := sync.OnceValues(snap.CalicoAddresses) // only where the claims do not suffice: they are many
	f.blocks.Borrower = func(ip netip.Addr) (string, bool) {
		given, err := addresses()
		return given[ip], err == nil
	}
	f.readBGP(snap)
	return f
}

func (f *facts) addPool(p *snapshot.CalicoPool) {
	prefix, err := netip.ParsePrefix(p.Spec.CIDR)
	if err != nil {
		return
	}
	one := pool{CalicoPool: p, prefix: prefix.Masked()}
	for tunnel, mode := range map[string]string{"ipip": p.Spec.IPIPMode, "vxlan": p.Spec.VXLANMode} {
		if mode == "Always" || mode == "CrossSubnet" { // Calico refuses a pool with both
			one.tunnel, one.cross = tunnel, mode == "CrossSubnet"
		}
	}
	f.pools = append(f.pools, one)
}

// told is what calico-node tells of a node for the family of like: nothing of one
// without a Node object.
func (c *calico) told(node string, like netip.Addr) (n snapshot.CalicoNode) {
	if object, ok := c.IPCache.GetNodeFromName(node); ok {
		n = snapshot.CalicoNodeOf(object, like.Is6())
		n.MAC = cmp.Or(n.MAC, vtepMAC(node, like.Is6()))
	}
	return n
}

// vtepMAC is the hardware address of a node's VXLAN device, if nobody chose
// another one (felix/calc/vxlan_resolver.go).
func vtepMAC(node string, v6 bool) string {
	if v6 {
		node += "-v6"
	}
	sum := sha1.Sum([]byte(node)) //nolint:gosec // as above
	return fmt.Sprintf("66:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4])
}

// readBGP reads who tells whom about blocks. Without the configuration it is not
// known whether there is a mesh.
func (f *facts) readBGP(snap *snapshot.Snapshot) {
	configs, err := snap.CalicoBGPConfigurations()
	f.mesh = err == nil
	for _, c := range configs {
		if c.Name == "default" && c.Spec.NodeToNodeMeshEnabled != nil {
			f.mesh = *c.Spec.NodeToNodeMeshEnabled
		}
	}
	statuses, _ := snap.CalicoNodeStatuses()
	for i := range statuses {
		node, bgp := statuses[i].Spec.Node, &statuses[i].Status.BGP
		f.sessions[node] = slices.Concat(f.sessions[node], bgp.PeersV4, bgp.PeersV6)
	}
}

// pool returns the pool that ip is of.
func (f *facts) pool(ip netip.Addr) (best pool, ok bool) {
	for _, p := range f.pools {
		if p.prefix.Contains(ip) && (!ok || p.prefix.Bits() > best.prefix.Bits()) {
			best, ok = p, true
		}
	}
	return best, ok
}
