package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// node is a node with two pods on a bridge and a VXLAN to another node.
const node = `
dev lo loopback 127.0.0.1/8 mtu=65536
dev eth0 nic 02:00:00:00:00:01 172.31.0.1/24
dev cni0 bridge 02:00:00:00:01:00 10.244.1.1/24
dev veth1 veth 02:00:00:00:01:01 master=cni0
dev veth2 veth 02:00:00:00:01:02 master=cni0
dev flannel.1 vxlan 02:00:00:00:02:01 10.244.1.0/32 mtu=1450 vni=1,172.31.0.1
route 172.31.0.0/24 eth0
route 10.244.1.0/24 cni0
route 10.244.2.0/24 flannel.1 10.244.2.0
neigh 10.244.1.8 cni0 0a:00:00:00:00:08
neigh 10.244.1.9 cni0 0a:00:00:00:00:09
neigh 172.31.0.2 eth0 02:00:00:00:00:02
fdb 0a:00:00:00:00:08 veth1 port
fdb 0a:00:00:00:00:09 veth2 port
`

const remote = "neigh 10.244.2.0 flannel.1 02:00:00:00:02:02\nfdb 02:00:00:00:02:02 flannel.1 172.31.0.2\n"

func frame(s, mac string) model.Packet {
	p := pkt(s)
	p.DstMAC = mac
	return p
}

const service = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.96.0.1/32 -p tcp -j DNAT --to-destination 10.244.1.8:80\nCOMMIT\n"

func TestBridge(t *testing.T) {
	const gw = "02:00:00:00:01:00"
	for _, tt := range []struct {
		name         string
		in           model.Packet
		dev          string
		more, rules  string
		want, packet string
	}{
		{"from port to port", frame("tcp 10.244.1.8:4 > 10.244.1.9:80", "0a:00:00:00:00:09"), "veth1", "", "", "forwarded veth2", ""},
		{"to the host", frame("tcp 10.244.1.8:4 > 10.244.1.1:80", gw), "veth1", "listen tcp 0.0.0.0:80", "", "delivered answer=reply", ""},
		{"FORWARD sees bridged packets", frame("tcp 10.244.1.8:4 > 10.244.1.9:80", "0a:00:00:00:00:09"), "veth1", "", "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", "dropped netfilter/drop", ""},
		{"unless br_netfilter is off", frame("tcp 10.244.1.8:4 > 10.244.1.9:80", "0a:00:00:00:00:09"), "veth1", "sysctl net.bridge.bridge-nf-call-iptables 0", "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", "forwarded veth2", ""},
		{"physdev", frame("tcp 10.244.1.8:4 > 10.244.1.9:80", "0a:00:00:00:00:09"), "veth1", "", "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m physdev --physdev-in veth1 --physdev-out veth2 -j DROP\nCOMMIT\n", "dropped netfilter/drop", ""},
		{"to a Service of a pod on the same bridge", frame("tcp 10.244.1.9:4 > 10.96.0.1:80", gw), "veth2", "", service, "forwarded veth1", "tcp 10.244.1.9:4 > 10.244.1.8:80"},
		{"nobody behind any port", frame("tcp 10.244.1.8:4 > 10.244.1.9:80", "0a:00:00:00:00:77"), "veth1", "", "", "dropped neigh/wrong", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := world(t, node+tt.more, tt.rules)
			leads := netfilter.AnswerOf(tt.want != "dropped neigh/wrong")
			got := one(t, ns.Input(tt.in, tt.dev, Call{Wire: flat{netfilter.No, leads}}))
			require.Equal(t, tt.want, ended(got))
			if tt.packet != "" {
				require.Equal(t, tt.packet, got.Packet.String())
			}
		})
	}
}

// br_netfilter shows the bridge's PREROUTING a frame that is bridged, not only
// one that is routed: a new destination behind the same port needs hairpin mode.
func TestHairpin(t *testing.T) {
	dnat := "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.244.1.9/32 -p tcp -j DNAT --to-destination 10.244.1.8:80\nCOMMIT\n"
	in := frame("tcp 10.244.1.8:4 > 10.244.1.9:80", "0a:00:00:00:00:09")
	ns := world(t, node, dnat)
	require.Equal(t, "dropped bridge/hairpin", ended(one(t, ns.Input(in, "veth1", everybody()))))
	ns = world(t, node+"sysctl x 1", dnat)
	ns.byIndex[4].Port.Hairpin = true
	require.Equal(t, "forwarded veth1", ended(one(t, ns.Input(in, "veth1", everybody()))))
}

