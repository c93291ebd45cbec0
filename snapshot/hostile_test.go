package snapshot_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// testLimits are small enough to reach.
var testLimits = snapshot.Limits{TotalSize: 4000, FileSize: 3000, Files: 8, Ratio: 1000}

// A hostile is an archive that OpenArchive refuses.
type hostile struct {
	what string
	data []byte
	is   error
	want string
}

func hostiles(t testing.TB) []hostile {
	one := entry{name: "a", data: "text"}
	m := manifest(one)
	whole := archive(t, m, one)
	name := func(n string) []byte { return archive(t, m, entry{name: n, data: "x"}) }
	link := func(flag byte) []byte { return archive(t, m, entry{name: "a", flag: flag, link: "/etc/passwd"}) }
	listed := func(parts ...string) []byte { return archive(t, lines(parts...)) }
	sha := strings.Repeat("a", 64)
	quotas := []hostile{
		{"more files than the quota", archive(t, append([]entry{m}, nine...)...), snapshot.ErrQuota, `quota exceeded: files: "f7" is entry 9, the limit is 8`},
		{"a file larger than the quota", archive(t, m, entry{name: "a", data: strings.Repeat("x", 3001)}), snapshot.ErrQuota, `quota exceeded: file size: "a" has 3001 bytes, the limit is 3000`},
		{"a header that claims 1 TB", tarOf(t, m, entry{name: "a", data: "x", size: 1 << 40}), snapshot.ErrQuota, `quota exceeded: file size: "a" has 1099511627776 bytes, the limit is 3000`},
		{"files together larger than the quota", archive(t, m, entry{name: "a", data: strings.Repeat("x", 2000)}, entry{name: "b", data: strings.Repeat("y", 2000)}), snapshot.ErrQuota, fmt.Sprintf(`quota exceeded: total size: "b" brings it to %d bytes, the limit is 4000`, 4000+len(m.data))},
		{"a zip bomb behind the end mark", zst(t, append(bytes.Clone(whole), make([]byte, 200<<10)...)), snapshot.ErrQuota, "quota exceeded: total size: the archive unpacks to more than 4000 bytes"},
		{"a zstd window of 1 GB", []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0, 0}, snapshot.ErrQuota, "quota exceeded: zstd window of more than 134217728 bytes"},
	}
	entries := []hostile{
		{"`..` in a name", name("../a"), snapshot.ErrUnsafe, `unsafe entry: "../a": the name has ".."`},
		{"`..` inside a name", name("nodes/../../a"), snapshot.ErrUnsafe, `unsafe entry: "nodes/../../a": the name has ".."`},
		{"an absolute name", name("/etc/passwd"), snapshot.ErrUnsafe, `unsafe entry: "/etc/passwd": the name is absolute`},
		{"a backslash", name(`nodes\..\a`), snapshot.ErrUnsafe, `unsafe entry: "nodes\\..\\a": the name has the byte '\\'`},
		{"a drive letter", name("C:/a"), snapshot.ErrUnsafe, `unsafe entry: "C:/a": the name has the byte ':'`},
		{"a control character", name("a\nb"), snapshot.ErrUnsafe, `unsafe entry: "a\nb": the name has the byte '\n'`},
		{"an empty element", name("a//b"), snapshot.ErrUnsafe, `unsafe entry: "a//b": the name has an empty element`},
		{"an option as a name", name("-rf"), snapshot.ErrUnsafe, `unsafe entry: "-rf": the name has an element that begins with "-"`},
		{"a very long name", name(strings.Repeat("a", 2000)), snapshot.ErrUnsafe, fmt.Sprintf(`unsafe entry: "%s"...: the name has 2000 bytes, not 1 to 1024`, strings.Repeat("a", 120))},
		{"a symbolic link", link(tar.TypeSymlink), snapshot.ErrUnsafe, `unsafe entry: "a": neither file nor directory but a symbolic link`},
		{"a hard link", link(tar.TypeLink), snapshot.ErrUnsafe, `unsafe entry: "a": neither file nor directory but a hard link`},
		{"a device", link(tar.TypeChar), snapshot.ErrUnsafe, `unsafe entry: "a": neither file nor directory but a device`},
		{"a fifo", link(tar.TypeFifo), snapshot.ErrUnsafe, `unsafe entry: "a": neither file nor directory but a fifo`},
		{"a name twice", archive(t, m, one, one), snapshot.ErrUnsafe, `unsafe entry: "a": the name occurs twice`},
		{"a name twice, once with `./`", archive(t, m, one, entry{name: "./a"}), snapshot.ErrUnsafe, `unsafe entry: "a": the name occurs twice`},
		{"a file below a file", archive(t, m, one, entry{name: "a/b"}), snapshot.ErrUnsafe, `unsafe entry: "a": both a file and a directory`},
		{"a file named like a directory", archive(t, m, entry{name: "a/b"}, one), snapshot.ErrUnsafe, `unsafe entry: "a": both a file and a directory`},
	}
	broken := []hostile{
		{"no bytes", nil, snapshot.ErrFormat, "not a bundle: the file is empty"},
		{"something else", []byte("PK\x03\x04 a zip file"), snapshot.ErrFormat, "not a bundle: neither zstd nor gzip nor tar"},
		{"zstd of something else", zst(t, []byte("hello")), snapshot.ErrTruncated, "truncated archive: unexpected EOF"},
		{"cut in the zstd stream", zst(t, whole)[:60], snapshot.ErrTruncated, "truncated archive: unexpected EOF"},
		{"a bit that changed", flipped(zst(t, whole)), snapshot.ErrDamaged, "damaged archive: CRC check failed"},
		{"cut in a header", whole[:len(whole)-1024-700], snapshot.ErrTruncated, "truncated archive: unexpected EOF"},
		{"cut in a file", tarOf(t, m, entry{name: "a", data: "te", size: 4}), snapshot.ErrTruncated, `truncated archive: it ends in "a"`},
		{"cut between two files", tarOf(t, m), snapshot.ErrTruncated, "truncated archive: it has no end mark"},
		{"data behind the end", append(bytes.Clone(whole), "x"...), snapshot.ErrFormat, "not a bundle: data behind the end of the archive"},
		{"no manifest", archive(t, one), snapshot.ErrFormat, "not a bundle: no manifest.yaml"},
		{"another format version", archive(t, entry{name: "manifest.yaml", data: "version: 2\nparts: {}\n"}), snapshot.ErrFormat, "not a bundle: manifest.yaml: format version 2, this reads version 1"},
		{"a part listed twice", listed("{name: a, status: empty}", "{name: a, status: denied}"), snapshot.ErrFormat, "not a bundle: manifest.yaml: part a is listed twice"},
		{"a part with an unsafe name", listed("{name: ../a, status: empty}"), snapshot.ErrUnsafe, `manifest.yaml: unsafe entry: "../a": the name has ".."`},
		{"an unknown status", listed("{name: a, status: fine}"), snapshot.ErrFormat, `manifest.yaml: not a bundle: part a: unknown status "fine"`},
		{"status ok without a sha256", listed("{name: a, status: ok}"), snapshot.ErrFormat, "manifest.yaml: not a bundle: part a: status ok without a sha256"},
		{"status empty with a sha256", listed("{name: a, status: empty, sha256: " + sha + "}"), snapshot.ErrFormat, "manifest.yaml: not a bundle: part a: status empty with a sha256"},
		{"a sha256 that is none", listed("{name: a, status: ok, sha256: XYZ}"), snapshot.ErrFormat, `manifest.yaml: not a bundle: part a: "XYZ" is no sha256`},
		{"a manifest that lists itself", listed("{name: manifest.yaml, status: empty}"), snapshot.ErrFormat, "manifest.yaml: not a bundle: the manifest lists itself"},
	}
	return append(append(entries, quotas...), broken...)
}

