package plugin

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// A Checkup is the check of one node that a [Checker] makes. The plugin asserts
// what is its own, tells of which pods packets may be asked about, and gives the
// lanes to the other nodes; the rest is the same for all networks. Its assertions
// are those of the node's own namespace. Of one that was not collected nothing is
// asked.
type Checkup struct {
	*assertions.NetstackAssertion
	To   assertions.Reporter
	Node string

	basis   *Basis
	fabric  Fabric
	agent   string
	senders []sender
}

// A sender is an address of the node's pods, and the node's device that its
// packets come in by.
type sender struct {
	ip  netip.Addr
	dev string
}

// NewCheckup returns the check of a node, whose fabric says what it means to
// masquerade. agent is what writes its routes and rules, for remedies.
func NewCheckup(b *Basis, r assertions.Reporter, node string, fabric Fabric, agent string) *Checkup {
	return &Checkup{NetstackAssertion: assertions.NewNetstackAssertion(r, b.HostNS(node), model.SuspicionLevelCritical),
		To: r, Node: node, basis: b, fabric: fabric, agent: agent}
}

// Pods are those of the node.
func (c *Checkup) Pods() []*corev1.Pod { return c.basis.Census().Pods(c.Node) }

// Peers are the other nodes.
func (c *Checkup) Peers() []*corev1.Node { return c.basis.Census().Peers(c.Node) }

// Sends tells of a pod of the node whose packets come in by dev. One of each
// family is asked about, if dev is up.
func (c *Checkup) Sends(ip netip.Addr, dev string) {
	if c.NS() == nil || c.sender(ip).ip.IsValid() {
		return
	}
	if d, ok := c.NS().Device(dev); ok && netstack.Up(d) {
		c.senders = append(c.senders, sender{ip, dev})
	}
}

// sender is that of the family of like; its address is invalid if there is none.
func (c *Checkup) sender(like netip.Addr) sender {
	if i := slices.IndexFunc(c.senders, func(s sender) bool { return s.ip.Is4() == like.Is4() }); i >= 0 {
		return c.senders[i]
	}
	return sender{}
}

// CheckLanes checks the lanes to all other nodes. lane is the way to an address of
// one of them; it is false where the network means nothing.
func (c *Checkup) CheckLanes(lane func(peer string, far netip.Addr) (Lane, bool)) {
	for _, peer := range c.Peers() {
		for _, far := range c.basis.Aims()[peer.Name] {
			if l, ok := lane(peer.Name, far); ok {
				c.CheckLane(l)
			}
		}
	}
}

// CheckLane asserts a lane to another node's pods, that no policy rule leads packets
// of the node's pods elsewhere, and that what goes there and what comes from there
// is let in and passed on as it is.
func (c *Checkup) CheckLane(l Lane) {
	l.Assert(c.NetstackAssertion)
	s := c.sender(l.Dst)
	if !s.ip.IsValid() {
		return
	}
	if _, there := c.NS().Device(l.Dev); !there && l.Dev != "" {
		return
	}
	out, in := route.Query{Src: s.ip, Dst: l.Dst, IIf: s.dev}, route.Query{Src: l.Dst, Dst: s.ip, IIf: l.Dev}
	if !l.ByRule {
		c.AssertMainTable(out)
	}
	for _, q := range []route.Query{in, out} {
		if q.IIf == "" {
			continue // the way of what comes from there is not known
		}
		CheckArrival(c.basis.Env, c.To, c.NS(), q)
		CheckForward(c.To, c.NS(), q, fmt.Sprintf("Restart %s on the node, which writes the rules that accept.", c.agent))
	}
}

// CheckMasquerade asserts that packets of the node's pods to the world leave with
// the node's address, where the network means that.
func (c *Checkup) CheckMasquerade() {
	s := c.sender(netip.IPv4Unspecified())
	if p := Outside(s.ip); s.ip.IsValid() && c.fabric.Masquerades(p) {
		CheckMasquerade(c.To, c.NS(), p, s.dev, model.Suspicion{Evidence: rulesOf(c.fabric, c.NS()), Remedy: fmt.Sprintf("Restart %s on the node, which writes the rules that masquerade.", c.agent)})
	}
}
