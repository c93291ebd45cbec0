package policy

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/policy/calico"
	"github.com/pathsnap/pathsnap/snapshot"
)

// allowAll is the profile of host endpoints that are to allow what no policy
// denies: those that Calico makes itself have it.
const allowAll = "projectcalico-default-allow"

// allInterfaces is the name that stands for all interfaces of a node.
const allInterfaces = "*"

// A calicoHost is a host endpoint: interfaces of a node.
type calicoHost struct {
	name, node, device string
	labels             calico.Labels
	ips                []netip.Addr
	profiles           []string
	ports              []snapshot.CalicoHostPort
}

// readHosts reads the host endpoints.
func (w *calicoWorld) readHosts(b *builder) {
	hosts := optional(b, b.snap.CalicoHostEndpoints)
	for i := range hosts {
		from := &hosts[i]
		m := maker{kind: kindHostEndpoint, name: from.Name, b: b}
		h := &calicoHost{name: from.Name, node: from.Spec.Node, device: from.Spec.InterfaceName, profiles: from.Spec.Profiles, ports: from.Spec.Ports}
		for _, text := range from.Spec.ExpectedIPs {
			if p, ok := m.net(text); ok {
				h.ips = append(h.ips, p.Addr())
			}
		}
		h.labels = h.ownLabels(from.Labels)
		w.hosts = append(w.hosts, h)
	}
}

// ownLabels returns the labels of a host endpoint. Profiles may add some.
func (h *calicoHost) ownLabels(own labels.Set) calico.Labels {
	return func(name string) (string, netfilter.Answer) {
		value, ok := own[name]
		if !ok && slices.ContainsFunc(h.profiles, func(p string) bool { return p != allowAll }) {
			return "", netfilter.Maybe
		}
		return value, netfilter.AnswerOf(ok)
	}
}

// covers reports whether packets of a node, at an address of it if that is
// known, pass the interfaces of h. The cluster's objects alone do not tell
// where the node's routes lead.
func (h *calicoHost) covers(node string, ip netip.Addr) netfilter.Answer {
	switch {
	case node == "" || h.node != node:
		return netfilter.No
	case h.device == allInterfaces || slices.Contains(h.ips, ip):
		return netfilter.Yes
	}
	return netfilter.Maybe
}

// hostCalls reports whether a host endpoint calls a port by one of the names.
func (w *calicoWorld) hostCalls(names []string) bool {
	return slices.ContainsFunc(w.hosts, func(h *calicoHost) bool {
		return slices.ContainsFunc(h.ports, func(p snapshot.CalicoHostPort) bool { return slices.Contains(names, p.Name) })
	})
}

// hostsMatch reports whether a selector matches a host endpoint that packets of a
// node pass.
func (w *calicoWorld) hostsMatch(s *calico.Selector, node string, ip netip.Addr) netfilter.Answer {
	out := netfilter.No
	for _, h := range w.hosts {
		if a := h.covers(node, ip); a != netfilter.No {
			out = out.Or(a.And(s.Match(h.labels)))
		}
	}
	return out
}

// The orders of what Felix does at a host endpoint before it asks the tiers
// (felix/rules/static.go): the ports that are always open, policies before
// connection tracking, policies before DNAT. Tiers keep their order within.
const (
	orderOfFailsafe  = -math.MaxFloat64
	orderOfUntracked = -math.MaxFloat64 / 4
	orderOfPreDNAT   = -math.MaxFloat64 / 16
	tierSpan         = math.MaxFloat64 / 64
)

// early is the tier of policies that are asked before those of the tier.
func (c *calicoReader) early(t *Tier, what string, order float64) *Tier {
	within := max(min(t.Order, tierSpan), -tierSpan)
	if t.Order >= 1 {
		// Orders differ by little against the span: spread them.
		within = math.Log(t.Order) * (tierSpan / 1024)
	}
	return c.b.tier(Tier{Name: t.Name + " (" + what + ")", Order: order + within, End: Pass})
}

// aboutHosts says which nodes a policy is about, and in which tier.
func (c *calicoReader) aboutHosts(p *Policy, spec *snapshot.CalicoPolicySpec, s *calico.Selector, t *Tier) *Tier {
	w := c.world
	if len(w.hosts) == 0 {
		return t
	}
	p.Node = func(e *End) bool { return w.hostsMatch(s, e.Node, e.IP) != netfilter.No }
	p.Perhaps = func(e *End) bool { return e.Pod == nil && w.hostsMatch(s, e.Node, e.IP) == netfilter.Maybe }
	switch {
	case spec.DoNotTrack:
		p.doubtAllows("it is asked before connections are tracked: whether answers come back depends on the policies of the other direction")
		return c.early(t, "doNotTrack", orderOfUntracked)
	case spec.PreDNAT:
		p.IsEgress = false
		p.doubtRules("it is asked before Services are translated: the destination that it sees may be another")
		return c.early(t, "preDNAT", orderOfPreDNAT)
	case spec.ApplyOnForward:
		p.Forward = func(node string) netfilter.Answer { return w.hostsMatch(s, node, netip.Addr{}) }
	}
	return t
}

// doubtAllows leaves it open what the rules that allow lead to.
func (p *Policy) doubtAllows(why string) {
	for _, rules := range [][]Rule{p.Ingress, p.Egress} {
		for i := range rules {
			if rules[i].Action == Allow {
				rules[i].Doubt = cmp.Or(rules[i].Doubt, why)
			}
		}
	}
}

