package model

import "slices"

// A Code documents one suspicion code. Codes are stable: scripts match them.
type Code struct {
	Code    string
	Meaning string // one sentence
	Remedy  string // what usually helps, in general words
}

// Codes returns every suspicion code, sorted. docs/suspicions.md is generated
// from it, and a test fails when a code has no scenario or unit test.
func Codes() []Code {
	return slices.Concat(wayCodes(), serviceCodes(), hostCodes())
}

// wayCodes are those before "service/": addresses, devices, routes, rules, policies.
func wayCodes() []Code {
	return []Code{
		{"address/duplicate", "Two pods, nodes or Services have the same address.", "Recreate all but one, and see how the address was given out twice."},
		{"address/overlap", "Ranges of addresses overlap that must not: of the nodes' pods, of Services, of the nodes' own network.", "Choose other ranges."},
		{"address/wrong", "The network knows a node or a pod by an address that is not right for it.", "Correct what the network's agent is told, and restart it; recreate the pod."},
		{"bgp/not-established", "A BGP session of a node is not up, so that it learns no routes from the other end.", "See that the agent runs at both ends, and that TCP port 179 is open between them."},
		{"bridge/hairpin", "A packet must leave its bridge by the port it came in by, and the port's hairpin mode is off.", "Turn hairpin mode of the bridge port on (hairpinMode in the CNI configuration)."},
		{"bridge/no-master", "A device that should be a port of a bridge is not.", "Put the device back into its bridge, or recreate the pod."},
		{"bridge/port-state", "A bridge port is not in the forwarding state.", "Bring the port's device up; look at STP."},
		{"bundle/misnamed", "The dump of a node is not called like the Node that it is of, and is compared with none.", "Give its directory the name of the Node, and import it again."},
		{"bundle/part-missing", "A part of the bundle was not read when it was collected.", "Collect it again and merge it, if an answer needs it."},
		{"cluster/node-not-ready", "The node that the packet crosses reports that it is not ready.", "Look at the node's conditions."},
		{"cni/broken", "The configuration of the network plugin cannot be read, or lacks what the plugin needs.", "Correct it, and restart the CNI agent of the nodes."},
		{"cni/contradiction", "Two records of the network plugin say different things: its configuration, what it left on a node, what it tells other nodes.", "Restart the CNI agent of the node, which writes them anew."},
		{"cni/leftover", "A node has configuration, annotations or devices of a network plugin that it does not use.", "Remove what is left of it, once no pod of its network runs on the node."},
		{"cni/mismatch", "The CNI configuration that a node's runtime uses is of another network than the agent that runs there.", "Remove the configuration that is no longer meant, or start the agent that belongs to it."},
		{"conntrack/full", "The connection tracking table has no room for another connection, so the first packet of each is dropped.", "Raise net.netfilter.nf_conntrack_max, or find out who opens so many connections."},
		{"conntrack/nearly-full", "The connection tracking table is filled to nine tenths or more.", "Raise net.netfilter.nf_conntrack_max, or find out who opens so many connections."},
		{"conntrack/stale-entry", "A tracked connection is still translated to a place where the rules send nobody any more.", "Delete the entry (conntrack -D), and see why it was not deleted when the endpoint went."},
		{"fdb/missing", "The forwarding database has no entry for the frame's destination.", "Restart the CNI agent of the node, which writes the entry."},
		{"fdb/wrong", "The forwarding database sends the frame to the wrong place.", "Restart the CNI agent of the node, which writes the entry."},
		{"infra/address-not-owned", "The network of the cloud does not let the packet pass, since its address is none of the interface's.", "Turn the source/destination check of the interface off, or give the address to the interface."},
		{"infra/load-balancer", "A load balancer of the cloud does not lead to the Service that has its address.", "See the events of the Service: the cloud controller manager makes listeners and groups of servers from it."},
		{"infra/route-missing", "The route table of the cloud's network has no entry that leads to the packet's destination.", "Add the entry; see whether the cloud controller manager runs, which writes the entries of the nodes."},
		{"infra/route-wrong", "The route table of the cloud's network leads the packet to another place than the node that it is meant for.", "Correct the entry."},
		{"infra/security-group", "A security group of the cloud does not let the packet pass.", "Add a rule that allows it, or remove the one that drops it."},
		{"link/down", "A device on the way is down.", "Set the device up."},
		{"link/missing", "A device on the way does not exist.", "Restart the CNI agent, or recreate the pod."},
		{"mtu/mismatch", "The devices of nodes in one network have different MTUs.", "Make the MTUs agree."},
		{"mtu/too-small", "Full-size packets are larger than an MTU on the way and are lost.", "Make the MTUs agree: pod MTU + encapsulation <= underlay MTU."},
		{"neigh/missing", "No neighbour entry exists and nobody answers for the address of the next hop.", "Restart the CNI agent if it writes the entry; otherwise see that the next hop is up."},
		{"neigh/wrong", "The neighbour entry leads to a hardware address that is not the next hop's.", "Delete the entry."},
		{"netfilter/drop", "A rule drops the packet.", "Remove the rule, or put an exception before it."},
		{"netfilter/masquerade-missing", "The packet leaves with a source address that cannot be answered.", "Restore the masquerade rules."},
		{"netfilter/masquerade-unwanted", "A packet between pods leaves with a node's address, as if its sender were another.", "Restart the network's agent on the node, which writes what is excepted from masquerading."},
		{"netfilter/mixed-backends", "Packets meet rules of both backends of iptables, of which each tool shows only its own.", "Move the rules to one backend."},
		{"netfilter/reject", "A rule rejects the packet.", "Remove the rule, or put an exception before it."},
		{"odd/modules", "A node's kernel has other modules loaded than those of the nodes that it ought to be like.", "Load the modules as on the other nodes."},
		{"network/not-checked", "What the network needs of a node was not checked: eBPF programs do its work, which no dump shows.", "Ask the network's own tools on the node."},
		{"odd/mtu", "A node has other MTUs than the nodes that it should be like.", "Make the MTUs agree."},
		{"odd/routes", "A node has other routes or policy rules than the nodes that it should be like.", "Restart what writes these routes on the node."},
		{"odd/rules", "A node has rules that the nodes that it should be like have not, or lacks rules that they have.", "See who wrote the rules; restart kube-proxy and the CNI agent if they are theirs."},
		{"odd/software", "A node runs other versions than the nodes that it should be like.", "Bring the node to the version of the others."},
		{"odd/sysctl", "A node has other sysctls than the nodes that it should be like, or a module that they have is not loaded.", "Set the sysctls as on the other nodes."},
		{"pod/address-missing", "No device of a running pod has the pod's address.", "Recreate the pod."},
		{"pod/no-address", "A running pod has no address.", "See what the CNI plugin of the node says, and whether its pod CIDR is used up."},
		{"policy/denied", "Policies deny the conversation.", "Allow it in the policy, if it is meant to pass."},
		{"policy/not-enforced", "Policies deny the conversation and the network lets it pass.", "Install a policy engine, or see whether it runs, if the policy is meant."},
		{"policy/not-programmed", "Policies allow the conversation and a rule of the policy agent stops it: stale, or not written yet.", "See whether the policy agent runs on the node and what it logs."},
		{"route/blackhole", "A blackhole route silently discards the packet.", "Delete the route."},
		{"route/diverted", "The packet is routed another way than the network plugin means.", "Correct the route or policy rule."},
		{"route/missing", "A route that the network plugin writes is missing.", "Restart the CNI agent of the node, which writes the route."},
		{"route/unreachable", "A route refuses the packet.", "Delete the route."},
	}
}

