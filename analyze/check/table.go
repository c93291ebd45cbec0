package check

// rows is the table of checks, in the order in which they run: of two checks
// that find the same thing the first one says it.
func rows() []row {
	return []row{
		{"bundle", "parts of the bundle that were not read", []string{"bundle/part-missing"}, checkParts},
		{"nodes", "nodes that are not ready, or were not collected", []string{"cluster/node-not-ready"}, checkNodes},
		{"pods", "running pods without an address, or whose device does not have it", []string{"pod/address-missing", "pod/no-address"}, checkPods},
		{"services", "selectors and target ports that match nothing, endpoints that are not ready or do not listen",
			[]string{"service/no-endpoints", "service/unready-endpoints", "socket/none"}, checkServices},
		{"drift", "what the rules of each node make of the Services, against what they should",
			[]string{"service/affinity", "service/health-check", "service/ipset-missing", "service/ipvs-address-missing", "service/ipvs-weight", "service/local-sends-away", "service/masquerade-missing", "service/missing-endpoint", "service/not-refused",
				"service/not-translated", "service/other-proxy-mode", "service/rules-missing", "service/source-ranges", "service/stale-endpoint", "service/stale-service",
				"service/wrong-port", "service/wrong-protocol"}, checkDrift},
		{"cni", "nodes with the remains of another network plugin, or with an agent that is not of the plugin that sets up their pods",
			[]string{"cni/leftover", "cni/mismatch"}, checkCNI},
		{"network", "what the network plugin needs of each node: devices, routes, neighbours, forwarding entries, masquerading",
			[]string{"address/duplicate", "address/overlap", "address/wrong", "bgp/not-established", "bridge/hairpin", "bridge/no-master", "bridge/port-state", "cni/broken", "cni/contradiction", "fdb/missing", "fdb/wrong", "link/down", "link/missing", "mtu/too-small", "neigh/missing", "neigh/wrong",
				"netfilter/drop", "netfilter/masquerade-missing", "network/not-checked", "route/blackhole", "route/diverted", "route/missing", "route/unreachable", "sysctl/rp-filter"}, checkNetwork},
		{"routes", "pods and nodes without a default route", []string{"route/missing"}, checkRoutes},
		{"neighbours", "neighbour entries that lead to another's hardware address", []string{"neigh/wrong"}, checkNeighbours},
		{"devices", "devices that are down, and cables of pods that lead nowhere", []string{"bridge/no-master", "bridge/port-state", "link/down"}, checkDevices},
		{"sysctls", "forwarding, and bridges that hide pods from netfilter", []string{"sysctl/bridge-nf", "sysctl/ip-forward"}, checkSysctls},
		{"conntrack", "tables of connections that are nearly full", []string{"conntrack/full", "conntrack/nearly-full"}, checkConntrack},
		{"mtu", "tunnels and pods that send more than the device below takes, and nodes that differ", []string{"mtu/mismatch", "mtu/too-small"}, checkMTU},
		{"backends", "rules of iptables-legacy that packets meet beside those of iptables-nft", []string{"netfilter/mixed-backends"}, checkBackends},
		{"pod-rules", "rules in the pods' own namespaces that drop or reject", []string{"netfilter/drop"}, checkPodRules},
		{"addresses", "addresses that two pods, nodes or Services have", []string{"address/duplicate"}, checkAddresses},
		{"ranges", "pod CIDRs that overlap with each other, with Services or with the nodes' network", []string{"address/overlap"}, checkRanges},
		{"ways", "echo requests from a pod of each node to one of the next",
			[]string{"bridge/hairpin", "bridge/no-master", "bridge/port-state", "conntrack/full", "fdb/missing", "fdb/wrong", "link/down", "link/missing", "mtu/too-small",
				"neigh/missing", "neigh/wrong", "netfilter/drop", "netfilter/masquerade-missing", "netfilter/reject", "route/blackhole", "route/diverted",
				"route/missing", "route/unreachable", "sysctl/bridge-nf", "sysctl/ip-forward", "sysctl/rp-filter", "walk/loop", "walk/martian"}, checkWays},
		{"connections", "connections between pods, and whether the policies hold",
			[]string{"bridge/hairpin", "bridge/no-master", "bridge/port-state", "conntrack/full", "fdb/missing", "fdb/wrong", "link/down", "link/missing", "mtu/too-small",
				"neigh/missing", "neigh/wrong", "netfilter/drop", "netfilter/masquerade-missing", "netfilter/reject", "policy/not-enforced", "policy/not-programmed",
				"route/blackhole", "route/diverted", "route/missing", "route/unreachable", "sysctl/bridge-nf", "sysctl/ip-forward", "sysctl/rp-filter", "walk/loop",
				"walk/martian"}, checkConnections},
		{"odd-node", "nodes that ought to be alike and differ: rules, routes, sysctls, MTUs, modules of the kernel, versions",
			[]string{"odd/modules", "odd/mtu", "odd/routes", "odd/rules", "odd/software", "odd/sysctl"}, checkOdd},
	}
}
