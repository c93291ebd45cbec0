package check_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/check"
)

// BenchmarkRun runs all checks of a bundle of 30 nodes.
func BenchmarkRun(b *testing.B) {
	t := &testing.T{}
	world := load(t, "flannel-vxlan")
	for i := 3; i <= 30; i++ {
		clone(fmt.Sprintf("node%d", i), fmt.Sprint(i))(world)
	}
	a := world.analyzer()
	for b.Loop() {
		found, err := check.Run(a, "")
		require.NoError(b, err)
		require.Equal(b, 30, found.Nodes)
	}
}
