package nftables_test

const (
	tcpOpen = "tcp 10.0.0.1:1000 > 10.0.0.2:80"
	udpOpen = "udp 10.0.0.1:1000 > 10.0.0.2:53"
	sctp    = "sctp 10.0.0.1:1000 > 10.0.0.2:80"
	ping    = "icmp 10.0.0.1 > 10.0.0.2 type=8"
	ping6   = "ipv6-icmp fd00::1 > fd00::2 type=128"
	tcp6    = "tcp [fd00::1]:1000 > [fd00::2]:80"
)

// sets are in every table of the rows.
const sets = `
	set hosts { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.7 } }
	set nets { type ipv4_addr; flags interval; elements = { 10.0.0.0/31, 10.0.1.0-10.0.1.9, 192.168.0.1 } }
	set ends { type ipv4_addr . inet_proto . inet_service; elements = { 10.0.0.2 . tcp . 80, 10.0.0.2 . udp . 53 } }
	set mixed { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/24 . 70-90, 10.0.0.2 . 53, 10.9.0.1 . 1-1000 } }
	set devs { type ifname; elements = { "eth0", "lo", "tx0" } }
	set marks { type mark; flags interval; elements = { 1, 0x10-0x1f } }
	set hosts6 { type ipv6_addr; flags interval; elements = { fd00::/64 } }
	set seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; elements = { 10.0.0.9 } }
	set limited { type ipv4_addr; limit rate 10/second; elements = { 10.0.0.1 } }
	map ways { type inet_service : verdict; elements = { 80 : drop, 81 : accept } }
	map dests { type inet_service : ipv4_addr . inet_service; elements = { 80 : 10.9.0.1 . 8080 } }
	map rest { type ipv4_addr : verdict; flags interval; elements = { 10.0.0.0/24 : accept, 10.1.0.0-10.1.0.7 : return, * : drop } }
	set every { type ipv4_addr; elements = { 10.0.0.9, * } }
	map markof { type ipv4_addr : mark; elements = { 10.0.0.1 : 7 } }
	counter hits { }
	chain sub { }
	chain dropper { drop; }
`

// A matchRow is a rule that drops what it matches: want is "yes", "no" or
// "maybe", or the verdicts with their shares.
type matchRow struct{ name, family, rule, frame, want string }

func matchRows() (rows []matchRow) {
	for _, list := range [][]matchRow{headerRows(), payloadRows(), metaRows(), ctRows(), setRows(), otherRows()} {
		rows = append(rows, list...)
	}
	return rows
}

