package check_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/analyze/check"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

const (
	host1    = "nodes/node1/netns/host/netns.json"
	host2    = "nodes/node2/netns/host/netns.json"
	podA     = "nodes/node1/netns/demo_a/netns.json"
	cni1     = `{"name":"cni0","index":4,"kind":"bridge","mtu":1450,"mac":"c6:27:77:0d:e7:cf","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"]`
	veth1    = `{"name":"vethcf1720f7","index":5,"kind":"veth","mtu":1450,"mac":"d6:c5:7a:36:ad:cf","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"]`
	eth2     = `{"name":"eth0","index":2,"kind":"veth","mtu":1500`
	flannel1 = `{"name":"flannel.1","index":3,"kind":"vxlan","mtu":1450`
	eth1     = `{"name":"eth0","index":2,"kind":"veth","mtu":1500,"mac":"de:0b:06:11:b7:77","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"]`
)

// down is a device without its flag UP.
func down(device string) string {
	return strings.Replace(device, `"MULTICAST","UP","LOWER_UP"`, `"MULTICAST"`, 1)
}

// neighbour makes the entry for ip one that leads nowhere, or adds such a one.
func neighbour(part, ip, dev, state string) edit {
	wrong := fmt.Sprintf(`{"ip":%q,"dev":%q,"mac":"02:00:00:00:00:99","state":%q}`, ip, dev, state)
	return func(b *bundle) {
		var left []string
		for line := range strings.Lines(string(b.parts[part])) {
			if strings.HasPrefix(line, fmt.Sprintf(`{"ip":%q,"dev":%q`, ip, dev)) {
				continue
			}
			left = append(left, line)
			if strings.HasPrefix(line, `"neighbours": [`) {
				left = append(left, wrong+",\n")
			}
		}
		b.parts[part] = []byte(strings.Join(left, ""))
	}
}

// sysctl sets a sysctl of node1.
func sysctl(name, old, with string) edit {
	return sub(host1, fmt.Sprintf("%q: %q", name, old), fmt.Sprintf("%q: %q", name, with))
}

// instead begins with another recorded bundle.
func instead(name string) edit { return func(b *bundle) { b.parts = load(b.t, name).parts } }

// vpc puts two instances, i-1 and i-2, into a VPC with one entry, which leads to
// the first.
func vpc(cidr string) edit {
	return put("infra/aliyun/all.json", fmt.Sprintf(`{
"RouteEntrys": {"RouteEntry": [
{"RouteTableId": "vtb-1", "DestinationCidrBlock": %q, "Status": "Available", "NextHops": {"NextHop": [{"NextHopType": "Instance", "NextHopId": "i-1"}]}},
{"RouteTableId": "vtb-1", "DestinationCidrBlock": "172.31.0.0/24", "Status": "Available", "NextHops": {"NextHop": [{"NextHopType": "local"}]}}
]}}
{"NetworkInterfaceSets": {"NetworkInterfaceSet": [
{"NetworkInterfaceId": "eni-1", "Type": "Primary", "InstanceId": "i-1", "PrivateIpAddress": "172.31.0.11", "SourceDestCheck": false},
{"NetworkInterfaceId": "eni-2", "Type": "Primary", "InstanceId": "i-2", "PrivateIpAddress": "172.31.0.12", "SourceDestCheck": false}
]}}
`, cidr))
}

// Policies that let nobody to pod demo/c, and to no pod that there is.
const (
	closed          = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: demo, name: closed}, spec: {podSelector: {matchLabels: {app: c}}}}\n"
	closedElsewhere = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {namespace: other, name: closed}, spec: {podSelector: {}}}\n"
)

// What the recorded bundle itself earns: its svc demo/empty has no ready pod, and
// its svc demo/wrong a port on which nobody listens.
const (
	unready = "info service/unready-endpoints"
	unheard = "info socket/none node2"
)

