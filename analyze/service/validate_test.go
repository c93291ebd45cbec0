package service

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
)

func TestValidate(t *testing.T) {
	const restart = "Restart kube-proxy on node n1, which writes these rules."
	k := proxy(t, "clusterCIDR: 10.244.0.0/16\n")
	for _, tt := range []struct {
		why, packet, got string
		level            model.SuspicionLevel
		code             string
		message, remedy  string
	}{
		{"as wanted", "tcp 10.244.1.7 > 10.96.0.1:80", "10.244.2.2:8080", 0, "", "", ""},
		{"not translated", "tcp 10.244.1.7 > 10.96.0.1:80", "10.96.0.1:80", model.SuspicionLevelFatal, "service/not-translated",
			"node n1 does not translate svc demo/web:80 (10.96.0.1:80); it should go to 10.244.1.2:8080 (pod demo/pod12), 10.244.2.2:8080 (pod demo/web2)", restart},
		{"node port not translated", "tcp 203.0.113.1 > 192.168.0.1:30080", "192.168.0.1:30080", model.SuspicionLevelFatal, "service/not-translated",
			"node n1 does not translate svc demo/np:80 (192.168.0.1:30080); it should go to 10.244.2.2:8080 (pod demo/pod22)", restart},
		{"to an address of nobody", "tcp 10.244.1.7 > 10.96.0.1:80", "10.244.2.99:8080", model.SuspicionLevelFatal, "service/stale-endpoint",
			"node n1 sends svc demo/web:80 to 10.244.2.99:8080 (nobody is known to have that address), which is no endpoint of it; its endpoints are 10.244.1.2:8080 (pod demo/pod12), 10.244.1.8:8080 (pod demo/pod18), 10.244.2.2:8080 (pod demo/web2) and 1 more", restart},
		{"to a pod that is no endpoint", "tcp 10.244.1.7 > 10.96.0.2:80", "10.244.1.5:8080", model.SuspicionLevelFatal, "service/stale-endpoint",
			"node n1 sends svc demo/np:80 to 10.244.1.5:8080 (pod demo/pod15), which is no endpoint of it; its endpoints are 10.244.2.2:8080 (pod demo/pod22)", restart},
		{"to another port of an endpoint", "tcp 10.244.1.7 > 10.96.0.2:80", "10.244.2.2:80", model.SuspicionLevelFatal, "service/stale-endpoint",
			"node n1 sends svc demo/np:80 to 10.244.2.2:80 (pod demo/pod22), an endpoint, but its port is 8080", restart},
		{"to an endpoint that is not ready", "tcp 10.244.1.7 > 10.96.0.1:80", "10.244.1.8:8080", model.SuspicionLevelWarning, "service/stale-endpoint",
			"node n1 sends svc demo/web:80 to 10.244.1.8:8080 (pod demo/pod18), an endpoint that is not ready", restart},
		{"translated though there is no endpoint", "tcp 10.244.1.7 > 10.96.0.7:80", "10.244.1.5:8080", model.SuspicionLevelFatal, "service/stale-endpoint",
			"node n1 sends svc demo/none:80 to 10.244.1.5:8080 (pod demo/pod15), which is no endpoint of it; it has none", restart},
		{"translated though the policy forbids it", "tcp 10.244.1.7 > 10.96.0.4:80", "10.244.2.2:8080", model.SuspicionLevelWarning, "service/stale-endpoint",
			"node n1 sends svc demo/inlocal:80 to 10.244.2.2:8080 (pod demo/pod22), an endpoint that this packet should not go to from node n1: internalTrafficPolicy is Local and node n1 has no endpoint; endpoints are on n2", restart},
		{"no endpoint", "tcp 10.244.1.7 > 10.96.0.7:80", "10.96.0.7:80", model.SuspicionLevelFatal, "service/no-endpoints",
			"svc demo/none:80 has no ready endpoint: no pod matches its selector", "Correct the Service's selector or port names, or start a pod that matches."},
		{"unready endpoint", "tcp 10.244.1.7 > 10.96.0.8:80", "10.96.0.8:80", model.SuspicionLevelFatal, "service/no-endpoints",
			"svc demo/unready:80 has no ready endpoint: not ready: pod demo/u1", "Make a pod of the Service ready: look at its readiness probe."},
		{"no selector", "tcp 10.244.1.7 > 10.96.0.9:80", "10.96.0.9:80", model.SuspicionLevelFatal, "service/no-endpoints",
			"svc demo/manual:80 has no ready endpoint: it has no selector, and nobody has made endpoints for it", "Make an EndpointSlice for the Service, or give it a selector."},
		{"internal Local", "tcp 10.244.1.7 > 10.96.0.4:80", "10.96.0.4:80", model.SuspicionLevelFatal, "service/no-endpoints",
			"svc demo/inlocal:80 has no endpoint for this packet: internalTrafficPolicy is Local and node n1 has no endpoint; endpoints are on n2", "Run an endpoint on node n1, or set internalTrafficPolicy to Cluster."},
		{"external Local", "tcp 203.0.113.1 > 192.168.0.1:30081", "192.168.0.1:30081", model.SuspicionLevelFatal, "service/no-endpoints",
			"svc demo/nplocal:80 has no endpoint for this packet: externalTrafficPolicy is Local and node n1 has no endpoint; endpoints are on n2", "Send to a node that has an endpoint, run one on node n1, or set externalTrafficPolicy to Cluster."},
		{"source ranges", "tcp 198.18.0.1 > 198.51.100.6:80", "198.51.100.6:80", model.SuspicionLevelFatal, "service/no-endpoints",
			"svc demo/lb:80 has no endpoint for this packet: loadBalancerSourceRanges 203.0.113.0/24, 192.168.0.1/32 do not hold the source 198.18.0.1", "Add the source to loadBalancerSourceRanges, if it may use the Service."},
		{"unknown port", "tcp 10.244.1.7 > 10.96.0.1:81", "10.96.0.1:81", model.SuspicionLevelFatal, "service/no-port",
			"svc demo/web has no port 81/tcp: it has 80/tcp (http), 53/udp (dns), 80/sctp (sctp)", "Use a port of the Service, or add this one to it."},
	} {
		t.Run(tt.why, func(t *testing.T) {
			p := pkt(tt.packet)
			_, fromPod := owners{}.GetPodFromIP(p.Src.Addr())
			want, ok := k.Process(p, "n1", fromPod)
			require.True(t, ok)
			got := k.Validate(p, want, pkt("tcp 1.1.1.1 > "+tt.got), "n1")
			if tt.code == "" {
				require.Empty(t, got)
				return
			}
			require.Equal(t, []model.Suspicion{{Level: tt.level, Code: tt.code, Message: tt.message, Remedy: tt.remedy}}, got)
		})
	}
}

