package service

import (
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// lab is the owners of the recorded nodes: n1 at 192.168.10.11 with the pods
// 10.244.1.x, n2 with 10.244.2.x.
type lab struct{ owners }

func (lab) GetNodeIPs(node string) []netip.Addr {
	if node != "n1" {
		return nil
	}
	return []netip.Addr{netip.MustParseAddr("192.168.10.11"), netip.MustParseAddr("fd10::11")}
}

func (lab) Name(ip netip.Addr) string { return owners{}.Name(ip) }

func (lab) GetPodFromIP(ip netip.Addr) (*corev1.Pod, bool) { return owners{}.GetPodFromIP(ip) }

// recorded compiles the Services that a node was recorded with.
func recorded(t testing.TB, config string) *KubeProxyServiceProcessor {
	t.Helper()
	return compiled(t, config, func(text string) string { return text })
}

func compiled(t testing.TB, config string, change func(string) string) *KubeProxyServiceProcessor {
	t.Helper()
	read := func(name string) string {
		data, err := os.ReadFile("testdata/kube-proxy-1.34-" + name + ".yaml")
		require.NoError(t, err)
		return "\n" + change(string(data))
	}
	k, errs := NewKubeProxyServiceProcessor(open(t, map[string]string{
		"services": read("services"), "endpointslices": read("endpointslices"), "configmaps": proxyConfig(config),
		"nodes": "[{metadata: {name: n1, labels: {topology.kubernetes.io/zone: a}}}]",
	}), lab{}, "")
	require.Empty(t, errs)
	return k
}

// nftOf returns the tables of a record of fixtures/kernel.
func nftOf(t testing.TB, record string) string {
	t.Helper()
	data, err := os.ReadFile("../../fixtures/kernel/testdata/" + record + ".txtar")
	require.NoError(t, err)
	_, text, found := strings.Cut(string(data), "\n-- dump/nft.json --\n")
	require.True(t, found, record)
	text, _, _ = strings.Cut(text, "\n-- ")
	return text
}

func nftNode(text string) *nodedump.NetNSInfo {
	return &nodedump.NetNSInfo{
		File: "netns.json", NFT: nodedump.Part{File: "nft.json", Status: nodedump.StatusOK, Data: []byte(text)},
		IPTables: nodedump.Part{Status: nodedump.StatusEmpty}, IP6Tables: nodedump.Part{Status: nodedump.StatusEmpty},
	}
}

const nftConfig = "mode: nftables\nclusterCIDR: 10.244.0.0/16\n"

func TestDriftOfRealNFTables(t *testing.T) {
	for record, config := range map[string]string{
		"real_kube-proxy-nftables-1.34":                nftConfig,
		"real_kube-proxy-nftables-1.34-all-addresses":  "mode: nftables\nnodePortAddresses: [0.0.0.0/0]\n",
		"real_kube-proxy-nftables-1.34-masquerade-all": nftConfig + "nodePortAddresses: [10.244.1.0/24]\nnftables: {masqueradeAll: true}\n",
	} {
		k := recorded(t, config)
		info := nftNode(nftOf(t, record))
		require.NotEmpty(t, k.Drifter().readings(info), record)
		require.Empty(t, tell(k.Drift("n1", info)), record)
	}
}

// sixth writes the addresses of the record as those of the record for IPv6.
func sixth(text string) string {
	text = strings.NewReplacer(`"IPv4"`, `"IPv6"`, "192.0.2.7/32", "2001:db8:101::7/128", "198.51.100.0/24", "2001:db8:100::/64", "203.0.113.0/24", "2001:db8:20::/64").Replace(text)
	return regexp.MustCompile(`"(\d+)\.(\d+)\.(\d+)\.(\d+)"`).ReplaceAllStringFunc(text, func(match string) string {
		a := netip.MustParseAddr(strings.Trim(match, `"`)).As4()
		switch {
		case a[0] == 10 && a[1] == 96 && a[2] == 0:
			return fmt.Sprintf(`"fd00:10:96::%x"`, a[3])
		case a[0] == 10 && a[1] == 96 && a[2] == 100:
			return `"fd00:10:96::a001"`
		case a[0] == 10 && a[1] == 96:
			return fmt.Sprintf(`"fd00:10:96::%d%02d"`, a[2], a[3])
		case a[0] == 10:
			return fmt.Sprintf(`"fd00:10:244:%d::%d"`, a[2], a[3])
		case a[0] == 198:
			return fmt.Sprintf(`"2001:db8:5::%d"`, a[3])
		case a[0] == 203:
			return fmt.Sprintf(`"2001:db8:20::%d"`, a[3]-19)
		}
		return fmt.Sprintf(`"fd10::%d"`, a[3])
	})
}

func TestDriftOfRealNFTablesForIPv6(t *testing.T) {
	k := compiled(t, "mode: nftables\nclusterCIDR: fd00:10:244::/48\n", sixth)
	info := nftNode(nftOf(t, "real_kube-proxy-nftables-1.34-v6"))
	require.Len(t, k.wishes("n1", false), len(recorded(t, nftConfig).wishes("n1", true)))
	require.Empty(t, tell(k.Drift("n1", info)))

	require.Equal(t, []string{"fatal service/rules-missing node n1 has none of kube-proxy's rules for IPv4, and Services have such addresses"}, tell(recorded(t, nftConfig).Drift("n1", info))[:1])
}

func TestDriftOfNFTables(t *testing.T) {
	k := recorded(t, nftConfig)
	text := nftOf(t, "real_kube-proxy-nftables-1.34")
	for _, tt := range []driftRow{
		{"a Service is not there", `~ \[\{"concat": \["10.96.70.1", "sctp", 5060\]\}, \{"goto": \{"target": "[^"]*"\}\}\],  => `, []string{
			"critical service/not-translated node n1 has no rule for svc media/signal:5060 (10.96.70.1:5060/sctp); it should go to 10.244.1.30:5060 (pod demo/pod130)"}},
		{"a node port is not there", `~ \[\{"concat": \["tcp", 30080\]\}, \{"goto": \{"target": "[^"]*"\}\}\],  => `, []string{
			"critical service/not-translated node n1 has no rule for svc shop/web:80 (node port 30080/tcp); it should go to 10.244.1.5:8080 (pod demo/pod15)"}},
		{"another port of the Service", `~ "10.96.70.1", "sctp", 5060 => "10.96.70.1", "sctp", 5061`, []string{
			"critical service/wrong-port node n1 translates svc media/signal:5060 at port 5061, and the Service has port 5060"}},
		{"another protocol", `~ "10.96.70.1", "sctp", 5060 => "10.96.70.1", "tcp", 5060`, []string{
			"critical service/wrong-protocol node n1 translates svc media/signal:5060 for tcp, and the Service is for sctp"}},
		{"an endpoint is not there", `~ , \[1, \{"goto": \{"target": "endpoint-MF2G267O-[^"]*"\}\}\] =>  ;; - MF2G267O.*goto`, []string{
			"warning service/missing-endpoint node n1 does not send svc shop/cart:6379 (10.96.51.1:6379/tcp) to its endpoint 10.244.2.9:6379 (pod demo/pod29)"}},
		{"an endpoint that moved", `~ "dnat": \{"addr": "10.244.1.30" => "dnat": {"addr": "10.244.1.99"`, []string{
			"critical service/stale-endpoint node n1 sends svc media/signal:5060 (10.96.70.1:5060/sctp) to 10.244.1.99:5060 (nobody is known to have that address), which is no endpoint of it; it should go to 10.244.1.30:5060 (pod demo/pod130)"}},
		{"another port of the endpoint", `~ "10.244.1.30", "port": 5060 => "10.244.1.30", "port": 5059`, []string{
			"critical service/wrong-port node n1 sends svc media/signal:5060 (10.96.70.1:5060/sctp) to port 5059 of 10.244.1.30:5060 (pod demo/pod130), which serves it at port 5060"}},
		{"no masquerade of a hairpin", `- "chain": "endpoint-VOONPHMV.*mark-for-masquerade`, []string{
			"critical service/masquerade-missing node n1 does not masquerade what 10.244.1.30:5060 (pod demo/pod130) sends to itself by svc media/signal:5060 (10.96.70.1:5060/sctp): answers may miss it"}},
		{"no masquerade of what is not from pods", `- "chain": "service-LKKZ6FIE.*mark-for-masquerade`, []string{
			"critical service/masquerade-missing node n1 does not masquerade packets from outside the range of pods to svc media/signal:5060 (10.96.70.1:5060/sctp): answers may miss it"}},
		{"no masquerade of what comes from outside", `- "chain": "external-LKKZ6FIE.*mark-for-masquerade`, []string{
			"critical service/masquerade-missing node n1 does not masquerade packets to svc media/signal:5060 (node port 30506/sctp): answers may miss it"}},
		{"no masquerade of what the node sends itself", `- "chain": "external-R6NSGCUN.*mark-for-masquerade`, []string{
			"critical service/masquerade-missing node n1 does not masquerade what the node itself sends to svc shop/api:9000 (203.0.113.20:9000/tcp): answers may miss it"}},
		{"nothing is masqueraded", `- "chain": "masquerading"`, []string{
			"critical service/masquerade-missing node n1 does not masquerade what Services need: no chain of type nat at the hook postrouting masquerades"}},
		{"packets do not come to the maps", `- "chain": "nat-output".*services`, []string{
			"critical service/not-translated node n1 does not translate any Service for some packets: no chain of type nat at the hook output comes to the map service-ips"}},
		{"no affinity", `- "chain": "service-2F2LGX7W.*@affinity`, []string{
			"warning service/affinity node n1 does not keep the clients of svc shop/solo:6379 (10.96.52.1:6379/tcp) at 10.244.2.19:6379, and its session affinity is ClientIP for 600 seconds"}},
		{"affinity of another time", `~ "timeout": 600 => "timeout": 60`, []string{
			"warning service/affinity node n1 keeps the clients of svc shop/solo:6379 (10.96.52.1:6379/tcp) at 10.244.2.19:6379 for 60 seconds, and its session affinity is for 600"}},
		{"a Local Service that sends away", `~ ("chain": "external-R6NSGCUN.*)local-R6NSGCUN => ${1}service-R6NSGCUN`, []string{
			"critical service/local-sends-away node n1 sends svc shop/api:9000 (203.0.113.20:9000/tcp) to 10.244.2.7:9000 (pod demo/pod27) of node n2, and its traffic policy is Local"}},
		{"no endpoint, not refused", `~ \[\{"elem": \{"val": \{"concat": \["10.96.60.1", "tcp", 80\]\}, "comment": "shop/empty:http"\}\}, \{"goto": \{"target": "reject-chain"\}\}\],  => `, []string{
			"warning service/not-refused node n1 takes no notice of packets to svc shop/empty:80 (10.96.60.1:80/tcp), and should reject them: it has no ready endpoint"}},
		{"no local endpoint, rejected", `~ (\["10.96.63.1", "tcp", 80\]\}, "comment": "[^"]*"\}\}, )\{"drop": null\} => ${1}{"goto": {"target": "reject-chain"}}`, []string{
			"warning service/not-refused node n1 rejects packets to svc shop/nowhere:80 (10.96.63.1:80/tcp), and should drop them: its traffic policy is Local and node n1 has no endpoint"}},
		{"node ports on no address", `~ ("name": "nodeport-ips".*), "elem": \["192.168.10.11"\] => ${1}`, []string{
			"critical service/not-translated node n1 does not take packets to its address 192.168.10.11 to node ports: the set nodeport-ips lacks it"}},
		{"a load balancer that takes everybody", `~ \[\{"concat": \["203.0.113.22", "tcp", 443\]\}, \{"goto": \{"target": "firewall-[^"]*"\}\}\](, )? => `, []string{
			"warning service/source-ranges node n1 lets everybody to svc edge/ranged:443 (203.0.113.22:443/tcp), whose loadBalancerSourceRanges are 198.51.100.0/24"}},
		{"a load balancer that takes others", `~ ("firewall-[^"]*-edge/ranged/tcp/https".*)"198.51.100.0", "len": 24 => ${1}"198.51.0.0", "len": 16`, []string{
			"warning service/source-ranges node n1 lets 198.51.0.0/16 to svc edge/ranged:443 (203.0.113.22:443/tcp), whose loadBalancerSourceRanges are 198.51.100.0/24"}},
		{"a load balancer that takes too few", `~ ("firewall-[^"]*-edge/ranged/tcp/https".*)"198.51.100.0", "len": 24 => ${1}"198.51.100.0", "len": 25`, []string{
			"critical service/source-ranges node n1 does not let 198.51.100.0/24 to svc edge/ranged:443 (203.0.113.22:443/tcp), whose loadBalancerSourceRanges have it"}},
		{"a load balancer whose chain drops nothing", `- "rule".*"chain": "firewall-[^"]*-edge/ranged/tcp/https"`, []string{
			"warning service/source-ranges node n1 lets everybody to svc edge/ranged:443 (203.0.113.22:443/tcp), whose loadBalancerSourceRanges are 198.51.100.0/24"}},
		{"a load balancer for everybody that does not take all", `~ (\[\{"concat": \["203.0.113.22", "tcp", 443\]\}, )(\{"goto": \{"target": "firewall-[^"]*"\}\}\]) => ${1}${2}, [{"concat": ["203.0.113.21", "tcp", 80]}, ${2}`, []string{
			"critical service/source-ranges node n1 lets only 198.51.100.0/24 to svc shop/far:80 (203.0.113.21:80/tcp), which everybody may use"}},
		{"a Service that was deleted", `~ "elem": \[\[\{"concat": \["sctp", 30506 => "elem": [[{"concat": ["tcp", 30001]}, {"goto": {"target": "external-LKKZ6FIE-media/signal/sctp/sctp"}}], [{"concat": ["sctp", 30506`, []string{
			"warning service/stale-service node n1 still translates node port 30001/tcp, which no Service has"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			got := k.Drift("n1", nftNode(edit(t, text, tt.edits)))
			require.Equal(t, tt.want, tell(got))
			for _, s := range got {
				require.Regexp(t, `^nft\.json(:\d+)?$`, s.Evidence)
			}
		})
	}
}

func TestDriftOfTextsThatEndTooEarly(t *testing.T) {
	k := recorded(t, nftConfig)
	text := nftOf(t, "real_kube-proxy-nftables-1.34")
	require.Equal(t, []string{"info service/not-checked the rules of node n1 were not compared with the Services: the text of those for IPv4 is cut off, or not understood"},
		tell(k.Drift("n1", nftNode(text[:len(text)*3/4]))))

	snap, k := bundle(t, "flannel-vxlan")
	info := *host(t, snap, "node1")
	info.IPTables.Data = info.IPTables.Data[:len(info.IPTables.Data)*9/10]
	require.Equal(t, []string{"info service/not-checked the rules of node node1 were not compared with the Services: the text of those for IPv4 is cut off, or not understood"}, tell(k.Drift("node1", &info)))
}