// serviceCodes are those of Services.
func serviceCodes() []Code {
	return []Code{
		{"service/affinity", "The node's rules keep clients at their endpoints otherwise than the Service's session affinity says.", "Restart kube-proxy on the node."},
		{"service/health-check", "Nobody listens at the healthCheckNodePort of a Service, so that load balancers leave the node out.", "Restart kube-proxy on the node."},
		{"service/ipset-missing", "An entry of a Service is not in a set of ipset that kube-proxy's rules go by in the mode ipvs.", "Restart kube-proxy on the node."},
		{"service/ipvs-address-missing", "The device kube-ipvs0 lacks an address of a Service, so that packets to it do not come to IPVS.", "Restart kube-proxy on the node."},
		{"service/ipvs-weight", "An endpoint of a Service has the weight 0 in IPVS, and gets no new connections.", "Restart kube-proxy on the node."},
		{"service/local-sends-away", "The node's rules send a Service whose traffic policy is Local to another node.", "Restart kube-proxy on the node."},
		{"service/masquerade-missing", "The node's rules do not masquerade packets to a Service whose answers would miss the node otherwise.", "Restart kube-proxy on the node."},
		{"service/missing-endpoint", "The node's rules do not send a Service to one of its endpoints.", "Restart kube-proxy on the node."},
		{"service/no-endpoints", "The Service has no ready endpoint for this packet.", "See why no pod matches the selector or is ready."},
		{"service/no-port", "The Service does not have this port.", "Use a port of the Service."},
		{"service/not-checked", "The node's rules were not compared with the Services: another program may implement them, or the rules were not collected.", "Look at the program that implements Services."},
		{"service/not-refused", "The node's rules do not refuse packets to a Service that has no endpoint for them.", "Restart kube-proxy on the node."},
		{"service/not-translated", "The node's rules do not translate the Service's address.", "Restart kube-proxy on the node."},
		{"service/other-proxy-mode", "The node has rules of another mode of kube-proxy than the one it runs in.", "Run kube-proxy --cleanup on the node and start it again."},
		{"service/rules-missing", "The node has none of kube-proxy's rules.", "Start kube-proxy on the node."},
		{"service/source-ranges", "The node's rules let other sources to the address of a load balancer than the Service's loadBalancerSourceRanges.", "Restart kube-proxy on the node."},
		{"service/stale-endpoint", "The node's rules send the Service to an address that is not an endpoint of it.", "Restart kube-proxy on the node."},
		{"service/stale-service", "The node's rules translate an address and port that no Service has.", "Restart kube-proxy on the node."},
		{"service/unready-endpoints", "A Service has endpoints that are not ready.", "Look at the readiness probes of these pods."},
		{"service/wrong-port", "The node's rules take or send a Service at another port than it has.", "Restart kube-proxy on the node."},
		{"service/wrong-protocol", "The node's rules take a Service for another protocol than it has.", "Restart kube-proxy on the node."},
	}
}

// hostCodes are those behind "service/": sockets, sysctls, the walk itself.
func hostCodes() []Code {
	return []Code{
		{"socket/loopback-only", "The port is served only on a loopback address.", "Bind the server to the pod's address or to all."},
		{"socket/none", "Nobody listens on the port.", "Start the server, or correct the port."},
		{"sysctl/bridge-nf", "Bridged packets bypass netfilter, so that replies are not translated back.", "Set net.bridge.bridge-nf-call-iptables=1."},
		{"sysctl/ip-forward", "Forwarding is off, so packets of others are discarded.", "Set net.ipv4.ip_forward=1."},
		{"sysctl/route-localnet", "A packet to or from 127.0.0.0/8 is discarded as martian.", "Do not use loopback addresses across devices, or set route_localnet."},
		{"sysctl/rp-filter", "Reverse path filtering discards the packet.", "Set rp_filter to 0 or 2, or mend the route back."},
		{"walk/loop", "The packet comes back to where it has been.", "Correct the routes."},
		{"walk/martian", "The packet's source address is impossible on the device it came in by.", "Correct the source address or the routes."},
	}
}
