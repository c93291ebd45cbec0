package service

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// owners is two nodes, n1 and n2. Pods of n1 have 10.244.1.x, or fd00:1::x.
type owners struct{}

func (owners) GetPodFromIP(ip netip.Addr) (*corev1.Pod, bool) {
	text := ip.String()
	for _, node := range []string{"1", "2"} {
		if host, ok := strings.CutPrefix(text, "10.244."+node+"."); ok && host != "1" && host != "99" {
			p := &corev1.Pod{}
			p.Namespace, p.Name, p.Spec.NodeName = "demo", "pod"+node+host, "n"+node
			return p, true
		}
	}
	return nil, false
}

func (o owners) GetNodeNameFromIP(ip netip.Addr) (string, bool) {
	for _, node := range []string{"n1", "n2"} {
		for _, have := range o.GetNodeIPs(node) {
			if have == ip {
				return node, true
			}
		}
	}
	return "", false
}

func (owners) GetNodeIPs(node string) []netip.Addr {
	n := strings.TrimPrefix(node, "n")
	return []netip.Addr{netip.MustParseAddr("192.168.0." + n), netip.MustParseAddr("10.244." + n + ".1"), netip.MustParseAddr("fd00::" + n)}
}

func (owners) GetNodePodCIDRs(node string) []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.244." + strings.TrimPrefix(node, "n") + ".0/24")}
}

func (o owners) Name(ip netip.Addr) string {
	if p, ok := o.GetPodFromIP(ip); ok {
		return "pod " + p.Namespace + "/" + p.Name
	}
	if n, ok := o.GetNodeNameFromIP(ip); ok {
		return "node " + n
	}
	return ""
}

// services and slices describe one Service for each thing to test.
const services = `
- {metadata: {namespace: demo, name: web}, spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, "fd00:96::1"], selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: dns, port: 53, protocol: UDP}, {name: sctp, port: 80, protocol: SCTP}]}}
- {metadata: {namespace: demo, name: np}, spec: {type: NodePort, clusterIP: 10.96.0.2, selector: {app: np}, ports: [{port: 80, nodePort: 30080}]}}
- {metadata: {namespace: demo, name: nplocal}, spec: {type: NodePort, externalTrafficPolicy: Local, clusterIP: 10.96.0.3, selector: {app: np}, ports: [{port: 80, nodePort: 30081}]}}
- {metadata: {namespace: demo, name: inlocal}, spec: {internalTrafficPolicy: Local, clusterIP: 10.96.0.4, selector: {app: np}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: ext}, spec: {clusterIP: 10.96.0.5, externalIPs: [198.51.100.5, 192.168.0.1], selector: {app: np}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: lb}, spec: {type: LoadBalancer, allocateLoadBalancerNodePorts: false, loadBalancerSourceRanges: ["203.0.113.0/24", " 192.168.0.1/32"], clusterIP: 10.96.0.6, selector: {app: np}, ports: [{port: 80}]}, status: {loadBalancer: {ingress: [{ip: 198.51.100.6}, {ip: 198.51.100.7, ipMode: Proxy}, {hostname: lb.example.com}]}}}
- {metadata: {namespace: demo, name: none}, spec: {clusterIP: 10.96.0.7, selector: {app: none}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: unready}, spec: {type: NodePort, clusterIP: 10.96.0.8, selector: {app: u}, ports: [{port: 80, nodePort: 30088}]}}
- {metadata: {namespace: demo, name: manual}, spec: {clusterIP: 10.96.0.9, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: ending}, spec: {clusterIP: 10.96.0.10, selector: {app: e}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: zoned}, spec: {clusterIP: 10.96.0.11, selector: {app: z}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: head}, spec: {clusterIP: None, selector: {app: h}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: away}, spec: {type: ExternalName, externalName: example.com, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: lblocal}, spec: {type: LoadBalancer, externalTrafficPolicy: Local, clusterIP: 10.96.0.12, selector: {app: np}, ports: [{port: 80, nodePort: 30092}]}, status: {loadBalancer: {ingress: [{ip: 198.51.100.12}]}}}
- {metadata: {namespace: demo, name: sticky}, spec: {clusterIP: 10.96.0.13, sessionAffinity: ClientIP, selector: {app: np}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: localending}, spec: {internalTrafficPolicy: Local, clusterIP: 10.96.0.14, selector: {app: e}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: nodehint}, spec: {clusterIP: 10.96.0.15, selector: {app: z}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: early}, spec: {publishNotReadyAddresses: true, clusterIP: 10.96.0.16, selector: {app: p}, ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: classed}, spec: {type: LoadBalancer, loadBalancerClass: example.com/lb, trafficDistribution: PreferClose, externalTrafficPolicy: Local, healthCheckNodePort: 32017, clusterIP: 10.96.0.17, selector: {app: np}, ports: [{port: 80, targetPort: http, nodePort: 30017}]}, status: {loadBalancer: {ingress: [{ip: 198.51.100.17, ipMode: VIP}]}}}
- {metadata: {namespace: demo, name: others, labels: {service.kubernetes.io/service-proxy-name: else}}, spec: {type: NodePort, clusterIP: 10.96.0.18, ports: [{port: 80, nodePort: 30018}]}}
- {metadata: {namespace: demo, name: v6out}, spec: {internalTrafficPolicy: Local, externalTrafficPolicy: Local, clusterIP: 10.96.0.19, externalIPs: ["2001:db8::19"], ports: [{port: 80}]}}
- {metadata: {namespace: demo, name: anyone}, spec: {type: LoadBalancer, loadBalancerSourceRanges: [203.0.113.0/24, 0.0.0.0/0], clusterIP: 10.96.0.20, ports: [{port: 80}]}, status: {loadBalancer: {ingress: [{ip: 198.51.100.20}]}}}
- {metadata: {namespace: demo, name: hand}, spec: {clusterIP: 10.96.0.21, ports: [{port: 80}]}}
`

