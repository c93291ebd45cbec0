package plugin_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// networks are three networks and a fallback, each with all kinds of marks.
func networks() []*plugin.Descriptor {
	return []*plugin.Descriptor{
		{Name: "red", Detect: []plugin.Marks{{Sets: []string{"red-ds*"}, Images: []string{"net/red"}, Types: []string{"red"}, Files: []string{"run/red/env"},
			Annotations: []string{"red.io/*"}, ConfigMaps: []string{"red-config"}, Resources: []string{"pools.red.io", "pools.api.red.io"}, Devices: []string{"red.*", "tunl0"}}}},
		{Name: "blue", Detect: []plugin.Marks{{Sets: []string{"blue"}, Types: []string{"blue"}, Configs: []string{"*-blue.conf"}, Devices: []string{"blue*"}, Includes: []string{"ptp"}}}},
		{Name: "plain", Fallback: true, Detect: []plugin.Marks{
			{CNI: "purple", Sets: []string{"purple"}, Configs: []string{"*-purple.conflist"}, Includes: []string{"red", "blue"}},
			{CNI: "ptp", Types: []string{"ptp"}}}},
	}
}

// A site is a bundle that is written one short line at a time.
type site struct {
	t     *testing.T
	w     *snapshot.Writer
	lists map[string][]runtime.Object
	devs  map[string][]nodedump.Interface
}

// build makes the bundle of a text: words of one thing each, "kind:node:what",
// without a node for what belongs to the cluster.
func build(t *testing.T, text string) *snapshot.Snapshot {
	t.Helper()
	s := &site{t, snapshot.NewWriter(snapshot.Meta{}), map[string][]runtime.Object{}, map[string][]nodedump.Interface{}}
	for _, word := range strings.Fields(text) {
		f := strings.SplitN(word, ":", 3)
		s.add(f[0], f[1], f[len(f)-1])
	}
	for node, devs := range s.devs {
		require.NoError(t, s.w.AddNetNS("nodes/"+node, &nodedump.NetNSInfo{Key: nodedump.HostNetns, Interfaces: devs}))
	}
	for resource, items := range s.lists {
		require.NoError(t, s.w.AddList(resource, items...))
	}
	snap, err := s.w.Snapshot()
	require.NoError(t, err)
	return snap
}

func (s *site) add(kind, node, what string) {
	meta := metav1.ObjectMeta{Namespace: "net", Name: what}
	file := func(name, text string) { require.NoError(s.t, s.w.Add("nodes/"+node+"/files/"+name, []byte(text))) }
	switch kind {
	case "node": // node:n1:label=value
		key, value, _ := strings.Cut(what, "=")
		s.lists["nodes"] = append(s.lists["nodes"], &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node, Labels: map[string]string{key: value}, Annotations: map[string]string{key: value}}})
	case "set": // set:label=value:name, set:label~operator~value,value:name, set::name
		ds := &appsv1.DaemonSet{ObjectMeta: meta}
		if key, value, ok := strings.Cut(node, "="); ok {
			ds.Spec.Template.Spec.NodeSelector = map[string]string{key: value}
		} else if key, op, ok := strings.Cut(node, "~"); ok {
			op, values, _ := strings.Cut(op, "~")
			e := corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOperator(op)}
			if values != "" {
				e.Values = strings.Split(values, ",")
			}
			ds.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{e}}}}}}
		}
		s.lists["daemonsets"] = append(s.lists["daemonsets"], ds)
	case "pod", "ended", "image": // of a DaemonSet, or with an image
		isTrue, pod := true, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "net", Name: fmt.Sprintf("p%d", len(s.lists["pods"]))}, Spec: corev1.PodSpec{NodeName: node, HostNetwork: true}}
		switch kind {
		case "image":
			pod.Spec.Containers = []corev1.Container{{Image: what}}
		case "ended":
			pod.Status.Phase = corev1.PodFailed
			fallthrough
		default:
			pod.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: what, Controller: &isTrue}}
		}
		s.lists["pods"] = append(s.lists["pods"], pod)
	case "map":
		s.lists["configmaps"] = append(s.lists["configmaps"], &corev1.ConfigMap{ObjectMeta: meta})
	case "custom":
		s.lists[what] = append(s.lists[what], &unstructured.Unstructured{Object: map[string]any{"apiVersion": "red.io/v1", "kind": "Pool", "metadata": map[string]any{"name": "one"}}})
	case "none": // a custom resource without objects
		s.lists[what] = nil
	case "file":
		file(what, "")
	case "conf": // conf:n1:10-x.conf=type,type
		name, types, _ := strings.Cut(what, "=")
		file("etc/cni/net.d/"+name, `{"plugins": [{"type": "`+strings.ReplaceAll(types, ",", `"}, {"type": "`)+`"}]}`)
	case "at": // at:n1:dir/10-x.conf=type
		name, one, _ := strings.Cut(what, "=")
		file(name, `{"type": "`+one+`"}`)
	case "multus":
		file("etc/cni/net.d/00-multus.conf", `{"type": "multus", "delegates": [{"plugins": [{"type": "`+what+`"}]}]}`)
	case "broken":
		file("etc/cni/net.d/"+what, `{"plugins": [`)
	case "dev": // dev:n1:name, dev:n1:name=UP
		name, flag, _ := strings.Cut(what, "=")
		s.devs[node] = append(s.devs[node], nodedump.Interface{Name: name, Index: len(s.devs[node]) + 1, Flags: []string{flag}})
	default:
		s.t.Fatal(kind)
	}
}

