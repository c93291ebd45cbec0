package snapshot

import (
	"errors"
	"fmt"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

var (
	// ErrNotCollected indicates that a part has no content: the manifest does
	// not list it, or lists it with a status that says why it was not read.
	ErrNotCollected = errors.New("not collected")
	// ErrChecksum indicates that a part is not what the manifest promised.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrQuota indicates that a bundle is larger than its reader allows.
	ErrQuota = errors.New("quota exceeded")
	// ErrUnsafe indicates an entry that no honest bundle has.
	ErrUnsafe = errors.New("unsafe entry")
	// ErrFormat indicates something that is no bundle, or a bundle of a
	// version that this package does not know.
	ErrFormat = errors.New("not a bundle")
	// ErrTruncated indicates an archive that ends too early.
	ErrTruncated = errors.New("truncated archive")
	// ErrDamaged indicates an archive with bytes that cannot be decoded.
	ErrDamaged = errors.New("damaged archive")
	// ErrConflict indicates two different contents for one part.
	ErrConflict = errors.New("conflicting parts")
)

// notCollected says why p cannot be used.
func notCollected(p nodedump.Part) error {
	if p.Status == nodedump.StatusNotCollected || p.Status == "" {
		return fmt.Errorf("%s: %w", p.File, ErrNotCollected)
	}
	if p.Reason == "" {
		return fmt.Errorf("%s: %w: %s", p.File, ErrNotCollected, p.Status)
	}
	return fmt.Errorf("%s: %w: %s: %s", p.File, ErrNotCollected, p.Status, p.Reason)
}
