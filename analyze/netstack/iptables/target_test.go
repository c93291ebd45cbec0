package iptables_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A targetRow is one rule without -j, and what becomes of the packet: the
// verdicts, then what has changed of the packet of the first way.
type targetRow struct{ target, options, frame, want string }

func TestTargets(t *testing.T) {
	for _, tt := range allTargetRows() {
		t.Run(tt.target+"/"+tt.options+"/"+tt.frame, func(t *testing.T) {
			f := frame(tt.frame)
			proto := " -p " + string(f.Packet.Protocol)
			rs := parse(t, "*mangle\n-A "+f.Hook.String()+proto+" -j "+strings.TrimSpace(tt.target+" "+tt.options)+"\nCOMMIT\n")
			got := run(rs, "mangle", f)
			require.Equal(t, tt.want, strings.TrimSpace(verdicts(got)+changes(&f, &got[0].Frame)))
			require.Len(t, got[0].Trace, 1)
		})
	}
}

// changes lists what a target changed.
func changes(before, after *netfilter.Frame) string {
	var words []string
	note := func(name, was, is string) {
		if was != is {
			words = append(words, name+"="+is)
		}
	}
	note("src", before.Packet.Src.String(), after.Packet.Src.String())
	note("dst", before.Packet.Dst.String(), after.Packet.Dst.String())
	note("mark", hex(before.Packet.Mark), hex(after.Packet.Mark))
	note("connmark", hex(before.Ct.Mark), hex(after.Ct.Mark))
	note("ttl", hex(uint32(before.Packet.TTL)), hex(uint32(after.Packet.TTL)))
	note("zone", hex(uint32(before.Ct.Zone)), hex(uint32(after.Ct.Zone)))
	note("tos", hex(uint32(before.Packet.TOS)), hex(uint32(after.Packet.TOS)))
	note("with", before.RejectWith, after.RejectWith)
	for _, flag := range []struct {
		name string
		set  bool
	}{{"notrack", after.NoTrack}, {"snatted", after.Ct.SNAT}, {"dnatted", after.Ct.DNAT}, {"anyport", after.Packet.AnyPort}} {
		if flag.set {
			words = append(words, flag.name)
		}
	}
	return " " + strings.Join(words, " ")
}

// Every target of the table has a row.
func TestTargetsComplete(t *testing.T) {
	rows := map[string]bool{}
	for _, r := range allTargetRows() {
		rows[r.target] = true
	}
	for _, m := range iptables.Targets() {
		require.True(t, rows[m.Name], "no row for -j %s", m.Name)
		if m.Class != iptables.Exact {
			require.NotEmpty(t, m.Why, "-j %s does not say why", m.Name)
		}
	}
}

func allTargetRows() []targetRow {
	return append(append(finalRows(), natRows()...), markRows()...)
}

