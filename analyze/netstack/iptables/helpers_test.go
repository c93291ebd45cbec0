package iptables_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/ipset"
	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func part(file, text string) nodedump.Part {
	return nodedump.Part{File: file, Status: nodedump.StatusOK, Data: []byte(text)}
}

// world is the namespace around the rules: 10.0.0.100 on eth0 and
// 10.0.1.100 on eth1 are local, 10.0.0.255 is a broadcast address.
type world struct {
	back, socket, open netfilter.Answer
	wild               bool
}

func (world) AddrType(a netip.Addr, dev string) netfilter.AddrType {
	switch s := a.String(); {
	case s == "10.0.0.100" && (dev == "" || dev == "eth0"), s == "10.0.1.100" && (dev == "" || dev == "eth1"), s == "fd00::100", a.IsLoopback():
		return netfilter.AddrLocal
	case s == "10.0.0.255":
		return netfilter.AddrBroadcast
	case a.IsMulticast():
		return netfilter.AddrMulticast
	}
	return netfilter.AddrUnicast
}

func (world) EgressAddr(dev string, dst netip.Addr) netip.Addr {
	switch {
	case dev == "eth1" && dst.Is6():
		return netip.MustParseAddr("fd00::100")
	case dev == "eth1":
		return netip.MustParseAddr("10.0.1.100")
	}
	return netip.Addr{}
}

func (world) InputAddr(dev string, ipv6 bool) netip.Addr {
	switch {
	case dev == "eth0" && ipv6:
		return netip.MustParseAddr("fd00::100")
	case dev == "eth0":
		return netip.MustParseAddr("10.0.0.100")
	}
	return netip.Addr{}
}

func (w world) ReversePath(*netfilter.Frame, bool, bool) netfilter.Answer { return w.back }

func (world) DevGroup(dev string) (int, bool) { return 7, dev == "eth0" }

func (w world) HasSocket(*netfilter.Frame) netfilter.Answer { return w.socket }

func (w world) Listener(*netfilter.Frame) netfilter.Socket {
	return netfilter.Socket{Found: w.socket, Wildcard: w.wild, Transparent: w.open}
}

// pkt reads "tcp 10.0.0.1:1000 > 10.0.0.2:80", or without ports.
func pkt(s string) model.Packet {
	w := strings.Fields(s)
	return model.Packet{Protocol: model.Protocol(w[0]), Src: end(w[1]), Dst: end(w[3])}
}

func end(s string) netip.AddrPort {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a
	}
	return netip.AddrPortFrom(netip.MustParseAddr(s), 0)
}

// frame reads a packet and what goes with it: "tcp A > B in=eth0 mark=0x1".
// It is at FORWARD, new and without devices unless told.
func frame(s string) netfilter.Frame {
	f := netfilter.Frame{Packet: pkt(s), Hook: netfilter.Forward, Env: world{}}
	f.Ct = netfilter.Ct{State: netfilter.CtNew, Original: f.Packet.Tuple(), Answer: f.Packet.Tuple().Invert()}
	for _, word := range strings.Fields(s)[4:] {
		key, value, _ := strings.Cut(word, "=")
		set(&f, key, value)
	}
	return f
}

func set(f *netfilter.Frame, key, value string) {
	n, _ := strconv.ParseUint(value, 0, 32)
	w := f.Env.(world)
	switch key {
	case "in":
		f.In = value
	case "out":
		f.Out = value
	case "physin":
		f.PhysIn, f.Bridged = value, true
	case "physout":
		f.PhysOut, f.Bridged = value, true
	case "mark":
		f.Packet.Mark = uint32(n)
	case "connmark":
		f.Ct.Mark = uint32(n)
	case "tos":
		f.Packet.TOS = uint8(n)
	case "ttl":
		f.Packet.TTL = uint8(n)
	case "size":
		f.Packet.Size = int(n)
	case "type":
		f.Packet.ICMPType = uint8(n)
	case "code":
		f.Packet.ICMPCode = uint8(n)
	case "smac":
		f.Packet.SrcMAC = value
	case "snat":
		f.Ct.SNAT = true
	case "dnat":
		f.Ct.DNAT = true
	case "replydir":
		f.Ct.Reply = true
	case "wayback":
		f.Env = world{back: answerNamed(value), socket: w.socket}
	case "socket":
		f.Env = socketNamed(w.back, value)
	case "served":
		f.Virtual.Served = true
	case "virtual":
		f.Virtual = netfilter.Virtual{Served: true, Open: value == "open"}
		f.Virtual.To, _ = netip.ParseAddrPort(value)
	case "hook":
		for h := netfilter.Prerouting; h <= netfilter.Postrouting; h++ {
			if h.String() == value {
				f.Hook = h
			}
		}
	case "kind":
		f.Packet.Kind = model.Kind(slices.Index([]string{"open", "reply", "reset", "error", "data"}, value))
	case "ct":
		f.Ct.State = netfilter.CtState(slices.Index([]string{"none", "new", "established", "related", "invalid", "untracked"}, value))
	}
}