const endpointSlices = `
- {metadata: {namespace: demo, name: early-1, labels: {kubernetes.io/service-name: early}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2, conditions: {ready: true, serving: false}}]}
- {metadata: {namespace: demo, name: web-1, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, ports: [{name: http, port: 8080, protocol: TCP}, {name: dns, port: 5353, protocol: UDP}, {name: sctp, port: 8081, protocol: SCTP}], endpoints: [{addresses: [10.244.2.2], nodeName: n2, targetRef: {kind: Pod, namespace: demo, name: web2}}, {addresses: [10.244.1.2], nodeName: n1, conditions: {ready: true}}, {addresses: [10.244.1.8], nodeName: n1, conditions: {ready: false, serving: false}}]}
- {metadata: {namespace: demo, name: web-2, labels: {kubernetes.io/service-name: web}}, addressType: IPv6, ports: [{name: http, port: 8080}], endpoints: [{addresses: ["fd00:1::2"], nodeName: n1}]}
- {metadata: {namespace: demo, name: np-1, labels: {kubernetes.io/service-name: np}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: nplocal-1, labels: {kubernetes.io/service-name: nplocal}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: inlocal-1, labels: {kubernetes.io/service-name: inlocal}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: ext-1, labels: {kubernetes.io/service-name: ext}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: lb-1, labels: {kubernetes.io/service-name: lb}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: lblocal-1, labels: {kubernetes.io/service-name: lblocal}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: unready-1, labels: {kubernetes.io/service-name: unready}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2, conditions: {ready: false, serving: false}, targetRef: {kind: Pod, namespace: demo, name: u1}}]}
- {metadata: {namespace: demo, name: ending-1, labels: {kubernetes.io/service-name: ending}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2, conditions: {ready: false, serving: true, terminating: true}}, {addresses: [10.244.2.3], nodeName: n2, conditions: {ready: false, serving: false, terminating: true}}]}
- {metadata: {namespace: demo, name: localending-1, labels: {kubernetes.io/service-name: localending}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2, conditions: {ready: true}}, {addresses: [10.244.1.3], nodeName: n1, conditions: {ready: false, serving: true, terminating: true}}]}
- {metadata: {namespace: demo, name: zoned-1, labels: {kubernetes.io/service-name: zoned}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.1.2], nodeName: n1, hints: {forZones: [{name: east}]}}, {addresses: [10.244.2.2], nodeName: n2, hints: {forZones: [{name: west}]}}]}
- {metadata: {namespace: demo, name: nodehint-1, labels: {kubernetes.io/service-name: nodehint}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.1.2], nodeName: n1, hints: {forNodes: [{name: n1}]}}, {addresses: [10.244.2.2], nodeName: n2, hints: {forNodes: [{name: n2}]}}]}
- {metadata: {namespace: demo, name: sticky-1, labels: {kubernetes.io/service-name: sticky}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.1.2], nodeName: n1}, {addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: classed-1, labels: {kubernetes.io/service-name: classed}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: classed-2, labels: {kubernetes.io/service-name: classed}}, addressType: IPv4, ports: [{name: "", port: 9090}], endpoints: [{addresses: [10.244.2.3], nodeName: n2}]}
- {metadata: {namespace: demo, name: v6out-1, labels: {kubernetes.io/service-name: v6out}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: anyone-1, labels: {kubernetes.io/service-name: anyone}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [10.244.2.2], nodeName: n2}]}
- {metadata: {namespace: demo, name: hand-1, labels: {kubernetes.io/service-name: hand}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [203.0.113.77]}]}
- {metadata: {namespace: demo, name: hand-2, labels: {kubernetes.io/service-name: hand, service.kubernetes.io/service-proxy-name: else}}, addressType: IPv4, ports: [{name: "", port: 8080}], endpoints: [{addresses: [203.0.113.78]}]}
- {metadata: {namespace: demo, name: names, labels: {kubernetes.io/service-name: none}}, addressType: FQDN, ports: [{name: "", port: 8080}], endpoints: [{addresses: [example.com]}]}
`

