package manifests

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot"
)

// files is texts by name.
type files map[string]string

func read(t testing.TB, f files) (*snapshot.Snapshot, []error) {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range f {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s, problems, err := Read(fsys)
	require.NoError(t, err)
	return s, problems
}

// pods are the names of the pods, and their labels.
func pods(t testing.TB, s *snapshot.Snapshot) (out []string) {
	t.Helper()
	list, err := s.Pods()
	require.NoError(t, err)
	for _, p := range list {
		out = append(out, p.Namespace+"/"+p.Name+" "+p.Labels["app"])
	}
	return out
}

func workload(kind, api, spec string) string {
	return "apiVersion: " + api + "\nkind: " + kind + "\nmetadata: {name: w, namespace: demo}\nspec: " + spec + "\n"
}

func TestFormsOfFiles(t *testing.T) {
	const pod = `{apiVersion: v1, kind: Pod, metadata: {name: NAME, labels: {app: a}}}`
	named := func(name string) string { return strings.ReplaceAll(pod, "NAME", name) }
	s, problems := read(t, files{
		"a.yaml":         named("a") + "\n---\n" + named("b") + "\n---\n---\n# nothing\n",
		"deep/er/c.yml":  "apiVersion: v1\nkind: List\nitems:\n- " + named("c") + "\n- " + named("d"),
		"e.json":         `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"e","namespace":"x"}} {"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"f"}}]}`,
		"crlf.YAML":      strings.ReplaceAll("apiVersion: v1\nkind: Pod\nmetadata:\n  name: g\n---\n"+named("h"), "\n", "\r\n"),
		"README.md":      "not: read",
		"empty.yaml":     "",
		"secret.yaml":    "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {a: aHVzaA==}}",
		"other/crd.yaml": "{apiVersion: example.org/v1, kind: Pod, metadata: {name: not-a-pod}}",
	})
	require.Empty(t, problems)
	require.Equal(t, []string{"default/a a", "default/b a", "default/c a", "default/d a", "default/f ", "default/g ", "default/h a", "x/e "}, pods(t, s))
	_, err := s.Custom("secrets")
	require.ErrorIs(t, err, snapshot.ErrNotCollected)
}

func TestWorkloadsBecomePods(t *testing.T) {
	const template = "template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, ports: [{name: http, containerPort: 80}]}]}}"
	const selector = "selector: {matchLabels: {app: a}}, "
	for kind, text := range map[string]string{
		"Deployment":            workload("Deployment", "apps/v1", "{"+selector+template+"}"),
		"StatefulSet":           workload("StatefulSet", "apps/v1", "{"+selector+template+"}"),
		"DaemonSet":             workload("DaemonSet", "apps/v1", "{"+selector+template+"}"),
		"ReplicaSet":            workload("ReplicaSet", "apps/v1", "{"+selector+template+"}"),
		"ReplicationController": workload("ReplicationController", "v1", "{selector: {app: a}, "+template+"}"),
		"Job":                   workload("Job", "batch/v1", "{"+template+"}"),
		"CronJob":               workload("CronJob", "batch/v1", "{jobTemplate: {spec: {"+template+"}}}"),
	} {
		s, problems := read(t, files{"w.yaml": text})
		require.Empty(t, problems, kind)
		require.Equal(t, []string{"demo/w a"}, pods(t, s), kind)
		list, _ := s.Pods()
		require.Equal(t, "http", list[0].Spec.Containers[0].Ports[0].Name, kind)

		s, problems = read(t, files{"w.yaml": text, "p.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: w-1, namespace: demo, labels: {app: a}, ownerReferences: [{kind: " + kind + ", name: w}]}}"})
		require.Empty(t, problems, kind)
		require.Equal(t, []string{"demo/w-1 a"}, pods(t, s), "%s: it has a pod", kind)

		s, _ = read(t, files{"w.yaml": text, "p.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: w-1, namespace: elsewhere, labels: {app: a}}}"})
		require.Equal(t, []string{"demo/w a", "elsewhere/w-1 a"}, pods(t, s), "%s: not its pod", kind)
	}
	s, _ := read(t, files{"w.yaml": workload("Deployment", "apps/v1", "{"+selector+template+"}"), "p.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: w-1, namespace: demo, labels: {app: a}}}"})
	require.Equal(t, []string{"demo/w-1 a"}, pods(t, s), "a pod that the selector selects")
}

func TestOneBadObjectCostsOneObject(t *testing.T) {
	for why, text := range map[string]string{
		"no YAML":        "{{ .Values.name }}: {",
		"no object":      "- 1\n- 2",
		"no name":        "{apiVersion: v1, kind: Pod}",
		"twice":          "{apiVersion: v1, kind: Pod, metadata: {name: good}}",
		"an odd item":    "{apiVersion: v1, kind: List, items: [7]}",
		"no template":    workload("Deployment", "apps/v1", "{}"),
		"an odd one":     workload("Deployment", "apps/v1", "{template: 7}"),
		"odd labels":     workload("Deployment", "apps/v1", "{template: {metadata: {labels: {a: 7}}}}"),
		"an odd policy":  "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: x}, spec: {podSelector: 7}}",
		"an odd pod":     "{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: 7}}",
		"an odd pod, 2":  workload("Deployment", "apps/v1", "{template: {spec: {containers: 7}}}"),
		"cut JSON":       `{"apiVersion":"v1","kind":"Pod","metadata":{"name":`,
		"an odd item, 2": "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {}}]}",
	} {
		s, problems := read(t, files{"a.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: good}}", "b.yaml": text})
		require.Len(t, problems, 1, why)
		require.Equal(t, []string{"default/good "}, pods(t, s), why)
		_, err := s.NetworkPolicies()
		require.NoError(t, err, why)
	}
}

func TestKinds(t *testing.T) {
	for _, k := range kinds() {
		if k.part == "" {
			continue
		}
		api := "v1"
		if k.group != "" {
			api = k.group + "/v1"
		}
		s, problems := read(t, files{"a.yaml": "{apiVersion: " + api + ", kind: " + k.kind + ", metadata: {name: x}}"})
		require.Empty(t, problems)
		items, err := s.Custom(k.part)
		require.NoError(t, err, k.part)
		require.Len(t, items, 1, k.part)
		require.Equal(t, k.namespaced, items[0].GetNamespace() == "default", k.part)
	}
	s, _ := read(t, files{"a.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: x}}"})
	policies, err := s.NetworkPolicies()
	require.NoError(t, err)
	require.Empty(t, policies)
	_, err = s.Custom("tiers.projectcalico.org")
	require.ErrorIs(t, err, snapshot.ErrNotCollected)
}

func TestNothing(t *testing.T) {
	_, _, err := Read(os.DirFS(t.TempDir()))
	require.ErrorIs(t, err, ErrNothing)
	_, _, err = Read(fstest.MapFS{"a.yaml": {Data: []byte("{")}})
	require.ErrorIs(t, err, ErrNothing)
	require.ErrorContains(t, err, "a.yaml: document 1")
}

func FuzzRead(f *testing.F) {
	f.Add("{apiVersion: v1, kind: Pod, metadata: {name: x}}\n---\n" + workload("Deployment", "apps/v1", "{template: {spec: {}}}"))
	f.Add(`{"kind":"List","items":[{"kind":"NetworkPolicy","apiVersion":"networking.k8s.io/v1","metadata":{"name":"x"}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, _, err := Read(fstest.MapFS{"a.yaml": {Data: []byte(text)}})
		if err == nil {
			_, _ = s.Pods()
		}
	})
}
