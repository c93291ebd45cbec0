// Pathsnap collects what a Kubernetes cluster's network looks like into one
// bundle, and later, with no cluster in reach, walks packets through it.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// streams are what a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run runs one command line and returns what the process should exit with.
func run(ctx context.Context, args []string, std streams) int {
	app := newApp(std)
	err := app.RunContext(ctx, append([]string{app.Name}, reorder(app, args)...))
	return finish(std.err, err)
}