const nodes = `
- {metadata: {name: n1, labels: {topology.kubernetes.io/zone: east}}}
- {metadata: {name: n2, labels: {topology.kubernetes.io/zone: west}}}
- {metadata: {name: n3, labels: {topology.kubernetes.io/zone: north}}}
`

func proxyConfig(text string) string {
	return "[{metadata: {namespace: kube-system, name: kube-proxy}, data: {config.conf: " + strconv.Quote("kind: KubeProxyConfiguration\n"+text) + "}}]"
}

func open(t testing.TB, parts map[string]string) *snapshot.Snapshot {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{})
	for name, text := range parts {
		if !strings.Contains(name, "/") {
			name, text = "cluster/"+name+".yaml", "items: "+text
		}
		require.NoError(t, w.Add(name, []byte(text)))
	}
	s, err := w.Snapshot()
	require.NoError(t, err)
	return s
}

func proxy(t testing.TB, config string) *KubeProxyServiceProcessor {
	t.Helper()
	k, errs := NewKubeProxyServiceProcessor(open(t, map[string]string{
		"services": services, "endpointslices": endpointSlices, "nodes": nodes, "configmaps": proxyConfig(config),
	}), owners{}, "")
	require.Empty(t, errs)
	return k
}

// pkt parses "tcp 10.0.0.1 > 10.0.0.2:80". The source may be "-": not chosen.
func pkt(text string) model.Packet {
	proto, rest, _ := strings.Cut(text, " ")
	src, dst, _ := strings.Cut(rest, " > ")
	p := model.Packet{Protocol: model.Protocol(proto)}
	if src != "-" {
		p.Src = netip.AddrPortFrom(netip.MustParseAddr(src), 40000)
	}
	if a, err := netip.ParseAddrPort(dst); err == nil {
		p.Dst = a
	} else {
		p.Dst = netip.AddrPortFrom(netip.MustParseAddr(dst), 0)
	}
	return p
}

// show writes a decision in one line: "demo/web:http clusterIP 10.0.0.1:80",
// with "+masq" behind backends that see the node's address.
func show(d *Decision, ok bool) string {
	if !ok {
		return "no service"
	}
	out := []string{fmt.Sprintf("%s:%s %s", d.Service, d.Port, d.Kind)}
	for _, b := range d.Backends {
		text := b.Addr.String()
		if b.Masquerade {
			text += "+masq"
		}
		out = append(out, text)
	}
	for _, f := range []struct {
		is   bool
		name string
	}{{d.NoPort, "NoPort"}, {d.NoEndpoints, "NoEndpoints"}, {d.Dropped, "Dropped"}} {
		if f.is {
			out = append(out, f.name)
		}
	}
	return strings.Join(out, " ")
}

type row struct {
	why, packet, node, want string
}

// run asks k. Packets with a source of 10.244.x come from pods, except those
// of the node's bridge.
func run(t *testing.T, k *KubeProxyServiceProcessor, rows []row) {
	for _, tt := range rows {
		t.Run(tt.why, func(t *testing.T) {
			p := pkt(tt.packet)
			_, fromPod := owners{}.GetPodFromIP(p.Src.Addr())
			require.Equal(t, tt.want, show(k.Process(p, tt.node, fromPod)))
		})
	}
}

