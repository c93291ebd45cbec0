package service

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// The rules that kube-proxy 1.34.4 wrote for the Services of testdata on the
// node n1. Its proxier iptables ran in a network namespace with iptables 1.8.9.

func readTestdata(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/kube-proxy-1.34-" + name + ".txt")
	require.NoError(t, err)
	return strings.ReplaceAll(string(data), "\r\n", "\n")
}

func TestDriftOfRealIPTables(t *testing.T) {
	same := func(text string) string { return text }
	part := func(text string) nodedump.Part {
		return nodedump.Part{File: "iptables-save.txt", Status: nodedump.StatusOK, Data: []byte(text)}
	}
	for _, tt := range []struct {
		name, config string
		change       func(string) string
		v4, v6       string
	}{
		{"v4", "clusterCIDR: 10.244.0.0/16\n", same, "iptables-v4", ""},
		{"v6", "clusterCIDR: fd00:10:244::/48\n", sixth, "", "iptables-v6"},
		{"pods by the names of their devices", "detectLocalMode: InterfaceNamePrefix\n", same, "iptables-prefix", ""},
	} {
		k := compiled(t, tt.config, tt.change)
		info := &nodedump.NetNSInfo{IPTables: part(""), IP6Tables: part("")}
		for name, into := range map[string]*nodedump.Part{tt.v4: &info.IPTables, tt.v6: &info.IP6Tables} {
			if name != "" {
				*into = part(readTestdata(t, name))
			}
		}
		d := k.Drifter()
		require.NotEmpty(t, d.readings(info), tt.name)
		require.Empty(t, tell(d.Drift("n1", info)), tt.name)
	}
}

func TestDriftOfRealIPVS(t *testing.T) {
	same := func(text string) string { return text }
	for _, tt := range []struct {
		name, config string
		change       func(string) string
	}{
		{"ipvs-v4", "mode: ipvs\nclusterCIDR: 10.244.0.0/16\n", same},
		{"ipvs-v6", "mode: ipvs\nclusterCIDR: fd00:10:244::/48\n", sixth},
	} {
		k := compiled(t, tt.config, tt.change)
		text := readTestdata(t, tt.name)
		section := func(name string) string {
			_, out, found := strings.Cut(text, "-- "+name+" --\n")
			require.True(t, found, name)
			out, _, _ = strings.Cut(out, "-- ")
			return out
		}
		info := ipvsNode(section("dummy"), section("ipvs"), section("ipset"), "")
		for i, addr := range []string{"192.168.10.11/24", "10.244.1.1/24"} {
			info.Interfaces[i+1].Addrs[0].Prefix = addr
		}
		if tt.name == "ipvs-v6" {
			info.Interfaces[1].Addrs[0].Prefix, info.Interfaces[2].Addrs[0].Prefix = "fd10::11/64", "fd00:10:244:1::1/64"
			info.IP6Tables.Data = []byte(section("iptables"))
		} else {
			info.IPTables.Data = []byte(section("iptables"))
		}
		require.Empty(t, tell(k.Drift("n1", info)), tt.name)
	}
}

func TestDriftOfSourceRangesOfIPTables(t *testing.T) {
	k := recorded(t, "clusterCIDR: 10.244.0.0/16\n")
	for _, tt := range []driftRow{
		{"everybody", `~ (-A KUBE-SERVICES -d 203.0.113.22/32 .*)-j KUBE-FW- => ${1}-j KUBE-EXT-`, []string{
			"warning service/source-ranges node n1 lets everybody to svc edge/ranged:443 (203.0.113.22:443/tcp), whose loadBalancerSourceRanges are 198.51.100.0/24"}},
		{"others, too", `~ (-A KUBE-FW-QQPGN4LQQH37S7NV )-s 198.51.100.0/24(.*) => ${1}-s 198.51.100.0/24${2}` + "\n" + `${1}-s 192.0.2.0/24${2}`, []string{
			"warning service/source-ranges node n1 lets 192.0.2.0/24 to svc edge/ranged:443 (203.0.113.22:443/tcp), whose loadBalancerSourceRanges are 198.51.100.0/24"}},
		{"only others", `~ (-A KUBE-FW-QQPGN4LQQH37S7NV )-s 198.51.100.0/24 => ${1}-s 192.0.2.0/24`, []string{
			"critical service/source-ranges node n1 does not let 198.51.100.0/24 to svc edge/ranged:443 (203.0.113.22:443/tcp), whose loadBalancerSourceRanges have it"}},
	} {
		info := &nodedump.NetNSInfo{IPTables: nodedump.Part{File: "iptables-save.txt", Status: nodedump.StatusOK, Data: []byte(edit(t, readTestdata(t, "iptables-v4"), tt.edits))}}
		require.Equal(t, tt.want, tell(k.Drift("n1", info)), tt.why)
	}
}
