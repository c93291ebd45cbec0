package service

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// bundle compiles the Services of a recorded bundle.
func bundle(t testing.TB, name string) (*snapshot.Snapshot, *KubeProxyServiceProcessor) {
	t.Helper()
	snap, err := snapshot.Open(os.DirFS("../../fixtures/bundles/" + name))
	require.NoError(t, err)
	ips, errs := k8s.NewIPCache(snap)
	require.Empty(t, errs)
	k, errs := NewKubeProxyServiceProcessor(snap, ips, "")
	require.Empty(t, errs)
	return snap, k
}

func host(t testing.TB, snap *snapshot.Snapshot, node string) *nodedump.NetNSInfo {
	t.Helper()
	info, err := snap.NetNS(node, nodedump.HostNetns)
	require.NoError(t, err)
	return info
}

func TestDriftOfHealthyBundles(t *testing.T) {
	for _, name := range []string{"flannel-vxlan", "flannel-hostgw", "flannel-vxlan-legacy", "flannel-vxlan-nftables"} {
		snap, k := bundle(t, name)
		for _, node := range snap.NodeNames() {
			info := host(t, snap, node)
			require.NotEmpty(t, k.Drifter().readings(info), "%s: %s", name, node)
			require.Empty(t, k.Drift(node, info), "%s: %s", name, node)
		}
	}
}

// edit changes a text: "- RE" takes the lines away that RE matches, "+ TEXT"
// adds one in front of the last COMMIT, "~ RE => TEXT" replaces.
func edit(t testing.TB, text, edits string) string {
	t.Helper()
	for one := range strings.SplitSeq(edits, " ;; ") {
		if one == "" {
			continue
		}
		before := text
		switch kind, arg, _ := strings.Cut(one, " "); kind {
		case "-":
			text = regexp.MustCompile("(?m)^.*("+arg+").*\n").ReplaceAllString(text, "")
		case "+":
			i := strings.LastIndex(text, "COMMIT")
			text = text[:i] + arg + "\n" + text[i:]
		case "~":
			from, to, _ := strings.Cut(arg, " => ")
			text = regexp.MustCompile("(?m)"+from).ReplaceAllString(text, to)
		}
		if text == before {
			t.Fatalf("%q changes nothing", one)
		}
	}
	return text
}

// tell writes suspicions as "level code message", one a line, without what all
// of a node have in common.
func tell(list []model.Suspicion) (out []string) {
	for _, s := range list {
		out = append(out, s.Level.String()+" "+s.Code+" "+s.Message)
	}
	return out
}

type driftRow struct {
	why, edits string
	want       []string
}

