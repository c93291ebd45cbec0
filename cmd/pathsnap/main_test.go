package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the expected outputs of the scripts anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"pathsnap": func() {
			os.Exit(run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
		},
	})
}

// TestScripts runs testdata/*.txtar. Beside the usual commands there is
// "code N PROGRAM ARGS...", which wants exit code N.
func TestScripts(t *testing.T) {
	bundles, err := filepath.Abs("../../fixtures/bundles")
	require.NoError(t, err)
	cache := t.TempDir() // of the drawing library, which else compiles itself in every process
	warm := exec.Command("pathsnap", "analyze", "--help")
	warm.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
	require.NoError(t, warm.Run())
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("BUNDLES", bundles)
			e.Setenv("XDG_CACHE_HOME", cache)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": wantCode},
		Condition: func(cond string) (bool, error) {
			return cond == "root" && os.Geteuid() == 0 && runtime.GOOS == "linux", nil
		},
	})
}

// TestReadme runs the example of the README: every line that it shows is one
// of the answer, up to spaces.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, example, found := strings.Cut(string(text), "\n    $ pathsnap ")
	require.True(t, found)
	example, _, _ = strings.Cut(example, "\n       ...\n")
	command, shown, _ := strings.Cut(example, "\n")
	args := strings.Fields(command)
	args[1] = filepath.Join("../..", args[1])
	var out, stderr bytes.Buffer
	require.Zero(t, run(context.Background(), args, streams{nil, &out, &stderr}), stderr.String())
	answer := strings.Join(strings.Fields(out.String()), " ")
	for line := range strings.Lines(shown) {
		require.Contains(t, answer, strings.Join(strings.Fields(line), " "))
	}
}

// TestWriteFile keeps devices and pipes what they are.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	hello := func(w io.Writer) error { _, err := io.WriteString(w, "hello"); return err }
	broken := func(w io.Writer) error { _, _ = io.WriteString(w, "hel"); return io.ErrUnexpectedEOF }
	name := filepath.Join(dir, "out")
	require.NoError(t, writeFile(name, bundlePerm, nil, hello))
	require.ErrorIs(t, writeFile(name, bundlePerm, nil, broken), io.ErrUnexpectedEOF)
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "hello", string(text))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	if runtime.GOOS == "linux" {
		require.NoError(t, writeFile(os.DevNull, bundlePerm, nil, hello))
		info, err := os.Stat(os.DevNull)
		require.NoError(t, err)
		require.NotZero(t, info.Mode()&os.ModeDevice)
	}
}

func wantCode(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: code N PROGRAM ARGS...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := err.(*exec.ExitError) //nolint:errorlint // it is not wrapped
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
