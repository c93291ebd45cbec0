package iptables

import (
	"slices"
	"strings"
)

// kubeProxyCounters are the accounting objects that kube-proxy makes and counts
// packets by (pkg/proxy/metrics): it gives them no quota.
const kubeProxyCounters = "ct_state_invalid_dropped_pkts localhost_nps_accepted_pkts"

// matchNfacct counts a packet. One that is counted without a quota is matched
// (nfacct_mt in net/netfilter/xt_nfacct.c); of another's objects the bundle does
// not tell whether they have one.
func matchNfacct(b *building, options []option) error {
	for _, o := range options {
		if !slices.Contains(strings.Fields(kubeProxyCounters), o.arg()) {
			return openMatch(b, options)
		}
	}
	return nil
}
