package plugin_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/service"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// web serves the only Service, by pod b.
type web struct{}

func (web) Process(model.Packet, string, bool) (*service.Decision, bool) {
	return &service.Decision{Service: "demo/web", Backends: []service.Backend{{Addr: netip.MustParseAddrPort("10.244.2.10:80"), Node: "n2"}}}, true
}

func (web) Validate(model.Packet, *service.Decision, model.Packet, string) []model.Suspicion {
	return nil
}

// A packet of pod a to a Service, as its node sends it on to pod b of another:
// with the node's address, where the network means that.
func TestMaskedToBackends(t *testing.T) {
	const dnat = "-A PREROUTING -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.244.2.10:80\n"
	for _, tt := range []struct {
		name, rules string
		masks       bool
		want        []string
	}{
		{"it should, and does", dnat + "-A POSTROUTING -j MASQUERADE\n", true, nil},
		{"it should, and does not", dnat, true, []string{"warning netfilter/masquerade-missing node:n1"}},
		{"nobody means that", dnat, false, nil},
	} {
		w, env := open(t, []string{onLink, onBridge, toN2}, []string{podLink, podWay})
		env.Services = web{}
		host := topology.Place{Base: "nodes/n1", Netns: "host"}
		copied := *w.NetNS(host).Info
		copied.IPTables = nodedump.Part{File: "rules", Status: nodedump.StatusOK, Data: []byte("*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n" + tt.rules + "COMMIT\n")}
		ns, problems := netstack.New(&copied)
		require.Empty(t, problems)
		w.read[host] = ns

		to := model.Endpoint{Type: model.EndpointTypeService, Name: "demo/web", IP: netip.MustParseAddr("10.96.0.1"), Port: 80}
		sent, err := pod(t, w, env, "a").Send(to, model.TCP)
		require.NoError(t, err)
		n1 := node(t, w, env, "n1", &fabric{device: "eth0", masks: tt.masks})
		sent, err = n1.Receive(sent[0].Link)
		require.NoError(t, err)
		require.Len(t, sent, 1, tt.name)
		require.Equal(t, "node:n2", sent[0].NextHop.String(), tt.name)
		require.Equal(t, tt.want, said(n1.Node()), tt.name)
	}
}