var nine = []entry{{name: "f0"}, {name: "f1"}, {name: "f2"}, {name: "f3"}, {name: "f4"}, {name: "f5"}, {name: "f6"}, {name: "f7"}, {name: "f8"}}

func TestHostileArchives(t *testing.T) {
	for _, h := range hostiles(t) {
		t.Run(h.what, func(t *testing.T) {
			_, err := snapshot.OpenArchive(bytes.NewReader(h.data), testLimits)
			require.EqualError(t, err, h.want)
			require.ErrorIs(t, err, h.is)
		})
	}
}

// TestSpecificationHasTheTable compares the table in the specification with
// the one above.
func TestSpecificationHasTheTable(t *testing.T) {
	spec, err := os.ReadFile("../docs/bundle-format.md")
	require.NoError(t, err)
	var table strings.Builder
	for _, h := range hostiles(t) {
		want := strings.ReplaceAll(h.want, strings.Repeat("a", 120), "aaaa")
		fmt.Fprintf(&table, "| %s | `%s` |\n", h.what, want)
	}
	for _, h := range damages() {
		fmt.Fprintf(&table, "| %s | `%s` |\n", h.what, h.want)
	}
	require.Contains(t, string(spec), table.String())
}

func TestMalformedManifest(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for i := range 12 {
		c := string(rune('a' + i))
		n := string(rune('b' + i))
		bomb += n + ": &" + n + " [*" + strings.Repeat(c+",*", 8) + c + "]\n"
	}
	for _, text := range []string{"", "\x00", "[]", "version: [", "version: one", "version: 1\nparts: 7", "version: 1\nparts:\n- [", bomb} {
		_, err := snapshot.Open(fstest.MapFS{"manifest.yaml": {Data: []byte(text)}})
		require.ErrorIs(t, err, snapshot.ErrFormat, text)
	}
	_, err := snapshot.Open(fstest.MapFS{})
	require.EqualError(t, err, "not a bundle: no manifest.yaml")
}

