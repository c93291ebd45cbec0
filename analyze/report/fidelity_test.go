package report

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func someFidelity() []NodeFidelity {
	many := netstack.Fidelity{
		Tallies: []netstack.Tally{
			{What: "iptables", Status: nodedump.StatusOK, Read: 200, NotUnderstood: 23}, {What: "nftables", Status: nodedump.StatusToolMissing, Reason: "no nft"},
			{What: "ipset", Status: nodedump.StatusEmpty}, {What: "routes", Status: nodedump.StatusTruncated, Reason: "routes6: denied", Read: 7},
		},
		Programs: []nodedump.Program{{Hook: "xdp", Dev: "eth0", Kind: "bpf", Name: "guard", Line: 8}},
	}
	for i := range 23 {
		many.NotUnderstood = append(many.NotUnderstood, model.Doubt{What: "not understood: match frob\x1b[31m", Evidence: fmt.Sprintf("nodes/n1/netns/host/iptables-save.txt:%d", i+9)})
	}
	at := func(line int) string { return fmt.Sprintf("nodes/n1/netns/host/netns.json:%d", line) }
	return []NodeFidelity{
		{Name: "n1", Namespaces: []NetnsFidelity{{Netns: "host", Fidelity: many, At: at}, {Netns: "demo_a", Error: "nodes/n1/netns/demo_a/netns.json: checksum mismatch"}}},
		{Name: "client", External: true, Error: "external/client/node.json: not collected", Namespaces: []NetnsFidelity{{Netns: "host"}}},
	}
}

func TestFidelityGolden(t *testing.T) {
	for name, write := range map[string]func(io.Writer, []NodeFidelity, bool) error{"text": WriteFidelity, "json": WriteFidelityJSON} {
		for _, all := range []bool{false, true} {
			var b bytes.Buffer
			require.NoError(t, write(&b, someFidelity(), all))
			file := filepath.Join("testdata", "fidelity."+name)
			if all {
				file = filepath.Join("testdata", "fidelity-all."+name)
			}
			if *update {
				require.NoError(t, os.WriteFile(file, b.Bytes(), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), b.String())
		}
	}
}
