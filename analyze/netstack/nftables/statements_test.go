package nftables_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A statementRow is a rule that does something: want is what has become of the
// packet.
type statementRow struct{ name, family, rule, frame, want string }

// hook is the hook of the row's frame.
func (r statementRow) hook() netfilter.Hook { f := frame(r.frame); return f.Hook }

func (r statementRow) chainType() string {
	for _, word := range []string{"dnat", "snat", "masquerade", "redirect"} {
		if strings.HasPrefix(r.name, word) {
			return "nat"
		}
	}
	return "filter"
}

func (r statementRow) kernelChain() string {
	return fmt.Sprintf("type %s hook %s priority -1", r.chainType(), strings.ToLower(r.hook().String()))
}

const pre, post, out = " hook=PREROUTING", " hook=POSTROUTING", " hook=OUTPUT"

func statementRows() []statementRow {
	return []statementRow{
		{"match", "ip", "ip saddr 10.0.0.1 accept", tcpOpen, "accept"},
		{"accept", "ip", "accept", tcpOpen, "accept"},
		{"drop", "ip", "drop", tcpOpen, "drop"},
		{"continue", "ip", "continue", tcpOpen, "accept"},
		{"return", "ip", "return", tcpOpen, "accept"},
		{"jump", "ip", "jump dropper", tcpOpen, "drop"},
		{"jump", "ip", "jump sub", tcpOpen, "accept"},
		{"goto", "ip", "goto dropper", tcpOpen, "drop"},
		{"vmap", "ip", "tcp dport vmap { 80 : drop }", tcpOpen, "drop"},
		{"reject", "ip", "reject", tcpOpen, "reject icmp-port-unreachable"},
		{"reject", "ip6", "reject", tcp6, "reject icmp6-port-unreachable"},
		{"reject", "inet", "reject", tcpOpen, "reject icmp-port-unreachable"},
		{"reject", "inet", "reject with icmpx admin-prohibited", tcp6, "reject icmp6-adm-prohibited"},
		{"reject", "inet", "reject with icmpx host-unreachable", tcp6, "reject icmp6-addr-unreachable"},
		{"reject", "inet", "reject with icmpx no-route", tcpOpen, "reject icmp-net-unreachable"},
		{"reject", "inet", "reject with icmp host-prohibited", tcpOpen, "reject icmp-host-prohibited"},
		{"reject", "inet", "reject with icmp host-prohibited", tcp6, "accept"},
		{"reject", "ip6", "reject with icmpv6 policy-fail", tcp6, "reject icmp6-policy-fail"},
		{"reject", "inet", "meta l4proto tcp reject with tcp reset", tcpOpen, "reject tcp-reset, accept"},
		{"reject", "inet", "ip saddr 10.0.0.1 tcp dport 80 reject with tcp reset", tcpOpen, "reject tcp-reset"},
		{"reject", "inet", "ip6 saddr fd00::/8 tcp dport 80 reject with tcp reset", tcpOpen, "accept"},
		{"reject", "ip", "tcp dport 80 reject with tcp reset", tcpOpen, "reject tcp-reset"},
		{"queue", "ip", `[{"queue": {"num": 3}}]`, tcpOpen, "unknown"},
		{"queue", "ip", `[{"queue": {"num": 3, "flags": "bypass"}}]`, tcpOpen, "unknown, accept"},
		{"dnat", "ip", "meta l4proto tcp dnat to 10.9.0.1:8080", tcpOpen + pre, "accept dst=10.9.0.1:8080 bound"},
		{"dnat", "inet", "meta l4proto tcp dnat ip to 10.9.0.1:8080", tcp6 + pre, "accept"},
		{"dnat", "inet", "meta l4proto tcp dnat ip6 to [fd00::9]:8080", tcp6 + pre, "accept dst=[fd00::9]:8080 bound"},
		{"dnat", "ip", "dnat to 10.9.0.1", ping + pre, "accept dst=10.9.0.1:0 bound"},
		{"dnat", "ip", "dnat to 10.9.0.1-10.9.0.2", tcpOpen + pre, "accept 0.50 dst=10.9.0.1:80 bound, accept 0.50 dst=10.9.0.2:80 bound"},
		{"dnat", "ip", "meta l4proto tcp dnat to :8080", tcpOpen + pre, "accept dst=10.0.0.2:8080 bound"},
		{"dnat", "ip", "meta l4proto tcp dnat to 10.9.0.1:8000-8010 random,persistent", tcpOpen + pre, "accept 0.09 dst=10.9.0.1:8000 bound, accept 0.09 dst=10.9.0.1:8001 bound, accept 0.09 dst=10.9.0.1:8002 bound, accept 0.09 dst=10.9.0.1:8003 bound, accept 0.09 dst=10.9.0.1:8004 bound, accept 0.09 dst=10.9.0.1:8005 bound, accept 0.09 dst=10.9.0.1:8006 bound, accept 0.09 dst=10.9.0.1:8007 bound, accept 0.09 dst=10.9.0.1:8008 bound, accept 0.09 dst=10.9.0.1:8009 bound, accept 0.09 dst=10.9.0.1:8010 bound"},
		{"dnat", "ip", "dnat to tcp dport map { 80 : 10.9.0.3 }", tcpOpen + pre, "accept dst=10.9.0.3:80 bound"},
		{"dnat", "ip", "dnat to tcp dport map { 81 : 10.9.0.3 }", tcpOpen + pre, "accept"},
		{"dnat", "ip", "dnat to tcp dport map @dests", tcpOpen + pre, "accept dst=10.9.0.1:8080 bound"},
		{"dnat", "ip", "meta l4proto tcp dnat to numgen random mod 2 map { 0 : 10.9.0.3 . 81, 1 : 10.9.0.4 . 82 }", tcpOpen + pre, "accept 0.50 dst=10.9.0.3:81 bound, accept 0.50 dst=10.9.0.4:82 bound"},
		{"dnat", "ip", "dnat prefix to ip daddr map { 10.0.0.0/24 : 10.9.0.0/24 }", tcpOpen + pre, "accept dst=10.9.0.2:80 bound"},
		{"snat", "ip", "snat to 10.8.0.1", tcpOpen + post, "accept src=10.8.0.1:1000 bound"},
		{"snat", "ip", "snat to 10.0.0.0-10.0.0.9", tcpOpen + post, "accept bound"},
		{"snat", "ip", "meta l4proto tcp snat to 10.8.0.1:2000-3000 persistent", tcpOpen + post, "accept src=10.8.0.1:2000 bound"},
		{"snat", "ip", "meta l4proto tcp snat to 10.8.0.1:2000-3000 persistent", udpOpen + post, "accept"},
		{"masquerade", "ip", "masquerade", "tcp 10.244.0.1:7 > 10.9.0.1:80" + post, "accept src=10.0.0.1:7 bound"},
		{"masquerade", "ip", "masquerade random,fully-random", "tcp 10.244.0.1:7 > 10.9.0.1:80" + post, "accept src=10.0.0.1:7 bound"},
		{"masquerade", "ip", "masquerade", "tcp 10.244.0.1:7 > 10.9.0.1:80 out=bare" + post, "drop"},
		{"masquerade", "ip", "meta l4proto tcp masquerade to :100-200", "tcp 10.244.0.1:7 > 10.9.0.1:80" + post, "accept src=10.0.0.1:100 bound"},
		{"redirect", "ip", "meta l4proto tcp redirect to :8080", tcpOpen + pre, "accept dst=10.0.0.1:8080 bound"},
		{"redirect", "ip", "redirect", tcpOpen + out, "accept dst=127.0.0.1:80 bound"},
		{"mangle", "ip", "meta mark set 0x7", tcpOpen, "accept mark=0x7"},
		{"mangle", "ip", "meta mark set meta mark | 0x4000", tcpOpen + " mark=1", "accept mark=0x4001"},
		{"mangle", "ip", "meta mark set meta mark & 0xffff0000 | 0x12", tcpOpen + " mark=0xff1234", "accept mark=0xff0012"},
		{"mangle", "ip", "meta mark set ct mark", tcpOpen + " connmark=5", "accept mark=0x5"},
		{"mangle", "ip", "meta mark set ct mark", tcpOpen + " connmark=5 ct=untracked", "accept"},
		{"mangle", "ip", "ct mark set meta mark", tcpOpen + " mark=5", "accept mark=0x5 ctmark=0x5"},
		{"mangle", "ip", "ct mark set 0x9 ct mark 0x9 drop", tcpOpen, "drop ctmark=0x9"},
		{"mangle", "ip", "meta mark set numgen random mod 2", tcpOpen, "accept 0.50, accept 0.50 mark=0x1"},
		{"mangle", "ip", "meta mark set meta cpu", tcpOpen, "unknown, accept"},
		{"mangle", "ip", "ip dscp set ef", tcpOpen + " tos=0x3", "accept tos=0xbb"},
		{"mangle", "ip", "ip daddr set 10.7.0.1", tcpOpen, "accept dst=10.7.0.1:80"},
		{"mangle", "ip", "ip ttl set 3", tcpOpen + " ttl=64", "accept ttl=3"},
		{"mangle", "ip", "tcp dport set 81", tcpOpen, "accept dst=10.0.0.2:81"},
		{"mangle", "ip", "tcp sport set 81 drop", udpOpen, "accept"},
		{"mangle", "ip", "tcp flags syn tcp option maxseg size set rt mtu", tcpOpen, "accept"},
		{"mangle", "ip", "meta priority set 1:2", tcpOpen, "accept"},
		{"mangle", "ip", "ct zone set 7", tcpOpen + pre + " ct=none", "accept zone=7"},
		{"mangle", "ip", "ct zone set 7", tcpOpen + pre, "accept"},
		{"mangle", "ip", "ct original zone set 7", tcpOpen + pre + " ct=none", "unknown, accept"},
		{"notrack", "ip", "notrack", tcpOpen + pre + " ct=none", "accept notrack"},
		{"notrack", "ip", "notrack", tcpOpen, "accept"},
		{"notrack", "ip", "notrack ct state untracked drop", tcpOpen + pre + " ct=none", "drop notrack"},
		{"set", "ip", "add @seen { ip saddr } drop", tcpOpen, "drop"},
		{"set", "ip", "add @seen { ip saddr limit rate 1/second } drop", tcpOpen, "drop, accept"},
		{"map", "ip", "add @markof { ip saddr : 0x1 } drop", tcpOpen, "drop"},
		{"tproxy", "ip", "meta l4proto tcp tproxy to :80", tcpOpen + pre, "unknown, accept"},
		{"tproxy", "ip", "meta l4proto tcp tproxy to :81", tcpOpen + pre, "accept"},
		{"synproxy", "ip", "synproxy mss 1460 wscale 7", tcpOpen, "unknown, accept"},
		{"limit", "ip", "limit rate 10/second drop", tcpOpen, "drop, accept"},
		{"limit", "ip", "limit rate 10/second counter", tcpOpen, "accept"},
		{"limit", "ip", "limit rate 10/second tcp dport 81 drop", tcpOpen, "accept"},
		{"quota", "ip", "quota over 10 mbytes drop", tcpOpen, "drop, accept"},
		{"ct count", "ip", "ct count over 10 drop", tcpOpen, "drop, accept"},
		{"counter", "ip", "counter drop", tcpOpen, "drop"},
		{"counter", "ip", "counter name hits drop", tcpOpen, "drop"},
		{"counter", "ip", "counter name tcp dport map { 81 : \"hits\" } drop", tcpOpen, "accept"},
		{"log", "ip", "log prefix \"x\" drop", tcpOpen, "drop"},
		{"last", "ip", `[{"last": null}, {"drop": null}]`, tcpOpen, "drop"},
		{"meter", "ip", `[{"meter": {"key": {"payload": {"protocol": "ip", "field": "saddr"}}, "stmt": {"limit": {"rate": 1, "per": "second"}}, "size": 1, "name": "m"}}, {"drop": null}]`, tcpOpen, "drop, accept"},
		{"ct helper", "ip", `[{"ct helper": "ftp"}, {"drop": null}]`, tcpOpen, "drop"},
		{"ct timeout", "ip", `[{"ct timeout": "short"}, {"drop": null}]`, tcpOpen, "drop"},
		{"ct expectation", "ip", `[{"ct expectation": "e"}, {"drop": null}]`, tcpOpen, "drop"},
		{"secmark", "ip", `[{"secmark": "s"}, {"drop": null}]`, tcpOpen, "drop"},
		{"dup", "ip", "dup to 10.0.0.9", tcpOpen, "accept"},
		{"flow", "ip", `[{"flow": {"op": "add", "flowtable": "@ft"}}, {"drop": null}]`, tcpOpen, "drop"},
		{"reset", "ip", "reset tcp option window", tcpOpen, "accept"},
		{"fwd", "ip", `[{"fwd": {"dev": "lo"}}]`, tcpOpen, "unknown, accept"},
		{"xt", "ip", `[{"xt": {"type": "match", "name": "comment"}}, {"drop": null}]`, tcpOpen, "drop"},
		{"xt", "ip", `[{"xt": {"type": "match", "name": "string"}}, {"drop": null}]`, tcpOpen, "drop, accept"},
		{"xt", "ip", `[{"xt": {"type": "target", "name": "TRACE"}}, {"drop": null}]`, tcpOpen, "unknown, drop"},
	}
}

