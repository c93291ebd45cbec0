package collect

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/pathsnap/pathsnap/collect/netns"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A fakeServer is an API server with canned answers by path, and a record of
// what it was asked.
type fakeServer struct {
	*httptest.Server
	mu      sync.Mutex
	asked   []string
	answers map[string]http.HandlerFunc
}

// newFakeServer starts a server; a path without an answer is not found.
func newFakeServer(t *testing.T, answers map[string]http.HandlerFunc) *fakeServer {
	t.Helper()
	f := &fakeServer{answers: answers}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+r.URL.RequestURI())
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if answer := f.answers[r.URL.Path]; answer != nil {
			answer(w, r)
			return
		}
		failure(http.StatusNotFound, "NotFound")(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// failure answers with an API error.
func failure(code int, reason string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"message":"no: %s","code":%d}`, reason, reason, code)
	}
}

// text answers with a text.
func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

// pages answers with a list in pages, as the limit of the request says.
func pages(kind string, count int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var from, limit int
		fmt.Sscan(r.URL.Query().Get("continue"), &from)
		fmt.Sscan(r.URL.Query().Get("limit"), &limit)
		items, next := []any{}, ""
		for i := from; i < count && i < from+limit; i++ {
			items = append(items, map[string]any{"metadata": map[string]any{
				"name": fmt.Sprintf("p%04d", i), "namespace": "default",
				"managedFields": []any{map[string]any{"manager": "noise"}},
			}})
		}
		if from+limit < count {
			next = fmt.Sprint(from + limit)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind + "List", "apiVersion": "v1", "metadata": map[string]any{"continue": next}, "items": items})
	}
}

const versionAnswer = `{"major":"1","minor":"34","gitVersion":"v1.34.4"}`

// groupsAnswer is a server with one of Calico's groups.
const groupsAnswer = `{"kind":"APIGroupList","apiVersion":"v1","groups":[
	{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}},
	{"name":"crd.projectcalico.org","versions":[{"groupVersion":"crd.projectcalico.org/v1","version":"v1"}],"preferredVersion":{"groupVersion":"crd.projectcalico.org/v1","version":"v1"}}]}`

const podAnswer = `{"kind":"PodList","apiVersion":"v1","items":[
 {"metadata":{"name":"web","namespace":"shop","uid":"u1","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{hush}"}},
  "spec":{"nodeName":"n1","containers":[{"name":"c","command":["hush"],"args":["--password=hush"],"env":[{"name":"A","value":"hush"}]}]},
  "status":{"podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}},
 {"metadata":{"name":"proxy","namespace":"kube-system","uid":"u2","annotations":{"kubernetes.io/config.hash":"h2"}},
  "spec":{"nodeName":"n1","hostNetwork":true,"containers":[]},"status":{"podIP":"172.31.0.11"}},
 {"metadata":{"name":"done","namespace":"shop","uid":"u3"},"spec":{"nodeName":"n1"},"status":{"phase":"Succeeded","podIP":"10.0.0.1"}},
 {"metadata":{"name":"far","namespace":"shop","uid":"u4"},"spec":{"nodeName":"n2"},"status":{"podIP":"10.0.1.1"}}]}`

// collectFrom collects the fake cluster.
func collectFrom(t *testing.T, f *fakeServer) (*snapshot.Snapshot, []netns.Event) {
	t.Helper()
	w := snapshot.NewWriter(snapshot.Meta{Tool: "test"})
	var events []netns.Event
	require.NoError(t, Cluster(context.Background(), ClusterOptions{
		Config: &rest.Config{Host: f.URL}, Progress: func(e netns.Event) { events = append(events, e) },
	}, w))
	s, err := w.Snapshot()
	require.NoError(t, err)
	return s, events
}

func TestCluster(t *testing.T) {
	f := newFakeServer(t, map[string]http.HandlerFunc{
		"/version": text(versionAnswer), "/apis": text(groupsAnswer), "/api": text(`{"kind":"APIVersions","versions":["v1"]}`),
		"/api/v1/pods":     text(podAnswer),
		"/api/v1/services": pages("Service", 1203),
		"/api/v1/nodes":    text(`{"kind":"NodeList","items":[{"metadata":{"name":"n1"},"status":{"images":[{"names":["big"]}],"nodeInfo":{"kernelVersion":"6.1"}}}]}`),
		"/apis/networking.k8s.io/v1/networkpolicies":     failure(http.StatusForbidden, "Forbidden"),
		"/api/v1/namespaces":                             failure(http.StatusInternalServerError, "InternalError"),
		"/apis/apps/v1/daemonsets":                       pages("DaemonSet", 0),
		"/apis/crd.projectcalico.org/v1/ippools":         text(`{"kind":"IPPoolList","apiVersion":"crd.projectcalico.org/v1","items":[{"metadata":{"name":"default"},"spec":{"cidr":"10.0.0.0/16"}}]}`),
		"/apis/crd.projectcalico.org/v1/networkpolicies": pages("NetworkPolicy", 1),
		"/api/v1/namespaces/kube-system/configmaps/kube-proxy": text(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"kube-proxy","namespace":"kube-system"},
			"data":{"config.conf":"mode: ipvs\n","kubeconfig.conf":"users:\n- user:\n    token: hush\n"}}`),
		"/api/v1/namespaces/kube-system/configmaps/eni-config": text(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"eni-config","namespace":"kube-system"},
			"data":{"eni_conf":"{\"access_key\": \"hush\", \"service_cidr\":\"172.16.0.0/16\"}"}}`),
	})
	s, events := collectFrom(t, f)
	require.Equal(t, "v1.34.4", s.Manifest().Kubernetes)
	for name, want := range map[string]nodedump.Status{
		"pods": "ok", "services": "ok", "nodes": "ok", "configmaps": "ok", "daemonsets": "empty",
		"networkpolicies": "denied", "namespaces": "failed", "endpointslices": "empty", "endpoints": "empty",
		"ippools.crd.projectcalico.org": "ok", "networkpolicies.crd.projectcalico.org": "ok", "tiers.crd.projectcalico.org": "empty",
		"tiers.projectcalico.org": "not-collected", "adminnetworkpolicies.policy.networking.k8s.io": "not-collected",
	} {
		require.Equal(t, want, s.Part("cluster/"+name+".yaml").Status, name)
	}
	require.Contains(t, s.Part("cluster/networkpolicies.yaml").Reason, "Forbidden")

	services, err := s.Services()
	require.NoError(t, err)
	require.Len(t, services, 1203)
	require.Equal(t, "p1202", services[1202].Name)
	configs, err := s.ConfigMaps()
	require.NoError(t, err)
	require.Len(t, configs, 2)
	require.Contains(t, configs[1].Data["config.conf"], "mode: ipvs")
	for _, part := range s.Manifest().Parts {
		data, err := s.Read(part.Name)
		if part.Status == nodedump.StatusOK {
			require.NoError(t, err)
		}
		require.NotContains(t, string(data), "hush", part.Name)
		require.NotContains(t, string(data), "noise", part.Name)
	}
	require.NotEmpty(t, events)

	asked := strings.Join(f.asked, "\n")
	require.Equal(t, 3, strings.Count(asked, "/api/v1/services?"), "three pages")
	require.Contains(t, asked, "limit=500")
	require.NotContains(t, asked, "secrets")
	for _, line := range f.asked {
		require.True(t, strings.HasPrefix(line, "GET "), line)
	}

	refs, err := PodRefs(s, "n1")
	require.NoError(t, err)
	require.Equal(t, []netns.PodRef{
		{Namespace: "kube-system", Name: "proxy", UID: "h2", HostNetwork: true, IPs: []netip.Addr{netip.MustParseAddr("172.31.0.11")}},
		{Namespace: "shop", Name: "web", UID: "u1", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")}},
	}, refs)
}

func TestListThatBreaksOffIsTruncated(t *testing.T) {
	all := pages("Pod", 700)
	f := newFakeServer(t, map[string]http.HandlerFunc{
		"/version": text(versionAnswer), "/apis": text(groupsAnswer),
		"/api/v1/pods": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("continue") != "" {
				failure(http.StatusInternalServerError, "InternalError")(w, r)
				return
			}
			all(w, r)
		},
	})
	s, _ := collectFrom(t, f)
	require.Equal(t, nodedump.StatusTruncated, s.Part("cluster/pods.yaml").Status)
	pods, err := s.Pods()
	require.NoError(t, err)
	require.Len(t, pods, 500)
}

func TestExpiredPageStartsAgain(t *testing.T) {
	f := newFakeServer(t, map[string]http.HandlerFunc{
		"/version": text(versionAnswer), "/apis": text(groupsAnswer),
		"/api/v1/pods": func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Query().Get("continue") != "":
				failure(http.StatusGone, "Expired")(w, r)
			case r.URL.Query().Get("limit") == "":
				r.URL.RawQuery = "limit=1000"
				pages("Pod", 700)(w, r)
			default:
				pages("Pod", 700)(w, r)
			}
		},
	})
	s, _ := collectFrom(t, f)
	pods, err := s.Pods()
	require.NoError(t, err)
	require.Len(t, pods, 700, "each pod once: %s", s.Part("cluster/pods.yaml").Reason)
}

func TestNoServer(t *testing.T) {
	f := newFakeServer(t, nil)
	f.Close()
	err := Cluster(context.Background(), ClusterOptions{Config: &rest.Config{Host: f.URL}}, snapshot.NewWriter(snapshot.Meta{}))
	require.ErrorIs(t, err, ErrNoCluster)
	err = Cluster(context.Background(), ClusterOptions{Kubeconfig: t.TempDir() + "/none"}, snapshot.NewWriter(snapshot.Meta{}))
	require.ErrorContains(t, err, "kubeconfig")
}

func TestNoSecretIsEverListed(t *testing.T) {
	for _, r := range append(builtins(), customs()...) {
		require.NotContains(t, strings.ToLower(r.plural), "secret")
		require.NotEqual(t, "configmaps", r.part(), "they are read one by one")
	}
}

func TestAddNode(t *testing.T) {
	r := &netns.Result{
		Node:  &nodedump.NodeNetworkStackDump{Name: "n1", Netns: []string{"host"}},
		Netns: []*nodedump.NetNSInfo{{Key: "host", IPTables: nodedump.Part{Status: nodedump.StatusToolMissing, Reason: "no such tool"}}},
		Files: map[string]netns.File{
			"etc/cni/net.d/10-x.conflist": {Data: []byte("{}"), Status: nodedump.StatusOK},
			"run/flannel/subnet.env":      {Status: nodedump.StatusDenied, Reason: "no"},
		},
	}
	write := func(external bool) []byte {
		r.Node.External = external
		w := snapshot.NewWriter(snapshot.Meta{})
		require.NoError(t, AddNode(r, w))
		err := AddNode(r, w)
		require.ErrorIs(t, err, snapshot.ErrConflict)
		var out bytes.Buffer
		require.NoError(t, w.WriteArchive(&out))
		s, err := w.Snapshot()
		require.NoError(t, err)
		base := snapshot.NodeBase("n1", external)
		require.Equal(t, nodedump.StatusOK, s.Part(base+"/files/etc/cni/net.d/10-x.conflist").Status)
		require.Equal(t, nodedump.StatusDenied, s.Part(base+"/files/run/flannel/subnet.env").Status)
		require.Equal(t, nodedump.StatusToolMissing, s.Part(base+"/netns/host/iptables-save.txt").Status)
		return out.Bytes()
	}
	require.Equal(t, write(false), write(false))
	write(true)
}

// A group need not have every resource in the version that it prefers.
func TestResourcesOfOtherVersions(t *testing.T) {
	const groups = `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"policy.networking.k8s.io","preferredVersion":{"version":"v1alpha2"},
		"versions":[{"version":"v1alpha2"},{"version":"v1alpha1"}]}]}`
	const item = `"items":[{"metadata":{"name":"a"},"spec":{"priority":7}}]}`
	f := newFakeServer(t, map[string]http.HandlerFunc{
		"/version": text(versionAnswer), "/apis": text(groups), "/api": text(`{"kind":"APIVersions","versions":["v1"]}`),
		"/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies":   text(`{"kind":"AdminNetworkPolicyList","apiVersion":"policy.networking.k8s.io/v1alpha1",` + item),
		"/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies": text(`{"kind":"ClusterNetworkPolicyList","apiVersion":"policy.networking.k8s.io/v1alpha2",` + item),
	})
	s, _ := collectFrom(t, f)
	for _, read := range []func() ([]snapshot.AdminPolicy, error){s.AdminNetworkPolicies, s.ClusterNetworkPolicies} {
		list, err := read()
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.EqualValues(t, 7, list[0].Spec.Priority)
	}
	require.Equal(t, nodedump.StatusEmpty, s.Part("cluster/baselineadminnetworkpolicies.policy.networking.k8s.io.yaml").Status)
}