func headerRows() []matchRow {
	return []matchRow{
		{"payload ip", "ip", "ip saddr 10.0.0.0/24", tcpOpen, "yes"},
		{"payload ip", "ip", "ip saddr != 10.0.0.0/24", tcpOpen, "no"},
		{"payload ip", "ip", "ip daddr 10.0.0.2", tcpOpen, "yes"},
		{"payload ip", "ip", "ip daddr 10.0.0.1-10.0.0.3", tcpOpen, "yes"},
		{"payload ip", "ip", "ip daddr != 10.0.0.1-10.0.0.3", tcpOpen, "no"},
		{"payload ip", "ip", "ip daddr > 10.0.0.1", tcpOpen, "yes"},
		{"payload ip", "inet", "ip daddr != 10.0.0.9", tcpOpen, "yes"},
		{"payload ip", "inet", "ip daddr != 10.0.0.9", tcp6, "no"},
		{"payload ip", "ip", "ip protocol tcp", tcpOpen, "yes"},
		{"payload ip", "ip", "ip protocol != { tcp, udp }", ping, "yes"},
		{"payload ip", "ip", "ip version 4", tcpOpen, "yes"},
		{"payload ip", "ip", "ip hdrlength 5", tcpOpen, "yes"},
		{"payload ip", "ip", "ip length 29", udpOpen + " size=29", "yes"},
		{"payload ip", "ip", "ip length > 100", udpOpen + " size=29", "no"},
		{"payload ip", "ip", "ip dscp ef", tcpOpen + " tos=0xb8", "yes"},
		{"payload ip", "ip", "ip dscp cs1", tcpOpen, "no"},
		{"payload ip", "ip", "ip dscp != { cs0, cs2 }", tcpOpen + " tos=0xb8", "yes"},
		{"payload ip", "ip", "ip ecn ect1", tcpOpen + " tos=0x1", "yes"},
		{"payload ip", "ip", "ip ttl 64", tcpOpen, "maybe"},
		{"payload ip", "ip", "ip ttl 64", tcpOpen + " ttl=64", "yes"},
		{"payload ip", "ip", "ip length > 100", udpOpen, "maybe"},
		{"payload ip", "ip", "ip length > 2000", udpOpen, "no"},
		{"payload ip", "ip", "ip id 0", tcpOpen, "maybe"},
		{"payload ip", "ip", "ip frag-off & 0x1fff != 0", tcpOpen, "no"},
		{"payload ip", "ip", "ip frag-off & 0x4000 != 0", tcpOpen, "maybe"},
		{"payload ip6", "ip6", "ip6 saddr fd00::/64", tcp6, "yes"},
		{"payload ip6", "ip6", "ip6 daddr != { fd00::2, fd00::9 }", tcp6, "no"},
		{"payload ip6", "inet", "ip6 daddr != fd00::9", tcpOpen, "no"},
		{"payload ip6", "ip6", "ip6 nexthdr tcp", tcp6, "yes"},
		{"payload ip6", "ip6", "ip6 dscp ef", tcp6 + " tos=0xb8", "yes"},
		{"payload ip6", "ip6", "ip6 dscp cs2", tcp6 + " tos=0xb8", "no"},
		{"payload ip6", "ip6", "ip6 version 6", tcp6, "yes"},
		{"payload ip6", "ip6", "ip6 hoplimit 255", tcp6, "maybe"},
		{"payload ip6", "ip6", "ip6 hoplimit 255", tcp6 + " ttl=64", "no"},
		{"payload ip6", "ip6", "ip6 flowlabel 3", tcp6, "maybe"},
		{"payload ip6", "ip6", "ip6 length 60", tcp6 + " size=100", "yes"},
		{"payload arp", "ip", `[{"match": {"op": "==", "left": {"payload": {"protocol": "arp", "field": "htype"}}, "right": 1}}]`, tcpOpen, "no"},
		{"payload vlan", "ip", `[{"match": {"op": "==", "left": {"payload": {"protocol": "vlan", "field": "id"}}, "right": 1}}]`, tcpOpen, "maybe"},
		{"payload gre", "ip", `[{"match": {"op": "==", "left": {"payload": {"protocol": "gre", "field": "version"}}, "right": 1}}]`, tcpOpen, "no"},
	}
}

