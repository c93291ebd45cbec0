package netns

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A knobs lists sysctls of one directory below /proc/sys/net. If each is set
// there are directories for all devices in between.
type knobs struct {
	dir   string
	each  bool
	names string
}

// sysctlKnobs lists the knobs that decide about packets.
func sysctlKnobs() []knobs {
	return []knobs{
		{"bridge", false, "bridge-nf-call-arptables bridge-nf-call-ip6tables bridge-nf-call-iptables " +
			"bridge-nf-filter-pppoe-tagged bridge-nf-filter-vlan-tagged bridge-nf-pass-vlan-input-dev"},
		{"ipv4", false, "ip_forward ip_default_ttl ip_no_pmtu_disc ip_forward_use_pmtu ip_nonlocal_bind ip_local_port_range " +
			"ip_local_reserved_ports ip_unprivileged_port_start ip_early_demux fib_multipath_hash_policy fib_multipath_use_neigh fwmark_reflect " +
			"tcp_fwmark_accept tcp_mtu_probing tcp_base_mss tcp_l3mdev_accept udp_l3mdev_accept raw_l3mdev_accept " +
			"nexthop_compat_mode icmp_ratelimit icmp_ratemask icmp_echo_ignore_all icmp_echo_ignore_broadcasts " +
			"icmp_errors_use_inbound_ifaddr"},
		{"ipv4/conf", true, "forwarding rp_filter accept_local route_localnet arp_ignore arp_announce arp_filter arp_accept " +
			"proxy_arp proxy_arp_pvlan src_valid_mark disable_policy disable_xfrm accept_redirects send_redirects " +
			"secure_redirects shared_media accept_source_route bc_forwarding mc_forwarding ignore_routes_with_linkdown " +
			"drop_unicast_in_l2_multicast"},
		{"ipv4/vs", false, "conntrack snat_reroute expire_nodest_conn expire_quiescent_template cache_bypass pmtu_disc sloppy_tcp " +
			"sloppy_sctp nat_icmp_send schedule_icmp backup_only conn_reuse_mode ignore_tunneled drop_packet"},
		{"ipv6", false, "bindv6only ip_nonlocal_bind fwmark_reflect fib_multipath_hash_policy"},
		{"ipv6/icmp", false, "ratelimit echo_ignore_all echo_ignore_multicast echo_ignore_anycast"},
		{"ipv6/conf", true, "forwarding force_forwarding disable_ipv6 accept_ra accept_redirects accept_source_route proxy_ndp " +
			"disable_policy ignore_routes_with_linkdown drop_unicast_in_l2_multicast seg6_enabled accept_dad hop_limit use_tempaddr use_oif_addrs_only"},
		{"netfilter", false, "nf_conntrack_max nf_conntrack_count nf_conntrack_buckets nf_conntrack_checksum " +
			"nf_conntrack_tcp_be_liberal nf_conntrack_tcp_loose nf_conntrack_tcp_ignore_invalid_rst nf_conntrack_helper " +
			"nf_hooks_lwtunnel"},
	}
}

// readSysctls reads the knobs of the namespace: what /proc/sys/net shows
// follows the thread that reads it.
func (d *dumper) readSysctls() error {
	const root = "/proc/sys/net"
	for _, k := range sysctlKnobs() {
		dirs := []string{filepath.Join(root, k.dir)}
		if k.each {
			entries, _ := os.ReadDir(dirs[0]) // absent: the protocol is
			dirs = nil
			for _, entry := range entries {
				dirs = append(dirs, filepath.Join(root, k.dir, entry.Name()))
			}
		}
		for _, dir := range dirs {
			if time.Now().After(d.deadline) {
				return &statusError{nodedump.StatusTimedOut, "no time for " + dir}
			}
			d.readKnobs(dir, strings.Fields(k.names))
		}
	}
	return nil
}

// readKnobs reads sysctls of one directory. Not every kernel has all of them,
// and a device may go away.
func (d *dumper) readKnobs(dir string, names []string) {
	for _, name := range names {
		path := filepath.Join(dir, name)
		if value, err := os.ReadFile(path); err == nil {
			d.info.Sysctls[sysctlName(path)] = strings.Join(strings.Fields(string(value)), " ")
		}
	}
}

// sysctlName turns a path into the name that sysctl prints: a dot in the name
// of a device becomes a slash.
func sysctlName(path string) string {
	path = strings.TrimPrefix(path, "/proc/sys/")
	return strings.NewReplacer("/", ".", ".", "/").Replace(path)
}
