package service

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// The node n1 in the mode ipvs, as the proxier of Kubernetes 1.34 makes it: no
// dump of a real one.
const (
	ipvsServices = `
- {metadata: {namespace: demo, name: web}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: np}, spec: {type: NodePort, externalTrafficPolicy: Local, clusterIP: 10.96.0.2, sessionAffinity: ClientIP, ports: [{port: 80, nodePort: 30080}]}}
- {metadata: {namespace: demo, name: lb}, spec: {type: LoadBalancer, healthCheckNodePort: 32000, loadBalancerSourceRanges: [203.0.113.0/24, 203.0.114.1/32], externalTrafficPolicy: Local, clusterIP: 10.96.0.3, externalIPs: [198.51.100.5], ports: [{port: 80}]}, status: {loadBalancer: {ingress: [{ip: 198.51.100.6}]}}}
- {metadata: {namespace: demo, name: in}, spec: {internalTrafficPolicy: Local, clusterIP: 10.96.0.4, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: none}, spec: {clusterIP: 10.96.0.5, ports: [{port: 80, protocol: UDP}]}}
`
	ipvsSlices = `
- {metadata: {namespace: demo, name: web-1, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.1.2], nodeName: n1}, {addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: np-1, labels: {kubernetes.io/service-name: np}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.1.2], nodeName: n1}, {addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: lb-1, labels: {kubernetes.io/service-name: lb}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: in-1, labels: {kubernetes.io/service-name: in}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
`
	ipvsSave = `-A -t 10.96.0.1:80 -s rr
-a -t 10.96.0.1:80 -r 10.244.1.2:8080 -m -w 1
-a -t 10.96.0.1:80 -r 10.244.2.2:8080 -m -w 1
-a -t 10.96.0.1:80 -r 10.244.2.9:8080 -m -w 0
-A -t 10.96.0.2:80 -s rr -p 10800
-a -t 10.96.0.2:80 -r 10.244.1.2:8080 -m -w 1
-a -t 10.96.0.2:80 -r 10.244.2.2:8080 -m -w 1
-A -t 192.168.0.1:30080 -s rr -p 10800
-a -t 192.168.0.1:30080 -r 10.244.1.2:8080 -m -w 1
-A -t 10.244.1.1:30080 -s rr -p 10800
-a -t 10.244.1.1:30080 -r 10.244.1.2:8080 -m -w 1
-A -t 172.17.0.1:30080 -s rr -p 10800
-a -t 172.17.0.1:30080 -r 10.244.1.2:8080 -m -w 1
-A -t 10.96.0.3:80 -s rr
-a -t 10.96.0.3:80 -r 10.244.2.2:8080 -m -w 1
-A -t 198.51.100.5:80 -s rr
-a -t 198.51.100.5:80 -r 10.244.2.2:8080 -m -w 1
-A -t 198.51.100.6:80 -s rr
-a -t 198.51.100.6:80 -r 10.244.2.2:8080 -m -w 1
-A -t 10.96.0.4:80 -s rr
-A -u 10.96.0.5:80 -s rr
`
	ipvsSets = `create KUBE-CLUSTER-IP hash:ip,port family inet
add KUBE-CLUSTER-IP 10.96.0.1,tcp:80
add KUBE-CLUSTER-IP 10.96.0.2,tcp:80
add KUBE-CLUSTER-IP 10.96.0.3,tcp:80
add KUBE-CLUSTER-IP 10.96.0.4,tcp:80
add KUBE-CLUSTER-IP 10.96.0.5,udp:80
create KUBE-LOOP-BACK hash:ip,port,ip family inet
add KUBE-LOOP-BACK 10.244.1.2,tcp:8080,10.244.1.2
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
add KUBE-NODE-PORT-TCP 30080
create KUBE-NODE-PORT-LOCAL-TCP bitmap:port range 0-65535
add KUBE-NODE-PORT-LOCAL-TCP 30080
create KUBE-EXTERNAL-IP-LOCAL hash:ip,port family inet
add KUBE-EXTERNAL-IP-LOCAL 198.51.100.5,tcp:80
create KUBE-LOAD-BALANCER hash:ip,port family inet
add KUBE-LOAD-BALANCER 198.51.100.6,tcp:80
create KUBE-LOAD-BALANCER-LOCAL hash:ip,port family inet
add KUBE-LOAD-BALANCER-LOCAL 198.51.100.6,tcp:80
create KUBE-LOAD-BALANCER-FW hash:ip,port family inet
add KUBE-LOAD-BALANCER-FW 198.51.100.6,tcp:80
create KUBE-LOAD-BALANCER-SOURCE-CIDR hash:ip,port,net family inet
add KUBE-LOAD-BALANCER-SOURCE-CIDR 198.51.100.6,tcp:80,203.0.113.0/24
add KUBE-LOAD-BALANCER-SOURCE-CIDR 198.51.100.6,tcp:80,203.0.114.1
create KUBE-HEALTH-CHECK-NODE-PORT bitmap:port range 0-65535
add KUBE-HEALTH-CHECK-NODE-PORT 32000
`
	ipvsTables = `*nat
:KUBE-SERVICES - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-NODE-PORT -p tcp -m set --match-set KUBE-NODE-PORT-LOCAL-TCP dst -j RETURN
-A KUBE-NODE-PORT -p tcp -m set --match-set KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ
-A KUBE-POSTROUTING -m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MASQUERADE
-A KUBE-SERVICES ! -s 10.244.0.0/16 -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
COMMIT
`
	ipvsBound = "10.96.0.1 10.96.0.2 10.96.0.3 10.96.0.4 10.96.0.5 198.51.100.5 198.51.100.6"
)

