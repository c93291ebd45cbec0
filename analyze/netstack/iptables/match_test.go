package iptables_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
)

const (
	tcpOpen = "tcp 10.0.0.1:1000 > 10.0.0.2:80"
	udpOpen = "udp 10.0.0.1:1000 > 10.0.0.2:53"
	sctp    = "sctp 10.0.0.1:1000 > 10.0.0.2:80"
	ping    = "icmp 10.0.0.1 > 10.0.0.2 type=8"
	ping6   = "ipv6-icmp fd00::1 > fd00::2 type=128"
	tcp6    = "tcp [fd00::1]:1000 > [fd00::2]:80"
)

// A matchRow is one rule that drops what it matches: want is "yes", "no" or
// "maybe", or the verdicts with their shares.
type matchRow struct{ match, rule, frame, want string }

func TestMatches(t *testing.T) {
	for _, tt := range allMatchRows() {
		t.Run(tt.match+"/"+tt.rule+"/"+tt.frame, func(t *testing.T) {
			f := frame(tt.frame)
			rs := parse(t, "*filter\n-A "+f.Hook.String()+" "+tt.rule+" -j DROP\nCOMMIT\n")
			want := tt.want
			switch want {
			case "yes":
				want = "drop"
			case "no":
				want = "accept"
			case "maybe":
				want = "drop, accept"
			}
			require.Equal(t, want, verdicts(run(rs, "filter", f)))
		})
	}
}

// Every extension of iptables 1.8 is in the tables, whatever is said of it there.
func TestEveryExtension(t *testing.T) {
	const matches = "addrtype ah bpf cgroup cluster comment connbytes connlabel connlimit connmark conntrack cpu dccp devgroup dscp dst ecn esp " +
		"eui64 frag hashlimit hbh helper hl icmp icmp6 ipcomp iprange ipv6header ipvs length limit mac mark mh multiport nfacct osf owner physdev " +
		"pkttype policy quota rateest realm recent rpfilter rt sctp set socket srh state statistic string tcp tcpmss time tos ttl u32 udp"
	const targets = "ACCEPT AUDIT CHECKSUM CLASSIFY CLUSTERIP CONNMARK CONNSECMARK CT DNAT DNPT DROP DSCP ECN HL HMARK IDLETIMER LED LOG MARK " +
		"MASQUERADE NETMAP NFLOG NFQUEUE NOTRACK RATEEST REDIRECT REJECT RETURN SECMARK SET SNAT SNPT SYNPROXY TCPMSS TCPOPTSTRIP TEE TOS TPROXY " +
		"TRACE TTL ULOG"
	require.Subset(t, names(iptables.Matches()), strings.Fields(matches))
	require.Subset(t, names(iptables.Targets()), strings.Fields(targets))
}

func names(entries []iptables.Entry) (list []string) {
	for _, e := range entries {
		list = append(list, e.Name)
	}
	return list
}

// Every match of the table has a row.
func TestMatchesComplete(t *testing.T) {
	rows := map[string]bool{}
	for _, r := range allMatchRows() {
		rows[r.match] = true
	}
	for _, m := range iptables.Matches() {
		require.True(t, rows[m.Name], "no row for -m %s", m.Name)
		if m.Class != iptables.Exact {
			require.NotEmpty(t, m.Why, "-m %s does not say why", m.Name)
		}
	}
}

func allMatchRows() []matchRow {
	rows := append(headerRows(), portRows()...)
	rows = append(rows, ctRows()...)
	rows = append(rows, deviceRows()...)
	rows = append(rows, packetRows()...)
	return append(rows, openRows()...)
}

