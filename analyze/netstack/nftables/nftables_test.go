package nftables_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/nftables"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestMatches(t *testing.T) {
	rec := readRecord(t)
	for _, tt := range matchRows() {
		t.Run(tt.name+"/"+tt.rule+"/"+tt.frame, func(t *testing.T) {
			f := frame(tt.frame)
			rs := rec.ruleset(t, tt.family, tt.rule, hookChain("filter", f.Hook), `{"drop": null}`)
			want := tt.want
			switch want {
			case "yes":
				want = "drop"
			case "no":
				want = "accept"
			case "maybe":
				want = "drop, accept"
			}
			got := run(rs, f)
			require.Equal(t, want, verdicts(got))
			for _, b := range got {
				for _, d := range b.doubts {
					require.NotEmpty(t, d.What)
					require.Equal(t, "nft.json:1", d.Evidence)
				}
			}
		})
	}
}

// Every expression and statement of the tables has a row, and says why it is not
// exact.
func TestComplete(t *testing.T) {
	expressions, statements := map[string]bool{}, map[string]bool{}
	for _, r := range matchRows() {
		expressions[r.name] = true
	}
	for _, r := range statementRows() {
		statements[r.name] = true
	}
	for _, e := range nftables.Expressions() {
		require.True(t, expressions[e.Name], "no row for %s", e.Name)
		require.True(t, e.Class == netfilter.Exact || e.Why != "", "%s does not say why", e.Name)
	}
	for _, e := range nftables.Statements() {
		require.True(t, statements[e.Name], "no row for %s", e.Name)
		require.True(t, e.Class == netfilter.Exact || e.Why != "", "%s does not say why", e.Name)
	}
}

const meta = `{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},` + "\n"

func TestParse(t *testing.T) {
	const chain = `{"chain": {"family": "inet", "table": "fw", "name": "fwd", "type": "filter", "hook": "forward", "prio": -5, "policy": "drop"}}`
	rule := func(expr string) string {
		return `{"rule": {"family": "inet", "table": "fw", "chain": "fwd", "expr": [` + expr + `]}}`
	}
	for _, tt := range []struct{ name, text, err, want string }{
		{"empty", "", "", "accept"},
		{"no object", "[]", `nft.json:1: unsupported nftables JSON: no array "nftables"`, "accept"},
		{"another object", `{"a": []}`, `nft.json:1: unsupported nftables JSON: no array "nftables"`, "accept"},
		{"cut off", meta + chain, "nft.json:2: unsupported nftables JSON: unexpected EOF", "drop"},
		{"cut off in a string", meta + chain + `, {"ru`, "nft.json:2: unsupported nftables JSON: unexpected EOF", "drop"},
		{"no JSON", meta + chain + `, {x}]}`, "nft.json:2: unsupported nftables JSON: syntax error at 'x'", "drop"},
		{"an odd entry", meta + `{"chain": {"family": 3}},` + chain + "]}", "nft.json:2: unsupported chain without a name", "drop"},
		{"an entry of another kind", meta + chain + `, {"novelty": {}}]}`, `nft.json:2: unsupported nftables entry "novelty"`, "drop"},
		{"an unknown statement", meta + chain + "," + rule(`{"quantum": null}, {"accept": null}`) + "]}", "nft.json:2: unsupported statement quantum", "unknown, accept"},
		{"an unknown condition", meta + chain + "," + rule(`{"match": {"op": "==", "left": {"spin": 1}, "right": 1}}, {"accept": null}`) + "]}", "nft.json:2: unsupported expression spin", "accept, drop"},
		{"an unknown condition before one that fails", meta + chain + "," + rule(`{"match": {"op": "==", "left": {"spin": 1}, "right": 1}}, {"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "udp"}}, {"accept": null}`) + "]}", "nft.json:2: unsupported expression spin", "drop"},
		{"an unknown value", meta + chain + "," + rule(`{"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipx"}}, {"accept": null}`) + "]}", `nft.json:2: unsupported nf_proto "ipx"`, "accept, drop"},
		{"a chain that is not there", meta + chain + "," + rule(`{"jump": {"target": "gone"}}`) + "]}", "nft.json:2: unsupported chain gone, which is not there", "unknown"},
		{"a set that is not there", meta + chain + "," + rule(`{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": "@gone"}}, {"accept": null}`) + "]}", "nft.json:2: unsupported set @gone, which is not there", "accept, drop"},
		{"an element that is not understood", meta + `{"set": {"family": "inet", "table": "fw", "name": "s", "type": "mark", "elem": ["x"]}},` + chain + "," + rule(`{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": "@s"}}, {"accept": null}`) + "]}", `nft.json:2: unsupported mark "x"`, "accept, drop"},
		{"a type that is not understood", meta + `{"set": {"family": "inet", "table": "fw", "name": "s", "type": "colour", "elem": [1]}},` + chain + "," + rule(`{"match": {"op": "!=", "left": {"meta": {"key": "mark"}}, "right": "@s"}}, {"accept": null}`) + "]}", `nft.json:2: unsupported type "colour"`, "accept, drop"},
		{"jumps in circles", meta + chain + "," + rule(`{"jump": {"target": "fwd"}}`) + "]}", "", "unknown"},
		{"strings with escapes", meta + chain + "," + rule(`{"log": {"prefix": "a\"b\\"}}, {"accept": null}`) + "]}", "", "accept"},
		{"verdicts as strings", meta + chain + "," + rule(`"accept"`) + "]}", "", "accept"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, errs := nftables.Parse(part(tt.text))
			require.Equal(t, tt.want, verdicts(run(rs, frame(tcpOpen))))
			if tt.err == "" {
				require.Empty(t, errs)
				return
			}
			require.Len(t, errs, 1)
			require.EqualError(t, errs[0], tt.err)
		})
	}
}

