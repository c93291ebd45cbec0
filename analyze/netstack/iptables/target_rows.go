package iptables

// targetRows returns the table of targets. A name without a row is a chain,
// or not understood.
func targetRows() []extension {
	return append(append(deciding(), changing()...), passives()...)
}

func deciding() []extension {
	return []extension{
		{name: "ACCEPT", class: Exact, buildTarget: targetAccept},
		{name: "DROP", class: Exact, buildTarget: targetDrop},
		{name: "RETURN", class: Exact, buildTarget: targetReturn},
		{name: "REJECT", class: Exact, options: "reject-with", buildTarget: targetReject},
		{name: "DNAT", class: Partly, why: natWhy, options: "to-destination random:0 persistent:0 random-fully:0", buildTarget: targetDNAT},
		{name: "SNAT", class: Partly, why: natWhy, options: "to-source random:0 persistent:0 random-fully:0", buildTarget: targetSNAT},
		{name: "MASQUERADE", class: Partly, why: natWhy, options: "to-ports to-port random:0 random-fully:0", buildTarget: targetMasquerade},
		{name: "REDIRECT", class: Partly, why: natWhy, options: "to-ports to-port random:0", buildTarget: targetRedirect},
		{name: "NETMAP", class: Exact, options: "to", buildTarget: targetNetmap},
		{name: "TPROXY", class: Partly, why: "whether a socket is transparent is in a bundle only since Linux 5.10", options: "on-port on-ip tproxy-mark", buildTarget: targetTPROXY},
		{name: "NFQUEUE", class: Open, why: "a program decides", options: "queue-num queue-balance queue-bypass:0 queue-cpu-fanout:0", buildTarget: targetNFQUEUE},
		{name: "QUEUE", class: Open, why: "a program decides", buildTarget: targetNFQUEUE},
		{name: "SYNPROXY", class: Open, why: "the kernel answers in the server's place", loose: true, buildTarget: targetOpen("SYNPROXY")},
		{name: "CLUSTERIP", class: Open, why: "which node answers depends on a hash", loose: true, buildTarget: targetOpen("CLUSTERIP")},
		{name: "SNPT", class: Open, why: "the translation of prefixes is not computed", loose: true, buildTarget: targetOpen("SNPT")},
		{name: "DNPT", class: Open, why: "the translation of prefixes is not computed", loose: true, buildTarget: targetOpen("DNPT")},
		{name: "HMARK", class: Open, why: "the hash is not computed", loose: true, buildTarget: targetOpen("HMARK")},
	}
}

const natWhy = "a port that is chosen at random is not known; of a range of more than 64 addresses or ports none is followed"

func changing() []extension {
	const mark = "set-mark set-xmark and-mark or-mark xor-mark"
	const ct = "notrack:0 helper ctevents expevents zone zone-orig zone-reply timeout"
	return []extension{
		{name: "MARK", class: Exact, options: mark, buildTarget: targetMark},
		{name: "CONNMARK", class: Exact, options: mark + " save-mark:0 restore-mark:0 nfmask ctmask mask", buildTarget: targetConnmark},
		{name: "NOTRACK", class: Exact, buildTarget: targetNotrack},
		{name: "CT", class: Partly, why: "zones of one direction are open; helpers expect nothing", options: ct, buildTarget: targetCT},
		{name: "SET", class: Partly, why: "whether it adds or removes what a later rule asks for is open; --map-set is open", options: "add-set:2 del-set:2 map-set:2 exist:0 timeout map-mark:0 map-prio:0 map-queue:0", buildTarget: targetSet},
		{name: "TOS", class: Exact, options: "set-tos and-tos or-tos xor-tos", buildTarget: targetTOS},
		{name: "TTL", class: Partly, why: "a TTL that is not known stays so, and so does one that becomes 0", options: "ttl-set ttl-dec ttl-inc", buildTarget: targetTTL},
		{name: "HL", class: Partly, why: "a hop limit that is not known stays so, and so does one that becomes 0", options: "hl-set hl-dec hl-inc", buildTarget: targetTTL},
		{name: "DSCP", class: Exact, options: "set-dscp set-dscp-class", buildTarget: targetDSCP},
	}
}

// passives are the targets after which the packet goes on as before.
func passives() []extension {
	rows := []extension{
		{name: "LOG", why: "writes a log line", options: "log-prefix log-level log-tcp-sequence:0 log-tcp-options:0 log-ip-options:0 log-uid:0 log-macdecode:0"},
		{name: "NFLOG", why: "tells a program", options: "nflog-group nflog-prefix nflog-range nflog-size nflog-threshold"},
		{name: "ULOG", why: "tells a program", options: "ulog-nlgroup ulog-prefix ulog-cprange ulog-qthreshold"},
		{name: "TRACE", why: "writes a trace"},
		{name: "AUDIT", why: "writes an audit record", options: "type"},
		{name: "CLASSIFY", why: "sets the queueing class"},
		{name: "CHECKSUM", why: "fills in a checksum"},
		{name: "TCPMSS", why: "lowers the MSS of a connection"},
		{name: "TCPOPTSTRIP", why: "removes TCP options"},
		{name: "TEE", why: "sends a copy; the copy is not followed"},
		{name: "ECN", why: "ECN bits are not simulated"},
		{name: "CONNSECMARK", why: "sets a security label"},
		{name: "SECMARK", why: "sets a security label"},
		{name: "IDLETIMER", why: "starts a timer"},
		{name: "RATEEST", why: "counts"},
		{name: "LED", why: "blinks"},
	}
	for i := range rows {
		rows[i].class, rows[i].loose, rows[i].buildTarget = Passive, true, targetPassive(rows[i].name)
	}
	return rows
}
