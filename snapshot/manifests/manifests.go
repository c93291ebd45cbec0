// Package manifests reads a directory of plain Kubernetes manifests, as kubectl
// apply takes them, as if it were the cluster part of a bundle.
package manifests

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/pathsnap/pathsnap/snapshot"
)

// ErrNothing indicates that there is no object of a kind that is known.
var ErrNothing = errors.New("no manifests")

// maxFile is the largest file that is read.
const maxFile = 64 << 20

// Read reads all files of fsys, in all its folders, that end in .yaml, .yml or
// .json; each may hold many documents, and Lists. Objects without a namespace
// are in "default". Deployments, StatefulSets, DaemonSets, ReplicaSets,
// ReplicationControllers, Jobs and CronJobs become one pod of their template,
// with their own name, unless there are pods of theirs. What could not be read
// is in problems; kinds that say nothing about a network are passed over.
func Read(fsys fs.FS) (snap *snapshot.Snapshot, problems []error, err error) {
	r := reader{parts: map[string][]runtime.Object{}, seen: map[string]bool{}}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			r.bad(name, err)
			return nil
		}
		if !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(path.Ext(name))) {
			r.file(fsys, name)
		}
		return nil
	})
	if err != nil {
		return nil, r.problems, err
	}
	if len(r.seen) == 0 {
		return nil, r.problems, errors.Join(append([]error{ErrNothing}, r.problems...)...)
	}
	r.templates()
	snap, err = r.snapshot()
	return snap, r.problems, err
}

// A reader collects objects by the parts that they belong to.
type reader struct {
	parts     map[string][]runtime.Object
	seen      map[string]bool // objects by part, namespace and name
	workloads []*unstructured.Unstructured
	problems  []error
}

func (r *reader) bad(name string, err error) {
	r.problems = append(r.problems, fmt.Errorf("%s: %w", name, err))
}

func (r *reader) file(fsys fs.FS, name string) {
	data, err := readFile(fsys, name)
	if err != nil {
		r.bad(name, err)
		return
	}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.bad(name, err)
			return
		}
		if err := r.document(document); err != nil {
			r.bad(fmt.Sprintf("%s: document %d", name, n), err)
		}
	}
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	return data, err
}

// document reads one document, which is an object or a List. One of JSON may be
// followed by others.
func (r *reader) document(text []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		if values, ok := jsonValues(text); ok {
			for _, v := range values {
				if err := r.value(v); err != nil {
					return err
				}
			}
			return nil
		}
	}
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	return r.value(data)
}

// jsonValues splits JSON values that follow each other, false if it is not
// JSON.
func jsonValues(text []byte) (out []json.RawMessage, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		var v json.RawMessage
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out, true
		}
		if err != nil {
			return nil, false
		}
		out = append(out, v)
	}
}

func (r *reader) value(data []byte) error {
	var content any
	if err := utiljson.Unmarshal(data, &content); err != nil {
		return err
	}
	switch content := content.(type) {
	case nil:
		return nil
	case map[string]any:
		return r.object(content, true)
	}
	return errors.New("not an object")
}

// object keeps an object, or those of a List.
func (r *reader) object(content map[string]any, lists bool) error {
	items, isList := content["items"].([]any)
	if kind, _ := content["kind"].(string); lists && isList && strings.HasSuffix(kind, "List") {
		for i, item := range items {
			o, ok := item.(map[string]any)
			if !ok {
				r.bad(kind, fmt.Errorf("item %d is not an object", i))
				continue
			}
			if _, ok := o["kind"]; !ok {
				o["kind"], o["apiVersion"] = strings.TrimSuffix(kind, "List"), content["apiVersion"]
			}
			if err := r.object(o, false); err != nil {
				r.bad(fmt.Sprintf("%s: item %d", kind, i), err)
			}
		}
		return nil
	}
	return r.one(&unstructured.Unstructured{Object: content})
}

// one keeps one object of a kind that is known.
func (r *reader) one(o *unstructured.Unstructured) error {
	k, known := kindOf(o)
	if !known {
		return nil
	}
	if o.GetName() == "" {
		return fmt.Errorf("%s has no name", o.GetKind())
	}
	if k.namespaced && o.GetNamespace() == "" {
		o.SetNamespace("default")
	}
	key := k.part + o.GetKind() + "\x00" + o.GetNamespace() + "/" + o.GetName()
	if r.seen[key] {
		return fmt.Errorf("%s %s is there twice; the first one counts", o.GetKind(), strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/"))
	}
	r.seen[key] = true
	if k.typed != nil {
		if err := k.typed(o); err != nil {
			return fmt.Errorf("%s %s: %w", o.GetKind(), strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/"), err)
		}
	}
	if k.template != nil {
		r.workloads = append(r.workloads, o)
		return nil
	}
	r.parts[k.part] = append(r.parts[k.part], o)
	return nil
}

// snapshot makes the cluster part of a bundle. What no manifest has the cluster
// does not have.
func (r *reader) snapshot() (*snapshot.Snapshot, error) {
	w := snapshot.NewWriter(snapshot.Meta{})
	for _, k := range kinds() {
		if k.part == "" || w.Has("cluster/"+k.part+".yaml") || k.custom && len(r.parts[k.part]) == 0 {
			continue
		}
		if err := w.AddList(k.part, r.parts[k.part]...); err != nil {
			return nil, err
		}
	}
	return w.Snapshot()
}
