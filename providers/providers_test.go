package providers

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/snapshot"
)

// Every provider has what the command line shows, and the last one takes what
// the others leave.
func TestAll(t *testing.T) {
	all, seen := All(), map[string]bool{}
	for i, d := range all {
		require.NotEmpty(t, d.Name)
		require.NotEmpty(t, d.Doc, d.Name)
		require.NotNil(t, d.Detect, d.Name)
		require.NotNil(t, d.New, d.Name)
		require.False(t, seen[d.Name], d.Name)
		require.Equal(t, i == len(all)-1, d.Fallback, d.Name)
		seen[d.Name] = true
	}
}

// The provider is told by the providerIDs of the nodes.
func TestDetection(t *testing.T) {
	for id, want := range map[string]string{
		"cn-beijing.i-1": "aliyun", "alicloud://cn-beijing.i-1": "aliyun", "aws:///eu-west-1a/i-0a": "generic", "gce://p/z/n": "generic",
		"azure:///subscriptions/s": "generic", "kind://docker/kind/n1": "generic", "": "generic",
	} {
		w := snapshot.NewWriter(snapshot.Meta{})
		require.NoError(t, w.Add("cluster/nodes.yaml", []byte("items: [{metadata: {name: n1}, spec: {providerID: '"+id+"'}}]")))
		s, err := w.Snapshot()
		require.NoError(t, err)
		d, saw := analyze.DetectProvider(s, All())
		require.Equal(t, want, d.Name, id)
		require.NotEmpty(t, saw)
	}
}
