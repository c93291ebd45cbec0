package collect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pathsnap/pathsnap/collect/netns"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// The errors of [Cluster].
var (
	// ErrKubeconfig says that it is not known which API server to ask, and how.
	ErrKubeconfig = errors.New("kubeconfig")
	// ErrNoCluster says that the API server could not be asked at all.
	ErrNoCluster = errors.New("no answer from the API server")
)

// absentReason is what is said of a resource that a server does not know.
const absentReason = "the server has no such resource"

// The limits of talking to an API server.
const (
	pageSize       = 500
	requestTimeout = 60 * time.Second
)

// ClusterOptions say which cluster to collect.
type ClusterOptions struct {
	Kubeconfig string            // file; empty for KUBECONFIG, ~/.kube/config or the service account of this pod
	Context    string            // of the kubeconfig; empty for the current one
	Progress   func(netns.Event) // called once per part; may be nil
	Config     *rest.Config      // instead of a kubeconfig; nil for none
}

// A clusterReader lists resources into a bundle.
type clusterReader struct {
	objects  dynamic.Interface
	versions map[string][]string // of the groups that the server has, the preferred one first
	progress func(netns.Event)
	w        *snapshot.Writer
}

// Cluster adds the objects of a cluster to a bundle. What the server refuses
// or does not have is a part with that status; an error means that there was
// no server.
func Cluster(ctx context.Context, o ClusterOptions, w *snapshot.Writer) error {
	config, err := o.restConfig()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKubeconfig, err)
	}
	r, err := newClusterReader(ctx, config, w)
	if err != nil {
		return err
	}
	if r.progress = o.Progress; r.progress == nil {
		r.progress = func(netns.Event) {}
	}
	for _, res := range builtins() {
		if err := r.resource(ctx, res); err != nil {
			return err
		}
	}
	if err := r.configMaps(ctx); err != nil {
		return err
	}
	for _, res := range customs() {
		if _, served := r.versions[res.group]; !served {
			continue
		}
		if err := r.resource(ctx, res); err != nil {
			return err
		}
	}
	return nil
}

// restConfig finds the server and the credentials as kubectl would.
func (o ClusterOptions) restConfig() (*rest.Config, error) {
	config := o.Config
	if config == nil {
		rules := clientcmd.NewDefaultClientConfigLoadingRules()
		rules.ExplicitPath = o.Kubeconfig
		overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
		var err error
		if config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig(); err != nil {
			return nil, err
		}
	}
	config = rest.CopyConfig(config)
	config.UserAgent = "pathsnap"
	config.Timeout = requestTimeout
	config.QPS, config.Burst = 20, 40
	config.WarningHandler = rest.NoWarnings{} // of deprecated resources, which are asked for on purpose
	return config, nil
}

// newClusterReader asks the server for its version and its groups.
func newClusterReader(ctx context.Context, config *rest.Config, w *snapshot.Writer) (*clusterReader, error) {
	asker, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	version, err := asker.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNoCluster, config.Host, err)
	}
	w.SetKubernetes(version.GitVersion)
	r := &clusterReader{objects: objects, versions: map[string][]string{}, w: w}
	groups, err := asker.ServerGroups()
	if err != nil { // some may only list what they know; the rest of the bundle is still worth having
		return r, ctx.Err()
	}
	for _, group := range groups.Groups {
		r.versions[group.Name] = append(r.versions[group.Name], group.PreferredVersion.Version)
		for _, v := range group.Versions {
			if v.Version != group.PreferredVersion.Version {
				r.versions[group.Name] = append(r.versions[group.Name], v.Version)
			}
		}
	}
	return r, nil
}