func ipvsNode(bound, servers, sets, tables string) *nodedump.NetNSInfo {
	part := func(file, text string) nodedump.Part {
		return nodedump.Part{File: file, Status: nodedump.StatusOK, Data: []byte(text)}
	}
	dev := func(name string, addrs ...string) nodedump.Interface {
		i := nodedump.Interface{Name: name}
		for _, a := range addrs {
			i.Addrs = append(i.Addrs, nodedump.Addr{Prefix: a})
		}
		return i
	}
	info := &nodedump.NetNSInfo{File: "netns.json", IPVS: part("ipvs.json", servers), IPSet: part("ipset-save.txt", sets), IPTables: part("iptables-save.txt", tables), NFT: part("nft.json", ""), IP6Tables: part("", "")}
	info.Interfaces = []nodedump.Interface{dev("lo", "127.0.0.1/8"), dev("eth0", "192.168.0.1/24"), dev("cni0", "10.244.1.1/24"), dev("docker0", "172.17.0.1/16")}
	if bound != "" {
		var addrs []string
		for _, a := range strings.Fields(bound) {
			addrs = append(addrs, a+"/32")
		}
		info.Interfaces = append(info.Interfaces, dev("kube-ipvs0", addrs...))
	}
	return info
}

func TestDriftOfIPVS(t *testing.T) {
	k, errs := NewKubeProxyServiceProcessor(open(t, map[string]string{
		"services": ipvsServices, "endpointslices": ipvsSlices, "nodes": nodes, "configmaps": proxyConfig("mode: ipvs\nclusterCIDR: 10.244.0.0/16\n"),
	}), owners{}, "")
	require.Empty(t, errs)
	for _, tt := range []struct {
		why, bound, servers, sets, tables string // edits
		want                              []string
	}{
		{why: "nothing"},
		{why: "a Service is not there", servers: "- 10.96.0.5:80", want: []string{
			"critical service/not-translated node n1 has no rule for svc demo/none:80 (10.96.0.5:80/udp); it should go nowhere"}},
		{why: "a node port is not there", servers: "- -t 192.168.0.1:30080", want: []string{
			"critical service/not-translated node n1 has no rule for svc demo/np:80 (192.168.0.1:30080/tcp); it should go to 10.244.1.2:8080 (pod demo/pod12)"}},
		{why: "another port of the Service", servers: "~ 10.96.0.1:80 => 10.96.0.1:81", want: []string{
			"critical service/wrong-port node n1 translates svc demo/web:80 at port 81, and the Service has port 80"}},
		{why: "another protocol", servers: "~ -t 10.96.0.1:80 => -u 10.96.0.1:80", want: []string{
			"critical service/wrong-protocol node n1 translates svc demo/web:80 for udp, and the Service is for tcp"}},
		{why: "an endpoint is not there", servers: "- 10.96.0.1:80 -r 10.244.1.2:8080", want: []string{
			"warning service/missing-endpoint node n1 does not send svc demo/web:80 (10.96.0.1:80/tcp) to its endpoint 10.244.1.2:8080 (pod demo/pod12)"}},
		{why: "an endpoint that moved", servers: "~ (10.96.0.1:80 -r) 10.244.2.9:8080 -m -w 0 => ${1} 10.244.2.9:8080 -m -w 1", want: []string{
			"critical service/stale-endpoint node n1 sends svc demo/web:80 (10.96.0.1:80/tcp) to 10.244.2.9:8080 (pod demo/pod29), which is no endpoint of it; it should go to 10.244.1.2:8080 (pod demo/pod12), 10.244.2.2:8080 (pod demo/pod22)"}},
		{why: "weight 0", servers: "~ (10.96.0.1:80 -r 10.244.1.2:8080 -m -w) 1 => ${1} 0", want: []string{
			"critical service/ipvs-weight node n1 gives no new connection of svc demo/web:80 (10.96.0.1:80/tcp) to 10.244.1.2:8080 (pod demo/pod12): its weight is 0"}},
		{why: "no affinity", servers: "~ (10.96.0.2:80 -s rr) -p 10800 => ${1}", want: []string{
			"warning service/affinity node n1 does not keep the clients of svc demo/np:80 (10.96.0.2:80/tcp) at 10.244.1.2:8080, and its session affinity is ClientIP for 10800 seconds"}},
		{why: "affinity that is not meant", servers: "~ (10.96.0.1:80 -s rr) => ${1} -p 60", want: []string{
			"warning service/affinity node n1 keeps the clients of svc demo/web:80 (10.96.0.1:80/tcp) at 10.244.1.2:8080 for 60 seconds, and the Service has no session affinity"}},
		{why: "a Local Service that sends away", servers: "~ (-a -t 192.168.0.1:30080 -r) 10.244.1.2 => ${1} 10.244.2.2", want: []string{
			"critical service/local-sends-away node n1 sends svc demo/np:80 (192.168.0.1:30080/tcp) to 10.244.2.2:8080 (pod demo/pod22) of node n2, and its traffic policy is Local",
			"critical service/missing-endpoint node n1 does not send svc demo/np:80 (192.168.0.1:30080/tcp) to its endpoint 10.244.1.2:8080 (pod demo/pod12)"}},
		{why: "a Service that was deleted", servers: "~ \\A => -A -t 10.96.0.77:80 -s rr\n", want: []string{
			"warning service/stale-service node n1 still translates 10.96.0.77:80/tcp, which no Service has"}},
		{why: "no device", bound: "~ .+ => ", want: []string{
			"critical service/ipvs-address-missing node n1 has no device kube-ipvs0, whose addresses are those of the Services: packets to them are routed away"}},
		{why: "an address is not on the device", bound: "~ 10.96.0.1  => ", want: []string{
			"critical service/ipvs-address-missing node n1 lacks the address 10.96.0.1 of svc demo/web on kube-ipvs0: packets of pods to it are routed away"}},
		{why: "no entry of a cluster address", sets: "- KUBE-CLUSTER-IP 10.96.0.1,", want: []string{
			"critical service/ipset-missing node n1 lacks the entry 10.96.0.1,tcp:80 of svc demo/web:80 in the set KUBE-CLUSTER-IP, which rules of iptables go by"}},
		{why: "no entry of a hairpin", sets: "- add KUBE-LOOP-BACK", want: []string{
			"critical service/ipset-missing node n1 lacks the entry 10.244.1.2,tcp:8080,10.244.1.2 of svc demo/web:80 in the set KUBE-LOOP-BACK, which rules of iptables go by",
			"critical service/ipset-missing node n1 lacks the entry 10.244.1.2,tcp:8080,10.244.1.2 of svc demo/np:80 in the set KUBE-LOOP-BACK, which rules of iptables go by"}},
		{why: "no entry of a node port", sets: "- KUBE-NODE-PORT-TCP 30080", want: []string{
			"critical service/ipset-missing node n1 lacks the entry 30080 of svc demo/np:80 in the set KUBE-NODE-PORT-TCP, which rules of iptables go by"}},
		{why: "no entry of a Local node port", sets: "- KUBE-NODE-PORT-LOCAL-TCP 30080", want: []string{
			"critical service/ipset-missing node n1 lacks the entry 30080 of svc demo/np:80 in the set KUBE-NODE-PORT-LOCAL-TCP, which rules of iptables go by"}},
		{why: "no set of source ranges", sets: "- SOURCE-CIDR", want: []string{
			"critical service/ipset-missing node n1 has no set KUBE-LOAD-BALANCER-SOURCE-CIDR, which should have the entry 198.51.100.6,tcp:80,203.0.113.0/24 of svc demo/lb:80",
			"critical service/ipset-missing node n1 has no set KUBE-LOAD-BALANCER-SOURCE-CIDR, which should have the entry 198.51.100.6,tcp:80,203.0.114.1 of svc demo/lb:80"}},
		{why: "no entry of an external address", sets: "- add KUBE-EXTERNAL-IP-LOCAL", want: []string{
			"critical service/ipset-missing node n1 lacks the entry 198.51.100.5,tcp:80 of svc demo/lb:80 in the set KUBE-EXTERNAL-IP-LOCAL, which rules of iptables go by"}},
		{why: "no entry of a health check", sets: "- add KUBE-HEALTH", want: []string{
			"critical service/ipset-missing node n1 lacks the entry 32000 of svc demo/lb:80 in the set KUBE-HEALTH-CHECK-NODE-PORT, which rules of iptables go by"}},
		{why: "no masquerade of hairpins", tables: "- KUBE-LOOP-BACK", want: []string{
			"critical service/masquerade-missing node n1 does not masquerade what Services need: chain KUBE-POSTROUTING of the table nat has no rule for the set KUBE-LOOP-BACK -j MASQUERADE"}},
		{why: "no masquerade of what is not from pods", tables: "- KUBE-CLUSTER-IP", want: []string{
			"critical service/masquerade-missing node n1 does not masquerade what Services need: chain KUBE-SERVICES of the table nat has no rule for the set KUBE-CLUSTER-IP -j KUBE-MARK-MASQ"}},
		{why: "no virtual server at all", servers: "- .", want: []string{
			"fatal service/rules-missing node n1 has none of kube-proxy's rules: no Service can be reached by it (configmap kube-system/kube-proxy config.conf)"}},
		{why: "rules of the mode iptables, too", tables: "+ -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-X", want: []string{
			"critical service/other-proxy-mode node n1 has rules of kube-proxy's mode iptables beside those of its mode ipvs: nobody keeps them up to date, and packets meet both"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			info := ipvsNode(edit(t, ipvsBound, tt.bound), edit(t, ipvsSave, tt.servers), edit(t, ipvsSets, tt.sets), edit(t, ipvsTables, tt.tables))
			require.Equal(t, tt.want, tell(k.Drift("n1", info)))
		})
	}
}

