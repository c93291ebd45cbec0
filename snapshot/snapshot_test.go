package snapshot_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// stripped is a namespace without what a reader adds.
func stripped(n *nodedump.NetNSInfo) *nodedump.NetNSInfo {
	out := *n
	out.SysctlLines, out.File = nil, ""
	for i := range out.Interfaces {
		out.Interfaces[i].Line = 0
	}
	for i := range out.Routes {
		out.Routes[i].Line = 0
	}
	for i := range out.Rules {
		out.Rules[i].Line = 0
	}
	out.Neighbours[0].Line, out.FDB[0].Line, out.Sockets[0].Line, out.Programs[0].Line = 0, 0, 0, 0
	return &out
}

func TestRoundTrip(t *testing.T) {
	w := richWriter(t, false)
	dir := filepath.Join(t.TempDir(), "bundle")
	require.NoError(t, w.WriteDir(dir))
	file := dir + ".tar.zst"
	require.NoError(t, os.WriteFile(file, pack(t, w), 0o600))

	inMemory, err := w.Snapshot()
	require.NoError(t, err)
	fromDir, err := snapshot.OpenFile(dir)
	require.NoError(t, err)
	fromArchive, err := snapshot.OpenFile(file)
	require.NoError(t, err)
	fromFS, err := snapshot.Open(os.DirFS(dir))
	require.NoError(t, err)
	for name, s := range map[string]*snapshot.Snapshot{"memory": inMemory, "dir": fromDir, "archive": fromArchive, "fs": fromFS} {
		t.Run(name, func(t *testing.T) { checkRich(t, s) })
	}
	require.Equal(t, dir, fromDir.Name())
	require.NoError(t, fstest.TestFS(fromArchive.FS(), "manifest.yaml", "nodes/n1/netns/host/netns.json"))
}

func checkRich(t *testing.T, s *snapshot.Snapshot) {
	require.Empty(t, snapshot.Verify(s))
	m := s.Manifest()
	require.Equal(t, [3]string{"test 1", "2026-01-02T03:04:05Z", "v1.34.0"}, [3]string{m.Tool, m.Created, m.Kubernetes})
	require.Equal(t, []string{"n1"}, s.NodeNames())
	require.Equal(t, []string{"gw"}, s.ExternalNames())
	require.Equal(t, []string{"nodes/n1/files/run/flannel/subnet.env"}, s.Files("n1"))

	n, err := s.Node("n1")
	require.NoError(t, err)
	require.Equal(t, "6.1", n.Kernel)
	gw, err := s.External("gw")
	require.NoError(t, err)
	require.True(t, gw.External)

	pods, err := s.Pods()
	require.NoError(t, err)
	require.Len(t, pods, 3)
	require.Equal(t, "Pod", pods[0].Kind)
	require.Equal(t, []string{"a/y", "a/z", "b/x"}, []string{pods[0].Namespace + "/" + pods[0].Name, pods[1].Namespace + "/" + pods[1].Name, pods[2].Namespace + "/" + pods[2].Name})
	require.Equal(t, "two\n\nlines \n", pods[0].Status.Message)
	require.Empty(t, pods[0].Spec.Containers[0].Command)
	require.Nil(t, pods[0].ManagedFields)
	services, err := s.Services()
	require.NoError(t, err)
	require.Empty(t, services)
	_, err = s.Nodes()
	require.ErrorIs(t, err, snapshot.ErrNotCollected)
	require.EqualError(t, err, "cluster/nodes.yaml: not collected: denied: nodes is forbidden")
	_, err = s.NetworkPolicies()
	require.EqualError(t, err, "cluster/networkpolicies.yaml: not collected")

	want := richNetNS("host")
	for _, p := range []struct {
		part *nodedump.Part
		file string
	}{
		{&want.IPTables, "iptables-save.txt"}, {&want.IPTablesLegacy, "iptables-legacy-save.txt"}, {&want.IP6Tables, "ip6tables-save.txt"},
		{&want.IP6TablesLegacy, "ip6tables-legacy-save.txt"}, {&want.NFT, "nft.json"}, {&want.IPSet, "ipset-save.txt"},
		{&want.IPVS, "ipvs.json"}, {&want.Conntrack, "conntrack.json"},
	} {
		p.part.File = "nodes/n1/netns/host/" + p.file
		if p.part.Status == "" {
			p.part.Status = nodedump.StatusNotCollected
		}
	}
	got, err := s.NetNS("n1", "host")
	require.NoError(t, err)
	require.Equal(t, "nodes/n1/netns/host/netns.json", got.File)
	checkLines(t, s, got)
	require.Equal(t, want, stripped(got))
	_, err = s.ExternalNetNS("gw", "host")
	require.NoError(t, err)
	_, err = s.NetNS("n1", "gone_pod")
	require.ErrorIs(t, err, snapshot.ErrNotCollected)
}

