package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// Pods returns the pods of the cluster.
func (s *Snapshot) Pods() ([]corev1.Pod, error) { return list[corev1.Pod](s, "pods") }

// Nodes returns the nodes of the cluster.
func (s *Snapshot) Nodes() ([]corev1.Node, error) { return list[corev1.Node](s, "nodes") }

// Namespaces returns the namespaces of the cluster.
func (s *Snapshot) Namespaces() ([]corev1.Namespace, error) {
	return list[corev1.Namespace](s, "namespaces")
}

// Services returns the services of the cluster.
func (s *Snapshot) Services() ([]corev1.Service, error) { return list[corev1.Service](s, "services") }

// Endpoints returns the endpoints of the cluster, the predecessor of
// EndpointSlices.
func (s *Snapshot) Endpoints() ([]corev1.Endpoints, error) { //nolint:staticcheck // old clusters have nothing else
	return list[corev1.Endpoints](s, "endpoints") //nolint:staticcheck // as above
}

// EndpointSlices returns the endpoint slices of the cluster.
func (s *Snapshot) EndpointSlices() ([]discoveryv1.EndpointSlice, error) {
	return list[discoveryv1.EndpointSlice](s, "endpointslices")
}

// NetworkPolicies returns the network policies of the cluster. With an error
// about single ones the others are returned all the same.
func (s *Snapshot) NetworkPolicies() ([]networkingv1.NetworkPolicy, error) {
	return each[networkingv1.NetworkPolicy](s, "networkpolicies")
}

// DaemonSets returns the daemon sets of the cluster.
func (s *Snapshot) DaemonSets() ([]appsv1.DaemonSet, error) {
	return list[appsv1.DaemonSet](s, "daemonsets")
}

// ConfigMaps returns the config maps of kube-proxy and the CNI.
func (s *Snapshot) ConfigMaps() ([]corev1.ConfigMap, error) {
	return list[corev1.ConfigMap](s, "configmaps")
}

// Custom returns the objects of a custom resource, named "<plural>.<group>".
func (s *Snapshot) Custom(resource string) ([]unstructured.Unstructured, error) {
	items, err := list[json.RawMessage](s, resource)
	if err != nil {
		return nil, err
	}
	out := make([]unstructured.Unstructured, len(items))
	for i, item := range items {
		// Not json.Unmarshal, which makes floats of all numbers.
		if err := utiljson.Unmarshal(item, &out[i].Object); err != nil {
			return nil, fmt.Errorf("%s: item %d: %w", clusterName(resource), i, err)
		}
	}
	return out, nil
}

// list returns the objects of a resource, which are read once. Callers must not
// change them.
func list[T any](s *Snapshot, resource string) ([]T, error) {
	read, _ := s.lists.LoadOrStore(resource, sync.OnceValues(func() ([]T, error) { return readList[T](s, resource) }))
	if once, ok := read.(func() ([]T, error)); ok {
		return once()
	}
	return readList[T](s, resource)
}

// each returns the objects of a resource, of which one that cannot be read costs
// only itself: what is wrong with it is in the error, and the rest is returned
// all the same.
func each[T any](s *Snapshot, resource string) ([]T, error) {
	items, err := list[json.RawMessage](s, resource)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(items))
	var errs []error
	for i, item := range items {
		var one T
		if err := json.Unmarshal(item, &one); err != nil {
			errs = append(errs, fmt.Errorf("%s: item %d: %w", clusterName(resource), i, err))
			continue
		}
		out = append(out, one)
	}
	return out, errors.Join(errs...)
}

// readList reads cluster/<resource>.yaml.
func readList[T any](s *Snapshot, resource string) ([]T, error) {
	name := clusterName(resource)
	data, err := s.Read(name)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	if items, ok := itemsOneByOne[T](data); ok {
		return items, nil
	}
	var l struct {
		Items []T `json:"items"`
	}
	if data, err = yaml.YAMLToJSON(data); err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l.Items, nil
}

// listHead begins a list as FormatList writes it.
const listHead = "apiVersion: v1\nkind: List\nitems:\n"

