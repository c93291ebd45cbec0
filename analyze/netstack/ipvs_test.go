package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// ip_vs_in_hook takes a packet to a virtual server before any socket is asked:
// that nobody listens there means nothing.
func TestVirtualServersAreNotGuessed(t *testing.T) {
	for _, tt := range []struct {
		name, packet string
		known        bool
		want         model.Disposition
	}{
		{"a virtual server", "tcp 10.244.1.8:4 > 10.96.0.1:443", true, model.Unknown},
		{"another port", "tcp 10.244.1.8:4 > 10.96.0.1:80", true, model.NoListener},
		{"another protocol", "udp 10.244.1.8:4 > 10.96.0.1:443", true, model.NoListener},
		{"every port", "udp 10.244.1.8:4 > 10.96.0.2:5", true, model.Unknown},
		{"what was not collected", "tcp 10.244.1.8:4 > 10.96.0.1:80", false, model.Unknown},
		{"no address of IPVS", "tcp 10.244.1.8:4 > 172.31.0.1:80", false, model.NoListener},
	} {
		ns := world(t, node+"dev kube-ipvs0 dummy 02:00:00:00:09:00 10.96.0.1/32 10.96.0.2/32", "")
		ns.Info.IPVS = part("n/netns/host/ipvs.json", "{\n\"rules\": [\n\"-A -t 10.96.0.1:443 -s rr\",\n\"-a -t 10.96.0.1:443 -r 10.244.1.9:6443 -m -w 1\",\n\"-A -u 10.96.0.2:0 -s rr -p 60\"\n]\n}\n")
		if !tt.known {
			ns.Info.IPVS = nodedump.Part{Status: nodedump.StatusFailed}
		}
		got := one(t, ns.Input(frame(tt.packet, "02:00:00:00:01:00"), "veth1", everybody()))
		require.Equal(t, tt.want, got.Disposition, tt.name)
	}
}
