// Package infra is what a provider of the network between machines must tell
// the walk: whether a packet that left one machine arrives at another.
//
// The kernel is not asked here. What stands between machines is told by the
// facts that a bundle holds of it, and by what the provider documents.
package infra

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A Descriptor describes a provider: its name, how to recognise it in a
// snapshot, and what it knows of the network between machines.
type Descriptor struct {
	Name string // as in --cloud-provider
	Doc  string // one line
	// Detect reports whether the snapshot shows this provider, and what it saw
	// or looked for.
	Detect func(*snapshot.Snapshot) (found bool, saw string)
	// New reads what the snapshot holds. Nil, or a nil Underlay, takes the
	// network between machines to be good. Notes say what else is taken for
	// granted; problems, what could not be read.
	New func(Env) (u Underlay, notes []string, problems []error)
	// Fallback says that the provider serves clusters that no provider is
	// recognised for.
	Fallback bool
}

// An Env is all that a provider may use.
type Env struct {
	Snapshot *snapshot.Snapshot
	Cluster  Cluster
}

// A Cluster knows whose addresses are whose.
type Cluster interface {
	GetNodeFromName(name string) (*corev1.Node, bool)
	GetNodeIPs(node string) []netip.Addr
	GetNodePodCIDRs(node string) []netip.Prefix
	GetPodFromIP(ip netip.Addr) (*corev1.Pod, bool)
}

// An Underlay says what becomes of packets between machines.
type Underlay interface {
	// Name is what the vertex that stands for it is called: the ID of a VPC.
	Name() string
	// Cross returns what may become of a packet. There are several answers where
	// they differ by what the bundle does not tell, each with its doubts.
	Cross(c Crossing) []Verdict
}

// An Owning is an [Underlay] that knows which interface has an address.
type Owning interface {
	// OwnerOf reports false if the bundle does not tell.
	OwnerOf(ip netip.Addr) (Owner, bool)
}

// An Owner is the interface that the network between machines gave an address to.
type Owner struct {
	MAC      string       // its hardware address, in lower case
	Network  netip.Prefix // that it is in, the zero Prefix if that is not known
	Evidence string       // file:line, or the part of the bundle
}

// A Checker is an [Underlay] that can say, with no packet given, what is wrong
// with it.
type Checker interface {
	// Check reports what keeps pods on different nodes from each other. bare has,
	// by node, the ranges of the node's pods whose packets cross the network
	// between machines as they are, in no tunnel.
	Check(bare map[string][]netip.Prefix, r Reporter)
}

// A Reporter takes down what is found about nodes.
type Reporter interface {
	Report(node string, s model.Suspicion)
	// Unknown says what cannot be told; evidence is file:line, or "".
	Unknown(node, evidence, what string)
}

// A Crossing is a packet that leaves one machine for another.
type Crossing struct {
	Packet   model.Packet // as it is on the wire: the outer one of a tunnel
	From, To Machine
	Flow     *model.Flow // what the branch has left behind up to here
}

// A Machine is one end of a [Crossing].
type Machine struct {
	Node string // name of the node, "" if it is none of the cluster's
	MAC  string // hardware address of the device that the packet leaves by, "" if that is not known
}

// A Verdict is what becomes of a packet between machines.
type Verdict struct {
	// Disposition is Forwarded if the packet arrives at To.
	Disposition model.Disposition
	To          Machine // where it arrives, which need not be where it was sent; MAC is that of the device that takes it, "" if that is not known
	Diverted    bool    // To is another machine than the sender meant
	Outside     bool    // it leaves by a gateway of the provider's, for what lies beyond; To is not valid then

	Code             string // of the suspicion, "" if there is none
	Reason, Evidence string
	Remedy           string

	Steps  []model.Step
	Doubts []model.Doubt
	Flow   *model.Flow // that of the crossing, and what the packet has left behind
}
