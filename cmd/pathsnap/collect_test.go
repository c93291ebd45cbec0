package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/collect/netns"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestWarnDenied(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("nodes/n1/node.json", []byte("{}\n")))
	var out bytes.Buffer
	require.NoError(t, warnDenied(&out, w))
	require.Empty(t, out.String())
	require.NoError(t, w.Missing("nodes/n1/netns/host/nft.json", nodedump.StatusDenied, "as nobody"))
	require.NoError(t, warnDenied(&out, w))
	require.Equal(t, "pathsnap: 1 of 2 parts could not be read: denied; pathsnap bundle info says which\n", out.String())
}

// TestProgress wants one line per part on a terminal, and none elsewhere.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	require.Nil(t, progress(&out))
	say := progressLines(&out)
	say(netns.Event{Part: "cluster/pods.yaml", Status: nodedump.StatusOK, Took: 1500 * time.Millisecond})
	say(netns.Event{Node: "n1", Netns: "host", Part: "nft.json", Status: nodedump.StatusDenied, Reason: "as\nnobody\x1b[31m"})
	require.Equal(t, ""+
		"cluster                          cluster/pods.yaml            ok (1.5s)\n"+
		"n1/host                          nft.json                     denied: as nobody\uFFFD[31m\n", out.String())
}