// socketNamed is a world in which a socket waits: "no", "maybe", "yes", of which
// nothing more is known, "wild", bound to no address, "transparent" or "opaque".
func socketNamed(back netfilter.Answer, s string) world {
	w := world{back: back, socket: netfilter.Yes, open: netfilter.Maybe}
	switch s {
	case "no", "maybe":
		w.socket = answerNamed(s)
	case "wild":
		w.wild, w.open = true, netfilter.Yes
	case "transparent":
		w.open = netfilter.Yes
	case "opaque":
		w.open = netfilter.No
	}
	return w
}

func answerNamed(s string) netfilter.Answer {
	return map[string]netfilter.Answer{"no": netfilter.No, "yes": netfilter.Yes, "maybe": netfilter.Maybe}[s]
}

// outcome is one way of a packet through a table.
type outcome struct {
	netfilter.Frame
	verdict netfilter.Verdict
	share   float64
	doubts  []model.Doubt
}

func (o outcome) String() string {
	if o.share < 1 {
		return fmt.Sprintf("%s %.2f", o.verdict, o.share)
	}
	return o.verdict.String()
}

// run returns every way of f through a table.
func run(rs *iptables.Ruleset, table string, f netfilter.Frame) (list []outcome) {
	for c := netfilter.NewChoices(); c.Next(); {
		g := f
		g.Choices = c
		v := rs.Run(table, &g)
		list = append(list, outcome{g, v, c.Share(), c.Doubts()})
	}
	return list
}

// verdicts joins the verdicts of the ways.
func verdicts(list []outcome) string {
	var words []string
	for _, o := range list {
		words = append(words, o.String())
	}
	return strings.Join(words, ", ")
}

// parse reads rules that must be understood.
func parse(t *testing.T, text string) *iptables.Ruleset {
	t.Helper()
	sets, errs := ipset.Parse(part("ipset-save.txt", setText))
	require.Empty(t, errs)
	rs, errs := iptables.Parse(part("iptables-save.txt", text), sets)
	require.Empty(t, errs)
	return rs
}

const setText = `create hosts hash:ip family inet
add hosts 10.0.0.1
create pairs hash:ip,port family inet
add pairs 10.0.0.2,tcp:80
create both hash:ip,port,ip family inet
add both 10.0.0.1,tcp:80,10.0.0.2
create nets hash:net family inet
add nets 10.0.0.0/8
add nets 10.0.0.2 nomatch
create netports hash:net,port family inet
add netports 10.0.0.0/24,udp:53
add netports 10.0.0.0/24,icmp:echo-request
create ports bitmap:port range 0-1024
add ports 53
create devs hash:net,iface family inet
add devs 0.0.0.0/0,dummy0
add devs 0.0.0.0/0,eth0
create masked hash:ip family inet netmask 30
add masked 10.0.0.0
create macs bitmap:ip,mac range 10.0.0.0-10.0.0.255
add macs 10.0.0.1
create lists list:set size 8
add lists pairs
add lists netports
create iprange bitmap:ip range 10.0.0.0-10.0.0.255
add iprange 10.0.0.2
create wide hash:ip,port,net family inet
add wide 10.0.0.2,udp:53,10.0.0.0/24
create counted hash:ip family inet counters
add counted 10.0.0.1
`

// parseAny reads rules that need not be understood.
func parseAny(text string) (*iptables.Ruleset, []error) {
	sets, _ := ipset.Parse(part("ipset-save.txt", setText))
	return iptables.Parse(part("iptables-save.txt", text), sets)
}

func hex(n uint32) string { return strconv.FormatUint(uint64(n), 16) }