func TestRatio(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 65 MB")
	}
	big := archive(t, lines(), entry{name: "a", data: strings.Repeat("\x00", 70<<20)})
	for name, data := range map[string][]byte{"zstd": zst(t, big), "gzip": gz(t, big)} {
		_, err := snapshot.OpenArchive(bytes.NewReader(data), snapshot.Limits{Ratio: 100})
		require.ErrorIs(t, err, snapshot.ErrQuota, name)
		require.ErrorContains(t, err, "quota exceeded: ratio: ", name)
		require.ErrorContains(t, err, "the limit is 100 to 1", name)
	}
	_, err := snapshot.OpenArchive(bytes.NewReader(zst(t, big)), snapshot.Limits{})
	require.NoError(t, err)
}

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestOtherContainers(t *testing.T) {
	one := entry{name: "./dir/a", data: "text"}
	plain := archive(t, entry{name: "./", flag: tar.TypeDir}, entry{name: "./dir/", flag: tar.TypeDir}, one, manifest(entry{name: "dir/a", data: "text"}))
	for name, data := range map[string][]byte{"tar": plain, "gzip": gz(t, plain), "zstd": zst(t, plain)} {
		s, err := snapshot.OpenArchive(bytes.NewReader(data), testLimits)
		require.NoError(t, err, name)
		data, err := s.Read("dir/a")
		require.NoError(t, err, name)
		require.Equal(t, "text", string(data))
	}
}

// Every prefix of an archive is refused.
func TestEveryPrefix(t *testing.T) {
	plain := archive(t, manifest(entry{name: "a", data: "text"}), entry{name: "a", data: "text"})
	for name, data := range map[string][]byte{"tar": plain, "gzip": gz(t, plain), "zstd": zst(t, plain), "own": pack(t, richWriter(t, false))} {
		for n := range len(data) {
			_, err := snapshot.OpenArchive(bytes.NewReader(data[:n]), snapshot.DefaultLimits())
			if name == "tar" && n > len(data)-512 {
				continue // the second block of the end mark is cut
			}
			require.Error(t, err, "%s[:%d]", name, n)
		}
	}
}

// A damage is a bundle that opens but whose part "a" cannot be used.
type damage struct {
	what    string
	entries []entry
	want    string
}

func damages() []damage {
	good := entry{name: "a", data: "text"}
	sum := "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"
	return []damage{
		{"a part that is altered", []entry{manifest(good), {name: "a", data: "test"}}, "a: checksum mismatch: sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 of 4 bytes, the manifest says " + sum + " of 4"},
		{"a part that is missing", []entry{manifest(good)}, "a: checksum mismatch: the manifest lists it, the bundle does not have it"},
		{"a part that was not read", []entry{lines("{name: a, status: denied, reason: as nobody}"), good}, "a: not collected: denied: as nobody"},
		{"a file that the manifest does not list", []entry{lines(), good}, "a: not collected"},
	}
}

func TestDamagedParts(t *testing.T) {
	for _, d := range damages() {
		t.Run(d.what, func(t *testing.T) {
			s, err := snapshot.OpenArchive(bytes.NewReader(archive(t, d.entries...)), testLimits)
			require.NoError(t, err)
			_, err = s.Read("a")
			require.EqualError(t, err, d.want)
			p := s.Part("a")
			require.False(t, p.Status.Known())
			if p.Status == nodedump.StatusFailed {
				require.Equal(t, strings.TrimPrefix(d.want, "a: "), p.Reason)
				require.EqualError(t, snapshot.Extract(s, t.TempDir()), d.want)
				require.ErrorContains(t, snapshot.Merge(snapshot.NewWriter(snapshot.Meta{}), s), d.want)
			}
		})
	}
}