// A row is a change of the recorded bundle and what its check then says: level,
// code and node. The first line of evidence and words of the message follow.
type row struct {
	check, name string
	edits       []edit
	want        []string
	evidence    string
	message     string
}

var checkRows = []row{
	{"bundle", "a part that was not read", []edit{lose("nodes/node1/netns/host/ipset-save.txt", nodedump.StatusToolMissing)},
		[]string{"info bundle/part-missing node1"}, "nodes/node1/netns/host/ipset-save.txt", "tool-missing: for a reason"},
	{"nodes", "a node that is not ready", []edit{sub("cluster/nodes.yaml", "reason: KubeletReady\n      status: \"True\"", "reason: KubeletReady\n      status: \"False\"")},
		[]string{"warning cluster/node-not-ready node1", "warning cluster/node-not-ready node2"}, "cluster/nodes.yaml", "node node1 is not ready: kubelet is posting ready status"},
	{"pods", "a running pod without an address", []edit{sub("cluster/pods.yaml", "    podIP: 10.244.1.2\n    podIPs:\n    - ip: 10.244.1.2\n", "")},
		[]string{"warning pod/no-address node1"}, "cluster/pods.yaml", "pod demo/a runs on node node1 and has no address"},
	{"pods", "a pod whose device has another address", []edit{sub(podA, "10.244.1.2", "10.244.1.99")},
		[]string{"critical pod/address-missing node1"}, podA, "no device of pod demo/a has its address 10.244.1.2"},
	{"services", "a selector that matches nothing", []edit{sub("cluster/services.yaml", "selector:\n      app: a\n", "selector:\n      app: nobody\n")},
		[]string{"info service/no-endpoints", unready, unheard}, "cluster/services.yaml", "svc demo/a selects app=nobody and no pod of namespace demo matches"},
	{"services", "endpoints that are not ready", nil, []string{unready, unheard}, "cluster/endpointslices.yaml", "pod demo/unready; no other is ready"},
	{"services", "a target port that no pod has", []edit{sub("cluster/services.yaml", "targetPort: http", "targetPort: web"), sub("cluster/endpointslices.yaml", "    name: b-", "    name: other-"), sub("cluster/endpointslices.yaml", "service-name: b\n", "service-name: other\n"), func(b *bundle) {
		b.parts["cluster/endpointslices.yaml"] = append(b.parts["cluster/endpointslices.yaml"], "- apiVersion: discovery.k8s.io/v1\n  kind: EndpointSlice\n  metadata: {name: b-1, namespace: demo, labels: {kubernetes.io/service-name: b}}\n  addressType: IPv4\n  endpoints: []\n"...)
	}}, []string{"info service/no-endpoints", "info service/no-endpoints", unready, unheard}, "cluster/services.yaml", "port 53 of svc demo/b has no endpoint: its target port is named dns"},
	{"drift", "a rule of kube-proxy's is gone", []edit{drop("nodes/node1/netns/host/iptables-save.txt", "-A KUBE-SERVICES -d 10.96.10.1/32 ")},
		[]string{"critical service/not-translated node1"}, "nodes/node1/netns/host/iptables-save.txt", "svc demo/a:80"},
	{"cni", "configuration of another plugin behind the one in use", []edit{put("nodes/node1/files/etc/cni/net.d/99-kindnet.conflist", `{"plugins": [{"type": "ptp"}]}`)},
		[]string{"info cni/leftover node1"}, "nodes/node1/files/etc/cni/net.d/99-kindnet.conflist", "node node1 is in flannel's network and has things of kindnet: CNI configuration 99-kindnet.conflist"},
	{"cni", "a device of another plugin", []edit{sub(host1, veth1, strings.Replace(veth1, "vethcf1720f7", "cilium_host", 1))},
		[]string{"info cni/leftover node1"}, host1, "has things of cilium: device cilium_host"},
	{"cni", "the agent of another plugin", []edit{
		put("nodes/node1/files/etc/cni/net.d/00-aws.conflist", `{"plugins": [{"type": "aws-cni"}]}`),
	}, []string{"warning cni/mismatch node1", "info cni/leftover node1"}, "nodes/node1/files/etc/cni/net.d/00-aws.conflist",
		"new pods of node node1 are set up by AWS VPC CNI (CNI configuration 00-aws.conflist), and the agent that runs there is of flannel (pod of DaemonSet kube-flannel/kube-flannel-ds)"},
	{"network", "a route that is missing", []edit{sub(host1, `{"family":4,"table":254,"dst":"10.244.2.0/24","dev":"flannel.1","via":"10.244.2.0","protocol":"boot","flags":["onlink"]},`+"\n", "")},
		[]string{"critical route/missing node1"}, host1, "the route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 is missing"},
	{"network", "two tunnels with one hardware address", []edit{sub("cluster/nodes.yaml", "ca:35:72:b7:0d:2e", "c6:97:d8:02:74:09")},
		[]string{"critical address/duplicate node1", "critical address/duplicate node2", "critical cni/contradiction node2", "critical neigh/wrong node1"}, "cluster/nodes.yaml", "nodes node1 and node2 tell the others the same hardware address of their tunnels: c6:97:d8:02:74:09"},
	{"network", "net-conf.json that is broken", []edit{sub("cluster/configmaps.yaml", `"Network": "10.244.0.0/16",`, `"Network": "10.244.0.0/16"`)},
		[]string{"critical cni/broken node1"}, "cluster/configmaps.yaml", "net-conf.json cannot be read"},
	{"network", "subnet.env of another range", []edit{sub("nodes/node2/files/run/flannel/subnet.env", "10.244.2.1/24", "10.244.7.1/24")},
		[]string{"critical cni/contradiction node2"}, "nodes/node2/files/run/flannel/subnet.env", "subnet.env of node node2 gives its pods addresses of 10.244.7.0/24"},
	{"network", "an annotation of another backend", []edit{sub("cluster/nodes.yaml", "backend-type: vxlan\n      flannel.alpha.coreos.com/kube-subnet-manager: \"true\"\n      flannel.alpha.coreos.com/public-ip: 172.31.0.12", "backend-type: host-gw\n      flannel.alpha.coreos.com/kube-subnet-manager: \"true\"\n      flannel.alpha.coreos.com/public-ip: 172.31.0.12")},
		[]string{"critical cni/contradiction node2", "critical route/diverted node2"}, "cluster/nodes.yaml", "runs with the backend host-gw"},
	{"network", "a port that does not send back", []edit{sub(host1, `"master":4,"port":{"state":"forwarding","hairpin":true}`, `"master":4,"port":{"state":"forwarding"}`)},
		[]string{"warning bridge/hairpin node1", "warning bridge/hairpin node1", "warning bridge/hairpin node1"}, host1 + ":", "hairpin mode"},
	{"network", "packets of pods leave with their own address", []edit{drop("nodes/node1/netns/host/iptables-save.txt", "-A FLANNEL-POSTRTG")},
		[]string{"critical netfilter/masquerade-missing node1"}, "nodes/node1/netns/host/iptables-save.txt", "by eth0 to the world with the pod's own address"},
	{"routes", "a pod without a default route", []edit{drop(podA, `{"family":4,"table":254,"dst":"0.0.0.0/0"`)},
		[]string{"critical route/missing node1"}, podA, "pod demo/a has no default route"},
	{"routes", "a node without a default route", []edit{drop(host1, `{"family":4,"table":254,"dst":"0.0.0.0/0"`)},
		[]string{"warning route/missing node1"}, host1, "node node1 has no default route, and node2 has one"},
	{"routes", "no node has a default route", []edit{drop(host1, `{"family":4,"table":254,"dst":"0.0.0.0/0"`), drop(host2, `{"family":4,"table":254,"dst":"0.0.0.0/0"`)}, nil, "", ""},
	{"neighbours", "a pod's entry for its gateway", []edit{neighbour(podA, "10.244.1.1", "eth0", "PERMANENT")},
		[]string{"critical neigh/wrong node1"}, podA + ":", "the neighbour entry of pod demo/a for 10.244.1.1 on eth0 has 02:00:00:00:00:99, and that of its gateway (cni0 of node node1) is c6:27:77:0d:e7:cf"},
	{"neighbours", "one that was learned mends itself", []edit{neighbour(podA, "10.244.1.1", "eth0", "STALE")}, []string{"warning neigh/wrong node1"}, podA + ":", "gateway"},
	{"neighbours", "one that nobody answers", []edit{neighbour(podA, "10.244.1.1", "eth0", "FAILED")}, nil, "", ""},
	{"neighbours", "a node's entry for a pod", []edit{neighbour(host1, "10.244.1.2", "cni0", "PERMANENT")},
		[]string{"critical neigh/wrong node1"}, host1 + ":", "that of pod demo/a is"},
	{"neighbours", "a node's entry for another node", []edit{neighbour(host1, "172.31.0.12", "eth0", "PERMANENT")},
		[]string{"critical neigh/wrong node1"}, host1 + ":", "that of node node2 is"},
	{"neighbours", "that of a router between nodes", []edit{neighbour(host1, "172.31.0.12", "eth0", "REACHABLE")}, nil, "", ""},
	{"devices", "the device with the node's address is down", []edit{sub(host1, eth1, down(eth1))},
		[]string{"fatal link/down node1"}, host1 + ":5", "eth0 of node node1, which has the node's address 172.31.0.11, is down"},
	{"sysctls", "no forwarding", []edit{sysctl("net.ipv4.ip_forward", "1", "0")},
		[]string{"fatal sysctl/ip-forward node1"}, host1 + ":", "net.ipv4.ip_forward is 0 on node node1"},
	{"sysctls", "no forwarding from one device", []edit{sysctl("net.ipv4.conf.flannel/1.forwarding", "1", "0")},
		[]string{"fatal sysctl/ip-forward node1"}, host1 + ":", "by flannel.1"},
	{"sysctls", "bridges are not shown to netfilter", []edit{sysctl("net.bridge.bridge-nf-call-iptables", "1", "0")},
		[]string{"critical sysctl/bridge-nf node1"}, host1 + ":", "net.bridge.bridge-nf-call-iptables is 0"},
	{"sysctls", "br_netfilter is not loaded", []edit{sub(host1, `"net.bridge.bridge-nf-call-iptables": "1",`+"\n", "")},
		[]string{"critical sysctl/bridge-nf node1"}, host1, "br_netfilter is not loaded"},
	{"conntrack", "nearly full by the sysctls", []edit{sysctl("net.netfilter.nf_conntrack_count", "0", "240000"), rm("nodes/node1/netns/host/conntrack.json")},
		[]string{"warning conntrack/nearly-full node1"}, host1 + ":", "holds 240000 of at most 262144, 91 %"},
	{"conntrack", "full by the table", []edit{put("nodes/node1/netns/host/conntrack.json", `{"count":10,"max":10,"entries":[]}`)},
		[]string{"fatal conntrack/full node1"}, "nodes/node1/netns/host/conntrack.json", "is full (10 of 10)"},
	{"mtu", "a tunnel that is too large for the device below", []edit{sub(host1, eth1, strings.Replace(eth1, "1500", "1480", 1)), sub(host2, eth2, strings.Replace(eth2, "1500", "1480", 1))},
		[]string{"critical mtu/too-small node1", "critical mtu/too-small node2"}, host1 + ":5", "eth0 of node node1 takes packets of up to 1480 bytes, and the tunnel flannel.1 makes up to 1500 of its 1450"},
	{"mtu", "a tunnel that is too small for the pods", []edit{sub(host1, flannel1, strings.Replace(flannel1, "1450", "1400", 1))},
		[]string{"warning mtu/too-small node1"}, host1 + ":6", "pods of node node1 send packets of up to 1450 bytes (pod demo/a), and flannel.1, which leads to other nodes' pods, takes 1400"},
	{"mtu", "nodes that differ", []edit{sub(host1, eth1, strings.Replace(eth1, "1500", "9000", 1))},
		[]string{"warning mtu/mismatch node2"}, host2 + ":5", "eth0 of node node2 has an MTU of 1500, and the other nodes of 172.31.0.0/24 have 9000"},
	{"backends", "rules of both", []edit{put("nodes/node1/netns/host/iptables-legacy-save.txt", "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -s 10.9.9.9/32 -j DROP\nCOMMIT\n")},
		[]string{"warning netfilter/mixed-backends node1"}, "nodes/node1/netns/host/iptables-legacy-save.txt:3", "meet 1 of iptables-legacy beside the"},
	{"backends", "rules that no packet meets", []edit{put("nodes/node1/netns/host/iptables-legacy-save.txt", "*filter\n:FORWARD ACCEPT [0:0]\n:OLD - [0:0]\n-A OLD -j DROP\nCOMMIT\n")}, nil, "", ""},
	{"addresses", "of two pods", []edit{sub("cluster/pods.yaml", "10.244.1.3", "10.244.1.2")},
		[]string{"critical address/duplicate node1"}, "cluster/pods.yaml", "pod demo/a and pod demo/b have the same address 10.244.1.2"},
	{"addresses", "of two Services", []edit{sub("cluster/services.yaml", "10.96.10.2", "10.96.10.1")},
		[]string{"critical address/duplicate"}, "cluster/services.yaml", "have the same address"},
	{"addresses", "of two nodes", []edit{sub("cluster/nodes.yaml", "address: 172.31.0.12", "address: 172.31.0.11")},
		[]string{"critical address/duplicate"}, "cluster/nodes.yaml", "node node1 and node node2 have the same address 172.31.0.11"},
	{"ranges", "of two nodes", []edit{sub("cluster/nodes.yaml", "10.244.2.0/24", "10.244.0.0/16")},
		[]string{"critical address/overlap node2"}, "cluster/nodes.yaml", "the pod CIDR 10.244.0.0/16 of node node2 overlaps with the pod CIDR 10.244.1.0/24 of node node1"},
	{"ranges", "of pods and Services", []edit{sub("cluster/services.yaml", "10.96.10.1\n", "10.244.1.200\n")},
		[]string{"critical address/overlap node1"}, "cluster/nodes.yaml", "the pod CIDR 10.244.1.0/24 of node node1 overlaps with the address 10.244.1.200 of svc demo/a"},
	{"ranges", "of pods and nodes", []edit{sub("cluster/nodes.yaml", "10.244.2.0/24", "172.31.0.128/25")},
		[]string{"critical address/overlap node2", "critical address/overlap node2"}, "cluster/nodes.yaml", "overlaps with the network 172.31.0.0/24 of node node1"},
	{"pod-rules", "a pod that drops", []edit{put("nodes/node1/netns/demo_a/iptables-save.txt", "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j DROP\nCOMMIT\n")},
		[]string{"info netfilter/drop node1"}, "nodes/node1/netns/demo_a/iptables-save.txt:3", "pod demo/a (filter -A INPUT -p tcp -j DROP)"},
	{"infra", "a cloud without a route to a node's pods", []edit{instead("flannel-hostgw"), vpc("10.244.1.0/24")},
		[]string{"critical infra/route-missing node2"}, "infra/aliyun/all.json:3", "no entry of route table vtb-1 leads to the pods of the node, 10.244.2.0/24"},
	{"infra", "a cloud with a route to the wrong node", []edit{instead("flannel-hostgw"), vpc("10.244.0.0/16")},
		[]string{"critical infra/route-wrong node2"}, "infra/aliyun/all.json:3", "does not lead to the node (i-2)"},
	{"infra", "pods in a tunnel need no route", []edit{vpc("10.244.1.0/24")}, nil, "", ""},
	{"infra", "an interface that checks addresses", []edit{instead("flannel-hostgw"), vpc("10.244.1.0/24"), sub("infra/aliyun/all.json", `"172.31.0.11", "SourceDestCheck": false`, `"172.31.0.11", "SourceDestCheck": true`)},
		[]string{"critical infra/address-not-owned node1", "critical infra/route-missing node2"}, "infra/aliyun/all.json:7", "eni-1 checks addresses, and those of the node's pods, 10.244.1.0/24, are none of its own"},
	{"ways", "a firewall drops the tunnel's packets", []edit{insert(rules2, "-A INPUT", "-A INPUT -p udp -m udp --dport 8472 -j DROP\n")},
		[]string{"fatal netfilter/drop node2"}, rules2 + ":", "an echo request of pod demo/a on node node1 to pod demo/c on node node2 is not answered: "},
	{"ways", "what was found already explains it", []edit{sysctl("net.ipv4.ip_forward", "1", "0")}, nil, "", ""},
	{"odd-node", "one of two nodes with another sysctl", []edit{sysctl("net.ipv4.conf.all.route_localnet", "1", "0")},
		[]string{"info odd/sysctl"}, host1 + ":", "nodes node1 and node2"},
	{"connections", "a policy that nobody enforces", []edit{put("cluster/networkpolicies.yaml", closed)},
		[]string{"info policy/not-enforced node2"}, "", "; this network does not enforce that; and "},
	{"connections", "a rule of an agent that stops what is allowed", []edit{put("cluster/networkpolicies.yaml", closedElsewhere), insert(rules2, "-A FORWARD", "-A FORWARD -p tcp -d 10.244.2.2/32 -j cali-tw-x\n"),
		sub(rules2, "*filter\n", "*filter\n:cali-tw-x - [0:0]\n"), insert(rules2, "-A FLANNEL-FWD", "-A cali-tw-x -j DROP\n")},
		[]string{"fatal policy/not-programmed node2"}, rules2 + ":", "policies allow TCP "},
	{"connections", "no policy", nil, nil, "", ""},
	{"nodes", "a dump under another name than its Node's", []edit{rename("nodes/node2/", "nodes/worker2/")}, []string{"critical bundle/misnamed worker2"}, "nodes/worker2/netns/host/netns.json", "the address 172.31.0.12 of node node2"},
	{"conntrack", "eight tenths are fine", []edit{put("nodes/node1/netns/host/conntrack.json", `{"count":8,"max":10,"entries":[]}`)}, nil, "", ""},
}

