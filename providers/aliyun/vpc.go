package aliyun

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
	wire "github.com/pathsnap/pathsnap/snapshot/aliyun"
)

// A vpc is what the bundle tells of the network between nodes. It does not
// change. It implements [infra.Underlay].
type vpc struct {
	facts     *wire.Facts
	snap      *snapshot.Snapshot
	cluster   infra.Cluster
	enis      []*eni
	addrs     map[netip.Addr]*eni
	instances map[string]string // of nodes
	nodes     map[string]string // of instances
	vswitches map[string]*wire.VSwitch
	tables    map[string][]route
	groups    map[string]*group
	prefixes  map[string][]netip.Prefix // of prefix lists
	balancers map[netip.Addr]*wire.LoadBalancer
	own       map[string]bool       // VPCs of the nodes; empty if they are not known
	opaque    map[string]wire.Place // entry of a table of which it is not known where it leads to
	problems  []error
}

// An eni is an elastic network interface.
type eni struct {
	wire.NetworkInterface
	addrs    []netip.Addr
	prefixes []netip.Prefix
	public   []netip.Addr // those of addrs that the Internet knows by another address
}

// owns reports whether an address is one of the interface.
func (e *eni) owns(ip netip.Addr) bool {
	return slices.Contains(e.addrs, ip) || slices.ContainsFunc(e.prefixes, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// A route is an entry of a route table.
type route struct {
	*wire.RouteEntry
	to netip.Prefix
}

// newVPC puts facts in order. What cannot be understood of an object is in the
// problems.
func newVPC(facts *wire.Facts, env infra.Env) (*vpc, []error) {
	v := &vpc{facts: facts, snap: env.Snapshot, cluster: env.Cluster, addrs: map[netip.Addr]*eni{}, instances: map[string]string{}, nodes: map[string]string{}, vswitches: map[string]*wire.VSwitch{},
		tables: map[string][]route{}, groups: map[string]*group{}, prefixes: map[string][]netip.Prefix{}, balancers: map[netip.Addr]*wire.LoadBalancer{}, own: ownVPCs(facts, env.Snapshot), opaque: map[string]wire.Place{}}
	for i := range facts.VSwitches {
		if s := &facts.VSwitches[i]; !v.foreign(s.VpcID) {
			v.vswitches[s.VSwitchID] = s
		}
	}
	for i := range facts.Interfaces {
		if e := &facts.Interfaces[i]; !v.foreign(e.VpcID) {
			v.addENI(e)
		}
	}
	for i := range facts.Instances {
		v.addPublic(&facts.Instances[i])
	}
	for i := range facts.PrefixLists {
		l := &facts.PrefixLists[i]
		v.prefixes[l.PrefixListID] = []netip.Prefix{}
		for _, cidr := range l.CIDRs {
			if p, ok := v.prefix(l.Place, cidr); ok {
				v.prefixes[l.PrefixListID] = append(v.prefixes[l.PrefixListID], p)
			}
		}
	}
	for i := range facts.RouteEntries {
		v.addRoute(&facts.RouteEntries[i])
	}
	for i := range facts.LoadBalancers {
		v.addBalancer(&facts.LoadBalancers[i])
	}
	v.addGroups()
	v.addNodes(env)
	return v, v.problems
}

// ownVPCs are those that the instances of the nodes are in. Answers about a region
// tell of others, too, whose addresses may be the same.
func ownVPCs(facts *wire.Facts, snap *snapshot.Snapshot) map[string]bool {
	own, instances := map[string]bool{}, map[string]bool{}
	nodes, _ := snap.Nodes() // told by whoever cannot do without
	for i := range nodes {
		if id, ok := InstanceOf(nodes[i].Spec.ProviderID); ok {
			instances[id] = true
		}
	}
	for i := range facts.Interfaces {
		if e := &facts.Interfaces[i]; e.VpcID != "" && instances[cmp.Or(e.InstanceID, e.Attachment.InstanceID)] {
			own[e.VpcID] = true
		}
	}
	return own
}

// foreign reports whether a VPC is none of the nodes'.
func (v *vpc) foreign(id string) bool { return id != "" && len(v.own) > 0 && !v.own[id] }

// addRoute keeps an entry, one for each prefix that it is about.
func (v *vpc) addRoute(e *wire.RouteEntry) {
	list, known := v.prefixes[e.DestinationCidrBlock]
	if !known && !strings.HasPrefix(e.DestinationCidrBlock, "pl-") {
		var to netip.Prefix
		if to, known = v.prefix(e.Place, e.DestinationCidrBlock); known {
			list = []netip.Prefix{to}
		}
	}
	if !known {
		v.opaque[e.RouteTableID] = e.Place
	}
	for _, to := range list {
		v.tables[e.RouteTableID] = append(v.tables[e.RouteTableID], route{e, to})
	}
}

// addBalancer keeps a load balancer, of two answers the one that tells more.
func (v *vpc) addBalancer(b *wire.LoadBalancer) {
	if ip, ok := v.addr(b.Place, b.Address); ok && !v.foreign(b.VpcID) && (v.balancers[ip] == nil || b.Whole) {
		v.balancers[ip] = b
	}
}

// addr reads an address, "" for none.
func (v *vpc) addr(at wire.Place, text string) (netip.Addr, bool) {
	if text == "" {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		v.problems = append(v.problems, fmt.Errorf("%s: %w", at, err))
	}
	return ip, err == nil
}

// prefix reads a prefix, or an address as the prefix of it alone; "" is none.
func (v *vpc) prefix(at wire.Place, text string) (netip.Prefix, bool) {
	if text == "" {
		return netip.Prefix{}, false
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		v.problems = append(v.problems, fmt.Errorf("%s: %w", at, err))
	}
	return p.Masked(), err == nil
}

// addENI reads the addresses of an interface.
func (v *vpc) addENI(raw *wire.NetworkInterface) {
	e := &eni{NetworkInterface: *raw}
	if e.InstanceID == "" {
		e.InstanceID = e.Attachment.InstanceID
	}
	add := func(text string, public wire.PublicIP) {
		ip, ok := v.addr(e.Place, text)
		if ok && !slices.Contains(e.addrs, ip) {
			e.addrs = append(e.addrs, ip)
		}
		if ok && public.PublicIPAddress != "" {
			e.public = append(e.public, ip)
		}
	}
	add(e.PrivateIPAddress, e.AssociatedPublicIP)
	for _, p := range e.PrivateIPSets.PrivateIPSet {
		add(p.PrivateIPAddress, p.AssociatedPublicIP)
	}
	for _, p := range e.Ipv6Sets.Ipv6Set {
		add(p.Ipv6Address, wire.PublicIP{})
	}
	assigned := func(text string) {
		if prefix, ok := v.prefix(e.Place, text); ok {
			e.prefixes = append(e.prefixes, prefix)
		}
	}
	for _, p := range e.Ipv4PrefixSets.Ipv4PrefixSet {
		assigned(p.Ipv4Prefix)
	}
	for _, p := range e.Ipv6PrefixSets.Ipv6PrefixSet {
		assigned(p.Ipv6Prefix)
	}
	v.index(e)
}

// index keeps an interface, to be found by its addresses.
func (v *vpc) index(e *eni) {
	v.enis = append(v.enis, e)
	for _, ip := range e.addrs {
		if v.addrs[ip] == nil {
			v.addrs[ip] = e
		}
	}
}

// addPublic notes that the Internet knows an instance by an address of its own.
func (v *vpc) addPublic(i *wire.Instance) {
	if i.EipAddress.IPAddress == "" && len(i.PublicIPAddress.IPAddress) == 0 {
		return
	}
	for _, text := range i.VpcAttributes.PrivateIPAddress.IPAddress {
		if ip, ok := v.addr(i.Place, text); ok {
			if e := v.owner(ip); e != nil && e.InstanceID == i.InstanceID {
				e.public = append(e.public, ip)
			}
		}
	}
}

// addNodes finds the instance of each node: by its providerID, otherwise by the
// interface that has its address.
func (v *vpc) addNodes(env infra.Env) {
	nodes, err := env.Snapshot.Nodes()
	if err != nil {
		return // told by whoever cannot do without
	}
	for i := range nodes {
		name := nodes[i].Name
		instance, ok := InstanceOf(nodes[i].Spec.ProviderID)
		for _, ip := range v.cluster.GetNodeIPs(name) {
			if owner := v.owner(ip); !ok && owner != nil && owner.InstanceID != "" {
				instance, ok = owner.InstanceID, true
			}
		}
		if ok {
			v.instances[name], v.nodes[instance] = instance, name
		}
	}
}

// owner finds the interface that has an address, nil if the bundle knows none.
func (v *vpc) owner(ip netip.Addr) *eni {
	if e := v.addrs[ip]; e != nil {
		return e
	}
	for _, e := range v.enis {
		if slices.ContainsFunc(e.prefixes, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return e
		}
	}
	return nil
}

// OwnerOf implements [infra.Owning].
func (v *vpc) OwnerOf(ip netip.Addr) (infra.Owner, bool) {
	e := v.owner(ip)
	if e == nil || e.MacAddress == "" {
		return infra.Owner{}, false
	}
	o := infra.Owner{MAC: strings.ToLower(e.MacAddress), Evidence: e.String()}
	if s := v.vswitches[e.VSwitchID]; s != nil && ip.Is4() {
		o.Network, _ = netip.ParsePrefix(s.CidrBlock) // what is wrong with it is told where its packets pass
	}
	return o, true
}

// byID finds an interface by its ID.
func (v *vpc) byID(id string) *eni {
	for _, e := range v.enis {
		if e.NetworkInterfaceID == id {
			return e
		}
	}
	return nil
}

// attached returns the interfaces of an instance.
func (v *vpc) attached(instance string) (list []*eni) {
	for _, e := range v.enis {
		if instance != "" && e.InstanceID == instance {
			list = append(list, e)
		}
	}
	return list
}

// primary returns the interface that an instance began with, which takes what
// routes lead to the instance; nil if it is not known.
func (v *vpc) primary(instance string) *eni {
	list := v.attached(instance)
	for _, e := range list {
		if strings.EqualFold(e.Type, "Primary") {
			return e
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return nil
}

// interfaceOf finds the interface that a machine sends from: by the hardware
// address of its device; otherwise it is the only one, or the one that has ip.
// Frames with a VLAN tag are those of a member of a trunk interface.
func (v *vpc) interfaceOf(m infra.Machine, p model.Packet) *eni {
	ip := p.Src.Addr()
	if p.Tags[0].Present {
		return v.owner(ip)
	}
	for _, e := range v.enis {
		if m.MAC != "" && strings.EqualFold(e.MacAddress, m.MAC) {
			return e
		}
	}
	if m.Node == "" {
		return v.owner(ip)
	}
	list := v.attached(v.instances[m.Node])
	if len(list) == 1 {
		return list[0]
	}
	for _, e := range list {
		if e.owns(ip) {
			return e
		}
	}
	return nil
}

// Name implements [infra.Underlay]: the ID of the VPC, or what else it is.
func (v *vpc) Name() string {
	for _, e := range v.enis {
		if e.VpcID != "" {
			return e.VpcID
		}
	}
	for i := range v.facts.VSwitches {
		if id := v.facts.VSwitches[i].VpcID; id != "" {
			return id
		}
	}
	return "vpc"
}
