package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/pathsnap/pathsnap/snapshot"
)

// The permissions of new files. A bundle tells much about a cluster.
const (
	bundlePerm = 0o600
	reportPerm = 0o644
)

// standard is the name that stands for standard input or output.
const standard = "-"

// outputFlag is -o.
func outputFlag(usage string) cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: usage}
}

// writeFile writes a file through a temporary one, so that nothing half
// written is left under its name. The name "" or "-" is out.
func writeFile(name string, perm os.FileMode, out io.Writer, write func(io.Writer) error) (err error) {
	if name == "" || name == standard {
		return write(out)
	}
	if isDir(name) {
		return usagef("%s is a directory; name a file in it", name)
	}
	if info, e := os.Stat(name); e == nil && !info.Mode().IsRegular() {
		return writeDevice(name, write)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	var p *fs.PathError
	if errors.As(err, &p) { // the name in it is not one that the user gave
		return fmt.Errorf("write %s: %w", name, p.Err)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err = write(f); err == nil {
		err = f.Chmod(perm)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// writeDevice writes to what must not be replaced: a device, a pipe.
func writeDevice(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// writeBundle writes a bundle: to a directory if name ends in a slash or is an
// (empty) directory, else as an archive.
func writeBundle(name string, std streams, w *snapshot.Writer) error {
	if strings.HasSuffix(name, "/") || isDir(name) {
		if err := newDir(name); err != nil {
			return err
		}
		return w.WriteDir(strings.TrimSuffix(name, "/"))
	}
	if (name == "" || name == standard) && terminal(std.out) {
		return usagef("a bundle is not for the terminal; name a file with -o")
	}
	return writeFile(name, bundlePerm, std.out, w.WriteArchive)
}

// newDir wants a directory that is empty or not there.
func newDir(name string) error {
	entries, err := os.ReadDir(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if len(entries) > 0 {
		return usagef("directory %s is not empty; name a new one", name)
	}
	return err
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// openBundle opens a bundle; "-" is an archive on standard input.
func openBundle(name string, std streams) (*snapshot.Snapshot, error) {
	if name == standard {
		s, err := snapshot.OpenArchive(std.in, snapshot.DefaultLimits())
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return s, nil
	}
	s, err := snapshot.OpenFile(name)
	var p *fs.PathError
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("bundle %s: %w", name, errNoBundle)
	}
	if errors.As(err, &p) {
		return nil, fmt.Errorf("bundle %s: %w", name, p.Err)
	}
	return s, err
}

// terminal reports whether a stream is a terminal.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns returns the width of a terminal, 0 if there is none.
func columns(stream any) int {
	if f, ok := stream.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// oneLine makes text that came from a bundle harmless on a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, text)
}

// sizeText is a size for people.
func sizeText(bytes int64) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%d B", bytes)
}

// arguments checks the number of positional arguments: at least as many as
// names, and no more unless the last name ends in "...".
func arguments(c *cli.Context, names ...string) ([]string, error) {
	args := c.Args().Slice()
	if len(args) < len(names) {
		return nil, usagef("%s is missing; see %s --help", strings.TrimSuffix(names[len(args)], "..."), c.Command.HelpName)
	}
	many := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
	if len(args) > len(names) && !many {
		return nil, usagef("unexpected argument %q; see %s --help", args[len(names)], c.Command.HelpName)
	}
	return args, nil
}
