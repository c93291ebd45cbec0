package calico

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// rpfilter is felix's rule against pods that send with addresses of others.
const rpfilter = "*raw\n:PREROUTING ACCEPT [0:0]\n:cali-PREROUTING - [0:0]\n-A PREROUTING -j cali-PREROUTING\n-A cali-PREROUTING -i cali+ -j MARK --set-xmark 0x40000/0x40000\n" +
	"-A cali-PREROUTING -m mark --mark 0x40000/0x40000 -m rpfilter --validmark --invert -j DROP\nCOMMIT\n"

func withRules(text string) edit { return func(s *state) { s.node.IPTables = part(text) } }

func noPodNeighbour(s *state) { s.pod.Neighbours = nil }

// walk lets demo/a send a packet to dst, and n1 take it. It returns what is
// suspected, in the order of the way, and where the packet goes next.
func walk(t *testing.T, mode, dst string, edits ...edit) (found []string, ends *model.Visit) {
	t.Helper()
	s := healthy(mode)
	for _, e := range edits {
		e(s)
	}
	env := s.write(t)
	c := open(env, &Config{})
	pod, ok := env.IPCache.LoadPod(env.Snapshot, "demo", "a")
	require.True(t, ok)
	a, err := c.CreatePod(pod)
	require.NoError(t, err)
	info, ok := env.IPCache.LoadNode(env.Snapshot, "n1")
	require.True(t, ok)
	n1, err := c.CreateNode(info)
	require.NoError(t, err)
	to, err := env.IPCache.Resolve(dst)
	require.NoError(t, err)
	sent, err := a.Send(env.IPCache.Endpoint(to.Endpoints[0].IP, 80), model.TCP)
	require.NoError(t, err)
	ends = a.Node().Visits[0]
	if len(sent) > 0 {
		_, err = n1.Receive(sent[0].Link)
		require.NoError(t, err)
		ends = n1.Node().Visits[0]
	}
	for _, n := range []*model.NetNode{a.Node(), n1.Node()} {
		for _, f := range n.Suspicions {
			found = append(found, f.Level.String()+" "+f.Code+" "+f.On.String())
		}
	}
	return found, ends
}

func TestWalkHealthy(t *testing.T) {
	for _, mode := range modes {
		for _, dst := range []string{"10.0.2.5", "10.0.3.5", "203.0.113.9"} {
			found, ends := walk(t, mode, dst)
			require.Empty(t, found, "%s to %s", mode, dst)
			want := model.Forwarded
			if mode == "wireguard" && dst != "203.0.113.9" {
				want = model.Unknown // its peers were not collected
			}
			require.Equal(t, want, ends.Disposition, "%s to %s", mode, dst)
		}
	}
}

func TestWalkNamesTheCause(t *testing.T) {
	for _, tt := range []struct {
		name, mode, dst string
		edits           []edit
		want            string // the first suspicion
	}{
		{"the route is gone", "ipip Always", "10.0.2.5", []edit{noRoute("10.0.2.0/26")}, "fatal route/missing node:n1"},
		{"the route has no tunnel", "vxlan CrossSubnet", "10.0.3.5", []edit{routed("10.0.3.0/26", "eth0", "172.31.0.254")}, "fatal route/diverted node:n1"},
		{"a blackhole takes the block", "", "10.0.2.5", []edit{routed("10.0.2.0/26", "", "")}, "fatal route/blackhole node:n1"},
		{"the tunnel is down", "ipip Always", "10.0.2.5", []edit{down(ipipDevice)}, "fatal link/down node:n1"},
		{"the VTEP's neighbour is gone", "vxlan Always", "10.0.2.5", []edit{neighbour(vxlanDevice, "10.0.2.0", "")}, "fatal neigh/missing node:n1"},
		{"the forwarding entry leads elsewhere", "vxlan Always", "10.0.2.5", []edit{fdb(vtepMAC("n2", false), "198.51.100.3")}, "fatal fdb/wrong node:n1"},
		{"the session is down and the route is gone", "", "10.0.2.5", []edit{noRoute("10.0.2.0/26"), session("172.31.0.2", "Idle")}, "fatal bgp/not-established node:n1"},
		{"felix drops what a pod sends, since its route is wrong", "vxlan Always", "10.0.2.5", []edit{withRules(rpfilter), routed("10.0.1.5/32", "eth0", "")}, "fatal route/diverted node:n1"},
		{"nobody answers for the gateway", "vxlan Always", "10.0.2.5", []edit{noPodNeighbour, sysctl("net.ipv4.conf."+veth+".proxy_arp", "0")}, "fatal neigh/missing node:n1"},
		{"the gateway has another's hardware address", "vxlan Always", "10.0.2.5", []edit{podNeighbour("0a:00:00:00:00:99")}, "fatal neigh/wrong pod:demo/a"},
		{"nothing is masqueraded", "ipip Always", "203.0.113.9", []edit{noRules}, "warning netfilter/masquerade-missing node:n1"},
		{"another node is where its address is not", "", "10.0.2.5", []edit{dumped("172.31.0.9/24"), neighbour("eth0", "172.31.0.2", "02:00:00:00:00:77")}, "fatal address/wrong node:n2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, _ := walk(t, tt.mode, tt.dst, tt.edits...)
			require.NotEmpty(t, found)
			require.Equal(t, tt.want, found[0], "%q", found)
		})
	}
}

// In the eBPF data plane the plugin blames nobody, and what becomes of a packet at
// a program is not known.
func TestWalkMeetsPrograms(t *testing.T) {
	program := func(s *state) {
		s.node.Programs = []nodedump.Program{{Hook: "tc-ingress", Dev: veth, Kind: "bpf", Name: "cali_from_wl_ep"}}
	}
	found, ends := walk(t, "vxlan Always", "10.0.2.5", object("felixconfigurations", "spec: {}", "spec: {bpfEnabled: true}"), noRoute("10.0.2.0/26"), noRules, program)
	require.Empty(t, found)
	require.Equal(t, model.Unknown, ends.Disposition)
	require.True(t, strings.Contains(ends.Doubts[0].What, "bpf") || strings.Contains(ends.Doubts[0].What, "program"), "%v", ends.Doubts)
}