// told is the answer in a line per node: "n1 red (evidence)", with "+" before
// what is of other networks.
func told(n *plugin.NodeNetwork) string {
	out := strings.TrimSpace(fmt.Sprintf("%s %s/%s", n.Node, n.Plugin.Name, n.CNI))
	for _, s := range n.Saw {
		out += ", " + s.Kind + " " + s.What
	}
	for _, s := range n.Others {
		out += " + " + s.CNI + " " + s.Kind + " " + s.What
	}
	return out
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"the configuration that sorts first", "conf:n1:20-a.conflist=red conf:n1:10-b.conflist=blue", "n1 blue/blue, config CNI configuration 10-b.conflist of type blue + red config CNI configuration 20-a.conflist of type red"},
		{"files that are no configuration", "conf:n1:10-a.conflist.bak=blue conf:n1:20-b.conf=red", "n1 red/red, config CNI configuration 20-b.conf of type red"},
		{"chained plugins follow", "conf:n1:10-a.conflist=red,blue", "n1 red/red, config CNI configuration 10-a.conflist of type red"},
		{"whose agents are there by intent", "conf:n1:10-a.conflist=red,blue pod:n1:blue", "n1 red/red, config CNI configuration 10-a.conflist of type red"},
		{"a name of a file before types", "conf:n1:10-blue.conf=red", "n1 blue/blue, config CNI configuration 10-blue.conf"},
		{"multus calls another", "multus:n1:blue conf:n1:10-a.conf=red", "n1 blue/blue, config CNI configuration 00-multus.conf of type blue + red config CNI configuration 10-a.conf of type red"},
		{"multus that does not say which", "conf:n1:00-multus.conf=multus conf:n1:10-a.conf=red", "n1 red/red, config CNI configuration 10-a.conf of type red"},
		{"multus with a daemon of its own", "conf:n1:00-multus.conf=multus-shim conf:n1:10-a.conf=red", "n1 red/red, config CNI configuration 10-a.conf of type red"},
		{"a directory of another place", "at:n1:var/lib/rancher/k3s/agent/etc/cni/net.d/10-a.conf=red", "n1 red/red, config CNI configuration 10-a.conf of type red"},
		{"that of MicroK8s", "at:n1:var/snap/microk8s/current/args/cni-network/10-a.conf=red", "n1 red/red, config CNI configuration 10-a.conf of type red"},
		{"that of OpenShift comes before CRI-O's", "conf:n1:100-crio.conflist=ptp at:n1:etc/kubernetes/cni/net.d/10-a.conf=red", "n1 red/red, config CNI configuration 10-a.conf of type red"},
		{"a broken configuration is nobody's", "broken:n1:00-a.conf", "n1 plain/"},
		{"an agent's pod", "pod:n1:red-ds-arm64", "n1 red/red, agent pod of DaemonSet net/red-ds-arm64"},
		{"an agent by its image", "image:n1:docker.io/net/red:v1", "n1 red/red, agent pod net/p0"},
		{"an image of a registry with a port", "image:n1:host:5000/net/red@sha256:12", "n1 red/red, agent pod net/p0"},
		{"another's image", "image:n1:docker.io/net/redder:v1", "n1 plain/"},
		{"an agent that has ended", "node:n1: ended:n1:red-ds", "n1 plain/"},
		{"the configuration before the agent", "conf:n1:10-a.conf=blue pod:n1:red-ds", "n1 blue/blue, config CNI configuration 10-a.conf of type blue + red agent pod of DaemonSet net/red-ds"},
		{"the agent before what was left", "pod:n1:blue file:n1:run/red/env node:n1:red.io/ip=1", "n1 blue/blue, agent pod of DaemonSet net/blue + red file /run/red/env + red annotation annotation red.io/ip"},
		{"an annotation", "node:n1:red.io/ip=1", "n1 red/red, annotation annotation red.io/ip"},
		{"a DaemonSet for all nodes", "node:n1: set::blue", "n1 blue/blue, daemonset DaemonSet net/blue"},
		{"a DaemonSet for this node", "node:n1:pool=b set:pool=a:red-ds set:pool=b:blue", "n1 blue/blue, daemonset DaemonSet net/blue"},
		{"a DaemonSet whose affinity is for this node", "node:n1:pool=b set:pool~NotIn~b,c:red-ds set:pool~In~a,b:blue", "n1 blue/blue, daemonset DaemonSet net/blue"},
		{"one whose affinity makes no sense", "node:n1:pool=b set:pool~Near~b:red-ds set:pool~Exists:blue", "n1 blue/blue, daemonset DaemonSet net/blue"},
		{"what it was left with before a DaemonSet", "node:n1:red.io/ip=1 set::blue", "n1 red/red, annotation annotation red.io/ip"},
		{"a ConfigMap", "node:n1: map::red-config", "n1 red/red, configmap ConfigMap net/red-config"},
		{"custom resources", "node:n1: custom::pools.red.io", "n1 red/red, resource pools.red.io"},
		{"custom resources of the other group", "node:n1: none::pools.red.io custom::pools.api.red.io", "n1 red/red, resource pools.api.red.io"},
		{"a custom resource without objects", "node:n1: none::pools.red.io", "n1 plain/"},
		{"a device, if nothing else tells", "dev:n1:eth0 dev:n1:blue7", "n1 blue/blue, device device blue7"},
		{"no device where something tells", "dev:n1:blue7 map::red-config", "n1 red/red, configmap ConfigMap net/red-config"},
		{"a device of the kernel's own making", "dev:n1:tunl0", "n1 plain/"},
		{"one that somebody brought up", "dev:n1:tunl0=UP", "n1 red/red, device device tunl0"},
		{"a network that brings others along", "conf:n1:10-a.conf=red pod:n1:purple file:n1:run/red/env", "n1 plain/purple, agent pod of DaemonSet net/purple"},
		{"one that only the cluster's objects show", "conf:n1:10-a.conf=red set::purple", "n1 red/red, config CNI configuration 10-a.conf of type red"},
		{"beside the cluster's objects of one that it brings along", "node:n1: set::purple map::red-config", "n1 plain/purple, daemonset DaemonSet net/purple"},
		{"a plugin that others use", "conf:n1:10-a.conf=ptp pod:n1:blue", "n1 blue/blue, agent pod of DaemonSet net/blue"},
		{"a plugin that nobody else uses here", "conf:n1:10-a.conf=ptp node:n1: map::red-config", "n1 plain/ptp, config CNI configuration 10-a.conf of type ptp"},
		{"nothing known", "node:n1: dev:n1:eth0", "n1 plain/"},
	} {
		d := plugin.Detect(build(t, tt.text), networks())
		require.Len(t, d.Nodes, 1, tt.name)
		require.Equal(t, tt.want, told(&d.Nodes[0]), tt.name)
	}
}

