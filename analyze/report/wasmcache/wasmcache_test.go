package wasmcache

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRestore(t *testing.T) {
	before, set := saved, wasSet
	require.NotEqual(t, before, os.Getenv("TMPDIR"), "redirected at the start of the process")
	require.True(t, Restore())
	after, isSet := os.LookupEnv("TMPDIR")
	require.Equal(t, before, after)
	require.Equal(t, set, isSet)
}

func TestDirectoryIsPrivate(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	dir := directory()
	info, err := os.Stat(dir)
	if err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
		return
	}
	require.True(t, info.IsDir())
}
