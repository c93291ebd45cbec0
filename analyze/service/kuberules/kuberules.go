// Package kuberules reads what kube-proxy has written into the network
// namespace of a node: iptables rules, an nftables table, or virtual servers of
// IPVS with their sets. It goes by structure, from the hooks on: what no packet
// can come to is not there, and comments say nothing (clusters of more than
// 1,000 endpoints have none).
package kuberules

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Frontend is where packets come to a Service. Addr is the zero Addr of a
// node port.
type Frontend struct {
	Addr     netip.Addr
	Protocol model.Protocol
	Port     uint16
}

func (f Frontend) String() string {
	if !f.Addr.IsValid() {
		return fmt.Sprintf("node port %d/%s", f.Port, f.Protocol)
	}
	return fmt.Sprintf("%s/%s", netip.AddrPortFrom(f.Addr, f.Port), f.Protocol)
}

// A Verdict says what the rules do with new packets to a Frontend.
type Verdict uint8

// The verdicts. The zero value is that no rule takes them.
const (
	None Verdict = iota
	Reject
	Drop
)

func (v Verdict) String() string { return [...]string{"takes no notice of", "rejects", "drops"}[v] }

// An At is a place in a text of the node. The zero value is no place.
type At struct {
	Text Text
	Line int // 0 if it is the text as a whole
}

// A Text is one of the texts that rules are read from.
type Text uint8

// The texts.
const (
	IPTables Text = iota + 1
	IPTablesLegacy
	IP6Tables
	IP6TablesLegacy
	NFT
	IPSet
	IPVS
	NetNS
)

// A Dest is one place that a Frontend sends to.
type Dest struct {
	Addr    netip.AddrPort
	Hairpin bool // what it sends to itself is masqueraded
	Affine  int  // seconds for which a client comes back to it, 0 if it does not
	Weight  int  // of IPVS; 1 in the other modes
	At      At
}

// An Entry is what the rules of a node do with packets to a Frontend.
type Entry struct {
	At      At     // of the rule that takes them, zero if there is none
	To      []Dest // where packets of anybody go
	Pods    []Dest // where packets of pods go by a rule of their own
	Node    []Dest // where packets of the node itself go by a rule of their own
	Guarded bool   // only sources of Ranges come to To
	GuardAt At     // of what keeps the others out, zero if that is the rule At
	Ranges  []netip.Prefix

	MasqAll  bool           // everything is masqueraded
	MasqNode bool           // what the node itself sends is
	MasqOut  bool           // what is not of pods is
	PodRange []netip.Prefix // that MasqOut takes for pods, if it goes by addresses

	Refused   Verdict // of what no rule translates
	RefusedAt At
}

// A Family is what kube-proxy has written for one address family.
type Family struct {
	Entries   map[Frontend]*Entry
	Hooks     []Hook // that every Service needs and that are missing
	Cut       bool   // the text ends in the middle, or has something odd: what is not there may have been
	NodePorts bool   // packets to the node's own addresses come to its node ports
	NodeAddrs *Addrs // that have node ports, where the rules go by a set of them
}

// Addrs is a set of addresses.
type Addrs struct {
	Name string
	Has  map[netip.Addr]bool
	At   At
}

// A Hook is a piece of the frame around all Services that is missing.
type Hook struct {
	What string // "chain PREROUTING of table nat does not jump to KUBE-SERVICES"
	Masq bool   // it is about masquerading alone
	At   At
}

// Evidence returns the place in the texts of info: "file:line".
func Evidence(info *nodedump.NetNSInfo, at At) string {
	file := map[Text]string{
		IPTables: info.IPTables.File, IPTablesLegacy: info.IPTablesLegacy.File, IP6Tables: info.IP6Tables.File, IP6TablesLegacy: info.IP6TablesLegacy.File,
		NFT: info.NFT.File, IPSet: info.IPSet.File, IPVS: info.IPVS.File, NetNS: info.File,
	}[at.Text]
	if at.Line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, at.Line)
}

func (f *Family) entry(at Frontend) *Entry {
	e := f.Entries[at]
	if e == nil {
		e = &Entry{}
		f.Entries[at] = e
	}
	return e
}
