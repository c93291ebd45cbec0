package snapshot

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// The groups that Calico keeps its objects in: as they are stored, and as its
// API server (or, since 3.32, the cluster's own) offers them.
const (
	CalicoStored = "crd.projectcalico.org"
	CalicoAPI    = "projectcalico.org"
)

// A CalicoPolicy is a NetworkPolicy or a GlobalNetworkPolicy of Calico
// (api/pkg/apis/projectcalico/v3 of github.com/projectcalico/calico), as far as
// it says what is allowed.
type CalicoPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              CalicoPolicySpec `json:"spec"`
}

// CalicoPolicySpec is what a CalicoPolicy says. The fields from
// NamespaceSelector on are those of a GlobalNetworkPolicy.
type CalicoPolicySpec struct {
	Tier                   string       `json:"tier,omitempty"`  // "" is default
	Order                  *float64     `json:"order,omitempty"` // nil is behind all others
	Ingress                []CalicoRule `json:"ingress,omitempty"`
	Egress                 []CalicoRule `json:"egress,omitempty"`
	Selector               string       `json:"selector,omitempty"`
	Types                  []string     `json:"types,omitempty"` // Ingress, Egress
	ServiceAccountSelector string       `json:"serviceAccountSelector,omitempty"`
	NamespaceSelector      string       `json:"namespaceSelector,omitempty"`
	DoNotTrack             bool         `json:"doNotTrack,omitempty"`
	PreDNAT                bool         `json:"preDNAT,omitempty"`
	ApplyOnForward         bool         `json:"applyOnForward,omitempty"`
}

// A CalicoRule is a rule of a CalicoPolicy. All that it asks for must hold.
type CalicoRule struct {
	Action      string              `json:"action"` // Allow, Deny, Log, Pass
	IPVersion   *int                `json:"ipVersion,omitempty"`
	Protocol    *intstr.IntOrString `json:"protocol,omitempty"`
	NotProtocol *intstr.IntOrString `json:"notProtocol,omitempty"`
	ICMP        *CalicoICMP         `json:"icmp,omitempty"`
	NotICMP     *CalicoICMP         `json:"notICMP,omitempty"`
	Source      CalicoEntity        `json:"source,omitempty"`
	Destination CalicoEntity        `json:"destination,omitempty"`
	HTTP        json.RawMessage     `json:"http,omitempty"`
}

// CalicoICMP is a type and a code of ICMP; nil is any.
type CalicoICMP struct {
	Type *int `json:"type,omitempty"`
	Code *int `json:"code,omitempty"`
}

// A CalicoEntity is one end of what a CalicoRule is about.
type CalicoEntity struct {
	Nets              []string               `json:"nets,omitempty"`
	NotNets           []string               `json:"notNets,omitempty"`
	Selector          string                 `json:"selector,omitempty"`
	NotSelector       string                 `json:"notSelector,omitempty"`
	NamespaceSelector string                 `json:"namespaceSelector,omitempty"`
	Ports             []intstr.IntOrString   `json:"ports,omitempty"` // 80, "80:90", "http"
	NotPorts          []intstr.IntOrString   `json:"notPorts,omitempty"`
	ServiceAccounts   *CalicoServiceAccounts `json:"serviceAccounts,omitempty"`
	Services          *CalicoService         `json:"services,omitempty"`
}

// CalicoServiceAccounts is pods by their service accounts; both must hold.
type CalicoServiceAccounts struct {
	Names    []string `json:"names,omitempty"`
	Selector string   `json:"selector,omitempty"`
}

// CalicoService is the endpoints of a Service. Without a namespace it is in
// that of the policy.
type CalicoService struct {
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

// A CalicoTier is a Tier of Calico.
type CalicoTier struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Order         *float64 `json:"order,omitempty"`         // nil is behind all others
		DefaultAction string   `json:"defaultAction,omitempty"` // Pass; all else is Deny
	} `json:"spec"`
}

// A CalicoHostEndpoint is a HostEndpoint of Calico: interfaces of a node that
// policies may select.
type CalicoHostEndpoint struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Node          string           `json:"node,omitempty"`
		InterfaceName string           `json:"interfaceName,omitempty"` // "*" is all of the node
		ExpectedIPs   []string         `json:"expectedIPs,omitempty"`
		Profiles      []string         `json:"profiles,omitempty"`
		Ports         []CalicoHostPort `json:"ports,omitempty"`
	} `json:"spec"`
}

// A CalicoHostPort is a port that a CalicoHostEndpoint gives a name.
type CalicoHostPort struct {
	Name     string             `json:"name"`
	Protocol intstr.IntOrString `json:"protocol"`
	Port     uint16             `json:"port"`
}

// A CalicoNetworkSet is a NetworkSet or a GlobalNetworkSet of Calico: addresses
// with labels.
type CalicoNetworkSet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Nets []string `json:"nets,omitempty"`
	} `json:"spec"`
}

// A CalicoFelix is a FelixConfiguration of Calico. The one named default is for all
// nodes, node.<name> for one.
type CalicoFelix struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              CalicoFelixSpec `json:"spec"`
}