func TestDetectMixed(t *testing.T) {
	for _, tt := range []struct{ name, text, want, cluster, only string }{
		{"half of a migration", "node:n1: node:n2: node:n3: set::red-ds set::blue pod:n1:red-ds pod:n2:blue pod:n3:blue conf:n2:10-blue.conf=blue conf:n2:20-red.conf=red",
			"n1 red/red, agent pod of DaemonSet net/red-ds, daemonset DaemonSet net/red-ds\n" +
				"n2 blue/blue, config CNI configuration 10-blue.conf, agent pod of DaemonSet net/blue, daemonset DaemonSet net/blue + red config CNI configuration 20-red.conf of type red\n" +
				"n3 blue/blue, agent pod of DaemonSet net/blue, daemonset DaemonSet net/blue", "blue", ""},
		{"pools", "node:n1:pool=a node:n2:pool=b set:pool=a:red-ds set:pool=b:purple", "n1 red/red, daemonset DaemonSet net/red-ds\nn2 plain/purple, daemonset DaemonSet net/purple", "red", ""},
		{"a node that nothing tells about", "node:n1:pool=a node:n2:pool=b set:pool=a:red-ds", "n1 red/red, daemonset DaemonSet net/red-ds\nn2 plain/", "red", "red"},
		{"nodes that nobody knows", "node:n1: node:n2:", "n1 plain/\nn2 plain/", "", ""},
		{"no nodes", "set::blue", "", "blue", "blue"},
		{"an empty bundle", "", "", "", ""},
	} {
		d := plugin.Detect(build(t, tt.text), networks())
		var lines []string
		for i := range d.Nodes {
			lines = append(lines, told(&d.Nodes[i]))
		}
		require.Equal(t, tt.want, strings.Join(lines, "\n"), tt.name)
		require.Equal(t, tt.cluster, d.Cluster.CNI, tt.name)
		require.Equal(t, tt.only, d.Only(), tt.name)
		require.Equal(t, tt.cluster, d.Of("no such node").CNI, tt.name)
	}
}

