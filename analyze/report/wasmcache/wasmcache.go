// Package wasmcache keeps the compiled Graphviz out of the shared temporary
// directory.
//
// The drawing library compiles its WebAssembly when the process starts, and
// keeps the machine code in $TMPDIR/go-graphviz, whoever owns that directory.
// What collects as root must neither trust nor leave anything there. This
// package is initialised before the library, because it imports nothing that
// is not in the standard library and sorts before the WebAssembly runtime (the
// Go specification, "Package initialization"), and points TMPDIR to a
// directory of the user's own. [Restore] puts TMPDIR back.
//
// A process that collects keeps no cache at all.
package wasmcache

import (
	"os"
	"path/filepath"
	"slices"
)

// saved is TMPDIR as the process was started with it.
var saved, wasSet = redirect() //nolint:gochecknoglobals // must run before the library's own initialisation

// redirect points TMPDIR to the cache and returns what it was.
func redirect() (tmp string, set bool) {
	tmp, set = os.LookupEnv("TMPDIR")
	_ = os.Setenv("TMPDIR", directory())
	return tmp, set
}

// directory returns a directory that only the user can write, or one that does
// not exist: then nothing is kept.
func directory() string {
	const nowhere = "/nonexistent/pathsnap"
	base, err := os.UserCacheDir()
	if err != nil || len(os.Args) > 1 && slices.Contains([]string{"collect", "version", "help"}, os.Args[1]) {
		return nowhere
	}
	dir := filepath.Join(base, "pathsnap")
	if os.MkdirAll(dir, 0o700) != nil || os.Chmod(dir, 0o700) != nil { //nolint:gosec // it is a directory
		return nowhere
	}
	return dir
}

// Restore puts TMPDIR back. The package that imports the library calls it in
// its own initialisation, which comes after the library's.
func Restore() bool {
	if wasSet {
		return os.Setenv("TMPDIR", saved) == nil
	}
	return os.Unsetenv("TMPDIR") == nil
}