// CalicoFelixSpec is what a CalicoFelix says, as far as policies and the network
// depend on it. What is nil, empty or 0 is the default.
type CalicoFelixSpec struct {
	FailsafeInbound  *[]CalicoFailsafe `json:"failsafeInboundHostPorts,omitempty"`
	FailsafeOutbound *[]CalicoFailsafe `json:"failsafeOutboundHostPorts,omitempty"`

	BPFEnabled           *bool  `json:"bpfEnabled,omitempty"`
	InterfacePrefix      string `json:"interfacePrefix,omitempty"` // of pods' devices on the node, several by commas
	RouteSource          string `json:"routeSource,omitempty"`     // WorkloadIPs; "" is CalicoIPAM
	IPIPMTU              int    `json:"ipipMTU,omitempty"`
	VXLANMTU             int    `json:"vxlanMTU,omitempty"`
	WireguardEnabled     *bool  `json:"wireguardEnabled,omitempty"`
	WireguardInterface   string `json:"wireguardInterfaceName,omitempty"`
	WireguardEnabledV6   *bool  `json:"wireguardEnabledV6,omitempty"`
	WireguardInterfaceV6 string `json:"wireguardInterfaceNameV6,omitempty"`
	WireguardMTU         int    `json:"wireguardMTU,omitempty"`
	NATInterfaces        string `json:"iptablesNATOutgoingInterfaceFilter,omitempty"` // devices that natOutgoing is for
	NATExclusions        string `json:"natOutgoingExclusions,omitempty"`              // IPPoolsAndHostIPs: natOutgoing is not for nodes; "" is IPPoolsOnly
}

// CalicoFelixOf is how felix is set on a node: what the node's own configuration
// says, and for the rest what that of all nodes does.
func CalicoFelixOf(configs []CalicoFelix, node string) (spec CalicoFelixSpec) {
	for _, name := range []string{"default", "node." + node} {
		for i := range configs {
			if text, err := json.Marshal(configs[i].Spec); err == nil && configs[i].Name == name {
				_ = json.Unmarshal(text, &spec) // it was written from one
			}
		}
	}
	return spec
}

// A CalicoFailsafe is a port that no policy can close.
type CalicoFailsafe struct {
	Net      string `json:"net,omitempty"`      // "" is everybody
	Protocol string `json:"protocol,omitempty"` // "" is TCP
	Port     uint16 `json:"port"`
}

// CalicoResource returns the name of a resource of Calico, "<plural>.<group>",
// as the bundle has it: of the group that stores the objects, unless only the
// API has some, or only the API was asked. That the API has none says nothing
// about what is stored and could not be read.
func (s *Snapshot) CalicoResource(plural string) string {
	stored, offered := plural+"."+CalicoStored, plural+"."+CalicoAPI
	if s.hasContent(stored) {
		return stored
	}
	asked := s.Part(clusterName(stored)).Status != nodedump.StatusNotCollected
	if s.hasContent(offered) || !asked && s.Part(clusterName(offered)).Status.Known() {
		return offered
	}
	return stored
}

// hasContent reports whether a resource has objects.
func (s *Snapshot) hasContent(resource string) bool {
	data, err := s.Read(clusterName(resource))
	return err == nil && len(data) > 0
}

// CalicoNetworkPolicies returns Calico's policies of namespaces. As with all of
// Calico's objects, one that cannot be read is left out, and in the error.
func (s *Snapshot) CalicoNetworkPolicies() ([]CalicoPolicy, error) {
	return calicoList[CalicoPolicy](s, "networkpolicies")
}

// CalicoGlobalNetworkPolicies returns Calico's policies of the cluster.
func (s *Snapshot) CalicoGlobalNetworkPolicies() ([]CalicoPolicy, error) {
	return calicoList[CalicoPolicy](s, "globalnetworkpolicies")
}

// CalicoTiers returns the tiers of Calico's policies.
func (s *Snapshot) CalicoTiers() ([]CalicoTier, error) { return calicoList[CalicoTier](s, "tiers") }

// CalicoHostEndpoints returns the interfaces of nodes that policies may select.
func (s *Snapshot) CalicoHostEndpoints() ([]CalicoHostEndpoint, error) {
	return calicoList[CalicoHostEndpoint](s, "hostendpoints")
}

// CalicoNetworkSets returns the sets of addresses of namespaces.
func (s *Snapshot) CalicoNetworkSets() ([]CalicoNetworkSet, error) {
	return calicoList[CalicoNetworkSet](s, "networksets")
}

// CalicoGlobalNetworkSets returns the sets of addresses of the cluster.
func (s *Snapshot) CalicoGlobalNetworkSets() ([]CalicoNetworkSet, error) {
	return calicoList[CalicoNetworkSet](s, "globalnetworksets")
}

// CalicoFelixConfigurations returns how Calico's agents are configured.
func (s *Snapshot) CalicoFelixConfigurations() ([]CalicoFelix, error) {
	return calicoList[CalicoFelix](s, "felixconfigurations")
}

// ServiceAccounts returns the service accounts of the cluster: their labels.
func (s *Snapshot) ServiceAccounts() ([]corev1.ServiceAccount, error) {
	return list[corev1.ServiceAccount](s, "serviceaccounts")
}

// calicoList reads the objects of a resource, each for itself.
func calicoList[T any](s *Snapshot, plural string) ([]T, error) {
	return each[T](s, s.CalicoResource(plural))
}
