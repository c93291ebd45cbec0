package netstack

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// virtualWorld is a node with virtual servers, in the words of ipvsadm-save.
// Most of what IPVS does is shown by the worlds of fixtures/kernel/testdata that
// begin with qemu_ipvs.
func virtualWorld(t *testing.T, lines, servers string) *NetNS {
	t.Helper()
	info := *world(t, node+"dev kube-ipvs0 dummy 02:00:00:00:09:00 10.96.0.1/32 10.96.0.2/32\n"+lines, "").Info
	info.IPVS = part("n/netns/host/ipvs.json", servers)
	ns, _ := New(&info)
	return ns
}

const kubernetes = "-A -t 10.96.0.1:443 -s rr\n-a -t 10.96.0.1:443 -r 10.244.1.9:6443 -m -w 1\n"

// ways prints how each branch of a packet from a pod ended, with what it depends on.
func waysOf(outcomes []Outcome) (all []string) {
	for _, o := range outcomes {
		s := ended(o)
		if o.Disposition == model.Forwarded {
			s += " " + o.Packet.Dst.String()
		}
		for _, d := range o.Doubts {
			s += " if " + d.What + " (" + d.Evidence[strings.LastIndexByte(d.Evidence, '/')+1:] + ")"
		}
		all = append(all, s)
	}
	return all
}

func TestVirtualServers(t *testing.T) {
	const two = "-a -t 10.96.0.1:443 -r 10.244.1.8:6443 -m -w 0\n"
	for _, tt := range []struct {
		name, servers, packet string
		want                  []string
	}{
		{"a virtual server", kubernetes, "tcp 10.244.1.8:4 > 10.96.0.1:443", []string{"forwarded veth2 10.244.1.9:6443"}},
		{"another port", kubernetes, "tcp 10.244.1.8:4 > 10.96.0.1:80", []string{"no-listener socket/none answer=reset"}},
		{"another protocol", kubernetes, "udp 10.244.1.8:4 > 10.96.0.1:443", []string{"no-listener socket/none answer=error(3,3)"}},
		{"no real server", "-A -t 10.96.0.1:443 -s rr", "tcp 10.244.1.8:4 > 10.96.0.1:443", []string{"no-backend service/no-endpoints answer=error(3,3)"}},
		{"no address of IPVS", kubernetes, "tcp 10.244.1.8:4 > 172.31.0.1:80", []string{"no-listener socket/none answer=reset"}},
		{"a weight of 0 and clients that stay", strings.Replace(kubernetes, "-s rr", "-s rr -p 100", 1) + two, "tcp 10.244.1.8:4 > 10.96.0.1:443", []string{
			"unknown if whether the client still belongs to real server 10.244.1.8:6443, which takes no new ones (ipvs.json:3)",
			"forwarded veth2 10.244.1.9:6443 if whether the client still belongs to real server 10.244.1.8:6443, which takes no new ones (ipvs.json:3)"}},
		{"a threshold", strings.Replace(kubernetes, "-w 1", "-w 1 -x 10 -y 5", 1), "tcp 10.244.1.8:4 > 10.96.0.1:443", []string{
			"unknown if whether real server 10.244.1.9:6443 has its 10 connections (ipvs.json:2)",
			"forwarded veth2 10.244.1.9:6443 if whether real server 10.244.1.9:6443 has its 10 connections (ipvs.json:2)"}},
		{"a scheduler of nobody", strings.Replace(kubernetes, "-s rr", "-s mine", 1), "tcp 10.244.1.8:4 > 10.96.0.1:443", []string{
			"unknown if whom scheduler mine chooses (ipvs.json:1)", "forwarded veth2 10.244.1.9:6443 if whom scheduler mine chooses (ipvs.json:1)"}},
		{"a line that may be any service", "-A -t nonsense -s rr", "tcp 10.244.1.8:4 > 172.31.0.1:80", []string{
			"unknown if what ipvs line: not an address with a port: save with -n: nonsense: -A -t nonsense -s rr does (ipvs.json:1)",
			"no-listener socket/none answer=reset if what ipvs line: not an address with a port: save with -n: nonsense: -A -t nonsense -s rr does (ipvs.json:1)"}},
		{"no way to the server", "-A -t 10.96.0.1:443 -s rr\n-a -t 10.96.0.1:443 -r 10.99.0.1:443 -m", "tcp 10.244.1.8:4 > 10.96.0.1:443", []string{"no-route route/unreachable answer=error(3,1)"}},
	} {
		ns := virtualWorld(t, "route 10.99.0.1/32 type=unreachable\nsysctl net.ipv4.vs.conntrack 1", tt.servers)
		require.Equal(t, tt.want, waysOf(ns.Input(frame(tt.packet, "02:00:00:00:01:00"), "veth1", everybody())), tt.name)
	}
}

