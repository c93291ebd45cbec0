package nftables_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/nftables"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func part(text string) nodedump.Part {
	return nodedump.Part{File: "nft.json", Status: nodedump.StatusOK, Data: []byte(text)}
}

const (
	meta  = `{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},` + "\n"
	inet  = `{"chain": {"family": "inet", "table": "fw", "name": "fwd", "handle": 1, "type": "filter", "hook": "forward", "prio": -5, "policy": "accept"}}`
	drop  = `{"chain": {"family": "inet", "table": "fw", "name": "fwd", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}`
	ip6   = `{"chain": {"family": "ip6", "table": "fw", "name": "fwd", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}`
	brid  = `{"chain": {"family": "bridge", "table": "fw", "name": "fwd", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}`
	input = `{"chain": {"family": "inet", "table": "fw", "name": "in", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}`
	rule  = `{"rule": {"family": "inet", "table": "fw", "chain": "fwd", "handle": 2, "expr": [{"drop": null}]}}`
	other = `{"chain": {"family": "inet", "table": "fw", "name": "sub", "handle": 3}}, {"rule": {"family": "inet", "table": "fw", "chain": "sub", "handle": 2, "expr": [{"drop": null}]}}`
	ipt   = `{"table": {"family": "ip", "name": "filter", "handle": 1}}, {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}, {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 2, "expr": [{"xt": null}]}}`
	own   = `{"table": {"family": "ip", "name": "filter", "handle": 1}}, {"chain": {"family": "ip", "table": "filter", "name": "fwd", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}`
	nat   = `{"chain": {"family": "ip", "table": "nat", "name": "PREROUTING", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "drop"}}, {"chain": {"family": "ip", "table": "nat", "name": "POSTROUTING", "handle": 1, "type": "nat", "hook": "postrouting", "prio": 100, "policy": "drop"}}, {"chain": {"family": "ip", "table": "mangle", "name": "OUTPUT", "handle": 1, "type": "route", "hook": "output", "prio": -150, "policy": "drop"}}`
)

func TestOpaque(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("[fd00::1]:80")
	for _, tt := range []struct{ name, objects, v4, v6 string }{
		{"nothing", `{"table": {"family": "inet", "name": "fw", "handle": 1}}`, "", ""},
		{"an empty chain that accepts", inet, "", ""},
		{"rules", inet + "," + rule, "inet fw fwd, priority -5", "inet fw fwd, priority -5"},
		{"a rule before its chain", rule + "," + inet, "inet fw fwd, priority -5", "inet fw fwd, priority -5"},
		{"rules of another chain", inet + "," + other, "", ""},
		{"policy drop", drop, "inet fw fwd, priority 0", "inet fw fwd, priority 0"},
		{"family ip6", ip6, "", "ip6 fw fwd, priority 0"},
		{"family bridge", brid, "", ""},
		{"another hook", input, "", ""},
		{"a table of iptables", ipt, "", ""},
		{"the tables of iptables", nat, "", ""},
		{"a table that has the name of one of iptables", own, "ip filter fwd, priority 0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, errs := nftables.Parse(part(meta + tt.objects + "]}"))
			require.Empty(t, errs)
			for dst, want := range map[netip.AddrPort]string{v4: tt.v4, v6: tt.v6} {
				f := &netfilter.Frame{Hook: netfilter.Forward, Packet: model.Packet{Dst: dst}, Choices: netfilter.NewChoices()}
				f.Choices.Next()
				for _, b := range rs.Bases() {
					if b.At(f.Hook, dst.Addr().Is6()) {
						rs.Run(b, f)
					}
				}
				var doubts []string
				for _, d := range f.Choices.Doubts() {
					require.Equal(t, "nft.json:2", d.Evidence)
					doubts = append(doubts, d.What)
				}
				require.Equal(t, want != "", len(doubts) > 0)
				if want != "" {
					require.Equal(t, []string{"nftables not modelled: chain " + want}, doubts)
				}
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, text, err string }{
		{"empty", "", ""},
		{"no object", "[]", `nft.json:1: unsupported nftables JSON: no array "nftables"`},
		{"cut off", meta + inet, "nft.json:2: unsupported nftables JSON: unexpected EOF"},
		{"an odd entry", meta + `{"chain": {"family": 3}},` + inet + "]}", "nft.json:2: unsupported nftables JSON: json: cannot unmarshal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, errs := nftables.Parse(part(tt.text))
			if tt.err == "" {
				require.Empty(t, errs)
				return
			}
			require.Len(t, errs, 1)
			require.ErrorContains(t, errs[0], tt.err)
			if tt.name == "an odd entry" {
				require.Len(t, rs.Bases(), 1)
			}
		})
	}
}

func TestBases(t *testing.T) {
	rs, errs := nftables.Parse(part(meta + inet + "," + rule + "," + rule + "]}"))
	require.Empty(t, errs)
	require.Equal(t, []*nftables.Base{{Family: "inet", Table: "fw", Name: "fwd", Type: "filter", Hook: "forward", Priority: -5, Policy: "accept", Rules: 2, Line: 2}}, rs.Bases())
	rules, not := rs.Stats()
	require.Equal(t, []int{2, 2}, []int{rules, not})
	known, _, _ := rs.Status()
	require.True(t, known)
}

func FuzzParse(f *testing.F) {
	f.Add(meta + inet + "," + rule + "]}")
	f.Add(meta + ipt + "," + nat + "]}")
	f.Fuzz(func(t *testing.T, text string) {
		rs, _ := nftables.Parse(part(text))
		for h := netfilter.Prerouting; h <= netfilter.Postrouting; h++ {
			for _, b := range rs.Bases() {
				f := &netfilter.Frame{Hook: h, Choices: netfilter.NewChoices()}
				f.Choices.Next()
				rs.Run(b, f)
			}
		}
	})
}
