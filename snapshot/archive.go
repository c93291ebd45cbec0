package snapshot

import (
	"io"
)

// Limits are the quotas under which a bundle is read. A field that is 0 has no
// limit.
type Limits struct {
	TotalSize int64 // bytes of all files together
	FileSize  int64 // bytes of one file
	Files     int   // entries
	Ratio     int64 // bytes out of the archive for each byte of it
}

// DefaultLimits returns the limits of OpenFile.
func DefaultLimits() Limits {
	return Limits{TotalSize: 4 << 30, FileSize: 512 << 20, Files: 2_000_000, Ratio: 5000}
}

// OpenFile reads a bundle into memory under DefaultLimits. name is a directory
// or an archive: .tar.zst, .tar.gz or .tar, told apart by their first bytes.
func OpenFile(name string) (*Snapshot, error) { return OpenFileLimits(name, DefaultLimits()) }

// OpenFileLimits is OpenFile with limits of the caller's choice.
func OpenFileLimits(name string, limits Limits) (*Snapshot, error) { return nil, ErrFormat }

// OpenArchive reads an archive into memory.
func OpenArchive(r io.Reader, limits Limits) (*Snapshot, error) { return nil, ErrFormat }