func finalRows() []targetRow {
	rows := []targetRow{
		{"ACCEPT", "", tcpOpen, "accept"},
		{"DROP", "", tcpOpen, "drop"},
		{"RETURN", "", tcpOpen, "accept"},
		{"REJECT", "", tcpOpen, "reject with=icmp-port-unreachable"},
		{"REJECT", "--reject-with icmp-port-unreachable", tcpOpen, "reject with=icmp-port-unreachable"},
		{"REJECT", "--reject-with net-unreach", tcpOpen, "reject with=icmp-net-unreachable"},
		{"REJECT", "--reject-with host-unreach", tcpOpen, "reject with=icmp-host-unreachable"},
		{"REJECT", "--reject-with proto-unreach", tcpOpen, "reject with=icmp-proto-unreachable"},
		{"REJECT", "--reject-with icmp-net-prohibited", tcpOpen, "reject with=icmp-net-prohibited"},
		{"REJECT", "--reject-with icmp-host-prohibited", tcpOpen, "reject with=icmp-host-prohibited"},
		{"REJECT", "--reject-with admin-prohib", tcpOpen, "reject with=icmp-admin-prohibited"},
		{"REJECT", "--reject-with tcp-reset", tcpOpen, "reject with=tcp-reset"},
		{"REJECT", "", tcp6, "reject with=icmp6-port-unreachable"},
		{"REJECT", "--reject-with no-route", tcp6, "reject with=icmp6-no-route"},
		{"REJECT", "--reject-with icmp6-adm-prohibited", tcp6, "reject with=icmp6-adm-prohibited"},
		{"REJECT", "--reject-with addr-unreach", tcp6, "reject with=icmp6-addr-unreachable"},
		{"REJECT", "--reject-with port-unreach", tcp6, "reject with=icmp6-port-unreachable"},
		{"REJECT", "--reject-with policy-fail", tcp6, "reject with=icmp6-policy-fail"},
		{"REJECT", "--reject-with reject-route", tcp6, "reject with=icmp6-reject-route"},
		{"NFQUEUE", "--queue-num 0", tcpOpen, "unknown"},
		{"NFQUEUE", "--queue-balance 0:6 --queue-bypass --queue-cpu-fanout", tcpOpen, "unknown, accept"},
		{"QUEUE", "", tcpOpen, "unknown"},
		{"TPROXY", "--on-port 15001 --on-ip 10.0.0.100 --tproxy-mark 0x1/0xff", tcpOpen + " socket=yes", "accept, drop mark=1"},
		{"TPROXY", "--on-port 15001 --tproxy-mark 0x1/0xff", tcpOpen + " socket=transparent", "accept mark=1"},
		{"TPROXY", "--on-port 15001 --tproxy-mark 0x1/0xff", tcpOpen + " socket=wild", "accept mark=1"},
		{"TPROXY", "--on-port 15001", tcpOpen + " socket=opaque", "drop"},
		{"TPROXY", "--on-port 15001", tcpOpen + " socket=no", "drop"},
		{"TPROXY", "--on-port 15001", tcpOpen + " socket=maybe", "accept, drop"},
		{"SYNPROXY", "--sack-perm --timestamp --wscale 9 --mss 1460", tcpOpen, "unknown, accept"},
		{"CLUSTERIP", "--new --hashmode sourceip --clustermac 01:02:03:04:05:06 --total-nodes 2 --local-node 1 --hash-init 0", tcpOpen, "unknown, accept"},
		{"SNPT", "--src-pfx dead::/64 --dst-pfx 1c3::/64", tcp6, "unknown, accept"},
		{"DNPT", "--src-pfx dead::/64 --dst-pfx 1c3::/64", tcp6, "unknown, accept"},
		{"HMARK", "--hmark-tuple src --hmark-mod 42 --hmark-rnd 0x4", tcpOpen, "unknown, accept"},
	}
	for i := range rows { // a mark of 0/0 is no change
		rows[i].want = strings.TrimSuffix(rows[i].want, " mark=0")
	}
	for target, options := range map[string]string{
		"LOG": `--log-prefix "-j DROP " --log-level 4`, "NFLOG": "--nflog-group 1", "ULOG": "--ulog-nlgroup 1", "TRACE": "",
		"AUDIT": "--type drop", "CLASSIFY": "--set-class 0001:0002", "CHECKSUM": "--checksum-fill",
		"TCPMSS": "--clamp-mss-to-pmtu", "TCPOPTSTRIP": "--strip-options 2,3", "TEE": "--gateway 10.0.0.9",
		"ECN": "--ecn-tcp-remove", "CONNSECMARK": "--save",
		"SECMARK": "--selctx a", "IDLETIMER": "--timeout 42 --label foo", "RATEEST": "--rateest-name RE1",
		"LED": "--led-trigger-id foo",
	} {
		rows = append(rows, targetRow{target, options, tcpOpen, "accept"})
	}
	return rows
}

