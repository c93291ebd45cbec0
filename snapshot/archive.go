package snapshot

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Limits are the quotas under which a bundle is read. A field that is 0 has no
// limit.
type Limits struct {
	TotalSize int64 // bytes of all files together
	FileSize  int64 // bytes of one file
	Files     int   // entries
	Ratio     int64 // bytes out of the archive for each byte of it, after the first ratioFree
}

const (
	// maxWindow is the longest zstd window that is written and read, and the
	// longest that the zstd command reads without being asked to.
	maxWindow = 128 << 20
	// ratioFree is how much an archive may unpack to before its ratio counts.
	ratioFree = 64 << 20
	// entryOverhead is what an entry may take in an archive beside its file.
	entryOverhead = 4 << 10
)

// DefaultLimits returns the limits of OpenFile.
func DefaultLimits() Limits {
	return Limits{TotalSize: 4 << 30, FileSize: 512 << 20, Files: 2_000_000, Ratio: 5000}
}

// OpenArchive reads an archive into memory: .tar.zst, .tar.gz or .tar, told
// apart by their first bytes.
func OpenArchive(r io.Reader, limits Limits) (*Snapshot, error) {
	in := &meter{r: r}
	plain, closer, err := decompress(bufio.NewReaderSize(in, 64<<10))
	if err != nil {
		return nil, err
	}
	defer closer()
	out := &meter{r: plain, in: in, limits: limits}
	files, err := readTar(out, limits)
	if err != nil {
		return nil, archiveError(err)
	}
	return Open(newMemFS(files))
}

// decompress undoes the compression that the first bytes of r show.
func decompress(r *bufio.Reader) (io.Reader, func(), error) {
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case len(head) == 0:
		return nil, nil, fmt.Errorf("%w: the file is empty", ErrFormat)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow),
			zstd.WithDecoderMaxMemory(1<<40))
		if err != nil {
			return nil, nil, archiveError(err)
		}
		return z, z.Close, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, archiveError(err)
		}
		return z, func() {}, nil
	}
	block, err := r.Peek(512)
	if err != nil || !bytes.HasPrefix(block[257:], []byte("ustar")) {
		return nil, nil, fmt.Errorf("%w: neither zstd nor gzip nor tar", ErrFormat)
	}
	return r, func() {}, nil
}

// archiveError sorts the errors of the decompressors and of package tar.
func archiveError(err error) error {
	for _, known := range []error{ErrQuota, ErrUnsafe, ErrFormat, ErrTruncated, ErrDamaged} {
		if errors.Is(err, known) {
			return err
		}
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrTruncated, err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("%w: zstd window of more than %d bytes", ErrQuota, maxWindow)
	default:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
}

// readTar reads all files of a tar archive.
func readTar(r *meter, limits Limits) (map[string][]byte, error) {
	c := newContents(limits)
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return c.files, r.finish()
		}
		if err != nil {
			return nil, err
		}
		if err := c.entry(h, t); err != nil {
			return nil, err
		}
	}
}

// entry takes over one entry of an archive.
func (c *contents) entry(h *tar.Header, r io.Reader) error {
	name := strings.TrimPrefix(h.Name, "./")
	switch h.Typeflag {
	case tar.TypeDir:
		if name = strings.TrimSuffix(name, "/"); name == "" || name == "." {
			return nil
		}
		return c.addDir(name)
	case tar.TypeReg:
		return c.add(name, h.Size, r)
	default:
		return fmt.Errorf("%w: %s: neither file nor directory but %s", ErrUnsafe, show(h.Name), typeName(h.Typeflag))
	}
}

func typeName(flag byte) string {
	switch flag {
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeSymlink:
		return "a symbolic link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a fifo"
	default:
		return fmt.Sprintf("type %q", flag)
	}
}

// contents are the files that were read of a bundle, under quotas.
type contents struct {
	limits  Limits
	files   map[string][]byte
	dirs    map[string]bool
	shared  map[[sha256.Size]byte][]byte // equal files share their bytes
	entries int
	total   int64
}

func newContents(limits Limits) *contents {
	return &contents{
		limits: limits, files: map[string][]byte{}, dirs: map[string]bool{}, shared: map[[sha256.Size]byte][]byte{},
	}
}

