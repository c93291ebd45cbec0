package snapshot

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// memFS is an immutable tree of files in memory.
type memFS struct {
	files map[string][]byte
	dirs  map[string][]string // names of the entries of each directory, sorted
}

// newMemFS makes a tree. No name may be a directory of another.
func newMemFS(files map[string][]byte) *memFS {
	m := &memFS{files: files, dirs: map[string][]string{".": nil}}
	for name := range files {
		for name != "." {
			dir := path.Dir(name)
			_, known := m.dirs[dir]
			m.dirs[dir] = append(m.dirs[dir], path.Base(name))
			if known {
				break
			}
			name = dir
		}
	}
	for _, names := range m.dirs {
		slices.Sort(names)
	}
	return m
}

// Open implements fs.FS.
func (m *memFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if data, ok := m.files[name]; ok {
		return &memFile{Reader: bytes.NewReader(data), info: m.info(name)}, nil
	}
	if names, ok := m.dirs[name]; ok {
		return &memDir{fs: m, name: name, rest: names}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadFile implements fs.ReadFileFS.
func (m *memFS) ReadFile(name string) ([]byte, error) {
	data, ok := m.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return bytes.Clone(data), nil
}

func (m *memFS) info(name string) memInfo {
	data, ok := m.files[name]
	return memInfo{name: path.Base(name), size: int64(len(data)), dir: !ok}
}

type memInfo struct {
	name string
	size int64
	dir  bool
}

// Name implements fs.FileInfo.
func (i memInfo) Name() string { return i.name }

// Size implements fs.FileInfo.
func (i memInfo) Size() int64 { return i.size }

// Mode implements fs.FileInfo.
func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// ModTime implements fs.FileInfo.
func (i memInfo) ModTime() time.Time { return time.Time{} }

// IsDir implements fs.FileInfo.
func (i memInfo) IsDir() bool { return i.dir }

// Sys implements fs.FileInfo.
func (i memInfo) Sys() any { return nil }

type memFile struct {
	*bytes.Reader
	info memInfo
}

// Stat implements fs.File.
func (f *memFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close implements fs.File.
func (f *memFile) Close() error { return nil }

type memDir struct {
	fs   *memFS
	name string
	rest []string
}

// Stat implements fs.File.
func (d *memDir) Stat() (fs.FileInfo, error) { return d.fs.info(d.name), nil }

// Read implements fs.File.
func (d *memDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: fs.ErrInvalid}
}

// Close implements fs.File.
func (d *memDir) Close() error { return nil }

// ReadDir implements fs.ReadDirFile.
func (d *memDir) ReadDir(n int) ([]fs.DirEntry, error) {
	count := len(d.rest)
	if n > 0 && n < count {
		count = n
	}
	if n > 0 && count == 0 {
		return nil, io.EOF
	}
	out := make([]fs.DirEntry, count)
	for i, name := range d.rest[:count] {
		out[i] = fs.FileInfoToDirEntry(d.fs.info(strings.TrimPrefix(d.name+"/"+name, "./")))
	}
	d.rest = d.rest[count:]
	return out, nil
}
