package rawimport

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// TestPlainIsJSON asks ip and bridge twice about a namespace of this machine,
// with and without -j: both must read alike.
func TestPlainIsJSON(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs Linux and root, to make a network namespace")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip")
	}
	const space = "pathsnap-plain"
	run := func(command string) string {
		words := strings.Fields(command)
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		require.NoError(t, err, "%s: %s", command, out)
		return string(out)
	}
	run("ip netns add " + space)
	t.Cleanup(func() { run("ip netns del " + space) })
	for line := range strings.Lines(`link set lo up
link add v0 type veth peer name v1
link add br0 type bridge
link set v1 master br0
addr add 10.0.0.1/24 dev v0
addr add 10.0.0.7 peer 10.0.0.8/32 dev v0
addr add 2001:db8::1/64 dev v0 nodad
link set v0 up
link set v1 up
link set br0 up
link add vx0 type vxlan id 7 local 10.0.0.1 dstport 8472 nolearning
route add default via 10.0.0.9 dev v0 metric 5
route add 10.3.0.0/16 nexthop via 10.0.0.5 dev v0 weight 2 nexthop via 10.0.0.6 dev v0 weight 1
route add unreachable 10.5.0.0/16
route add 10.6.0.0/16 via 10.0.0.9 src 10.0.0.1 mtu 1400 table 100
route add 10.7.0.0/16 via 192.0.2.1 dev v0 onlink
-6 route add 2001:db8:1::/48 via 2001:db8::9
rule add fwmark 0x7/0xff iif v0 lookup 100
rule add not from 10.0.0.0/8 to 10.9.0.0/16 tos 0x10 ipproto tcp dport 80-90 unreachable
rule add priority 50 lookup main suppress_prefixlength 0
neigh add 10.0.0.9 dev v0 lladdr 02:00:00:00:00:09
`) {
		run("ip -n " + space + " " + strings.TrimSpace(line))
	}
	for i, c := range []struct {
		plain string
		parse func([]byte) (any, []bad, error)
	}{
		{"ip -n " + space + " -d addr", func(b []byte) (any, []bad, error) { l, bads, err := parseLinks(b); return resolveOf(l), bads, err }},
		{"ip -n " + space + " -4 route show table all", func(b []byte) (any, []bad, error) { l, bads, err := parseRoutes(b, 4); return lineless(l), bads, err }},
		{"ip -n " + space + " route show table all", func(b []byte) (any, []bad, error) { l, bads, err := parseRoutes(b, 4); return lineless(l), bads, err }},
		{"ip -n " + space + " -6 route show table all", func(b []byte) (any, []bad, error) { l, bads, err := parseRoutes(b, 6); return lineless(l), bads, err }},
		{"ip -n " + space + " rule", func(b []byte) (any, []bad, error) {
			l, bads, err := parseRules(b, 4)
			for i := range l {
				l[i].Line = 0
			}
			return l, bads, err
		}},
		{"ip -n " + space + " neigh", func(b []byte) (any, []bad, error) {
			l, bads, err := parseNeighbours(b)
			for i := range l {
				l[i].Line = 0
			}
			return l, bads, err
		}},
		{"bridge -n " + space + " -d fdb", func(b []byte) (any, []bad, error) {
			l, bads, err := parseFDB(b)
			for i := range l {
				l[i].Line = 0
				if len(l[i].Flags) == 0 {
					l[i].Flags = nil
				}
			}
			return l, bads, err
		}},
	} {
		asJSON := strings.Replace(c.plain, " -n", " -j -n", 1)
		before, plain, after := run(asJSON), run(c.plain), run(asJSON)
		for before != after { // the kernel is still busy with what was made
			before, plain, after = run(asJSON), run(c.plain), run(asJSON)
		}
		want, bads, err := c.parse([]byte(before))
		require.NoError(t, err, i)
		require.Empty(t, bads, i)
		got, bads, err := c.parse([]byte(plain))
		require.NoError(t, err, i)
		require.Empty(t, bads, i)
		require.Equal(t, want, got, c.plain)
	}
}

func lineless(l []nodedump.Route) []nodedump.Route {
	for i := range l {
		l[i].Line = 0
	}
	return l
}

func resolveOf(l []parsedLink) []nodedump.Interface {
	out := resolveLinks(l, nil)
	for i := range out {
		out[i].Line = 0
	}
	return out
}

// FuzzPlain feeds what is no output of ip to the readers of its plain forms.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"default via 10.0.0.1 dev eth0\n\tnexthop via 10.0.0.2 weight 1\n", "0:\tfrom all lookup local\n",
		"1: lo: <UP> mtu 1\n    link/ether 02:00:00:00:00:01\n    inet 10.0.0.1/24 scope global lo\n    vxlan id 1\n", "10.0.0.1 dev x lladdr 02:00:00:00:00:01 STALE\n", "02:00:00:00:00:01 dev x self\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _, _ = parseLinks(data)
		_, _, _ = parseRoutes(data, 4)
		_, _, _ = parseRules(data, 6)
		_, _, _ = parseNeighbours(data)
		_, _, _ = parseFDB(data)
	})
}