// TestChecks runs the rows, each against its own check. No check may report a
// code that it does not list.
func TestChecks(t *testing.T) {
	for _, r := range checkRows {
		t.Run(r.check+": "+r.name, func(t *testing.T) {
			found := edited(t, r.edits...).run("")
			var got []string
			var own []report.Finding
			for _, f := range found.Findings {
				i := slices.IndexFunc(found.Checks, func(c report.CheckRun) bool { return c.Name == f.Check })
				require.Contains(t, found.Checks[i].Codes, f.Code, "check %s", f.Check)
				if f.Check != r.check {
					continue
				}
				own = append(own, f)
				got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s", f.Level, f.Code, f.Node)))
			}
			require.Equal(t, r.want, got)
			if len(own) > 0 {
				require.True(t, strings.HasPrefix(own[0].Evidence, r.evidence), "evidence %s", own[0].Evidence)
				require.Contains(t, own[0].Message, r.message)
				require.NotEmpty(t, own[0].Remedy)
			}
		})
	}
}

// TestEveryCheckIsTested fails if a check has no row, or lists what is no code.
func TestEveryCheckIsTested(t *testing.T) {
	known := map[string]bool{}
	for _, c := range model.Codes() {
		known[c.Code] = true
	}
	for _, c := range load(t, "flannel-vxlan").run("").Checks {
		require.True(t, slices.ContainsFunc(checkRows, func(r row) bool { return r.check == c.Name }), "check %s has no row", c.Name)
		require.True(t, slices.IsSorted(c.Codes), c.Name)
		for _, code := range c.Codes {
			require.True(t, known[code], "check %s: %s is no code", c.Name, code)
		}
	}
}