func TestProcess(t *testing.T) {
	run(t, proxy(t, "clusterCIDR: 10.244.0.0/16\n"), []row{
		{"cluster address", "tcp 10.244.1.7 > 10.96.0.1:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080 10.244.2.2:8080"},
		{"on a node without endpoints", "tcp 10.244.1.7 > 10.96.0.1:80", "n3", "demo/web:http clusterIP 10.244.1.2:8080 10.244.2.2:8080"},
		{"protocol udp", "udp 10.244.1.7 > 10.96.0.1:53", "n1", "demo/web:dns clusterIP 10.244.1.2:5353 10.244.2.2:5353"},
		{"protocol sctp", "sctp 10.244.1.7 > 10.96.0.1:80", "n1", "demo/web:sctp clusterIP 10.244.1.2:8081 10.244.2.2:8081"},
		{"second family has its own endpoints", "tcp fd00:1::7 > [fd00:96::1]:80", "n1", "demo/web:http clusterIP [fd00:1::2]:8080"},
		{"second family without endpoints", "udp fd00:1::7 > [fd00:96::1]:53", "n1", "demo/web:dns clusterIP NoEndpoints"},
		{"IPv4 in IPv6", "tcp 10.244.1.7 > [::ffff:10.96.0.1]:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080 10.244.2.2:8080"},
		{"from the node: masqueraded", "tcp 192.168.0.1 > 10.96.0.1:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080+masq 10.244.2.2:8080+masq"},
		{"from the node, source not chosen", "tcp - > 10.96.0.1:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080+masq 10.244.2.2:8080+masq"},
		{"from the node by its bridge's address", "tcp 10.244.1.1 > 10.96.0.1:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080 10.244.2.2:8080"},
		{"from outside: masqueraded", "tcp 203.0.113.1 > 10.96.0.1:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080+masq 10.244.2.2:8080+masq"},
		{"hairpin: masqueraded", "tcp 10.244.1.2 > 10.96.0.1:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080+masq 10.244.2.2:8080"},
		{"session affinity: the same set", "tcp 10.244.1.7 > 10.96.0.13:80", "n1", "demo/sticky:80 clusterIP 10.244.1.2:8080 10.244.2.2:8080"},
		{"unknown port", "tcp 10.244.1.7 > 10.96.0.1:81", "n1", "demo/web:81 clusterIP NoPort"},
		{"port of another protocol", "tcp 10.244.1.7 > 10.96.0.1:53", "n1", "demo/web:53 clusterIP NoPort"},
		{"ICMP", "icmp 10.244.1.7 > 10.96.0.1", "n1", "demo/web:0 clusterIP NoPort"},
		{"headless: the name resolves to the endpoints, no packet has an address of it", "tcp 10.244.1.7 > 10.244.1.2:80", "n1", "no service"},
		{"not a Service", "tcp 10.244.1.7 > 10.244.2.2:80", "n1", "no service"},
		{"outside", "tcp 10.244.1.7 > 8.8.8.8:80", "n1", "no service"},

		{"no endpoint", "tcp 10.244.1.7 > 10.96.0.7:80", "n1", "demo/none:80 clusterIP NoEndpoints"},
		{"unready endpoint", "tcp 10.244.1.7 > 10.96.0.8:80", "n1", "demo/unready:80 clusterIP NoEndpoints"},
		{"unready endpoint, node port", "tcp 203.0.113.1 > 192.168.0.1:30088", "n1", "demo/unready:80 nodePort NoEndpoints"},
		{"publishNotReadyAddresses: the slice says ready", "tcp 10.244.1.7 > 10.96.0.16:80", "n1", "demo/early:80 clusterIP 10.244.2.2:8080"},
		{"serving while terminating is the fallback", "tcp 10.244.1.7 > 10.96.0.10:80", "n1", "demo/ending:80 clusterIP 10.244.2.2:8080"},
		{"local fallback though others are ready", "tcp 10.244.1.7 > 10.96.0.14:80", "n1", "demo/localending:80 clusterIP 10.244.1.3:8080"},
		{"zone hints", "tcp 10.244.1.7 > 10.96.0.11:80", "n1", "demo/zoned:80 clusterIP 10.244.1.2:8080"},
		{"zone hints, no endpoint in the zone", "tcp 10.244.1.7 > 10.96.0.11:80", "n3", "demo/zoned:80 clusterIP 10.244.1.2:8080 10.244.2.2:8080"},
		{"node hints", "tcp 10.244.2.7 > 10.96.0.15:80", "n2", "demo/nodehint:80 clusterIP 10.244.2.2:8080"},

		{"internal Local with endpoint", "tcp 10.244.2.7 > 10.96.0.4:80", "n2", "demo/inlocal:80 clusterIP 10.244.2.2:8080"},
		{"internal Local without endpoint", "tcp 10.244.1.7 > 10.96.0.4:80", "n1", "demo/inlocal:80 clusterIP Dropped"},

		{"node port from outside", "tcp 203.0.113.1 > 192.168.0.1:30080", "n1", "demo/np:80 nodePort 10.244.2.2:8080+masq"},
		{"node port from a pod", "tcp 10.244.1.7 > 192.168.0.1:30080", "n1", "demo/np:80 nodePort 10.244.2.2:8080+masq"},
		{"node port on the bridge's address", "tcp 10.244.1.7 > 10.244.1.1:30080", "n1", "demo/np:80 nodePort 10.244.2.2:8080+masq"},
		{"node port on the loopback address", "tcp 127.0.0.1 > 127.0.0.1:30080", "n1", "demo/np:80 nodePort 10.244.2.2:8080+masq"},
		{"node port on the loopback address of IPv6", "tcp ::1 > [::1]:30080", "n1", "no service"},
		{"node port of another node: not here", "tcp 10.244.1.7 > 192.168.0.2:30080", "n1", "no service"},
		{"node port, other protocol", "udp 203.0.113.1 > 192.168.0.1:30080", "n1", "no service"},
		{"node port, a family that the Service does not have", "tcp 2001:db8::1 > [fd00::1]:30080", "n1", "no service"},

		{"external Local with endpoint: source is kept", "tcp 203.0.113.1 > 192.168.0.2:30081", "n2", "demo/nplocal:80 nodePort 10.244.2.2:8080"},
		{"external Local without endpoint", "tcp 203.0.113.1 > 192.168.0.1:30081", "n1", "demo/nplocal:80 nodePort Dropped"},
		{"external Local from a pod: short cut", "tcp 10.244.1.7 > 192.168.0.1:30081", "n1", "demo/nplocal:80 nodePort 10.244.2.2:8080"},
		{"external Local from a pod of another node: short cut", "tcp 10.244.2.7 > 192.168.0.1:30081", "n1", "demo/nplocal:80 nodePort 10.244.2.2:8080"},
		{"external Local from the node: short cut, masqueraded", "tcp 192.168.0.1 > 192.168.0.1:30081", "n1", "demo/nplocal:80 nodePort 10.244.2.2:8080+masq"},
		{"external Local from the node, source not chosen", "tcp - > 192.168.0.1:30081", "n1", "demo/nplocal:80 nodePort 10.244.2.2:8080+masq"},
		{"external Local from another node: as from outside", "tcp 192.168.0.2 > 192.168.0.1:30081", "n1", "demo/nplocal:80 nodePort Dropped"},
		{"external Local does not count for the cluster address", "tcp 10.244.1.7 > 10.96.0.3:80", "n1", "demo/nplocal:80 clusterIP 10.244.2.2:8080"},
		{"external Local, load balancer address from outside", "tcp 203.0.113.1 > 198.51.100.12:80", "n1", "demo/lblocal:80 loadBalancer Dropped"},
		{"external Local, load balancer address from a pod", "tcp 10.244.1.7 > 198.51.100.12:80", "n1", "demo/lblocal:80 loadBalancer 10.244.2.2:8080"},

		{"external address", "tcp 203.0.113.1 > 198.51.100.5:80", "n1", "demo/ext:80 externalIP 10.244.2.2:8080+masq"},
		{"external address that is a node's", "tcp 203.0.113.1 > 192.168.0.1:80", "n1", "demo/ext:80 externalIP 10.244.2.2:8080+masq"},
		{"another port of a node's address is the node's", "tcp 203.0.113.1 > 192.168.0.1:22", "n1", "no service"},
		{"external address, unknown port", "tcp 203.0.113.1 > 198.51.100.5:81", "n1", "demo/ext:81 externalIP NoPort"},

		{"load balancer address, source in the ranges", "tcp 203.0.113.1 > 198.51.100.6:80", "n1", "demo/lb:80 loadBalancer 10.244.2.2:8080+masq"},
		{"load balancer address, other source", "tcp 198.18.0.1 > 198.51.100.6:80", "n1", "demo/lb:80 loadBalancer Dropped"},
		{"load balancer address as the source, on a node in the ranges", "tcp 198.51.100.6 > 198.51.100.6:80", "n1", "demo/lb:80 loadBalancer 10.244.2.2:8080+masq"},
		{"load balancer address as the source, on another node", "tcp 198.51.100.6 > 198.51.100.6:80", "n2", "demo/lb:80 loadBalancer Dropped"},
		{"source ranges do not count for the cluster address", "tcp 10.244.1.7 > 10.96.0.6:80", "n1", "demo/lb:80 clusterIP 10.244.2.2:8080"},
		{"load balancer address: ipMode VIP, loadBalancerClass and trafficDistribution say nothing to kube-proxy", "tcp 10.244.1.7 > 198.51.100.17:80", "n1", "demo/classed:80 loadBalancer 10.244.2.2:8080 10.244.2.3:9090"},
		{"a named target port has its number in each slice", "tcp 10.244.1.7 > 10.96.0.17:80", "n1", "demo/classed:80 clusterIP 10.244.2.2:8080 10.244.2.3:9090"},
		{"node port of a load balancer", "tcp 203.0.113.1 > 192.168.0.2:30017", "n2", "demo/classed:80 nodePort 10.244.2.2:8080 10.244.2.3:9090"},
		{"allocateLoadBalancerNodePorts false: no node port", "tcp 203.0.113.1 > 192.168.0.1:0", "n1", "no service"},
		{"source range of everybody", "tcp 198.18.0.1 > 198.51.100.20:80", "n1", "demo/anyone:80 loadBalancer 10.244.2.2:8080+masq"},
		{"another program's Service", "tcp 10.244.1.7 > 10.96.0.18:80", "n1", "no service"},
		{"another program's Service, node port", "tcp 203.0.113.1 > 192.168.0.1:30018", "n1", "no service"},
		{"no selector, an EndpointSlice by hand; another program's is not used", "tcp 10.244.1.7 > 10.96.0.21:80", "n1", "demo/hand:80 clusterIP 203.0.113.77:8080"},
		{"internal Local, external address of the other family", "tcp 10.244.1.7 > 10.96.0.19:80", "n1", "demo/v6out:80 clusterIP Dropped"},
		{"external address of a family that the Service does not have", "tcp 2001:db8::1 > [2001:db8::19]:80", "n1", "demo/v6out:80 externalIP NoPort"},
		{"healthCheckNodePort is kube-proxy's own", "tcp 203.0.113.1 > 192.168.0.1:32017", "n1", "no service"},
		{"a load balancer that proxies is not kube-proxy's", "tcp 203.0.113.1 > 198.51.100.7:80", "n1", "no service"},
	})
}

