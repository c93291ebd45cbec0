package netstack

import "github.com/pathsnap/pathsnap/analyze/netstack/route"

// Sysctls returns a row for every sysctl that decides what becomes of a packet.
// A device stands as "*"; "all" counts as the kernel counts it.
func Sysctls() []route.Row {
	rows := sysctls4()
	rows = append(rows, sysctls6()...)
	rows = append(rows, sysctlsIPVS()...)
	return append(rows, sysctlsOther()...)
}

func sysctls4() []route.Row {
	return []route.Row{
		{Name: "net.ipv4.ip_forward", Class: "exact", Note: "packets of others are forwarded; conf.*.forwarding goes before it"},
		{Name: "net.ipv4.conf.*.forwarding", Class: "exact", Note: "of the device that a packet comes in by"},
		{Name: "net.ipv4.conf.*.rp_filter", Class: "exact", Note: "0, 1 strict, 2 loose: the larger of all and the device"},
		{Name: "net.ipv4.conf.*.src_valid_mark", Class: "exact", Note: "the reverse path is looked up with the packet's mark"},
		{Name: "net.ipv4.conf.*.accept_local", Class: "exact", Note: "sources that are this host's own may come in"},
		{Name: "net.ipv4.conf.*.route_localnet", Class: "exact", Note: "127.0.0.0/8 may cross devices"},
		{Name: "net.ipv4.conf.*.send_redirects", Class: "partly", Note: "with it, the source of what leaves as it came is looked up too; redirects themselves are not sent"},
		{Name: "net.ipv4.conf.*.drop_unicast_in_l2_multicast", Class: "exact", Note: "a frame to many with a packet to one is discarded"},
		{Name: "net.ipv4.conf.*.bc_forwarding", Class: "open", Note: "where a directed broadcast goes that is passed on is unknown"},
		{Name: "net.ipv4.conf.*.ignore_routes_with_linkdown", Class: "exact", Note: "next hops without carrier are not used"},
		{Name: "net.ipv4.ip_no_pmtu_disc", Class: "partly", Note: "what sockets here send may be cut, unless their program wants otherwise, which no dump tells; what is learned of paths is in no dump either"},
		{Name: "net.ipv4.ip_forward_use_pmtu", Class: "open", Note: "with it, what is forwarded heeds what was learned of paths, which is in no dump"},
		{Name: "net.ipv4.route.min_pmtu", Class: "open", Note: "bounds what is learned of paths, which is in no dump"},
		{Name: "net.ipv4.ip_default_ttl", Class: "exact", Note: "of what is sent here"},
		{Name: "net.ipv4.fwmark_reflect", Class: "exact", Note: "resets, ICMP errors and echo replies bear the mark of what they answer"},
		{Name: "net.ipv4.tcp_fwmark_accept", Class: "exact", Note: "so does what a listening socket answers"},
		{Name: "net.ipv4.tcp_l3mdev_accept", Class: "exact", Note: "a socket that is bound to no device takes what is in a VRF; so of udp"},
		{Name: "net.ipv4.udp_l3mdev_accept", Class: "exact", Note: ""},
		{Name: "net.ipv4.icmp_echo_ignore_all", Class: "exact", Note: ""},
		{Name: "net.ipv4.icmp_echo_ignore_broadcasts", Class: "exact", Note: "on unless it is 0"},
		{Name: "net.ipv4.icmp_errors_use_inbound_ifaddr", Class: "exact", Note: "the source of an ICMP error"},
	}
}

func sysctls6() []route.Row {
	return []route.Row{
		{Name: "net.ipv6.conf.*.forwarding", Class: "exact", Note: "conf.all decides; of a device it decides whether it is in the group of all routers"},
		{Name: "net.ipv6.conf.*.force_forwarding", Class: "exact", Note: "forwards although conf.all does not"},
		{Name: "net.ipv6.conf.*.disable_ipv6", Class: "exact", Note: "nothing comes in"},
		{Name: "net.ipv6.conf.*.drop_unicast_in_l2_multicast", Class: "exact", Note: "as for IPv4, of the device alone"},
		{Name: "net.ipv6.conf.*.hop_limit", Class: "exact", Note: "of what is sent here"},
		{Name: "net.ipv6.conf.*.ignore_routes_with_linkdown", Class: "exact", Note: "of the device alone"},
		{Name: "net.ipv6.conf.*.use_tempaddr", Class: "exact", Note: "from 2 on temporary addresses are preferred"},
		{Name: "net.ipv6.conf.*.use_oif_addrs_only", Class: "exact", Note: "the source is an address of the device"},
		{Name: "net.ipv6.fwmark_reflect", Class: "exact", Note: "as for IPv4"},
		{Name: "net.ipv6.icmp.echo_ignore_all", Class: "exact", Note: ""},
		{Name: "net.ipv6.icmp.echo_ignore_multicast", Class: "exact", Note: ""},
		{Name: "net.ipv6.icmp.echo_ignore_anycast", Class: "exact", Note: ""},
	}
}