// Of two plugins that serve a network the first of the list does.
func TestDetectTwoPluginsForOneNetwork(t *testing.T) {
	again := networks()[1]
	again.Name, again.Detect[0].CNI = "new", "blue"
	d := plugin.Detect(build(t, "conf:n1:10-blue.conf=blue"), append([]*plugin.Descriptor{again}, networks()...))
	require.Equal(t, "n1 new/blue, config CNI configuration 10-blue.conf", told(&d.Nodes[0]))
}

func TestTold(t *testing.T) {
	red := networks()[0]
	d := plugin.Told(red, "--network-plugin")
	require.Same(t, red, d.Of("n1").Plugin)
	require.Equal(t, "--network-plugin", d.Of("n1").Evidence())
	require.Equal(t, "red", d.Only())
	require.True(t, d.Serves("red"))
	require.False(t, d.Serves("blue"))
}

func TestLeft(t *testing.T) {
	d := plugin.Detect(build(t, "conf:n1:10-a.conf=blue node:n2:"), networks())
	devices := []nodedump.Interface{{Name: "lo"}, {Name: "blue1"}, {Name: "red.1"}, {Name: "tunl0"}}
	left := d.Left("n1", devices)
	require.Len(t, left, 1)
	require.Equal(t, "red device device red.1", left[0].CNI+" "+left[0].Kind+" "+left[0].What)
	require.Equal(t, "nodes/n1/netns/host/netns.json", left[0].Evidence)
	require.Empty(t, d.Left("n1", devices[:2]))
	d = plugin.Detect(build(t, "pod:n1:purple"), networks())
	require.Empty(t, d.Left("n1", devices), "those that it brings along are its own")
	d = plugin.Detect(build(t, "pod:n1:red-ds"), append(networks(), &plugin.Descriptor{Name: "pink", Detect: []plugin.Marks{{Devices: []string{"red.*"}}}}))
	require.Empty(t, d.Left("n1", devices[2:]), "one that two networks may make")
}

func TestNoFallback(t *testing.T) {
	d := plugin.Detect(build(t, "node:n1:"), networks()[:2])
	require.Nil(t, d.Of("n1").Plugin)
	require.Empty(t, d.Of("n1").Evidence())
}
