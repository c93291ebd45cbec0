// Package assertions compares what a network namespace is with what it should
// be, and reports the difference as suspicions. It decides no packet's fate.
package assertions

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Reporter takes suspicions. *model.NetNode is one.
type Reporter interface{ Report(s model.Suspicion) }

// A NetstackAssertion asserts facts of one network namespace. Every method
// reports whether its fact holds. A namespace that was not collected has no
// facts: then nothing is reported, and every method returns true.
type NetstackAssertion struct {
	to    Reporter
	ns    *netstack.NetNS
	level model.SuspicionLevel
	on    model.Hop // whose namespace it is, the zero Hop for the reporter's own
}

// In returns the same assertions on the namespace of another node.
func (a *NetstackAssertion) In(ns *netstack.NetNS, on model.Hop) *NetstackAssertion {
	return &NetstackAssertion{to: a.to, ns: ns, level: a.level, on: on}
}

// NewNetstackAssertion returns assertions on ns that report to r at a level.
func NewNetstackAssertion(r Reporter, ns *netstack.NetNS, level model.SuspicionLevel) *NetstackAssertion {
	return &NetstackAssertion{to: r, ns: ns, level: level}
}

// Fail reports what a plugin found by itself, and returns false. evidence and
// remedy may be "".
func (a *NetstackAssertion) Fail(code, evidence, remedy, format string, args ...any) bool {
	return a.report(code, evidence, remedy, format, args...)
}

// At returns the same assertions that report at a level.
func (a *NetstackAssertion) At(level model.SuspicionLevel) *NetstackAssertion {
	return &NetstackAssertion{to: a.to, ns: a.ns, level: level, on: a.on}
}

// NS is the namespace that is asserted on, nil if it was not collected.
func (a *NetstackAssertion) NS() *netstack.NetNS { return a.ns }

func (a *NetstackAssertion) report(code, evidence, remedy, format string, args ...any) bool {
	a.to.Report(model.Suspicion{On: a.on, Level: a.level, Code: code, Message: fmt.Sprintf(format, args...), Evidence: evidence, Remedy: remedy})
	return false
}

// blind reports whether a fact cannot be asserted because a section of the
// namespace, or all of it, was not read.
func (a *NetstackAssertion) blind(section string) bool {
	return a.ns == nil || a.ns.Unread(section) != nil
}

// AssertDevice asserts that a device exists, is up and is plugged in.
func (a *NetstackAssertion) AssertDevice(name, what string) bool {
	if a.blind("interfaces") {
		return true
	}
	dev, ok := a.ns.Device(name)
	if !ok {
		return a.report("link/missing", a.ns.Info.File, "", "%s %s does not exist", what, name)
	}
	if !netstack.Up(dev) {
		return a.report("link/down", a.ns.DeviceEvidence(dev), "ip link set "+name+" up", "%s %s is down", what, name)
	}
	if netstack.Unplugged(dev) {
		return a.report("link/down", a.ns.DeviceEvidence(dev), "see what is at the other end of "+name, "%s %s has no carrier", what, name)
	}
	return true
}

// AssertBridgePort asserts that a device is up and a forwarding port of a
// bridge.
func (a *NetstackAssertion) AssertBridgePort(name, bridge, what string) bool {
	if a.blind("interfaces") {
		return true
	}
	if !a.AssertDevice(name, what) {
		return false
	}
	dev, _ := a.ns.Device(name)
	at := a.ns.DeviceEvidence(dev)
	master, ok := a.ns.Master(dev)
	if !ok || master.Name != bridge {
		return a.report("bridge/no-master", at, fmt.Sprintf("ip link set %s master %s", name, bridge), "%s %s is not a port of bridge %s", what, name, bridge)
	}
	if !netstack.Forwards(dev) {
		return a.report("bridge/port-state", at, "", "%s %s is %s in bridge %s", what, name, dev.Port.State, bridge)
	}
	return true
}

// A Way is a route as a plugin means it.
type Way struct {
	Dst netip.Addr   // a destination
	To  netip.Prefix // the prefix that the plugin writes a route for
	Dev string
	Via netip.Addr // the zero Addr if any next hop, or none, will do
}

func (w Way) text() string {
	s := w.To.String()
	if w.Via.IsValid() {
		s += " via " + w.Via.String()
	}
	return s + " dev " + w.Dev
}

// AssertRoute asserts that a packet q takes a way.
func (a *NetstackAssertion) AssertRoute(q route.Query, w Way) bool {
	if a.ns == nil {
		return true
	}
	q.Dst = w.Dst
	got := a.ns.FIB.Lookup(q, nil)
	if got.Doubt != nil || got.Dev == w.Dev && (!w.Via.IsValid() || got.Via == w.Via) {
		return true
	}
	remedy := "ip route replace " + w.text()
	undo := remedy // of a range that a route of its own is missing in
	if got.Prefix == w.To {
		undo = "ip route del " + got.Text
	}
	switch got.Type {
	case route.TypeBlackhole:
		return a.report("route/blackhole", got.Evidence, undo, "a blackhole route takes packets to %s: %s; meant is %s", w.Dst, got.Text, w.text())
	case route.TypeUnreachable, route.TypeProhibit:
		return a.report("route/unreachable", got.Evidence, undo, "a route refuses packets to %s: %s; meant is %s", w.Dst, got.Text, w.text())
	}
	if entry, ok := a.meant(w); ok {
		return a.report("route/diverted", got.Evidence, "", "packets to %s leave by %s (%s) although %s has the route %s", w.Dst, orNothing(got), because(got), "the main table", entry)
	}
	if got.Type == route.TypeNone {
		return a.report("route/missing", a.ns.Info.File, remedy, "the route %s is missing", w.text())
	}
	if got.Prefix == w.To {
		return a.report("route/diverted", got.Evidence, remedy, "packets to %s leave by %s; meant is %s", w.Dst, orNothing(got), w.text())
	}
	return a.report("route/missing", got.Evidence, remedy, "the route %s is missing, so packets to %s leave by %s", w.text(), w.Dst, orNothing(got))
}

