package analyze

import (
	"testing"

	"github.com/stretchr/testify/require"

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
