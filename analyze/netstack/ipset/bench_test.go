package ipset_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/ipset"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// BenchmarkSet reads a set of 100,000 elements and looks for one that is in it.
func BenchmarkSet(b *testing.B) {
	for _, tt := range []struct{ typ, element string }{
		{"hash:ip", "10.%d.%d.%d"},
		{"hash:net", "10.%d.%d.%d/32"},
		{"hash:ip,port", "10.%d.%d.%d,tcp:80"},
		{"hash:ip,port,net", "10.%d.%d.%d,tcp:80,10.0.0.0/8"},
		{"hash:net,iface", "10.%d.%d.%d/32,eth0"},
	} {
		var text strings.Builder
		fmt.Fprintf(&text, "create set %s family inet\n", tt.typ)
		for i := range 100_000 {
			fmt.Fprintf(&text, "add set "+tt.element+"\n", i>>16, i>>8&0xff, i&0xff)
		}
		save := part(text.String())
		before := heap()
		sets, errs := ipset.Parse(save)
		require.Empty(b, errs)
		held := heap() - before
		b.Run(tt.typ+"/parse", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ipset.Parse(save)
			}
			b.ReportMetric(float64(held)/1e6, "held-MB")
		})
		q := query("src,dst,dst tcp 10.1.0.0:1000 > 10.0.0.2:80 in=eth0 out=eth0")
		b.Run(tt.typ+"/test", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if sets.Test("set", q) != netfilter.Yes {
					b.Fatal("not in it")
				}
			}
		})
	}
}

// heap returns how many bytes of the heap are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}