func TestConfigDecides(t *testing.T) {
	const clusterIP, local, port = "tcp 10.244.2.7 > 10.96.0.1:80", "tcp 10.244.2.7 > 192.168.0.1:30081", "tcp 203.0.113.1 > 192.168.0.1:30080"
	const plain, masq = "demo/web:http clusterIP 10.244.1.2:8080 10.244.2.2:8080", "demo/web:http clusterIP 10.244.1.2:8080+masq 10.244.2.2:8080+masq"
	for _, tt := range []struct{ why, config, packet, want string }{
		{"no clusterCIDR: nothing is masqueraded", "", "tcp 203.0.113.1 > 10.96.0.1:80", plain},
		{"no clusterCIDR: no short cut for pods", "", "tcp 10.244.1.7 > 192.168.0.1:30081", "demo/nplocal:80 nodePort Dropped"},
		{"no clusterCIDR: the short cut for the node stays", "", "tcp 192.168.0.1 > 192.168.0.1:30081", "demo/nplocal:80 nodePort 10.244.2.2:8080+masq"},
		{"clusterCIDR of both families", "clusterCIDR: 'fd00::/16,10.244.0.0/16'\n", clusterIP, plain},
		{"only the first range of a family counts", "clusterCIDR: '10.0.0.0/16,10.244.0.0/16'\n", clusterIP, masq},
		{"masqueradeAll", "clusterCIDR: 10.244.0.0/16\niptables: {masqueradeAll: true}\n", clusterIP, masq},
		{"masqueradeAll of another mode", "clusterCIDR: 10.244.0.0/16\nnftables: {masqueradeAll: true}\n", clusterIP, plain},
		{"masqueradeAll of nftables", "mode: nftables\nclusterCIDR: 10.244.0.0/16\nnftables: {masqueradeAll: true}\n", clusterIP, masq},
		{"NodeCIDR: pods of other nodes are not local", "detectLocalMode: NodeCIDR\n", clusterIP, masq},
		{"NodeCIDR: pods of this node are", "detectLocalMode: NodeCIDR\n", "tcp 10.244.1.7 > 10.96.0.1:80", plain},
		{"NodeCIDR: no short cut for pods of other nodes", "detectLocalMode: NodeCIDR\n", local, "demo/nplocal:80 nodePort Dropped"},
		{"BridgeInterface: pods of this node are local", "detectLocalMode: BridgeInterface\n", "tcp 10.244.1.7 > 10.96.0.1:80", plain},
		{"BridgeInterface: others are not", "detectLocalMode: BridgeInterface\n", clusterIP, masq},
		{"InterfaceNamePrefix", "detectLocalMode: InterfaceNamePrefix\n", "tcp 203.0.113.1 > 10.96.0.1:80", masq},
		{"nodePortAddresses hold the address", "nodePortAddresses: [192.168.0.0/24]\n", port, "demo/np:80 nodePort 10.244.2.2:8080+masq"},
		{"nodePortAddresses do not", "nodePortAddresses: [172.16.0.0/12]\n", port, "no service"},
		{"nodePortAddresses of the other family do not count", "nodePortAddresses: ['fd00::/16']\n", port, "demo/np:80 nodePort 10.244.2.2:8080+masq"},
		{"primary is the first address", "nodePortAddresses: [primary]\n", port, "demo/np:80 nodePort 10.244.2.2:8080+masq"},
		{"primary is no other", "nodePortAddresses: [primary]\n", "tcp 10.244.1.7 > 10.244.1.1:30080", "no service"},
		{"nftables: primary is the default", "mode: nftables\n", "tcp 10.244.1.7 > 10.244.1.1:30080", "no service"},
		{"nftables: not on the loopback address", "mode: nftables\n", "tcp 127.0.0.1 > 127.0.0.1:30080", "no service"},
		{"localhostNodePorts is off", "iptables: {localhostNodePorts: false}\n", "tcp 127.0.0.1 > 127.0.0.1:30080", "no service"},
		{"ipvs: internal Local without endpoint", "mode: ipvs\n", "tcp 10.244.1.7 > 10.96.0.4:80", "demo/inlocal:80 clusterIP Dropped"},
		{"ipvs: external Local from a pod", "mode: ipvs\nclusterCIDR: 10.244.0.0/16\n", "tcp 10.244.1.7 > 192.168.0.1:30081", "demo/nplocal:80 nodePort 10.244.2.2:8080"},
		{"ipvs: not on the loopback address", "mode: ipvs\n", "tcp 127.0.0.1 > 127.0.0.1:30080", "no service"},
		{"ipvs: Local without endpoint uses the others", "mode: ipvs\n", "tcp 203.0.113.1 > 192.168.0.1:30081", "demo/nplocal:80 nodePort 10.244.2.2:8080"},
	} {
		t.Run(tt.why, func(t *testing.T) {
			run(t, proxy(t, tt.config), []row{{"", tt.packet, "n1", tt.want}})
		})
	}
}

