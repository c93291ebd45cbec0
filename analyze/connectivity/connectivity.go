package connectivity

import (
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/policy"
)

// A Report says who may talk to whom. Equal bundles give equal reports.
type Report struct {
	Policies    int              // that the bundle has
	Namespace   string           // only what has to do with it, "" for everything
	Pods        int              // in Groups
	Protocols   []model.Protocol // that the rules tell apart
	Groups      []Group
	Connections []Connection // sorted by From and To; where nothing may pass there is none
	Services    []Service    // sorted by name and port, see AddServices
	Doubts      []string     // why some Unknown is not known, sorted
	Unenforced  string       // why nothing enforces the policies, "" if something does or nobody knows
	Notes       []string     // what is taken for granted
	Problems    []string     // objects and parts that could not be read, and were left out

	values []value // what pairs have
	pairs  [][]int // From, To: index in values, noPair where nobody asks
}

// A Kind says what a group is of.
type Kind string

// The kinds of group.
const (
	Pods    Kind = "pods"
	Nodes   Kind = "nodes"
	Outside Kind = "outside"
)

// A Group is ends that are equal to every policy.
type Group struct {
	Kind      Kind
	Workloads []Workload // of Pods, sorted
	Nodes     []string   // of Nodes, sorted
	Blocks    []Block    // of Outside, sorted; those of a family that no pod has are left out
	Rest      bool       // of Outside: it is everything that is in no block of another group
	Ingress   Isolation
	Egress    Isolation
}

// size returns the number of ends in a group of pods or nodes.
func (g *Group) size() int {
	n := len(g.Nodes)
	for i := range g.Workloads {
		n += len(g.Workloads[i].Pods)
	}
	return n
}

// Isolation is the policies that are asked about the ends of a group in one
// direction.
type Isolation struct {
	Isolated bool     // what no rule allows is denied
	Policies []string // "NetworkPolicy demo/web", in the order in which they are asked
}

// A Connection is what the ends of one group may send to those of another. An
// end reaches itself whatever it says; and so do a node and its own pods each
// other as far as policy.Check exempts them.
type Connection struct {
	From, To int // indexes of groups
	*Flow        // equal ones are shared
}

// A Flow is what may pass between two ends. What is in neither of both may not.
type Flow struct {
	Family  Family
	Allowed Ports
	Unknown Ports // the bundle does not tell, see Doubts
}

// A Family is that of addresses; "" for each that both ends have.
type Family string

// The families.
const (
	IPv4 Family = "IPv4"
	IPv6 Family = "IPv6"
)

// Options say what a report is about. The zero value is everything.
type Options struct {
	Namespace string // only connections from or to its pods
}

// New asks the policies of n about the pods in ips and the nodes with the given
// names. Ended pods are left out; those with the network of their node count as
// the node, which is the first address that it has of each family.
func New(n *policy.NetworkPolicy, ips *k8s.IPCache, nodes []string, o Options) *Report {
	b := &builder{n: n, ips: ips, report: &Report{Policies: n.Len(), Namespace: o.Namespace}}
	for _, name := range n.Forwards() {
		b.report.Notes = append(b.report.Notes, name+" is also about what nodes forward (applyOnForward): that is not evaluated, so it may deny more than is shown")
	}
	b.addPods()
	b.addNodes(nodes)
	b.classify()
	b.group()
	b.connect()
	return b.report
}

// A member is a pod, a node or a block of addresses.
type member struct {
	ends     []policy.End // one for each family
	classes  facets
	workload Workload // of a pod
	node     string
	block    *block
}

// facets are the classes of a member by family: unknown, IPv4 and IPv6; -1 for
// a family that it does not have.
type facets [3]int

const (
	unknownFamily = iota
	v4
	v6
)

func noFacets() facets { return facets{-1, -1, -1} }

func familyOf(a netip.Addr) int {
	switch {
	case !a.IsValid():
		return unknownFamily
	case a.Is4():
		return v4
	}
	return v6
}

// A builder makes a Report.
type builder struct {
	n       *policy.NetworkPolicy
	ips     *k8s.IPCache
	report  *Report
	members []*member
	classes *classifier
	groups  []*groupOf
}

func (b *builder) addPods() {
	hosts := 0
	for _, pod := range b.ips.Pods() {
		if ended(pod) {
			continue
		}
		known := b.n.Pod(pod.Namespace + "/" + pod.Name)
		if known == nil {
			hosts++
			continue
		}
		m := &member{workload: workloadOf(pod)}
		m.workload.Pods = []string{pod.Name}
		for _, ip := range addressesOf(pod) {
			m.ends = append(m.ends, b.n.End(model.Endpoint{Type: model.EndpointTypePod, Name: known.Name, IP: ip}))
		}
		if len(m.ends) == 0 {
			m.ends = []policy.End{b.n.End(model.Endpoint{Type: model.EndpointTypePod, Name: known.Name})}
		}
		b.members = append(b.members, m)
		b.report.Pods++
	}
	if hosts > 0 {
		b.report.Notes = append(b.report.Notes, counted(hosts, "pod")+" with the network of a node: to policies they are that node")
	}
}

func (b *builder) addNodes(names []string) {
	names = slices.Clone(names)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		m := &member{node: name}
		for _, ip := range firstOfFamilies(b.ips.GetNodeIPs(name)) {
			m.ends = append(m.ends, b.n.End(model.Endpoint{Type: model.EndpointTypeNode, Name: name, IP: ip}))
		}
		if len(m.ends) > 0 {
			b.members = append(b.members, m)
		}
	}
}

// classify finds the classes of all members, and adds the blocks of addresses
// outside.
func (b *builder) classify() {
	var ends []policy.End
	for _, m := range b.members {
		ends = append(ends, m.ends...)
	}
	b.classes = newClassifier(b.n, ends)
	b.report.Protocols = b.classes.space.protocols[:len(b.classes.space.protocols)-1]
	families := map[int]bool{}
	for _, m := range b.members {
		m.classes = noFacets()
		for _, e := range m.ends {
			family := familyOf(e.IP)
			if e.IsIPv4 {
				family = v4
			}
			m.classes[family] = b.classes.class(e)
			families[family] = families[family] || e.Pod != nil
		}
	}
	if !families[v4] && !families[v6] {
		families[v4], families[v6] = true, true
	}
	for i, root := range b.classes.tree.roots {
		if families[v4+i] {
			b.addBlocks(root, v4+i)
		}
	}
}

// addBlocks adds the blocks of a family that some policy tells apart.
func (b *builder) addBlocks(root *block, family int) {
	root.each(func(k *block) {
		k.class = -1
		if k.parent != nil {
			k.class = k.parent.class
		}
		if a, ok := k.example(); ok && !b.owned(k.prefix) {
			k.class = b.classes.class(policy.End{IP: a})
		}
	})
	root.merge()
	root.each(func(k *block) {
		if k.class < 0 {
			return
		}
		m := &member{block: k, classes: noFacets()}
		m.classes[family] = k.class
		b.members = append(b.members, m)
	})
}

// owned reports whether a prefix is the address of a pod or a node, which is not
// outside.
func (b *builder) owned(p netip.Prefix) bool {
	if !p.IsSingleIP() {
		return false
	}
	_, isPod := b.ips.GetPodFromIP(p.Addr())
	_, isNode := b.ips.GetNodeNameFromIP(p.Addr())
	return isPod || isNode
}
