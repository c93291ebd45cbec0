package netns

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// The attributes of a tuple's protocol that package nl lacks.
const (
	ctaProtoICMPID   = 4
	ctaProtoICMPv6ID = 7
)

// readConntrack reads the entries of conntrack, up to the cap.
func (d *dumper) readConntrack() ([]byte, error) {
	table := nodedump.ConnTable{Count: netfilterSysctl("nf_conntrack_count"), Max: netfilterSysctl("nf_conntrack_max")}
	if table.Count == 0 {
		return nil, nil // nothing in it, or no conntrack in the kernel
	}
	if there, err := d.asks("nf_conntrack_netlink"); err != nil {
		return nil, err
	} else if !there {
		return nil, &statusError{nodedump.StatusDenied, "there are entries, but reading them would load nf_conntrack_netlink"}
	}
	capped := false
	err := d.conn.each(nfDump(unix.NFNL_SUBSYS_CTNETLINK, nl.IPCTNL_MSG_CT_GET, unix.AF_UNSPEC), d.deadline, func(msg []byte) bool {
		if capped = len(table.Entries) >= d.options.ConntrackMax; !capped && len(msg) >= 4 {
			table.Entries = append(table.Entries, parseConn(msg))
		}
		return !capped
	})
	if capped {
		err = truncated(fmt.Sprintf("%d of %d entries", len(table.Entries), table.Count))
	}
	if len(table.Entries) == 0 {
		return nil, err
	}
	slices.SortFunc(table.Entries, compareConns)
	data, formatErr := snapshot.FormatConntrack(&table)
	return data, cmp.Or(err, formatErr)
}

// compareConns orders entries by their original direction.
func compareConns(a, b nodedump.Conn) int {
	return cmp.Or(a.Family-b.Family, strings.Compare(a.Protocol, b.Protocol), strings.Compare(a.Src, b.Src),
		strings.Compare(a.Dst, b.Dst), a.Zone-b.Zone, strings.Compare(a.ReplySrc, b.ReplySrc), strings.Compare(a.ReplyDst, b.ReplyDst))
}

// netfilterSysctl reads a number of the thread's namespace, 0 if there is none.
func netfilterSysctl(name string) int {
	text, _ := os.ReadFile("/proc/sys/net/netfilter/" + name)
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// parseConn reads one entry.
func parseConn(msg []byte) nodedump.Conn {
	a := after(msg, 4)
	c := nodedump.Conn{
		Family: familyNumber(msg[0]), Mark: uint32(a.big(nl.CTA_MARK)), Zone: a.big(nl.CTA_ZONE),
		Status: connStatus(uint32(a.big(nl.CTA_STATUS))),
	}
	c.Protocol, c.Src, c.Dst = parseTuple(a.nest(nl.CTA_TUPLE_ORIG), false)
	_, c.ReplySrc, c.ReplyDst = parseTuple(a.nest(nl.CTA_TUPLE_REPLY), true)
	switch info := a.nest(nl.CTA_PROTOINFO); {
	case info.has(nl.CTA_PROTOINFO_TCP):
		c.State = pick(info.nest(nl.CTA_PROTOINFO_TCP).num(nl.CTA_PROTOINFO_TCP_STATE),
			"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2")
	case info.has(nl.CTA_PROTOINFO_SCTP):
		c.State = pick(info.nest(nl.CTA_PROTOINFO_SCTP).num(1),
			"NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD",
			"SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT", "HEARTBEAT_ACKED")
	}
	return c
}

// parseTuple reads one direction. The identifier of an echo stands where the
// port of its sender would be.
func parseTuple(a attrs, reply bool) (protocol, src, dst string) {
	ip, proto := a.nest(nl.CTA_TUPLE_IP), a.nest(nl.CTA_TUPLE_PROTO)
	from, to := ip.addr(nl.CTA_IP_V4_SRC), ip.addr(nl.CTA_IP_V4_DST)
	if !from.IsValid() {
		from, to = ip.addr(nl.CTA_IP_V6_SRC), ip.addr(nl.CTA_IP_V6_DST)
	}
	sport, dport := proto.big(nl.CTA_PROTO_SRC_PORT), proto.big(nl.CTA_PROTO_DST_PORT)
	if id := proto.big(ctaProtoICMPID) | proto.big(ctaProtoICMPv6ID); id != 0 {
		if sport = id; reply {
			sport, dport = 0, id
		}
	}
	return ipProtocol(proto.num(nl.CTA_PROTO_NUM)), addrPort(from, sport), addrPort(to, dport)
}

// addrPort writes an address with a port.
func addrPort(addr netip.Addr, port int) string {
	return netip.AddrPortFrom(addr, uint16(port)).String()
}

// connStatus names the bits of an entry's status that matter.
func connStatus(bits uint32) []string {
	const seenReply = 1 << 1
	names := flagNames(bits, []flagName{
		{1 << 0, "EXPECTED"}, {1 << 2, "ASSURED"}, {1 << 4, "SRC_NAT"}, {1 << 5, "DST_NAT"}, {1 << 9, "DYING"},
		{1 << 12, "FIXED_TIMEOUT"}, {1 << 14, "OFFLOAD"}, {1 << 15, "HW_OFFLOAD"},
	})
	if bits&seenReply == 0 {
		names = append(names, "UNREPLIED")
	}
	return names
}