func TestAffinity(t *testing.T) {
	k := proxy(t, "")
	for packet, want := range map[string]int{"tcp 10.244.1.7 > 10.96.0.13:80": 10800, "tcp 10.244.1.7 > 10.96.0.1:80": 0} {
		d, ok := k.Process(pkt(packet), "n1", true)
		require.True(t, ok)
		require.Equal(t, want, d.Affinity, packet)
	}
}

// TestHealth: kube-proxy itself answers at healthCheckNodePorts.
func TestHealth(t *testing.T) {
	for _, tt := range []struct {
		why, config, addr, node string
		ok                      bool
		want                    Health
		is200                   bool
	}{
		{"a node with endpoints", "", "192.168.0.2:32017", "n2", true, Health{"demo/classed", 2}, true},
		{"a node without", "", "192.168.0.1:32017", "n1", true, Health{"demo/classed", 0}, false},
		{"another port", "", "192.168.0.1:32018", "n1", false, Health{}, false},
		{"a family that the Service does not have", "", "[fd00::1]:32017", "n1", false, Health{}, false},
		{"not on that address", "nodePortAddresses: [172.16.0.0/12]\n", "192.168.0.1:32017", "n1", false, Health{}, false},
	} {
		h, ok := proxy(t, tt.config).Health(netip.MustParseAddrPort(tt.addr), tt.node)
		require.Equal(t, tt.ok, ok, tt.why)
		require.Equal(t, tt.want, h, tt.why)
		require.Equal(t, tt.is200, h.OK(), tt.why)
	}
}

