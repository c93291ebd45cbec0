package snapshot

import (
	"io"

	"k8s.io/apimachinery/pkg/runtime"

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
func (w *Writer) AddStatus(name string, data []byte, status nodedump.Status, reason string) error {
	return nil
}

// Missing adds a part that could not be read.
func (w *Writer) Missing(name string, status nodedump.Status, reason string) error {
	return w.AddStatus(name, nil, status, reason)
}

// Remove takes a part away again, as if it had never been added.
func (w *Writer) Remove(name string) { delete(w.parts, name) }

// AddNode adds nodes/<Name>/node.json, or external/<Name>/node.json for a host
// outside the cluster.
func (w *Writer) AddNode(n *nodedump.NodeNetworkStackDump) error { return nil }

// AddNetNS adds netns.json and the texts of a network namespace below base,
// which is "nodes/<name>" or "external/<name>". Texts keep their status; those
// without one are left out.
func (w *Writer) AddNetNS(base string, info *nodedump.NetNSInfo) error { return nil }

// AddList adds cluster/<resource>.yaml: a List of the items, pruned (see
// Prune), with apiVersion and kind, sorted by namespace and name. No items
// make an empty part.
func (w *Writer) AddList(resource string, items ...runtime.Object) error { return nil }

// Snapshot returns the bundle as a reader would see it, in memory.
func (w *Writer) Snapshot() (*Snapshot, error) { return nil, nil }

// WriteArchive writes the bundle as .tar.zst.
func (w *Writer) WriteArchive(out io.Writer) error { return nil }

// WriteDir writes the bundle to a directory, which is made if it does not
// exist and must be empty if it does.
func (w *Writer) WriteDir(dir string) error { return nil }
