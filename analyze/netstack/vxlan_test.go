package netstack

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// skb_scrub_packet leaves the mark on a packet that gets a tunnel's header in
// its own namespace, and on one that loses it there.
func TestVXLANKeepsTheMark(t *testing.T) {
	mark := "*mangle\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i %s -j MARK --set-xmark 0x7/0xffffffff\nCOMMIT\n"
	drop := "*filter\n:OUTPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n-A %s -m mark --mark 0x7 -j DROP\nCOMMIT\n"
	in := frame("tcp 10.244.1.8:4 > 10.244.2.9:80", "02:00:00:00:01:00")
	ns := world(t, node+remote, fmt.Sprintf(mark, "cni0")+fmt.Sprintf(drop, "OUTPUT -p udp"))
	require.Equal(t, "dropped netfilter/drop", ended(one(t, ns.Input(in, "veth1", everybody()))))

	inner := frame("tcp 10.244.2.9:4 > 10.244.1.8:80", "02:00:00:00:02:01")
	outer := pkt("udp 172.31.0.2:50000 > 172.31.0.1:8472")
	outer.Encap, outer.VNI = &inner, 1
	ns = world(t, node+remote, fmt.Sprintf(mark, "eth0")+fmt.Sprintf(drop, "FORWARD -i flannel.1"))
	require.Equal(t, "dropped netfilter/drop", ended(one(t, ns.Input(outer, "eth0", everybody()))))
}

// vxlan_xmit sends a frame to every remote of an entry.
func TestSeveralVTEPs(t *testing.T) {
	ns := world(t, node+"neigh 10.244.2.0 flannel.1 02:00:00:00:02:02\nfdb 00:00:00:00:00:00 flannel.1 172.31.0.3\nfdb 00:00:00:00:00:00 flannel.1 172.31.0.2", "")
	got := one(t, ns.Input(frame("tcp 10.244.1.8:4 > 10.244.2.9:80", "02:00:00:00:01:00"), "veth1", everybody()))
	require.Equal(t, model.Unknown, got.Disposition)
	require.NotEmpty(t, got.Doubts)
}

// ip_fragment cuts the outer packet: DF of the inner one is not its own, and
// skb_tunnel_check_pmtu answers only to what was bridged into the tunnel.
func TestVXLANCutsTheOuterPacket(t *testing.T) {
	in := frame("tcp 10.244.1.8:4 > 10.244.2.9:80", "02:00:00:00:01:00")
	in.Kind, in.Size, in.DF = model.KindData, 1450, true
	ns := world(t, node+remote, "")
	ns.byIndex[2].MTU = 1400
	got := one(t, ns.Input(in, "veth1", everybody()))
	require.Equal(t, "forwarded eth0", ended(got))
	require.Equal(t, 1400, got.Packet.Size)
	require.Equal(t, 1450, got.Packet.Encap.Size)

	ns.byIndex[6].Master, ns.byIndex[6].Port = 3, &nodedump.Port{State: "forwarding"} // flannel.1 on cni0
	in.DstMAC = "02:00:00:00:02:02"
	ns.fdb[fdbKey{"cni0", in.DstMAC}] = []*nodedump.FDBEntry{{MAC: in.DstMAC, Dev: "flannel.1"}}
	got = one(t, ns.Input(in, "veth1", everybody()))
	require.Equal(t, "too-big mtu/too-small answer=error(3,4)", ended(got))
	require.Equal(t, 1350, got.PathMTU)
}
