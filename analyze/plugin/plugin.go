// Package plugin defines what a CNI plugin must tell the simulation, and gives
// it the parts that most plugins share.
//
// Reality is never a plugin's business: what the kernel does with a packet is
// what its namespace says. A plugin knows what its network means to happen;
// the kit sets one beside the other and reports the difference.
package plugin

import (
	"flag"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A ConfigBinder is a group of options.
type ConfigBinder interface {
	// BindFlags defines the options on fs, with their defaults.
	BindFlags(fs *flag.FlagSet)
	// Validate reports options that make no sense, naming the flag.
	Validate() error
}

// A Plugin builds the nodes of one network.
type Plugin interface {
	CreatePod(pod *k8s.Pod) (model.NetNodeAction, error)
	CreateNode(node *k8s.NodeInfo) (model.NetNodeAction, error)
}

// A Checker is a [Plugin] that can say, with no packet given, what its network
// needs of a node.
type Checker interface {
	// CheckNode reports how the state of a node and of its pods differs from
	// what the network means. A suspicion without a hop is about the node.
	// What was not collected is not asserted. What several pods suffer from may be
	// reported for each: who asks keeps it once.
	CheckNode(r assertions.Reporter, node string)
}

// An Underlaid is a [Plugin] whose pods have addresses that the network between
// machines knows, as those of a cloud's VPC: routers there need not be told.
type Underlaid interface {
	// Attached returns the device by which packets of other machines come to a
	// pod: one of its node's, or the pod's own. It reports false if the bundle
	// does not tell.
	Attached(pod *corev1.Pod) (topology.End, bool)
}

// An Env is all that a plugin may use. It is passed, never looked up.
type Env struct {
	Snapshot *snapshot.Snapshot
	IPCache  *k8s.IPCache
	Services service.Processor // nil if nobody knows what serves Services
	Topology *topology.Topology
	Atlas    topology.Atlas
	HopOf    func(topology.Place) model.Hop

	// Underlay is what the provider knows of the network between machines, nil if
	// that is taken to be good.
	Underlay infra.Underlay

	// ClusterCIDRs are the ranges of pod addresses: those that were asked for,
	// otherwise what the bundle says.
	ClusterCIDRs []netip.Prefix
}

// A Descriptor describes a plugin: its name, its options, how to recognise it
// in a snapshot and how to build it.
type Descriptor struct {
	Name   string       // as in --network-plugin
	Doc    string       // one line, then paragraphs
	Config ConfigBinder // nil if it has no options
	// Detect is by what the networks that the plugin serves are known, the
	// first of them first.
	Detect []Marks
	New    func(Env) (Plugin, error)
	// Fallback says that the plugin serves networks that no plugin is
	// recognised for.
	Fallback bool
}

// A SimplePluginNode says what a node means to do with a packet, by what the
// packet's destination is. It returns where the packet should go next: no
// transmission means that it stays. A nil slice and ErrNoOpinion mean that the
// network has no say.
type SimplePluginNode interface {
	ToPod(upstream *model.Link, dst model.Endpoint, protocol model.Protocol, pod *corev1.Pod) ([]model.Transmission, error)
	ToHost(upstream *model.Link, dst model.Endpoint, protocol model.Protocol, node *corev1.Node) ([]model.Transmission, error)
	ToService(upstream *model.Link, dst model.Endpoint, protocol model.Protocol, service *corev1.Service) ([]model.Transmission, error)
	ToExternal(upstream *model.Link, dst model.Endpoint, protocol model.Protocol) ([]model.Transmission, error)
	Serve(upstream *model.Link, dst model.Endpoint, protocol model.Protocol) ([]model.Transmission, error)
}

// A Fabric is what one CNI plugin's node does differently from another's. Host
// builds the whole of a [SimplePluginNode] from it. Each method asserts the
// state of this node that its kind of traffic needs.
type Fabric interface {
	// LocalPod is about packets to a pod of this node.
	LocalPod(a *assertions.NetstackAssertion, pod *corev1.Pod)
	// Remote is about packets to an address of the pod network on another
	// node: a pod's, or the node's own there.
	Remote(a *assertions.NetstackAssertion, ip netip.Addr, node *corev1.Node)
	// Arrival is about packets from another node's pods: a tunnel to come
	// out of, for instance.
	Arrival(a *assertions.NetstackAssertion, upstream *model.Link)
	// Masquerades reports whether p should leave with the node's own address.
	Masquerades(p model.Packet) bool
}

// A Leaver is a [Fabric] on whose nodes the sender of a packet decides by which
// device it leaves for other machines, which may lie behind a router.
type Leaver interface {
	// Leave is about packet p, which is to leave the node for dst. It asserts
	// what that needs, and returns where p should go, as [By] does: nothing if
	// the network has no say.
	Leave(a *assertions.NetstackAssertion, p model.Packet, dst netip.Addr) []model.Transmission
	// Apart reports whether a pod of the node is reached from the node by the
	// network outside, like a machine of its own.
	Apart(pod *corev1.Pod) bool
}

// OwnerOf returns the interface that the network between machines gave an address
// to, as far as the provider knows.
func (e *Env) OwnerOf(ip netip.Addr) (infra.Owner, bool) {
	if owning, ok := e.Underlay.(infra.Owning); ok {
		return owning.OwnerOf(ip)
	}
	return infra.Owner{}, false
}

// By returns where a packet to dst should go that should leave a node by dev. via is
// the router there, the zero Addr if there is none or it is not known: one that is a
// machine of the bundle takes the packet, and any other brings it to where dst is,
// which u tells of pods. It is the device that counts.
func By(env Env, u Underlaid, dev string, via, dst netip.Addr) []model.Transmission {
	return []model.Transmission{{NextHop: brought(env, u, via, dst), Link: &model.Link{SourceAttribute: model.LinkAttribute{Interface: dev}}}}
}

// brought is where a packet to dst comes to that is given to a router.
func brought(env Env, u Underlaid, via, dst netip.Addr) model.Hop {
	for _, machine := range []netip.Addr{via, dst} {
		if place, ok := env.Atlas.Owner(machine); ok {
			return env.HopOf(place)
		}
	}
	pod, ok := env.IPCache.GetPodFromIP(dst)
	if !ok {
		return model.Hop{Type: model.NetNodeTypeExternal, ID: dst.String()}
	}
	if end, ok := u.Attached(pod); ok {
		return env.HopOf(end.Place)
	}
	return model.Hop{Type: model.NetNodeTypeNode, ID: pod.Spec.NodeName}
}