func payloadRows() []matchRow {
	return []matchRow{
		{"payload tcp", "inet", "tcp dport 80", tcpOpen, "yes"},
		{"payload tcp", "inet", "tcp dport 80", tcp6, "yes"},
		{"payload tcp", "inet", "tcp dport 80", udpOpen, "no"},
		{"payload tcp", "ip", "tcp dport != 53", udpOpen, "no"},
		{"payload tcp", "ip", "tcp dport != 53", tcpOpen, "yes"},
		{"payload tcp", "ip", "tcp sport 1000-2000", tcpOpen, "yes"},
		{"payload tcp", "ip", "tcp sport < 1000", tcpOpen, "no"},
		{"payload tcp", "ip", "tcp sport <= 1000", tcpOpen, "yes"},
		{"payload tcp", "ip", "tcp sport >= 1000", tcpOpen, "yes"},
		{"payload tcp", "ip", "tcp flags syn", tcpOpen, "yes"},
		{"payload tcp", "ip", "tcp flags ack", tcpOpen, "no"},
		{"payload tcp", "ip", "tcp flags & (fin|syn|rst|ack) == syn", tcpOpen, "yes"},
		{"payload tcp", "ip", "tcp flags & (fin|syn|rst|ack) == syn", tcpOpen + " kind=reply", "no"},
		{"payload tcp", "ip", "tcp flags & (fin|syn|rst|ack) != syn", tcpOpen + " kind=data", "yes"},
		{"payload tcp", "ip", "tcp flags syn / syn,ack", tcpOpen, "yes"},
		{"payload tcp", "ip", "tcp flags != syn,ack", tcpOpen + " kind=reply", "no"},
		{"payload tcp", "ip", "tcp flags { syn, syn|ack }", tcpOpen + " kind=reply", "yes"},
		{"payload tcp", "ip", "tcp flags ! rst", tcpOpen, "yes"},
		{"payload tcp", "ip", "tcp flags psh", tcpOpen + " kind=data", "maybe"},
		{"payload tcp", "ip", "tcp flags == 0x0", tcpOpen, "no"},
		{"payload tcp", "ip", "tcp window 1024", tcpOpen, "maybe"},
		{"payload tcp", "ip", "tcp window 1024", udpOpen, "no"},
		{"payload udp", "ip", "udp dport { 53, 5353 }", udpOpen, "yes"},
		{"payload udp", "ip", "udp dport != { 53, 5353 }", udpOpen, "no"},
		{"payload udp", "ip", "udp dport != { 53, 5353 }", tcpOpen, "no"},
		{"payload udp", "ip", "udp length 9", udpOpen + " size=29", "yes"},
		{"payload udp", "ip", "udp checksum 0", udpOpen, "maybe"},
		{"payload sctp", "ip", "sctp dport 80", sctp, "yes"},
		{"payload sctp", "ip", "sctp vtag 0", sctp, "maybe"},
		{"payload icmp", "inet", "icmp type echo-request", ping, "yes"},
		{"payload icmp", "inet", "icmp type { echo-reply, time-exceeded }", ping, "no"},
		{"payload icmp", "ip", "icmp type != echo-request", tcpOpen, "no"},
		{"payload icmp", "ip", "icmp code 4", "icmp 10.0.0.1 > 10.0.0.2 type=3 code=4", "yes"},
		{"payload icmp", "ip", "icmp id 1", ping, "maybe"},
		{"payload icmpv6", "inet", "icmpv6 type { echo-request, nd-neighbor-solicit }", ping6, "yes"},
		{"payload icmpv6", "ip6", "icmpv6 code 0", ping6, "yes"},
		{"payload icmpv6", "inet", "icmpv6 type echo-request", ping, "no"},
		{"payload th", "ip", "meta l4proto { tcp, udp } th dport 53", udpOpen, "yes"},
		{"payload th", "ip", "meta l4proto { tcp, udp } th dport 53", ping, "no"},
		{"payload th", "ip", "meta l4proto . th dport { tcp . 80, udp . 53 }", udpOpen, "yes"},
		{"payload th", "ip", "meta l4proto . th dport { tcp . 53, udp . 80 }", udpOpen, "no"},
		{"payload th", "ip", "meta l4proto . th dport { tcp . 80, udp . 53 }", ping, "no"},
		{"payload th", "ip", "meta l4proto . th dport { icmp . 80, udp . 53 }", ping, "maybe"},
		{"payload ether", "inet", "ether saddr 02:00:00:00:00:01", tcpOpen + " smac=02:00:00:00:00:01", "yes"},
		{"payload ether", "inet", "ether saddr 02:00:00:00:00:01", tcpOpen, "maybe"},
		{"payload ether", "inet", "ether saddr != 02:00:00:00:00:01", tcpOpen + " hook=OUTPUT", "no"},
		{"payload udplite", "ip", "udplite dport 53", udpOpen, "no"},
		{"payload udplite", "ip", "udplite dport 53", "udplite 10.0.0.1 > 10.0.0.2", "maybe"},
		{"payload dccp", "ip", "dccp dport 53", udpOpen, "no"},
		{"payload ah", "ip", "ah spi 7", udpOpen, "no"},
		{"payload esp", "ip", "esp spi 7", "esp 10.0.0.1 > 10.0.0.2", "maybe"},
		{"payload comp", "ip", "comp cpi 7", tcpOpen, "no"},
		{"payload igmp", "ip", "igmp type membership-query", tcpOpen, "no"},
		{"payload", "ip", "@th,16,16 80", tcpOpen, "yes"},
		{"payload", "ip", "@nh,72,8 6", tcpOpen, "yes"},
		{"payload", "ip", "@nh,72,8 17", tcpOpen, "no"},
		{"payload", "ip", "@th,64,32 1", tcpOpen, "maybe"},
	}
}

