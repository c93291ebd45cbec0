package route

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// TestOracle compares Lookup with a linear scan of rules and routes.
func TestOracle(t *testing.T) {
	first := uint64(time.Now().UnixNano())
	for seed := first; seed < first+60; seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		info := randomInfo(r)
		f, errs := New(info)
		require.Empty(t, errs)
		for range 200 {
			q := Query{Src: small4(r), Dst: small4(r), IIf: "eth0", Mark: uint32(r.IntN(3))}
			want := scan(info, q)
			require.Equal(t, want, f.Lookup(q, nil).Evidence, "seed %d: %+v", seed, q)
		}
	}
}

func small4(r *rand.Rand) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), byte(r.IntN(4)), byte(r.IntN(8) * 32)})
}

func randomInfo(r *rand.Rand) *nodedump.NetNSInfo {
	info := &nodedump.NetNSInfo{File: "n", Rules: []nodedump.Rule{
		{Family: 4, Priority: 0, Table: TableLocal}, {Family: 4, Priority: 32766, Table: TableMain}}}
	for range r.IntN(6) {
		rule := nodedump.Rule{Family: 4, Priority: 1 + r.IntN(9), Table: 100 + r.IntN(3), Mark: uint32(r.IntN(2)), Not: r.IntN(5) == 0}
		if r.IntN(2) == 0 {
			rule.From = netip.PrefixFrom(small4(r), 16+r.IntN(10)).Masked().String()
		}
		info.Rules = append(info.Rules, rule)
	}
	for i := range 80 {
		info.Routes = append(info.Routes, nodedump.Route{Family: 4, Table: []int{100, 101, 102, TableMain, TableLocal}[r.IntN(5)],
			Type: []string{"", "", "", "unreachable", "throw"}[r.IntN(5)], Dev: "eth0", Metric: r.IntN(3), Line: i + 1,
			Dst: netip.PrefixFrom(small4(r), []int{0, 8, 16, 17, 22, 24, 27, 32}[r.IntN(8)]).Masked().String()})
	}
	return info
}

// scan is the oracle: it looks at everything, in order.
func scan(info *nodedump.NetNSInfo, q Query) string {
	rules := slices.Clone(info.Rules)
	slices.SortStableFunc(rules, func(a, b nodedump.Rule) int { return a.Priority - b.Priority })
	for _, rule := range rules {
		fits := rule.From == "" || netip.MustParsePrefix(rule.From).Contains(q.Src)
		fits = fits && (rule.Mark == 0 || rule.Mark == q.Mark)
		if fits == rule.Not {
			continue
		}
		best := -1
		for i, route := range info.Routes {
			prefix := netip.MustParsePrefix(route.Dst)
			if route.Table != rule.Table || !prefix.Contains(q.Dst) {
				continue
			}
			if best < 0 {
				best = i
				continue
			}
			bits := netip.MustParsePrefix(info.Routes[best].Dst).Bits()
			if prefix.Bits() > bits || prefix.Bits() == bits && route.Metric < info.Routes[best].Metric {
				best = i
			}
		}
		if best >= 0 && info.Routes[best].Type != "throw" {
			return fmt.Sprintf("n:%d", best+1)
		}
	}
	return ""
}

func bigInfo(n int) *nodedump.NetNSInfo {
	r := rand.New(rand.NewPCG(1, 1))
	info := &nodedump.NetNSInfo{File: "n"}
	for i := range n {
		addr := netip.AddrFrom4([4]byte{byte(1 + r.IntN(200)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
		info.Routes = append(info.Routes, nodedump.Route{Family: 4, Table: TableMain, Dev: "eth0", Via: "10.0.0.1", Line: i + 1,
			Dst: netip.PrefixFrom(addr, 16+r.IntN(17)).Masked().String()})
	}
	return info
}

func BenchmarkLookup(b *testing.B) {
	f, _ := New(bigInfo(100_000))
	r := rand.New(rand.NewPCG(2, 2))
	queries := make([]Query, 1024)
	for i := range queries {
		queries[i] = Query{IIf: "eth1", Src: netip.AddrFrom4([4]byte{10, 0, 0, 9}),
			Dst: netip.AddrFrom4([4]byte{byte(1 + r.IntN(200)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f.Lookup(queries[i%len(queries)], nil)
	}
}

func BenchmarkNew(b *testing.B) {
	info := bigInfo(100_000)
	b.ReportAllocs()
	for b.Loop() {
		New(info)
	}
}