// itemsOneByOne reads a list that has the form of FormatList one item at a
// time, which takes a fraction of the memory.
func itemsOneByOne[T any](data []byte) ([]T, bool) {
	rest, ok := bytes.CutPrefix(data, []byte(listHead+"- "))
	if !ok {
		return nil, false
	}
	var out []T
	for more := true; more; {
		var item []byte
		item, rest, more = bytes.Cut(rest, []byte("\n- "))
		text, err := yaml.YAMLToJSON(slices.Concat([]byte("- "), item, []byte("\n")))
		if err != nil {
			return nil, false
		}
		var one []T
		if json.Unmarshal(text, &one) != nil || len(one) != 1 {
			return nil, false
		}
		out = append(out, one[0])
	}
	return out, true
}

func clusterName(resource string) string { return "cluster/" + resource + ".yaml" }

// A resourceKind says what the objects of a resource are called.
type resourceKind struct{ resource, apiVersion, kind string }

// resources lists the resources that have an accessor of their own.
func resources() []resourceKind {
	return []resourceKind{
		{"pods", "v1", "Pod"},
		{"nodes", "v1", "Node"},
		{"namespaces", "v1", "Namespace"},
		{"services", "v1", "Service"},
		{"serviceaccounts", "v1", "ServiceAccount"},
		{"endpoints", "v1", "Endpoints"},
		{"configmaps", "v1", "ConfigMap"},
		{"daemonsets", "apps/v1", "DaemonSet"},
		{"endpointslices", "discovery.k8s.io/v1", "EndpointSlice"},
		{"networkpolicies", "networking.k8s.io/v1", "NetworkPolicy"},
	}
}

// AddList adds cluster/<resource>.yaml: a List of the items, pruned (see
// Prune), with apiVersion and kind, sorted by namespace and name. No items
// make an empty part. The items do not change.
func (w *Writer) AddList(resource string, items ...runtime.Object) error {
	data, err := FormatList(resource, items...)
	if err != nil {
		return err
	}
	return w.Add(clusterName(resource), data)
}

// FormatList writes cluster/<resource>.yaml as AddList does, nothing for no
// items. A list that is not whole is added by AddStatus.
func FormatList(resource string, items ...runtime.Object) ([]byte, error) {
	objects := make([]listItem, 0, len(items))
	for _, item := range items {
		o, err := toObject(resource, item)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", clusterName(resource), err)
		}
		objects = append(objects, o)
	}
	slices.SortStableFunc(objects, func(a, b listItem) int { return strings.Compare(a.key, b.key) })
	var b bytes.Buffer
	for _, o := range objects {
		if b.Len() == 0 {
			b.WriteString(listHead)
		}
		writeItem(&b, o.yaml)
	}
	return b.Bytes(), nil
}

// An listItem is an item of a list.
type listItem struct {
	key  string // what it is sorted by
	yaml []byte
}

// toObject makes an item of a list, without what Prune drops.
func toObject(resource string, item runtime.Object) (listItem, error) {
	data, err := json.Marshal(item)
	if err != nil {
		return listItem{}, err
	}
	u := unstructured.Unstructured{Object: map[string]any{}}
	if err := utiljson.Unmarshal(data, &u.Object); err != nil {
		return listItem{}, err
	}
	if u.GetKind() == "" {
		i := slices.IndexFunc(resources(), func(r resourceKind) bool { return r.resource == resource })
		if i < 0 {
			return listItem{}, fmt.Errorf("%s/%s has no kind", u.GetNamespace(), u.GetName())
		}
		u.SetAPIVersion(resources()[i].apiVersion)
		u.SetKind(resources()[i].kind)
	}
	if u.GetKind() == "Secret" {
		return listItem{}, errors.New("a Secret has no place in a bundle")
	}
	Prune(&u)
	text, err := yaml.Marshal(u.Object)
	return listItem{key: u.GetNamespace() + "\x00" + u.GetName(), yaml: text}, err
}

// writeItem writes a YAML map as an item of a list.
func writeItem(b *bytes.Buffer, item []byte) {
	first := true
	for line := range bytes.Lines(item) {
		switch {
		case first:
			b.WriteString("- ")
		case line[0] != '\n':
			b.WriteString("  ")
		}
		b.Write(line)
		first = false
	}
}
