package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A program of the cgroups is a doubt where a socket sends or takes what it sees,
// and nowhere else.
func TestCgroupPrograms(t *testing.T) {
	const host = router + "listen tcp 0.0.0.0:80\nlisten udp 0.0.0.0:53\n"
	for _, tt := range []struct {
		name, prog, in, packet string
		doubt                  bool
	}{
		{"connect, of TCP", "connect4", "", "tcp > 10.1.0.9:80", true},
		{"connect, of UDP", "connect4", "", "udp > 10.1.0.9:53", true},
		{"connect, of no socket of its own", "connect4", "", "icmp > 10.1.0.9", false},
		{"connect of the other family", "connect6", "", "tcp > 10.1.0.9:80", false},
		{"connect, of what is forwarded", "connect4", "eth0", "tcp 10.0.0.9:4 > 10.1.0.9:80", false},
		{"sendmsg, of UDP", "sendmsg4", "", "udp > 10.1.0.9:53", true},
		{"sendmsg, of TCP", "sendmsg4", "", "tcp > 10.1.0.9:80", false},
		{"egress", "egress", "", "tcp > 10.1.0.9:80", true},
		{"egress, of what is forwarded", "egress", "eth0", "tcp 10.0.0.9:4 > 10.1.0.9:80", false},
		{"ingress", "ingress", "eth0", "tcp 10.0.0.9:4 > 10.0.0.1:80", true},
		{"ingress, where nobody listens", "ingress", "eth0", "tcp 10.0.0.9:4 > 10.0.0.1:81", false},
		{"ingress, of what is forwarded", "ingress", "eth0", "tcp 10.0.0.9:4 > 10.1.0.9:80", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := world(t, host+"prog cgroup - "+tt.prog, "")
			p, err := model.ParsePacket(tt.packet)
			require.NoError(t, err)
			var got []Outcome
			if tt.in == "" {
				got = ns.Output(p, "", everybody())
			} else {
				got = ns.Input(p, tt.in, everybody())
			}
			if !tt.doubt {
				require.Empty(t, one(t, got).Doubts)
				return
			}
			require.Len(t, got, 2)
			require.Equal(t, model.Unknown, got[0].Disposition)
			require.Contains(t, got[0].Reason, "cgroup "+tt.prog+" program")
			require.Regexp(t, `netns.json:\d+$`, got[0].Evidence)
		})
	}
}