func TestHealthy(t *testing.T) {
	for _, name := range []string{"flannel-vxlan", "flannel-hostgw"} {
		found := load(t, name).run("")
		require.Zero(t, found.ExitCode(), "%v %v", found.Findings, found.Unknowns)
		require.Equal(t, 2, found.Nodes)
		require.Equal(t, 13, found.Services)
		require.Equal(t, 12, found.Pods)
	}
}

func TestOneNode(t *testing.T) {
	broken := []edit{sysctl("net.ipv4.ip_forward", "1", "0")}
	require.Equal(t, 3, edited(t, broken...).run("node1").ExitCode())
	other := edited(t, broken...).run("node2")
	require.Equal(t, 0, other.ExitCode())
	require.Equal(t, 1, other.Nodes)
}

// TestUnknowns: what was not collected is said, and is no finding.
func TestUnknowns(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit edit
		what string
	}{
		{"a node's namespace", rm("nodes/node2/netns/host/"), "node node2: its network namespace is not in the bundle"},
		{"a pod's namespace", rm("nodes/node1/netns/demo_a/"), "pod demo/a: its network namespace is not in the bundle"},
		{"the pods", rm("cluster/pods.yaml"), "pods: "},
		{"the Services", rm("cluster/services.yaml"), "services: "},
		{"a policy that makes no sense", put("cluster/networkpolicies.yaml", closed+"- {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: {podSelector: 7}}\n"), "cluster/networkpolicies.yaml: item 1: "},
		{"everything about the cluster", rm("cluster/"), "pods: "},
	} {
		found := edited(t, tt.edit).run("")
		require.Equal(t, 4, found.ExitCode(), "%s: %v", tt.name, found.Findings)
		require.True(t, slices.ContainsFunc(found.Unknowns, func(d model.Doubt) bool { return strings.HasPrefix(d.What, tt.what) }), "%s: %v", tt.name, found.Unknowns)
	}
}

