package snapshot

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Terway's custom resources.
const (
	terwayNodes   = "nodes.network.alibabacloud.com"
	terwayPodENIs = "podenis.network.alibabacloud.com"
)

// A TerwayNode is a Node of terway (nodes.network.alibabacloud.com/v1beta1): the
// ENIs of a node, where terway keeps its addresses in the cluster.
type TerwayNode struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Status            struct {
		NetworkInterfaces map[string]TerwayENI `json:"networkInterfaces,omitempty"` // by ID
	} `json:"status"`
}

// A TerwayENI is one ENI of a TerwayNode.
type TerwayENI struct {
	ID         string              `json:"id"`
	MacAddress string              `json:"macAddress,omitempty"`
	IPv4       map[string]TerwayIP `json:"ipv4,omitempty"` // by address
	IPv4CIDR   string              `json:"ipv4CIDR,omitempty"`
}

// A TerwayIP is an address of an ENI.
type TerwayIP struct {
	IP    string `json:"ip"`
	PodID string `json:"podID,omitempty"` // namespace/name, "" if no pod has it
}

// A TerwayPodENI is a PodENI (podenis.network.alibabacloud.com/v1beta1), of the
// name of its pod: the ENIs that are made for that pod alone.
type TerwayPodENI struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Allocations []struct {
			ENI struct {
				ID  string `json:"id,omitempty"`
				MAC string `json:"mac,omitempty"`
			} `json:"eni"`
			IPv4      string `json:"ipv4,omitempty"`
			IPv4CIDR  string `json:"ipv4CIDR,omitempty"`
			Interface string `json:"interface,omitempty"` // of the pod, "" is eth0
		} `json:"allocations,omitempty"`
	} `json:"spec"`
	Status struct {
		TrunkENIID string `json:"trunkENIID,omitempty"`
	} `json:"status"`
}

// TerwayNodes returns the ENIs of the nodes. One that cannot be read is left out,
// and in the error.
func (s *Snapshot) TerwayNodes() ([]TerwayNode, error) {
	return each[TerwayNode](s, terwayNodes)
}

// TerwayPodENIs returns the ENIs of pods, likewise.
func (s *Snapshot) TerwayPodENIs() ([]TerwayPodENI, error) {
	return each[TerwayPodENI](s, terwayPodENIs)
}

// A TerwayAddress says of an address which ENI has it.
type TerwayAddress struct {
	MAC      string       // of the ENI, in lower case
	Network  netip.Prefix // of its vSwitch, the zero Prefix if that is not told
	Evidence string       // the part of the bundle
}

// TerwayAddresses returns which ENI has which address, by the Nodes of terway and by
// its PodENIs, which count more. ENIs on a trunk are left out: the node sees the
// trunk alone. What cannot be read tells nothing.
func (s *Snapshot) TerwayAddresses() map[netip.Addr]TerwayAddress {
	out := map[netip.Addr]TerwayAddress{}
	add := func(ip, mac, cidr, resource string) {
		if a, err := netip.ParseAddr(ip); err == nil && mac != "" {
			network, _ := netip.ParsePrefix(cidr)
			out[a] = TerwayAddress{strings.ToLower(mac), network.Masked(), "cluster/" + resource + ".yaml"}
		}
	}
	nodes, _ := s.TerwayNodes()
	for i := range nodes {
		enis := nodes[i].Status.NetworkInterfaces
		for _, id := range slices.Sorted(maps.Keys(enis)) {
			eni := enis[id]
			for ip := range eni.IPv4 {
				add(ip, eni.MacAddress, eni.IPv4CIDR, terwayNodes)
			}
		}
	}
	pods, _ := s.TerwayPodENIs()
	for i := range pods {
		for _, a := range pods[i].Spec.Allocations {
			if pods[i].Status.TrunkENIID == "" {
				add(a.IPv4, a.ENI.MAC, a.IPv4CIDR, terwayPodENIs)
			}
		}
	}
	return out
}
