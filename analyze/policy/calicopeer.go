package policy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/policy/calico"
)

// What Calico calls the labels that it gives to pods, and those that pods have
// from their namespace and their service account
// (libcalico-go/lib/backend/k8s/conversion).
const (
	labelNamespace    = "projectcalico.org/namespace"
	labelAccount      = "projectcalico.org/serviceaccount"
	labelOrchestrator = "projectcalico.org/orchestrator"
	labelName         = "projectcalico.org/name" // behind a prefix
	namespacePrefix   = "pcns."
	accountPrefix     = "pcsa."
)

// longestAccount is the length up to which the name of a service account is a
// label.
const longestAccount = 62

// A calicoWorld is everything that a selector of a rule can match.
type calicoWorld struct {
	namespaces map[string]labels.Set // nil if they were not read
	accounts   map[string]labels.Set // by "namespace/name", nil if they were not read
	hosts      []*calicoHost
	sets       []*calicoSet
	slices     map[string][]*discoveryv1.EndpointSlice // of "namespace/service", nil if they were not read
}

// A calicoSet is addresses with labels.
type calicoSet struct {
	name   string
	labels calico.Labels
	nets   []netip.Prefix
}

func newCalicoWorld(b *builder) *calicoWorld {
	w := &calicoWorld{}
	if namespaces, err := b.snap.Namespaces(); err == nil {
		w.namespaces = map[string]labels.Set{}
		for i := range namespaces {
			w.namespaces[namespaces[i].Name] = namedLabels(namespaces[i].Name, namespaces[i].Labels)
		}
	}
	if accounts, err := b.snap.ServiceAccounts(); err == nil {
		w.accounts = map[string]labels.Set{}
		for i := range accounts {
			w.accounts[accounts[i].Namespace+"/"+accounts[i].Name] = accounts[i].Labels
		}
	}
	if list, err := b.snap.EndpointSlices(); err == nil {
		w.slices = map[string][]*discoveryv1.EndpointSlice{}
		for i := range list {
			name := list[i].Namespace + "/" + list[i].Labels[discoveryv1.LabelServiceName]
			w.slices[name] = append(w.slices[name], &list[i])
		}
	}
	w.readSets(b)
	w.readHosts(b)
	return w
}

// readSets reads NetworkSets and GlobalNetworkSets.
func (w *calicoWorld) readSets(b *builder) {
	for _, from := range slices.Concat(optional(b, b.snap.CalicoNetworkSets), optional(b, b.snap.CalicoGlobalNetworkSets)) {
		m := maker{kind: cmp.Or(from.Kind, "NetworkSet"), name: strings.TrimPrefix(from.Namespace+"/"+from.Name, "/"), b: b}
		set := &calicoSet{name: m.name}
		for _, text := range from.Spec.Nets {
			if p, ok := m.net(text); ok {
				set.nets = append(set.nets, p)
			}
		}
		own := labels.Set(maps.Clone(from.Labels))
		if from.Namespace != "" {
			own = labels.Merge(own, labels.Set{labelNamespace: from.Namespace})
		}
		set.labels = w.inherited(own, from.Namespace, "")
		w.sets = append(w.sets, set)
	}
}

// ofClass returns the labels of pods.
func (w *calicoWorld) ofClass(c *Class) calico.Labels {
	account := cmp.Or(c.ServiceAccount, "default") // what the API server fills in
	own := labels.Merge(c.Labels, labels.Set{labelNamespace: c.Namespace, labelOrchestrator: "k8s"})
	if len(account) <= longestAccount {
		own[labelAccount] = account
	}
	return w.inherited(own, c.Namespace, account)
}

// inherited adds to labels those of the namespace and the service account, each
// "" if there is none.
func (w *calicoWorld) inherited(own labels.Set, namespace, account string) calico.Labels {
	return func(name string) (string, netfilter.Answer) {
		if value, ok := own[name]; ok {
			return value, netfilter.Yes
		}
		if rest, ok := strings.CutPrefix(name, namespacePrefix); ok && namespace != "" {
			return parentLabel(rest, namespace, namespace, w.namespaces)
		}
		if rest, ok := strings.CutPrefix(name, accountPrefix); ok && account != "" {
			return parentLabel(rest, account, namespace+"/"+account, w.accounts)
		}
		return "", netfilter.No
	}
}

// parentLabel returns a label of a namespace or service account.
func parentLabel(label, name, key string, all map[string]labels.Set) (string, netfilter.Answer) {
	if label == labelName {
		return name, netfilter.Yes
	}
	if all == nil {
		return "", netfilter.Maybe
	}
	value, ok := all[key][label]
	return value, netfilter.AnswerOf(ok)
}

