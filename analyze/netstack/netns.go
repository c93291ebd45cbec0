// Package netstack does with a packet what the Linux kernel would do with it
// in one network namespace, given the state that was dumped: the same order,
// the same tables, the same corner cases. It knows nothing of Kubernetes.
//
// The order is the kernel's:
//
//	device up -> tc/XDP -> bridge (FDB, br_netfilter, hairpin) or tunnel
//	-> PREROUTING: raw, conntrack, mangle, nat
//	-> policy routing -> source validation -> forwarding sysctl
//	-> INPUT and socket, or MTU and FORWARD
//	-> POSTROUTING: mangle, nat -> neighbour -> FDB -> device
//
// What the dump does not tell, or what is not modelled, is a doubt of the
// branch that depends on it, never a guess.
package netstack

import (
	"fmt"
	"net/netip"
	"path"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/ipset"
	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/ipvs"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/nftables"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/netstack/socket"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A NetNS is a network namespace that packets can cross. It is immutable and
// safe for concurrent use.
type NetNS struct {
	ID      string // directory of the namespace in the bundle: unique
	Info    *nodedump.NetNSInfo
	FIB     *route.FIB
	Sockets *socket.Table

	v4, v6   family
	nft      *nftables.Ruleset
	ipvs     *ipvs.Table
	hooks4   pipelines // of IPv4
	hooks6   pipelines
	byIndex  map[int]*nodedump.Interface
	neigh    map[neighKey]*nodedump.Neighbour
	ports    map[string][]*nodedump.Interface // of a bridge, in order of index
	fdb      map[fdbKey][]*nodedump.FDBEntry
	conns    *connTable
	kinds    map[string]DeviceKind
	helpers  bool // something gives conversations a conntrack helper
	unknown  []model.Doubt
	problems []model.Doubt // entries that were not understood
}

// A family holds the rule sets of one address family: both backends run side
// by side in the kernel.
type family struct{ nft, legacy *iptables.Ruleset }

type neighKey struct {
	dev string
	ip  netip.Addr
}

type fdbKey struct{ dev, mac string } // dev is the bridge or the VXLAN device

// New parses info. Problems are what could not be understood in it, each with
// its file and line; New itself always returns a usable namespace.
func New(info *nodedump.NetNSInfo) (ns *NetNS, problems []error) {
	ns = &NetNS{ID: path.Dir(info.File), Info: info, kinds: map[string]DeviceKind{}}
	for _, k := range deviceKinds() {
		ns.kinds[k.Kind] = k
	}
	var errs []error
	add := func(e []error) { errs = append(errs, e...) }
	var e []error
	ns.FIB, e = route.New(info)
	add(e)
	ns.Sockets, e = socket.New(info)
	add(e)
	sets, e := ipset.Parse(info.IPSet)
	add(e)
	for _, t := range []struct {
		part nodedump.Part
		into **iptables.Ruleset
	}{{info.IPTables, &ns.v4.nft}, {info.IPTablesLegacy, &ns.v4.legacy}, {info.IP6Tables, &ns.v6.nft}, {info.IP6TablesLegacy, &ns.v6.legacy}} {
		*t.into, e = iptables.Parse(t.part, sets)
		add(e)
	}
	ns.nft, e = nftables.Parse(info.NFT)
	add(e)
	ns.conns, e = newConnTable(info.Conntrack)
	add(e)
	if info.IPTables.Status.Known() {
		ns.nft.Saved("ip")
	}
	if info.IP6Tables.Status.Known() {
		ns.nft.Saved("ip6")
	}
	ns.ipvs, e = ipvs.Parse(info.IPVS)
	add(e)
	add(ns.index())
	ns.helpers = ns.helped()
	ns.unknown = ns.unknowns(errs)
	ns.hooks4, ns.hooks6 = ns.newPipelines(false), ns.newPipelines(true)
	return ns, errs
}

// index builds the lookup tables of devices, neighbours and FDB entries.
func (ns *NetNS) index() (problems []error) {
	ns.byIndex = map[int]*nodedump.Interface{}
	ns.neigh = map[neighKey]*nodedump.Neighbour{}
	ns.ports = map[string][]*nodedump.Interface{}
	ns.fdb = map[fdbKey][]*nodedump.FDBEntry{}
	for i := range ns.Info.Interfaces {
		ns.byIndex[ns.Info.Interfaces[i].Index] = &ns.Info.Interfaces[i]
	}
	for i := range ns.Info.Interfaces {
		if dev := &ns.Info.Interfaces[i]; dev.Master != 0 && ns.byIndex[dev.Master] != nil {
			master := ns.byIndex[dev.Master].Name
			ns.ports[master] = append(ns.ports[master], dev)
		}
	}
	for i := range ns.Info.Neighbours {
		n := &ns.Info.Neighbours[i]
		ip, err := netip.ParseAddr(n.IP)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: neighbour: %w", ns.at(n.Line), err))
			continue
		}
		if !n.Proxy {
			ns.neigh[neighKey{n.Dev, ip.WithZone("")}] = n
		}
	}
	for i := range ns.Info.FDB {
		e := &ns.Info.FDB[i]
		for _, dev := range fdbOwners(e) {
			ns.fdb[fdbKey{dev, e.MAC}] = append(ns.fdb[fdbKey{dev, e.MAC}], e)
		}
	}
	return problems
}