func metaRows() []matchRow {
	return []matchRow{
		{"meta", "ip", "meta mark 0x1", tcpOpen + " mark=1", "yes"},
		{"meta mark", "ip", "meta mark != 0x1", tcpOpen + " mark=1", "no"},
		{"meta mark", "ip", "meta mark & 0x4000 == 0x4000", tcpOpen + " mark=0x4001", "yes"},
		{"meta mark", "ip", "meta mark & 0x4000 == 0", tcpOpen + " mark=0x4001", "no"},
		{"meta mark", "ip", "meta mark @marks", tcpOpen + " mark=0x12", "yes"},
		{"meta mark", "ip", "meta mark @marks", tcpOpen + " mark=0x20", "no"},
		{"|", "ip", "meta mark | 0x1 == 0x3", tcpOpen + " mark=2", "yes"},
		{"^", "ip", "meta mark ^ 0x1 == 0x3", tcpOpen + " mark=2", "yes"},
		{"<<", "ip", `[{"match": {"op": "==", "left": {"<<": [{"meta": {"key": "mark"}}, 4]}, "right": 32}}]`, tcpOpen + " mark=2", "yes"},
		{">>", "ip", `[{"match": {"op": "==", "left": {">>": [{"meta": {"key": "mark"}}, 1]}, "right": 1}}]`, tcpOpen + " mark=2", "yes"},
		{"&", "ip", "ip saddr & 255.255.0.255 == 10.0.0.1", tcpOpen, "yes"},
		{"meta protocol", "ip", "meta protocol ip", tcpOpen, "yes"},
		{"meta protocol", "inet", "meta protocol ip6", tcp6, "yes"},
		{"meta nfproto", "inet", "meta nfproto ipv4", tcpOpen, "yes"},
		{"meta nfproto", "inet", "meta nfproto ipv4", tcp6, "no"},
		{"meta l4proto", "ip", "meta l4proto { icmp, esp }", ping, "yes"},
		{"meta l4proto", "inet", "meta l4proto ipv6-icmp", ping6, "yes"},
		{"meta l4proto", "ip", "meta l4proto > 17", tcpOpen, "no"},
		{"meta length", "ip", "meta length 29", udpOpen + " size=29", "yes"},
		{"meta length", "ip", "meta length 100-2000", udpOpen + " size=29", "no"},
		{"meta length", "ip", "meta length 100-2000", udpOpen, "maybe"},
		{"meta iifname", "ip", "iifname \"eth0\"", tcpOpen, "yes"},
		{"meta iifname", "ip", "iifname \"et*\"", tcpOpen, "yes"},
		{"meta iifname", "ip", "iifname != \"et*\"", tcpOpen, "no"},
		{"meta iifname", "ip", "iifname != \"lo\"", tcpOpen + " hook=OUTPUT", "yes"},
		{"meta iifname", "ip", "iifname { \"lo\", \"eth*\" }", tcpOpen, "yes"},
		{"meta oifname", "ip", "oifname @devs", tcpOpen, "no"},
		{"meta oifname", "ip", "oifname != @devs", tcpOpen, "yes"},
		{"meta oifname", "ip", "oifname \"eth1\"", tcpOpen, "yes"},
		{"meta oifname", "ip", "oifname \"eth1\"", tcpOpen + " out= blind", "maybe"},
		{"meta iif", "ip", "iif \"lo\"", tcpOpen + " in=lo", "yes"},
		{"meta iif", "ip", "iif \"lo\"", tcpOpen, "no"},
		{"meta oif", "ip", "oif != \"lo\"", tcpOpen, "yes"},
		{"meta iiftype", "ip", "meta iiftype loopback", tcpOpen + " in=lo", "yes"},
		{"meta iiftype", "ip", "meta iiftype != loopback", tcpOpen + " hook=OUTPUT", "no"},
		{"meta iiftype", "ip", "meta iiftype ether", tcpOpen, "maybe"},
		{"meta oiftype", "ip", "meta oiftype loopback", tcpOpen + " hook=INPUT", "no"},
		{"meta iifgroup", "ip", "iifgroup \"default\"", tcpOpen, "yes"},
		{"meta oifgroup", "ip", "oifgroup 7", tcpOpen, "yes"},
		{"meta oifgroup", "ip", "oifgroup != 7", tcpOpen + " hook=INPUT", "no"},
		{"meta pkttype", "ip", "meta pkttype host", tcpOpen, "yes"},
		{"meta pkttype", "ip", "meta pkttype broadcast", "udp 10.0.0.1:1 > 10.0.0.255:2", "yes"},
		{"meta pkttype", "ip", "meta pkttype multicast", "udp 10.0.0.1:1 > 224.0.0.1:2", "yes"},
		{"meta skuid", "ip", "meta skuid 1000", tcpOpen, "no"},
		{"meta skuid", "ip", "meta skuid != 1000", tcpOpen, "no"},
		{"meta skuid", "ip", "meta skuid 1000", tcpOpen + " hook=OUTPUT", "maybe"},
		{"meta skgid", "ip", "meta skgid 1000", tcpOpen + " hook=OUTPUT", "maybe"},
		{"meta cgroup", "ip", "meta cgroup 1", tcpOpen + " hook=OUTPUT", "maybe"},
		{"meta cpu", "ip", "meta cpu 1", tcpOpen, "maybe"},
		{"meta random", "ip", "meta random 1000", tcpOpen, "maybe"},
		{"meta priority", "ip", "meta priority none", tcpOpen, "maybe"},
		{"meta rtclassid", "ip", "rtclassid 1", tcpOpen, "maybe"},
		{"meta secpath", "ip", `[{"match": {"op": "==", "left": {"meta": {"key": "secpath"}}, "right": true}}]`, tcpOpen, "maybe"},
		{"meta time", "ip", "meta time > \"2020-01-01 00:00:00\"", tcpOpen, "maybe"},
		{"meta day", "ip", "meta day \"Monday\"", tcpOpen, "maybe"},
		{"meta hour", "ip", "meta hour \"10:00\"-\"11:00\"", tcpOpen, "maybe"},
		{"meta iifkind", "ip", "meta iifkind \"veth\"", tcpOpen, "maybe"},
		{"meta oifkind", "ip", "meta oifkind \"veth\"", tcpOpen, "maybe"},
		{"meta secmark", "ip", `[{"match": {"op": "==", "left": {"meta": {"key": "secmark"}}, "right": 1}}]`, tcpOpen, "maybe"},
		{"meta ipsec", "ip", `[{"match": {"op": "==", "left": {"meta": {"key": "ipsec"}}, "right": true}}]`, tcpOpen, "maybe"},
		{"meta nftrace", "ip", `[{"match": {"op": "==", "left": {"meta": {"key": "nftrace"}}, "right": 1}}]`, tcpOpen, "maybe"},
		{"meta ibrname", "ip", `[{"match": {"op": "==", "left": {"meta": {"key": "ibrname"}}, "right": "br0"}}]`, tcpOpen, "maybe"},
		{"meta obrname", "ip", `[{"match": {"op": "==", "left": {"meta": {"key": "obrname"}}, "right": "br0"}}]`, tcpOpen, "maybe"},
		{"meta ibrpvid", "ip", `[{"match": {"op": "==", "left": {"meta": {"key": "ibrpvid"}}, "right": 1}}]`, tcpOpen, "maybe"},
		{"meta ibrvproto", "ip", `[{"match": {"op": "==", "left": {"meta": {"key": "ibrvproto"}}, "right": "8021q"}}]`, tcpOpen, "maybe"},
		{"ct secmark", "ip", `[{"match": {"op": "==", "left": {"ct": {"key": "secmark"}}, "right": 1}}]`, tcpOpen, "maybe"},
		{"ct event", "ip", `[{"match": {"op": "==", "left": {"ct": {"key": "event"}}, "right": "new"}}]`, tcpOpen, "maybe"},
		{"meta sdif", "inet", "meta sdif \"lo\"", tcpOpen, "maybe"},
		{"meta sdifname", "inet", "meta sdifname \"eth0\"", tcpOpen, "maybe"},
	}
}