func natRows() []targetRow {
	const pre, out, post = tcpOpen + " hook=PREROUTING in=eth0", tcpOpen + " hook=OUTPUT", tcpOpen + " hook=POSTROUTING out=eth1"
	const pre6, post6 = tcp6 + " hook=PREROUTING in=eth0", tcp6 + " hook=POSTROUTING out=eth1"
	return []targetRow{
		{"DNAT", "--to-destination 10.244.1.7:8080", pre, "accept dst=10.244.1.7:8080 dnatted"},
		{"DNAT", "--to-destination 10.244.1.7", pre, "accept dst=10.244.1.7:80 dnatted"},
		{"DNAT", "--to-destination :8080", pre, "accept dst=10.0.0.2:8080 dnatted"},
		{"DNAT", "--to-destination 10.0.0.2:80", pre, "accept"},
		{"DNAT", "--to-destination 10.244.1.7:70-90", pre, "accept dst=10.244.1.7:80 dnatted"},
		{"DNAT", "--to-destination 10.244.1.7:8000-9000 --random", pre, "unknown"},
		{"DNAT", "--to-destination 10.244.1.7:80-81 --random", pre, "accept 0.50, accept 0.50 dst=10.244.1.7:80 dnatted"},
		{"DNAT", "--to-destination 10.244.1.7 --random", pre, "accept dst=10.244.1.7:80 dnatted"},
		{"DNAT", "--to-destination 10.244.1.7:8000-9000", pre, "accept dst=10.244.1.7:8000 dnatted"},
		{"DNAT", "--to-destination 10.244.1.7:8000-9000/79", pre, "accept dst=10.244.1.7:8001 dnatted"},
		{"DNAT", "--to-destination 10.244.1.7-10.244.1.8 --persistent", pre, "accept 0.50, accept 0.50 dst=10.244.1.7:80 dnatted"},
		{"DNAT", "--to-destination 10.244.0.0-10.244.255.255", pre, "unknown"},
		{"DNAT", "--to-destination 10.244.1.7", "icmp 10.0.0.1 > 10.0.0.2 type=8 hook=PREROUTING", "accept dst=10.244.1.7:0 dnatted"},
		{"DNAT", "--to-destination [fd00::7]:8080", pre6, "accept dst=[fd00::7]:8080 dnatted"},
		{"DNAT", "--to-destination fd00::7", pre6, "accept dst=[fd00::7]:80 dnatted"},
		{"DNAT", "--to-destination [fd00::7-fd00::8]:8080", pre6, "accept 0.50, accept 0.50 dst=[fd00::7]:8080 dnatted"},
		{"SNAT", "--to-source 192.0.2.1", post, "accept src=192.0.2.1:1000 snatted"},
		{"SNAT", "--to-source 192.0.2.1:1025-65535 --random-fully", post, "accept src=192.0.2.1:1025 snatted anyport"},
		{"SNAT", "--to-source 192.0.2.1:1000-65535", post, "accept src=192.0.2.1:1000 snatted"},
		{"SNAT", "--to-source 10.0.0.1-10.0.0.9", post, "accept"},
		{"SNAT", "--to-source fd00::9", post6, "accept src=[fd00::9]:1000 snatted"},
		{"MASQUERADE", "", post, "accept src=10.0.1.100:1000 snatted"},
		{"MASQUERADE", "--random-fully", post, "accept src=10.0.1.100:1000 snatted anyport"},
		{"MASQUERADE", "--to-ports 1000-2000", post, "accept src=10.0.1.100:1000 snatted"},
		{"MASQUERADE", "--to-ports 1000-2000 --random", post, "accept src=10.0.1.100:1000 snatted anyport"},
		{"MASQUERADE", "--to-ports 4000", post, "accept src=10.0.1.100:4000 snatted"},
		{"MASQUERADE", "--to-ports 1024-65535", post, "accept src=10.0.1.100:1024 snatted anyport"},
		{"MASQUERADE", "", tcpOpen + " hook=POSTROUTING out=eth9", "drop"},
		{"MASQUERADE", "", "udp 0.0.0.0:68 > 255.255.255.255:67 hook=POSTROUTING out=eth1", "accept"},
		{"MASQUERADE", "", post6, "accept src=[fd00::100]:1000 snatted"},
		{"REDIRECT", "--to-ports 15001", pre, "accept dst=10.0.0.100:15001 dnatted"},
		{"REDIRECT", "", pre, "accept dst=10.0.0.100:80 dnatted"},
		{"REDIRECT", "--to-ports 80-80 --random", pre, "accept dst=10.0.0.100:80 dnatted"},
		{"REDIRECT", "--to-ports 70-90", pre, "accept dst=10.0.0.100:80 dnatted"},
		{"REDIRECT", "--to-port 15001", out, "accept dst=127.0.0.1:15001 dnatted"},
		{"REDIRECT", "--to-ports 15001", tcp6 + " hook=OUTPUT", "accept dst=[::1]:15001 dnatted"},
		{"REDIRECT", "--to-ports 15001", tcpOpen + " hook=PREROUTING in=eth9", "drop"},
		{"NETMAP", "--to 10.9.8.0/24", pre, "accept dst=10.9.8.2:80 dnatted"},
		{"NETMAP", "--to 10.9.8.0/24", post, "accept src=10.9.8.1:1000 snatted"},
		{"NETMAP", "--to fd09::/64", pre6, "accept dst=[fd09::2]:80 dnatted"},
	}
}