func TestBackend(t *testing.T) {
	k := proxy(t, "")
	d, ok := k.Process(pkt("tcp 10.244.1.7 > 10.96.0.1:80"), "n1", true)
	require.True(t, ok)
	require.Equal(t, []Backend{
		{Addr: netip.MustParseAddrPort("10.244.1.2:8080"), Node: "n1", Pod: "demo/pod12", Share: 0.5},
		{Addr: netip.MustParseAddrPort("10.244.2.2:8080"), Node: "n2", Pod: "demo/web2", Share: 0.5},
	}, d.Backends)
}

// What was collected instead must be used, not the list that failed.
func TestFallbackListIsUsedNotTheFailedOne(t *testing.T) {
	const endpoints = `
- {metadata: {namespace: demo, name: web}, subsets: [{addresses: [{ip: 10.244.1.2, nodeName: n1, targetRef: {kind: Pod, namespace: demo, name: w}}], notReadyAddresses: [{ip: 10.244.1.8, nodeName: n1}], ports: [{name: http, port: 8080, protocol: TCP}]}]
`
	parts := map[string]string{"services": services, "endpoints": strings.TrimSuffix(endpoints, "\n") + "}\n", "nodes": nodes, "configmaps": proxyConfig("")}
	k, errs := NewKubeProxyServiceProcessor(open(t, parts), owners{}, "")
	require.Empty(t, errs)
	run(t, k, []row{{"Endpoints", "tcp 10.244.1.7 > 10.96.0.1:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080"}})

	parts["endpointslices"] = endpointSlices
	k, errs = NewKubeProxyServiceProcessor(open(t, parts), owners{}, "")
	require.Empty(t, errs)
	run(t, k, []row{{"EndpointSlices", "tcp 10.244.1.7 > 10.96.0.1:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080 10.244.2.2:8080"}})

	parts["endpointslices"] = "- 3\n" // cannot be read
	k, errs = NewKubeProxyServiceProcessor(open(t, parts), owners{}, "")
	require.Len(t, errs, 1)
	run(t, k, []row{{"Endpoints instead", "tcp 10.244.1.7 > 10.96.0.1:80", "n1", "demo/web:http clusterIP 10.244.1.2:8080"}})

	delete(parts, "endpointslices")
	delete(parts, "endpoints")
	_, errs = NewKubeProxyServiceProcessor(open(t, parts), owners{}, "")
	require.Len(t, errs, 2)
	require.ErrorIs(t, errs[0], snapshot.ErrNotCollected)
	require.ErrorIs(t, errs[1], snapshot.ErrNotCollected)
}

func TestBadObjectsAreToldAndSkipped(t *testing.T) {
	k, errs := NewKubeProxyServiceProcessor(open(t, map[string]string{
		"services":       services + "- {metadata: {namespace: demo, name: odd}, spec: {clusterIP: odd, loadBalancerSourceRanges: [nonsense], ports: [{port: 80}]}}\n",
		"endpointslices": endpointSlices + "- {metadata: {namespace: demo, name: odd}, addressType: IPv4, endpoints: [{addresses: [odd]}, {}], ports: [{port: 80}, {name: x}]}\n",
		"nodes":          nodes,
	}), owners{}, ModeIPTables)
	require.ErrorContains(t, errors.Join(errs...), "svc demo/odd: ")
	require.ErrorContains(t, errors.Join(errs...), "svc demo/odd: loadBalancerSourceRanges: ")
	require.ErrorContains(t, errors.Join(errs...), "endpointslice demo/odd: ")
	require.Len(t, errs, 3)
	run(t, k, []row{{"the others work", "tcp 10.244.1.7 > 10.96.0.2:80", "n1", "demo/np:80 clusterIP 10.244.2.2:8080"}})
}