// What is a base chain, and of whom.
func TestBases(t *testing.T) {
	const (
		inet    = `{"chain": {"family": "inet", "table": "fw", "name": "fwd", "type": "filter", "hook": "forward", "prio": -5, "policy": "drop"}}`
		ip6     = `{"chain": {"family": "ip6", "table": "fw", "name": "fwd", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}`
		bridge  = `{"chain": {"family": "bridge", "table": "fw", "name": "fwd", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}`
		input   = `{"chain": {"family": "inet", "table": "fw", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}`
		ipt     = `{"table": {"family": "ip", "name": "filter", "handle": 1}}, {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}`
		own     = `{"table": {"family": "ip", "name": "filter", "handle": 1}}, {"chain": {"family": "ip", "table": "filter", "name": "fwd", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}`
		dormant = `{"table": {"family": "inet", "name": "fw", "handle": 1, "flags": "dormant"}},` + inet
	)
	for _, tt := range []struct {
		name, objects, v4, v6 string
		saved                 bool
	}{
		{"family inet", inet, "drop", "drop", true},
		{"family ip6", ip6, "accept", "drop", true},
		{"family bridge", bridge, "accept", "accept", true},
		{"another hook", input, "accept", "accept", true},
		{"a dormant table", dormant, "accept", "accept", true},
		{"a table of iptables that iptables-save shows", ipt, "accept", "accept", true},
		{"a table of iptables that nothing else shows", ipt, "drop", "accept", false},
		{"a table of iptables with an extension", ipt + `, {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "expr": [{"xt": {"type": "match", "name": "string"}}, {"drop": null}]}}`, "accept", "accept", false},
		{"a table of iptables with a comment", ipt + `, {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "expr": [{"xt": {"type": "match", "name": "comment"}}, {"accept": null}]}}`, "accept", "accept", false},
		{"a table that has the name of one of iptables", own, "drop", "accept", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, errs := nftables.Parse(part(meta + tt.objects + "]}"))
			require.Empty(t, errs)
			if tt.saved {
				rs.Saved("ip")
				rs.Saved("ip6")
			}
			require.Equal(t, tt.v4, verdicts(run(rs, frame(tcpOpen))))
			require.Equal(t, tt.v6, verdicts(run(rs, frame(tcp6))))
		})
	}
}