// fdbOwners returns the bridge or VXLAN devices whose database e is part of.
func fdbOwners(e *nodedump.FDBEntry) []string {
	if e.Master != "" && !slices.Contains(e.Flags, "self") {
		return []string{e.Master}
	}
	if e.Master != "" {
		return []string{e.Master, e.Dev}
	}
	return []string{e.Dev}
}

// Unread returns the doubt about a section of netns.json that was not read whole,
// by the name of its JSON field; nil if it was.
func (ns *NetNS) Unread(section string) *model.Doubt {
	status, ok := ns.Info.Sections[section]
	if !ok || status.Known() {
		return nil
	}
	part := nodedump.Part{Status: status, Reason: ns.Info.Reasons[section]}
	return &model.Doubt{What: fmt.Sprintf("the %s of the namespace: %s", section, part.StatusText()), Evidence: ns.Info.File}
}

// at returns the evidence of a line of netns.json.
func (ns *NetNS) at(line int) string {
	if line == 0 {
		return ns.Info.File
	}
	return fmt.Sprintf("%s:%d", ns.Info.File, line)
}

// Device returns the named device.
func (ns *NetNS) Device(name string) (*nodedump.Interface, bool) { return ns.FIB.Device(name) }

// DeviceEvidence returns the file and line of the device.
func (ns *NetNS) DeviceEvidence(dev *nodedump.Interface) string { return ns.at(dev.Line) }

// Master returns the bridge, bond or VRF that dev belongs to.
func (ns *NetNS) Master(dev *nodedump.Interface) (*nodedump.Interface, bool) {
	m, ok := ns.byIndex[dev.Master]
	return m, ok && dev.Master != 0
}

// Ports returns the devices that belong to a bridge, in order of index.
func (ns *NetNS) Ports(bridge string) []*nodedump.Interface { return ns.ports[bridge] }

// Neighbour returns the neighbour entry for ip on dev, and its evidence.
func (ns *NetNS) Neighbour(dev string, ip netip.Addr) (n *nodedump.Neighbour, evidence string, ok bool) {
	n, ok = ns.neigh[neighKey{dev, ip}]
	if !ok {
		return nil, "", false
	}
	return n, ns.at(n.Line), true
}

// FDB returns the forwarding entries of a bridge or VXLAN device for mac.
func (ns *NetNS) FDB(dev, mac string) []*nodedump.FDBEntry { return ns.fdb[fdbKey{dev, mac}] }

// FDBEvidence returns the file and line of e.
func (ns *NetNS) FDBEvidence(e *nodedump.FDBEntry) string { return ns.at(e.Line) }

// Tables returns the rule sets of a family: the nft backend's, and legacy's.
func (ns *NetNS) Tables(ipv6 bool) []*iptables.Ruleset {
	if ipv6 {
		return []*iptables.Ruleset{ns.v6.nft, ns.v6.legacy}
	}
	return []*iptables.Ruleset{ns.v4.nft, ns.v4.legacy}
}

// NFTables returns the tables of nftables of every family.
func (ns *NetNS) NFTables() *nftables.Ruleset { return ns.nft }

// Up reports whether dev is administratively up.
func Up(dev *nodedump.Interface) bool { return slices.Contains(dev.Flags, "UP") }

// Forwards reports whether the state of a bridge port lets frames pass, as far
// as it is known.
func Forwards(port *nodedump.Interface) bool {
	return port.Port == nil || port.Port.State == "" || port.Port.State == "forwarding"
}

// Carrier reports whether dev has a carrier, as far as its state tells: a device
// that is up and yet DOWN has none (default_operstate).
func Carrier(dev *nodedump.Interface) bool {
	switch dev.OperState {
	case "DOWN", "LOWERLAYERDOWN":
		return !Up(dev)
	}
	return !slices.Contains(dev.Flags, "NO-CARRIER")
}

// Unplugged reports whether dev is a machine's own device to the world without
// a carrier. That of others tells only of their other end.
func Unplugged(dev *nodedump.Interface) bool {
	return (dev.Kind == "" || dev.Kind == "bond" || dev.Kind == "team") && !Carrier(dev)
}

var (
	_ netfilter.Env    = (*env)(nil)
	_ netfilter.Router = (*env)(nil)
)
