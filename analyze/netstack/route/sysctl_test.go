package route

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// TestSysctlNames reads sysctls of devices with dots, however they are written.
func TestSysctlNames(t *testing.T) {
	f := &FIB{info: &nodedump.NetNSInfo{File: "netns.json", Sysctls: map[string]string{
		"net.ipv4.conf.flannel/1.rp_filter": "2", "net.ipv6.conf.vxlan-v6/calico.hop_limit": "64", "net.ipv4.conf.eth0.100.rp_filter": "1",
		"net.ipv4.ip_forward": "1"}}}
	for name, want := range map[string]string{
		"net.ipv4.conf.flannel.1.rp_filter": "2", "net.ipv4.conf.flannel/1.rp_filter": "2", "net.ipv6.conf.vxlan-v6.calico.hop_limit": "64",
		"net.ipv4.conf.eth0.100.rp_filter": "1", "net.ipv4.ip_forward": "1", "net.ipv4.conf.flannel.2.rp_filter": "", "net": "", "net.ipv4.conf.x": "",
	} {
		value, _, ok := f.Sysctl(name)
		require.Equal(t, want, value, name)
		require.Equal(t, want != "", ok, name)
	}
}