// matching reports whether something that has the address of e matches: the
// pod, a host endpoint that expects it, or a set that holds it.
func (w *calicoWorld) matching(s *calico.Selector, e *End) netfilter.Answer {
	out := netfilter.No
	if e.Pod != nil {
		out = s.Match(w.ofClass(e.Pod.Class))
	}
	for _, set := range w.sets {
		if a := inNets(e, set.nets); out != netfilter.Yes && a != netfilter.No {
			out = out.Or(a.And(s.Match(set.labels)))
		}
	}
	for _, h := range w.hosts {
		if out != netfilter.Yes && (slices.Contains(h.ips, e.IP) || !e.IP.IsValid() && h.node == e.Node && len(h.ips) > 0) {
			out = out.Or(s.Match(h.labels))
		}
	}
	return out
}

// inNets reports whether the address of an end is in one of nets.
func inNets(e *End, nets []netip.Prefix) netfilter.Answer {
	return anyOf(nets, func(n *netip.Prefix) netfilter.Answer { return (&blockPeer{block: *n}).Match(e) })
}

// An entity is what a rule of Calico asks of one end: all of it.
type entity struct {
	world         *calicoWorld
	selector, not *calico.Selector // nil for none
	nets, notNets []netip.Prefix   // nil for none
	service       string           // "namespace/name"
	version       int              // of IP, 0 for any
	text          string
}

// Match implements Peer.
func (p *entity) Match(e *End) netfilter.Answer {
	out := netfilter.Yes
	if p.selector != nil {
		out = out.And(p.world.matching(p.selector, e))
	}
	if p.not != nil {
		out = out.And(p.world.matching(p.not, e).Not())
	}
	if p.nets != nil {
		out = out.And(inNets(e, p.nets))
	}
	if p.notNets != nil {
		out = out.And(p.outside(e))
	}
	if p.service != "" {
		out = out.And(p.world.serves(p.service, e.IP))
	}
	return out.And(p.ofVersion(e))
}

// ofVersion reports whether an end is of the version of IP of a rule.
func (p *entity) ofVersion(e *End) netfilter.Answer {
	is4 := e.IP.Is4() || e.IsIPv4
	if p.version != 0 && !is4 && !e.IP.IsValid() {
		return netfilter.Maybe
	}
	return netfilter.AnswerOf(p.version == 0 || is4 == (p.version == 4))
}

// Blocks implements Peer.
func (p *entity) Blocks() []netip.Prefix {
	out := slices.Concat(p.nets, p.notNets)
	for _, ip := range p.world.serviceAddrs(p.service) {
		out = append(out, netip.PrefixFrom(ip, ip.BitLen()))
	}
	if p.selector == nil && p.not == nil {
		return out
	}
	for _, s := range p.world.sets {
		out = append(out, s.nets...)
	}
	for _, h := range p.world.hosts {
		for _, ip := range h.ips {
			out = append(out, netip.PrefixFrom(ip, ip.BitLen()))
		}
	}
	return out
}

// outside reports whether the address of an end is in none of notNets. Felix drops a
// rule for the IP version that none of them has (felix/rules/policy.go,
// filterNets).
func (p *entity) outside(e *End) netfilter.Answer {
	is4 := e.IP.Is4() || e.IsIPv4
	if (is4 || e.IP.IsValid()) && !slices.ContainsFunc(p.notNets, func(n netip.Prefix) bool { return n.Addr().Is4() == is4 }) {
		return netfilter.No
	}
	return inNets(e, p.notNets).Not()
}

// String implements Peer.
func (p *entity) String() string { return p.text }

// serves reports whether an address is one of a Service's endpoints
// (felix/serviceindex).
func (w *calicoWorld) serves(service string, ip netip.Addr) netfilter.Answer {
	if w.slices == nil || !ip.IsValid() {
		return netfilter.Maybe
	}
	return netfilter.AnswerOf(slices.Contains(w.serviceAddrs(service), ip))
}

// serviceAddrs returns the addresses of a Service's endpoints, ready or not.
func (w *calicoWorld) serviceAddrs(service string) (out []netip.Addr) {
	for _, s := range w.slices[service] {
		for i := range s.Endpoints {
			for _, text := range s.Endpoints[i].Addresses {
				if a, err := netip.ParseAddr(text); err == nil {
					out = append(out, a.Unmap())
				}
			}
		}
	}
	return out
}

// servicePorts returns the ports of a Service's endpoints, and whether all of
// them have the same ones. A port without a number is none to Felix.
func (w *calicoWorld) servicePorts(service string) (out []Port, same bool) {
	same = true
	for i, s := range w.slices[service] {
		here := slicePorts(s)
		same = same && (i == 0 || slices.EqualFunc(out, here, func(a, b Port) bool { return a.String() == b.String() }))
		if same {
			out = here
			continue
		}
		out = append(out, here...)
	}
	return out, same
}

func slicePorts(s *discoveryv1.EndpointSlice) (out []Port) {
	for _, p := range s.Ports {
		protocol := model.TCP
		if p.Protocol != nil && *p.Protocol != "" {
			protocol = apiProtocol(*p.Protocol)
		}
		if p.Port != nil {
			out = append(out, Port{Protocol: protocol, Ranges: []Range{{uint16(*p.Port), uint16(*p.Port)}}})
		}
	}
	slices.SortFunc(out, func(a, b Port) int { return strings.Compare(a.String(), b.String()) })
	return out
}
