package plugin

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A SourceRouting is how nodes of a cloud send what their pods send, where pods have
// addresses of interfaces (ENIs) that the cloud gave to their node: by the one that
// has the address, as the cloud drops what comes by another. Networks do it alike,
// and differ in numbers:
//
//	rule ToPod:    to POD lookup main      what is for a pod of the node stays there
//	rule FromPod:  from POD lookup TABLE   what a pod sends leaves by its ENI
//	table TABLE:   default via ROUTER dev ENI
type SourceRouting struct {
	By      string              // who writes rules and tables: "terway"
	ToPod   int                 // priority of the rule to a pod
	FromPod int                 // priority of the rule from a pod
	TableOf func(index int) int // the table of the ENI with an index
	Tables  string              // how tables are numbered, for people
}

// A Tenant is a pod whose packets are routed by their source.
type Tenant struct {
	Name  string      // namespace/name
	IP    netip.Addr  // its address
	Veth  string      // the node's end of its veth
	Owner infra.Owner // the ENI that has IP; no MAC if that is not known: then any will do
	// Router is what the ENI's default route leads to, the zero Addr if that is not
	// known.
	Router netip.Addr
}

// lost is what becomes of packets that do not leave by their ENI.
const lost = "so that its packets leave as the main table says: by an ENI that does not have their address, which the VPC drops"

// RuleFrom returns the table that the rule from an address leads to.
func (s *SourceRouting) RuleFrom(ns *netstack.NetNS, ip netip.Addr) (table int, ok bool) {
	r, _ := ruleOf(ns, s.FromPod, ip, func(r *nodedump.Rule) string { return r.From })
	if r == nil {
		return 0, false
	}
	return r.Table, true
}

// ruleOf finds the rule of a priority for an address alone, and where it stands; nil
// if there is none.
func ruleOf(ns *netstack.NetNS, priority int, ip netip.Addr, selector func(*nodedump.Rule) string) (r *nodedump.Rule, at string) {
	for i := range ns.Info.Rules {
		r := &ns.Info.Rules[i]
		if r.Priority == priority && strings.TrimSuffix(selector(r), "/32") == ip.String() {
			return r, fmt.Sprintf("%s:%d", ns.Info.File, r.Line)
		}
	}
	return nil, ""
}

// AssertRuleTo asserts the rule that keeps packets to a pod of the node from the
// tables of ENIs.
func (s *SourceRouting) AssertRuleTo(a *assertions.NetstackAssertion, t Tenant) bool {
	if a.NS() == nil || a.NS().Unread("rules") != nil || !t.IP.IsValid() {
		return true
	}
	if r, _ := ruleOf(a.NS(), s.ToPod, t.IP, func(r *nodedump.Rule) string { return r.To }); r != nil {
		return true
	}
	return a.Fail("route/missing", a.NS().Info.File, fmt.Sprintf("ip rule add to %s lookup main priority %d", t.IP, s.ToPod),
		"%s's rule %d to %s (pod %s) is missing, so that packets of other pods of the node leave it by their ENI", s.By, s.ToPod, t.IP, t.Name)
}

// ENIs are the devices of a node whose table leads out by them.
func (s *SourceRouting) ENIs(ns *netstack.NetNS) (out []*nodedump.Interface) {
	for i := range ns.Info.Interfaces {
		dev := &ns.Info.Interfaces[i]
		for _, e := range ns.FIB.Routes(s.TableOf(dev.Index), Everywhere(netip.IPv4Unspecified())) {
			if e.Route != nil && e.Route.Dev == dev.Name {
				out = append(out, dev)
				break
			}
		}
	}
	return out
}

// ENI returns the device by which a pod's packets come and go: that of the owner of
// its address, or else the one that the rule from the pod leads to. It is nil if
// neither tells.
func (s *SourceRouting) ENI(ns *netstack.NetNS, t Tenant) *nodedump.Interface {
	if dev := owned(ns, t.Owner); dev != nil {
		return dev
	}
	if table, ok := s.RuleFrom(ns, t.IP); ok {
		return s.byTable(ns, table)
	}
	return nil
}

// owned is the device of an owner, nil if the node does not have it.
func owned(ns *netstack.NetNS, o infra.Owner) *nodedump.Interface {
	for i := range ns.Info.Interfaces {
		if dev := &ns.Info.Interfaces[i]; o.MAC != "" && strings.EqualFold(dev.MAC, o.MAC) && !netstack.Stacked(dev) {
			return dev
		}
	}
	return nil
}

// byTable is the device that a table is of, nil if it is of none.
func (s *SourceRouting) byTable(ns *netstack.NetNS, table int) *nodedump.Interface {
	for i := range ns.Info.Interfaces {
		if dev := &ns.Info.Interfaces[i]; s.TableOf(dev.Index) == table {
			return dev
		}
	}
	return nil
}