// A reply that is bridged past conntrack is not translated back.
func TestBridgedReplyWithoutNetfilter(t *testing.T) {
	ns := world(t, node+"sysctl net.bridge.bridge-nf-call-iptables 0", service)
	out := one(t, ns.Input(frame("tcp 10.244.1.9:4 > 10.96.0.1:80", "02:00:00:00:01:00"), "veth2", everybody()))
	require.Equal(t, "tcp 10.244.1.9:4 > 10.244.1.8:80", out.Packet.String())
	reply := out.Packet.Reply(model.KindReply)
	reply.DstMAC = "0a:00:00:00:00:09"
	call := everybody()
	call.Flow = out.Flow
	back := one(t, ns.Input(reply, "veth1", call))
	require.Equal(t, "tcp 10.244.1.8:80 > 10.244.1.9:4 reply", back.Packet.String())
	require.Len(t, back.Noted, 1)
	require.Equal(t, "sysctl/bridge-nf", back.Noted[0].Code)
}

func TestVXLAN(t *testing.T) {
	in := frame("tcp 10.244.1.8:4 > 10.244.2.9:80", "02:00:00:00:01:00")
	for _, tt := range []struct{ name, more, rules, want string }{
		{"encapsulated", remote, "", "forwarded eth0"},
		{"no neighbour entry, and ARP has nowhere to go", "fdb 02:00:00:00:02:02 flannel.1 172.31.0.2", "", "neighbor-unreachable neigh/missing answer=error(3,1)"},
		{"no FDB entry", "neigh 10.244.2.0 flannel.1 02:00:00:00:02:02", "", "dropped fdb/missing"},
		{"a default FDB entry", "neigh 10.244.2.0 flannel.1 02:00:00:00:02:02\nfdb 00:00:00:00:00:00 flannel.1 172.31.0.2", "", "forwarded eth0"},
		{"the outer packet meets OUTPUT", remote, "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp --dport 8472 -j DROP\nCOMMIT\n", "dropped netfilter/drop"},
		{"a reject of the outer packet is not heard inside", remote, "*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p udp --dport 8472 -j REJECT\nCOMMIT\n", "rejected netfilter/reject"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := world(t, node+tt.more, tt.rules)
			got := one(t, ns.Input(in, "veth1", Call{Wire: flat{netfilter.No, netfilter.Yes}}))
			require.Equal(t, tt.want, ended(got))
		})
	}
	t.Run("out of the tunnel", func(t *testing.T) {
		sender := world(t, node+remote, "")
		out := one(t, sender.Input(in, "veth1", everybody())).Packet
		require.Equal(t, "udp 172.31.0.1:50000 > 172.31.0.2:8472 (tcp 10.244.1.8:4 > 10.244.2.9:80)", out.String())
		out.DstMAC, out.Encap.DstMAC = "", "02:00:00:00:02:02"
		far := func(more string) *NetNS {
			return world(t, `
dev lo loopback 127.0.0.1/8
dev eth0 nic 02:00:00:00:00:02 172.31.0.2/24
dev flannel.1 vxlan 02:00:00:00:02:02 10.244.2.0/32 vni=1,172.31.0.2 `+more+`
dev cni0 bridge 02:00:00:00:03:00 10.244.2.1/24
dev veth9 veth 02:00:00:00:03:09 master=cni0
route 172.31.0.0/24 eth0
route 10.244.2.0/24 cni0
route 10.244.1.0/24 flannel.1 10.244.1.0
neigh 10.244.2.9 cni0 0a:00:00:00:00:0a
fdb 0a:00:00:00:00:0a veth9 port`, "")
		}
		require.Equal(t, "forwarded veth9", ended(one(t, far("").Input(out, "eth0", everybody()))))
		require.Equal(t, "dropped link/down answer=error(3,3)", ended(one(t, far("down").Input(out, "eth0", everybody()))))
		out.VNI = 2
		require.Equal(t, "no-listener link/missing", ended(one(t, far("").Input(out, "eth0", everybody()))))
	})
}