// count checks the name of an entry and counts it.
func (c *contents) count(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if c.entries++; c.limits.Files > 0 && c.entries > c.limits.Files {
		return fmt.Errorf("%w: files: %s is entry %d, the limit is %d", ErrQuota, show(name), c.entries, c.limits.Files)
	}
	return nil
}

func (c *contents) addDir(name string) error {
	if err := c.count(name); err != nil {
		return err
	}
	return c.claimDir(name)
}

// claimDir makes name and all above it directories.
func (c *contents) claimDir(name string) error {
	for name != "" && !c.dirs[name] {
		if _, taken := c.files[name]; taken {
			return fmt.Errorf("%w: %s: both a file and a directory", ErrUnsafe, show(name))
		}
		c.dirs[name] = true
		name = name[:max(0, strings.LastIndexByte(name, '/'))]
	}
	return nil
}

// add reads a file that claims to have size bytes.
func (c *contents) add(name string, size int64, r io.Reader) error {
	if err := c.count(name); err != nil {
		return err
	}
	if _, twice := c.files[name]; twice {
		return fmt.Errorf("%w: %s: the name occurs twice", ErrUnsafe, show(name))
	}
	if c.dirs[name] {
		return fmt.Errorf("%w: %s: both a file and a directory", ErrUnsafe, show(name))
	}
	if err := c.claimDir(name[:max(0, strings.LastIndexByte(name, '/'))]); err != nil {
		return err
	}
	if err := c.checkSize(name, size); err != nil {
		return err
	}
	var b bytes.Buffer
	b.Grow(int(min(size, 1<<20)) + bytes.MinRead)
	if _, err := io.CopyN(&b, r, size); err != nil {
		return readError(name, err)
	}
	c.total += size
	c.files[name] = c.share(b.Bytes())
	return nil
}

func (c *contents) checkSize(name string, size int64) error {
	if l := c.limits.FileSize; l > 0 && size > l {
		return fmt.Errorf("%w: file size: %s has %d bytes, the limit is %d", ErrQuota, show(name), size, l)
	}
	if l := c.limits.TotalSize; l > 0 && size > l-c.total {
		return fmt.Errorf("%w: total size: %s brings it to %d bytes, the limit is %d", ErrQuota, show(name), c.total+size, l)
	}
	return nil
}

// share returns bytes equal to data, those of an earlier file if there is one.
func (c *contents) share(data []byte) []byte {
	sum := sha256.Sum256(data)
	if old, ok := c.shared[sum]; ok {
		return old
	}
	data = bytes.Clone(data)
	c.shared[sum] = data
	return data
}

func readError(name string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends in %s", ErrTruncated, show(name))
	}
	return fmt.Errorf("%s: %w", show(name), err)
}

// A meter counts what passes and stops what is too much.
type meter struct {
	r      io.Reader
	n      int64
	in     *meter // of the archive, nil for itself
	limits Limits
	zeros  int64 // zero bytes at the end, so far
}

// Read implements io.Reader.
func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += int64(n)
	if m.in == nil {
		return n, err
	}
	if tail := int64(len(bytes.TrimRight(p[:n], "\x00"))); tail > 0 {
		m.zeros = int64(n) - tail
	} else {
		m.zeros += int64(n)
	}
	if l := m.limits.Ratio; l > 0 && m.n > ratioFree && m.n/l > m.in.n {
		return n, fmt.Errorf("%w: ratio: %d bytes out of the first %d of the archive, the limit is %d to 1", ErrQuota, m.n, m.in.n, l)
	}
	if l := m.limits; l.TotalSize > 0 && l.Files > 0 && m.n > l.TotalSize+entryOverhead*(int64(l.Files)+16) {
		return n, fmt.Errorf("%w: total size: the archive unpacks to more than %d bytes", ErrQuota, l.TotalSize)
	}
	return n, err
}

// finish reads what follows the last entry: zeros, at least two blocks of them.
func (m *meter) finish() error {
	buf := make([]byte, 32<<10)
	for {
		n, err := m.Read(buf)
		if len(bytes.Trim(buf[:n], "\x00")) > 0 {
			return fmt.Errorf("%w: data behind the end of the archive", ErrFormat)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if m.zeros < 1024 {
		return fmt.Errorf("%w: it has no end mark", ErrTruncated)
	}
	return nil
}
