package snapshot

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A CalicoPool is an IPPool of Calico: a range of addresses of pods, and how
// packets to them travel between nodes.
type CalicoPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		CIDR             string `json:"cidr"`
		IPIPMode         string `json:"ipipMode,omitempty"`  // Always, CrossSubnet; "" is Never
		VXLANMode        string `json:"vxlanMode,omitempty"` // likewise
		NATOutgoing      bool   `json:"natOutgoing,omitempty"`
		Disabled         bool   `json:"disabled,omitempty"` // gives no new addresses
		DisableBGPExport bool   `json:"disableBGPExport,omitempty"`
	} `json:"spec"`
}

// Tunnel is how packets to the pool travel between nodes: "ipip", "vxlan", or "" for
// without a tunnel, and whether nodes of one subnet need none. Calico refuses a pool
// with both.
func (p *CalicoPool) Tunnel() (kind string, cross bool) {
	for _, mode := range []struct{ kind, when string }{{"ipip", p.Spec.IPIPMode}, {"vxlan", p.Spec.VXLANMode}} {
		if mode.when == "Always" || mode.when == "CrossSubnet" {
			kind, cross = mode.kind, mode.when == "CrossSubnet"
		}
	}
	return kind, cross
}

// A CalicoAffinity is a BlockAffinity of Calico: a node claims a block of
// addresses for its pods.
type CalicoAffinity struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		CIDR    string `json:"cidr"`
		Node    string `json:"node"`
		Type    string `json:"type,omitempty"`    // virtual is no node's; "" is host
		State   string `json:"state,omitempty"`   // confirmed, pending, pendingDeletion
		Deleted any    `json:"deleted,omitempty"` // "true" or true while it is being deleted
	} `json:"spec"`
}

// Block is the block that a node claims. It reports false if it is none, or if the
// claim does not count: it does once it is confirmed (libcalico-go/lib/ipam).
func (a *CalicoAffinity) Block() (netip.Prefix, bool) {
	c := &a.Spec
	block, err := netip.ParsePrefix(c.CIDR)
	return block.Masked(), err == nil && c.State == "confirmed" && c.Deleted != true && c.Deleted != "true" && c.Type != "virtual"
}

// A CalicoBlock is an IPAMBlock of Calico: which addresses of a block are given
// out, and to whom.
type CalicoBlock struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		CIDR        string `json:"cidr"`
		Affinity    string `json:"affinity,omitempty"` // host:<node>, "" if no node claims it
		Allocations []*int `json:"allocations"`        // by address: an index of Attributes, nil if it is free
		Attributes  []struct {
			Secondary map[string]string `json:"secondary,omitempty"` // node, namespace, pod, type
		} `json:"attributes"`
		Deleted bool `json:"deleted,omitempty"`
	} `json:"spec"`
}

// Block is the block itself, and the node that claims it, "" if none does. It
// reports false if it is being deleted, or is none.
func (b *CalicoBlock) Block() (block netip.Prefix, node string, ok bool) {
	block, err := netip.ParsePrefix(b.Spec.CIDR)
	node, claimed := strings.CutPrefix(b.Spec.Affinity, "host:")
	if !claimed {
		node = ""
	}
	return block.Masked(), node, err == nil && !b.Spec.Deleted
}

// Given are the addresses of the block that are given out, with the node that each
// was given on, "" if that is not told.
func (b *CalicoBlock) Given() map[netip.Addr]string {
	given := map[netip.Addr]string{}
	block, _, ok := b.Block()
	ip := block.Addr()
	for _, at := range b.Spec.Allocations {
		if ok && block.Contains(ip) && at != nil && *at >= 0 && *at < len(b.Spec.Attributes) {
			given[ip] = b.Spec.Attributes[*at].Secondary["node"]
		}
		ip = ip.Next()
	}
	return given
}

// A CalicoBGP is a BGPConfiguration of Calico. Only the one named default says
// whether there is a mesh.
type CalicoBGP struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		NodeToNodeMeshEnabled *bool `json:"nodeToNodeMeshEnabled,omitempty"` // nil is true
	} `json:"spec"`
}

// A CalicoBGPPeer is a BGPPeer of Calico: a session beside those of the mesh.
type CalicoBGPPeer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Node         string `json:"node,omitempty"`
		NodeSelector string `json:"nodeSelector,omitempty"`
		PeerIP       string `json:"peerIP,omitempty"`
		PeerSelector string `json:"peerSelector,omitempty"`
	} `json:"spec"`
}

