package connectivity

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/policy"
	"github.com/pathsnap/pathsnap/analyze/service"
)

// A Service is who may reach the backends of a port of a Service. Policies see
// the backends and their ports, not the Service.
type Service struct {
	Name     string // "namespace/name"
	PortName string // "" if it has none
	Port     uint16
	Protocol model.Protocol
	Headless bool      // clients address the backends themselves
	Backends []Backend // sorted by address

	// The groups that may reach every backend, some of them, and those of which
	// the bundle does not tell; sorted. Without backends all are nil.
	All, Some, Unknown []int
}

// A Backend is an end that a Service leads to.
type Backend struct {
	Pod   string     // "namespace/name", "" if it is no pod
	IP    netip.Addr // not valid if it is not known
	Port  uint16
	Group int // -1 if it is in none
}

// AddServices adds the ports of Services. If the Services were planned and never
// lived (manifests), those without endpoints of their own lead to all pods that
// their selector holds.
func (r *Report) AddServices(n *policy.NetworkPolicy, ips *k8s.IPCache, ports []service.Port, planned bool) {
	guessed := 0
	d := directory{r: r, n: n, ips: ips, groups: r.groupsByName()}
	for i := range ports {
		p := &ports[i]
		s := Service{Name: p.Service, PortName: p.Name, Port: p.Number, Protocol: p.Protocol, Headless: p.Headless}
		if s.Backends = d.endpoints(p); planned && !p.Known && len(p.Selector) > 0 {
			s.Backends = d.selected(p)
			guessed++
		}
		d.reach(&s)
		namespace, _, _ := strings.Cut(s.Name, "/")
		if r.Namespace == "" || r.Namespace == namespace || len(s.All)+len(s.Some)+len(s.Unknown) > 0 {
			r.Services = append(r.Services, s)
		}
	}
	if guessed > 0 {
		r.Notes = append(r.Notes, "a Service without EndpointSlices leads to all pods that its selector holds")
	}
	slices.SortStableFunc(r.Services, func(a, b Service) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
}

// A directory finds the groups of backends.
type directory struct {
	r      *Report
	n      *policy.NetworkPolicy
	ips    *k8s.IPCache
	groups map[string]int // of pods by "namespace/name", and of nodes by "node name"
}

func (r *Report) groupsByName() map[string]int {
	out := map[string]int{}
	for i := range r.Groups {
		for _, w := range r.Groups[i].Workloads {
			for _, pod := range w.Pods {
				out[w.Namespace+"/"+pod] = i
			}
		}
		for _, node := range r.Groups[i].Nodes {
			out["node "+node] = i
		}
	}
	return out
}

func (d *directory) endpoints(p *service.Port) (out []Backend) {
	for _, e := range p.Endpoints {
		b := Backend{IP: e.Addr(), Port: e.Port(), Group: -1}
		if pod, ok := d.ips.GetPodFromIP(b.IP); ok {
			b.Pod = pod.Namespace + "/" + pod.Name
			b.Group = d.group(b.Pod)
		} else if node, ok := d.ips.GetNodeNameFromIP(b.IP); ok {
			b.Group = d.group("node " + node)
		} else {
			b.Group = slices.IndexFunc(d.r.Groups, func(g Group) bool { return g.hasAddress(b.IP) })
		}
		out = append(out, b)
	}
	return out
}

func (d *directory) group(name string) int {
	if i, ok := d.groups[name]; ok {
		return i
	}
	return -1
}

// selected returns the pods that the selector of a Service holds.
func (d *directory) selected(p *service.Port) (out []Backend) {
	selector := labels.SelectorFromSet(p.Selector)
	for _, pod := range d.ips.Pods() {
		if !strings.HasPrefix(p.Service, pod.Namespace+"/") || ended(pod) || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		b := Backend{Pod: pod.Namespace + "/" + pod.Name}
		if all := addressesOf(pod); len(all) > 0 {
			b.IP = all[0]
		}
		b.Group = d.group(b.Pod)
		for _, number := range d.targets(p, b.Pod) {
			b.Port = number
			out = append(out, b)
		}
	}
	return out
}

// targets returns the numbers of the port that a Service leads to at a pod.
func (d *directory) targets(p *service.Port, name string) []uint16 {
	switch {
	case p.Target.Type == intstr.String && p.Target.StrVal != "":
		if pod := d.n.Pod(name); pod != nil {
			return pod.NamedPorts(p.Target.StrVal, p.Protocol)
		}
		return nil
	case p.Target.IntVal > 0:
		return []uint16{uint16(p.Target.IntVal)}
	}
	return []uint16{p.Number}
}

// reach finds who may reach the backends.
func (d *directory) reach(s *Service) {
	for from := range d.r.Groups {
		var got [3]int // backends by answer
		for i := range s.Backends {
			if answer, asked := d.r.answer(from, &s.Backends[i], s.Protocol); asked {
				got[answer]++
			}
		}
		switch {
		case got[netfilter.Maybe] > 0:
			s.Unknown = append(s.Unknown, from)
		case got[netfilter.Yes] == 0:
		case got[netfilter.No] == 0:
			s.All = append(s.All, from)
		default:
			s.Some = append(s.Some, from)
		}
	}
	if len(s.All) == 1 && len(s.Some)+len(s.Unknown) == 0 && d.r.Alone(s.All[0]) && s.Backends[0].Group == s.All[0] {
		s.All = nil // it reaches itself, which is not worth a word
	}
}

// answer says whether the ends of a group may reach a backend, and whether the
// report is about that.
func (r *Report) answer(from int, b *Backend, protocol model.Protocol) (answer netfilter.Answer, asked bool) {
	if b.Group < 0 {
		return netfilter.Maybe, r.Namespace == "" && r.Groups[from].Kind == Pods
	}
	id := r.pairs[from][b.Group]
	if id == noPair {
		return netfilter.No, false
	}
	if from == b.Group && r.Alone(from) {
		return netfilter.Yes, true // itself
	}
	family := familyOf(b.IP)
	for _, f := range r.values[id] {
		if f.Family != "" && (f.Family == IPv4) != (family == v4) {
			continue
		}
		switch {
		case f.Allowed.Hold(protocol, b.Port):
			return netfilter.Yes, true
		case f.Unknown.Hold(protocol, b.Port):
			return netfilter.Maybe, true
		}
	}
	return netfilter.No, true
}

// hasAddress reports whether an address is in one of the group's blocks.
func (g *Group) hasAddress(ip netip.Addr) bool {
	return slices.ContainsFunc(g.Blocks, func(b Block) bool {
		return b.Prefix.Contains(ip) && !slices.ContainsFunc(b.Except, func(e netip.Prefix) bool { return e.Contains(ip) })
	})
}
