package snapshot_test

import (
	"bytes"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot"
)

func FuzzOpenArchive(f *testing.F) {
	for _, h := range hostiles(f) {
		f.Add(h.data)
	}
	f.Add(pack(f, richWriter(f, false)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := snapshot.OpenArchive(bytes.NewReader(data), snapshot.Limits{TotalSize: 1 << 20, FileSize: 1 << 19, Files: 100, Ratio: 100})
		if err == nil {
			use(s)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("version: 1\nparts:\n- {name: nodes/n/netns/host/netns.json, status: ok, sha256: aa}\n"), []byte("{}"))
	f.Fuzz(func(t *testing.T, manifest, data []byte) {
		s, err := snapshot.Open(fstest.MapFS{"manifest.yaml": {Data: manifest}, "a": {Data: data}, "cluster/pods.yaml": {Data: data}})
		if err == nil {
			use(s)
		}
	})
}

// FuzzParts reads any bytes as the parts that this package parses.
func FuzzParts(f *testing.F) {
	f.Add([]byte(`{"key": "a", "interfaces": [{"name": "lo"}], "sysctls": {"net.a": "1"}}`))
	f.Add([]byte(`{"entries": [{"src": "10.0.0.1:1"}], "rules": ["-A"]}`))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		w := snapshot.NewWriter(snapshot.Meta{})
		for _, name := range []string{"cluster/pods.yaml", "nodes/n/node.json", "nodes/n/netns/host/netns.json", "nodes/n/netns/host/conntrack.json", "nodes/n/netns/host/ipvs.json"} {
			require.NoError(t, w.Add(name, data))
		}
		s, err := w.Snapshot()
		require.NoError(t, err)
		use(s)
		if n, err := s.NetNS("n", "host"); err == nil {
			again := snapshot.NewWriter(snapshot.Meta{})
			require.NoError(t, again.AddNetNS("nodes/n", n))
		}
	})
}

// use calls what reads parts.
func use(s *snapshot.Snapshot) {
	snapshot.Verify(s)
	snapshot.Info(s)
	for _, n := range s.NodeNames() {
		_, _ = s.Node(n)
		_, _ = s.NetNS(n, "host")
	}
	_, _ = s.Pods()
	_, _ = s.Custom("pods")
	_ = snapshot.Merge(snapshot.NewWriter(snapshot.Meta{}), s)
}

func FuzzNormalizeTables(f *testing.F) {
	f.Add([]byte("# Generated\n*nat\n:A ACCEPT [1:2]\n[1:2] -A A -j B\nCOMMIT\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		once := snapshot.NormalizeTables(data)
		require.LessOrEqual(t, len(once), len(data)+1)
	})
}

func FuzzNormalizeNFT(f *testing.F) {
	f.Add([]byte(`{"nftables": [{"rule": {"expr": [{"counter": {"packets": 7, "bytes": 88}}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := snapshot.NormalizeNFT(data)
		if err != nil {
			return
		}
		twice, err := snapshot.NormalizeNFT(once)
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
	})
}
