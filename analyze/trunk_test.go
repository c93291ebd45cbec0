package analyze

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// members is a network whose pods are on VLANs of eth0 of their nodes.
type members struct{ env plugin.Env }

func (m members) CreatePod(pod *k8s.Pod) (model.NetNodeAction, error) {
	return plugin.NewPlainPod(m.env, pod)
}

func (m members) CreateNode(n *k8s.NodeInfo) (model.NetNodeAction, error) {
	place := plugin.PlaceOf(n.NodeName)
	return plugin.NewPlain(m.env, m.env.HopOf(place), place, m.env.Atlas.NetNS(place)), nil
}

func (m members) Attached(pod *corev1.Pod) (topology.End, bool) {
	place, ns := plugin.PodPlace(m.env, pod)
	return topology.End{Place: place, Dev: "eth0"}, ns != nil
}

// A cloud gives the member interface of pod p a hardware address that no device
// has, and minds the tags of what it takes.
type cloud struct{ tags []model.Tag }

func (*cloud) Name() string { return "vpc" }

func (c *cloud) Cross(x infra.Crossing) []infra.Verdict {
	c.tags = append(c.tags, x.Packet.Tags[0])
	to := infra.Machine{Node: "n1", MAC: "02:00:00:00:00:01"}
	if x.Packet.Dst.Addr().String() == "192.0.2.50" {
		to = infra.Machine{Node: "n2", MAC: "02:00:00:00:00:a1"}
	}
	return []infra.Verdict{{To: to, Flow: x.Flow}}
}

// What comes for a pod on a VLAN comes by that VLAN; what the pod sends has its tag
// until the network between machines has taken it.
func TestMembersOfTrunks(t *testing.T) {
	up := []string{"UP", "LOWER_UP"}
	info := func(key, addr string, devices ...nodedump.Interface) *nodedump.NetNSInfo {
		return &nodedump.NetNSInfo{Key: key, IPTables: nodedump.Part{Status: nodedump.StatusEmpty}, Interfaces: devices,
			Routes:     []nodedump.Route{{Family: 4, Table: 254, Dst: "0.0.0.0/0", Dev: "eth0", Via: "192.0.2.254", Flags: []string{"onlink"}}, {Family: 4, Table: 255, Type: "local", Dst: addr + "/32", Dev: "eth0"}},
			Neighbours: []nodedump.Neighbour{{IP: "192.0.2.254", Dev: "eth0", MAC: "02:00:00:00:00:fe", State: "PERMANENT"}},
			Sockets:    []nodedump.Socket{{Protocol: "tcp", Local: "0.0.0.0:80"}}}
	}
	card := func(mac, addr string) nodedump.Interface {
		return nodedump.Interface{Name: "eth0", Index: 2, MAC: mac, MTU: 1500, Flags: up, Addrs: []nodedump.Addr{{Prefix: addr + "/32", Scope: "global"}}}
	}
	vlan, parent := card("02:00:00:00:00:02", "192.0.2.50"), 0
	vlan.Index, vlan.Kind, vlan.VLAN, vlan.Link, vlan.LinkNSID, vlan.PeerNetns = 3, "vlan", &nodedump.VLAN{ID: 101, Protocol: "802.1Q"}, 2, &parent, nodedump.HostNetns
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("cluster/nodes.yaml", []byte("items:\n- {metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}}\n- {metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 192.0.2.2}]}}\n")))
	require.NoError(t, w.Add("cluster/pods.yaml", []byte("items:\n- {metadata: {namespace: demo, name: p}, spec: {nodeName: n2}, status: {phase: Running, podIP: 192.0.2.50}}\n")))
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1", Netns: []string{nodedump.HostNetns}}))
	require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n2", Netns: []string{nodedump.HostNetns, "demo_p"}, Pods: []nodedump.PodNetInfo{{Namespace: "demo", Name: "p", Netns: "demo_p"}}}))
	require.NoError(t, w.AddNetNS("nodes/n1", info(nodedump.HostNetns, "192.0.2.1", card("02:00:00:00:00:01", "192.0.2.1"))))
	trunk := card("02:00:00:00:00:02", "192.0.2.2")
	trunk.Above = []nodedump.Upper{{Netns: "demo_p", Index: 3}}
	require.NoError(t, w.AddNetNS("nodes/n2", info(nodedump.HostNetns, "192.0.2.2", trunk)))
	require.NoError(t, w.AddNetNS("nodes/n2", info("demo_p", "192.0.2.50", vlan)))
	snap, err := w.Snapshot()
	require.NoError(t, err)
	c := &cloud{}
	a, err := New(snap, Options{
		Plugins: []*plugin.Descriptor{{Name: "members", Fallback: true, New: func(env plugin.Env) (plugin.Plugin, error) { return members{env}, nil }}},
		Providers: []*infra.Descriptor{{Name: "street", Detect: func(*snapshot.Snapshot) (bool, string) { return true, "" },
			New: func(infra.Env) (infra.Underlay, []string, []error) { return c, nil, nil }}},
	})
	require.NoError(t, err)
	d, err := a.Ask(Question{Source: "node:n1", Destination: "192.0.2.50", Port: 80, Protocol: model.TCP})
	require.NoError(t, err)
	require.Equal(t, model.OutcomeReached, d.Outcome)
	require.Equal(t, "n1 demo/p: delivered", way(d))
	require.Equal(t, []model.Tag{{}, {Present: true, ID: 101}}, c.tags[:2])
}