func ctRows() []matchRow {
	return []matchRow{
		{"ct", "inet", "ct state new", tcpOpen, "yes"},
		{"ct state", "ip", "ct state established,related", tcpOpen, "no"},
		{"ct state", "ip", "ct state established,related", tcpOpen + " ct=related", "yes"},
		{"ct state", "ip", "ct state { established, related }", tcpOpen + " ct=established", "yes"},
		{"ct state", "ip", "ct state != established,related", tcpOpen + " ct=established", "yes"}, // all bits are compared
		{"ct state", "ip", "ct state != new", tcpOpen, "no"},
		{"ct state", "ip", "ct state ! new", tcpOpen, "no"},
		{"ct state", "ip", "ct state invalid", tcpOpen + " ct=invalid", "yes"},
		{"ct state", "ip", "ct state invalid", tcpOpen + " ct=none", "yes"},
		{"ct state", "ip", "ct state untracked", tcpOpen + " ct=untracked", "yes"},
		{"ct state", "ip", "ct state vmap { new : drop, established : accept }", tcpOpen, "yes"},
		{"ct direction", "ip", "ct direction reply", tcpOpen + " replydir", "yes"},
		{"ct direction", "ip", "ct direction != reply", tcpOpen + " ct=invalid", "no"},
		{"ct status", "ip", "ct status dnat", tcpOpen + " dnat", "yes"},
		{"ct status", "ip", "ct status dnat", tcpOpen, "no"},
		{"ct status", "ip", "ct status snat", tcpOpen + " snat", "yes"},
		{"ct status", "ip", "ct status assured", tcpOpen, "maybe"},
		{"ct status", "ip", "ct status seen-reply", tcpOpen + " ct=established", "yes"},
		{"ct mark", "ip", "ct mark & 0x1 == 0x1", tcpOpen + " connmark=3", "yes"},
		{"ct mark", "ip", "ct mark != 3", tcpOpen + " connmark=3 ct=untracked", "no"},
		{"ct zone", "ip", "ct zone 0", tcpOpen, "yes"},
		{"ct l3proto", "inet", "ct original l3proto ipv4", tcpOpen, "yes"},
		{"ct protocol", "ip", "ct original protocol tcp", tcpOpen, "yes"},
		{"ct", "ip", "ct original ip saddr 10.0.0.1", tcpOpen, "yes"},
		{"ct", "inet", "ct reply ip saddr 10.0.0.2", tcpOpen, "yes"},
		{"ct", "inet", "ct original ip6 daddr fd00::2", tcp6, "yes"},
		{"ct", "inet", "ct original ip6 daddr fd00::2", tcpOpen, "no"},
		{"ct", "inet", "meta l4proto tcp ct original proto-dst 80", tcpOpen, "yes"},
		{"ct", "inet", "meta l4proto tcp ct reply proto-dst 80", tcpOpen, "no"},
		{"ct helper", "ip", "ct helper \"ftp\"", tcpOpen, "no"},
		{"ct helper", "ip", "ct helper != \"ftp\"", tcpOpen, "no"},
		{"ct helper", "ip", "ct helper \"ftp\"", tcpOpen + " ct=established", "maybe"},
		{"ct expiration", "ip", "ct expiration 30s", tcpOpen, "maybe"},
		{"ct label", "ip", "ct label 1", tcpOpen, "maybe"},
		{"ct bytes", "ip", "ct bytes > 100", tcpOpen, "maybe"},
		{"ct packets", "ip", "ct original packets > 100", tcpOpen, "maybe"},
		{"ct avgpkt", "ip", "ct avgpkt > 100", tcpOpen, "maybe"},
		{"ct id", "ip", "ct id 100", tcpOpen, "maybe"},
	}
}

