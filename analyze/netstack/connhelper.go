package netstack

import (
	"bytes"
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// expected asks whether a helper of conntrack expects a packet that seems to be
// new: which ones it does no dump tells. They can only belong to a conversation
// that a helper reads, between the same hosts, and only where a helper is
// assigned. It reports whether the journey has ended there.
func (r *run) expected() bool {
	if !r.ns.helpers {
		return false
	}
	p := r.f.Packet
	for _, c := range r.ns.conns.all {
		a, b := c.Original.Src.Addr(), c.Original.Dst.Addr()
		between := a == p.Src.Addr() && b == p.Dst.Addr() || b == p.Src.Addr() && a == p.Dst.Addr()
		if between && helperPort(c.Original.Dst.Port()) {
			return r.forks(model.Doubt{What: fmt.Sprintf("whether a helper expects the packet, for the connection to port %d between %s and %s", c.Original.Dst.Port(), a, b), Evidence: r.ns.Info.Conntrack.File})
		}
	}
	return false
}

// helped reports whether something assigns helpers: a sysctl, or a rule. It looks
// through all texts, once per namespace.
func (ns *NetNS) helped() bool {
	if v, _, _ := ns.FIB.Sysctl("net.netfilter.nf_conntrack_helper"); v == "1" {
		return true
	}
	info := ns.Info
	for _, text := range [][]byte{info.IPTables.Data, info.IPTablesLegacy.Data, info.IP6Tables.Data, info.IP6TablesLegacy.Data} {
		if bytes.Contains(text, []byte("--helper ")) {
			return true
		}
	}
	return bytes.Contains(info.NFT.Data, []byte(`"ct helper"`))
}

// helperPort reports whether a helper of the kernel listens for conversations to
// a port: FTP, TFTP, NetBIOS, SNMP, IRC, H.323, PPTP, SIP, SANE, Amanda.
func helperPort(port uint16) bool {
	switch port {
	case 21, 69, 137, 161, 194, 1719, 1720, 1723, 5060, 6566, 6667, 10080:
		return true
	}
	return false
}
