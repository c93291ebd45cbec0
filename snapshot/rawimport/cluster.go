package rawimport

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A cluster is the objects of the cluster while they are imported.
type cluster struct {
	w      *snapshot.Writer
	found  bool
	byName map[string]map[string]runtime.Object // resource, namespace/name
	order  map[string][]string                  // resource: the keys, in the order of the files
	failed map[string]string                    // resource: reason
	plural map[string]string                    // group/kind, of the CustomResourceDefinitions
	pods   []corev1.Pod
}

// importCluster reads cluster/*.yaml, *.yml and *.json.
func importCluster(raw fs.FS, w *snapshot.Writer) (*cluster, error) {
	c := &cluster{
		w: w, byName: map[string]map[string]runtime.Object{}, order: map[string][]string{}, failed: map[string]string{},
		plural: map[string]string{},
	}
	entries, err := fs.ReadDir(raw, "cluster")
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	var objects []map[string]any
	for _, e := range entries {
		ext := path.Ext(e.Name())
		if !e.IsDir() && (ext == ".yaml" || ext == ".yml" || ext == ".json") {
			c.found = true
			objects = append(objects, c.file(raw, e.Name())...)
		}
	}
	for _, o := range objects {
		c.definition(o)
	}
	for _, o := range objects {
		c.object(o)
	}
	return c, c.write()
}

// file reads one file. An error is kept for the resource that the file is
// named after.
func (c *cluster) file(raw fs.FS, name string) []map[string]any {
	resource := resourceOfFile(name)
	data, err := fs.ReadFile(raw, "cluster/"+name)
	if err != nil {
		c.failed[resource] = err.Error()
		return nil
	}
	var out []map[string]any
	line := 1
	for doc := range documents(data) {
		var o map[string]any
		if err := yaml.Unmarshal(doc, &o); err != nil {
			c.failed[resource] = fmt.Sprintf("%s:%d: %v", name, line, err)
		}
		out = append(out, items(o)...)
		line += bytes.Count(doc, []byte("\n"))
	}
	if _, known := c.byName[resource]; !known && len(out) == 0 && c.failed[resource] == "" && isResource(resource) {
		c.byName[resource] = map[string]runtime.Object{}
	}
	return out
}

// resourceOfFile guesses the resource of a file that has no objects to tell.
func resourceOfFile(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, path.Ext(name)))
	switch name {
	case "po", "pod":
		return "pods"
	case "no", "node":
		return "nodes"
	case "ns", "namespace":
		return "namespaces"
	case "svc", "service":
		return "services"
	case "sa", "serviceaccount":
		return "serviceaccounts"
	case "ep":
		return "endpoints"
	case "cm", "configmap":
		return "configmaps"
	case "ds", "daemonset":
		return "daemonsets"
	case "eps", "endpointslice":
		return "endpointslices"
	case "netpol", "netpols", "networkpolicy":
		return "networkpolicies"
	}
	return name
}

// isResource reports whether a name is that of a resource of a bundle.
func isResource(name string) bool {
	_, _, group := strings.Cut(name, ".")
	return group || slices.ContainsFunc(builtins(), func(b builtin) bool { return b.resource == name })
}

// documents splits YAML at its "---" lines. The separator stays with the
// document behind it.
func documents(data []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		start, at := 0, 0
		for line := range bytes.Lines(data) {
			if bytes.HasPrefix(line, []byte("---")) && at > start {
				if !yield(data[start:at]) {
					return
				}
				start = at
			}
			at += len(line)
		}
		yield(data[start:])
	}
}

// items returns the objects of a list, which may hold lists, or the object
// itself.
func items(o map[string]any) []map[string]any {
	kind, _ := o["kind"].(string)
	list, isList := o["items"].([]any)
	if !strings.HasSuffix(kind, "List") || !isList {
		if kind == "" && o["serverVersion"] == nil || strings.HasSuffix(kind, "List") {
			return nil
		}
		return []map[string]any{o}
	}
	var out []map[string]any
	for _, i := range list {
		item, ok := i.(map[string]any)
		if !ok {
			continue
		}
		if item["kind"] == nil && kind != "List" {
			item["kind"], item["apiVersion"] = strings.TrimSuffix(kind, "List"), o["apiVersion"]
		}
		if nested, _ := item["kind"].(string); strings.HasSuffix(nested, "List") && nested != kind {
			out = append(out, items(item)...)
			continue
		}
		out = append(out, item)
	}
	return out
}

// definition remembers what a CustomResourceDefinition calls its resource, and
// "kubectl version" the server.
func (c *cluster) definition(o map[string]any) {
	if version, ok := o["serverVersion"].(map[string]any); ok {
		if v, ok := version["gitVersion"].(string); ok {
			c.w.SetKubernetes(v)
		}
	}
	if o["kind"] != "CustomResourceDefinition" {
		return
	}
	group, _, _ := unstructured.NestedString(o, "spec", "group")
	kind, _, _ := unstructured.NestedString(o, "spec", "names", "kind")
	plural, _, _ := unstructured.NestedString(o, "spec", "names", "plural")
	if group != "" && kind != "" && plural != "" {
		c.plural[group+"/"+kind] = plural
	}
}

