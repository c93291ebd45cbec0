package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An AdminPolicy is a cluster-wide policy of the group
// policy.networking.k8s.io: an AdminNetworkPolicy or BaselineAdminNetworkPolicy
// of v1alpha1, or a ClusterNetworkPolicy of v1alpha2. The fields have the names
// of the API (kubernetes-sigs/network-policy-api, apis/); what only some of the
// kinds have says so.
type AdminPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              AdminPolicySpec `json:"spec"`
}

// An AdminPolicySpec says which pods a policy is about and what it decides.
type AdminPolicySpec struct {
	Tier     string             `json:"tier,omitempty"`     // ClusterNetworkPolicy: Admin or Baseline
	Priority int32              `json:"priority,omitempty"` // lower is asked first; a BaselineAdminNetworkPolicy has none
	Subject  AdminPolicySubject `json:"subject"`
	Ingress  []AdminPolicyRule  `json:"ingress,omitempty"`
	Egress   []AdminPolicyRule  `json:"egress,omitempty"`
}

// An AdminPolicySubject selects pods. One of its fields is set.
type AdminPolicySubject struct {
	Namespaces *metav1.LabelSelector `json:"namespaces,omitempty"`
	Pods       *AdminPolicyPods      `json:"pods,omitempty"`
}

// AdminPolicyPods selects pods by their labels and those of their namespace.
type AdminPolicyPods struct {
	NamespaceSelector metav1.LabelSelector `json:"namespaceSelector"`
	PodSelector       metav1.LabelSelector `json:"podSelector"`
}

// An AdminPolicyRule decides about traffic from or to one of its peers.
type AdminPolicyRule struct {
	Name      string                `json:"name,omitempty"`
	Action    string                `json:"action"`              // Allow (ClusterNetworkPolicy: Accept), Deny or Pass
	From      []AdminPolicyPeer     `json:"from,omitempty"`      // of ingress rules
	To        []AdminPolicyPeer     `json:"to,omitempty"`        // of egress rules
	Ports     []AdminPolicyPort     `json:"ports,omitempty"`     // v1alpha1; none are all
	Protocols []AdminPolicyProtocol `json:"protocols,omitempty"` // ClusterNetworkPolicy; none are all
}

// An AdminPolicyPeer is one end of traffic. One of its fields is set; the last
// three only in egress rules.
type AdminPolicyPeer struct {
	Namespaces  *metav1.LabelSelector `json:"namespaces,omitempty"`
	Pods        *AdminPolicyPods      `json:"pods,omitempty"`
	Nodes       *metav1.LabelSelector `json:"nodes,omitempty"`
	Networks    []string              `json:"networks,omitempty"`
	DomainNames []string              `json:"domainNames,omitempty"`
}

// An AdminPolicyPort is a port of v1alpha1. One of its fields is set.
type AdminPolicyPort struct {
	PortNumber *struct {
		Protocol corev1.Protocol `json:"protocol,omitempty"` // "" is TCP
		Port     int32           `json:"port"`
	} `json:"portNumber,omitempty"`
	NamedPort *string `json:"namedPort,omitempty"`
	PortRange *struct {
		Protocol corev1.Protocol `json:"protocol,omitempty"` // "" is TCP
		Start    int32           `json:"start"`
		End      int32           `json:"end"`
	} `json:"portRange,omitempty"`
}

// An AdminPolicyProtocol is a protocol of a ClusterNetworkPolicy, or a port by
// its name. One of its fields is set.
type AdminPolicyProtocol struct {
	TCP                  *AdminPolicyPorts `json:"tcp,omitempty"`
	UDP                  *AdminPolicyPorts `json:"udp,omitempty"`
	SCTP                 *AdminPolicyPorts `json:"sctp,omitempty"`
	DestinationNamedPort string            `json:"destinationNamedPort,omitempty"`
}

// AdminPolicyPorts is the ports of a protocol; nil is all.
type AdminPolicyPorts struct {
	DestinationPort *struct {
		Number int32 `json:"number,omitempty"`
		Range  *struct {
			Start int32 `json:"start"`
			End   int32 `json:"end"`
		} `json:"range,omitempty"`
	} `json:"destinationPort,omitempty"`
}

// AdminNetworkPolicies returns those of v1alpha1. What cannot be read of the
// list is in the error, and the rest is returned all the same.
func (s *Snapshot) AdminNetworkPolicies() ([]AdminPolicy, error) {
	return s.adminPolicies("adminnetworkpolicies")
}

// BaselineAdminNetworkPolicies returns those of v1alpha1, of which a cluster
// has one at most. Errors are as those of AdminNetworkPolicies.
func (s *Snapshot) BaselineAdminNetworkPolicies() ([]AdminPolicy, error) {
	return s.adminPolicies("baselineadminnetworkpolicies")
}

// ClusterNetworkPolicies returns those of v1alpha2. Errors are as those of
// AdminNetworkPolicies.
func (s *Snapshot) ClusterNetworkPolicies() ([]AdminPolicy, error) {
	return s.adminPolicies("clusternetworkpolicies")
}

// adminPolicies reads a list of which one bad object costs one object.
func (s *Snapshot) adminPolicies(plural string) ([]AdminPolicy, error) {
	return each[AdminPolicy](s, plural+".policy.networking.k8s.io")
}
