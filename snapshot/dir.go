package snapshot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// OpenFile reads a bundle into memory under DefaultLimits. name is a directory
// or an archive (see OpenArchive).
func OpenFile(name string) (*Snapshot, error) { return OpenFileLimits(name, DefaultLimits()) }

// OpenFileLimits is OpenFile with limits of the caller's choice.
func OpenFileLimits(name string, limits Limits) (*Snapshot, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	open := openArchiveFile
	if info.IsDir() {
		open = openDir
	}
	s, err := open(name, limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.name = name
	return s, nil
}

func openArchiveFile(name string, limits Limits) (*Snapshot, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return OpenArchive(f, limits)
}

// openDir reads all files below a directory and follows no link out of it.
func openDir(name string, limits Limits) (*Snapshot, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	fsys := root.FS()
	if _, err := fs.Stat(fsys, ManifestName); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no %s", ErrFormat, ManifestName)
	}
	c := newContents(limits)
	err = fs.WalkDir(fsys, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == "." {
			return err
		}
		return c.dirEntry(fsys, file, d)
	})
	if err != nil {
		return nil, err
	}
	return Open(newMemFS(c.files))
}

// dirEntry takes over one entry of a directory.
func (c *contents) dirEntry(fsys fs.FS, name string, d fs.DirEntry) error {
	switch {
	case d.IsDir():
		return c.addDir(name)
	case d.Type()&fs.ModeSymlink != 0:
		return fmt.Errorf("%w: %s: neither file nor directory but a symbolic link", ErrUnsafe, show(name))
	case !d.Type().IsRegular():
		return fmt.Errorf("%w: %s: neither file nor directory but %s", ErrUnsafe, show(name), d.Type())
	}
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return c.add(name, info.Size(), f)
}

// WriteDir writes the bundle to a directory, which is made if it does not
// exist and must be empty if it does.
func (w *Writer) WriteDir(dir string) error {
	files, err := w.files()
	if err != nil {
		return err
	}
	return writeTree(dir, files)
}

// Extract writes a bundle to a directory, which is made if it does not exist
// and must be empty if it does. It stops at the first damaged part; files that
// the manifest does not list are not written.
func Extract(s *Snapshot, dir string) error {
	manifest, err := s.readFile(ManifestName)
	if err != nil {
		return err
	}
	files := []file{{ManifestName, manifest}}
	for i := range s.manifest.Parts {
		p, err := s.read(s.manifest.Parts[i].Name)
		if err != nil {
			return fmt.Errorf("%s: %w", s.manifest.Parts[i].Name, err)
		}
		if p.Data != nil {
			files = append(files, file{p.File, p.Data})
		}
	}
	return writeTree(dir, files)
}

// A file is one file of a bundle.
type file struct {
	name string
	data []byte
}

// writeTree writes files below a new or empty directory, and nowhere else.
func writeTree(dir string, files []file) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if old, err := fs.ReadDir(root.FS(), "."); err != nil {
		return err
	} else if len(old) > 0 {
		return fmt.Errorf("%s: the directory is not empty", dir)
	}
	for _, f := range files {
		if err := writeFile(root, f); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

func writeFile(root *os.Root, f file) error {
	if err := CheckName(f.name); err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(f.name), 0o755); err != nil {
		return err
	}
	out, err := root.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	n, err := out.Write(f.data)
	if err == nil && n < len(f.data) {
		err = io.ErrShortWrite
	}
	return errors.Join(err, out.Close())
}