func markRows() []targetRow {
	return []targetRow{
		{"MARK", "--set-xmark 0x4000/0x4000", tcpOpen + " mark=0x1", "accept mark=4001"},
		{"MARK", "--set-xmark 0x4000/0xffffffff", tcpOpen + " mark=0x1", "accept mark=4000"},
		{"MARK", "--set-xmark 0x4000/0x0", tcpOpen + " mark=0x4001", "accept mark=1"},
		{"MARK", "--set-mark 0x3/0x1", tcpOpen + " mark=0x4", "accept mark=7"},
		{"MARK", "--or-mark 0x2", tcpOpen + " mark=0x1", "accept mark=3"},
		{"MARK", "--and-mark 0x2", tcpOpen + " mark=0x3", "accept mark=2"},
		{"MARK", "--xor-mark 0x3", tcpOpen + " mark=0x1", "accept mark=2"},
		{"CONNMARK", "--set-xmark 0x8/0x8", tcpOpen + " connmark=0x1", "accept connmark=9"},
		{"CONNMARK", "--set-xmark 0x8/0x8", tcpOpen + " ct=untracked", "accept"},
		{"CONNMARK", "--save-mark --nfmask 0xffffffff --ctmask 0xffffffff", tcpOpen + " mark=0x5", "accept connmark=5"},
		{"CONNMARK", "--save-mark --nfmask 0x4 --ctmask 0xff", tcpOpen + " mark=0x5 connmark=0x101", "accept connmark=104"},
		{"CONNMARK", "--restore-mark --nfmask 0xff --ctmask 0x4", tcpOpen + " mark=0x101 connmark=0x5", "accept mark=104"},
		{"CONNMARK", "--restore-mark --mask 0x4", tcpOpen + " mark=0x3 connmark=0x5", "accept mark=7"},
		{"NOTRACK", "", tcpOpen + " hook=PREROUTING ct=none", "accept notrack"},
		{"NOTRACK", "", tcpOpen + " hook=OUTPUT ct=related", "accept"},
		{"CT", "--notrack", tcpOpen + " hook=PREROUTING ct=none", "accept notrack"},
		{"CT", "--helper ftp", tcpOpen + " hook=PREROUTING", "accept"},
		{"CT", "--ctevents new,related", tcpOpen + " hook=PREROUTING", "accept"},
		{"CT", "--zone 5", tcpOpen + " hook=PREROUTING ct=none", "accept zone=5"},
		{"CT", "--zone mark", tcpOpen + " hook=PREROUTING ct=none mark=0x10007", "accept zone=7"},
		{"CT", "--zone 5", tcpOpen + " hook=PREROUTING", "accept"},
		{"CT", "--zone-orig 5", tcpOpen + " hook=PREROUTING", "unknown, accept"},
		{"TTL", "--ttl-set 42", tcpOpen, "accept ttl=2a"},
		{"TTL", "--ttl-dec 2", tcpOpen + " ttl=64", "accept ttl=3e"},
		{"TTL", "--ttl-inc 250", tcpOpen + " ttl=64", "accept ttl=ff"},
		{"TTL", "--ttl-inc 1", tcpOpen, "accept"},
		{"HL", "--hl-dec 1", tcp6 + " ttl=64", "accept ttl=3f"},
		{"SET", "--add-set foo src,dst --exist --timeout 10", tcpOpen, "accept"},
		{"SET", "--map-set foo src --map-mark", tcpOpen, "unknown, accept"},
		{"TOS", "--set-tos 0x10/0x3f", tcpOpen + " tos=0xc3", "accept tos=d0"},
		{"TOS", "--and-tos 0x3", tcpOpen + " tos=0xc3", "accept tos=3"},
		{"TOS", "--or-tos 0x10", tcpOpen + " tos=0x3", "accept tos=13"},
		{"TOS", "--xor-tos 0x1", tcpOpen + " tos=0x3", "accept tos=2"},
		{"DSCP", "--set-dscp 0x2e", tcpOpen + " tos=0x1", "accept tos=b9"},
		{"DSCP", "--set-dscp-class EF", tcpOpen, "accept tos=b8"},
	}
}