func headerRows() []matchRow {
	return []matchRow{
		{"", "-s 10.0.0.0/24", tcpOpen, "yes"},
		{"", "! -s 10.0.0.0/24", tcpOpen, "no"},
		{"", "-s 10.0.0.7/24", tcpOpen, "yes"},
		{"", "-s 10.0.1.0/24", tcpOpen, "no"},
		{"", "-d 10.0.0.2/32", tcpOpen, "yes"},
		{"", "--destination 10.0.0.2", tcpOpen, "yes"},
		{"", "-d ! 10.0.0.2", tcpOpen, "no"},
		{"", "! -d 0.0.0.0/0", tcpOpen, "no"},
		{"", "-d 10.0.0.2/255.255.255.0", tcpOpen, "yes"},
		{"", "-d 10.9.0.2/255.0.0.255", tcpOpen, "yes"},
		{"", "-d 10.9.0.3/255.0.0.255", tcpOpen, "no"},
		{"", "! -d 10.9.0.3/255.0.0.255", tcpOpen, "yes"},
		{"", "-s fd00::/64", tcp6, "yes"},
		{"", "-s fd01::/64", tcp6, "no"},
		{"", "-s ::1/::ffff", tcp6, "yes"},
		{"", "-p tcp", tcpOpen, "yes"},
		{"", "-p 6", tcpOpen, "yes"},
		{"", "-p all", tcpOpen, "yes"},
		{"", "-p 0", tcpOpen, "yes"},
		{"", "! -p tcp", tcpOpen, "no"},
		{"", "! -p udp", tcpOpen, "yes"},
		{"", "-p ipv6-icmp", ping6, "yes"},
		{"", "-p 58", ping6, "yes"},
		{"", "-p icmpv6", ping6, "yes"},
		{"", "-p 4", "ipencap 10.0.0.1 > 10.0.0.2", "yes"},
		{"", "-p 47", "gre 10.0.0.1 > 10.0.0.2", "yes"},
		{"", "-p 253", "253 10.0.0.1 > 10.0.0.2", "yes"},
		{"", "-i eth0", tcpOpen + " in=eth0", "yes"},
		{"", "-i eth0", tcpOpen + " in=eth01", "no"},
		{"", "! -i eth0", tcpOpen + " in=eth0", "no"},
		{"", "! -i eth0", tcpOpen, "yes"},
		{"", "-i eth+", tcpOpen + " in=eth01", "yes"},
		{"", "-i +", tcpOpen, "yes"},
		{"", "! -o cali+", tcpOpen + " out=cali123", "no"},
		{"", "-o cali+", tcpOpen + " out=eth0", "no"},
		{"", "-f", tcpOpen, "no"},
		{"", "! -f", tcpOpen, "yes"},
		{"", "-c 1 2 -d 10.0.0.2", tcpOpen, "yes"},
	}
}

