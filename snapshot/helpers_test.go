package snapshot_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// An entry is one entry of an archive, by default a file.
type entry struct {
	name string
	data string
	flag byte
	link string
	size int64 // instead of the length of data
}

// tarOf makes a tar archive of entries, without its end.
func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.data)), Typeflag: e.flag, Linkname: e.link}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if e.size > 0 {
			h.Size = e.size
		}
		require.NoError(t, w.WriteHeader(h))
		if e.size > 0 {
			b.WriteString(e.data)
			return b.Bytes()
		}
		_, err := w.Write([]byte(e.data))
		require.NoError(t, err)
	}
	require.NoError(t, w.Flush())
	return b.Bytes()
}

// end is the end mark of a tar archive.
var end = make([]byte, 1024)

func archive(t testing.TB, entries ...entry) []byte { return append(tarOf(t, entries...), end...) }

func zst(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(data, nil)
}

// manifest makes a manifest of the parts, whose sha256 is right.
func manifest(parts ...entry) entry {
	text := "version: 1\nparts:\n"
	for _, p := range parts {
		text += fmt.Sprintf("- {name: %q, status: ok, sha256: %x, size: %d}\n", p.name, sha256.Sum256([]byte(p.data)), len(p.data))
	}
	return entry{name: "manifest.yaml", data: text}
}

// lines makes a manifest that lists parts in the words of the test.
func lines(parts ...string) entry {
	text := "version: 1\nparts:\n"
	for _, p := range parts {
		text += "- " + p + "\n"
	}
	return entry{name: "manifest.yaml", data: text}
}

func ptr[T any](v T) *T { return &v }

// richNetNS is a namespace that has something of everything.
func richNetNS(key string) *nodedump.NetNSInfo {
	ok := func(text string) nodedump.Part { return nodedump.Part{Status: nodedump.StatusOK, Data: []byte(text)} }
	return &nodedump.NetNSInfo{
		Key: key,
		Interfaces: []nodedump.Interface{
			{Name: "lo", Index: 1, Kind: "loopback", MTU: 65536, Flags: []string{"LOOPBACK", "UP"}, Addrs: []nodedump.Addr{{Prefix: "127.0.0.1/8", Scope: "host"}}},
			{Name: "veth0", Index: 2, Kind: "veth", Link: 3, LinkNSID: ptr(0), Port: &nodedump.Port{State: "forwarding", Hairpin: true}},
		},
		Routes:     []nodedump.Route{{Family: 4, Table: 254, Dst: "0.0.0.0/0", Dev: "veth0", Via: "10.0.0.1"}, {Family: 6, Table: 254, Dst: "::/0", Type: "unreachable"}},
		Rules:      []nodedump.Rule{{Family: 4, Priority: 0, Table: 255}, {Family: 4, Priority: 5, Mark: 1, Mask: 0xff, Action: "goto", Goto: 9, SuppressPrefixLen: ptr(0)}},
		Neighbours: []nodedump.Neighbour{{IP: "10.0.0.1", Dev: "veth0", MAC: "02:00:00:00:00:01", State: "REACHABLE"}},
		FDB:        []nodedump.FDBEntry{{MAC: "02:00:00:00:00:02", Dev: "vxlan0", Dst: "192.0.2.1", Flags: []string{"self"}}},
		Sockets:    []nodedump.Socket{{Protocol: "tcp", Local: "0.0.0.0:80", Process: "<web> & co"}},
		Programs:   []nodedump.Program{{Hook: "tc-ingress", Dev: "veth0", Kind: "bpf", ID: 7}},
		Sysctls:    map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "2"},
		Sections:   map[string]nodedump.Status{"sockets": nodedump.StatusTruncated},
		Reasons:    map[string]string{"sockets": "the first 1 of 2"},
		IPTables:   ok("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"),
		IP6Tables:  nodedump.Part{Status: nodedump.StatusEmpty},
		NFT:        nodedump.Part{Status: nodedump.StatusToolMissing, Reason: "nft: not found"},
		Conntrack:  nodedump.Part{Status: nodedump.StatusTruncated, Reason: "the first 1 of 9", Data: []byte("{\n\"count\": 9,\n\"max\": 10,\n\"entries\": []\n}\n")},
	}
}

// richWriter has a cluster, a node and an external host. order turns around
// the order they are added in.
func richWriter(t testing.TB, backwards bool) *snapshot.Writer {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{Tool: "test 1", Created: "2026-01-02T03:04:05Z", Kubernetes: "v1.34.0"})
	pod := func(namespace, name string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}}},
			Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "c", Command: []string{"secret"}}}},
			Status:     corev1.PodStatus{PodIP: "10.244.1.5", Message: "two\n\nlines \n"},
		}
	}
	steps := []func() error{
		func() error { return w.AddList("pods", pod("b", "x"), pod("a", "z"), pod("a", "y")) },
		func() error { return w.AddList("services") },
		func() error { return w.Missing("cluster/nodes.yaml", nodedump.StatusDenied, "nodes is forbidden") },
		func() error {
			return w.AddNode(&nodedump.NodeNetworkStackDump{Name: "n1", Kernel: "6.1", Netns: []string{"host", "a_y"}, Pods: []nodedump.PodNetInfo{{Namespace: "a", Name: "y", Netns: "a_y"}}})
		},
		func() error { return w.AddNetNS("nodes/n1", richNetNS("host")) },
		func() error { return w.AddNetNS("nodes/n1", &nodedump.NetNSInfo{Key: "a_y"}) },
		func() error { return w.Add("nodes/n1/files/run/flannel/subnet.env", []byte("FLANNEL_MTU=1450\n")) },
		func() error {
			return w.AddNode(&nodedump.NodeNetworkStackDump{Name: "gw", External: true, Netns: []string{"host"}})
		},
		func() error { return w.AddNetNS("external/gw", richNetNS("host")) },
	}
	for i := range steps {
		if backwards {
			i = len(steps) - 1 - i
		}
		require.NoError(t, steps[i]())
	}
	return w
}

func pack(t testing.TB, w *snapshot.Writer) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, w.WriteArchive(&b))
	return b.Bytes()
}
