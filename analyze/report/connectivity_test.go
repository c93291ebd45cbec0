package report

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/connectivity"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/policy"
	"github.com/pathsnap/pathsnap/analyze/service"
	"github.com/pathsnap/pathsnap/snapshot"
)

// connected is a small cluster: a web server that some may reach, a database
// that is closed to most, and a pod whose address is not known.
func connected(t testing.TB, o connectivity.Options) *connectivity.Report {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	for resource, items := range map[string]string{
		"pods": `
- {metadata: {namespace: demo, name: front, labels: {app: front}}, status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}}
- {metadata: {namespace: demo, name: web-0, labels: {app: web}, ownerReferences: [{kind: StatefulSet, name: web, controller: true}]}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}, status: {podIP: 10.0.0.2}}
- {metadata: {namespace: demo, name: web-1, labels: {app: web}, ownerReferences: [{kind: StatefulSet, name: web, controller: true}]}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}, status: {podIP: 10.0.0.3}}
- {metadata: {namespace: demo, name: db, labels: {app: db}}, status: {podIP: 10.0.0.4, podIPs: [{ip: 10.0.0.4}, {ip: "fd00::4"}]}}
- {metadata: {namespace: other, name: new, labels: {app: front}}}
`,
		"networkpolicies": `
- {metadata: {namespace: demo, name: web}, spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: front}}}, {ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.1/32]}}], ports: [{port: http}]}]}}
- {metadata: {namespace: demo, name: db}, spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress], ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/29}}], ports: [{port: 5432}, {port: 6000, endPort: 6010, protocol: UDP}]}]}}
`,
		"services":       `[{metadata: {namespace: demo, name: web}, spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80, targetPort: http}]}}, {metadata: {namespace: demo, name: none}, spec: {clusterIP: None, ports: [{port: 81}]}}]`,
		"endpointslices": `[{metadata: {namespace: demo, name: web-1, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.0.0.2]}, {addresses: [10.0.0.3]}, {addresses: [192.0.2.9]}]}]`,
		"namespaces":     "[{metadata: {name: demo}}, {metadata: {name: other}}]", "configmaps": "[]",
		"nodes": "[{metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 192.168.0.1}]}}]",
	} {
		require.NoError(t, w.Add("cluster/"+resource+".yaml", []byte("items: "+items)))
	}
	snap, err := w.Snapshot()
	require.NoError(t, err)
	ips, errs := k8s.NewIPCache(snap)
	require.Empty(t, errs)
	n, errs := policy.New(snap, ips)
	require.Empty(t, errs)
	r := connectivity.New(n, ips, []string{"n1"}, o)
	ports, errs := service.Ports(snap)
	require.Empty(t, errs)
	r.AddServices(n, ips, ports, false)
	r.Unenforced, r.Problems = "nobody is there to enforce", []string{"networkpolicy demo/odd: \x1b[31mno sense"}
	return r
}

func TestConnectivityGolden(t *testing.T) {
	for name, o := range map[string]connectivity.Options{"all": {}, "other": {Namespace: "other"}} {
		for _, f := range ConnectivityFormats() {
			t.Run(name+"/"+f.Name, func(t *testing.T) {
				var b bytes.Buffer
				require.NoError(t, f.Write(context.Background(), &b, connected(t, o), TextOptions{}))
				if f.Name == "svg" || f.Name == "png" {
					require.NotEmpty(t, b.Bytes())
					if *draws != "" {
						require.NoError(t, os.WriteFile(filepath.Join(*draws, "connectivity-"+name+"."+f.Name), b.Bytes(), 0o644))
					}
					return
				}
				file := filepath.Join("testdata", "connectivity-"+name+"."+f.Name)
				if *update {
					require.NoError(t, os.WriteFile(file, b.Bytes(), 0o644))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				require.Equal(t, string(want), b.String())
				require.NotContains(t, b.String(), "\x1b")
			})
		}
	}
}

// broken is a writer that takes nothing.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestConnectivityTellsThatNothingCouldBeWritten(t *testing.T) {
	for _, f := range ConnectivityFormats() {
		require.Error(t, f.Write(context.Background(), broken{}, connected(t, connectivity.Options{}), TextOptions{}), f.Name)
	}
}
