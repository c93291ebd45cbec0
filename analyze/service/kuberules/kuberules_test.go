package kuberules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// show writes what a family has, one frontend a line: "10.0.0.1:80/tcp ->
// 10.1.0.1:8080", "+hairpin" behind destinations, and what is masqueraded.
func show(f *Family, ok bool) []string {
	if !ok {
		return nil
	}
	var out []string
	for at, e := range f.Entries {
		out = append(out, fmt.Sprintf("%s%s", at, showEntry(e)))
	}
	return slices.Sorted(slices.Values(out))
}

func showEntry(e *Entry) string {
	var b strings.Builder
	for _, way := range []struct {
		name string
		to   []Dest
	}{{" ->", e.To}, {" pods ->", e.Pods}, {" node ->", e.Node}} {
		for i, d := range way.to {
			if i == 0 {
				b.WriteString(way.name)
			}
			b.WriteString(" " + d.Addr.String())
			if d.Hairpin {
				b.WriteString("+hairpin")
			}
			if d.Affine > 0 {
				fmt.Fprintf(&b, "+%ds", d.Affine)
			}
		}
	}
	for _, is := range []struct {
		yes  bool
		name string
	}{{e.MasqAll, "all"}, {e.MasqOut, "out"}, {e.MasqNode, "node"}} {
		if is.yes {
			b.WriteString(" masq-" + is.name)
		}
	}
	for _, r := range e.Ranges {
		b.WriteString(" from " + r.String())
	}
	if e.Refused != None {
		fmt.Fprintf(&b, " %s:%d", e.Refused, e.RefusedAt.Line)
	}
	return b.String()
}