func TestVXLANPathMTU(t *testing.T) {
	in := frame("tcp 10.244.1.8:4 > 10.244.2.9:80", "02:00:00:00:01:00")
	in.Kind, in.Size, in.DF = model.KindData, 1500, true
	ns := world(t, node+remote, "")
	got := one(t, ns.Input(in, "veth1", everybody()))
	require.Equal(t, "too-big mtu/too-small answer=error(3,4)", ended(got))
	require.Equal(t, 1450, got.PathMTU)
	in.Size = 1450
	require.Equal(t, "forwarded eth0", ended(one(t, ns.Input(in, "veth1", everybody()))))
}

// ip_route_input_slow gives what goes to others to ip_error where forwarding is
// off, so that br_nf_pre_routing_finish does not bridge it on. ip6_forward is
// not asked.
func TestBridgedServiceNeedsForwarding(t *testing.T) {
	ns := world(t, node+"sysctl net.ipv4.ip_forward 0", service)
	got := one(t, ns.Input(frame("tcp 10.244.1.9:4 > 10.96.0.1:80", "02:00:00:00:01:00"), "veth2", everybody()))
	require.Equal(t, "dropped sysctl/ip-forward", ended(got))
}

// Without br_netfilter there is no nf_bridge_info, which physdev_mt looks at.
func TestPhysdevNeedsBridgeNetfilter(t *testing.T) {
	rules := "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m physdev --physdev-in veth1 -j DROP\nCOMMIT\n"
	for value, want := range map[string]string{"0": "forwarded eth0", "1": "dropped netfilter/drop"} {
		ns := world(t, node+remote+"sysctl net.bridge.bridge-nf-call-iptables "+value, rules)
		got := one(t, ns.Input(frame("tcp 10.244.1.8:4 > 10.244.2.9:80", "02:00:00:00:01:00"), "veth1", everybody()))
		require.Equal(t, want, ended(got), value)
	}
}

// nf_send_reset sends the reset for a packet that came in by a port of a bridge
// straight back, so that conntrack does not translate it: the client hears it in
// the name of somebody whom it has not asked.
func TestResetBackToABridgePortIsNotTranslated(t *testing.T) {
	reject := service + "*filter\n:FORWARD ACCEPT [0:0]\n:OUTPUT DROP [0:0]\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\nCOMMIT\n"
	in := frame("tcp 10.244.1.9:4 > 10.96.0.1:80", "02:00:00:00:01:00")
	in.SrcMAC = "0a:00:00:00:00:09"
	ns := world(t, node, reject)
	got := one(t, ns.Input(in, "veth2", everybody()))
	require.Equal(t, "rejected netfilter/reject answer=reset", ended(got))
	require.Equal(t, "veth2", got.AnswerDev)
	back := one(t, ns.Emit(*got.Answer, got.AnswerDev, Call{Wire: everybody().Wire, Flow: got.Flow}))
	require.Equal(t, "forwarded veth2", ended(back))
	require.Equal(t, "tcp 10.244.1.8:80 > 10.244.1.9:4 reset", back.Packet.String())
	require.Equal(t, in.SrcMAC, back.Packet.DstMAC)

	ns = world(t, node+"sysctl net.bridge.bridge-nf-call-iptables 0", reject)
	got = one(t, ns.Input(in, "veth2", everybody()))
	require.Equal(t, "rejected netfilter/reject answer=reset", ended(got))
	require.Empty(t, got.AnswerDev, "it is routed like any other")
}

// eth_type_trans takes a frame for the port's own address as one for the host,
// and one for another port's as somebody else's, which ip_rcv discards.
func TestFramesToPortsAddresses(t *testing.T) {
	for _, nf := range []string{"0", "1"} {
		ns := world(t, node+"listen tcp 0.0.0.0:80\nsysctl net.bridge.bridge-nf-call-iptables "+nf, "")
		for mac, want := range map[string]string{"02:00:00:00:01:01": "delivered answer=reply", "02:00:00:00:01:02": "dropped neigh/wrong"} {
			got := one(t, ns.Input(frame("tcp 10.244.1.8:4 > 10.244.1.1:80", mac), "veth1", everybody()))
			require.Equal(t, want, ended(got), "%s %s", nf, mac)
		}
	}
}
