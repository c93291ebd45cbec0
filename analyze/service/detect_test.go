package service

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

const netnsJSON = `{"key": "host", "interfaces": [{"name": "eth0"}]}`

func TestDetectProxyMode(t *testing.T) {
	const host = "nodes/n1/netns/host/"
	for _, tt := range []struct {
		why       string
		parts     map[string]string
		mode, how string
	}{
		{"config", map[string]string{"configmaps": proxyConfig("mode: ipvs\n")}, "ipvs", "configmap kube-system/kube-proxy config.conf"},
		{"config without a mode", map[string]string{"configmaps": proxyConfig("mode: ''\n")}, "iptables", "configmap kube-system/kube-proxy config.conf"},
		{"config is parsed, not searched", map[string]string{"configmaps": proxyConfig("# mode: ipvs\nmode: nftables\n")}, "nftables", "configmap kube-system/kube-proxy config.conf"},
		{"config wins over rules", map[string]string{"configmaps": proxyConfig(""), host + "netns.json": netnsJSON, host + "nft.json": `{"nftables": [{"table": {"family": "ip", "name": "kube-proxy"}}]}`}, "iptables", "configmap kube-system/kube-proxy config.conf"},
		{"a ConfigMap of something else", map[string]string{"configmaps": "[{metadata: {name: x}, data: {config.conf: 'mode: ipvs'}}]", host + "netns.json": netnsJSON, host + "iptables-save.txt": "*nat\n:PREROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\nCOMMIT\n"}, "iptables", "node n1: chain KUBE-SERVICES in " + host + "iptables-save.txt:3"},
		{"flags", map[string]string{"daemonsets": "[{metadata: {namespace: kube-system, name: kube-proxy}, spec: {template: {spec: {containers: [{name: k, command: [kube-proxy, --proxy-mode=ipvs, --cluster-cidr=10.0.0.0/8]}]}}}}]"}, "ipvs", "daemonset kube-system/kube-proxy"},
		{"legacy rules", map[string]string{host + "netns.json": netnsJSON, host + "iptables-legacy-save.txt": "*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n"}, "iptables", "node n1: chain KUBE-SERVICES in " + host + "iptables-legacy-save.txt:2"},
		{"nftables", map[string]string{host + "netns.json": netnsJSON, host + "nft.json": `{"nftables": [{"metainfo": {}}, {"table": {"family": "ip", "name": "kube-proxy"}}]}`}, "nftables", "node n1: table kube-proxy in " + host + "nft.json"},
		{"ipvs has the chain, too", map[string]string{host + "netns.json": `{"key": "host", "interfaces": [{"name": "kube-ipvs0"}]}`, host + "iptables-save.txt": "*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n"}, "ipvs", "node n1: device kube-ipvs0"},
		{"the chain of the filter table does not tell", map[string]string{host + "netns.json": netnsJSON, host + "iptables-save.txt": "*filter\n:KUBE-SERVICES - [0:0]\nCOMMIT\n"}, "",
			"no ConfigMap has a KubeProxyConfiguration, no DaemonSet kube-proxy has --proxy-mode, and of 1 nodes none has a device kube-ipvs0, an nftables table kube-proxy or an iptables chain KUBE-SERVICES"},
		{"nft.json is damaged", map[string]string{host + "netns.json": netnsJSON, host + "nft.json": `{"kube-proxy"`}, "",
			"no ConfigMap has a KubeProxyConfiguration, no DaemonSet kube-proxy has --proxy-mode, and of 1 nodes none has a device kube-ipvs0, an nftables table kube-proxy or an iptables chain KUBE-SERVICES"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			mode, how := DetectProxyMode(open(t, tt.parts))
			require.Equal(t, tt.mode, mode)
			require.Equal(t, tt.how, how)
		})
	}
}

func TestClusterCIDRFromRules(t *testing.T) {
	const host = "nodes/n1/netns/host/"
	k, errs := NewKubeProxyServiceProcessor(open(t, map[string]string{
		"services": services, "endpointslices": endpointSlices, "nodes": nodes,
		host + "netns.json": netnsJSON,
		host + "iptables-save.txt": `*nat
:KUBE-SERVICES - [0:0]
-A KUBE-SVC-ABC ! -s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp -m comment --comment "demo/web:http cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ
COMMIT
`,
	}), owners{}, "")
	require.Empty(t, errs)
	require.Equal(t, Config{Mode: "iptables", ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}}, k.Config())
}

func TestReadConfigFlags(t *testing.T) {
	c, err := ReadConfig(open(t, map[string]string{"daemonsets": `
- {metadata: {namespace: kube-system, name: kube-proxy}, spec: {template: {spec: {containers: [{name: k, command: [kube-proxy], args: ["--proxy-mode=nftables", "--cluster-cidr=10.0.0.0/8,fd00::/8", "--detect-local-mode=NodeCIDR", "--masquerade-all=true", "--iptables-localhost-nodeports=false", "--nodeport-addresses=10.0.0.0/8,primary"]}]}}}}
`}))
	require.NoError(t, err)
	require.Equal(t, Config{
		Mode: "nftables", ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}, DetectLocalMode: "NodeCIDR",
		MasqueradeAll: true, NoLocalhostNodePort: true, NodePortAddresses: []string{"10.0.0.0/8", "primary"}, From: "daemonset kube-system/kube-proxy",
	}, c)
}