// What agents of policies stop is no fault where the policies are not known: a bundle of
// nodes alone, or of a cluster that does not let its policies be read.
func TestPoliciesThatAreNotKnown(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit edit
	}{{"no cluster", rm("cluster/")}, {"denied", lose("cluster/networkpolicies.yaml", nodedump.StatusDenied)}, {"none of Calico's", without("projectcalico.org")}} {
		found := edited(t, instead("calico-vxlan"), tt.edit).run("")
		for _, f := range found.Findings {
			require.NotContains(t, f.Message, "cali-", tt.name)
		}
		if tt.name == "denied" { // the same, asked about one connection
			d, err := edited(t, instead("calico-vxlan"), tt.edit).analyzer().Ask(analyze.Question{Source: "pod:guard/keep", Destination: "pod:vault/clerk", Port: 8080, Protocol: model.TCP})
			require.NoError(t, err)
			require.Equal(t, "netfilter/drop", d.Suspicions[0].Code)
			require.Contains(t, d.Suspicions[0].Remedy, "See which policies isolate the pods: Calico's Felix writes the rule")
		}
		require.True(t, slices.ContainsFunc(found.Unknowns, func(d model.Doubt) bool {
			return strings.HasPrefix(d.What, "whether policies mean what rules of Calico's Felix on node") && strings.Contains(d.What, "policies")
		}), "%s: %v", tt.name, found.Unknowns)
	}
}

func TestNoSuchNode(t *testing.T) {
	b := load(t, "flannel-vxlan")
	require.ErrorContains(t, b.try("node9"), `--node "node9"`)
	require.ErrorIs(t, b.try("node9"), check.ErrNoNode)
}
