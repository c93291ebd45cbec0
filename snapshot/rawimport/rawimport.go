// Package rawimport makes a bundle from the standard outputs that people
// already have: "kubectl get -o yaml" and, per node and pod, what ip, bridge,
// iptables-save and the like print. docs/bundle-format.md lists the files.
//
// A file that is missing is a part that was not collected. A file that cannot
// be read is a part that failed, and the rest goes on; an entry that cannot be
// read costs that entry and leaves a note in node.json.
package rawimport

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// ErrNothing indicates a directory that has none of the files to import.
var ErrNothing = errors.New("nothing to import: neither cluster/, nodes/, external/ nor infra/ has a file")

// Import adds what it finds in raw to w.
func Import(raw fs.FS, w *snapshot.Writer) error {
	cluster, err := importCluster(raw, w)
	if err != nil {
		return err
	}
	found, err := importInfra(raw, w)
	if err != nil {
		return err
	}
	found = found || cluster.found
	for _, place := range []struct {
		dir      string
		external bool
	}{{"nodes", false}, {"external", true}} {
		names, err := subdirs(raw, place.dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			found = true
			n := &node{raw: raw, w: w, dir: place.dir + "/" + name, pods: cluster.pods}
			n.dump = nodedump.NodeNetworkStackDump{Name: name, External: place.external}
			if err := n.importNode(); err != nil {
				return fmt.Errorf("%s: %w", n.dir, err)
			}
		}
	}
	if !found {
		return ErrNothing
	}
	return nil
}

// subdirs returns the names of the directories in dir, which may be missing.
func subdirs(raw fs.FS, dir string) ([]string, error) {
	entries, err := fs.ReadDir(raw, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// A node is one node while it is imported.
type node struct {
	raw  fs.FS
	w    *snapshot.Writer
	dir  string // in raw
	pods []corev1.Pod
	dump nodedump.NodeNetworkStackDump
	all  []*nodedump.NetNSInfo
}

// importNode adds a node, its network namespaces and its files.
func (n *node) importNode() error {
	base := snapshot.NodeBase(n.dump.Name, n.dump.External)
	if err := snapshot.CheckName(base); err != nil {
		return err
	}
	dirs, err := subdirs(n.raw, n.dir)
	if err != nil {
		return err
	}
	if n.dump.External && !slices.Contains(dirs, nodedump.HostNetns) {
		n.netns(n.dir, nodedump.HostNetns)
	}
	// "host" first, then in the order of the names.
	slices.SortStableFunc(dirs, func(a, b string) int { return rankDir(a) - rankDir(b) })
	for _, dir := range dirs {
		switch {
		case dir == "files":
			err = errors.Join(err, n.files(base))
		case dir == nodedump.HostNetns || strings.Contains(dir, "_"):
			n.netns(path.Join(n.dir, dir), dir)
		default:
			n.note("%s: neither %q nor <namespace>_<pod>, ignored", dir, nodedump.HostNetns)
		}
	}
	n.hostNetworkPods()
	findPeers(n.all)
	snapshot.LinkAbove(n.all)
	for _, info := range n.all {
		err = errors.Join(err, n.w.AddNetNS(base, info))
	}
	return errors.Join(err, n.w.AddNode(&n.dump))
}

func rankDir(dir string) int {
	if dir == nodedump.HostNetns {
		return 0
	}
	return 1
}

func (n *node) note(format string, args ...any) {
	n.dump.Notes = append(n.dump.Notes, fmt.Sprintf(format, args...))
}

// netns reads the files of one network namespace.
func (n *node) netns(dir, key string) {
	if err := snapshot.CheckName(key); err != nil {
		n.note("%v", err)
		return
	}
	r := &reader{key: key, info: &nodedump.NetNSInfo{Key: key}, note: n.note}
	r.open = func(name string) ([]byte, error) { return fs.ReadFile(n.raw, path.Join(dir, name)) }
	r.at = func(name string) string { return key + "/" + name }
	r.readAll()
	n.all = append(n.all, r.info)
	n.dump.Netns = append(n.dump.Netns, key)
	if r.kernel != "" && n.dump.Kernel == "" {
		n.dump.Kernel = r.kernel
	}
	if namespace, name, isPod := strings.Cut(key, "_"); isPod {
		p := nodedump.PodNetInfo{Namespace: namespace, Name: name, Netns: key}
		for i := range n.pods {
			if n.pods[i].Namespace == namespace && n.pods[i].Name == name {
				p.UID = string(n.pods[i].UID)
			}
		}
		n.dump.Pods = append(n.dump.Pods, p)
	}
}

// hostNetworkPods adds the pods that live in the node's own namespace.
func (n *node) hostNetworkPods() {
	if n.dump.External {
		return
	}
	for i := range n.pods {
		p := &n.pods[i]
		done := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		if p.Spec.NodeName != n.dump.Name || !p.Spec.HostNetwork || done {
			continue
		}
		n.dump.Pods = append(n.dump.Pods, nodedump.PodNetInfo{
			Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Netns: nodedump.HostNetns, HostNetwork: true,
		})
	}
}

// files copies what lies below files/, without credentials.
func (n *node) files(base string) error {
	from := path.Join(n.dir, "files")
	return fs.WalkDir(n.raw, from, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		to := base + "/files/" + strings.TrimPrefix(name, from+"/")
		if err := snapshot.CheckName(to); err != nil {
			n.note("%v", err)
			return nil
		}
		data, err := fs.ReadFile(n.raw, name)
		if err != nil {
			return n.w.Missing(to, nodedump.StatusFailed, err.Error())
		}
		clean, ok := snapshot.Redact(data)
		if !ok {
			return n.w.Missing(to, nodedump.StatusFailed, "left out: it holds a private key")
		}
		return n.w.Add(to, clean)
	})
}

// findPeers finds out in which namespace the peer of a veth lies: in the only
// one that has a veth of that index that points back.
func findPeers(all []*nodedump.NetNSInfo) {
	type end struct{ index, link int }
	ends := map[end][]*nodedump.NetNSInfo{}
	for _, ns := range all {
		for _, i := range ns.Interfaces {
			if i.Kind == "veth" && i.LinkNSID != nil {
				ends[end{i.Index, i.Link}] = append(ends[end{i.Index, i.Link}], ns)
			}
		}
	}
	for _, ns := range all {
		for i := range ns.Interfaces {
			v := &ns.Interfaces[i]
			if v.Kind != "veth" || v.LinkNSID == nil {
				continue
			}
			peers := ends[end{v.Link, v.Index}]
			peers = slices.DeleteFunc(slices.Clone(peers), func(p *nodedump.NetNSInfo) bool { return p == ns })
			if len(peers) == 1 {
				v.PeerNetns = peers[0].Key
			}
		}
	}
}
