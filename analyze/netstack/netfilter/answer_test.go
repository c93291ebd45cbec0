package netfilter

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswers(t *testing.T) {
	for _, tt := range []struct{ a, b, and, or Answer }{
		{No, No, No, No},
		{No, Yes, No, Yes},
		{No, Maybe, No, Maybe},
		{Yes, Yes, Yes, Yes},
		{Yes, Maybe, Maybe, Yes},
		{Maybe, Maybe, Maybe, Maybe},
	} {
		require.Equal(t, tt.and, tt.a.And(tt.b), tt)
		require.Equal(t, tt.and, tt.b.And(tt.a), tt)
		require.Equal(t, tt.or, tt.a.Or(tt.b), tt)
		require.Equal(t, tt.or, tt.b.Or(tt.a), tt)
	}
}
