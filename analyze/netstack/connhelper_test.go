package netstack

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// nf_ct_find_expectation: what a helper expects is not in a dump.
func TestExpectations(t *testing.T) {
	const rule = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n"
	const ftp = "tcp 10.0.0.9:4000 10.1.0.9:21 10.1.0.9:21 10.0.0.9:4000 ESTABLISHED,ASSURED"
	const web = "tcp 10.0.0.9:4000 10.1.0.9:80 10.1.0.9:80 10.0.0.9:4000 ESTABLISHED,ASSURED"
	for _, tt := range []struct {
		rules, entry, packet string
		want                 int
	}{
		{rule, ftp, "tcp 10.0.0.9:5 > 10.1.0.9:3000", 2},
		{rule, ftp, "tcp 10.1.0.9:20 > 10.0.0.9:3000", 2},
		{rule, ftp, "tcp 10.0.0.8:5 > 10.1.0.9:3000", 1},
		{rule, web, "tcp 10.0.0.9:5 > 10.1.0.9:3000", 1},
		{"", ftp, "tcp 10.0.0.9:5 > 10.1.0.9:3000", 1},
	} {
		require.Len(t, tracked(t, tt.rules, 100, tt.entry).Input(pkt(tt.packet), "eth0", everybody()), tt.want, tt.packet)
	}
}

// Without sysctls nobody knows whether rp_filter is on; it matters only where it
// would discard the packet.
func TestReversePathFilterNotCollected(t *testing.T) {
	info := *world(t, router, "").Info
	info.Sysctls = map[string]string{}
	info.Sections = map[string]nodedump.Status{"sysctls": nodedump.StatusFailed}
	ns, _ := New(&info)
	require.Equal(t, "delivered answer=reply", ended(one(t, ns.Input(pkt("tcp 10.0.0.9:4 > 10.0.0.1:80"), "eth0", everybody()))))
	got := ns.Input(pkt("tcp 10.1.0.9:4 > 10.0.0.1:80"), "eth0", everybody())
	require.Len(t, got, 2)
	require.Equal(t, model.Unknown, got[0].Disposition)
	require.Contains(t, got[0].Reason, "reverse path filtering")
}
