package nftables_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/nftables"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func part(text string) nodedump.Part {
	return nodedump.Part{File: "nft.json", Status: nodedump.StatusOK, Data: []byte(text)}
}

// frame reads "tcp 10.0.0.1:1000 > 10.0.0.2:80" and words like "in=eth0",
// "ct=established", "kind=reply", "mark=0x1". The hook is FORWARD.
func frame(s string) netfilter.Frame {
	w := strings.Fields(s)
	f := netfilter.Frame{Hook: netfilter.Forward, In: "eth0", Out: "eth1", Env: world{}}
	f.Packet = model.Packet{Protocol: model.Protocol(w[0]), Src: end(w[1]), Dst: end(w[3])}
	f.Ct = netfilter.Ct{State: netfilter.CtNew, Original: f.Packet.Tuple(), Answer: f.Packet.Tuple().Invert()}
	for _, word := range w[4:] {
		key, value, _ := strings.Cut(word, "=")
		set(&f, key, value)
	}
	return f
}

func set(f *netfilter.Frame, key, value string) {
	n, _ := strconv.ParseUint(value, 0, 32)
	switch key {
	case "in":
		f.In = value
	case "out":
		f.Out = value
	case "hook":
		f.Hook = map[string]netfilter.Hook{"PREROUTING": 0, "INPUT": 1, "FORWARD": 2, "OUTPUT": 3, "POSTROUTING": 4}[value]
		if f.Hook == netfilter.Prerouting || f.Hook == netfilter.Input {
			f.Out = ""
		}
		if f.Hook == netfilter.Output {
			f.In = ""
		}
	case "ct":
		f.Ct.State = map[string]netfilter.CtState{"none": 0, "new": 1, "established": 2, "related": 3, "invalid": 4, "untracked": 5}[value]
	case "kind":
		f.Packet.Kind = map[string]model.Kind{"open": 0, "reply": 1, "reset": 2, "error": 3, "data": 4}[value]
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
	case "blind":
		f.Blind = true
	case "replydir":
		f.Ct.Reply = true
	default:
		panic("unknown word " + key)
	}
}

func end(s string) netip.AddrPort {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a
	}
	return netip.AddrPortFrom(netip.MustParseAddr(s), 0)
}

// world is a namespace with the addresses 10.0.0.1 and fd00::1, from which
// 10.0.0.0/8 is behind eth0.
type world struct{}

func (world) AddrType(a netip.Addr, dev string) netfilter.AddrType {
	switch {
	case a == netip.MustParseAddr("10.0.0.1") || a == netip.MustParseAddr("fd00::1"):
		if dev == "" || dev == "eth0" {
			return netfilter.AddrLocal
		}
		return netfilter.AddrUnicast
	case a.IsLoopback():
		return netfilter.AddrLocal
	case a == netip.MustParseAddr("10.0.0.255"):
		return netfilter.AddrBroadcast
	case a.IsMulticast():
		return netfilter.AddrMulticast
	}
	return netfilter.AddrUnicast
}

func (world) EgressAddr(dev string, dst netip.Addr) netip.Addr {
	switch {
	case dev == "bare":
		return netip.Addr{}
	case dst.Is6():
		return netip.MustParseAddr("fd00::1")
	}
	return netip.MustParseAddr("10.0.0.1")
}

func (world) InputAddr(dev string, ipv6 bool) netip.Addr {
	return world{}.EgressAddr(dev, map[bool]netip.Addr{true: netip.IPv6Loopback(), false: netip.IPv4Unspecified()}[ipv6])
}

func (world) ReversePath(*netfilter.Frame, bool, bool) netfilter.Answer { return netfilter.Yes }

func (world) DevGroup(dev string) (int, bool) { return map[string]int{"eth1": 7}[dev], dev != "gone" }

func (world) HasSocket(f *netfilter.Frame) netfilter.Answer {
	return netfilter.AnswerOf(f.Packet.Dst.Port() == 80)
}

func (w world) Listener(f *netfilter.Frame) netfilter.Socket {
	return netfilter.Socket{Found: w.HasSocket(f), Transparent: netfilter.Maybe}
}

func (world) FibDevice(f *netfilter.Frame, dst, _ bool, dev string) string {
	a := f.Packet.Src.Addr()
	if dst {
		a = f.Packet.Dst.Addr()
	}
	if world.AddrType(world{}, a, "") == netfilter.AddrLocal || !netip.MustParsePrefix("10.0.0.0/8").Contains(a) || dev != "" && dev != "eth0" {
		return ""
	}
	return "eth0"
}

// A branch is one run through the choices.
type branch struct {
	netfilter.Frame
	verdict netfilter.Verdict
	share   float64
	doubts  []model.Doubt
}

// run runs a frame through every base chain of its hook, in the order of their
// priorities, on every branch.
func run(rs *nftables.Ruleset, f netfilter.Frame) (all []branch) {
	bases := rs.Bases()
	slices.SortStableFunc(bases, func(a, b *nftables.Base) int { return cmp.Compare(a.Priority, b.Priority) })
	for c := netfilter.NewChoices(); c.Next() && len(all) < 100; {
		b := branch{Frame: f, verdict: netfilter.Accept}
		b.Choices = c
		for _, base := range bases {
			if base.At(f.Hook, f.Packet.IPv6()) && b.verdict == netfilter.Accept {
				b.verdict = rs.Run(base, &b.Frame)
			}
		}
		b.share, b.doubts = c.Share(), c.Doubts()
		all = append(all, b)
	}
	return all
}

// verdicts prints how the branches ended: "drop", "accept 0.25, drop 0.75",
// "drop, accept" for a doubt.
func verdicts(all []branch) string {
	var list []string
	for _, b := range all {
		s := b.verdict.String()
		if b.verdict == netfilter.Reject {
			s += " " + b.RejectWith
		}
		if b.share != 1 {
			s += fmt.Sprintf(" %.2f", b.share)
		}
		list = append(list, s)
	}
	return strings.Join(list, ", ")
}

// A record is what nft makes of the rules of the rows.
type record struct {
	Version string
	Tables  map[string]json.RawMessage            // sets and maps of each family
	Rules   map[string]map[string]json.RawMessage // the expressions of each rule, by family
}

const recordFile = "testdata/rules.json"

func readRecord(t testing.TB) (r record) {
	t.Helper()
	data, err := os.ReadFile(recordFile)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &r))
	return r
}

// ruleset makes a table with a chain at a hook, and a rule in it that ends with
// more.
func (r record) ruleset(t testing.TB, family, rule, chain, more string) *nftables.Ruleset {
	t.Helper()
	exprs := string(r.Rules[family][rule])
	if strings.HasPrefix(rule, "[") {
		exprs = rule
	}
	require.NotEmpty(t, exprs, "rule not recorded: go test -run Kernel -update: %s %s", family, rule)
	if exprs = strings.TrimSuffix(exprs, "]"); more != "" {
		exprs += ", " + more
	}
	text := fmt.Sprintf(`{"nftables": [%s, {"chain": {"family": %q, "table": "t", "name": "base", %s}}, {"rule": {"family": %q, "table": "t", "chain": "base", "expr": %s]}}]}`,
		strings.Trim(string(r.Tables[family]), "[]\n"), family, chain, family, exprs)
	rs, errs := nftables.Parse(part(text))
	require.Empty(t, errs, rule)
	return rs
}

// hookChain describes a base chain at the hook of a frame.
func hookChain(typ string, h netfilter.Hook) string {
	return fmt.Sprintf(`"type": %q, "hook": %q, "prio": 0, "policy": "accept"`, typ, strings.ToLower(h.String()))
}
