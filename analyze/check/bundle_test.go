package check_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/analyze/check"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/plugins"
	"github.com/pathsnap/pathsnap/providers"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A bundle is a recorded one whose parts can be changed.
type bundle struct {
	t     *testing.T
	parts map[string][]byte // nil of an empty part
	lost  map[string]nodedump.Status
}

// An edit changes a bundle.
type edit func(*bundle)

func load(t *testing.T, name string) *bundle {
	s, err := snapshot.OpenFile("../../fixtures/bundles/" + name)
	require.NoError(t, err)
	b := &bundle{t: t, parts: map[string][]byte{}, lost: map[string]nodedump.Status{}}
	for _, p := range s.Manifest().Parts {
		data, err := s.Read(p.Name)
		require.NoError(t, err)
		b.parts[p.Name] = data
	}
	return b
}

// sub replaces every old in a part, of which there must be one.
func sub(part, old, with string) edit {
	return func(b *bundle) {
		require.Contains(b.t, string(b.parts[part]), old, "%s has no such text", part)
		b.parts[part] = []byte(strings.ReplaceAll(string(b.parts[part]), old, with))
	}
}

// drop takes away the lines of a part that begin so.
func drop(part, prefix string) edit {
	return func(b *bundle) {
		var left []string
		for line := range strings.Lines(string(b.parts[part])) {
			if !strings.HasPrefix(line, prefix) {
				left = append(left, line)
			}
		}
		require.Less(b.t, len(strings.Join(left, "")), len(b.parts[part]), "%s: no line begins %s", part, prefix)
		b.parts[part] = []byte(strings.Join(left, ""))
	}
}

// put sets a part.
func put(part, text string) edit { return func(b *bundle) { b.parts[part] = []byte(text) } }

// rm takes away the parts whose names begin so.
func rm(prefix string) edit {
	return func(b *bundle) {
		found := false
		for name := range b.parts {
			if strings.HasPrefix(name, prefix) {
				delete(b.parts, name)
				found = true
			}
		}
		require.True(b.t, found, prefix)
	}
}

// without takes away the parts that have a text in their names.
func without(text string) edit {
	return func(b *bundle) {
		for name := range b.parts {
			if strings.Contains(name, text) {
				delete(b.parts, name)
			}
		}
	}
}

// rename moves the parts whose names begin so.
func rename(prefix, with string) edit {
	return func(b *bundle) {
		for _, name := range names(b.parts) {
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				b.parts[with+rest] = b.parts[name]
				delete(b.parts, name)
			}
		}
	}
}

// lose marks a part as not read.
func lose(part string, status nodedump.Status) edit {
	return func(b *bundle) {
		delete(b.parts, part)
		b.lost[part] = status
	}
}

// clone adds a node that is like node2 in all but names and addresses.
func clone(name, number string) edit {
	change := strings.NewReplacer("node2", name, "10.244.2.", "10.244."+number+".", "172.31.0.12", "172.31.0.1"+number, "demo_", "demo_"+number,
		"name: c\n", "name: "+number+"c\n", "name: d\n", "name: "+number+"d\n", "name: loopback\n", "name: "+number+"loopback\n",
		`"name": "c"`, `"name": "`+number+`c"`, `"name": "d"`, `"name": "`+number+`d"`, `"name": "loopback"`, `"name": "`+number+`loopback"`,
		"ca:35:72:b7:0d:2e", "ca:35:72:b7:0d:0"+number, `"uid": "`, `"uid": "`+number, "uid: ", "uid: x"+number)
	return func(b *bundle) {
		for _, part := range names(b.parts) {
			if rest, ok := strings.CutPrefix(part, "nodes/node2/"); ok {
				b.parts["nodes/"+name+"/"+strings.ReplaceAll(rest, "demo_", "demo_"+number)] = []byte(change.Replace(string(b.parts[part])))
			}
		}
		for _, list := range []string{"cluster/nodes.yaml", "cluster/pods.yaml"} {
			for item := range strings.SplitSeq(string(b.parts[list]), "\n- apiVersion: v1\n") {
				if strings.Contains(item, "name: node2\n") || strings.Contains(item, "nodeName: node2\n") {
					b.parts[list] = []byte(strings.TrimSuffix(string(b.parts[list]), "\n") + "\n- apiVersion: v1\n" + change.Replace(item))
				}
			}
		}
	}
}

func names(parts map[string][]byte) (list []string) {
	for name := range parts {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// run runs the checks of a bundle.
func (b *bundle) run(node string) *report.Checkup {
	found, err := check.Run(b.analyzer(), node)
	require.NoError(b.t, err)
	return found
}

// try runs the checks of a bundle, and returns why it cannot.
func (b *bundle) try(node string) error {
	_, err := check.Run(b.analyzer(), node)
	return err
}

func (b *bundle) analyzer() *analyze.Analyzer {
	w := snapshot.NewWriter(snapshot.Meta{})
	for _, name := range names(b.parts) {
		require.NoError(b.t, w.Add(name, b.parts[name]))
	}
	for name, status := range b.lost {
		require.NoError(b.t, w.Missing(name, status, "for a reason"))
	}
	s, err := w.Snapshot()
	require.NoError(b.t, err)
	a, err := analyze.New(s, analyze.Options{Plugins: plugins.All(), Providers: providers.All()})
	require.NoError(b.t, err)
	return a
}

// edited loads the recorded bundle of the rows and changes it.
func edited(t *testing.T, edits ...edit) *bundle {
	b := load(t, "flannel-vxlan")
	for _, e := range edits {
		e(b)
	}
	return b
}
