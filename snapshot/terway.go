package snapshot

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	return each[TerwayNode](s, "nodes.network.alibabacloud.com")
}

// TerwayPodENIs returns the ENIs of pods, likewise.
func (s *Snapshot) TerwayPodENIs() ([]TerwayPodENI, error) {
	return each[TerwayPodENI](s, "podenis.network.alibabacloud.com")
}
