package check

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// However many kinds of pods there are, each asks, and each is asked.
func TestPairsOfManyPods(t *testing.T) {
	for _, kinds := range []int{1, 2, 244, 245, 250, 500, 1000, 3000} {
		asks, asked := map[int]bool{}, map[int]bool{}
		for i := 0; i < kinds*kinds; i += coprime(stride(kinds*kinds, mostPaired), kinds) {
			asks[i%kinds], asked[i/kinds] = true, true
		}
		require.Len(t, asks, kinds)
		require.Len(t, asked, kinds)
	}
}
