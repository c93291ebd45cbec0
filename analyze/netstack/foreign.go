package netstack

// opaqueChains asks about chains of nftables at a device, which run beside what
// tc runs there, and reports whether the branch ended there (nf_ingress,
// nf_hook_egress).
func (r *run) opaqueChains(hook, dev string) bool {
	name := map[string]string{"tc-ingress": "ingress", "tc-egress": "egress"}[hook]
	for _, family := range []string{"netdev", "inet"} {
		if d := r.ns.nft.Opaque(family, name, dev); name != "" && d != nil && r.forks(*d) {
			return true
		}
	}
	return false
}

// bridgeChains asks about chains of the family bridge, which see frames and not
// packets, and reports whether the branch ended there (br_handle_frame,
// br_forward, br_pass_frame_up).
func (r *run) bridgeChains(hooks ...string) bool {
	for _, hook := range hooks {
		if d := r.ns.nft.Opaque("bridge", hook, ""); d != nil && r.forks(*d) {
			return true
		}
	}
	return false
}