// Shares of a scheduler are those of the branches.
func TestVirtualShares(t *testing.T) {
	ns := virtualWorld(t, "", "-A -t 10.96.0.1:443 -s wrr\n-a -t 10.96.0.1:443 -r 10.244.1.9:6443 -m -w 3\n-a -t 10.96.0.1:443 -r 10.244.1.8:6443 -m -w 1\n")
	outcomes := ns.Output(pkt("tcp - > 10.96.0.1:443"), "", everybody())
	require.Len(t, outcomes, 2)
	require.InDelta(t, 0.75, outcomes[0].Share, 1e-9)
	require.Empty(t, outcomes[0].Doubts)
}

// What was not collected is not guessed.
func TestVirtualServersThatAreNotKnown(t *testing.T) {
	ns := virtualWorld(t, "", "")
	info := *ns.Info
	info.IPVS = nodedump.Part{Status: nodedump.StatusFailed, File: "n/netns/host/ipvs.json"}
	ns, _ = New(&info)
	got := one(t, ns.Input(frame("tcp 10.244.1.8:4 > 10.96.0.1:443", "02:00:00:00:01:00"), "veth1", everybody()))
	require.Equal(t, model.Unknown, got.Disposition)
	require.Equal(t, "n/netns/host/ipvs.json", got.Evidence)
	got = one(t, ns.Input(frame("tcp 10.244.1.8:4 > 172.31.0.1:80", "02:00:00:00:01:00"), "veth1", everybody()))
	require.Equal(t, model.NoListener, got.Disposition)
}

// ip_vs_conn_hash does not keep what is scheduled one by one: the next datagram is
// scheduled anew, and whose address an answer bears is not followed.
func TestDatagramsScheduledOneByOne(t *testing.T) {
	const two = "-a -u 10.96.0.1:53 -r 172.31.0.2:53 -m -w 1\n-a -u 10.96.0.1:53 -r 10.244.1.9:53 -m -w 1\n"
	for _, tt := range []struct {
		options, servers string
		again            int // ways of a second datagram
		answer           string
	}{
		{"", two, 1, "forwarded"},
		{" -o", two, 2, "unknown"},
	} {
		ns, call := virtualWorld(t, "sysctl net.ipv4.vs.conntrack 1", "-A -u 10.96.0.1:53 -s rr"+tt.options+"\n"+tt.servers), everybody()
		question := frame("udp 10.244.1.8:4 > 10.96.0.1:53", "02:00:00:00:01:00")
		ways := ns.Input(question, "veth1", call)
		require.Len(t, ways, 2)
		for _, way := range ways {
			if way.Dev == "eth0" {
				call.Flow = way.Flow
			}
		}
		require.Len(t, ns.Input(question, "veth1", call), tt.again, tt.options)
		answer := frame("udp 172.31.0.2:53 > 10.244.1.8:4", "02:00:00:00:00:01")
		answer.Kind = model.KindReply
		got := one(t, ns.Input(answer, "eth0", call))
		require.Equal(t, tt.answer, got.Disposition.String(), tt.options)
		if got.Disposition == model.Forwarded {
			require.Equal(t, "10.96.0.1:53", got.Packet.Src.String())
		}
	}
}
