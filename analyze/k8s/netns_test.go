package k8s

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestPodNetns(t *testing.T) {
	c := cache(t, bundle{cluster: map[string]string{
		"nodes": "[]", "services": "[]", "configmaps": "[]",
		"pods": `
- {metadata: {namespace: demo, name: a, uid: ua}, spec: {nodeName: n1}, status: {phase: Running, podIP: 10.244.1.2}}
- {metadata: {namespace: demo, name: b, uid: ub}, spec: {nodeName: n1}, status: {phase: Running, podIP: 10.244.1.3}}
- {metadata: {namespace: demo, name: far, uid: uf}, spec: {nodeName: n2}, status: {phase: Running, podIP: 10.244.1.4}}
- {metadata: {namespace: kube-system, name: static-n1, uid: um, annotations: {kubernetes.io/config.hash: us}}, spec: {nodeName: n1}, status: {phase: Running, podIP: 10.244.1.5}}
`,
	}})
	// "dead" cannot be read; the others have the address in their name.
	load := func(key string) (*nodedump.NetNSInfo, error) {
		if key == "dead" {
			return nil, errors.New("not collected")
		}
		return netns(key, []string{"lo", "127.0.0.1/8"}, []string{"eth0", key + "/24"}), nil
	}
	type pod = nodedump.PodNetInfo
	for _, tt := range []struct {
		why   string
		pods  []pod
		netns []string
		want  []PodNetns
	}{
		{"by name", []pod{{Namespace: "demo", Name: "a", Netns: "k"}}, []string{"host", "k"}, []PodNetns{{"k", "demo", "a", "name"}}},
		{"by name and UID", []pod{{Namespace: "demo", Name: "a", UID: "ua", Netns: "k"}}, []string{"k"}, []PodNetns{{"k", "demo", "a", "name"}}},
		{"by UID alone", []pod{{UID: "ub", Netns: "k"}}, []string{"host", "k"}, []PodNetns{{"k", "demo", "b", "uid"}}},
		{"static pod by the UID that the kubelet knows", []pod{{UID: "us", Netns: "k"}}, []string{"host", "k"}, []PodNetns{{"k", "kube-system", "static-n1", "uid"}}},
		{"unknown UID, known address", []pod{{UID: "ux", Netns: "10.244.1.2"}}, []string{"10.244.1.2"}, []PodNetns{{"10.244.1.2", "demo", "a", "address"}}},
		{"no entry, known address", nil, []string{"host", "10.244.1.3"}, []PodNetns{{"10.244.1.3", "demo", "b", "address"}}},
		{"address of a pod of another node", nil, []string{"10.244.1.4"}, []PodNetns{{"10.244.1.4", "", "", ""}}},
		{"nobody's address", nil, []string{"10.9.9.9"}, []PodNetns{{"10.9.9.9", "", "", ""}}},
		{"not collected", nil, []string{"dead"}, []PodNetns{{"dead", "", "", ""}}},
		{"hostNetwork pod", []pod{{Namespace: "demo", Name: "a", Netns: "host", HostNetwork: true}}, []string{"host"}, nil},
		{"an entry that the list of keys lacks", []pod{{Namespace: "demo", Name: "a", Netns: "k"}}, nil, []PodNetns{{"k", "demo", "a", "name"}}},
		{"a pod that the cluster part does not know yet", []pod{{Namespace: "demo", Name: "young", UID: "uy", Netns: "k"}}, []string{"k"}, []PodNetns{{"k", "demo", "young", "name"}}},
		{"order of the dump", []pod{{UID: "ub", Netns: "y"}, {UID: "ua", Netns: "x"}}, []string{"x", "y"}, []PodNetns{{"x", "demo", "a", "uid"}, {"y", "demo", "b", "uid"}}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			node := &nodedump.NodeNetworkStackDump{Name: "n1", Pods: tt.pods, Netns: tt.netns}
			require.Equal(t, tt.want, c.PodNetns(node, load))
		})
	}
}