// checkLines looks at each Line whether it is the line of that entry.
func checkLines(t *testing.T, s *snapshot.Snapshot, n *nodedump.NetNSInfo) {
	data, err := fs.ReadFile(s.FS(), n.File)
	require.NoError(t, err)
	text := strings.Split("\n"+string(data), "\n")
	require.Contains(t, text[n.Interfaces[0].Line], `{"name":"lo"`)
	require.Contains(t, text[n.Interfaces[1].Line], `{"name":"veth0"`)
	require.Contains(t, text[n.Routes[1].Line], `{"family":6`)
	require.Contains(t, text[n.Rules[1].Line], `"goto":9`)
	require.Contains(t, text[n.Neighbours[0].Line], "REACHABLE")
	require.Contains(t, text[n.FDB[0].Line], "192.0.2.1")
	require.Contains(t, text[n.Sockets[0].Line], `<web> & co`)
	require.Contains(t, text[n.Programs[0].Line], "tc-ingress")
	for key, line := range n.SysctlLines {
		require.Contains(t, text[line], `"`+key+`": "`)
	}
	require.Len(t, n.SysctlLines, len(n.Sysctls))
}

func TestEqualContentGivesEqualBytes(t *testing.T) {
	require.True(t, bytes.Equal(pack(t, richWriter(t, false)), pack(t, richWriter(t, true))))
}

func TestTarLists(t *testing.T) {
	tar, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("no tar")
	}
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip("no zstd")
	}
	file := filepath.Join(t.TempDir(), "b.tar.zst")
	require.NoError(t, os.WriteFile(file, pack(t, richWriter(t, false)), 0o600))
	out, err := exec.Command(tar, "--zstd", "-tf", file).Output()
	require.NoError(t, err)
	names := strings.Fields(string(out))
	require.IsIncreasing(t, names)
	require.Contains(t, names, "manifest.yaml")
}

func TestPart(t *testing.T) {
	s, err := richWriter(t, false).Snapshot()
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		status nodedump.Status
		size   int
		reason string
	}{
		{"cluster/services.yaml", nodedump.StatusEmpty, 0, ""},
		{"cluster/nodes.yaml", nodedump.StatusDenied, 0, "nodes is forbidden"},
		{"cluster/other.yaml", nodedump.StatusNotCollected, 0, ""},
		{"nodes/n1/files/run/flannel/subnet.env", nodedump.StatusOK, 17, ""},
		{"nodes/n1/netns/host/conntrack.json", nodedump.StatusTruncated, 41, "the first 1 of 9"},
		{"manifest.yaml", nodedump.StatusNotCollected, 0, ""},
	} {
		p := s.Part(c.name)
		require.Equal(t, nodedump.Part{File: c.name, Status: c.status, Reason: c.reason, Data: p.Data}, p)
		require.Len(t, p.Data, c.size, c.name)
	}
}

func TestFormIsThatOfTheSpecification(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{Tool: "t", Created: "2026-01-02T03:04:05Z"})
	require.NoError(t, w.AddNetNS("nodes/n", &nodedump.NetNSInfo{
		Key:     "host",
		Routes:  []nodedump.Route{{Family: 4, Table: 254, Dst: "0.0.0.0/0"}, {Family: 4, Table: 254, Dst: "10.0.0.0/8"}},
		Sysctls: map[string]string{"net.b": "2", "net.a": "1"},
	}))
	s, err := w.Snapshot()
	require.NoError(t, err)
	data, err := s.Read("nodes/n/netns/host/netns.json")
	require.NoError(t, err)
	want := `{
"key": "host",
"interfaces": [],
"routes": [
{"family":4,"table":254,"dst":"0.0.0.0/0"},
{"family":4,"table":254,"dst":"10.0.0.0/8"}
],
"rules": [],
"neighbours": [],
"fdb": [],
"sockets": [],
"programs": [],
"sysctls": {
"net.a": "1",
"net.b": "2"
},
"sections": {},
"reasons": {}
}
`
	require.Equal(t, want, string(data))
}