func (p *Policy) doubtRules(why string) {
	for i := range p.Ingress {
		p.Ingress[i].Doubt = cmp.Or(p.Ingress[i].Doubt, why)
	}
}

// forwarded says which policies are about what a node forwards in a
// conversation of one of its pods with an end elsewhere. They are not
// evaluated.
func (n *NetworkPolicy) forwarded(f *Flow) (out []string) {
	for _, self := range []struct {
		end, other *End
		direction  Direction
	}{{&f.Src, &f.Dst, Egress}, {&f.Dst, &f.Src, Ingress}} {
		if self.end.Pod == nil || self.other.Pod != nil && self.other.Pod.Node == self.end.Pod.Node {
			continue
		}
		for _, p := range n.forwards {
			if p.about(self.direction) && p.Forward(self.end.Pod.Node) != netfilter.No {
				out = append(out, fmt.Sprintf("%s is about what node %s forwards, which is not evaluated", p, self.end.Pod.Node))
			}
		}
	}
	return out
}

// closeHosts adds what a host endpoint does beside the policies: it lets the
// ports pass that are always open, and denies what nothing allows, unless a
// profile does (felix/rules/endpoints.go, endpointIptablesChain).
func (c *calicoReader) closeHosts() {
	for _, h := range c.world.hosts {
		about := func(e *End) bool { return h.covers(e.Node, e.IP) != netfilter.No }
		perhaps := func(e *End) bool { return h.covers(e.Node, e.IP) == netfilter.Maybe }
		nobody := func(*Class) bool { return false }
		open := &Policy{Kind: kindHostEndpoint, Name: h.name, Selects: nobody, Node: about, Perhaps: perhaps, IsIngress: true, IsEgress: true}
		open.Ingress, open.Egress = c.failsafe.rules(h.node)
		c.b.tier(Tier{Name: "failsafe", Order: orderOfFailsafe, End: Pass}).add(open)
		if slices.Contains(h.profiles, allowAll) {
			continue
		}
		shut := &Policy{Kind: kindHostEndpoint, Name: h.name, Selects: nobody, Node: about, Perhaps: perhaps, IsIngress: true, IsEgress: true}
		if len(h.profiles) > 0 {
			r := Rule{Name: "profile", Action: Allow, Doubt: "the bundle does not have the profile " + strings.Join(h.profiles, ", ")}
			shut.Ingress, shut.Egress = []Rule{r}, []Rule{r}
		}
		c.b.tier(Tier{Name: "profiles", Order: math.Inf(1), End: Deny}).add(shut)
	}
}

// A failsafe is the ports of hosts that no policy can close.
type failsafe struct {
	all   snapshot.CalicoFelix            // named default
	nodes map[string]snapshot.CalicoFelix // by node
	doubt string
}

// failsafeDefaults are those of felix/config/config_params.go.
func failsafeDefaults() (in, out []snapshot.CalicoFailsafe) {
	for _, port := range []uint16{22, 179, 2379, 2380, 5473, 6443, 6666, 6667} {
		in = append(in, snapshot.CalicoFailsafe{Protocol: "tcp", Port: port})
	}
	in = append(in, snapshot.CalicoFailsafe{Protocol: "udp", Port: 68})
	out = append(slices.Clone(in[1:len(in)-1]), snapshot.CalicoFailsafe{Protocol: "udp", Port: 53}, snapshot.CalicoFailsafe{Protocol: "udp", Port: 67})
	return in, out
}

// readFailsafe reads which ports of hosts are always open.
func (c *calicoReader) readFailsafe() {
	c.failsafe = &failsafe{nodes: map[string]snapshot.CalicoFelix{}}
	configs, err := c.b.snap.CalicoFelixConfigurations()
	if err != nil {
		c.failsafe.doubt = "which ports are always open is not known: " + err.Error()
	}
	for _, f := range configs {
		if node, ok := strings.CutPrefix(f.Name, "node."); ok {
			c.failsafe.nodes[node] = f
		} else if f.Name == "default" {
			c.failsafe.all = f
		}
	}
}

// rules are those of a node's open ports. A node's own configuration comes
// before that of all.
func (s *failsafe) rules(node string) (in, out []Rule) {
	inbound, outbound := failsafeDefaults()
	for _, f := range []snapshot.CalicoFelix{s.all, s.nodes[node]} {
		if f.Spec.FailsafeInbound != nil {
			inbound = *f.Spec.FailsafeInbound
		}
		if f.Spec.FailsafeOutbound != nil {
			outbound = *f.Spec.FailsafeOutbound
		}
	}
	for _, p := range inbound {
		in = append(in, s.rule(p, true))
	}
	for _, p := range outbound {
		out = append(out, s.rule(p, false))
	}
	return in, out
}

func (s *failsafe) rule(p snapshot.CalicoFailsafe, inbound bool) Rule {
	r := Rule{Name: "failsafe", Action: Allow, Doubt: s.doubt}
	protocol, err := model.ParseProtocol(cmp.Or(p.Protocol, "tcp"))
	if err != nil {
		r.Never = err.Error()
	}
	r.Ports = []Port{{Protocol: protocol, Ranges: []Range{{p.Port, p.Port}}}}
	if p.Net == "" {
		return r
	}
	net, err := netip.ParsePrefix(p.Net)
	if err != nil {
		r.Never = fmt.Sprintf("%q is no network", p.Net)
		return r
	}
	peer := []Peer{&blockPeer{block: net.Masked()}}
	if inbound {
		r.Src = peer
	} else {
		r.Dst = peer
	}
	return r
}
