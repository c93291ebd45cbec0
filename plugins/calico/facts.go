package calico

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // it names devices, as Calico does
	"fmt"
	"net/netip"
	"sync"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// facts is what the bundle says about this Calico.
type facts struct {
	pools    []pool
	blocks   plugin.Ranges                       // of nodes
	sessions map[string][]snapshot.CalicoSession // of BGP, by node
	mesh     bool                                // of all nodes, by BGP; false also if that is not known
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
	f := &facts{sessions: snap.CalicoSessions(), mesh: snap.CalicoMesh()}
	pools, _ := snap.CalicoPools()
	for i := range pools {
		if prefix, err := netip.ParsePrefix(pools[i].Spec.CIDR); err == nil {
			tunnel, cross := pools[i].Tunnel()
			f.pools = append(f.pools, pool{&pools[i], prefix.Masked(), tunnel, cross})
		}
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
	return f
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

// pool returns the pool that ip is of.
func (f *facts) pool(ip netip.Addr) (best pool, ok bool) {
	for _, p := range f.pools {
		if p.prefix.Contains(ip) && (!ok || p.prefix.Bits() > best.prefix.Bits()) {
			best, ok = p, true
		}
	}
	return best, ok
}