// AssertExit asserts the way out of a tenant's packets to dst: the rule from the pod,
// the ENI and its table, and that no other rule comes first. It returns the ENI that
// is meant, "an ENI" if it is not known which, and the router there, the zero Addr
// likewise. Where rules, routes or devices of the node were not collected nothing is
// asserted, and the ENI is "".
func (s *SourceRouting) AssertExit(a *assertions.NetstackAssertion, t Tenant, dst netip.Addr) (eni string, via netip.Addr) {
	ns := a.NS()
	if ns == nil || ns.Unread("rules") != nil || ns.Unread("routes") != nil || ns.Unread("interfaces") != nil {
		return "", via
	}
	e := &exit{NetstackAssertion: a, SourceRouting: s, Tenant: t, ns: ns, eni: owned(ns, t.Owner)}
	var r *nodedump.Rule
	if r, e.at = ruleOf(e.ns, s.FromPod, t.IP, func(r *nodedump.Rule) string { return r.From }); r == nil {
		e.missing()
	} else if e.rule(r) && e.table() {
		e.chosen(dst)
	}
	if e.eni == nil {
		return "an ENI", e.via
	}
	return e.eni.Name, e.via
}

// An exit is the way of one tenant's packets out of its node.
type exit struct {
	*assertions.NetstackAssertion
	*SourceRouting
	Tenant
	ns  *netstack.NetNS
	eni *nodedump.Interface // nil while it is not known
	via netip.Addr
	at  string // where the rule from the pod stands
}

// missing tells that there is no rule from the pod. A node with one ENI has no
// choice.
func (e *exit) missing() {
	if all := e.ENIs(e.ns); e.eni == nil && len(all) == 1 {
		e.eni = all[0]
	}
	table, remedy := "of its ENI", e.rewrite()
	if e.eni != nil {
		table = fmt.Sprint(e.TableOf(e.eni.Index))
		remedy = fmt.Sprintf("ip rule add from %s lookup %s priority %d", e.IP, table, e.FromPod)
	}
	e.Fail("route/missing", e.ns.Info.File, remedy, "%s to table %s is missing, %s", e.named(), table, lost)
}

// named is the rule from the pod, for people.
func (e *exit) named() string {
	return fmt.Sprintf("%s's rule %d from %s (pod %s)", e.By, e.FromPod, e.IP, e.Name)
}

func (e *exit) rewrite() string {
	return "restart " + e.By + " on the node, which writes the rule"
}

// rule asserts that the rule from the pod leads to the table of its ENI.
func (e *exit) rule(r *nodedump.Rule) bool {
	if e.eni != nil && r.Table != e.TableOf(e.eni.Index) {
		want := e.TableOf(e.eni.Index)
		return e.Fail("route/diverted", e.at, fmt.Sprintf("ip rule del from %s priority %d; ip rule add from %s lookup %d priority %d", e.IP, e.FromPod, e.IP, want, e.FromPod),
			"%s leads to table %d; the address is of ENI %s (%s in %s), whose table is %d", e.named(), r.Table, e.eni.Name, e.eni.MAC, e.Owner.Evidence, want)
	}
	if r.IIf != "" && r.IIf != e.Veth {
		return e.Fail("route/diverted", e.at, e.rewrite(), "%s is for packets by %s, and the pod is at %s", e.named(), r.IIf, e.Veth)
	}
	if e.eni = e.byTable(e.ns, r.Table); e.eni == nil {
		return e.Fail("route/diverted", e.at, e.rewrite(), "%s leads to table %d, which is of no device: %s", e.named(), r.Table, e.Tables)
	}
	return true
}

// table asserts the ENI and its table: a default route by the ENI itself, for the
// router there.
func (e *exit) table() bool {
	name, id, router := e.eni.Name, e.TableOf(e.eni.Index), "ROUTER"
	if !e.AssertDevice(name, "the ENI") {
		return false
	}
	if e.Router.IsValid() {
		router = e.Router.String()
	}
	remedy := fmt.Sprintf("ip route replace default via %s dev %s onlink table %d", router, name, id)
	entries := e.ns.FIB.Routes(id, Everywhere(e.IP))
	if len(entries) == 0 {
		return e.Fail("route/missing", e.ns.Info.File, remedy, "table %d of ENI %s has no default route for pod %s, %s", id, name, e.Name, lost)
	}
	first := entries[0]
	if first.Route == nil || first.Route.Dev != name {
		return e.Fail("route/diverted", first.Evidence, remedy, "the default route of table %d is %s; that table is of ENI %s", id, first.Text, name)
	}
	e.via, _ = netip.ParseAddr(first.Route.Via)
	if e.Router.IsValid() && e.via != e.Router {
		return e.Fail("route/diverted", first.Evidence, remedy, "the default route of table %d of ENI %s is by %s; the router of its network is %s", id, name, e.via, router)
	}
	return true
}

// chosen asserts that packets to dst do leave by the ENI, whatever other rules there
// are.
func (e *exit) chosen(dst netip.Addr) bool {
	got := e.ns.FIB.Lookup(route.Query{Src: e.IP, Dst: dst, IIf: e.Veth}, nil)
	if got.Doubt != nil || got.Dev == e.eni.Name || got.Type == route.TypeLocal {
		return true
	}
	return e.Fail("route/diverted", got.Evidence, "see who wrote the rule: "+got.Rule, "packets of %s leave by %q (%s); rule %d at %s means ENI %s", e.IP, got.Text, got.Rule, e.FromPod, e.at, e.eni.Name)
}
