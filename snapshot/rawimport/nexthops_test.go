package rawimport

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Routes that name only a next hop object get its ways.
func TestNextHopObjects(t *testing.T) {
	files := map[string]string{
		"ip-route4.json": `[{"dst":"10.1.0.0/16","nhid":1,"flags":[]},
{"dst":"10.2.0.0/16","nhid":3,"flags":[]},
{"dst":"10.3.0.0/16","nhid":4,"flags":[]},
{"dst":"10.4.0.0/16","nhid":9,"flags":[]},
{"dst":"10.5.0.0/16","nhid":1,"gateway":"10.0.0.8","dev":"eth8","flags":[]}]`,
		"ip-nexthop.json": `[{"id":1,"gateway":"10.0.0.9","dev":"eth0","scope":"link","flags":["onlink"]},
{"id":2,"dev":"eth1","scope":"link","flags":[]},
{"id":3,"group":[{"id":1},{"id":2,"weight":3}],"flags":[]},
{"id":4,"blackhole":null,"flags":[]}]`,
	}
	n := ReadNetNS("host", func(name string) ([]byte, error) {
		if text, ok := files[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}, func(name string) string { return name })
	got := map[string]nodedump.Route{}
	for _, r := range n.Info.Routes {
		got[r.Dst] = r
	}
	require.Equal(t, "eth0 10.0.0.9", got["10.1.0.0/16"].Dev+" "+got["10.1.0.0/16"].Via)
	require.Equal(t, []string{"onlink"}, got["10.1.0.0/16"].Flags)
	require.Equal(t, []nodedump.NextHop{{Dev: "eth0", Via: "10.0.0.9", Weight: 1, Flags: []string{"onlink"}}, {Dev: "eth1", Weight: 3}}, got["10.2.0.0/16"].NextHops)
	require.Equal(t, "blackhole", got["10.3.0.0/16"].Type)
	require.Empty(t, got["10.4.0.0/16"].Dev)
	require.Contains(t, n.Notes[0], "10.4.0.0/16: there is no next hop 9")
	require.Equal(t, "eth8", got["10.5.0.0/16"].Dev)
}
