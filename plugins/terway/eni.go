package terway

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/aliyun"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

const (
	toPodPriority   = 512  // toContainerPriority
	fromPodPriority = 2048 // fromContainerPriority
	tableOffset     = 1000 // GetRouteTableID
	slavePrefix     = "ipvl_"
)

// A record is what the bundle says about whose address something is.
type record struct {
	mac      string     // of the ENI
	router   netip.Addr // of its vSwitch, invalid if that is not told
	evidence string
}

// records is who has which address.
type records map[netip.Addr]record

func (r records) add(ip, mac, cidr, evidence string) {
	if a, err := netip.ParseAddr(ip); err == nil && mac != "" {
		r[a] = record{strings.ToLower(mac), routerOf(cidr), evidence}
	}
}

// read gathers which ENI has which address: by terway's Nodes, by the PodENIs (of
// those on a trunk the node sees the trunk alone), and by what the cloud answers,
// which counts most. What cannot be read tells nothing.
func read(snap *snapshot.Snapshot) records {
	out := records{}
	nodes, _ := snap.TerwayNodes()
	for i := range nodes {
		for _, eni := range nodes[i].Status.NetworkInterfaces {
			for ip := range eni.IPv4 {
				out.add(ip, eni.MacAddress, eni.IPv4CIDR, "cluster/nodes.network.alibabacloud.com.yaml")
			}
		}
	}
	pods, _ := snap.TerwayPodENIs()
	for i := range pods {
		for _, a := range pods[i].Spec.Allocations {
			if pods[i].Status.TrunkENIID == "" {
				out.add(a.IPv4, a.ENI.MAC, a.IPv4CIDR, "cluster/podenis.network.alibabacloud.com.yaml")
			}
		}
	}
	out.cloud(snap)
	return out
}

func (r records) cloud(snap *snapshot.Snapshot) {
	facts := &aliyun.Facts{}
	for _, name := range snap.InfraFiles("aliyun") {
		if text, err := snap.Read(name); err == nil {
			_, _ = facts.Add(name, text) // the provider tells what is wrong with it
		}
	}
	for i := range facts.Interfaces {
		eni := &facts.Interfaces[i]
		for _, ip := range eni.PrivateIPSets.PrivateIPSet {
			r.add(ip.PrivateIPAddress, eni.MacAddress, "", eni.String())
		}
	}
}

// routerOf is the router of a vSwitch: the last address but two of its range
// (DeriveGatewayIP in pkg/ip/ip.go).
func routerOf(cidr string) netip.Addr {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || !p.Addr().Is4() || p.Bits() > 29 {
		return netip.Addr{}
	}
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	return netip.AddrFrom4(b).Prev().Prev()
}

// ruleFrom and ruleTo find terway's rules for a pod.
func ruleFrom(ns *netstack.NetNS, ip netip.Addr) (*nodedump.Rule, string, bool) {
	return rule(ns, fromPodPriority, ip, func(r *nodedump.Rule) string { return r.From })
}

func ruleTo(ns *netstack.NetNS, ip netip.Addr) (*nodedump.Rule, string, bool) {
	return rule(ns, toPodPriority, ip, func(r *nodedump.Rule) string { return r.To })
}

func rule(ns *netstack.NetNS, priority int, ip netip.Addr, selector func(*nodedump.Rule) string) (*nodedump.Rule, string, bool) {
	for i := range ns.Info.Rules {
		r := &ns.Info.Rules[i]
		if s := strings.TrimSuffix(selector(r), "/32"); r.Priority == priority && s == ip.String() {
			return r, fmt.Sprintf("%s:%d", ns.Info.File, r.Line), true
		}
	}
	return nil, "", false
}

// whole reports whether all of a node was collected that says where pods' packets go.
func whole(ns *netstack.NetNS) bool {
	for _, section := range []string{"rules", "routes", "interfaces"} {
		if ns.Unread(section) != nil {
			return false
		}
	}
	return true
}

// enis are the devices of a node that a table of terway's leads out by.
func enis(ns *netstack.NetNS) (out []*nodedump.Interface) {
	for i := range ns.Info.Interfaces {
		dev := &ns.Info.Interfaces[i]
		for _, e := range ns.FIB.Routes(tableOffset+dev.Index, everywhere()) {
			if e.Route != nil && e.Route.Dev == dev.Name {
				out = append(out, dev)
				break
			}
		}
	}
	return out
}

// everywhere is the destination of the default route.
func everywhere() netip.Prefix { return netip.PrefixFrom(netip.IPv4Unspecified(), 0) }

// An exit is the way of one pod's packets out of its node, by the ENI that has the
// pod's address.
type exit struct {
	*assertions.NetstackAssertion
	ns        *netstack.NetNS
	pod, veth string // its name, the node's end of its veth
	ip        netip.Addr
	record    record              // who has ip, as far as the bundle tells
	eni       *nodedump.Interface // nil if it is not known
	via       netip.Addr          // the router there, likewise invalid
}