// object takes over an object, if it is of a resource that a bundle has.
func (c *cluster) object(o map[string]any) {
	u := &unstructured.Unstructured{Object: o}
	resource := c.resource(u)
	if resource == "configmaps" && !wantConfigMap(u.GetName()) || snapshot.CheckName(resource) != nil {
		return
	}
	if resource == "configmaps" {
		snapshot.RedactConfigMap(u)
	}
	if c.byName[resource] == nil {
		c.byName[resource] = map[string]runtime.Object{}
	}
	key := u.GetNamespace() + "/" + u.GetName()
	if _, twice := c.byName[resource][key]; !twice {
		c.order[resource] = append(c.order[resource], key)
	}
	c.byName[resource][key] = u
	if resource == "pods" {
		c.pod(u)
	}
}

func (c *cluster) pod(u *unstructured.Unstructured) {
	var p corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &p); err == nil {
		c.pods = append(c.pods, p)
	}
}

// A builtin is a resource of Kubernetes itself that a bundle has.
type builtin struct{ group, kind, resource string }

func builtins() []builtin {
	return []builtin{
		{"", "Pod", "pods"},
		{"", "Node", "nodes"},
		{"", "Namespace", "namespaces"},
		{"", "Service", "services"},
		{"", "ServiceAccount", "serviceaccounts"},
		{"", "Endpoints", "endpoints"},
		{"", "ConfigMap", "configmaps"},
		{"apps", "DaemonSet", "daemonsets"},
		{"discovery.k8s.io", "EndpointSlice", "endpointslices"},
		{"networking.k8s.io", "NetworkPolicy", "networkpolicies"},
		{"extensions", "NetworkPolicy", "networkpolicies"},
		{"extensions", "DaemonSet", "daemonsets"},
	}
}

// networkGroups lists the API groups of network plugins, whose custom
// resources a bundle has. Those of others may be anything, even secrets.
func networkGroups() []string {
	return []string{
		"crd.projectcalico.org", "projectcalico.org", "operator.tigera.io", "cilium.io", "crd.antrea.io", "kubeovn.io",
		"k8s.ovn.org", "k8s.cni.cncf.io", "whereabouts.cni.cncf.io", "network.alibabacloud.com", "submariner.io",
		"policy.networking.k8s.io", "crd.k8s.amazonaws.com", "vpcresources.k8s.aws", "networking.gke.io", "networking.cloud.google.com",
	}
}

// resource returns the resource of an object, "" if a bundle has no such.
func (c *cluster) resource(u *unstructured.Unstructured) string {
	gvk := u.GroupVersionKind()
	for _, b := range builtins() {
		if b.group == gvk.Group && b.kind == gvk.Kind {
			return b.resource
		}
	}
	if !slices.Contains(networkGroups(), gvk.Group) {
		return ""
	}
	if plural := c.plural[gvk.Group+"/"+gvk.Kind]; plural != "" {
		return plural + "." + gvk.Group
	}
	return plural(strings.ToLower(gvk.Kind)) + "." + gvk.Group
}

// plural is what the resource of a kind is called, but for a few.
func plural(kind string) string {
	switch {
	case strings.HasSuffix(kind, "y") && !strings.HasSuffix(kind, "ey"):
		return strings.TrimSuffix(kind, "y") + "ies"
	case strings.HasSuffix(kind, "s"), strings.HasSuffix(kind, "x"), strings.HasSuffix(kind, "ch"):
		return kind + "es"
	default:
		return kind + "s"
	}
}

// wantConfigMap reports whether a config map is about the network, by name.
func wantConfigMap(name string) bool {
	for _, word := range []string{
		"kube-proxy", "kubeadm-config", "flannel", "calico", "canal", "cilium", "terway", "eni-config", "antrea", "weave", "cni", "ovn",
		"nodelocaldns", "node-local-dns", "aws-node", "ip-masq-agent",
	} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// write adds the lists.
func (c *cluster) write() error {
	var errs []error
	for _, resource := range slices.Sorted(maps.Keys(c.byName)) {
		var list []runtime.Object
		for _, key := range c.order[resource] {
			list = append(list, c.byName[resource][key])
		}
		data, err := snapshot.FormatList(resource, list...)
		name, reason := "cluster/"+resource+".yaml", c.failed[resource]
		switch {
		case err != nil:
			c.failed[resource] = err.Error()
		case reason == "":
			errs = append(errs, c.w.Add(name, data))
		case len(data) > 0:
			errs = append(errs, c.w.AddStatus(name, data, nodedump.StatusTruncated, reason))
		}
	}
	for _, resource := range slices.Sorted(maps.Keys(c.failed)) {
		if name := "cluster/" + resource + ".yaml"; !c.w.Has(name) && snapshot.CheckName(name) == nil {
			errs = append(errs, c.w.Missing(name, nodedump.StatusFailed, c.failed[resource]))
		}
	}
	return errors.Join(errs...)
}