func TestValidateWithoutKubeProxyIsNotSure(t *testing.T) {
	k, errs := NewKubeProxyServiceProcessor(open(t, map[string]string{"services": services, "endpointslices": endpointSlices, "nodes": nodes}), owners{}, "")
	require.Empty(t, errs)
	p := pkt("tcp 10.244.1.7 > 10.96.0.2:80")
	want, _ := k.Process(p, "n1", true)
	got := k.Validate(p, want, p, "n1")
	require.Len(t, got, 1)
	require.Equal(t, model.SuspicionLevelCritical, got[0].Level)
	require.Equal(t, "See which program implements Services on node n1: nothing in the bundle shows kube-proxy.", got[0].Remedy)
}

func TestCodesAreKnown(t *testing.T) {
	known := map[string]bool{}
	for _, c := range model.Codes() {
		known[c.Code] = true
	}
	for _, code := range []string{"service/no-endpoints", "service/no-port", "service/not-translated", "service/stale-endpoint"} {
		require.True(t, known[code], code)
	}
}

// TestValidateDoesNotGuessEndpoints: a bundle without them shows no stale one.
func TestValidateDoesNotGuessEndpoints(t *testing.T) {
	k, errs := NewKubeProxyServiceProcessor(open(t, map[string]string{"services": services, "nodes": nodes}), owners{}, ModeIPTables)
	require.NotEmpty(t, errs)
	for packet, got := range map[string]string{
		"tcp 10.244.1.7 > 10.96.0.2:80": "10.244.2.2:8080",
		"tcp 10.244.1.7 > 10.96.0.1:80": "10.96.0.1:80",
	} {
		p := pkt(packet)
		want, ok := k.Process(p, "n1", true)
		require.True(t, ok)
		require.Empty(t, k.Validate(p, want, pkt("tcp 1.1.1.1 > "+got), "n1"), packet)
	}
	p := pkt("tcp 10.244.1.7 > 10.96.0.1:81")
	want, _ := k.Process(p, "n1", true)
	require.Len(t, k.Validate(p, want, p, "n1"), 1, "the ports are known all the same")
}
