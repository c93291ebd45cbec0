package route

import "slices"

// A Row documents how far one thing is modelled.
type Row struct {
	Name  string // as people write it
	Class string // exact, partly, or open: both ways are followed, or the answer is unknown
	Note  string // what it does; where it is not exact, what is open and why
}

const (
	exact  = "exact"
	partly = "partly"
	open   = "open"
)

// Types returns a row for every type of route. A route of another type cannot
// be read.
func Types() []Row {
	return []Row{
		{string(TypeUnicast), exact, "goes on by the next hop"},
		{string(TypeLocal), exact, "for this host"},
		{string(TypeBroadcast), partly, "for the sockets of this host; who hears what is sent to one, and bc_forwarding, are open"},
		{string(TypeMulticast), partly, "groups that the kernel joins by itself are known, those of sockets are in no dump; who hears what is sent to one is open"},
		{string(TypeAnycast), exact, "IPv6: for this host; neither TCP nor a reset answers"},
		{string(TypeBlackhole), exact, "discarded without a word; a local sender is told at once"},
		{string(TypeUnreachable), exact, "host unreachable; IPv6: no route"},
		{string(TypeProhibit), exact, "administratively prohibited"},
		{string(TypeThrow), exact, "the next rule is asked"},
	}
}

// known reports whether t has a row.
func (t Type) known() bool {
	return slices.ContainsFunc(Types(), func(r Row) bool { return r.Name == string(t) })
}

// Selectors returns a row for everything that a policy rule may ask for or do,
// by the word of "ip rule".
func Selectors() []Row {
	return []Row{
		{"from", exact, "IPv6: a sender that the routes refuse without an address is asked about again with one"},
		{"to", exact, ""},
		{"iif", exact, "iif lo: what was born here; a VRF stands for its devices"},
		{"oif", exact, "the device that the sender is bound to"},
		{"fwmark", exact, "with mask"},
		{"tos", exact, "IPv4 compares three bits, IPv6 six"},
		{"dscp", exact, "all six bits"},
		{"ipproto", exact, ""},
		{"sport", exact, ""},
		{"dport", exact, ""},
		{"uidrange", partly, "packets that were not born here count as root's; whose the others are is open"},
		{"l3mdev", exact, "the table of the packet's VRF"},
		{"not", exact, ""},
		{"tun_id", open, "what tunnel a packet came by is not kept; so are flowlabel, and masks of sport, dport and dscp"},
		{"lookup", exact, "the longest prefix, then TOS and metric"},
		{"goto", exact, ""},
		{"nop", exact, ""},
		{"blackhole", exact, ""},
		{"unreachable", exact, "net unreachable"},
		{"prohibit", exact, ""},
		{"suppress_prefixlength", exact, ""},
		{"suppress_ifgroup", exact, ""},
	}
}

// Hops returns a row for what a route or a next hop may have.
func Hops() []Row {
	return []Row{
		{"via", exact, "of the other family too; a gateway that is this host's own means on link"},
		{"onlink", exact, ""},
		{"src", exact, "else by scope (IPv4) or RFC 6724 (IPv6)"},
		{"metric", exact, ""},
		{"nexthop", partly, "multipath: one branch for each way that can be used, by weight. The hash of the flow (fib_multipath_hash_policy) is not computed: all packets of one flow take one of the branches"},
		{"nhid", partly, "next hop objects and groups, as multipath; a resilient group is one too, though its buckets keep old ways longer"},
		{"dead", exact, "not used, as those of devices that are down or gone"},
		{"linkdown", exact, "not used where ignore_routes_with_linkdown says so"},
		{"mtu", exact, "of the route before that of the device; a lock changes nothing"},
		{"hoplimit", exact, "of what is sent here"},
		{"pref", exact, "of IPv6 routers: low, medium, high"},
		{"encap", open, "lightweight tunnels (mpls, ip, seg6, bpf, ...): what they do to a packet is unknown"},
		{"from", open, "IPv6 routes by source: the section is truncated then, and every answer of the family is in doubt"},
		{"realms", open, "not collected: -m realm is open"},
		{"expires", exact, "a route that is in the dump was there"},
		{"equal default routes", open, "IPv4 prefers a gateway that answers (fib_select_default)"},
		{"several ways and an own address", open, "Linux 6.16 and later prefer the way to which the sender's address belongs"},
	}
}
