// Package snapshot reads, writes and verifies bundles: what a cluster's
// network looked like, as a tree of plain texts behind an fs.FS.
//
// The format is specified in docs/bundle-format.md. A bundle is a stranger's
// file: it is read into memory under quotas and never extracted unless asked,
// and every part is checked against its sha256 when it is read.
package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Snapshot is a bundle that was opened. It does not change, and it is safe for
// concurrent use.
type Snapshot struct {
	fsys     fs.FS
	name     string
	manifest Manifest
	index    map[string]int // of manifest.Parts, by name
	lists    sync.Map       // what was read of cluster/, by resource: parsing is the slow part
}

// Open opens the bundle whose manifest is in the root of fsys. It reads only
// the manifest; every part is verified against its sha256 when it is read.
func Open(fsys fs.FS) (*Snapshot, error) {
	data, err := fs.ReadFile(fsys, ManifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no %s", ErrFormat, ManifestName)
	}
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(data)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{fsys: fsys, manifest: *m, index: make(map[string]int, len(m.Parts))}
	for i := range m.Parts {
		s.index[m.Parts[i].Name] = i
	}
	return s, nil
}

// FS returns the files of the bundle, unverified.
func (s *Snapshot) FS() fs.FS { return s.fsys }

// Name returns the name of the file the bundle was opened from, "" if there
// was none.
func (s *Snapshot) Name() string { return s.name }

// Manifest returns the manifest. The caller must not change its Parts.
func (s *Snapshot) Manifest() Manifest { return s.manifest }

// Part returns a part with the status it was collected with. The status is
// not-collected if the manifest does not list the part, and failed if the file
// is missing or is not what the manifest promised. The caller must not change
// its Data.
func (s *Snapshot) Part(name string) nodedump.Part {
	p, err := s.read(name)
	if err != nil {
		return nodedump.Part{File: name, Status: nodedump.StatusFailed, Reason: err.Error()}
	}
	return p
}

// Read returns the content of a part. A part that was found to be empty has
// none. Any other part without content is ErrNotCollected, a damaged one
// ErrChecksum. The caller must not change what it gets.
func (s *Snapshot) Read(name string) ([]byte, error) {
	p, err := s.read(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if p.Data == nil && p.Status != nodedump.StatusEmpty {
		return nil, notCollected(p)
	}
	return p.Data, nil
}

// read reads and verifies a part. Its errors do not name it.
func (s *Snapshot) read(name string) (nodedump.Part, error) {
	i, listed := s.index[name]
	if !listed {
		return nodedump.Part{File: name, Status: nodedump.StatusNotCollected}, nil
	}
	info := &s.manifest.Parts[i]
	p := nodedump.Part{File: name, Status: info.Status, Reason: info.Reason}
	if info.SHA256 == "" {
		return p, nil
	}
	data, err := s.readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("%w: the manifest lists it, the bundle does not have it", ErrChecksum)
	}
	if err != nil {
		return p, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != info.SHA256 {
		return p, fmt.Errorf("%w: sha256 %x of %d bytes, the manifest says %s of %d", ErrChecksum, sum, len(data), info.SHA256, info.Size)
	}
	p.Data = data
	return p, nil
}

// readFile reads without a copy if it can.
func (s *Snapshot) readFile(name string) ([]byte, error) {
	if m, ok := s.fsys.(*memFS); ok {
		if data, ok := m.files[name]; ok {
			return data, nil
		}
	}
	return fs.ReadFile(s.fsys, name)
}

// NodeNames returns the names of the nodes, sorted.
func (s *Snapshot) NodeNames() []string { return s.below("nodes/") }

// ExternalNames returns the names of the hosts outside the cluster, sorted.
func (s *Snapshot) ExternalNames() []string { return s.below("external/") }

// Files returns the names of the parts below nodes/<node>/files/, sorted. They
// are whole names that Part takes.
func (s *Snapshot) Files(node string) []string {
	var out []string
	for _, p := range s.withPrefix("nodes/" + node + "/files/") {
		out = append(out, p.Name)
	}
	return out
}

// InfraFiles returns the names of the parts that tell of the network between
// nodes, those below infra/<provider>/, sorted. They are whole names that Part
// takes.
func (s *Snapshot) InfraFiles(provider string) []string {
	var out []string
	for _, p := range s.withPrefix("infra/" + provider + "/") {
		out = append(out, p.Name)
	}
	return out
}

// below returns the names of the directories in dir, which ends with "/".
func (s *Snapshot) below(dir string) []string {
	var out []string
	for _, p := range s.withPrefix(dir) {
		name, _, isDir := strings.Cut(p.Name[len(dir):], "/")
		if isDir && (len(out) == 0 || out[len(out)-1] != name) {
			out = append(out, name)
		}
	}
	// "a-b/" sorts before "a/", so equal names need not be neighbours.
	slices.Sort(out)
	return slices.Compact(out)
}

// withPrefix returns the parts whose names begin with prefix.
func (s *Snapshot) withPrefix(prefix string) []PartInfo {
	parts := s.manifest.Parts
	from, _ := slices.BinarySearchFunc(parts, prefix, func(p PartInfo, name string) int { return strings.Compare(p.Name, name) })
	to := from
	for to < len(parts) && strings.HasPrefix(parts[to].Name, prefix) {
		to++
	}
	return parts[from:to]
}
