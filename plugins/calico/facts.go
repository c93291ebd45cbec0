package calico

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // it names devices, as Calico does
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/snapshot"
)

// facts is what the bundle says about this Calico.
type facts struct {
	pools    []pool
	claims   map[netip.Prefix][]string // by block: the nodes that claim it
	lengths  []int                     // of the blocks, the longest first
	members  map[string]*member        // by node
	felix    map[string]snapshot.CalicoFelix
	sessions map[string][]snapshot.CalicoSession // of BGP, by node
	mesh     bool                                // every node tells every other one its blocks
	ipam     func() ipam                         // read only where the claims do not suffice: it is large
}

// ipam is who has which address. A node that does not claim the block has
// borrowed it.
type ipam struct {
	known  bool
	nodes  map[netip.Addr]string   // by address that is given out
	claims map[netip.Prefix]string // by block
}

// A pool is an IPPool.
type pool struct {
	name   string
	prefix netip.Prefix
	tunnel string // ipip, vxlan, "" for none
	cross  bool   // nodes of one subnet need no tunnel
	nat    bool

	disabled bool // it gives no new addresses
	local    bool // BIRD tells no other node of it
}

// between is the tunnel between two nodes, "" if they need none: the subnet is that
// of the node that sends.
func (p pool) between(own, peer *member) string {
	if p.cross && own.addr.Masked().Contains(peer.addr.Addr()) {
		return ""
	}
	return p.tunnel
}

// A member is a node as Calico knows it.
type member struct {
	addr      netip.Prefix // that the others reach it by, and the subnet of it
	vtep      netip.Addr   // of its VXLAN device
	mac       string       // likewise
	encrypted bool         // it takes packets through WireGuard
	reflector bool         // of BGP routes
}

const annotationPrefix = "projectcalico.org/"

// read gathers the facts. Lists that are missing say nothing.
func read(snap *snapshot.Snapshot) *facts {
	f := &facts{claims: map[netip.Prefix][]string{}, members: map[string]*member{}, felix: map[string]snapshot.CalicoFelix{}, sessions: map[string][]snapshot.CalicoSession{}}
	pools, _ := snap.CalicoPools()
	for i := range pools {
		f.addPool(&pools[i])
	}
	f.ipam = sync.OnceValue(func() ipam { return readIPAM(snap) })
	f.readClaims(snap)
	nodes, _ := snap.Nodes()
	for i := range nodes {
		f.members[nodes[i].Name] = newMember(&nodes[i])
	}
	felix, _ := snap.CalicoFelixConfigurations()
	for _, c := range felix {
		f.felix[c.Name] = c
	}
	f.readBGP(snap)
	return f
}

func (f *facts) addPool(p *snapshot.CalicoPool) {
	prefix, err := netip.ParsePrefix(p.Spec.CIDR)
	if err != nil {
		return
	}
	one := pool{name: p.Name, prefix: prefix.Masked(), nat: p.Spec.NATOutgoing, disabled: p.Spec.Disabled, local: p.Spec.DisableBGPExport}
	for tunnel, mode := range map[string]string{"ipip": p.Spec.IPIPMode, "vxlan": p.Spec.VXLANMode} {
		if mode == "Always" || mode == "CrossSubnet" { // Calico refuses a pool with both
			one.tunnel, one.cross = tunnel, mode == "CrossSubnet"
		}
	}
	f.pools = append(f.pools, one)
}

// readClaims reads which node claims which block: a claim counts once it is
// confirmed (libcalico-go/lib/ipam).
func (f *facts) readClaims(snap *snapshot.Snapshot) {
	claims, _ := snap.CalicoAffinities()
	for i := range claims {
		c := &claims[i].Spec
		deleted := c.Deleted == true || c.Deleted == "true"
		if block, err := netip.ParsePrefix(c.CIDR); err == nil && c.State == "confirmed" && !deleted && c.Type != "virtual" {
			f.claim(block.Masked(), c.Node)
		}
	}
	if len(claims) == 0 {
		for block, node := range f.ipam().claims {
			f.claim(block, node)
		}
	}
	slices.Sort(f.lengths)
	slices.Reverse(f.lengths)
}

func (f *facts) claim(block netip.Prefix, node string) {
	if !slices.Contains(f.claims[block], node) {
		f.claims[block] = append(f.claims[block], node)
	}
	if !slices.Contains(f.lengths, block.Bits()) {
		f.lengths = append(f.lengths, block.Bits())
	}
}