func TestHostileDirectories(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege")
	}
	dir := t.TempDir()
	_, err := snapshot.OpenFile(dir)
	require.EqualError(t, err, dir+": not a bundle: no manifest.yaml")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte("version: 1\nparts: []\n"), 0o600))
	_, err = snapshot.OpenFile(dir)
	require.NoError(t, err)
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "a")))
	_, err = snapshot.OpenFile(dir)
	require.EqualError(t, err, dir+`: unsafe entry: "a": neither file nor directory but a symbolic link`)
	require.NoError(t, os.Remove(filepath.Join(dir, "a")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b c"), nil, 0o600))
	_, err = snapshot.OpenFile(dir)
	require.EqualError(t, err, dir+`: unsafe entry: "b c": the name has the byte ' '`)
	require.NoError(t, os.Rename(filepath.Join(dir, "b c"), filepath.Join(dir, "bc")))
	_, err = snapshot.OpenFileLimits(dir, snapshot.Limits{FileSize: 5})
	require.EqualError(t, err, dir+`: quota exceeded: file size: "manifest.yaml" has 21 bytes, the limit is 5`)
	require.NoError(t, os.Rename(filepath.Join(dir, "manifest.yaml"), filepath.Join(dir, "m")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "manifest.yaml")))
	_, err = snapshot.OpenFile(dir)
	require.ErrorIs(t, err, snapshot.ErrUnsafe)
	_, err = snapshot.OpenFile(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestVerify(t *testing.T) {
	file := func(name, data string) entry { return entry{name: name, data: data} }
	for _, c := range []struct {
		entries []entry
		want    []string
	}{
		{[]entry{manifest(file("a", "x")), file("a", "x"), file("truth.yaml", "")}, []string{"note truth.yaml: not in the manifest, ignored"}},
		{[]entry{lines("{name: a, status: denied}"), file("a", "x")}, []string{"note a: has no sha256 in the manifest, ignored"}},
		{[]entry{manifest(file("a", "x"))}, []string{"a: checksum mismatch: the manifest lists it, the bundle does not have it"}},
		{[]entry{lines("{name: a, status: ok, size: 9, sha256: 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881}"), file("a", "x")}, []string{"a: checksum mismatch: 1 bytes, the manifest says 9"}},
		{both(file("n/nft.json", "{")), []string{"n/nft.json: no JSON"}},
		{both(file("nodes/n/files/x.json", "{")), nil},
		{both(file("n/netns.json", "{\n\"routes\": [\n{\"family\": \"four\"}]}")), []string{"n/netns.json: line 3: routes: json: cannot unmarshal string into Go struct field Route.family of type int"}},
		{both(file("n/netns.json", "{} {}")), []string{"n/netns.json: line 1: data behind the end"}},
		{both(file("n/netns.json", "[]")), []string{"n/netns.json: line 1: expected {"}},
		{both(file("n/netns.json", `{"routes": null, "sysctls": null, "new": [1]}`)), nil},
		{both(file("n/conntrack.json", `{"entries": {}}`)), []string{"n/conntrack.json: line 1: entries: expected ["}},
		{both(file("n/ipvs.json", `{"rules": [1]}`)), []string{"n/ipvs.json: line 1: rules: json: cannot unmarshal number into Go value of type string"}},
		{both(file("cluster/pods.yaml", "a: [")), []string{"cluster/pods.yaml: yaml: line 1: did not find expected node content"}},
		{both(file("nodes/a/node.json", `{"name": "b"}`)), []string{"nodes/a/node.json: it is about nodes/b"}},
		{both(file("nodes/a/node.json", `{"name": "a", "netns": ["host"]}`)), []string{`nodes/a/node.json: it names the network namespace "host", which the manifest does not list`}},
	} {
		s, err := snapshot.OpenArchive(bytes.NewReader(archive(t, c.entries...)), testLimits)
		require.NoError(t, err)
		var got []string
		for _, p := range snapshot.Verify(s) {
			note := ""
			if p.Note {
				note = "note "
			}
			got = append(got, note+p.Part+": "+p.Message)
		}
		require.Equal(t, c.want, got)
	}
}

// both is a bundle with one part.
func both(e entry) []entry { return []entry{manifest(e), e} }

func TestLongWindowIsRead(t *testing.T) {
	w, err := zstd.NewWriter(nil, zstd.WithWindowSize(128<<20), zstd.WithSingleSegment(false))
	require.NoError(t, err)
	data := w.EncodeAll(archive(t, lines()), nil)
	_, err = snapshot.OpenArchive(bytes.NewReader(data), snapshot.DefaultLimits())
	require.NoError(t, err)
}

// flipped returns text with the last bit changed, which is one of the checksum.
func flipped(text []byte) []byte {
	text = bytes.Clone(text)
	text[len(text)-1] ^= 1
	return text
}