func TestDriftOfIPTables(t *testing.T) {
	snap, k := bundle(t, "flannel-vxlan")
	for _, tt := range []driftRow{
		{"nothing", "", nil},
		{"comments say nothing", `~  -m comment --comment ("[^"]*"|\S+) => `, nil},
		{"counters say nothing", `~ ^-A => [7:420] -A`, nil},
		{"a chain that nothing jumps to", "+ -A KUBE-SVC-OLD -j KUBE-SEP-OLD ;; + -A KUBE-SEP-OLD -p tcp -m tcp -j DNAT --to-destination 10.244.9.9:80", nil},
		{"a Service is not there", "- -A KUBE-SERVICES -d 10.96.10.1/32", []string{
			"critical service/not-translated node node1 has no rule for svc demo/a:80 (10.96.10.1:80/tcp); it should go to 10.244.1.2:8080 (pod demo/a)"}},
		{"a node port is not there", "- -A KUBE-NODEPORTS .*--dport 30081", []string{
			"critical service/not-translated node node1 has no rule for svc demo/c:80 (node port 30081/tcp); it should go to 10.244.2.2:8080 (pod demo/c)"}},
		{"a Local node port without local endpoint is not there", "- -A KUBE-NODEPORTS .*--dport 30082", []string{
			"critical service/not-translated node node1 drops packets to svc demo/outside-local:80 (node port 30082/tcp) as if it had no endpoint; packets of pods and of the node itself should go to 10.244.2.2:8080 (pod demo/c)"}},
		{"a Local node port has no short cut for pods", "- -A KUBE-EXT-QQO75P6CFQLHUSWQ -s 10.244.0.0/16", []string{
			"warning service/not-translated node node1 has no rule for packets of pods to svc demo/outside-local:80 (node port 30082/tcp), which should go to 10.244.2.2:8080 (pod demo/c) whatever the traffic policy is"}},
		{"no node port at all, of those that the node has", "- -A KUBE-NODEPORTS -p ;; - -A KUBE-SERVICES -d 10.96.10.1/32", []string{
			"critical service/not-translated node node1 has no rules for ports of Services, which number 7: svc demo/a:80, svc demo/balanced:80, svc demo/c:80 and 4 more"}},
		{"an endpoint is not there", "- -A KUBE-SVC-XRY76EGRC3BSCIIJ .*KUBE-SEP-42676", []string{
			"warning service/missing-endpoint node node1 does not send svc demo/web:80 (10.96.10.4:80/tcp) to its endpoint 10.244.1.3:8080 (pod demo/b)"}},
		{"an endpoint that moved", "- -A KUBE-SEP-SUAEYE3646MOKOP7 -s ;; ~ --to-destination 10.244.1.2:8080 => --to-destination 10.244.1.99:8080", []string{
			"critical service/stale-endpoint node node1 sends svc demo/a:80 (10.96.10.1:80/tcp) to 10.244.1.99:8080 (nobody is known to have that address), which is no endpoint of it; it should go to 10.244.1.2:8080 (pod demo/a)"}},
		{"another port of the endpoint", "~ --to-destination 10.244.1.2:8080 => --to-destination 10.244.1.2:8081", []string{
			"critical service/wrong-port node node1 sends svc demo/a:80 (10.96.10.1:80/tcp) to port 8081 of 10.244.1.2:8080 (pod demo/a), which serves it at port 8080"}},
		{"another port of the Service", "~ -d 10.96.10.1/32 (.*)--dport 80 => -d 10.96.10.1/32 ${1}--dport 81", []string{
			"critical service/wrong-port node node1 translates svc demo/a:80 at port 81, and the Service has port 80"}},
		{"another protocol", "~ -d 10.96.10.1/32 -p tcp (.*)-m tcp => -d 10.96.10.1/32 -p udp ${1}-m udp", []string{
			"critical service/wrong-protocol node node1 translates svc demo/a:80 for udp, and the Service is for tcp"}},
		{"no masquerade of a hairpin", "- -A KUBE-SEP-SUAEYE3646MOKOP7 -s", []string{
			"critical service/masquerade-missing node node1 does not masquerade what 10.244.1.2:8080 (pod demo/a) sends to itself by svc demo/a:80 (10.96.10.1:80/tcp): answers may miss it"}},
		{"no masquerade of what is not from pods", "- -A KUBE-SVC-RORMVKIRIPALLZHX ! -s", []string{
			"critical service/masquerade-missing node node1 does not masquerade packets from outside the range of pods to svc demo/a:80 (10.96.10.1:80/tcp): answers may miss it"}},
		{"another range of pods", "~ -A KUBE-SVC-RORMVKIRIPALLZHX ! -s 10.244.0.0/16 => -A KUBE-SVC-RORMVKIRIPALLZHX ! -s 10.0.0.0/8", []string{
			"warning service/masquerade-missing node node1 masquerades packets to svc demo/a:80 (10.96.10.1:80/tcp) that are not from 10.0.0.0/8, and the range of pods of configmap kube-system/kube-proxy config.conf is 10.244.0.0/16"}},
		{"no masquerade of what comes from outside", "- -A KUBE-EXT-OIG7JU63JRFVT7ZR .*KUBE-MARK-MASQ", []string{
			"critical service/masquerade-missing node node1 does not masquerade packets to svc demo/c:80 (node port 30081/tcp): answers may miss it"}},
		{"no masquerade of what the node sends itself", "- -A KUBE-EXT-QQO75P6CFQLHUSWQ .*KUBE-MARK-MASQ", nil}, // has no local endpoint
		{"the mark is not set", "- -A KUBE-MARK-MASQ", []string{
			"critical service/masquerade-missing node node1 does not masquerade what Services need: chain KUBE-MARK-MASQ of the table nat has no rule -j MARK"}},
		{"the mark is not looked at", "- -A POSTROUTING .*KUBE-POSTROUTING", []string{
			"critical service/masquerade-missing node node1 does not masquerade what Services need: chain POSTROUTING of the table nat has no rule -j KUBE-POSTROUTING"}},
		{"packets do not come to the rules", "- -A PREROUTING .*KUBE-SERVICES", []string{
			"critical service/not-translated node node1 does not translate any Service for some packets: chain PREROUTING of the table nat has no rule -j KUBE-SERVICES"}},
		{"no affinity", "- KUBE-SVC-AXLOBOE2HHHPV3ST .*--rcheck", []string{
			"warning service/affinity node node1 does not keep the clients of svc demo/sticky:80 (10.96.10.9:80/tcp) at 10.244.1.3:8080, and its session affinity is ClientIP for 10800 seconds"}},
		{"affinity that is not meant", "~ (-A KUBE-SVC-RORMVKIRIPALLZHX) (-m comment .*-j KUBE-SEP) => ${1} -m recent --rcheck --seconds 10800 --reap --name X --mask 255.255.255.255 --rsource ${2} ;; ~ (-A KUBE-SEP-SUAEYE3646MOKOP7) -p tcp => ${1} -p tcp -m recent --set --name X", []string{
			"warning service/affinity node node1 keeps the clients of svc demo/a:80 (10.96.10.1:80/tcp) at 10.244.1.2:8080 for 10800 seconds, and the Service has no session affinity"}},
		{"affinity of another time", "~ --seconds 10800 => --seconds 60", []string{
			"warning service/affinity node node1 keeps the clients of svc demo/sticky:80 (10.96.10.9:80/tcp) at 10.244.1.3:8080 for 60 seconds, and its session affinity is for 10800"}},
		{"a Local node port that sends away", "+ -A KUBE-EXT-QQO75P6CFQLHUSWQ -j KUBE-SVC-QQO75P6CFQLHUSWQ", []string{
			"critical service/local-sends-away node node1 sends svc demo/outside-local:80 (node port 30082/tcp) to 10.244.2.2:8080 (pod demo/c) of node node2, and its traffic policy is Local"}},
		{"no endpoint, not refused", "- -A KUBE-SERVICES -d 10.96.10.7/32", []string{
			"warning service/not-refused node node1 takes no notice of packets to svc demo/empty:80 (10.96.10.7:80/tcp), and should reject them: it has no ready endpoint"}},
		{"no local endpoint, not refused", "- -A KUBE-EXTERNAL-SERVICES .*--dport 30082", []string{
			"warning service/not-refused node node1 takes no notice of packets to svc demo/outside-local:80 (node port 30082/tcp), and should drop them: its traffic policy is Local and node node1 has no endpoint"}},
		{"no endpoint, sent to one all the same", "- -A KUBE-SERVICES -d 10.96.10.7/32 ;; + -A KUBE-SERVICES -d 10.96.10.7/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-RORMVKIRIPALLZHX", []string{
			"critical service/stale-endpoint node node1 sends svc demo/empty:80 (10.96.10.7:80/tcp) to 10.244.1.2:8080 (pod demo/a), which is no endpoint of it; it should go nowhere"}},
		{"endpoints, refused all the same", "- -A KUBE-SERVICES -d 10.96.10.1/32 ;; ~ (-A KUBE-SERVICES) -d 10.96.10.7/32(.*) => ${1} -d 10.96.10.7/32${2}\n${1} -d 10.96.10.1/32${2}", []string{
			"critical service/not-translated node node1 rejects packets to svc demo/a:80 (10.96.10.1:80/tcp) as if it had no endpoint; it should go to 10.244.1.2:8080 (pod demo/a)"}},
		{"a Service that was deleted", "+ -A KUBE-SERVICES -d 10.96.10.77/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-RORMVKIRIPALLZHX", []string{
			"warning service/stale-service node node1 still translates 10.96.10.77:80/tcp, which no Service has"}},
		{"an endpoint behind one that takes all", "~ (-A KUBE-SVC-XRY76EGRC3BSCIIJ .*)-m statistic --mode random --probability \\S+ => ${1}", []string{
			"warning service/missing-endpoint node node1 does not send svc demo/web:80 (10.96.10.4:80/tcp) to its endpoint 10.244.2.2:8080 (pod demo/c)"}},
		{"the mode userspace has left rules", "+ -A KUBE-PORTALS-CONTAINER -d 10.96.10.77/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 40000", []string{
			"critical service/other-proxy-mode node node1 has rules of kube-proxy's mode userspace beside those of its present mode: nobody keeps them up to date, and packets meet both"}},
		{"no rules", "- -A KUBE-", []string{
			"fatal service/rules-missing node node1 has none of kube-proxy's rules: no Service can be reached by it (configmap kube-system/kube-proxy config.conf)"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			info := *host(t, snap, "node1")
			info.IPTables.Data = []byte(edit(t, string(info.IPTables.Data), tt.edits))
			got := k.Drift("node1", &info)
			require.Equal(t, tt.want, tell(got))
			for _, s := range got {
				require.Equal(t, model.Hop{Type: model.NetNodeTypeNode, ID: "node1"}, s.On)
				require.NotEmpty(t, s.Evidence)
				require.NotEmpty(t, s.Remedy)
			}
		})
	}
}

