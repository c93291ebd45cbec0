package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/collect"
	"github.com/pathsnap/pathsnap/collect/netns"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/manifests"
	"github.com/pathsnap/pathsnap/snapshot/rawimport"
)

// The exit codes, beside those of outcomes (report.ExitCode).
const (
	exitOK       = 0
	exitInternal = 1
	exitUsage    = 2 // bad usage or input
)

// errUsage indicates a command line that makes no sense.
var errUsage = errors.New("usage")

// errNoBundle indicates a bundle that is not where it is looked for.
var errNoBundle = errors.New("no such file or directory")

// A usageError is an error that is [errUsage] without saying so.
type usageError struct{ error }

func (usageError) Is(target error) bool { return target == errUsage }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A statusError ends the process with a code and no message: the command has
// said all it had to say.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// A hint says what to do about an error.
type hint struct {
	err  error
	code int
	next string
}

// hints returns the errors that have an exit code or a hint of their own, the
// first that fits counts.
func hints() []hint {
	return []hint{
		{errUsage, exitUsage, ""},
		{errNoBundle, exitUsage, "is the name right? a bundle is a .tar.zst file or a directory with a manifest.yaml"},
		{snapshot.ErrChecksum, exitUsage, "pathsnap bundle verify lists what is damaged; copy or collect it again"},
		{snapshot.ErrNotCollected, exitUsage, "pathsnap bundle info says what the bundle lacks and why; collect that part and merge it"},
		{analyze.ErrUsage, exitUsage, "see pathsnap analyze --help for the words of endpoints, and for the names of plugins and providers"},
		{snapshot.ErrQuota, exitUsage, "a bundle this large is not meant to be read; ask for it in parts"},
		{snapshot.ErrUnsafe, exitUsage, "no honest bundle has such an entry; do not trust where it came from"},
		{snapshot.ErrTruncated, exitUsage, "copy the file again, it is not whole"},
		{snapshot.ErrDamaged, exitUsage, "copy the file again, and as a binary file"},
		{snapshot.ErrConflict, exitUsage, "leave one of the two out, or collect that part once more"},
		{snapshot.ErrFormat, exitUsage, "give a file or directory that pathsnap collect or pathsnap bundle import made"},
		{manifests.ErrNothing, exitUsage, "give a bundle, or a directory with manifests (*.yaml, *.yml, *.json)"},
		{rawimport.ErrNothing, exitUsage, "docs/bundle-format.md lists the files to import"},
		{collect.ErrKubeconfig, exitUsage, "look at --kubeconfig and --context; pathsnap collect node needs no API server"},
		{collect.ErrNoCluster, exitInternal, "look at --kubeconfig and --context; pathsnap collect node needs no API server"},
		{netns.ErrUnsupported, exitInternal, "run pathsnap collect node on the node itself, or import what its tools print (pathsnap bundle import)"},
		{context.Canceled, exitInternal, ""},
		{fs.ErrNotExist, exitUsage, ""},
		{fs.ErrExist, exitUsage, ""},
		{fs.ErrPermission, exitUsage, ""},
	}
}

// finish says what happened and returns what the process should exit with.
func finish(w io.Writer, err error) int {
	var status statusError
	if err == nil {
		return exitOK
	}
	if errors.As(err, &status) {
		return int(status)
	}
	h := hintFor(err)
	_, _ = fmt.Fprintf(w, "pathsnap: %s\n", oneLine(err.Error()))
	if h.next != "" {
		_, _ = fmt.Fprintf(w, "  %s\n", h.next)
	}
	return h.code
}

func hintFor(err error) hint {
	for _, h := range hints() {
		if errors.Is(err, h.err) {
			return h
		}
	}
	return hint{code: exitInternal}
}
