package nftables_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/nftables"
)

// proxy writes the table that kube-proxy makes in its mode nftables, as nft
// prints it, one entry a line (pkg/proxy/nftables/proxier.go). The first Service
// has a session affinity, the last no endpoints.
type proxy struct {
	strings.Builder
	services, endpoints int
}

// kubeProxy returns the text for that many Services with that many endpoints.
func kubeProxy(services, endpoints int) string {
	p := &proxy{services: services, endpoints: endpoints}
	p.WriteString(`{"nftables": [` + "\n" + `{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}`)
	p.entry("table", `"name": "kube-proxy", "handle": 1`)
	p.maps()
	p.bases()
	for i := range services {
		p.chain(service(i))
		for e := range endpoints {
			p.chain(endpoint(i, e))
		}
	}
	p.rules()
	for i := range services {
		p.service(i)
	}
	p.WriteString("\n]}\n")
	return p.String()
}

func service(i int) string {
	return fmt.Sprintf("service-%08X-ns%d/app-%d/tcp/http", i*2654435761&0xffffffff, i%50, i)
}

func endpoint(i, e int) string {
	return fmt.Sprintf("endpoint-%08X-ns%d/app-%d/tcp/http__10.%d.%d.%d/8080", (i*31+e)*2654435761&0xffffffff, i%50, i, 128+i%100, i/100, e+1)
}

func clusterIP(i int) string { return fmt.Sprintf("10.96.%d.%d", i/250, i%250+1) }

func (p *proxy) entry(kind, fields string) {
	fmt.Fprintf(p, ",\n{%q: {\"family\": \"ip\", %s}}", kind, fields)
}

func (p *proxy) chain(name string) {
	p.entry("chain", fmt.Sprintf(`"table": "kube-proxy", "name": %q, "handle": 7`, name))
}

func (p *proxy) rule(chain string, exprs ...string) {
	p.entry("rule", fmt.Sprintf(`"table": "kube-proxy", "chain": %q, "handle": 8, "expr": [%s]`, chain, strings.Join(exprs, ", ")))
}

func (p *proxy) maps() {
	const endType = `"type": ["ipv4_addr", "inet_proto", "inet_service"], "handle": 3, "map": "verdict"`
	var ips, ends strings.Builder
	for i := range p.services {
		sep := map[bool]string{true: ", "}[i > 0]
		fmt.Fprintf(&ips, "%s%q", sep, clusterIP(i))
		if i < p.services-1 {
			fmt.Fprintf(&ends, `%s[{"concat": [%q, "tcp", 80]}, {"goto": {"target": %q}}]`, sep, clusterIP(i), service(i))
		}
	}
	p.entry("set", `"name": "cluster-ips", "table": "kube-proxy", "type": "ipv4_addr", "handle": 2, "elem": [`+ips.String()+`]`)
	p.entry("set", `"name": "nodeport-ips", "table": "kube-proxy", "type": "ipv4_addr", "handle": 2, "elem": ["10.0.0.1"]`)
	p.entry("set", `"name": "affinity-0", "table": "kube-proxy", "type": "ipv4_addr", "handle": 2, "flags": ["timeout", "dynamic"], "timeout": 10800, "elem": [{"elem": {"val": "10.244.0.99", "timeout": 10800, "expires": 10000}}]`)
	p.entry("map", `"name": "service-ips", "table": "kube-proxy", `+endType+`, "elem": [`+ends.String()+`]`)
	p.entry("map", `"name": "service-nodeports", "table": "kube-proxy", "type": ["inet_proto", "inet_service"], "handle": 3, "map": "verdict", "elem": [[{"concat": ["tcp", 30080]}, {"goto": {"target": "`+service(0)+`"}}]]`)
	p.entry("map", `"name": "no-endpoint-services", "table": "kube-proxy", `+endType+fmt.Sprintf(`, "elem": [[{"concat": [%q, "tcp", 80]}, {"goto": {"target": "reject-chain"}}]]`, clusterIP(p.services-1)))
	p.entry("map", `"name": "no-endpoint-nodeports", "table": "kube-proxy", "type": ["inet_proto", "inet_service"], "handle": 3, "map": "verdict"`)
	p.entry("map", `"name": "firewall-ips", "table": "kube-proxy", `+endType)
}

func (p *proxy) bases() {
	for _, b := range []string{
		"filter-prerouting filter prerouting -110", "filter-input filter input -110", "filter-forward filter forward -110", "filter-output filter output -110",
		"filter-output-post-dnat filter output -90", "nat-prerouting nat prerouting -100", "nat-output nat output -100", "nat-postrouting nat postrouting 100",
	} {
		w := strings.Fields(b)
		p.entry("chain", fmt.Sprintf(`"table": "kube-proxy", "name": %q, "handle": 6, "type": %q, "hook": %q, "prio": %s, "policy": "accept"`, w[0], w[1], w[2], w[3]))
	}
	for _, name := range []string{"firewall-check", "nodeport-endpoints-check", "service-endpoints-check", "cluster-ips-check", "services", "masquerading", "mark-for-masquerade", "reject-chain"} {
		p.chain(name)
	}
}