func TestDriftOfLocalService(t *testing.T) {
	snap, k := bundle(t, "flannel-vxlan")
	info := *host(t, snap, "node2")
	info.IPTables.Data = []byte(edit(t, string(info.IPTables.Data), "- 10.96.10.6/32 .*DROP ;; + -A KUBE-SERVICES -d 10.96.10.6/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-LPNM522EDQGO74Y5"))
	require.Equal(t, []string{
		"critical service/local-sends-away node node2 sends svc demo/inside-local:80 (10.96.10.6:80/tcp) to 10.244.1.3:8080 (pod demo/b) of node node1, and its traffic policy is Local",
	}, tell(k.Drift("node2", &info)))
}

// TestDriftOfNodesThatCannotBeCompared: what is not known is said, not guessed.
func TestDriftOfNodesThatCannotBeCompared(t *testing.T) {
	snap, k := bundle(t, "flannel-vxlan")
	const not = "info service/not-checked the rules of node node1 were not compared with the Services: "
	for _, tt := range []struct {
		why    string
		change func(*nodedump.NetNSInfo)
		want   string
	}{
		{"Cilium", func(i *nodedump.NetNSInfo) { i.Interfaces = []nodedump.Interface{{Name: "cilium_host"}} }, not + "it has no rules of kube-proxy, and device cilium_host shows Cilium, which may do its work in eBPF"},
		{"not collected", func(i *nodedump.NetNSInfo) { i.IPTables.Status, i.IPTables.Reason = nodedump.StatusFailed, "locked" }, not + "it shows no rules of kube-proxy, and not all was collected: nodes/node1/netns/host/iptables-save.txt: failed (locked)"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			info := *host(t, snap, "node1")
			info.IPTables.Data = nil
			tt.change(&info)
			require.Equal(t, []string{tt.want}, tell(k.Drift("node1", &info)))
		})
	}
}

