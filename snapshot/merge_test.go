package snapshot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// one is a bundle with the part "a", written as "ok:text", "empty", "denied".
func one(t testing.TB, text string) *snapshot.Snapshot {
	t.Helper()
	status, data, _ := strings.Cut(text, ":")
	w := snapshot.NewWriter(snapshot.Meta{Created: data})
	reason := "because of " + text
	if status == "ok" || status == "empty" {
		reason = ""
	}
	require.NoError(t, w.AddStatus("a", []byte(data), nodedump.Status(status), reason))
	s, err := w.Snapshot()
	require.NoError(t, err)
	return s
}

func TestMergeOnePart(t *testing.T) {
	for _, c := range []struct{ first, second, want, err string }{
		{"ok:x", "ok:x", "ok x", ""},
		{"ok:x", "ok:y", "", "conflicting parts: a differs between bundle 1 and bundle 2"},
		{"ok:x", "empty", "", "conflicting parts: a differs between bundle 1 and bundle 2"},
		{"ok:x", "denied", "ok x", ""},
		{"denied", "ok:x", "ok x", ""},
		{"timed-out", "empty", "empty ", ""},
		{"truncated:x", "ok:xy", "ok xy", ""},
		{"truncated:x", "failed", "truncated x", ""},
		{"failed", "truncated:x", "truncated x", ""},
		{"truncated:x", "truncated:y", "", "conflicting parts: a differs between bundle 1 and bundle 2"},
		{"failed", "denied", "failed ", ""},
		{"empty", "empty", "empty ", ""},
	} {
		w := snapshot.NewWriter(snapshot.Meta{})
		err := snapshot.Merge(w, one(t, c.first), one(t, c.second))
		if c.err != "" {
			require.ErrorIs(t, err, snapshot.ErrConflict)
			require.EqualError(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		s, err := w.Snapshot()
		require.NoError(t, err)
		p := s.Part("a")
		require.Equal(t, c.want, string(p.Status)+" "+string(p.Data), "%s + %s", c.first, c.second)
	}
}

func TestMergeNamesFilesAndKeepsMeta(t *testing.T) {
	dir := t.TempDir()
	var opened []*snapshot.Snapshot
	for _, c := range []struct{ file, node, created, kubernetes string }{
		{"x", "n1", "2026-01-01T00:00:00Z", ""}, {"y", "n2", "2026-01-03T00:00:00Z", "v1"}, {"z", "n1", "2026-01-02T00:00:00Z", "v2"},
	} {
		w := snapshot.NewWriter(snapshot.Meta{Created: c.created, Kubernetes: c.kubernetes})
		require.NoError(t, w.AddNode(&nodedump.NodeNetworkStackDump{Name: c.node, Kernel: c.file}))
		require.NoError(t, os.WriteFile(filepath.Join(dir, c.file), pack(t, w), 0o600))
		s, err := snapshot.OpenFile(filepath.Join(dir, c.file))
		require.NoError(t, err)
		opened = append(opened, s)
	}
	w := snapshot.NewWriter(snapshot.Meta{Tool: "merge"})
	require.NoError(t, snapshot.Merge(w, opened[0], opened[1], opened[0]))
	s, err := w.Snapshot()
	require.NoError(t, err)
	require.Equal(t, []string{"n1", "n2"}, s.NodeNames())
	require.Equal(t, "2026-01-03T00:00:00Z v1 merge", s.Manifest().Created+" "+s.Manifest().Kubernetes+" "+s.Manifest().Tool)
	err = snapshot.Merge(w, opened[2])
	require.EqualError(t, err, "conflicting parts: nodes/n1/node.json differs between "+filepath.Join(dir, "x")+" and "+filepath.Join(dir, "z"))
}