func TestStatements(t *testing.T) {
	rec := readRecord(t)
	for _, tt := range statementRows() {
		t.Run(tt.name+"/"+tt.rule+"/"+tt.frame, func(t *testing.T) {
			f := frame(tt.frame)
			rs := rec.ruleset(t, tt.family, tt.rule, hookChain(tt.chainType(), f.Hook), "")
			require.Equal(t, tt.want, became(run(rs, f), f))
		})
	}
}

// became prints what has become of a packet on each branch.
func became(all []branch, was netfilter.Frame) string {
	var list []string
	for _, b := range all {
		s := verdicts([]branch{b})
		for _, c := range []struct {
			changed bool
			text    string
		}{
			{b.Packet.Src != was.Packet.Src, "src=" + b.Packet.Src.String()},
			{b.Packet.Dst != was.Packet.Dst, "dst=" + b.Packet.Dst.String()},
			{b.Packet.Mark != 0 && b.Packet.Mark != was.Packet.Mark || b.Packet.Mark == 5, fmt.Sprintf("mark=%#x", b.Packet.Mark)},
			{b.Ct.Mark != was.Ct.Mark, fmt.Sprintf("ctmark=%#x", b.Ct.Mark)},
			{b.Packet.TOS != was.Packet.TOS, fmt.Sprintf("tos=%#x", b.Packet.TOS)},
			{b.Packet.TTL != was.Packet.TTL, fmt.Sprintf("ttl=%d", b.Packet.TTL)},
			{b.Ct.Zone != was.Ct.Zone, fmt.Sprintf("zone=%d", b.Ct.Zone)},
			{b.Bound, "bound"}, {b.NoTrack, "notrack"},
		} {
			if c.changed {
				s += " " + c.text
			}
		}
		list = append(list, s)
	}
	return strings.Join(list, ", ")
}