// TestDriftOfTwoBackends: rules of iptables-legacy count beside those of nft.
func TestDriftOfTwoBackends(t *testing.T) {
	snap, k := bundle(t, "flannel-vxlan")
	info := *host(t, snap, "node1")
	info.IPTablesLegacy = info.IPTables
	info.IPTablesLegacy.Data = []byte("*nat\n-A KUBE-SERVICES -d 10.96.0.99/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-X\nCOMMIT\n")
	require.Equal(t, []string{
		"critical service/other-proxy-mode node node1 has rules of kube-proxy's mode iptables, in iptables-legacy, beside those of its mode iptables: nobody keeps them up to date, and packets meet both",
	}, tell(k.Drift("node1", &info)))
}

// TestDriftWithoutObjects: what is not known is not compared.
func TestDriftWithoutObjects(t *testing.T) {
	snap, _ := bundle(t, "flannel-vxlan")
	info := host(t, snap, "node1")
	k, _ := NewKubeProxyServiceProcessor(open(t, map[string]string{"nodes": nodes, "services": "[]"}), owners{}, "")
	require.Equal(t, "info service/not-checked the rules of node node1 were not compared with the Services: the endpoints of the Services are not known", tell(k.Drift("node1", info))[0])

	k, _ = NewKubeProxyServiceProcessor(open(t, map[string]string{"nodes": nodes}), owners{}, "")
	got := tell(k.Drift("node1", info))
	require.Len(t, got, 1)
	require.Contains(t, got[0], "info service/not-checked the rules of node node1 were not compared with the Services: the Services are not known: ")

	k, _ = NewKubeProxyServiceProcessor(open(t, map[string]string{"nodes": nodes, "services": "[]", "endpointslices": "[]", "configmaps": "[{metadata: {namespace: kube-system, name: cilium-config}, data: {kube-proxy-replacement: 'true'}}]"}), owners{}, "")
	require.Equal(t, []string{"info service/not-checked the rules of node node1 were not compared with the Services: another program than kube-proxy implements them: configmap kube-system/cilium-config has kube-proxy-replacement true"}, tell(k.Drift("node1", info)))

	k, _ = NewKubeProxyServiceProcessor(open(t, map[string]string{"nodes": nodes, "services": "[]", "endpointslices": "[]"}), owners{}, "")
	require.Equal(t, []string{"info service/not-checked the rules of node n1 were not compared with the Services: nothing in the bundle shows kube-proxy"}, tell(k.Drift("n1", nftNode(""))))
}