// A CalicoNodeStatus is what calico-node told about one node when somebody
// asked for it, by an object of that kind.
type CalicoNodeStatus struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Node string `json:"node,omitempty"`
	} `json:"spec"`
	Status struct {
		LastUpdated metav1.Time `json:"lastUpdated,omitempty"`
		BGP         struct {
			PeersV4 []CalicoSession `json:"peersV4,omitempty"`
			PeersV6 []CalicoSession `json:"peersV6,omitempty"`
		} `json:"bgp,omitempty"`
	} `json:"status,omitempty"`
}

// A CalicoSession is a BGP session of a node.
type CalicoSession struct {
	PeerIP string `json:"peerIP,omitempty"`
	Type   string `json:"type,omitempty"`  // NodeMesh, NodePeer, GlobalPeer
	State  string `json:"state,omitempty"` // Established and what comes before it (RFC 4271)
	Since  string `json:"since,omitempty"`
}

// CalicoPools returns the ranges of addresses of pods. As with all of Calico's
// objects, one that cannot be read is left out, and in the error.
func (s *Snapshot) CalicoPools() ([]CalicoPool, error) { return calicoList[CalicoPool](s, "ippools") }

// CalicoAffinities returns which node claims which block of addresses.
func (s *Snapshot) CalicoAffinities() ([]CalicoAffinity, error) {
	return calicoList[CalicoAffinity](s, "blockaffinities")
}

// CalicoBlocks returns who has which address.
func (s *Snapshot) CalicoBlocks() ([]CalicoBlock, error) {
	return calicoList[CalicoBlock](s, "ipamblocks")
}

// CalicoClaims returns which nodes claim which block: by their claims, or, where
// none were collected, by the blocks.
func (s *Snapshot) CalicoClaims() map[netip.Prefix][]string {
	all := map[netip.Prefix][]string{}
	claims, _ := s.CalicoAffinities()
	for i := range claims {
		if block, ok := claims[i].Block(); ok {
			all[block] = append(all[block], claims[i].Spec.Node)
		}
	}
	if len(claims) > 0 {
		return all
	}
	blocks, _ := s.CalicoBlocks()
	for i := range blocks {
		if block, node, ok := blocks[i].Block(); ok && node != "" {
			all[block] = append(all[block], node)
		}
	}
	return all
}

// CalicoAddresses returns which node each address was given on, "" if that is not
// told. As with all of Calico's objects, a block that cannot be read is left out, and
// in the error.
func (s *Snapshot) CalicoAddresses() (map[netip.Addr]string, error) {
	blocks, err := s.CalicoBlocks()
	all := map[netip.Addr]string{}
	for i := range blocks {
		maps.Copy(all, blocks[i].Given())
	}
	return all, err
}

// CalicoBGPConfigurations returns how nodes exchange routes.
func (s *Snapshot) CalicoBGPConfigurations() ([]CalicoBGP, error) {
	return calicoList[CalicoBGP](s, "bgpconfigurations")
}

// CalicoBGPPeers returns the sessions beside those of the mesh.
func (s *Snapshot) CalicoBGPPeers() ([]CalicoBGPPeer, error) {
	return calicoList[CalicoBGPPeer](s, "bgppeers")
}

// CalicoMesh reports whether every node tells every other one its blocks, by BGP.
// Without the configuration it is not known, and false.
func (s *Snapshot) CalicoMesh() bool {
	configs, err := s.CalicoBGPConfigurations()
	mesh := err == nil
	for i := range configs {
		if on := configs[i].Spec.NodeToNodeMeshEnabled; configs[i].Name == "default" && on != nil {
			mesh = *on
		}
	}
	return mesh
}

// CalicoSessions returns the BGP sessions of each node, of both families, as far as
// somebody asked for their state.
func (s *Snapshot) CalicoSessions() map[string][]CalicoSession {
	all := map[string][]CalicoSession{}
	statuses, _ := s.CalicoNodeStatuses()
	for i := range statuses {
		node, bgp := statuses[i].Spec.Node, &statuses[i].Status.BGP
		all[node] = slices.Concat(all[node], bgp.PeersV4, bgp.PeersV6)
	}
	return all
}

// CalicoNodeStatuses returns what calico-node told about nodes.
func (s *Snapshot) CalicoNodeStatuses() ([]CalicoNodeStatus, error) {
	return calicoList[CalicoNodeStatus](s, "caliconodestatuses")
}