func TestOpaque(t *testing.T) {
	rs, errs := nftables.Parse(part(meta + `{"chain": {"family": "netdev", "table": "t", "name": "in", "type": "filter", "hook": "ingress", "prio": 0, "policy": "drop", "dev": "eth0"}},
{"chain": {"family": "bridge", "table": "t", "name": "fwd", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
{"chain": {"family": "bridge", "table": "t", "name": "empty", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}]}`))
	require.Empty(t, errs)
	require.Nil(t, rs.Opaque("netdev", "ingress", "eth1"))
	require.Nil(t, rs.Opaque("bridge", "input", ""))
	require.Equal(t, "nft.json:2", rs.Opaque("netdev", "ingress", "eth0").Evidence)
	require.Equal(t, "nft.json:3", rs.Opaque("bridge", "forward", "").Evidence)
}

func TestStats(t *testing.T) {
	const text = meta + `{"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
{"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "expr": [{"drop": null}]}},
{"rule": {"family": "inet", "table": "fw", "chain": "sub", "expr": [{"drop": null}]}},
{"chain": {"family": "inet", "table": "fw", "name": "sub"}},
{"rule": {"family": "inet", "table": "fw", "chain": "sub", "expr": [{"quantum": null}]}}]}`
	rs, errs := nftables.Parse(part(text))
	require.Len(t, errs, 1)
	rules, not := rs.Stats()
	require.Equal(t, []int{3, 1}, []int{rules, not})
	rs.Saved("ip")
	rules, not = rs.Stats()
	require.Equal(t, []int{2, 1}, []int{rules, not})
	known, _, _ := rs.Status()
	require.True(t, known)
}

// Steps print rules as nft does.
func TestText(t *testing.T) {
	rec := readRecord(t)
	for _, tt := range []struct{ family, rule, want string }{
		{"ip", "ip saddr 10.0.0.0/24", "ip saddr 10.0.0.0/24"},
		{"ip", "iifname \"eth0\"", "iifname \"eth0\""},
		{"ip", "ip daddr != 10.0.0.1-10.0.0.3", "ip daddr != 10.0.0.1-10.0.0.3"},
		{"ip", "meta mark & 0x4000 == 0x4000", "meta mark & 16384 == 0x00004000"},
		{"ip", "ct state established,related", "ct state established,related"},
		{"ip", "tcp dport vmap @ways", "tcp dport vmap @ways"},
		{"ip", "meta l4proto . th dport { tcp . 80, udp . 53 }", "meta l4proto . th dport { udp . 53, tcp . 80 }"},
		{"inet", "fib daddr type local", "fib daddr type local"},
	} {
		rs := rec.ruleset(t, tt.family, tt.rule, hookChain("filter", netfilter.Forward), `{"counter": null}`)
		require.Contains(t, nftables.Print(rs), tt.want)
	}
}

func TestStatus(t *testing.T) {
	rs, errs := nftables.Parse(nodedump.Part{Status: nodedump.StatusFailed, Reason: "why"})
	require.Empty(t, errs)
	known, _, why := rs.Status()
	require.False(t, known)
	require.Equal(t, "why", why)
}

// FuzzParse reads any text, and sends packets through it.
func FuzzParse(f *testing.F) {
	rec := record{}
	if data := readRecord(f); data.Version != "" {
		rec = data
	}
	for family, rules := range rec.Rules {
		for _, exprs := range rules {
			f.Add(meta + string(rec.Tables[family][1:len(rec.Tables[family])-1]) + `, {"chain": {"family": "` + family + `", "table": "t", "name": "base", "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}, {"rule": {"family": "` + family + `", "table": "t", "chain": "base", "expr": ` + string(exprs) + `}}]}`)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		rs, errs := nftables.Parse(part(text))
		rules, not := rs.Stats()
		require.True(t, not == 0 || len(errs) > 0)
		require.LessOrEqual(t, not, rules)
		for _, s := range []string{tcpOpen, ping6, udpOpen + pre, tcp6 + post, "tcp 10.0.0.1:1000 > 10.0.0.2:80 kind=data ct=established" + out} {
			for _, b := range run(rs, frame(s)) {
				require.NotEqual(t, netfilter.Continue, b.verdict)
				require.NotEqual(t, netfilter.Return, b.verdict)
			}
		}
	})
}
