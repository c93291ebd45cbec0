package analyze

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/report"
)

// A Question is one flow in the words of the command line.
type Question struct {
	Source, Destination string // pod:ns/name svc:ns/name:port node:name external:name IP[:port]
	Port                uint16 // of the destination, unless its word names one; 0 is none
	Protocol            model.Protocol
}

// Ask answers a question. An error that is [ErrUsage] says why it cannot be
// asked.
func (a *Analyzer) Ask(q Question) (*report.Diagnosis, error) {
	src, err := a.ips.Resolve(q.Source)
	if err == nil {
		err = sends(q.Source, src)
	}
	if err != nil {
		return nil, usagef("source: %w", err)
	}
	dst, err := a.ips.Resolve(q.Destination)
	if err != nil {
		return nil, usagef("destination: %w", err)
	}
	from, to, err := pair(src, dst)
	if err != nil {
		return nil, err
	}
	if q.Port != 0 {
		if to.Port != 0 && to.Port != q.Port {
			return nil, usagef("destination %q names port %d, and port %d is asked for", q.Destination, to.Port, q.Port)
		}
		to.Port = q.Port
	}
	if q.Protocol.HasPorts() && to.Port == 0 {
		return nil, usagef("destination %q: no port; name one with --dport", q.Destination)
	}
	if q.Protocol == model.ICMP && to.IP.Is6() {
		q.Protocol = model.ICMPv6
	}
	return a.Diagnose(from, to, q.Protocol)
}

// sends refuses what names no host: nothing sends from there.
func sends(word string, src k8s.Target) error {
	switch {
	case src.Service != nil:
		return fmt.Errorf("%s: a Service sends nothing; name a pod, a node or an address", word)
	case src.Endpoint.IP.IsLoopback():
		return fmt.Errorf("%s: every host has this address; name the pod or node that sends", word)
	}
	return nil
}

// pair picks addresses of one family for both ends, the destination's first
// family first.
func pair(src, dst k8s.Target) (from, to model.Endpoint, err error) {
	for _, d := range dst.Endpoints {
		for _, s := range src.Endpoints {
			if s.IP.Is4() == d.IP.Is4() {
				return s, d, nil
			}
		}
	}
	return from, to, usagef("%s and %s have no address family in common", src.Endpoint, dst.Endpoint)
}

// Diagnose implements [Network].
func (a *Analyzer) Diagnose(src, dst model.Endpoint, protocol model.Protocol) (*report.Diagnosis, error) {
	return a.network.Diagnose(src, dst, protocol)
}

// Diagnose implements [Network].
func (n *network) Diagnose(src, dst model.Endpoint, protocol model.Protocol) (*report.Diagnosis, error) {
	d := &report.Diagnosis{Source: src, Destination: dst, Protocol: protocol, Outcome: model.OutcomeUnknown,
		Plugin: n.PluginName(), ProxyMode: n.proxyMode, Names: n.ips.Name, Host: n.hostOf}
	w := newWalk(n)
	c := &conversation{network: n, walk: w, src: src, dst: dst, protocol: protocol, client: n.first(src)}
	err := c.run()
	d.Networks = n.networksOf(c.nodes())
	if c.crossed() {
		d.Hosting = n.hosting
	}
	d.Path = c.pathWithMeant()
	c.conclude(d)
	return d, err
}

// first is the vertex that a source sends from.
func (n *network) first(src model.Endpoint) model.Hop {
	if place, ok := n.atlas.Owner(src.IP); ok && src.Type != model.EndpointTypePod {
		return n.atlas.hopOf(place)
	}
	switch src.Type {
	case model.EndpointTypePod:
		return model.Hop{Type: model.NetNodeTypePod, ID: src.Name}
	case model.EndpointTypeNode:
		return model.Hop{Type: model.NetNodeTypeNode, ID: src.Name}
	}
	return model.Hop{Type: model.NetNodeTypeExternal, ID: src.IP.String()}
}

// hostOf names the node that a pod runs on.
func (n *network) hostOf(hop model.Hop) string {
	if place, ok := n.atlas.placeOf(hop); ok && hop.Type == model.NetNodeTypePod {
		return n.atlas.hopOf(place.Host()).ID
	}
	return ""
}

// nodes are those that were crossed, and those of the pods, in the order of the
// walk.
func (c *conversation) nodes() (names []string) {
	for _, n := range c.walk.nodes.order {
		name := c.hostOf(n.Hop)
		if n.Hop.Type == model.NetNodeTypeNode {
			name = n.Hop.ID
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// A conversation is a request and what comes back, on every branch.
type conversation struct {
	*network
	walk     *walk
	src, dst model.Endpoint
	protocol model.Protocol
	client   model.Hop
	branches []branch
}

// A branch is one way of the conversation, from the source and back.
type branch struct {
	request *model.Visit // where the request ended
	reply   *model.Visit // where what came back ended, nil if nothing did
	outcome model.Outcome
}

// run walks the request, and the answer of each of its ends.
func (c *conversation) run() error {
	node, err := c.walk.nodes.GetNetNode(c.client)
	if err != nil {
		return err
	}
	ends, err := c.walk.start(node, c.begin(node))
	for _, end := range ends {
		if e := c.answer(end); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// begin is how the source opens the conversation. A source that the bundle
// does not show is taken to be able to reach the machine that it wants.
func (c *conversation) begin(node model.NetNodeAction) func() ([]model.Transmission, error) {
	if _, outside := node.(*plugin.Absent); outside && c.client.Type == model.NetNodeTypeExternal {
		return func() ([]model.Transmission, error) { return c.fromOutside(node) }
	}
	return func() ([]model.Transmission, error) { return node.Send(c.dst, c.protocol) }
}

// fromOutside lets the packet arrive at the machine that owns its destination.
func (c *conversation) fromOutside(node model.NetNodeAction) ([]model.Transmission, error) {
	place, ok := c.atlas.Owner(c.dst.IP)
	ns := c.atlas.NetNS(place)
	if !ok || ns == nil {
		return plugin.NewStranger(node).Send(c.dst, c.protocol)
	}
	p := plugin.Opening(c.dst, c.protocol)
	p.Src, p.AnyPort = netip.AddrPortFrom(c.src.IP, ephemeral(c.protocol)), true
	v := &model.Visit{Node: node.Node(), Born: p, Share: 1}
	dev, _ := ns.FIB.DeviceOwning(c.dst.IP)
	link := &model.Link{Type: model.LinkExternal, Source: node.Node(), Packet: p, From: v, DestinationAttribute: model.LinkAttribute{Interface: dev.Name}}
	v.Output = link
	node.Node().Visits = append(node.Node().Visits, v)
	return []model.Transmission{{NextHop: c.atlas.hopOf(place), Link: link}}, nil
}

// answer walks what comes back from the end of a request.
func (c *conversation) answer(end *model.Visit) error {
	replies, err := c.walk.respond(end)
	if len(replies) == 0 {
		b := branch{request: end}
		b.outcome = c.silent(end)
		c.branches = append(c.branches, b)
		return err
	}
	for _, r := range replies {
		b := branch{request: end, reply: r}
		b.outcome = c.answered(end, r)
		if b.outcome == model.OutcomeReached && c.protocol == model.TCP {
			var e error
			if b.outcome, e = c.carried(&b); e != nil {
				err = e
			}
		}
		c.branches = append(c.branches, b)
	}
	return err
}
