package analyze

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// An oracle answers about packets from the first node as it was told to; all
// others pass.
type oracle struct {
	answer []infra.Verdict
	leaves model.Conn // behind each packet
	asked  []infra.Crossing
}

func (o *oracle) Name() string { return "vpc" }

func (o *oracle) Cross(c infra.Crossing) (out []infra.Verdict) {
	answer := []infra.Verdict{{}}
	if c.From.Node == "n1" {
		answer = o.answer
	}
	o.asked = append(o.asked, c)
	for _, v := range answer {
		v.Flow = c.Flow.With("infra/eni", o.leaves)
		out = append(out, v)
	}
	return out
}

// street is three nodes side by side, 192.0.2.1 to 192.0.2.3. On the second is a
// pod, demo/p, with a device of its own on the wire, and the address 192.0.2.50.
func street(t *testing.T, o *oracle) *Analyzer {
	w := snapshot.NewWriter(snapshot.Meta{})
	var nodes strings.Builder
	device := func(mac, addr string) *nodedump.NetNSInfo {
		return &nodedump.NetNSInfo{Key: nodedump.HostNetns, IPTables: nodedump.Part{Status: nodedump.StatusEmpty}, Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
			Interfaces: []nodedump.Interface{{Name: "eth0", Index: 2, MAC: mac, MTU: 1500, Flags: []string{"UP", "LOWER_UP"}, Addrs: []nodedump.Addr{{Prefix: addr + "/24", Scope: "global"}}}},
			Routes:     []nodedump.Route{{Family: 4, Table: 254, Dst: "192.0.2.0/24", Dev: "eth0"}, {Family: 4, Table: 254, Dst: "0.0.0.0/0", Dev: "eth0", Via: "192.0.2.254"}, {Family: 4, Table: 255, Type: "local", Dst: addr + "/32", Dev: "eth0"}},
			Neighbours: []nodedump.Neighbour{{IP: "192.0.2.254", Dev: "eth0", MAC: "02:00:00:00:00:fe", State: "REACHABLE"}, {IP: "192.0.2.50", Dev: "eth0", MAC: "02:00:00:00:00:fe", State: "REACHABLE"}},
			Sockets:    []nodedump.Socket{{Protocol: "tcp", Local: "0.0.0.0:80"}}}
	}
	for _, n := range []string{"1", "2", "3"} {
		nodes.WriteString("- {metadata: {name: n" + n + "}, status: {addresses: [{type: InternalIP, address: 192.0.2." + n + "}]}}\n")
		dump := &nodedump.NodeNetworkStackDump{Name: "n" + n, Netns: []string{nodedump.HostNetns}}
		if n == "2" {
			dump.Netns = append(dump.Netns, "demo_p")
			dump.Pods = []nodedump.PodNetInfo{{Namespace: "demo", Name: "p", Netns: "demo_p"}}
			info := device("02:00:00:00:00:50", "192.0.2.50")
			info.Key = "demo_p"
			require.NoError(t, w.AddNetNS("nodes/n2", info))
		}
		require.NoError(t, w.AddNode(dump))
		require.NoError(t, w.AddNetNS("nodes/n"+n, device("02:00:00:00:00:0"+n, "192.0.2."+n)))
	}
	require.NoError(t, w.Add("cluster/nodes.yaml", []byte("items:\n"+nodes.String())))
	require.NoError(t, w.Add("cluster/pods.yaml", []byte("items:\n- {metadata: {namespace: demo, name: p}, spec: {nodeName: n2}, status: {phase: Running, podIP: 192.0.2.50}}\n")))
	snap, err := w.Snapshot()
	require.NoError(t, err)
	provider := &infra.Descriptor{Name: "street", Detect: func(*snapshot.Snapshot) (bool, string) { return true, "the houses" },
		New: func(infra.Env) (infra.Underlay, []string, []error) { return o, []string{"the sky"}, nil }}
	a, err := New(snap, Options{Providers: []*infra.Descriptor{provider}})
	require.NoError(t, err)
	return a
}

// way is the path of the first branch, and how its request ended.
func way(d *report.Diagnosis) string {
	var hops []string
	for _, h := range d.Branches[0].Request.Hops {
		hops = append(hops, h.At.ID)
	}
	return strings.Join(hops, " ") + ": " + d.Branches[0].Request.Disposition.String()
}

