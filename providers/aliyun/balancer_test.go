package aliyun

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A Service with the address of lb-1, and one of its pods.
const (
	services = `items:
- metadata: {name: web, namespace: demo}
  spec: {type: LoadBalancer, ports: [{name: http, port: 80, protocol: TCP, nodePort: 30080}]}
  status: {loadBalancer: {ingress: [{ip: 47.0.0.9}]}}
- metadata: {name: other, namespace: demo}
  spec: {type: LoadBalancer, ports: [{port: 81, protocol: TCP, nodePort: 30081}]}
  status: {loadBalancer: {ingress: [{ip: 47.0.0.10}, {hostname: lb.example}]}}
`
	slice = `items:
- metadata: {name: web-1, namespace: demo, labels: {kubernetes.io/service-name: web}}
  addressType: IPv4
  ports: [{name: http, port: 8080, protocol: TCP}]
  endpoints: [{addresses: [10.1.0.5]}, {addresses: [10.1.0.6], conditions: {ready: false}}]
`
)

// balancer is lb-1 in a list; whole is the answer about it alone, with a listener
// on a port and a server of the default group.
const balancer = `{"LoadBalancers": {"LoadBalancer": [{"LoadBalancerId": "lb-1", "Address": "47.0.0.9", "LoadBalancerStatus": "active"}]}}`

func whole(status, protocol string, port int, server string) string {
	return fmt.Sprintf(`{"LoadBalancerId": "lb-1", "Address": "47.0.0.9", "LoadBalancerStatus": %q, "ListenerPortsAndProtocol": {"ListenerPortAndProtocol": [{"ListenerPort": %d, "ListenerProtocol": %q}]}, "BackendServers": {"BackendServer": [%s]}}`, status, port, protocol, server)
}

// listener is one of lb-1, with what else it has.
func listener(port int, more string) string {
	return fmt.Sprintf(`{"Listeners": [{"LoadBalancerId": "lb-1", "ListenerPort": %d, "ListenerProtocol": "tcp", "Status": "running", %s}]}`, port, more)
}

// servers is the group rsp-1 with one server, "ecs i-1 30080 100", or none.
func servers(text string) string {
	w := strings.Fields(text)
	if len(w) == 0 {
		return `{"VServerGroupId": "rsp-1", "BackendServers": {"BackendServer": []}}`
	}
	return fmt.Sprintf(`{"VServerGroupId": "rsp-1", "BackendServers": {"BackendServer": [{"Type": %q, "ServerId": %q, "ServerIp": %q, "Port": %s, "Weight": %s}]}}`, w[0], w[1], w[1], w[2], w[3])
}

// Each row is what the answers of the API say, and what is found.
func TestBalancers(t *testing.T) {
	const group = `"VServerGroupId": "rsp-1"`
	for _, row := range []struct {
		files []string
		want  string // of the one finding
	}{
		{[]string{balancer}, ""}, // no more is known of it
		{[]string{whole("active", "tcp", 80, "")}, ""},
		{[]string{whole("active", "http", 80, "")}, ""}, // takes TCP
		{[]string{balancer, whole("inactive", "tcp", 80, "")}, "2: it is inactive, and forwards nothing"},
		{[]string{whole("locked", "tcp", 80, ""), balancer}, "1: it is locked, and forwards nothing"}, // the list knows less
		{[]string{whole("active", "udp", 80, "")}, "1: it has no listener on port 80 for TCP"},
		{[]string{whole("active", "tcp", 443, "")}, "1: it has no listener on port 80 for TCP"},
		{[]string{balancer, listener(443, group)}, "2: it has no listener on port 80 for TCP"},
		{[]string{balancer, `{"NextToken": "2", ` + listener(443, group)[1:]}, ""}, // on the next page, perhaps
		{[]string{balancer, strings.ReplaceAll(listener(80, group), "running", "stopped")}, "2: its listener on port 80 is stopped"},
		{[]string{balancer, listener(80, `"HTTPListenerConfig": {"ListenerForward": "on"}`)}, ""},
		{[]string{balancer, listener(80, group)}, "2: unknown: which servers are behind port 80 of load balancer lb-1 of svc demo/web"},
		{[]string{balancer, listener(80, `"TCPListenerConfig": {"MasterSlaveServerGroupId": "rsp-9"}`)}, "2: unknown: which servers are behind port 80 of load balancer lb-1 of svc demo/web"},
		{[]string{balancer, listener(80, group), servers("ecs i-1 30080 100")}, ""},
		{[]string{balancer, listener(80, group), servers("")}, "3: no server gets what comes to port 80"},
		{[]string{balancer, listener(80, group), servers("ecs i-1 30080 0")}, "3: no server gets what comes to port 80"},
		{[]string{balancer, listener(80, group), servers("ecs i-1 30999 100")}, "3: what comes to port 80 it sends to port 30999 of node n1, and the node port is 30080"},
		{[]string{balancer, listener(80, group), servers("ecs i-8 30080 100")}, "3: its server i-8 is no node of the cluster"},
		{[]string{balancer, listener(80, group), servers("eni 10.1.0.5 8080 100")}, ""},
		{[]string{balancer, listener(80, group), servers("eni 10.1.0.6 8080 100")}, "3: it sends to 10.1.0.6:8080, which is no ready endpoint of the Service"},
		{[]string{balancer, listener(80, group), servers("eci 10.1.0.5 80 100")}, "3: it sends to 10.1.0.5:80, which is no ready endpoint of the Service"},
		{[]string{whole("active", "tcp", 80, `{"Type": "ecs", "ServerId": "i-2", "Weight": 100}`), listener(80, `"BackendServerPort": 30080`)}, ""},
		{[]string{whole("active", "tcp", 80, `{"Type": "ecs", "ServerId": "i-2", "Weight": 100}`), listener(80, `"BackendServerPort": 80`)}, "1: what comes to port 80 it sends to port 80 of node n2, and the node port is 30080"},
	} {
		require.Equal(t, row.want, balanced(t, row.files...), row.files)
	}
}

// balanced is what the check of the load balancers of a VPC finds.
func balanced(t *testing.T, files ...string) string {
	w := snapshot.NewWriter(snapshot.Meta{})
	for name, text := range map[string]string{"cluster/nodes.yaml": nodes, "cluster/services.yaml": services, "cluster/endpointslices.yaml": slice,
		"infra/aliyun/all.json": enis + strings.Join(files, "\n")} {
		require.NoError(t, w.Add(name, []byte(text)))
	}
	s, err := w.Snapshot()
	require.NoError(t, err)
	u, _, _ := create(infra.Env{Snapshot: s, Cluster: town{}})
	f := &found{}
	u.(*vpc).Check(nil, f)
	return strings.Join(*f, "; ")
}

// A found keeps what is reported, with its line, counted from where the
// interfaces end.
type found []string

func (f *found) add(evidence, what string) {
	line := 0
	_, _ = fmt.Sscanf(evidence, "infra/aliyun/all.json:%d", &line)
	*f = append(*f, fmt.Sprintf("%d: %s", line-strings.Count(enis, "\n"), what))
}

func (f *found) Report(_ string, s model.Suspicion) {
	f.add(s.Evidence, strings.TrimPrefix(s.Message, "load balancer lb-1 (47.0.0.9) of svc demo/web: "))
}

func (f *found) Unknown(_, evidence, what string) { f.add(evidence, "unknown: "+what) }
