package analyze

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// tcp_mtu_probing (net/ipv4/tcp_timer.c): a sender that hears of no smaller MTU
// finds one by itself, if it may.
func TestSenderProbesForSmallerMTU(t *testing.T) {
	for _, tt := range []struct {
		probing, base string
		size, want    int
	}{
		{"0", "1024", 1450, 0},
		{"", "", 1450, 0},
		{"1", "1024", 1450, 1076},
		{"2", "", 1450, 1076},
		{"1", "1024", 1076, 564},
		{"1", "1400", 1450, 752},
		{"1", "1024", 100, 0},
	} {
		info := &nodedump.NetNSInfo{Key: "host", Sysctls: map[string]string{"net.ipv4.tcp_mtu_probing": tt.probing, "net.ipv4.tcp_base_mss": tt.base}}
		ns, _ := netstack.New(info)
		c := &conversation{network: &network{Analyzer: &Analyzer{atlas: &atlas{
			netns: map[topology.Place]*netstack.NetNS{{Base: "nodes/n1", Netns: "host"}: ns}}}}}
		require.Equal(t, tt.want, c.probed(hop("n1"), tt.size), "%+v", tt)
	}
}