func TestCrossing(t *testing.T) {
	wrong := infra.Verdict{Code: "infra/route-wrong", Reason: "elsewhere", Evidence: "infra/x:1"}
	to := func(v infra.Verdict, node, mac string, diverted bool) infra.Verdict {
		v.To, v.Diverted = infra.Machine{Node: node, MAC: mac}, diverted
		return v
	}
	lost := infra.Verdict{Disposition: model.Dropped, Code: "infra/security-group", Reason: "not this one", Evidence: "infra/x:2"}
	maybe := infra.Verdict{Disposition: model.Dropped, Reason: "who knows", Doubts: []model.Doubt{{What: "who knows"}}}
	sure := infra.Verdict{Doubts: maybe.Doubts}
	for _, tt := range []struct {
		name, dst string
		answer    []infra.Verdict
		outcome   model.Outcome
		way       string
		found     string // the first suspicion, and where
	}{
		{"it arrives", "192.0.2.2", []infra.Verdict{{}}, model.OutcomeReached, "n1 n2: delivered", ""},
		{"it arrives where it was sent", "192.0.2.2", []infra.Verdict{to(infra.Verdict{}, "n2", "02:00:00:00:00:02", false)}, model.OutcomeReached, "n1 n2: delivered", ""},
		{"it is lost", "192.0.2.2", []infra.Verdict{lost}, model.OutcomeTimeout, "n1 vpc: dropped", "fatal infra/security-group on infra:vpc: not this one"},
		{"it may be lost", "192.0.2.2", []infra.Verdict{maybe, sure}, model.OutcomeUnknown, "n1 vpc: dropped", ""},
		{"it comes to another node", "192.0.2.2", []infra.Verdict{to(wrong, "n3", "02:00:00:00:00:03", true)}, model.OutcomeReached, "n1 n3 n2: delivered", "warning infra/route-wrong on node:n1: elsewhere"},
		{"it goes out", "192.0.2.2", []infra.Verdict{{Outside: true}}, model.OutcomeReached, "n1 n2: delivered", ""},
		{"it goes out, and nobody here has the address", "198.51.100.1", []infra.Verdict{{Outside: true}}, model.OutcomeUnknown, "n1 198.51.100.1: exits-cluster", ""},
		{"the provider knows a node behind the gateway", "198.51.100.1", []infra.Verdict{to(infra.Verdict{}, "n3", "02:00:00:00:00:03", false)}, model.OutcomeUnknown, "n1 n3 192.0.2.254: exits-cluster", ""},
		{"a device of a pod takes it", "192.0.2.50", []infra.Verdict{to(infra.Verdict{}, "n2", "02:00:00:00:00:50", false)}, model.OutcomeReached, "n1 demo/p: delivered", ""},
	} {
		o := &oracle{answer: tt.answer}
		d, err := street(t, o).Ask(Question{Source: "node:n1", Destination: tt.dst, Port: 80, Protocol: model.TCP})
		require.NoError(t, err, tt.name)
		require.Equal(t, tt.outcome, d.Outcome, tt.name)
		require.Equal(t, tt.way, way(d), tt.name)
		require.Equal(t, infra.Machine{Node: "n1", MAC: "02:00:00:00:00:01"}, o.asked[0].From, tt.name)
		require.Equal(t, report.Hosting{Provider: "street", Evidence: "the houses", Checked: true, Assumed: []string{"the sky"}}, d.Hosting)
		if tt.found == "" {
			require.Empty(t, d.Suspicions, tt.name)
			continue
		}
		require.Equal(t, tt.found, d.Suspicions[0].String(), tt.name)
	}
}

// What a verdict leaves behind is there when the answer crosses, and steps are
// part of the trace.
func TestCrossingLeaves(t *testing.T) {
	conn := model.Conn{Original: model.Tuple{Protocol: model.TCP}}
	o := &oracle{answer: []infra.Verdict{{Steps: []model.Step{{Where: "vpc/route", Action: "pass"}}}}, leaves: conn}
	d, err := street(t, o).Ask(Question{Source: "node:n1", Destination: "192.0.2.2", Port: 80, Protocol: model.TCP})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(o.asked), 2)
	require.Equal(t, infra.Machine{Node: "n2", MAC: "02:00:00:00:00:02"}, o.asked[1].From)
	require.Equal(t, []model.Conn{conn}, o.asked[1].Flow.Conns("infra/eni"))
	steps := d.Branches[0].Request.Hops[0].Steps
	require.Equal(t, "vpc/route", steps[len(steps)-1].Where)
}

// A conversation that stays on its machine asks nobody.
func TestCrossingNothing(t *testing.T) {
	o := &oracle{}
	d, err := street(t, o).Ask(Question{Source: "node:n1", Destination: "192.0.2.1", Port: 80, Protocol: model.TCP})
	require.NoError(t, err)
	require.Equal(t, model.OutcomeReached, d.Outcome)
	require.Empty(t, o.asked)
	require.Empty(t, d.Hosting)
}
