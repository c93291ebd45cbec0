package snapshot

import (
	"bytes"
	"fmt"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Merge adds the parts of bundles that were made apart: the cluster on one
// machine, each node on its own. A part that two bundles have must be equal in
// both, else ErrConflict names both; but a part that was read wins over one
// that was not. What the Writer's Meta leaves open is taken from the bundles:
// the first Kubernetes version and the latest time.
func Merge(w *Writer, parts ...*Snapshot) error {
	for i, s := range parts {
		from := s.name
		if from == "" {
			from = fmt.Sprintf("bundle %d", i+1)
		}
		if err := w.merge(s, from); err != nil {
			return err
		}
	}
	if w.meta.Created == "" {
		for _, s := range parts {
			w.meta.Created = max(w.meta.Created, s.manifest.Created)
		}
	}
	for _, s := range parts {
		if w.meta.Kubernetes == "" {
			w.meta.Kubernetes = s.manifest.Kubernetes
		}
	}
	return nil
}

// merge adds the parts of one bundle.
func (w *Writer) merge(s *Snapshot, from string) error {
	for i := range s.manifest.Parts {
		info := s.manifest.Parts[i]
		p, err := s.read(info.Name)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", from, info.Name, err)
		}
		next := part{info: info, data: p.Data, from: from}
		next.info.Size = int64(len(p.Data))
		old, twice := w.parts[info.Name]
		if twice {
			if next, err = better(old, next); err != nil {
				return err
			}
			delete(w.parts, info.Name)
		}
		if err := w.put(next); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	}
	return nil
}

// better returns the one of two versions of a part that says more.
func better(a, b part) (part, error) {
	switch ra, rb := rank(a), rank(b); {
	case ra > rb:
		return a, nil
	case rb > ra:
		return b, nil
	case ra == 0, a.info.Status == b.info.Status && bytes.Equal(a.data, b.data):
		return a, nil
	}
	if a.from == "" {
		a.from = "the bundle so far"
	}
	return part{}, fmt.Errorf("%w: %s differs between %s and %s", ErrConflict, a.info.Name, a.from, b.from)
}

// rank orders parts by how much of them was read.
func rank(p part) int {
	switch {
	case p.info.Status.Known():
		return 2
	case p.info.Status == nodedump.StatusTruncated:
		return 1
	default:
		return 0
	}
}
