package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/trace"
)

func packetOf(text string) model.Packet {
	p, err := model.ParsePacket(text)
	if err != nil {
		panic(err)
	}
	return p
}

// tracedService is a packet to a Service with two endpoints of which one has no
// way, seen by a node with a rule that is not understood.
func tracedService() *Trace {
	jump := model.Step{Where: "nat/KUBE-SERVICES", Rule: "-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 53 -j KUBE-SVC-A", Action: "jump KUBE-SVC-A", Evidence: "rules.txt:12"}
	dnat := func(to, at string) model.Step {
		return model.Step{Where: "nat/KUBE-SEP-" + at, Rule: "-A KUBE-SEP-" + at + " -p tcp -j DNAT --to-destination " + to, Action: "dnat to " + to, Evidence: "rules.txt:2" + at}
	}
	way := model.Step{Where: "route", Rule: "10.244.1.0/24 via 10.0.0.2 dev eth0", Action: "unicast dev eth0 via 10.0.0.2", Evidence: "routes.txt:3"}
	ok := trace.Outcome{Share: 0.5, Verdict: trace.Forward, Packet: packetOf("tcp 10.244.0.5:40000 > 10.244.1.7:53"), Dev: "eth0", Gateway: netip.MustParseAddr("10.0.0.2"),
		Route: &trace.Route{Result: "ok", Dev: "eth0", Gateway: netip.MustParseAddr("10.0.0.2"), Table: 254, Prefix: netip.MustParsePrefix("10.244.1.0/24")},
		Steps: []model.Step{jump, dnat("10.244.1.7:53", "1"), way}, Doubts: []model.Doubt{{What: "rule not understood: -m frob", Evidence: "rules.txt:40"}}}
	lost := trace.Outcome{Share: 0.5, Verdict: trace.Reject, RejectWith: "icmp-host-unreachable", Packet: packetOf("tcp 10.244.0.5:40000 > 10.244.2.7:53"),
		Route: &trace.Route{Result: "unreachable", Table: 254, Prefix: netip.MustParsePrefix("10.244.2.0/24")},
		Steps: []model.Step{jump, dnat("10.244.2.7:53", "2"), {Where: "route", Rule: "unreachable 10.244.2.0/24", Action: "unreachable", Evidence: "routes.txt:4"}},
		Code:  "route/unreachable", Reason: "a route refuses packets to 10.244.2.7: unreachable 10.244.2.0/24", Evidence: "routes.txt:4", Remedy: "ip route del unreachable 10.244.2.0/24",
		Answer: &model.Packet{Protocol: model.ICMP, Kind: model.KindError, ICMPType: 3, ICMPCode: 1, Dst: netip.MustParseAddrPort("10.244.0.5:0")}}
	lost.Packet.Mark = 0x4000
	return &Trace{Node: "node1", Netns: "host", Result: trace.Result{Question: trace.Question{Packet: packetOf("tcp 10.244.0.5:40000 > 10.96.0.10:53"), In: "cni0"}, Outcomes: []trace.Outcome{ok, lost}},
		Unknowns: []model.Doubt{{What: "not understood: match frob", Evidence: "nodes/node1/netns/host/iptables-save.txt:40"}}}
}

// tracedHome is a packet that the namespace sends to itself, where nobody
// listens.
func tracedHome() *Trace {
	o := trace.Outcome{Share: 1, Verdict: trace.Local, Packet: packetOf("udp 10.0.0.1:40000 > 10.0.0.1:53"), Socket: trace.SocketNone,
		Route:  &trace.Route{Result: "local", Dev: "lo", Src: netip.MustParseAddr("10.0.0.1"), Table: 255, Prefix: netip.MustParsePrefix("10.0.0.1/32")},
		Reason: "nobody listens on udp 10.0.0.1:53", Code: "socket/none"}
	return &Trace{Netns: "host", Result: trace.Result{Question: trace.Question{Packet: packetOf("udp > 10.0.0.1:53"), Out: "eth0"}, Outcomes: []trace.Outcome{o}}}
}

func TestTraceGolden(t *testing.T) {
	for name, make := range map[string]func() *Trace{"service": tracedService, "home": tracedHome, "nothing": func() *Trace { return &Trace{} }} {
		for _, f := range TraceFormats() {
			t.Run(name+"/"+f.Name, func(t *testing.T) {
				var b bytes.Buffer
				require.NoError(t, f.Write(context.Background(), &b, make(), TextOptions{}))
				if f.Name == "svg" || f.Name == "png" {
					require.NotEmpty(t, b.Bytes())
					if *draws != "" {
						require.NoError(t, os.WriteFile(filepath.Join(*draws, "trace-"+name+"."+f.Name), b.Bytes(), 0o644))
					}
					return
				}
				file := filepath.Join("testdata", "trace-"+name+"."+f.Name)
				if *update {
					require.NoError(t, os.WriteFile(file, b.Bytes(), 0o644))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, string(want), b.String())
			})
		}
	}
}

func TestTraceLine(t *testing.T) {
	var line, pretty, failed bytes.Buffer
	require.NoError(t, WriteTraceLine(&line, tracedService()))
	require.NoError(t, writeTraceJSON(context.Background(), &pretty, tracedService(), TextOptions{}))
	require.Equal(t, 1, strings.Count(line.String(), "\n"))
	require.JSONEq(t, pretty.String(), line.String())
	for _, list := range []string{"outcomes", "unknowns", "doubts", "steps"} {
		for _, tr := range []*Trace{{}, {Result: trace.Result{Outcomes: []trace.Outcome{{}}}}} {
			b, err := json.Marshal(traceJSON(tr))
			require.NoError(t, err)
			require.NotContains(t, string(b), `"`+list+`":null`)
		}
	}
	require.NoError(t, WriteTraceError(&failed, 7, errors.New("no")))
	require.JSONEq(t, `{"error":"no","line":7}`, failed.String())
}

func TestTraceExitCode(t *testing.T) {
	for _, row := range []struct {
		verdicts []trace.Verdict
		want     int
	}{
		{nil, 4},
		{[]trace.Verdict{trace.Forward}, 0}, {[]trace.Verdict{trace.Local, trace.Forward}, 0},
		{[]trace.Verdict{trace.Drop}, 3}, {[]trace.Verdict{trace.Drop, trace.Reject}, 3},
		{[]trace.Verdict{trace.Unknown}, 4}, {[]trace.Verdict{trace.Drop, trace.Forward}, 4}, {[]trace.Verdict{trace.Local, trace.Unknown}, 4},
	} {
		r := trace.Result{}
		for _, v := range row.verdicts {
			r.Outcomes = append(r.Outcomes, trace.Outcome{Verdict: v})
		}
		require.Equal(t, row.want, TraceExitCode(&r), row.verdicts)
	}
}