// Parts of rules.
const (
	ctNew   = `{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}}`
	destKey = `{"concat": [{"payload": {"protocol": "ip", "field": "daddr"}}, {"meta": {"key": "l4proto"}}, {"payload": {"protocol": "th", "field": "dport"}}]}`
	portKey = `{"concat": [{"meta": {"key": "l4proto"}}, {"payload": {"protocol": "th", "field": "dport"}}]}`
	mark    = `{"meta": {"key": "mark"}}`
)

func jump(to string) string      { return fmt.Sprintf(`{"jump": {"target": %q}}`, to) }
func vmap(key, in string) string { return fmt.Sprintf(`{"vmap": {"key": %s, "data": %q}}`, key, in) }
func same(field, op, value string) string {
	proto, name, _ := strings.Cut(field, " ")
	return fmt.Sprintf(`{"match": {"op": %q, "left": {"payload": {"protocol": %q, "field": %q}}, "right": %s}}`, op, proto, name, value)
}

func (p *proxy) rules() {
	p.rule("filter-prerouting", ctNew, jump("firewall-check"))
	p.rule("filter-input", ctNew, jump("nodeport-endpoints-check"))
	p.rule("filter-input", ctNew, jump("service-endpoints-check"))
	p.rule("filter-forward", ctNew, jump("service-endpoints-check"))
	p.rule("filter-forward", ctNew, jump("cluster-ips-check"))
	p.rule("filter-output", ctNew, jump("service-endpoints-check"))
	p.rule("filter-output", ctNew, jump("firewall-check"))
	p.rule("filter-output-post-dnat", ctNew, jump("cluster-ips-check"))
	p.rule("nat-prerouting", jump("services"))
	p.rule("nat-output", jump("services"))
	p.rule("nat-postrouting", jump("masquerading"))
	p.rule("firewall-check", vmap(destKey, "@firewall-ips"))
	p.rule("nodeport-endpoints-check", same("ip daddr", "==", `"@nodeport-ips"`), vmap(portKey, "@no-endpoint-nodeports"))
	p.rule("service-endpoints-check", vmap(destKey, "@no-endpoint-services"))
	p.rule("cluster-ips-check", same("ip daddr", "==", `"@cluster-ips"`), `{"reject": {"type": "icmp", "expr": "port-unreachable"}}`)
	p.rule("cluster-ips-check", same("ip daddr", "==", `{"prefix": {"addr": "10.96.0.0", "len": 12}}`), `{"drop": null}`)
	p.rule("services", vmap(destKey, "@service-ips"))
	p.rule("services", same("ip daddr", "==", `"@nodeport-ips"`), vmap(portKey, "@service-nodeports"))
	p.rule("masquerading", `{"match": {"op": "==", "left": {"&": [`+mark+`, 16384]}, "right": 0}}`, `{"return": null}`)
	p.rule("masquerading", `{"mangle": {"key": `+mark+`, "value": {"^": [`+mark+`, 16384]}}}`)
	p.rule("masquerading", `{"masquerade": {"flags": "fully-random"}}`)
	p.rule("mark-for-masquerade", `{"mangle": {"key": `+mark+`, "value": {"|": [`+mark+`, 16384]}}}`)
	p.rule("reject-chain", `{"reject": {"type": "icmp", "expr": "port-unreachable"}}`)
}

func (p *proxy) service(i int) {
	name := service(i)
	p.rule(name, same("ip daddr", "==", `"`+clusterIP(i)+`"`), same("tcp dport", "==", "80"), same("ip saddr", "!=", `{"prefix": {"addr": "10.128.0.0", "len": 9}}`), jump("mark-for-masquerade"))
	if i == 0 {
		p.rule(name, same("ip saddr", "==", `"@affinity-0"`), fmt.Sprintf(`{"goto": {"target": %q}}`, endpoint(0, 0)))
	}
	var ways strings.Builder
	for e := range p.endpoints {
		fmt.Fprintf(&ways, `%s[%d, {"goto": {"target": %q}}]`, map[bool]string{true: ", "}[e > 0], e, endpoint(i, e))
	}
	p.rule(name, fmt.Sprintf(`{"vmap": {"key": {"numgen": {"mode": "random", "mod": %d, "offset": 0}}, "data": {"set": [%s]}}}`, p.endpoints, ways.String()))
	for e := range p.endpoints {
		pod := fmt.Sprintf("10.%d.%d.%d", 128+i%100, i/100, e+1)
		p.rule(endpoint(i, e), same("ip saddr", "==", `"`+pod+`"`), jump("mark-for-masquerade"))
		if i == 0 && e == 0 {
			p.rule(endpoint(i, e), `{"set": {"op": "update", "elem": {"payload": {"protocol": "ip", "field": "saddr"}}, "set": "@affinity-0"}}`)
		}
		p.rule(endpoint(i, e), `{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}}`, fmt.Sprintf(`{"dnat": {"addr": %q, "port": 8080}}`, pod))
	}
}