// resource adds one resource. Not every version of a group has every resource
// of it: AdminNetworkPolicies are in another one than ClusterNetworkPolicies.
func (r *clusterReader) resource(ctx context.Context, res resource) error {
	start := time.Now()
	versions := []string{res.version}
	if res.version == "" {
		versions = r.versions[res.group]
	}
	var items []runtime.Object
	var err error
	for _, version := range versions {
		if items, err = r.list(ctx, res, version); !apierrors.IsNotFound(err) {
			break
		}
	}
	return r.add(res.part(), items, err, start)
}

// list reads all pages of a resource. If the server forgets the list while it
// is read, which takes it minutes, it is read again in one piece.
func (r *clusterReader) list(ctx context.Context, res resource, version string) ([]runtime.Object, error) {
	items, err := r.pages(ctx, res, version, pageSize)
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return r.pages(ctx, res, version, 0)
	}
	return items, err
}

// pages reads a resource in pages of a size. What came before an error is
// returned with it.
func (r *clusterReader) pages(ctx context.Context, res resource, version string, size int64) (items []runtime.Object, err error) {
	options := metav1.ListOptions{Limit: size}
	for {
		page, err := r.objects.Resource(res.at(version)).List(ctx, options)
		if err != nil {
			return items, err
		}
		for i := range page.Items {
			items = append(items, trim(res, &page.Items[i]))
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return items, nil
		}
	}
}

// trim drops what analysis does not need before the next page comes.
func trim(res resource, item *unstructured.Unstructured) *unstructured.Unstructured {
	snapshot.Prune(item)
	if res.plural == "nodes" { // the images that a node has are half of its object
		unstructured.RemoveNestedField(item.Object, "status", "images")
	}
	return item
}

// configMaps adds the config maps of kube-proxy and the CNI, one request each:
// others are none of our business.
func (r *clusterReader) configMaps(ctx context.Context) error {
	start := time.Now()
	maps := r.objects.Resource(resource{"", "v1", "configmaps"}.at("v1"))
	var items []runtime.Object
	var failure error
	for _, m := range configMaps() {
		item, err := maps.Namespace(m.namespace).Get(ctx, m.name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			failure = fmt.Errorf("%s/%s: %w", m.namespace, m.name, err)
		default:
			snapshot.RedactConfigMap(item)
			snapshot.Prune(item)
			items = append(items, item)
		}
	}
	return r.add("configmaps", items, failure, start)
}

// add writes a part, or what became of it. Items that came before a failure
// are kept.
func (r *clusterReader) add(part string, items []runtime.Object, err error, start time.Time) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	status, reason := clusterStatus(err)
	if err == nil && len(items) == 0 {
		status = nodedump.StatusEmpty
	}
	r.progress(netns.Event{Part: "cluster/" + part + ".yaml", Status: status, Reason: reason, Took: time.Since(start)})
	switch {
	case err == nil:
		return r.w.AddList(part, items...)
	case len(items) == 0:
		return r.w.Missing("cluster/"+part+".yaml", status, reason)
	}
	return r.partial(part, items, reason)
}

// partial writes the items of a list that broke off.
func (r *clusterReader) partial(part string, items []runtime.Object, reason string) error {
	whole := snapshot.NewWriter(snapshot.Meta{})
	if err := whole.AddList(part, items...); err != nil {
		return err
	}
	view, err := whole.Snapshot()
	if err != nil {
		return err
	}
	name := "cluster/" + part + ".yaml"
	data, err := view.Read(name)
	if err != nil {
		return err
	}
	return r.w.AddStatus(name, data, nodedump.StatusTruncated, reason)
}

// clusterStatus turns the answer of a server into the status of a part.
func clusterStatus(err error) (nodedump.Status, string) {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return nodedump.StatusOK, ""
	case apierrors.IsNotFound(err):
		return nodedump.StatusEmpty, absentReason
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return nodedump.StatusDenied, err.Error()
	case apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return nodedump.StatusTimedOut, err.Error()
	case errors.As(err, &status) && status.Status().Code == http.StatusMethodNotAllowed:
		return nodedump.StatusEmpty, absentReason
	}
	return nodedump.StatusFailed, err.Error()
}