func TestReadIPTables(t *testing.T) {
	const sep = "-A KUBE-SEP-1 -s 10.1.0.1/32 -j KUBE-MARK-MASQ\n-A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination 10.1.0.1:8080\n"
	for _, tt := range []struct {
		why, nat string
		want     []string
	}{
		{"nothing", "", nil},
		{"an empty chain", ":KUBE-SERVICES - [0:0]\n", nil},
		{"ClusterIP", "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-SVC-1 ! -s 10.1.0.0/16 -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ\n-A KUBE-SVC-1 -j KUBE-SEP-1\n" + sep,
			[]string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+hairpin masq-out"}},
		{"a chain in two pieces", "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-SVC-1 -m statistic --mode random --probability 0.5 -j KUBE-SEP-1\n-A KUBE-SEP-1 -s 10.1.0.1/32 -j KUBE-MARK-MASQ\n-A KUBE-SVC-1 -j KUBE-SEP-2\n-A KUBE-SEP-2 -p tcp -j DNAT --to-destination 10.1.0.2:8080\n-A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination 10.1.0.1:8080\n",
			[]string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+hairpin 10.1.0.2:8080"}},
		{"a chain that calls itself", "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-SVC-1 -j KUBE-SVC-1\n", []string{"10.0.0.1:80/tcp"}},
		{"IPv6", "-A KUBE-SERVICES -d fd00::1/128 -p udp -m udp --dport 53 -j KUBE-SVC-1\n-A KUBE-SVC-1 -j KUBE-SEP-1\n-A KUBE-SEP-1 -p udp -m udp -j DNAT --to-destination [fd00:1::1]:53\n", []string{"[fd00::1]:53/udp -> [fd00:1::1]:53"}},
		{"node ports that nothing leads to", "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-EXT-1\n", []string{"10.0.0.1:80/tcp"}},
		{"kube-proxy 1.20: an XLB chain, masquerade at the door", "-A KUBE-SERVICES ! -s 10.1.0.0/16 -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ\n-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n" +
			"-A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-XLB-1\n-A KUBE-XLB-1 -s 10.1.0.0/16 -j KUBE-SVC-1\n-A KUBE-XLB-1 -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ\n-A KUBE-XLB-1 -m addrtype --src-type LOCAL -j KUBE-SVC-1\n-A KUBE-XLB-1 -j KUBE-MARK-DROP\n-A KUBE-SVC-1 -j KUBE-SEP-1\n" + sep,
			[]string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+hairpin masq-out", "node port 30080/tcp pods -> 10.1.0.1:8080+hairpin node -> 10.1.0.1:8080+hairpin masq-node drops:9"}},
		{"a firewall chain", "-A KUBE-SERVICES -d 203.0.113.1/32 -p tcp -m tcp --dport 80 -j KUBE-FW-1\n-A KUBE-FW-1 -s 198.51.100.0/24 -m comment --comment \"a \\\"b\\\" -j X\" -j KUBE-EXT-1\n-A KUBE-EXT-1 -j KUBE-MARK-MASQ\n-A KUBE-EXT-1 -j KUBE-SVC-1\n-A KUBE-SVC-1 -j KUBE-SEP-1\n" + sep,
			[]string{"203.0.113.1:80/tcp -> 10.1.0.1:8080+hairpin masq-all from 198.51.100.0/24"}},
		{"affinity", "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-SVC-1 -m recent --rcheck --seconds 60 --reap --name X --mask 255.255.255.255 --rsource -j KUBE-SEP-1\n-A KUBE-SVC-1 -j KUBE-SEP-1\n-A KUBE-SEP-1 -p tcp -m recent --set --name X --mask 255.255.255.255 --rsource -m tcp -j DNAT --to-destination 10.1.0.1:8080\n",
			[]string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+60s"}},
		{"affinity that nothing remembers", "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-SVC-1 -m recent --rcheck --seconds 60 --reap --name X -j KUBE-SEP-1\n-A KUBE-SVC-1 -j KUBE-SEP-1\n" + sep,
			[]string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+hairpin"}},
		{"an endpoint behind one that takes all", "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-SVC-1 -j KUBE-SEP-1\n-A KUBE-SVC-1 -j KUBE-SEP-2\n-A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.1.0.2:8080\n" + sep,
			[]string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+hairpin"}},
		{"an endpoint behind one that takes a share", "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-SVC-1 -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-1\n-A KUBE-SVC-1 -j KUBE-SEP-2\n-A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.1.0.2:8080\n" + sep,
			[]string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+hairpin 10.1.0.2:8080"}},
		{"pods by their device", "-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n-A KUBE-SVC-1 ! -i cni0 -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ\n-A KUBE-SVC-1 -j KUBE-SEP-1\n" + sep,
			[]string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+hairpin masq-out"}},
		{"the mode ipvs has no address", "-A KUBE-SERVICES ! -s 10.1.0.0/16 -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ\n-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT\n", nil},
	} {
		require.Equal(t, tt.want, show(ReadIPTables([]byte("*nat\n"+tt.nat+"COMMIT\n"), IPTables)), tt.why)
	}
}

func TestReadIPTablesRefused(t *testing.T) {
	const text = "*filter\n-A KUBE-SERVICES -d 10.0.0.2/32 -p tcp -m tcp --dport 80 -j REJECT\n-A KUBE-EXTERNAL-SERVICES -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 30080 -j DROP\nCOMMIT\n*nat\n-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\nCOMMIT\n"
	require.Equal(t, []string{"10.0.0.1:80/tcp", "10.0.0.2:80/tcp rejects:2", "node port 30080/tcp drops:3"}, show(ReadIPTables([]byte(text), IPTables)))
}

func TestCut(t *testing.T) {
	const text = "*nat\n-A KUBE-SERVICES -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-1\n"
	for want, text := range map[bool]string{true: text, false: text + "COMMIT\n"} {
		f, ok := ReadIPTables([]byte(text), IPTables)
		require.True(t, ok)
		require.Equal(t, want, f.Cut)
	}
}

func TestUserspace(t *testing.T) {
	line, ok := Userspace([]byte("*nat\n:KUBE-PORTALS-HOST - [0:0]\n-A KUBE-PORTALS-HOST -d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.168.0.1:40000\nCOMMIT\n"))
	require.True(t, ok)
	require.Equal(t, 3, line)
	_, ok = Userspace([]byte("*nat\n:KUBE-PORTALS-HOST - [0:0]\nCOMMIT\n"))
	require.False(t, ok, "an empty chain does nothing")
}

func TestEvidence(t *testing.T) {
	info := &nodedump.NetNSInfo{File: "netns.json", IPTables: nodedump.Part{File: "iptables-save.txt"}, IPVS: nodedump.Part{File: "ipvs.json"}}
	for want, at := range map[string]At{"iptables-save.txt:7": {IPTables, 7}, "ipvs.json": {Text: IPVS}, "netns.json": {Text: NetNS}, "": {}} {
		require.Equal(t, want, Evidence(info, at))
	}
}

// nft writes objects of the table kube-proxy as "nft -j list ruleset" does.
func nft(objects ...string) []byte {
	all := append([]string{`{"table": {"family": "ip", "name": "kube-proxy"}}`}, objects...)
	return []byte("{\"nftables\": [\n" + strings.ReplaceAll(strings.Join(all, ",\n"), "TABLE", `"family": "ip", "table": "kube-proxy"`) + "]}")
}

func TestReadNFTables(t *testing.T) {
	const services = `{"rule": {TABLE, "chain": "services", "expr": [{"vmap": {"key": {}, "data": "@service-ips"}}]}}`
	const one = `{"map": {TABLE, "name": "service-ips", "elem": [[{"concat": ["10.0.0.1", "tcp", 80]}, {"goto": {"target": "service-1"}}]]}}`
	const endpoint = `{"rule": {TABLE, "chain": "endpoint-1", "expr": [{"dnat": {"addr": "10.1.0.1", "port": 8080}}]}}`
	for _, tt := range []struct {
		why     string
		objects []string
		want    []string
	}{
		{"an empty table", nil, []string{}},
		{"a map that no rule uses", []string{one, endpoint}, []string{}},
		{"one endpoint by goto", []string{services, one, endpoint, `{"rule": {TABLE, "chain": "service-1", "expr": [{"goto": {"target": "endpoint-1"}}]}}`}, []string{"10.0.0.1:80/tcp -> 10.1.0.1:8080"}},
		{"a share of them", []string{services, one, endpoint, `{"rule": {TABLE, "chain": "service-1", "expr": [{"vmap": {"key": {"numgen": {"mode": "random", "mod": 1}}, "data": {"set": [[0, {"goto": {"target": "endpoint-1"}}]]}}}]}}`}, []string{"10.0.0.1:80/tcp -> 10.1.0.1:8080"}},
		{"affinity, with a client", []string{services, one, `{"set": {TABLE, "name": "affinity-1", "type": "ipv4_addr", "timeout": 60, "elem": [{"elem": {"val": "10.2.0.1", "timeout": 60, "expires": 3}}]}}`,
			`{"rule": {TABLE, "chain": "endpoint-1", "expr": [{"set": {"op": "update", "elem": {}, "set": "@affinity-1"}}]}}`, endpoint,
			`{"rule": {TABLE, "chain": "service-1", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@affinity-1"}}, {"goto": {"target": "endpoint-1"}}]}}`,
			`{"rule": {TABLE, "chain": "service-1", "expr": [{"goto": {"target": "endpoint-1"}}]}}`}, []string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+60s"}},
		{"rules of another table", []string{services, one, strings.ReplaceAll(endpoint, "TABLE", `"family": "ip", "table": "x-kube-proxy"`)}, []string{"10.0.0.1:80/tcp"}},
		{"nonsense", []string{services, one, `{"rule": {TABLE, "chain": "service-1", "expr": [{"vmap": {"data": 3}}, {"match": {"left": 1}}, {"dnat": {"addr": 4}}, 5]}}`}, []string{"10.0.0.1:80/tcp"}},
	} {
		f, ok := ReadNFTables(nft(tt.objects...), "ip")
		require.True(t, ok, tt.why)
		require.Equal(t, tt.why == "nonsense", f.Cut, tt.why)
		require.ElementsMatch(t, tt.want, show(f, ok), tt.why)
	}
	_, ok := ReadNFTables(nft(), "ip6")
	require.False(t, ok)
}

func TestIPVSIsKubeProxysByItsDevice(t *testing.T) {
	info := &nodedump.NetNSInfo{IPVS: nodedump.Part{File: "a/ipvs.json", Status: nodedump.StatusOK, Data: []byte("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1\n")}}
	_, _, _, ok := ReadIPVS(info, false)
	require.False(t, ok)
	v4, v6, _, ok := ReadIPVS(info, true)
	require.True(t, ok)
	require.Empty(t, v6.Entries)
	require.Equal(t, []string{"10.0.0.1:80/tcp -> 10.1.0.1:8080+hairpin"}, show(v4, true))
	require.Equal(t, At{IPVS, 1}, slices.Collect(maps.Values(v4.Entries))[0].At)
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("*nat\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -d 10.0.0.1/32 ! -s \"x\\\"\" -p tcp -m set --match-set X dst,dst --dport 80 -j KUBE-SVC-1\n[1:2] -A KUBE-SVC-1 -m recent --rcheck --seconds 3 -j KUBE-SVC-1\nCOMMIT\n"))
	f.Add(nft(`{"map": {TABLE, "name": "service-ips", "elem": [[{"concat": ["10.0.0.1", "tcp", 80]}, {"goto": {"target": "service-1"}}]]}}`, `{"rule": {TABLE, "chain": "service-1", "expr": [{"match": {"op": "!=", "left": {"payload": {"field": "saddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}}, {"jump": {"target": "service-1"}}]}}`))
	f.Add([]byte("create X hash:ip family inet\nadd X 10.0.0.1\n-A -t 10.0.0.1:80 -s rr\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		part := nodedump.Part{File: "f", Status: nodedump.StatusOK, Data: data}
		ReadIPTables(data, IPTables)
		Userspace(data)
		ReadNFTables(data, "ip")
		ReadIPVS(&nodedump.NetNSInfo{IPVS: part, IPSet: part, IPTables: part}, true)
	})
}
