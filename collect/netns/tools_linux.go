package netns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// maxOutput is the most that one run of a tool may print.
const maxOutput = 512 << 20

// A tool is a program that prints a part of the kernel's state, with the names
// it may have; the first that is found is taken.
type tool struct {
	name       string
	candidates []candidate
}

// A candidate is a program with its arguments.
type candidate struct {
	program string
	args    []string
	version string // what "-V" must contain, if the name alone does not tell
}

// A toolbox finds programs, once.
type toolbox struct {
	dirs  []string
	mu    sync.Mutex
	found map[string]*candidate
}

// newToolbox looks on the PATH, where system programs are, and beside this
// binary.
func newToolbox() *toolbox {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	dirs = append(dirs, "/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin")
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
	}
	return &toolbox{dirs: dirs, found: map[string]*candidate{}}
}

// saveTool returns the tool that prints the tables of one backend ("nft" or
// "legacy"); the command is "iptables" or "ip6tables".
func saveTool(command, backend string) tool {
	save := command + "-save"
	version := "(nf_tables)"
	old := []candidate(nil)
	if backend == "legacy" {
		version = "(legacy)"
		old = []candidate{{program: "xtables-multi", args: []string{save}}}
	}
	return tool{name: command + "-" + backend + "-save", candidates: append([]candidate{
		{program: command + "-" + backend + "-save"},
		{program: "xtables-" + backend + "-multi", args: []string{save}},
		{program: save, version: version},
	}, old...)}
}

// simpleTool returns a tool that has only one name.
func simpleTool(name string) tool {
	return tool{name: name, candidates: []candidate{{program: name}}}
}

// find returns the program for a tool, with its path, nil if there is none.
func (b *toolbox) find(t tool) *candidate {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, known := b.found[t.name]; known {
		return c
	}
	var found *candidate
	for _, c := range t.candidates {
		if c.program = b.look(c.program); c.program == "" || !c.fits() {
			continue
		}
		found = &c
		break
	}
	b.found[t.name] = found
	return found
}

// look returns the path of a program, "" if there is none.
func (b *toolbox) look(program string) string {
	for _, dir := range b.dirs {
		name := filepath.Join(dir, program)
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return name
		}
	}
	return ""
}

// fits asks a program for its version where its name does not tell.
func (c *candidate) fits() bool {
	if c.version == "" {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, c.program, "-V").Output()
	if err != nil {
		return false
	}
	if !bytes.Contains(out, []byte("(")) { // older than the second backend
		return c.version == "(legacy)"
	}
	return bytes.Contains(out, []byte(c.version))
}

// run runs a tool inside the namespace of the thread and returns what it
// prints.
func (d *dumper) run(t tool, args ...string) ([]byte, error) {
	program := d.tools.find(t)
	if program == nil {
		return nil, &statusError{nodedump.StatusToolMissing, "there is something to save, but no " + t.name + " was found"}
	}
	ctx, cancel := context.WithDeadline(d.ctx, d.deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, program.program, append(slices.Clone(program.args), args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, complaint := &limited{max: maxOutput}, &limited{max: 4 << 10}
	cmd.Stdout, cmd.Stderr = out, complaint
	err := runUntil(ctx, cmd)
	what := strings.Join(append([]string{filepath.Base(program.program)}, args...), " ")
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w", what, ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("%s: %w: %s", what, err, bytes.TrimSpace(complaint.Bytes()))
	case out.full:
		return out.Bytes(), truncated(fmt.Sprintf("%s printed more than %d bytes", what, maxOutput))
	}
	return out.Bytes(), nil
}

// runUntil runs a program from this thread, whose namespace it inherits, but
// does not wait for one that cannot even be killed.
func runUntil(ctx context.Context, cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(2 * time.Second):
		return errors.New("it does not end")
	}
}

// A limited buffer keeps the first bytes it gets.
type limited struct {
	bytes.Buffer
	max  int
	full bool
}

// Write keeps what fits.
func (l *limited) Write(p []byte) (int, error) {
	if room := l.max - l.Len(); len(p) > room {
		l.full = true
		l.Buffer.Write(p[:room])
		return len(p), nil
	}
	return l.Buffer.Write(p)
}
