package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTraceKernel saves a live namespace with the node's own tools, traces
// packets through the files, and compares the routes with what the kernel
// answers to "ip route get".
func TestTraceKernel(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs Linux and root, to make a network namespace")
	}
	for _, name := range []string{"ip", "iptables-save", "sysctl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip("needs " + name)
		}
	}
	const space = "pathsnap-trace"
	tool := func(args ...string) (string, error) {
		out, err := exec.Command(args[0], args[1:]...).Output()
		return string(out), err
	}
	must := func(line string) string {
		out, err := tool(strings.Fields(line)...)
		require.NoError(t, err, line)
		return out
	}
	must("ip netns add " + space)
	t.Cleanup(func() { must("ip netns del " + space) })
	for line := range strings.Lines(`link set lo up
link add v0 type veth peer name v1
link add v2 type veth peer name v3
addr add 10.0.0.1/24 dev v0
addr add 10.1.0.1/24 dev v2
link set v0 up
link set v1 up
link set v2 up
link set v3 up
route add default via 10.0.0.9
route add 10.3.0.0/16 via 10.1.0.9 src 10.0.0.1
route add 10.3.7.0/24 dev v0
route add unreachable 10.4.0.0/16
route add prohibit 10.5.0.0/16
route add default via 10.1.0.8 table 100
route add throw 10.6.0.0/16 table 100
rule add fwmark 0x7 lookup 100
rule add to 10.8.0.0/16 lookup 100
rule add iif v0 to 10.9.0.0/16 blackhole
`) {
		must("ip -n " + space + " " + strings.TrimSpace(line))
	}
	in := "ip netns exec " + space + " "
	must(in + "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.v0.rp_filter=0")
	dir, args := t.TempDir(), []string{"trace"}
	for flag, command := range map[string]string{"ip-addr": "ip -d addr", "ip-route4": "ip -j route show table all", "ip-rule4": "ip rule", "sysctl": "sysctl -a",
		"iptables-save": "iptables-save", "ip-neigh": "ip neigh"} {
		file := filepath.Join(dir, flag)
		out, _ := tool(strings.Fields(in + command)...) // sysctl -a fails where a key cannot be read
		require.NoError(t, os.WriteFile(file, []byte(out), 0o600))
		args = append(args, "--"+flag, file)
	}
	packets := []struct{ dst, mark, iif string }{
		{"10.0.0.5", "", ""}, {"192.0.2.1", "", ""}, {"192.0.2.1", "7", ""}, {"10.3.1.1", "", ""}, {"10.3.7.7", "", ""}, {"10.8.0.1", "", ""}, {"10.6.0.1", "7", ""},
		{"10.1.0.1", "", ""}, {"10.4.0.1", "", ""}, {"10.5.0.1", "", ""},
		{"10.3.1.1", "", "v0"}, {"10.1.0.77", "", "v0"}, {"192.0.2.1", "7", "v0"}, {"10.8.0.1", "", "v0"}, {"10.0.0.1", "", "v0"},
	}
	for _, p := range packets {
		source, get := "", "ip -n "+space+" -j route get "+p.dst
		ask := append([]string{}, args...)
		if p.iif != "" {
			source, get = "10.0.0.77 ", get+" from 10.0.0.77 iif "+p.iif
			ask = append(ask, "--in", p.iif)
		}
		if p.mark != "" {
			get += " mark " + p.mark
			ask = append(ask, "--mark", p.mark)
		}
		ask = append(ask, "--format", "json", "--packet", "udp "+source+"> "+p.dst+":53")
		var out, stderr bytes.Buffer
		code := run(context.Background(), ask, streams{nil, &out, &stderr})
		var got struct {
			Outcomes []struct {
				Route struct{ Result, Dev, Gateway, Src string }
			}
		}
		require.NoError(t, json.Unmarshal(out.Bytes(), &got), stderr.String())
		require.Len(t, got.Outcomes, 1, get)
		r := got.Outcomes[0].Route
		text, err := tool(strings.Fields(get)...)
		if err != nil {
			require.Contains(t, []string{"unreachable", "prohibit", "noroute"}, r.Result, get)
			require.Equal(t, 3, code, get)
			continue
		}
		var want []struct {
			Type, Dev, Gateway string
			Src                string `json:"prefsrc"`
		}
		require.NoError(t, json.Unmarshal([]byte(text), &want), text)
		result := map[string]string{"": "ok", "local": "local"}[want[0].Type]
		require.Equal(t, result, r.Result, get)
		require.Equal(t, want[0].Gateway, r.Gateway, get)
		require.Equal(t, want[0].Dev, r.Dev, get)
		if p.iif == "" {
			require.Equal(t, want[0].Src, r.Src, get)
		}
		require.Zero(t, code, get)
	}
}