// newMember reads what a node tells the others (libcalico-go/lib/backend/k8s/resources/node.go).
func newMember(node *corev1.Node) *member {
	annotation := func(name string) string { return node.Annotations[annotationPrefix+name] }
	m := &member{mac: annotation("VXLANTunnelMACAddr"), encrypted: annotation("WireguardPublicKey") != "", reflector: annotation("RouteReflectorClusterID") != ""}
	m.addr, _ = netip.ParsePrefix(annotation("IPv4Address"))
	m.vtep, _ = netip.ParseAddr(annotation("IPv4VXLANTunnelAddr"))
	for _, a := range node.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil && ip.Is4() && a.Type == corev1.NodeInternalIP && !m.addr.IsValid() {
			m.addr = netip.PrefixFrom(ip, ip.BitLen())
		}
	}
	if m.mac == "" {
		m.mac = vtepMAC(node.Name)
	}
	return m
}

// vtepMAC is the hardware address of a node's VXLAN device, if nobody chose
// another one (felix/calc/vxlan_resolver.go).
func vtepMAC(node string) string {
	sum := sha1.Sum([]byte(node)) //nolint:gosec // as above
	return fmt.Sprintf("66:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4])
}

// vethPrefix is what the names of pods' veths on a node begin with.
func (f *facts) vethPrefix(node string) string {
	prefix, _, _ := strings.Cut(f.configured(node, func(c *snapshot.CalicoFelix) string { return c.Spec.InterfacePrefix }), ",")
	return cmp.Or(prefix, "cali")
}

// configured is a setting of felix on a node: its own, or that of all nodes.
func (f *facts) configured(node string, setting func(*snapshot.CalicoFelix) string) string {
	for _, name := range []string{"node." + node, "default"} {
		if c, ok := f.felix[name]; ok && setting(&c) != "" {
			return setting(&c)
		}
	}
	return ""
}

// on reports whether a switch of felix is on.
func (f *facts) on(node string, setting func(*snapshot.CalicoFelix) *bool) bool {
	return f.configured(node, func(c *snapshot.CalicoFelix) string {
		if v := setting(c); v == nil {
			return ""
		} else if *v {
			return "on"
		}
		return "off"
	}) == "on"
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
		f.sessions[statuses[i].Spec.Node] = append(f.sessions[statuses[i].Spec.Node], statuses[i].Status.BGP.PeersV4...)
	}
}

// readIPAM reads who has which address.
func readIPAM(snap *snapshot.Snapshot) ipam {
	blocks, err := snap.CalicoBlocks()
	m := ipam{known: err == nil, nodes: map[netip.Addr]string{}, claims: map[netip.Prefix]string{}}
	for i := range blocks {
		b := &blocks[i].Spec
		block, err := netip.ParsePrefix(b.CIDR)
		if err != nil || b.Deleted {
			continue
		}
		if node, ok := strings.CutPrefix(b.Affinity, "host:"); ok {
			m.claims[block.Masked()] = node
		}
		ip := block.Masked().Addr()
		for _, at := range b.Allocations {
			if at != nil && *at >= 0 && *at < len(b.Attributes) {
				m.nodes[ip] = b.Attributes[*at].Secondary["node"]
			}
			ip = ip.Next()
		}
	}
	return m
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

// block returns the block that ip is of and who claims it.
func (f *facts) block(ip netip.Addr) (block netip.Prefix, nodes []string, ok bool) {
	for _, n := range f.lengths {
		if block, err := ip.Prefix(n); err == nil && f.claims[block] != nil {
			return block, f.claims[block], true
		}
	}
	return netip.Prefix{}, nil, false
}

// blocksByNode are the blocks of IPv4 that only one node claims, sorted.
func (f *facts) blocksByNode() map[string][]netip.Prefix {
	all := map[string][]netip.Prefix{}
	for block, nodes := range f.claims {
		if block.Addr().Is4() && len(nodes) == 1 {
			all[nodes[0]] = append(all[nodes[0]], block)
		}
	}
	for _, list := range all {
		slices.SortFunc(list, netip.Prefix.Compare)
	}
	return all
}

// sample is an address of a node's block that no other node borrowed.
func (f *facts) sample(block netip.Prefix, node string) netip.Addr {
	for ip := block.Addr(); block.Contains(ip); ip = ip.Next() {
		if has := f.ipam().nodes[ip]; has == "" || has == node {
			return ip
		}
	}
	return netip.Addr{}
}