func portRows() []matchRow {
	return []matchRow{
		{"tcp", "-p tcp -m tcp --dport 80", tcpOpen, "yes"},
		{"tcp", "-p tcp --dport 80", tcpOpen, "yes"},
		{"tcp", "-m tcp --dport 80 -p tcp", tcpOpen, "yes"},
		{"tcp", "-p tcp -m tcp --dport 80", udpOpen, "no"},
		{"tcp", "-p tcp -m tcp --dport 30000:32767", tcpOpen, "no"},
		{"tcp", "-p tcp -m tcp --dport :1023", tcpOpen, "yes"},
		{"tcp", "-p tcp -m tcp --dport 81:", tcpOpen, "no"},
		{"tcp", "-p tcp -m tcp ! --destination-port 80", tcpOpen, "no"},
		{"tcp", "-p tcp -m tcp --sport 1000 ! --dport 81", tcpOpen, "yes"},
		{"tcp", "-p tcp -m tcp --dport 80 -m tcp --dport 81", tcpOpen, "no"},
		{"tcp", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", tcpOpen, "yes"},
		{"tcp", "-p tcp -m tcp --syn", tcpOpen + " kind=reply", "no"},
		{"tcp", "-p tcp -m tcp ! --syn", tcpOpen + " kind=data", "yes"},
		{"tcp", "-p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK", tcpOpen + " kind=reply", "yes"},
		{"tcp", "-p tcp -m tcp --tcp-flags RST RST", tcpOpen + " kind=reset", "yes"},
		{"tcp", "-p tcp -m tcp --tcp-flags ALL NONE", tcpOpen, "no"},
		{"tcp", "-p tcp -m tcp --tcp-option 2", tcpOpen, "maybe"},
		{"udp", "-p udp -m udp --dport 53", udpOpen, "yes"},
		{"udp", "-p udp -m udp ! --sport 1:1023", udpOpen, "no"},
		{"udp", "-p udp -m udp --dport 53", tcpOpen, "no"},
		{"sctp", "-p sctp -m sctp --dport 80", sctp, "yes"},
		{"sctp", "-p sctp -m sctp --chunk-types any INIT", sctp, "yes"},
		{"sctp", "-p sctp -m sctp --chunk-types all INIT", sctp + " kind=reply", "no"},
		{"sctp", "-p sctp -m sctp ! --chunk-types only ABORT", sctp + " kind=reset", "no"},
		{"sctp", "-p sctp -m sctp ! --chunk-types any DATA,ABORT", sctp, "yes"},
		{"sctp", "-p sctp -m sctp ! --chunk-types all INIT,DATA", sctp, "yes"},
		{"sctp", "-p sctp -m sctp --chunk-types all INIT,DATA", sctp, "no"},
		{"sctp", "-p sctp -m sctp --chunk-types any DATA:Be", sctp, "maybe"},
		{"icmp", "-p icmp -m icmp --icmp-type 8", ping, "yes"},
		{"icmp", "-p icmp -m icmp --icmp-type any", ping, "yes"},
		{"icmp", "-p icmp -m icmp --icmp-type echo-request", ping, "yes"},
		{"icmp", "-p icmp -m icmp ! --icmp-type 8", ping, "no"},
		{"icmp", "-p icmp -m icmp --icmp-type 3/4", "icmp 10.0.0.1 > 10.0.0.2 type=3 code=4", "yes"},
		{"icmp", "-p icmp -m icmp --icmp-type 3/4", "icmp 10.0.0.1 > 10.0.0.2 type=3 code=3", "no"},
		{"icmp", "-p icmp -m icmp --icmp-type destination-unreachable", "icmp 10.0.0.1 > 10.0.0.2 type=3 code=3", "yes"},
		{"icmp6", "-p ipv6-icmp -m icmp6 --icmpv6-type 128", ping6, "yes"},
		{"icmp6", "-p ipv6-icmp -m icmp6 --icmpv6-type 1/0", ping6, "no"},
		{"icmpv6", "-p icmpv6 -m icmpv6 --icmpv6-type echo-request", ping6, "yes"},
		{"ipv6-icmp", "-p ipv6-icmp -m ipv6-icmp --icmpv6-type 129", ping6, "no"},
		{"multiport", "-p tcp -m multiport --dports 22,80", tcpOpen, "yes"},
		{"multiport", "-p tcp -m multiport --dports 22,70:90", tcpOpen, "yes"},
		{"multiport", "-p tcp -m multiport ! --dports 22,70:90", tcpOpen, "no"},
		{"multiport", "-p tcp -m multiport --sports 80", tcpOpen, "no"},
		{"multiport", "-p tcp -m multiport --ports 1000", tcpOpen, "yes"},
	}
}

func ctRows() []matchRow {
	return []matchRow{
		{"conntrack", "-m conntrack --ctstate NEW", tcpOpen, "yes"},
		{"conntrack", "-m conntrack --ctstate RELATED,ESTABLISHED", tcpOpen, "no"},
		{"conntrack", "-m conntrack ! --ctstate RELATED,ESTABLISHED", tcpOpen, "yes"},
		{"conntrack", "-m conntrack --ctstate ESTABLISHED", tcpOpen + " ct=established", "yes"},
		{"conntrack", "-m conntrack --ctstate RELATED", tcpOpen + " ct=related", "yes"},
		{"conntrack", "-m conntrack --ctstate INVALID", tcpOpen + " ct=invalid", "yes"},
		{"conntrack", "-m conntrack --ctstate INVALID", tcpOpen + " ct=none", "yes"},
		{"conntrack", "-m conntrack --ctstate UNTRACKED", tcpOpen + " ct=untracked", "yes"},
		{"conntrack", "-m conntrack --ctstate INVALID --ctproto 17", tcpOpen + " ct=invalid", "yes"},
		{"conntrack", "-m conntrack --ctproto 6", tcpOpen + " ct=invalid", "no"},
		{"conntrack", "-m conntrack --ctstate DNAT", tcpOpen + " dnat", "yes"},
		{"conntrack", "-m conntrack --ctstate DNAT", tcpOpen, "no"},
		{"conntrack", "-m conntrack ! --ctstate SNAT", tcpOpen + " snat", "no"},
		{"conntrack", "-m conntrack --ctproto 6", tcpOpen, "yes"},
		{"conntrack", "-m conntrack ! --ctproto tcp", tcpOpen, "no"},
		{"conntrack", "-m conntrack --ctorigsrc 10.0.0.1", tcpOpen, "yes"},
		{"conntrack", "-m conntrack --ctorigdst 10.0.0.0/24 --ctorigdstport 80", tcpOpen, "yes"},
		{"conntrack", "-m conntrack ! --ctorigdst 10.0.0.2", tcpOpen, "no"},
		{"conntrack", "-m conntrack --ctreplsrc 10.0.0.2 --ctrepldst 10.0.0.1", tcpOpen, "yes"},
		{"conntrack", "-m conntrack --ctorigsrcport 1:1000 --ctreplsrcport 80 --ctrepldstport 1000", tcpOpen, "yes"},
		{"conntrack", "-m conntrack ! --ctorigdstport 80", tcpOpen, "no"},
		{"conntrack", "-m conntrack --ctdir ORIGINAL", tcpOpen, "yes"},
		{"conntrack", "-m conntrack --ctdir REPLY", tcpOpen + " replydir", "yes"},
		{"conntrack", "-m conntrack ! --ctdir REPLY", tcpOpen + " replydir", "no"},
		{"conntrack", "-m conntrack --ctstatus SEEN_REPLY", tcpOpen, "no"},
		{"conntrack", "-m conntrack --ctstatus SEEN_REPLY", tcpOpen + " ct=established", "yes"},
		{"conntrack", "-m conntrack ! --ctstatus SEEN_REPLY,CONFIRMED", tcpOpen, "maybe"},
		{"conntrack", "-m conntrack ! --ctstatus SEEN_REPLY,CONFIRMED", tcpOpen + " ct=established", "no"},
		{"conntrack", "-m conntrack ! --ctstatus SEEN_REPLY", tcpOpen, "yes"},
		{"conntrack", "-m conntrack --ctstatus ASSURED", tcpOpen, "maybe"},
		{"conntrack", "-m conntrack --ctstatus NONE", tcpOpen, "no"},
		{"conntrack", "-m conntrack --ctexpire 1:100", tcpOpen, "maybe"},
		{"state", "-m state --state NEW", tcpOpen, "yes"},
		{"state", "-m state --state RELATED,ESTABLISHED", tcpOpen, "no"},
		{"state", "-m state ! --state INVALID", tcpOpen, "yes"},
		{"mark", "-m mark --mark 0x4000/0x4000", tcpOpen + " mark=0x4001", "yes"},
		{"mark", "-m mark --mark 0x4000", tcpOpen + " mark=0x4001", "no"},
		{"mark", "-m mark ! --mark 0x4000/0x4000", tcpOpen + " mark=0x4001", "no"},
		{"connmark", "-m connmark --mark 0x1/0x1", tcpOpen + " connmark=0x3", "yes"},
		{"connmark", "-m connmark ! --mark 0x1/0x1", tcpOpen + " connmark=0x3", "no"},
		{"connmark", "-m connmark ! --mark 0x1/0x1", tcpOpen + " ct=untracked", "no"},
		{"connmark", "-m mark --mark 0x1 -m connmark --mark 0x3", tcpOpen + " mark=1 connmark=3", "yes"},
		{"helper", "-m helper --helper ftp", tcpOpen, "no"},
		{"helper", "-m helper --helper ftp", tcpOpen + " ct=related", "maybe"},
	}
}

func deviceRows() []matchRow {
	return []matchRow{
		{"addrtype", "-m addrtype --dst-type LOCAL", "tcp 10.0.0.1:1 > 10.0.0.100:80", "yes"},
		{"addrtype", "-m addrtype --dst-type LOCAL", tcpOpen, "no"},
		{"addrtype", "-m addrtype ! --src-type LOCAL", tcpOpen, "yes"},
		{"addrtype", "-m addrtype --src-type UNICAST,LOCAL --dst-type BROADCAST,MULTICAST", "udp 10.0.0.1:1 > 10.0.0.255:80", "yes"},
		{"addrtype", "-m addrtype --dst-type LOCAL --limit-iface-in", "tcp 10.0.0.1:1 > 10.0.0.100:80 in=eth1", "no"},
		{"addrtype", "-m addrtype --dst-type LOCAL --limit-iface-in", "tcp 10.0.0.1:1 > 10.0.0.100:80 in=eth0", "yes"},
		{"addrtype", "-m addrtype --src-type LOCAL --limit-iface-out", "tcp 10.0.1.100:1 > 10.0.0.2:80 out=eth0", "no"},
		{"addrtype", "-m addrtype --dst-type LOCAL", "tcp [fd00::1]:1 > [fd00::100]:80", "yes"},
		{"addrtype", "-m addrtype --dst-type UNICAST", "tcp [fd00::1]:1 > [fd00::100]:80", "yes"},
		{"addrtype", "-m addrtype --dst-type MULTICAST", "udp [fd00::1]:1 > [ff02::1]:80", "yes"},
		{"addrtype", "-m addrtype ! --dst-type LOCAL", tcp6, "yes"},
		{"set", "-m set --match-set hosts src", tcpOpen, "yes"},
		{"set", "-m set ! --match-set hosts src", tcpOpen, "no"},
		{"set", "-m set --match-set hosts dst", tcpOpen, "no"},
		{"set", "-m set --match-set pairs dst,dst", tcpOpen, "yes"},
		{"set", "-m set --match-set pairs dst,src", tcpOpen, "no"},
		{"set", "-m set --match-set both src,dst,dst", tcpOpen, "yes"},
		{"set", "-m set --match-set both dst,dst,src", tcpOpen, "no"},
		{"set", "-m set --match-set nets src", tcpOpen, "yes"},
		{"set", "-m set --match-set nets dst", tcpOpen, "no"},
		{"set", "-m set --match-set nets dst --return-nomatch", tcpOpen, "yes"},
		{"set", "-m set ! --match-set nets dst", tcpOpen, "yes"},
		{"set", "-m set --match-set netports dst,dst", udpOpen, "yes"},
		{"set", "-m set --match-set netports src,src", udpOpen, "no"},
		{"set", "-m set --match-set netports dst", udpOpen, "no"},
		{"set", "-m set --match-set netports src,dst", ping, "yes"},
		{"set", "-m set --match-set ports dst", udpOpen, "yes"},
		{"set", "-m set --match-set ports src", udpOpen, "no"},
		{"set", "-m set --match-set ports dst", ping, "no"},
		{"set", "-m set --match-set devs dst,dst", tcpOpen + " out=eth0", "yes"},
		{"set", "-m set --match-set devs dst,src", tcpOpen + " out=eth0", "no"},
		{"set", "-m set --match-set masked dst", tcpOpen, "yes"},
		{"set", "-m set --match-set macs src,src", tcpOpen, "no"},
		{"set", "-m set --match-set lists dst,dst", tcpOpen, "yes"},
		{"set", "-m set --match-set lists dst,dst", udpOpen, "yes"},
		{"set", "-m set --match-set lists dst", tcpOpen, "no"},
		{"set", "-m set --match-set iprange dst", tcpOpen, "yes"},
		{"set", "-m set --match-set wide dst,dst,src", udpOpen, "yes"},
		{"set", "-m set --match-set wide dst,src,src", udpOpen, "no"},
		{"set", "-m set --match-set hosts src --packets-gt 3", tcpOpen, "yes"},
		{"set", "-m set ! --match-set hosts src --packets-gt 3", tcpOpen, "no"},
		{"set", "-m set --match-set counted src --packets-gt 3", tcpOpen, "maybe"},
		{"set", "-m set --match-set counted dst --packets-gt 3", tcpOpen, "no"},
		{"set", "-m set --match-set hosts src --return-nomatch", tcpOpen, "yes"},
		{"set", "-m set --match-set gone src", tcpOpen, "maybe"},
		{"set", "-m set --match-set hosts src ! --update-counters", tcpOpen, "yes"},
		{"statistic", "-m statistic --mode random --probability 0.50000000000", tcpOpen, "drop 0.50, accept 0.50"},
		{"statistic", "-m statistic --mode random ! --probability 0.20000000000", tcpOpen, "drop 0.80, accept 0.20"},
		{"statistic", "-m statistic --mode random --probability 1.00000000000", tcpOpen, "yes"},
		{"statistic", "-m statistic --mode random --probability 0.00000000000", tcpOpen, "no"},
		{"statistic", "-m statistic --mode nth --every 4 --packet 0", tcpOpen, "drop 0.25, accept 0.75"},
		{"statistic", "-m statistic --mode nth ! --every 4 --packet 0", tcpOpen, "drop 0.75, accept 0.25"},
		{"statistic", "-s 10.9.9.9 -m statistic --mode nth --every 4 --packet 0", tcpOpen, "no"},
		{"physdev", "-m physdev --physdev-is-bridged", tcpOpen, "no"},
		{"physdev", "-m physdev ! --physdev-is-bridged", tcpOpen, "yes"},
		{"physdev", "-m physdev --physdev-is-bridged", tcpOpen + " physin=veth0 physout=veth1", "yes"},
		{"physdev", "-m physdev --physdev-is-bridged", tcpOpen + " physin=veth0", "no"},
		{"physdev", "-m physdev --physdev-in veth0", tcpOpen + " physin=veth0", "yes"},
		{"physdev", "-m physdev --physdev-in veth+", tcpOpen + " physin=tap0", "no"},
		{"physdev", "-m physdev ! --physdev-in veth0", tcpOpen, "yes"},
		{"physdev", "-m physdev --physdev-in veth0", tcpOpen, "no"},
		{"physdev", "-m physdev --physdev-out veth1", tcpOpen + " physin=veth0 physout=veth1", "yes"},
		{"physdev", "-m physdev --physdev-is-in --physdev-is-out", tcpOpen + " physin=veth0 physout=veth1", "yes"},
		{"rpfilter", "-m rpfilter", tcpOpen + " wayback=yes", "yes"},
		{"rpfilter", "-m rpfilter --invert", tcpOpen + " wayback=yes", "no"},
		{"rpfilter", "-m rpfilter --loose --validmark --accept-local --invert", tcpOpen + " wayback=maybe", "maybe"},
		{"mac", "-m mac --mac-source 42:01:02:03:04:AA", tcpOpen + " smac=42:01:02:03:04:aa", "yes"},
		{"mac", "-m mac ! --mac-source 42:01:02:03:04:AA", tcpOpen + " smac=42:01:02:03:04:aa", "no"},
		{"mac", "-m mac ! --mac-source 42:01:02:03:04:AA", tcpOpen, "no"},
		{"pkttype", "-m pkttype --pkt-type unicast", tcpOpen + " in=eth0", "yes"},
		{"pkttype", "-m pkttype --pkt-type broadcast", "udp 10.0.0.1:1 > 10.0.0.255:80 in=eth0", "yes"},
		{"pkttype", "-m pkttype ! --pkt-type multicast", "udp 10.0.0.1:1 > 224.0.0.1:80 in=eth0", "no"},
		{"devgroup", "-m devgroup --src-group 0x7", tcpOpen + " in=eth0", "yes"},
		{"devgroup", "-m devgroup ! --dst-group 0x1/0x1", tcpOpen + " out=eth0", "no"},
		{"devgroup", "-m devgroup --src-group 0x7", tcpOpen + " in=eth9", "maybe"},
		{"socket", "-m socket --nowildcard", tcpOpen + " socket=yes", "yes"},
		{"socket", "-m socket", tcpOpen + " socket=yes", "yes"},
		{"socket", "-m socket", tcpOpen + " socket=wild", "no"},
		{"socket", "-m socket --nowildcard", tcpOpen + " socket=wild", "yes"},
		{"socket", "-m socket --transparent", tcpOpen + " socket=yes", "maybe"},
		{"socket", "-m socket --transparent", tcpOpen + " socket=transparent", "yes"},
		{"socket", "-m socket --transparent", tcpOpen + " socket=opaque", "no"},
		{"socket", "-m socket --transparent", tcpOpen + " socket=wild", "no"},
		{"socket", "-m socket --transparent --nowildcard", tcpOpen + " socket=wild", "yes"},
		{"socket", "-m socket --transparent", tcpOpen + " socket=no", "no"},
	}
}

func packetRows() []matchRow {
	return []matchRow{
		{"comment", "-m comment --comment \"a -j DROP \\\"b\\\" ! c\"", tcpOpen, "yes"},
		{"comment", "-m comment --comment --dport", tcpOpen, "yes"},
		{"iprange", "-m iprange --src-range 10.0.0.1-10.0.0.9", tcpOpen, "yes"},
		{"iprange", "-m iprange ! --dst-range 10.0.0.1-10.0.0.9", tcpOpen, "no"},
		{"iprange", "-m iprange --src-range fd00::1-fd00::9", tcp6, "yes"},
		{"nfacct", "-m nfacct --nfacct-name ct_state_invalid_dropped_pkts", tcpOpen, "yes"},
		{"nfacct", "-m nfacct --nfacct-name localhost_nps_accepted_pkts", tcpOpen, "yes"},
		{"length", "-m length --length 0:100", tcpOpen, "yes"},
		{"length", "-m length --length 1400:65535", tcpOpen + " size=1500", "yes"},
		{"length", "-m length ! --length 60", tcpOpen + " size=60", "no"},
		{"length", "-m length --length 60", tcpOpen, "maybe"},
		{"length", "-m length ! --length 81:", tcpOpen, "yes"},
		{"length", "-m length --length 1281:", udpOpen, "no"},
		{"length", "-m length --length 0:39", tcp6, "no"},
		{"ttl", "-m ttl --ttl-eq 64", tcpOpen + " ttl=64", "yes"},
		{"ttl", "-m ttl ! --ttl-eq 64", tcpOpen + " ttl=64", "no"},
		{"ttl", "-m ttl --ttl-lt 64", tcpOpen + " ttl=64", "no"},
		{"ttl", "-m ttl --ttl-lt 65", tcpOpen + " ttl=64", "yes"},
		{"ttl", "-m ttl --ttl-gt 63", tcpOpen + " ttl=64", "yes"},
		{"ttl", "-m ttl --ttl-eq 64", tcpOpen, "maybe"},
		{"hl", "-m hl --hl-gt 42", tcp6, "maybe"},
		{"hl", "-m hl --hl-gt 42", tcp6 + " ttl=43", "yes"},
		{"hl", "-m hl ! --hl-eq 43", tcp6 + " ttl=43", "no"},
		{"ecn", "-p tcp -m ecn --ecn-tcp-cwr", tcpOpen, "maybe"},
		{"ecn", "-p tcp -m ecn ! --ecn-tcp-ece --ecn-ip-ect 1", tcpOpen, "no"}, //nolint:misspell // ECN-capable transport
		{"ecn", "-m ecn --ecn-ip-ect 2", tcpOpen + " tos=0x2", "yes"},          //nolint:misspell // ECN-capable transport
		{"ecn", "-m ecn ! --ecn-ip-ect 2", tcpOpen + " tos=0x2", "no"},         //nolint:misspell // ECN-capable transport
		{"tos", "-m tos --tos 0x10/0x3f", tcpOpen + " tos=0xd0", "yes"},
		{"tos", "-m tos ! --tos 0x10/0xff", tcpOpen + " tos=0xd0", "yes"},
		{"dscp", "-m dscp --dscp 0x2e", tcpOpen + " tos=0xb9", "yes"},
		{"dscp", "-m dscp ! --dscp-class EF", tcpOpen + " tos=0xb8", "no"},
		{"dscp", "-m dscp --dscp-class AF41", tcpOpen + " tos=0x88", "yes"},
		{"frag", "-m frag --fragmore", tcp6, "no"},
		{"hbh", "-m hbh ! --hbh-len 42", tcp6, "no"},
		{"dst", "-m dst --dst-len 0", tcp6, "no"},
		{"rt", "-m rt --rt-type 0 ! --rt-segsleft 1:23", tcp6, "no"},
		{"srh", "-m srh ! --srh-tag 0", tcp6, "no"},
		{"owner", "-m owner --uid-owner 0", tcpOpen + " in=eth0", "no"},
		{"owner", "-m owner ! --uid-owner 0", tcpOpen + " in=eth0", "yes"},
		{"owner", "-m owner --uid-owner 0", tcpOpen + " hook=OUTPUT", "maybe"},
		{"owner", "-m owner --socket-exists", tcpOpen + " hook=OUTPUT", "yes"},
		{"owner", "-m owner ! --socket-exists", tcpOpen + " hook=OUTPUT", "no"},
		{"owner", "-m owner ! --socket-exists", tcpOpen + " in=eth0", "yes"},
		{"owner", "-m owner ! --uid-owner 7 ! --gid-owner 0-9", tcpOpen + " in=eth0", "yes"},
		{"owner", "-m owner ! --uid-owner 7 --gid-owner 0-9", tcpOpen + " in=eth0", "no"},
		{"owner", "-m owner --uid-owner 0", tcpOpen + " hook=OUTPUT kind=reset", "no"},
		{"owner", "-m owner ! --uid-owner 0", tcpOpen + " hook=OUTPUT kind=reset", "yes"},
		{"owner", "-m owner --socket-exists", tcpOpen + " hook=OUTPUT kind=reset", "yes"},
		{"owner", "-m owner --socket-exists", tcp6 + " hook=OUTPUT kind=reset", "no"},
		{"owner", "-m owner ! --socket-exists", tcp6 + " hook=OUTPUT kind=reset", "yes"},
		{"owner", "-m owner ! --uid-owner 0", ping + " hook=OUTPUT kind=error", "yes"},
		{"owner", "-m owner --uid-owner 0", tcpOpen + " hook=OUTPUT kind=reply", "maybe"},
		{"cgroup", "-m cgroup ! --cgroup 1", tcpOpen + " in=eth0", "no"},
		{"cgroup", "-m cgroup --path \"/\"", tcpOpen + " hook=OUTPUT", "maybe"},
		{"ipvs", "-m ipvs --ipvs", tcpOpen, "no"},
		{"ipvs", "-m ipvs ! --ipvs", tcpOpen, "yes"},
		{"ipvs", "-m ipvs --ipvs", tcpOpen + " served", "yes"},
		{"ipvs", "-m ipvs ! --ipvs", tcpOpen + " served", "no"},
		{"ipvs", "-m ipvs ! --vaddr 10.96.0.2", tcpOpen, "no"},
		{"ipvs", "-m ipvs ! --vaddr 10.96.0.2", tcpOpen + " served", "no"},
		{"ipvs", "-m ipvs --vproto 6 --vaddr 10.96.0.1 --vport 80", tcpOpen + " virtual=10.96.0.1:80", "yes"},
		{"ipvs", "-m ipvs --vproto 6 --vaddr 10.96.0.1 --vport 81", tcpOpen + " virtual=10.96.0.1:80", "no"},
		{"ipvs", "-m ipvs --vproto 6 --vaddr 10.96.0.1 ! --vport 81", tcpOpen + " virtual=10.96.0.1:80", "yes"},
		{"ipvs", "-m ipvs --vproto 17", tcpOpen + " virtual=10.96.0.1:80", "no"},
		{"ipvs", "-m ipvs ! --vproto 17", tcpOpen + " virtual=10.96.0.1:80", "yes"},
		{"ipvs", "-m ipvs --vaddr 10.96.0.0/16", tcpOpen + " virtual=10.96.0.1:80", "yes"},
		{"ipvs", "-m ipvs ! --vaddr 10.96.0.0/16", tcpOpen + " virtual=10.96.0.1:80", "no"},
		{"ipvs", "-m ipvs --vdir ORIGINAL", tcpOpen + " virtual=10.96.0.1:80", "maybe"},
		{"ipvs", "-m ipvs --vdir REPLY", tcpOpen + " virtual=10.96.0.1:80", "no"},
		{"ipvs", "-m ipvs --vdir REPLY", tcpOpen + " virtual=10.96.0.1:80 replydir", "maybe"},
		{"ipvs", "-m ipvs --vdir ORIGINAL", tcpOpen + " virtual=10.96.0.1:80 ct=untracked", "no"},
		{"ipvs", "-m ipvs --vmethod MASQ", tcpOpen + " virtual=10.96.0.1:80", "yes"},
		{"ipvs", "-m ipvs --vmethod GATE", tcpOpen + " virtual=10.96.0.1:80", "no"},
		{"ipvs", "-m ipvs --vmethod MASQ", tcpOpen + " virtual=open", "no"},
		{"ipvs", "-m ipvs --vmethod IPIP", tcpOpen + " virtual=open", "maybe"},
		{"ipvs", "-m ipvs --vaddr 10.96.0.1", tcpOpen + " virtual=open", "maybe"},
		{"ipvs", "-m ipvs --vport 80", tcpOpen + " virtual=open", "maybe"},
		{"ipvs", "-m ipvs --vport 80 --vportctl 21", tcpOpen + " virtual=10.96.0.1:80", "maybe"},
		{"ipvs", "-m ipvs --vport 81 --vportctl 21", tcpOpen + " virtual=10.96.0.1:80", "no"},
		{"ipvs", "-m ipvs --vaddr 10.96.0.1", tcpOpen + " virtual=10.96.0.1:80 kind=error", "no"},
		{"recent", "-m recent --set --name DEFAULT --mask 255.255.255.255 --rsource", tcpOpen, "yes"},
		{"recent", "-m recent --rcheck --seconds 60 --hitcount 8 --name foo --mask 255.255.255.255 --rsource", tcpOpen, "maybe"},
	}
}

// openRows are the matches that are left open on purpose.
func openRows() []matchRow {
	return []matchRow{
		{"limit", "-m limit --limit 5/min --limit-burst 7", tcpOpen, "maybe"},
		{"hashlimit", "-m hashlimit --hashlimit-upto 1/sec --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name x", tcpOpen, "maybe"},
		{"connlimit", "-m connlimit --connlimit-upto 2 --connlimit-mask 32 --connlimit-saddr", tcpOpen, "maybe"},
		{"connbytes", "-m connbytes --connbytes 0:1000 --connbytes-mode packets --connbytes-dir both", tcpOpen, "maybe"},
		{"connlabel", "-m connlabel --label 40 --set", tcpOpen, "maybe"},
		{"quota", "-m quota ! --quota 0", tcpOpen, "maybe"},
		{"rateest", "-m rateest --rateest RE1 --rateest-lt --rateest-bps 8bit", tcpOpen, "maybe"},
		{"nfacct", "-m nfacct --nfacct-name x", tcpOpen, "maybe"},
		{"time", "-m time --timestart 01:02:03 --timestop 04:05:06 --kerneltz", tcpOpen, "maybe"},
		{"cpu", "-m cpu --cpu 0", tcpOpen, "maybe"},
		{"string", "-m string --string \"-x\" --algo bm", tcpOpen, "maybe"},
		{"bpf", "-m bpf --bytecode \"4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0\"", tcpOpen, "maybe"},
		{"u32", "-m u32 --u32 \"0x0=0x0&&0x0=0x1\"", tcpOpen, "maybe"},
		{"osf", "-p tcp -m osf --genre linux --ttl 0 --log 0", tcpOpen, "maybe"},
		{"tcpmss", "-p tcp -m tcpmss --mss 42:12345", tcpOpen, "maybe"},
		{"ah", "-p ah -m ah --ahspi 1", "ah 10.0.0.1 > 10.0.0.2", "maybe"},
		{"esp", "-p esp -m esp --espspi 1", tcpOpen, "no"},
		{"esp", "-p esp -m esp --espspi 1", "esp 10.0.0.1 > 10.0.0.2", "maybe"},
		{"ipcomp", "-p ipcomp -m ipcomp --ipcompspi 18", "ipcomp 10.0.0.1 > 10.0.0.2", "maybe"},
		{"dccp", "-p dccp -m dccp --dport 1", "dccp 10.0.0.1 > 10.0.0.2", "maybe"},
		{"udplite", "-p udplite -m udplite --dport 1", "udplite 10.0.0.1 > 10.0.0.2", "maybe"},
		{"l2tp", "-p udp -m l2tp --tid 1", udpOpen, "maybe"},
		{"mh", "-p mobility-header -m mh ! --mh-type 4", "mobility-header fd00::1 > fd00::2", "maybe"},
		{"ipv6header", "-m ipv6header --header hop-by-hop --soft", tcp6, "maybe"},
		{"eui64", "-m eui64", tcp6, "maybe"},
		{"realm", "-m realm --realm 0x1/0x2a", tcpOpen, "maybe"},
		{"policy", "-m policy --dir in --pol ipsec", tcpOpen, "maybe"},
		{"cluster", "-m cluster --cluster-local-nodemask 0x2 --cluster-total-nodes 2 --cluster-hash-seed 0x1", tcpOpen, "maybe"},
	}
}
