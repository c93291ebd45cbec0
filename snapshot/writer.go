package snapshot

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Meta is what the manifest says about the bundle as a whole.
type Meta struct{ Tool, Created, Kubernetes string }

// A Writer collects the parts of a bundle. Equal parts give equal bytes,
// whatever the order they were added in. It is not safe for concurrent use.
type Writer struct {
	meta  Meta
	parts map[string]part
}

type part struct {
	info PartInfo
	data []byte
	from string // name of the bundle it was merged from
}

// NewWriter returns a Writer without parts.
func NewWriter(meta Meta) *Writer { return &Writer{meta: meta, parts: map[string]part{}} }

// Add adds a part. Its status is ok, or empty if there is no data. The Writer
// keeps data.
func (w *Writer) Add(name string, data []byte) error {
	if len(data) == 0 {
		return w.AddStatus(name, nil, nodedump.StatusEmpty, "")
	}
	return w.AddStatus(name, data, nodedump.StatusOK, "")
}

// AddStatus adds a part with a status of its own, for example a truncated one.
// A part that was not collected is not added.
func (w *Writer) AddStatus(name string, data []byte, status nodedump.Status, reason string) error {
	if status == nodedump.StatusNotCollected {
		return nil
	}
	return w.put(part{info: partInfo(name, data, status, reason), data: data})
}

// Missing adds a part that could not be read.
func (w *Writer) Missing(name string, status nodedump.Status, reason string) error {
	return w.AddStatus(name, nil, status, reason)
}

// Has reports whether a part was added.
func (w *Writer) Has(name string) bool {
	_, ok := w.parts[name]
	return ok
}

// Remove takes a part away again, as if it had never been added.
func (w *Writer) Remove(name string) { delete(w.parts, name) }

// SetKubernetes sets the server version that the manifest names.
func (w *Writer) SetKubernetes(version string) { w.meta.Kubernetes = version }

func partInfo(name string, data []byte, status nodedump.Status, reason string) PartInfo {
	p := PartInfo{Name: name, Status: status, Reason: reason}
	if len(data) > 0 {
		sum := sha256.Sum256(data)
		p.SHA256, p.Size = hex.EncodeToString(sum[:]), int64(len(data))
	}
	return p
}

// put adds a part that was not there before.
func (w *Writer) put(p part) error {
	if err := checkPart(&p.info); err != nil {
		return err
	}
	if _, twice := w.parts[p.info.Name]; twice {
		return fmt.Errorf("%w: part %s was added twice", ErrConflict, p.info.Name)
	}
	w.parts[p.info.Name] = p
	return nil
}

// AddNode adds nodes/<Name>/node.json, or external/<Name>/node.json for a host
// outside the cluster.
func (w *Writer) AddNode(n *nodedump.NodeNetworkStackDump) error {
	data, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	return w.Add(NodeBase(n.Name, n.External)+"/node.json", append(data, '\n'))
}

// NodeBase returns the directory of a node in a bundle: "nodes/<name>", or
// "external/<name>" for a host outside the cluster.
func NodeBase(name string, external bool) string {
	if external {
		return "external/" + name
	}
	return "nodes/" + name
}

// AddNetNS adds netns.json and the texts of a network namespace below base,
// which is "nodes/<name>" or "external/<name>". Texts keep their status; those
// without one, or that were not collected, are left out.
func (w *Writer) AddNetNS(base string, info *nodedump.NetNSInfo) error {
	dir := base + "/netns/" + info.Key + "/"
	data, err := formatNetNS(info)
	if err != nil {
		return fmt.Errorf("%snetns.json: %w", dir, err)
	}
	errs := []error{w.Add(dir+"netns.json", data)}
	for _, t := range netnsTexts(info) {
		if t.part.Status != "" {
			errs = append(errs, w.AddStatus(dir+t.file, t.part.Data, t.part.Status, t.part.Reason))
		}
	}
	return errors.Join(errs...)
}

// manifest lists the parts.
func (w *Writer) manifest() *Manifest {
	m := &Manifest{Version: FormatVersion, Tool: w.meta.Tool, Created: w.meta.Created, Kubernetes: w.meta.Kubernetes}
	m.Parts = make([]PartInfo, 0, len(w.parts))
	for _, name := range slices.Sorted(maps.Keys(w.parts)) {
		m.Parts = append(m.Parts, w.parts[name].info)
	}
	return m
}

// files returns all files of the bundle, sorted by name.
func (w *Writer) files() ([]file, error) {
	manifest, err := formatManifest(w.manifest())
	if err != nil {
		return nil, err
	}
	out := []file{{ManifestName, manifest}}
	for name, p := range w.parts {
		if p.info.SHA256 != "" {
			out = append(out, file{name, p.data})
		}
	}
	slices.SortFunc(out, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return out, checkTree(out)
}

// checkTree refuses a file that is the directory of another.
func checkTree(files []file) error {
	dirs := map[string]bool{}
	for _, f := range files {
		for i, c := range f.name {
			if c == '/' {
				dirs[f.name[:i]] = true
			}
		}
	}
	for _, f := range files {
		if dirs[f.name] {
			return fmt.Errorf("%w: %s: both a file and a directory", ErrUnsafe, f.name)
		}
	}
	return nil
}

// Snapshot returns the bundle as a reader would see it, in memory.
func (w *Writer) Snapshot() (*Snapshot, error) {
	files, err := w.files()
	if err != nil {
		return nil, err
	}
	tree := make(map[string][]byte, len(files))
	for _, f := range files {
		tree[f.name] = f.data
	}
	return Open(newMemFS(tree))
}

// WriteArchive writes the bundle as .tar.zst.
func (w *Writer) WriteArchive(out io.Writer) error {
	files, err := w.files()
	if err != nil {
		return err
	}
	total := 0
	for _, f := range files {
		total += len(f.data) + entryOverhead
	}
	// The most thorough level, because only its tables reach back over many
	// nodes; one thread, so that equal content gives equal bytes.
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(windowSize(total)), zstd.WithEncoderCRC(true))
	if err != nil {
		return err
	}
	return errors.Join(writeTar(z, files), z.Close())
}

// windowSize returns the shortest window that spans total bytes.
func windowSize(total int) int {
	return min(maxWindow, max(1<<20, 1<<bits.Len(uint(total))))
}

// writeTar writes files with nothing in their headers that could differ.
func writeTar(out io.Writer, files []file) error {
	t := tar.NewWriter(out)
	for _, f := range files {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.data)), Mode: 0o644,
			ModTime: time.Unix(0, 0), Format: tar.FormatUnknown,
		}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if _, err := io.Copy(t, bytes.NewReader(f.data)); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return t.Close()
}
