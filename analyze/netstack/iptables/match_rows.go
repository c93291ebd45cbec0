package iptables

// matchRows returns the table of matches. What has no row is not understood:
// its rule answers Maybe and is counted.
func matchRows() []extension {
	return append(append(exactMatches(), conditionalMatches()...), openMatches()...)
}

func exactMatches() []extension {
	const tcp = "sport source-port dport destination-port tcp-flags:2 syn:0 tcp-option"
	const icmp = "icmp-type icmpv6-type"
	const sctp = "sport source-port dport destination-port chunk-types:2"
	return []extension{
		{name: "tcp", class: Partly, why: "--tcp-option is open", options: tcp, buildMatch: matchTCP},
		{name: "udp", class: Exact, options: "sport source-port dport destination-port", buildMatch: matchUDP},
		{name: "sctp", class: Partly, why: "chunk flags and packets of many chunks are open", options: sctp, buildMatch: matchSCTP},
		{name: "icmp", class: Exact, options: icmp, buildMatch: matchICMP},
		{name: "icmp6", class: Exact, options: icmp, buildMatch: matchICMP6},
		{name: "icmpv6", class: Exact, options: icmp, buildMatch: matchICMP6},
		{name: "ipv6-icmp", class: Exact, options: icmp, buildMatch: matchICMP6},
		{name: "multiport", class: Exact, options: "sports source-ports dports destination-ports ports", buildMatch: matchMultiport},
		{name: "conntrack", class: Partly, why: "EXPECTED, ASSURED and, of a new entry, CONFIRMED are open, and --ctexpire", options: conntrackOptions, buildMatch: matchConntrack},
		{name: "state", class: Exact, options: "state", buildMatch: matchState},
		{name: "mark", class: Exact, options: "mark", buildMatch: matchMark},
		{name: "connmark", class: Exact, options: "mark", buildMatch: matchConnmark},
		{name: "addrtype", class: Exact, options: "src-type dst-type limit-iface-in:0 limit-iface-out:0", buildMatch: matchAddrtype},
		{name: "set", class: Partly, why: "counters of set entries are open", options: setOptions, buildMatch: matchSet},
		{name: "statistic", class: Exact, options: "mode probability every packet", buildMatch: matchStatistic},
		{name: "comment", class: Exact, options: "comment", buildMatch: anyMatch},
		{name: "physdev", class: Exact, options: physdevOptions, buildMatch: matchPhysdev},
		{name: "iprange", class: Exact, options: "src-range dst-range", buildMatch: matchIPRange},
		{name: "rpfilter", class: Exact, options: "loose:0 validmark:0 accept-local:0 invert:0", buildMatch: matchRPFilter},
		{name: "mac", class: Exact, options: "mac-source", buildMatch: matchMAC},
		{name: "pkttype", class: Exact, options: "pkt-type", buildMatch: matchPkttype},
		{name: "length", class: Partly, why: "a packet of no given size fits any MTU, and is open where that does not decide", options: "length", buildMatch: matchLength},
		{name: "tos", class: Exact, options: "tos", buildMatch: matchTOS},
		{name: "dscp", class: Exact, options: "dscp dscp-class", buildMatch: matchDSCP},
		{name: "nfacct", class: Partly, why: "whether a quota is used up depends on other traffic; kube-proxy's counters have none", options: "nfacct-name", buildMatch: matchNfacct},
		{name: "ttl", class: Partly, why: "the TTL that a packet comes with may not be known", options: "ttl-eq ttl-lt ttl-gt ttl", buildMatch: matchTTL},
		{name: "hl", class: Partly, why: "the hop limit that a packet comes with may not be known", options: "hl-eq hl-lt hl-gt hl", buildMatch: matchTTL},
		{name: "ecn", class: Partly, why: "the ECN flags of TCP are not simulated", options: "ecn-tcp-cwr:0 ecn-tcp-ece:0 ecn-ip-ect", buildMatch: matchECN}, //nolint:misspell // ECN-capable transport
		{name: "devgroup", class: Exact, options: "src-group dst-group", buildMatch: matchDevgroup},
		{name: "frag", class: Exact, why: "simulated packets have no extension headers", loose: true, buildMatch: noMatch},
		{name: "hbh", class: Exact, why: "simulated packets have no extension headers", loose: true, buildMatch: noMatch},
		{name: "dst", class: Exact, why: "simulated packets have no extension headers", loose: true, buildMatch: noMatch},
		{name: "rt", class: Exact, why: "simulated packets have no extension headers", loose: true, buildMatch: noMatch},
		{name: "srh", class: Exact, why: "simulated packets have no extension headers", loose: true, buildMatch: noMatch},
	}
}

func conditionalMatches() []extension {
	const recent = "set:0 rcheck:0 update:0 remove:0 seconds reap:0 hitcount rttl:0 name rsource:0 rdest:0 mask"
	return []extension{
		{name: "owner", class: Partly, why: "who owns a local socket is not in the bundle; forwarded packets have none", options: "uid-owner gid-owner socket-exists:0 suppl-groups:0", buildMatch: matchOwner},
		{name: "cgroup", class: Partly, why: "which process sends is not in the bundle; forwarded packets have none", options: "cgroup path", buildMatch: matchCgroup},
		{name: "socket", class: Partly, why: "connected sockets are not in a bundle; whether one is transparent only since Linux 5.10", options: "transparent:0 nowildcard:0 restore-skmark:0", buildMatch: matchSocket},
		{name: "ipvs", class: Partly, why: "--vdir and --vportctl are open, and connections that are not translated", options: "ipvs:0 vproto vaddr vport vdir vmethod vportctl", buildMatch: matchIPVS},
		{name: "recent", class: Partly, why: "who was seen when is not in the bundle; --set always matches", options: recent, buildMatch: matchRecent},
		{name: "helper", class: Partly, why: "which helper expected a connection is not in the bundle; a new one was not expected", options: "helper", buildMatch: matchHelper},
	}
}

// openMatches are the matches that no bundle can decide, each for its reason.
func openMatches() []extension {
	const rate, content = "whether the rate is used up depends on other traffic", "the packet's content is not simulated"
	const load, header = "it depends on the connection's history", "the header is not simulated"
	rows := []extension{
		{name: "limit", why: rate},
		{name: "hashlimit", why: rate, options: "hashlimit-name hashlimit-mode"},
		{name: "connlimit", why: "the number of connections changes all the time"},
		{name: "connbytes", why: load},
		{name: "connlabel", why: load, options: "label set:0"},
		{name: "quota", why: rate},
		{name: "rateest", why: rate},
		{name: "time", why: "the bundle is not about one time of day"},
		{name: "cpu", why: "any CPU may handle the packet"},
		{name: "string", why: content, options: "string hex-string algo from to icase:0"},
		{name: "bpf", why: content, options: "bytecode object-pinned"},
		{name: "u32", why: content, options: "u32"},
		{name: "osf", why: content, options: "genre ttl log"},
		{name: "tcpmss", why: header},
		{name: "ah", why: header},
		{name: "esp", why: header},
		{name: "ipcomp", why: header},
		{name: "dccp", why: header},
		{name: "udplite", why: header},
		{name: "l2tp", why: header},
		{name: "mh", why: header},
		{name: "ipv6header", why: header},
		{name: "eui64", why: header},
		{name: "realm", why: "realms of routes are not collected"},
		{name: "policy", why: "IPsec policies are not collected"},
		{name: "cluster", why: "the hash of the source address is not computed"},
	}
	for i := range rows {
		rows[i].class, rows[i].loose, rows[i].buildMatch = Open, true, openMatch
	}
	return rows
}