// assert asserts the exit of packets to dst: the rule from the pod, the ENI and its
// table, and that no other rule comes first.
func (e *exit) assert(dst netip.Addr) bool {
	e.eni = e.owner()
	r, at, ok := ruleFrom(e.ns, e.ip)
	if !ok {
		return e.missing()
	}
	if !e.rule(r, at) {
		return false
	}
	return e.table() && e.chosen(dst, at)
}

// owner is the device that has the pod's address, by what the bundle tells.
func (e *exit) owner() *nodedump.Interface {
	for i := range e.ns.Info.Interfaces {
		if dev := &e.ns.Info.Interfaces[i]; e.record.mac != "" && strings.EqualFold(dev.MAC, e.record.mac) && !netstack.Stacked(dev) {
			return dev
		}
	}
	return nil
}

const vpcDrops = "so that its packets leave as the main table says: by an ENI that does not have their address, which the VPC drops"

// missing tells that there is no rule from the pod.
func (e *exit) missing() bool {
	if all := enis(e.ns); e.eni == nil && len(all) == 1 {
		e.eni = all[0]
	}
	table, remedy := "of its ENI", "restart terway on the node, which writes the rule"
	if e.eni != nil {
		table = fmt.Sprint(tableOffset + e.eni.Index)
		remedy = fmt.Sprintf("ip rule add from %s lookup %s priority %d", e.ip, table, fromPodPriority)
	}
	return e.Fail("route/missing", e.ns.Info.File, remedy, "terway's rule %d from %s (pod %s) to table %s is missing, %s", fromPodPriority, e.ip, e.pod, table, vpcDrops)
}

// rule asserts that the rule from the pod leads to the table of its ENI.
func (e *exit) rule(r *nodedump.Rule, at string) bool {
	if e.eni != nil && r.Table != tableOffset+e.eni.Index {
		want := tableOffset + e.eni.Index
		return e.Fail("route/diverted", at, fmt.Sprintf("ip rule del from %s priority %d; ip rule add from %s lookup %d priority %d", e.ip, fromPodPriority, e.ip, want, fromPodPriority),
			"terway's rule %d from %s (pod %s) leads to table %d; the address is of ENI %s (%s in %s), whose table is %d", fromPodPriority, e.ip, e.pod, r.Table, e.eni.Name, e.eni.MAC, e.record.evidence, want)
	}
	if r.IIf != "" && r.IIf != e.veth {
		return e.Fail("route/diverted", at, "restart terway on the node, which writes the rule", "terway's rule %d from %s is for packets by %s, and pod %s is at %s", fromPodPriority, e.ip, r.IIf, e.pod, e.veth)
	}
	dev, ok := e.ns.FIB.DeviceByIndex(r.Table - tableOffset)
	if !ok {
		return e.Fail("route/diverted", at, "restart terway on the node, which writes the rule",
			"terway's rule %d from %s (pod %s) leads to table %d, which is of no device: the table of an ENI is %d and its index", fromPodPriority, e.ip, e.pod, r.Table, tableOffset)
	}
	e.eni = dev
	return true
}

// table asserts the ENI and its table: a default route by the ENI itself, for the
// router of its vSwitch.
func (e *exit) table() bool {
	name, id := e.eni.Name, tableOffset+e.eni.Index
	if !e.AssertDevice(name, "the ENI") {
		return false
	}
	router := "ROUTER"
	if e.record.router.IsValid() {
		router = e.record.router.String()
	}
	remedy := fmt.Sprintf("ip route replace default via %s dev %s onlink table %d", router, name, id)
	entries := e.ns.FIB.Routes(id, everywhere())
	if len(entries) == 0 {
		return e.Fail("route/missing", e.ns.Info.File, remedy, "table %d of ENI %s has no default route for pod %s, %s", id, name, e.pod, vpcDrops)
	}
	first := entries[0]
	if first.Route == nil || first.Route.Dev != name {
		return e.Fail("route/diverted", first.Evidence, remedy, "the default route of table %d is %s; that table is of ENI %s", id, first.Text, name)
	}
	e.via, _ = netip.ParseAddr(first.Route.Via)
	if e.record.router.IsValid() && e.via != e.record.router {
		return e.Fail("route/diverted", first.Evidence, remedy, "the default route of table %d of ENI %s is by %s; the router of its vSwitch is %s", id, name, e.via, router)
	}
	return true
}

// chosen asserts that packets to dst do leave by the ENI, whatever other rules there
// are. at is the rule that means it.
func (e *exit) chosen(dst netip.Addr, at string) bool {
	got := e.ns.FIB.Lookup(route.Query{Src: e.ip, Dst: dst, IIf: e.veth}, nil)
	if got.Doubt != nil || got.Dev == e.eni.Name || got.Type == route.TypeLocal {
		return true
	}
	return e.Fail("route/diverted", got.Evidence, "see who wrote the rule: "+got.Rule, "packets of %s leave by %q (%s); rule %d at %s means ENI %s", e.ip, got.Text, got.Rule, fromPodPriority, at, e.eni.Name)
}
