package policy

// A natOrder says what a network plugin's policies see of a translated packet.
// The API leaves it open (networking/v1, IPBlock, and the documentation of
// NetworkPolicy: "behavior of to and from selectors").
type natOrder struct {
	plugin          string // "" for one that is not known
	ingress, egress string
}

// natOrders lists what is known, the last for the rest.
func natOrders() []natOrder {
	const (
		forwarded = "addresses are seen before the destination's node masquerades them and after another node has: a client from outside is the node that took it in, unless externalTrafficPolicy is Local"
		backend   = "addresses are seen after Services are translated: it is the backend's address that counts"
	)
	return []natOrder{
		{"calico", forwarded, backend},
		{"kube-router", forwarded, backend},
		{"kindnet", forwarded, backend},
		{"cilium", "addresses of pods and, by default, of nodes are in no ipBlock: Cilium knows them by identity; a client from outside is the node that took it in unless its address was kept", "Services are translated before: it is the backend that counts; ipBlocks hold neither pods nor, by default, nodes"},
		{"", "whether addresses are seen before or after translation depends on the network plugin: a client from outside may be seen as the node that took it in", "whether addresses are seen before or after translation depends on the network plugin: the address of a Service may count, or that of its backend"},
	}
}

// natComment says what addresses policies see.
func natComment(plugin string, d Direction) string {
	all := natOrders()
	n := all[len(all)-1]
	for _, one := range all {
		if one.plugin == plugin {
			n = one
			break
		}
	}
	text := n.egress
	if d == Ingress {
		text = n.ingress
	}
	if n.plugin != "" {
		return "ipBlock (" + n.plugin + "): " + text
	}
	return "ipBlock: " + text
}
