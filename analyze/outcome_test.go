package analyze

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/report"
)

func TestErrorSeen(t *testing.T) {
	for _, tt := range []struct {
		name      string
		protocol  model.Protocol
		icmp      model.Protocol
		typ, code uint8
		want      model.Outcome
	}{
		{"port unreachable", model.TCP, model.ICMP, 3, 3, model.OutcomeRefused},
		{"port unreachable", model.UDP, model.ICMP, 3, 3, model.OutcomeRefused},
		{"host unreachable", model.TCP, model.ICMP, 3, 1, model.OutcomeUnreachable},
		{"host unreachable is not final for UDP", model.UDP, model.ICMP, 3, 1, model.OutcomeTimeout},
		{"net unreachable is not final for UDP", model.UDP, model.ICMP, 3, 0, model.OutcomeTimeout},
		{"admin prohibited is final", model.UDP, model.ICMP, 3, 13, model.OutcomeUnreachable},
		{"ICMPv6 port unreachable", model.TCP, model.ICMPv6, 1, 4, model.OutcomeRefused},
		{"ICMPv6 no route", model.TCP, model.ICMPv6, 1, 0, model.OutcomeUnreachable},
		{"ICMPv6 no route is not final for UDP", model.UDP, model.ICMPv6, 1, 0, model.OutcomeTimeout},
	} {
		e := &model.Packet{Protocol: tt.icmp, Kind: model.KindError, ICMPType: tt.typ, ICMPCode: tt.code}
		require.Equal(t, tt.want, received(tt.protocol, e), "%s %s", tt.protocol, tt.name)
	}
	require.Equal(t, model.OutcomeReached, received(model.TCP, &model.Packet{Kind: model.KindReply}))
	require.Equal(t, model.OutcomeRefused, received(model.TCP, &model.Packet{Kind: model.KindReset}))
}

func TestOverall(t *testing.T) {
	b := func(o model.Outcome, doubts ...model.Doubt) report.Branch {
		return report.Branch{Outcome: o, Doubts: doubts}
	}
	maybe := model.Doubt{What: "a rule"}
	for _, tt := range []struct {
		name     string
		branches []report.Branch
		want     model.Outcome
	}{
		{"nothing walked", nil, model.OutcomeUnknown},
		{"all alike", []report.Branch{b(model.OutcomeReached), b(model.OutcomeReached)}, model.OutcomeReached},
		{"by chance", []report.Branch{b(model.OutcomeReached), b(model.OutcomeTimeout)}, model.OutcomeMixed},
		{"a doubt that does not matter", []report.Branch{b(model.OutcomeTimeout, maybe), b(model.OutcomeTimeout, maybe)}, model.OutcomeTimeout},
		{"a doubt that matters", []report.Branch{b(model.OutcomeUnknown, maybe), b(model.OutcomeReached, maybe)}, model.OutcomeUnknown},
	} {
		require.Equal(t, tt.want, overall(tt.branches), tt.name)
	}
}

func TestRefused(t *testing.T) {
	for code, want := range map[string]bool{"infra/address-not-owned": true, "infra/security-group": false, "route/missing": false} {
		require.Equal(t, want, refused([]model.Suspicion{{Code: "netfilter/masquerade-missing"}, {Code: code}}), code)
	}
}

// A client outside of the bundle takes an answer as any socket does: only from
// where it asked (__inet_lookup_established).
func TestAnswerOfAStrangerIsNotReached(t *testing.T) {
	at := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	sent := model.Packet{Protocol: model.TCP, Src: at("10.99.0.5:40000"), Dst: at("172.31.0.11:30081")}
	other := model.Packet{Protocol: model.TCP, Src: at("10.99.0.5:40000"), Dst: at("10.244.2.2:8080")}
	for _, tt := range []struct {
		name   string
		answer model.Packet
		want   model.Outcome
	}{
		{"from where it asked", sent.Reply(model.KindReply), model.OutcomeReached},
		{"from the backend", other.Reply(model.KindReply), model.OutcomeTimeout},
		{"an error about what it sent", model.Packet{Kind: model.KindError, Protocol: model.ICMP, ICMPType: 3, ICMPCode: 3, Dst: at("10.99.0.5:0"), About: &sent}, model.OutcomeRefused},
		{"an error about what it did not", model.Packet{Kind: model.KindError, Protocol: model.ICMP, ICMPType: 3, ICMPCode: 3, Dst: at("10.99.0.5:0"), About: &other}, model.OutcomeTimeout},
	} {
		c := &conversation{walk: &walk{}, protocol: model.TCP, client: model.Hop{Type: model.NetNodeTypeExternal, ID: "10.99.0.5"},
			src: model.Endpoint{IP: sent.Src.Addr()}, dst: model.Endpoint{IP: sent.Dst.Addr(), Port: 30081}}
		end := &model.Visit{Node: &model.NetNode{Hop: hop("n1")}, Answer: &tt.answer}
		reply := &model.Visit{Node: &model.NetNode{Hop: c.client}, Parent: end, Disposition: model.ExitsCluster, Served: tt.answer}
		require.Equal(t, tt.want, c.answered(end, reply), tt.name)
		require.Equal(t, tt.want == model.OutcomeTimeout, len(c.walk.found) == 1, tt.name)
	}
}

func TestSends(t *testing.T) {
	require.NoError(t, sends("10.0.0.1", k8s.Target{Endpoint: model.Endpoint{IP: netip.MustParseAddr("10.0.0.1")}}))
	require.ErrorContains(t, sends("127.0.0.1", k8s.Target{Endpoint: model.Endpoint{IP: netip.MustParseAddr("127.0.0.1")}}), "every host")
	require.ErrorContains(t, sends("svc:demo/a", k8s.Target{Service: &corev1.Service{}}), "a Service sends nothing")
}