func setRows() []matchRow {
	return []matchRow{
		{"set", "ip", "ip saddr @hosts", tcpOpen, "yes"},
		{"set", "ip", "ip saddr != @hosts", tcpOpen, "no"},
		{"set", "ip", "ip daddr @hosts", tcpOpen, "no"},
		{"set", "inet", "ip daddr != @hosts", tcp6, "no"},
		{"set", "ip", "ip saddr @nets", tcpOpen, "yes"},
		{"set", "ip", "ip daddr @nets", tcpOpen, "no"},
		{"set", "ip", "ip daddr @nets", "tcp 10.0.0.1:1 > 10.0.1.9:1", "yes"},
		{"set", "ip", "ip daddr @nets", "tcp 10.0.0.1:1 > 10.0.1.10:1", "no"},
		{"set", "ip", "ip daddr { 10.0.0.0/30, 10.0.1.1-10.0.1.7 }", tcpOpen, "yes"},
		{"set", "ip", "ip daddr . meta l4proto . th dport @ends", tcpOpen, "yes"},
		{"set", "ip", "ip daddr . meta l4proto . th dport @ends", ping, "no"},
		{"set", "ip", "ip saddr . tcp dport @mixed", tcpOpen, "yes"},
		{"set", "ip", "ip daddr . tcp sport @mixed", tcpOpen, "no"},
		{"set", "ip", "ip daddr . udp dport @mixed", udpOpen, "yes"},
		{"set", "ip", "ip daddr . udp dport @mixed", tcpOpen, "no"},
		{"set", "ip", "ip saddr . ip daddr { 10.0.0.1 . 10.0.0.2 }", tcpOpen, "yes"},
		{"set", "ip", `[{"match": {"op": "==", "left": {"concat": [{"payload": {"protocol": "ip", "field": "saddr"}}, {"payload": {"protocol": "ip", "field": "daddr"}}]}, "right": {"concat": ["10.0.0.1", "10.0.0.2"]}}}]`, tcpOpen, "yes"},
		{"set", "ip", "ip saddr @seen", tcpOpen, "no"},
		{"set", "ip", "add @seen { ip saddr } ip saddr @seen", tcpOpen, "yes"},
		{"set", "ip", "delete @seen { ip saddr } ip saddr @seen", "tcp 10.0.0.9:1 > 10.0.0.2:1", "no"},
		{"set", "ip", "update @seen { ip daddr timeout 1m } ip saddr @seen", tcpOpen, "no"},
		{"set", "ip", "ip saddr @limited", tcpOpen, "maybe"},
		{"set", "ip6", "ip6 saddr @hosts6", tcp6, "yes"},
		{"map", "ip", "meta mark set ip saddr map @markof meta mark 7", tcpOpen, "yes"},
		{"map", "ip", "meta mark set ip daddr map @markof", tcpOpen, "no"},
		{"map", "ip", "meta mark set tcp dport map { 80 : 5, 81 : 6 } meta mark 5", tcpOpen, "yes"},
		{"vmap", "ip", "tcp dport vmap @ways", tcpOpen, "yes"},
		{"vmap", "ip", "tcp dport vmap @ways", "tcp 10.0.0.1:1 > 10.0.0.2:82", "no"},
		{"vmap", "ip", "tcp dport vmap { 80-90 : jump dropper, 22 : accept }", tcpOpen, "yes"},
		{"vmap", "ip", "ip saddr . tcp dport vmap { 10.0.0.1 . 80 : goto dropper }", tcpOpen, "yes"},
		{"vmap", "ip", "meta l4proto vmap { tcp : return, udp : drop }", tcpOpen, "no"},
		{"vmap", "ip", "ip daddr vmap @rest", tcpOpen, "no"},
		{"vmap", "ip", "ip daddr vmap @rest", "tcp 10.0.0.1:1 > 10.1.0.7:1", "no"},
		{"vmap", "ip", "ip daddr vmap @rest", "tcp 10.0.0.1:1 > 10.1.0.8:1", "yes"},
		{"vmap", "ip", "ip daddr vmap @rest", "tcp 10.0.0.1:1 > 9.9.9.9:1", "yes"},
		{"vmap", "ip", "tcp dport vmap { 81 : accept, * : drop }", tcpOpen, "yes"},
		{"set", "ip", "ip saddr @every", tcpOpen, "yes"},
		{"set", "ip", "ip saddr != @every", tcpOpen, "no"},
		{"vmap", "ip", "numgen random mod 4 vmap { 0 : drop, 1 : drop, 2 : accept, 3 : accept }", tcpOpen, "drop 0.25, drop 0.25, accept 0.25, accept 0.25"},
	}
}