func sysctlsIPVS() []route.Row {
	return []route.Row{
		{Name: "net.ipv4.vs.conntrack", Class: "exact", Note: "conntrack and nat go on with what IPVS sends"},
		{Name: "net.ipv4.vs.snat_reroute", Class: "exact", Note: "answers are routed by the address of the virtual server; on unless it is 0"},
		{Name: "net.ipv4.vs.pmtu_disc", Class: "exact", Note: "a tunnel heeds DF; on unless it is 0"},
		{Name: "net.ipv4.vs.cache_bypass", Class: "exact", Note: "a service by mark without a real server sends past it"},
		{Name: "net.ipv4.vs.sloppy_tcp", Class: "exact", Note: "TCP may begin in its middle"},
		{Name: "net.ipv4.vs.sloppy_sctp", Class: "exact", Note: "so may SCTP"},
		{Name: "net.ipv4.vs.expire_quiescent_template", Class: "exact", Note: "a weight of 0 ends persistence"},
		{Name: "net.ipv4.vs.backup_only", Class: "open", Note: "on a backup nothing is scheduled; whether its daemon runs no dump tells"},
		{Name: "net.ipv4.ip_unprivileged_port_start", Class: "exact", Note: "from there on a service of port 21 takes the data of FTP; 1024 if it is not known"},
	}
}

func sysctlsOther() []route.Row {
	return []route.Row{
		{Name: "net.netfilter.nf_conntrack_helper", Class: "exact", Note: "helpers are assigned without a rule"},
		{Name: "net.netfilter.nf_conntrack_max", Class: "exact", Note: "as conntrack.json has it: a full table drops what is new"},
		{Name: "net.netfilter.nf_conntrack_tcp_loose", Class: "exact", Note: "whether TCP may begin in its middle; on unless it is 0"},
	}
}

// Tracking returns a row for each thing that conntrack does.
func Tracking() []route.Row {
	return []route.Row{
		{Name: "NEW, ESTABLISHED", Class: "exact", Note: "of what the walk itself has sent, and of entries of the dump; until somebody has answered, a conversation is new"},
		{Name: "entries of the dump", Class: "exact", Note: "for packets whose ports are exact: the entry translates, nat rules are not asked. Of a sender that chooses its port nothing is claimed; entries that lead elsewhere than the rules are shown (conntrack/stale-entry)"},
		{Name: "states of TCP", Class: "partly", Note: "a SYN reopens a TIME_WAIT; whether it reopens a CLOSE depends on who closed. Sequence numbers are taken to be right (nf_conntrack_tcp_be_liberal does not matter)"},
		{Name: "SCTP, ICMP, others", Class: "exact", Note: "SCTP begins with INIT, ICMP with a question; the rest with any packet"},
		{Name: "RELATED", Class: "exact", Note: "ICMP errors by the packet that they quote, which is translated along; without it, open"},
		{Name: "expectations of helpers", Class: "open", Note: "no dump has them: a new packet is in doubt where a helper is assigned and the dump has a connection to a helper's port between the same hosts; connections that were expected are known by their entries"},
		{Name: "INVALID", Class: "exact", Note: "no nat rule sees it"},
		{Name: "UNTRACKED", Class: "exact", Note: "NOTRACK, neighbour discovery, multicast listeners"},
		{Name: "a full table", Class: "partly", Note: "drops what is new; where an entry is not ASSURED, or is closing, room may be made (early_drop)"},
		{Name: "ports that are taken", Class: "open", Note: "a source that is to be translated to a taken port gets another, of which none is known"},
		{Name: "zones", Class: "exact", Note: "an entry is found in its own zone only"},
		{Name: "offloaded entries", Class: "open", Note: "a flow table takes packets past the rules"},
		{Name: "fragments", Class: "exact", Note: "are put together before rules see them: the packet stands for all"},
	}
}

// Delivery returns a row for each thing that may become of a packet for this
// host.
func Delivery() []route.Row {
	return []route.Row{
		{Name: "TCP, UDP and SCTP sockets", Class: "exact", Note: "that listen or are bound: by address, port, device, family, v6only; the best match as the kernel scores it"},
		{Name: "a closed port", Class: "exact", Note: "TCP resets, UDP port unreachable, SCTP aborts if the kernel has SCTP"},
		{Name: "strangers", Class: "exact", Note: "TCP and SCTP answer with a reset what belongs to no connection, a reset with nothing"},
		{Name: "the server's source", Class: "partly", Note: "a UDP server that is bound to all addresses may answer from another one"},
		{Name: "broadcast and multicast", Class: "exact", Note: "UDP sockets take it; nobody refuses it"},
		{Name: "echo, timestamp", Class: "exact", Note: "answered by the kernel; other ICMP is taken without an answer"},
		{Name: "neighbour discovery", Class: "open", Note: "as a packet of its own: what it answers is unknown, a hop limit below 255 is discarded; when an address is looked for, rules on its four ways are asked"},
		{Name: "other protocols", Class: "open", Note: "tunnels, IPsec and the like: unknown; what nobody can take is protocol unreachable, unless a raw socket takes it"},
		{Name: "ICMP errors", Class: "exact", Note: "none about errors, broadcasts, multicast; rates are not looked at"},
		{Name: "TTL", Class: "exact", Note: "time exceeded where a packet would be forwarded with 1"},
	}
}