const (
	benchServices  = 10_000
	benchEndpoints = 15
)

func BenchmarkNFTNew(b *testing.B) {
	text := kubeProxy(benchServices, benchEndpoints)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var rs *nftables.Ruleset
	before := heap()
	for b.Loop() {
		var errs []error
		rs, errs = nftables.Parse(part(text))
		require.Empty(b, errs)
		rules, _ := rs.Stats()
		b.ReportMetric(float64(rules), "rules")
	}
	b.ReportMetric(float64(heap()-before)/1e6, "MB-kept") // beside the text and its copy
	runtime.KeepAlive(rs)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkNFTPacket sends a packet to one Service of many, through all that
// PREROUTING has: one branch of it.
func BenchmarkNFTPacket(b *testing.B) {
	rs, errs := nftables.Parse(part(kubeProxy(benchServices, benchEndpoints)))
	require.Empty(b, errs)
	f := frame(fmt.Sprintf("tcp 10.0.0.9:1000 > %s:80 hook=PREROUTING", clusterIP(benchServices-2)))
	bases := rs.Bases()
	b.ReportAllocs()
	for b.Loop() {
		g := f
		g.Choices = netfilter.NewChoices()
		g.Choices.Next()
		for _, base := range bases {
			if base.At(g.Hook, false) {
				rs.Run(base, &g)
			}
		}
		if !g.Bound {
			b.Fatal("not translated")
		}
	}
}

// What kube-proxy writes is read to the last word, and sends packets where it
// says.
func TestKubeProxy(t *testing.T) {
	rs, errs := nftables.Parse(part(kubeProxy(4, 3)))
	require.Empty(t, errs)
	rules, not := rs.Stats()
	require.Equal(t, 0, not)
	require.Equal(t, 23+4*(2+3*2)+2, rules)
	third := "accept 0.33 dst=10.129.0.1:8080 mark=0x4000 bound, accept 0.33 dst=10.129.0.2:8080 mark=0x4000 bound, accept 0.33 dst=10.129.0.3:8080 mark=0x4000 bound"
	for _, tt := range []struct{ name, frame, want string }{
		{"a Service from outside", "tcp 10.0.0.9:1 > 10.96.0.2:80 hook=PREROUTING", third},
		{"a Service from the node", "tcp 10.0.0.9:1 > 10.96.0.2:80 hook=OUTPUT", third},
		{"a Service from a pod", "tcp 10.130.0.9:1 > 10.96.0.2:80 hook=PREROUTING", strings.ReplaceAll(third, " mark=0x4000", "")},
		{"a Service from its own endpoint", "tcp 10.129.0.1:1 > 10.96.0.2:80 hook=PREROUTING", strings.Replace(strings.ReplaceAll(third, " mark=0x4000", ""), ":8080 bound", ":8080 mark=0x4000 bound", 1)},
		{"another port of a Service", "tcp 10.0.0.9:1 > 10.96.0.2:81 hook=PREROUTING", "accept"},
		{"another port of a Service, then", "tcp 10.0.0.9:1 > 10.96.0.2:81", "reject icmp-port-unreachable"},
		{"an address that is no Service", "tcp 10.0.0.9:1 > 10.96.9.9:80", "drop"},
		{"a ping of a Service", "icmp 10.0.0.9 > 10.96.0.2 type=8 hook=PREROUTING", "accept"},
		{"no endpoints, when forwarded", "tcp 10.0.0.9:1 > 10.96.0.4:80", "reject icmp-port-unreachable"},
		{"no endpoints, from the node", "tcp 10.0.0.9:1 > 10.96.0.4:80 hook=OUTPUT", "reject icmp-port-unreachable"},
		{"a known client of an affinity", "tcp 10.244.0.99:1 > 10.96.0.1:80 hook=PREROUTING", "accept dst=10.128.0.1:8080 bound"},
		{"a NodePort", "tcp 11.0.0.9:1 > 10.0.0.1:30080 hook=PREROUTING", "accept 0.33 dst=10.128.0.1:8080 bound, accept 0.33 dst=10.128.0.2:8080 bound, accept 0.33 dst=10.128.0.3:8080 bound"},
		{"marked, on its way out", "tcp 11.0.0.9:1 > 10.128.0.1:8080 mark=0x4000 hook=POSTROUTING", "accept src=10.0.0.1:1 bound"},
		{"not marked, on its way out", "tcp 11.0.0.9:1 > 10.128.0.1:8080 hook=POSTROUTING", "accept"},
		{"a later packet", "tcp 10.0.0.9:1 > 10.96.0.2:81 ct=established", "accept"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := frame(tt.frame)
			require.Equal(t, tt.want, became(run(rs, f), f))
		})
	}
}