func otherRows() []matchRow {
	return []matchRow{
		{"fib", "inet", "fib daddr type local", "tcp 10.0.0.9:1 > 10.0.0.1:80", "yes"},
		{"fib", "inet", "fib daddr type local", tcpOpen, "no"},
		{"fib", "inet", "fib daddr type != local", "tcp [fd00::9]:1 > [fd00::1]:80", "no"},
		{"fib", "inet", "fib daddr type { local, broadcast }", "udp 10.0.0.9:1 > 10.0.0.255:80", "yes"},
		{"fib", "inet", "fib daddr . iif type local", "tcp 10.0.0.9:1 > 10.0.0.1:80 in=eth1", "no"},
		{"fib", "inet", "fib saddr . iif oif missing", "tcp 10.0.0.9:1 > 10.0.0.1:80", "no"},
		{"fib", "inet", "fib saddr . iif oif missing", "tcp 10.0.0.9:1 > 10.0.0.1:80 in=eth1", "yes"},
		{"fib", "inet", "fib saddr . iif oif exists", "tcp 10.0.0.9:1 > 10.0.0.1:80", "yes"},
		{"fib", "inet", "fib saddr oif 0", "tcp 11.0.0.9:1 > 10.0.0.1:80", "yes"},
		{"fib", "inet", "fib saddr . mark oifname \"eth0\"", "tcp 10.0.0.9:1 > 10.0.0.1:80", "yes"},
		{"rt", "ip", "rt nexthop 10.0.0.9", tcpOpen, "maybe"},
		{"rt nexthop", "ip", "rt nexthop 10.0.0.9", tcpOpen + " hook=PREROUTING", "no"},
		{"rt mtu", "ip", "rt mtu 1000", tcpOpen, "maybe"},
		{"rt classid", "ip", "rt classid 10", tcpOpen, "maybe"},
		{"rt ipsec", "ip", "rt ipsec exists", tcpOpen, "maybe"},
		{"socket", "inet", `[{"match": {"op": "==", "left": {"socket": {"key": "transparent"}}, "right": 1}}]`, "tcp 10.0.0.9:1 > 10.0.0.1:81", "no"},
		{"socket transparent", "inet", `[{"match": {"op": "==", "left": {"socket": {"key": "transparent"}}, "right": 1}}]`, "tcp 10.0.0.9:1 > 10.0.0.1:80", "maybe"},
		{"socket mark", "inet", `[{"match": {"op": "==", "left": {"socket": {"key": "mark"}}, "right": 1}}]`, "tcp 10.0.0.9:1 > 10.0.0.1:80", "maybe"},
		{"socket wildcard", "inet", `[{"match": {"op": "==", "left": {"socket": {"key": "wildcard"}}, "right": 1}}]`, "tcp 10.0.0.9:1 > 10.0.0.1:80", "maybe"},
		{"numgen", "ip", "numgen random mod 4 0", tcpOpen, "drop 0.25, accept 0.75"},
		{"numgen", "ip", "numgen random mod 100 < 30", tcpOpen, "drop 0.30, accept 0.70"},
		{"numgen", "ip", "numgen inc mod 2 offset 100 101", tcpOpen, "drop 0.50, accept 0.50"},
		{"numgen", "ip", "numgen random mod 10 { 1, 3-5 }", tcpOpen, "drop 0.40, accept 0.60"},
		{"numgen", "ip", `[{"match": {"op": "==", "left": {"numgen": {"mode": "random", "mod": 10, "offset": 0}}, "right": 11}}]`, tcpOpen, "no"},
		{"jhash", "ip", "jhash ip saddr mod 2 seed 0xdeadbeef 1", tcpOpen, "drop 0.50, accept 0.50"},
		{"jhash", "ip", "jhash ip saddr . tcp dport mod 2 1", udpOpen, "no"},
		{"symhash", "ip", "symhash mod 4 1", tcpOpen, "drop 0.25, accept 0.75"},
		{"exthdr", "inet", "exthdr frag exists", tcp6, "no"},
		{"exthdr", "inet", "exthdr frag missing", tcp6, "yes"},
		{"exthdr", "inet", "frag id != 7", tcp6, "no"},
		{"ip option", "ip", "ip option rr exists", tcpOpen, "no"},
		{"ip option", "ip", "ip option rr ptr != 1", tcpOpen, "no"},
		{"tcp option", "ip", "tcp option maxseg size 1000", tcpOpen, "maybe"},
		{"tcp option", "ip", "tcp option maxseg size 1000", udpOpen, "no"},
		{"tcp option", "ip", "tcp option sack-perm missing", tcpOpen, "maybe"},
		{"dccp option", "ip", `[{"match": {"op": "==", "left": {"dccp option": {"type": 1}}, "right": true}}]`, tcpOpen, "no"},
		{"ipsec", "ip", `[{"match": {"op": "==", "left": {"ipsec": {"key": "reqid", "dir": "in", "spnum": 0}}, "right": 1}}]`, tcpOpen, "maybe"},
		{"tunnel", "ip", `[{"match": {"op": "==", "left": {"tunnel": {"key": "id"}}, "right": 1}}]`, tcpOpen, "maybe"},
		{"socket cgroupv2", "inet", `[{"match": {"op": "==", "left": {"socket": {"key": "cgroupv2"}}, "right": "a/b"}}]`, "tcp 10.0.0.9:1 > 10.0.0.1:80", "maybe"},
		{"sctp chunk", "ip", "sctp chunk init exists", sctp, "yes"},
		{"sctp chunk", "ip", "sctp chunk data exists", sctp, "no"},
		{"sctp chunk", "ip", "sctp chunk data exists", sctp + " kind=data", "maybe"},
		{"osf", "inet", `[{"match": {"op": "==", "left": {"osf": {"key": "name"}}, "right": "Linux"}}]`, tcpOpen, "maybe"},
		{"osf", "inet", `[{"match": {"op": "==", "left": {"osf": {"key": "name"}}, "right": "Linux"}}]`, udpOpen, "no"},
	}
}