func TestWriterRefuses(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("a/b", []byte("x")))
	for _, c := range []struct {
		err  error
		want string
	}{
		{w.Add("a/b", []byte("y")), "conflicting parts: part a/b was added twice"},
		{w.Add("../b", []byte("y")), `unsafe entry: "../b": the name has ".."`},
		{w.Add("manifest.yaml", []byte("y")), "not a bundle: the manifest lists itself"},
		{w.Missing("c", "lost", ""), `not a bundle: part c: unknown status "lost"`},
		{w.Missing("c", nodedump.StatusOK, ""), "not a bundle: part c: status ok without a sha256"},
		{w.AddList("things", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}), "cluster/things.yaml: /p has no kind"},
		{w.AddList("secrets", &corev1.Secret{TypeMeta: metav1.TypeMeta{Kind: "Secret"}}), "cluster/secrets.yaml: a Secret has no place in a bundle"},
	} {
		require.EqualError(t, c.err, c.want)
	}
	require.NoError(t, w.Missing("d", nodedump.StatusNotCollected, ""))
	require.False(t, w.Has("d"))
	require.NoError(t, w.Add("a/b/c", []byte("x")))
	require.EqualError(t, w.WriteArchive(&bytes.Buffer{}), "unsafe entry: a/b: both a file and a directory")
	w.Remove("a/b/c")
	require.EqualError(t, w.WriteDir("testdata/.."), "testdata/..: the directory is not empty")
}

func TestManifestForms(t *testing.T) {
	part := `{"name":"a","status":"failed","reason":"x"}`
	for _, text := range []string{
		"version: 1\nparts:\n- " + part + "\n",
		"parts:\n- " + part + "\nversion: 1\n",
		"version: 1\nparts:\n  - name: a\n    status: failed\n    reason: x\n",
		"version: 1\nparts: [" + part + "]\n",
		`{"version": 1, "parts": [` + part + `]}`,
		"version: 1\nparts:\n- " + part + "\nnewer: field\n",
	} {
		s, err := snapshot.Open(fstest.MapFS{"manifest.yaml": {Data: []byte(text)}})
		require.NoError(t, err, text)
		require.Equal(t, []snapshot.PartInfo{{Name: "a", Status: nodedump.StatusFailed, Reason: "x"}}, s.Manifest().Parts)
	}
}

func TestNodeNames(t *testing.T) {
	w := snapshot.NewWriter(snapshot.Meta{})
	for _, name := range []string{"nodes/a/node.json", "nodes/a-b/node.json", "nodes/a/netns/host/netns.json", "nodes/b/node.json", "nodes/stray"} {
		require.NoError(t, w.Add(name, []byte("{}")))
	}
	s, err := w.Snapshot()
	require.NoError(t, err)
	require.Equal(t, []string{"a", "a-b", "b"}, s.NodeNames())
	require.Empty(t, s.ExternalNames())
}

func TestExtract(t *testing.T) {
	data := pack(t, richWriter(t, false))
	s, err := snapshot.OpenArchive(bytes.NewReader(data), snapshot.DefaultLimits())
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "new", "dir")
	require.NoError(t, snapshot.Extract(s, dir))
	require.ErrorContains(t, snapshot.Extract(s, dir), "the directory is not empty")
	again, err := snapshot.OpenFile(dir)
	require.NoError(t, err)
	checkRich(t, again)
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, snapshot.Merge(w, again))
	require.Empty(t, snapshot.Verify(again))
}

func TestInfo(t *testing.T) {
	s, err := richWriter(t, false).Snapshot()
	require.NoError(t, err)
	i := snapshot.Info(s)
	require.Equal(t, []string{"n1"}, []string{i.Nodes[0].Name})
	require.Equal(t, [3]int{1, 2, 8}, [3]int{i.Nodes[0].Pods, i.Nodes[0].Netns, i.Nodes[0].Parts})
	require.Equal(t, "gw", i.Externals[0].Name)
	require.Len(t, i.Cluster, 3)
	var statuses []string
	count := 0
	for _, st := range i.Statuses {
		statuses = append(statuses, string(st.Status))
		count += st.Count
	}
	require.Equal(t, []string{"ok", "empty", "truncated", "tool-missing", "denied"}, statuses)
	require.Equal(t, i.Parts, count)
	require.Equal(t, "nft: not found", i.Statuses[3].Parts[0].Reason)
}