// AssertMainTable asserts that no policy rule leads a packet another way than
// the main table does, and returns the main table's route.
func (a *NetstackAssertion) AssertMainTable(q route.Query) (main route.Result, ok bool) {
	if a.ns == nil {
		return main, true
	}
	got := a.ns.FIB.Lookup(q, nil)
	main = a.ns.FIB.InTable(route.TableMain, q)
	if got.Doubt != nil || got.Table == route.TableMain || got.Table == route.TableLocal || got.Dev == main.Dev && got.Via == main.Via {
		return main, true
	}
	return main, a.report("route/diverted", got.Evidence, "ip rule del the rule that leads there: "+because(got), "packets to %s leave by %s (%s); the main table means %s", q.Dst, orNothing(got), because(got), orNothing(main))
}

// meant finds the route that the plugin writes in the main table.
func (a *NetstackAssertion) meant(w Way) (string, bool) {
	for _, e := range a.ns.FIB.Routes(route.TableMain, w.To) {
		if e.Route != nil && e.Route.Dev == w.Dev && (!w.Via.IsValid() || e.Route.Via == w.Via.String()) {
			return e.Text, true
		}
	}
	return "", false
}

func because(r route.Result) string {
	if r.Rule == "" {
		return "its route"
	}
	return r.Rule
}

func orNothing(r route.Result) string {
	if r.Text == "" {
		return string(r.Type)
	}
	return r.Text
}

// AssertNeighbour asserts that ip on dev has the hardware address mac, where
// an entry exists; must says that there has to be one.
func (a *NetstackAssertion) AssertNeighbour(dev string, ip netip.Addr, mac string, must bool) bool {
	if a.blind("neighbours") {
		return true
	}
	remedy := fmt.Sprintf("ip neigh replace %s lladdr %s dev %s nud permanent", ip, mac, dev)
	n, at, ok := a.ns.Neighbour(dev, ip)
	if !ok || n.MAC == "" {
		if !must {
			return true
		}
		return a.report("neigh/missing", a.ns.Info.File, remedy, "no neighbour entry for %s on %s; meant is %s", ip, dev, mac)
	}
	if mac != "" && !strings.EqualFold(n.MAC, mac) {
		return a.report("neigh/wrong", at, remedy, "the neighbour entry for %s on %s has %s; meant is %s", ip, dev, n.MAC, mac)
	}
	return true
}

// AssertFDB asserts that the VXLAN device dev sends frames to mac to a VTEP.
func (a *NetstackAssertion) AssertFDB(dev, mac string, vtep netip.Addr) bool {
	if a.blind("fdb") || mac == "" {
		return true
	}
	remedy := fmt.Sprintf("bridge fdb replace %s dev %s dst %s self permanent", mac, dev, vtep)
	var wrong *nodedump.FDBEntry
	for _, e := range a.ns.FDB(dev, mac) {
		if e.Dst == vtep.String() {
			return true
		}
		wrong = e
	}
	if wrong == nil {
		return a.report("fdb/missing", a.ns.Info.File, remedy, "the forwarding database of %s has no VTEP for %s; meant is %s", dev, mac, vtep)
	}
	return a.report("fdb/wrong", a.ns.FDBEvidence(wrong), remedy, "the forwarding database of %s sends %s to %s; meant is %s", dev, mac, wrong.Dst, vtep)
}

// AssertSysctl asserts that a sysctl has a value, where it was collected.
func (a *NetstackAssertion) AssertSysctl(code, name, want, effect string) bool {
	if a.ns == nil {
		return true
	}
	got, at, ok := a.ns.FIB.Sysctl(name)
	if !ok || got == want {
		return true
	}
	return a.report(code, at, fmt.Sprintf("sysctl -w %s=%s", name, want), "%s is %s: %s", name, got, effect)
}

// AssertMTU asserts that a device has an MTU, and why it should. Whether the device
// is there is for [NetstackAssertion.AssertDevice] to say.
func (a *NetstackAssertion) AssertMTU(name, what string, mtu int, why string) bool {
	if a.blind("interfaces") {
		return true
	}
	dev, ok := a.ns.Device(name)
	if !ok || dev.MTU == mtu {
		return true
	}
	code := "mtu/mismatch"
	if dev.MTU < mtu {
		code = "mtu/too-small"
	}
	return a.report(code, a.ns.DeviceEvidence(dev), fmt.Sprintf("ip link set %s mtu %d", name, mtu), "%s %s has the MTU %d; %s", what, name, dev.MTU, why)
}

// AssertListen asserts that something listens on the packet's destination.
func (a *NetstackAssertion) AssertListen(p model.Packet) bool {
	if a.ns == nil || !p.Protocol.HasPorts() {
		return true
	}
	m := a.ns.Sockets.Lookup(p, "")
	if !m.Known || m.Found {
		return true
	}
	if m.LoopbackOnly {
		return a.report("socket/loopback-only", m.Evidence, "", "%s %d is served only by %s", p.Protocol, p.Dst.Port(), m.Socket)
	}
	return a.report("socket/none", a.ns.Info.File, "", "nobody listens on %s %s", p.Protocol, p.Dst)
}
