package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// resolve_normal_ct: until somebody has answered, every packet of a conversation
// is new, also one that comes by a second time. nat is asked only once.
func TestSecondPassIsStillNew(t *testing.T) {
	ns := world(t, router, "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A PREROUTING -i eth0 -d 10.1.0.9/32 -p tcp -j DNAT --to-destination 10.1.0.8:8080\n"+
		"-A PREROUTING -i eth1 -p tcp -j DNAT --to-destination 10.0.0.7:1\nCOMMIT\n"+
		"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i eth1 -m conntrack --ctstate NEW -j DROP\nCOMMIT\n")
	call := everybody()
	first := one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.1.0.9:80"), "eth0", call))
	require.Equal(t, "forwarded eth1", ended(first))
	call.Flow = first.Flow
	again := one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.1.0.9:80"), "eth1", call))
	require.Equal(t, "dropped netfilter/drop", ended(again))
	require.Equal(t, "10.1.0.8:8080", again.Packet.Dst.String())

	reply := one(t, ns.Input(first.Packet.Reply(model.KindReply), "eth1", call))
	require.Equal(t, "forwarded eth0", ended(reply))
}

// A mark that a rule gives to a connection after its first packet has left is
// that of the answer too: over loopback, PREROUTING comes after POSTROUTING.
func TestMarkOfALoopedConnection(t *testing.T) {
	ns := world(t, router, "*mangle\n:PREROUTING ACCEPT\n:POSTROUTING ACCEPT\n-A PREROUTING -j CONNMARK --set-xmark 0x3/0xf\n-A POSTROUTING -m connmark --mark 0x3 -j DROP\nCOMMIT\n")
	sent := one(t, ns.Output(pkt("tcp 127.0.0.1:4 > 127.0.0.1:82"), "", everybody()))
	require.Equal(t, model.NoListener, sent.Disposition)
	call := everybody()
	call.Flow = sent.Flow
	require.Equal(t, model.Dropped, one(t, ns.Output(*sent.Answer, "", call)).Disposition)
}

// tcp_conntracks: after a SYN the same side may only send it again. What it sends
// before the answer is invalid, and so is not translated (nf_nat_inet_fn).
func TestNothingFollowsASYNBeforeItsAnswer(t *testing.T) {
	const rules = natRules + "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
	const there, back, dumped = "tcp 10.0.0.9:4000 > 10.96.0.1:80", "tcp 10.1.0.9:80 > 10.0.0.9:4000", "tcp 10.0.0.9:4000 10.96.0.1:80 10.1.0.9:80 10.0.0.9:4000 SYN_SENT,UNREPLIED"
	syn, synack, data, reset := model.KindOpen, model.KindReply, model.KindData, model.KindReset
	for _, entries := range [][]string{nil, {dumped}} {
		for _, tt := range []struct {
			name  string
			kinds []model.Kind
			want  string // of the last one
		}{
			{"the SYN again", []model.Kind{syn, syn}, "10.1.0.9:80"},
			{"data", []model.Kind{syn, data}, "10.96.0.1:80"},
			{"data after the answer", []model.Kind{syn, synack, data}, "10.1.0.9:80"},
			{"a reset after the answer", []model.Kind{syn, synack, data, reset}, "10.1.0.9:80"},
			{"a reset", []model.Kind{syn, reset}, "10.1.0.9:80"},
		} {
			ns, call := tracked(t, rules, 1000, entries...), everybody()
			var last Outcome
			for _, kind := range tt.kinds {
				p, dev := pkt(there), "eth0"
				if kind == synack {
					p, dev = pkt(back), "eth1"
				}
				p.Kind = kind
				last = one(t, ns.Input(p, dev, call))
				call.Flow = last.Flow
			}
			require.Equal(t, tt.want, last.Packet.Dst.String(), "%s %v", tt.name, entries)
		}
	}
}
