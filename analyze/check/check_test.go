package check_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/check"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

const (
	host1 = "nodes/node1/netns/host/netns.json"
	host2 = "nodes/node2/netns/host/netns.json"
	podA  = "nodes/node1/netns/demo_a/netns.json"
	cni1  = `{"name":"cni0","index":4,"kind":"bridge","mtu":1450,"mac":"c6:27:77:0d:e7:cf","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"]`
	veth1 = `{"name":"vethcf1720f7","index":5,"kind":"veth","mtu":1450,"mac":"d6:c5:7a:36:ad:cf","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"]`
	eth1  = `{"name":"eth0","index":2,"kind":"veth","mtu":1500,"mac":"de:0b:06:11:b7:77","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"]`
)

// down is a device without its flag UP.
func down(device string) string {
	return strings.Replace(device, `"MULTICAST","UP","LOWER_UP"`, `"MULTICAST"`, 1)
}

// sysctl sets a sysctl of a namespace.
func sysctl(part, name, old, with string) edit {
	return sub(part, fmt.Sprintf("%q: %q", name, old), fmt.Sprintf("%q: %q", name, with))
}

// noteless is what the recorded bundle itself earns: its svc demo/empty has no
// ready pod.
const noteless = "info service/unready-endpoints"

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
		[]string{"warning service/no-endpoints", noteless}, "cluster/services.yaml", "svc demo/a selects app=nobody and no pod of namespace demo matches"},
	{"services", "endpoints that are not ready", nil, []string{noteless}, "cluster/endpointslices.yaml", "pod demo/unready; no other is ready"},
	{"drift", "a rule of kube-proxy's is gone", []edit{drop("nodes/node1/netns/host/iptables-save.txt", "-A KUBE-SERVICES -d 10.96.10.1/32 ")},
		[]string{"critical service/not-translated node1"}, "nodes/node1/netns/host/iptables-save.txt", "svc demo/a:80"},
	{"network", "a route that is missing", []edit{sub(host1, `{"family":4,"table":254,"dst":"10.244.2.0/24","dev":"flannel.1","via":"10.244.2.0","protocol":"boot","flags":["onlink"]},`+"\n", "")},
		[]string{"critical route/missing node1"}, host1, "the route 10.244.2.0/24 via 10.244.2.0 dev flannel.1 is missing"},
	{"devices", "the device with the node's address is down", []edit{sub(host1, eth1, down(eth1))},
		[]string{"fatal link/down node1"}, host1 + ":5", "eth0 of node node1, which has the node's address 172.31.0.11, is down"},
	{"sysctls", "no forwarding", []edit{sysctl(host1, "net.ipv4.ip_forward", "1", "0")},
		[]string{"fatal sysctl/ip-forward node1"}, host1 + ":", "net.ipv4.ip_forward is 0 on node node1"},
	{"sysctls", "no forwarding from one device", []edit{sysctl(host1, "net.ipv4.conf.flannel/1.forwarding", "1", "0")},
		[]string{"fatal sysctl/ip-forward node1"}, host1 + ":", "by flannel.1"},
	{"sysctls", "bridges are not shown to netfilter", []edit{sysctl(host1, "net.bridge.bridge-nf-call-iptables", "1", "0")},
		[]string{"critical sysctl/bridge-nf node1"}, host1 + ":", "net.bridge.bridge-nf-call-iptables is 0"},
	{"sysctls", "br_netfilter is not loaded", []edit{sub(host1, `"net.bridge.bridge-nf-call-iptables": "1",`+"\n", "")},
		[]string{"critical sysctl/bridge-nf node1"}, host1, "br_netfilter is not loaded"},
	{"conntrack", "nearly full by the sysctls", []edit{sysctl(host1, "net.netfilter.nf_conntrack_count", "0", "240000"), rm("nodes/node1/netns/host/conntrack.json")},
		[]string{"warning conntrack/nearly-full node1"}, host1 + ":", "holds 240000 of at most 262144, 91 %"},
	{"conntrack", "full by the table", []edit{put("nodes/node1/netns/host/conntrack.json", `{"count":10,"max":10,"entries":[]}`)},
		[]string{"fatal conntrack/full node1"}, "nodes/node1/netns/host/conntrack.json", "is full (10 of 10)"},
	{"conntrack", "eight tenths are fine", []edit{put("nodes/node1/netns/host/conntrack.json", `{"count":8,"max":10,"entries":[]}`)}, nil, "", ""},
}

// TestChecks runs the rows, each against its own check.
func TestChecks(t *testing.T) {
	for _, r := range checkRows {
		t.Run(r.check+": "+r.name, func(t *testing.T) {
			found := edited(t, "flannel-vxlan", r.edits...).run("")
			var got []string
			var own []report.Finding
			for _, f := range found.Findings {
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

// TestEveryCheckIsTested fails if a check has no row, or if it reports or lists
// a code that it should not.
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
	for _, r := range checkRows {
		found := edited(t, "flannel-vxlan", r.edits...).run("")
		for _, f := range found.Findings {
			i := slices.IndexFunc(found.Checks, func(c report.CheckRun) bool { return c.Name == f.Check })
			require.Contains(t, found.Checks[i].Codes, f.Code, "check %s", f.Check)
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
	broken := []edit{sysctl(host1, "net.ipv4.ip_forward", "1", "0")}
	require.Equal(t, 3, edited(t, "flannel-vxlan", broken...).run("node1").ExitCode())
	other := edited(t, "flannel-vxlan", broken...).run("node2")
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
		{"everything about the cluster", rm("cluster/"), "pods: "},
	} {
		found := edited(t, "flannel-vxlan", tt.edit).run("")
		require.Equal(t, 4, found.ExitCode(), "%s: %v", tt.name, found.Findings)
		require.True(t, slices.ContainsFunc(found.Unknowns, func(d model.Doubt) bool { return strings.HasPrefix(d.What, tt.what) }), "%s: %v", tt.name, found.Unknowns)
	}
}

func TestNoSuchNode(t *testing.T) {
	b := load(t, "flannel-vxlan")
	require.ErrorContains(t, b.try("node9"), `--node "node9"`)
	require.ErrorIs(t, b.try("node9"), check.ErrNoNode)
}