func TestDriftOfHealthChecks(t *testing.T) {
	k, errs := NewKubeProxyServiceProcessor(open(t, map[string]string{
		"services": ipvsServices, "endpointslices": ipvsSlices, "nodes": nodes, "configmaps": proxyConfig("mode: ipvs\nclusterCIDR: 10.244.0.0/16\n"),
	}), owners{}, "")
	require.Empty(t, errs)
	for _, tt := range []struct {
		why, local string
		want       []string
	}{
		{"kube-proxy listens", "*:32000", nil},
		{"nobody does", "0.0.0.0:22", []string{"warning service/health-check node n1 has nobody who listens at 32000, the healthCheckNodePort of svc demo/lb: load balancers take the node for unfit"}},
		{"no socket is known", "", nil},
	} {
		info := ipvsNode(ipvsBound, ipvsSave, ipvsSets, ipvsTables)
		if tt.local != "" {
			info.Sockets = []nodedump.Socket{{Protocol: "tcp", Local: tt.local}}
		}
		require.Equal(t, tt.want, tell(k.Drift("n1", info)), tt.why)
	}
}

// TestDriftOfAnotherMode: the rules tell what a node runs, the configuration
// what it should run.
func TestDriftOfAnotherMode(t *testing.T) {
	k, errs := NewKubeProxyServiceProcessor(open(t, map[string]string{
		"services": ipvsServices, "endpointslices": ipvsSlices, "nodes": nodes, "configmaps": proxyConfig("mode: iptables\nclusterCIDR: 10.244.0.0/16\n"),
	}), owners{}, "")
	require.Empty(t, errs)
	require.Equal(t, []string{
		"critical service/other-proxy-mode node n1 has rules of kube-proxy's mode ipvs, and configmap kube-system/kube-proxy config.conf says iptables",
	}, tell(k.Drift("n1", ipvsNode(ipvsBound, ipvsSave, ipvsSets, ipvsTables))))
}
