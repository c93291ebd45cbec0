package netns

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A register knows the pods of this machine.
type register struct {
	byUID  map[string]PodRef
	byAddr map[netip.Addr][]PodRef
}

// newRegister joins what the caller knows with what lies on the disk under
// root ("/"): the log directories of the pods, then the kubelet's own.
func newRegister(root string, pods []PodRef) *register {
	r := &register{byUID: map[string]PodRef{}, byAddr: map[netip.Addr][]PodRef{}}
	for _, pod := range pods {
		r.byUID[pod.UID] = pod
		for _, ip := range pod.IPs {
			if !pod.HostNetwork {
				r.byAddr[ip.Unmap()] = append(r.byAddr[ip.Unmap()], pod)
			}
		}
	}
	delete(r.byUID, "")
	logs, _ := os.ReadDir(filepath.Join(root, "var/log/pods")) // absent: nothing to learn
	for _, entry := range logs {
		if parts := strings.Split(entry.Name(), "_"); len(parts) == 3 {
			r.learn(PodRef{Namespace: parts[0], Name: parts[1], UID: parts[2]})
		}
	}
	kubelet := filepath.Join(root, "var/lib/kubelet/pods")
	dirs, _ := os.ReadDir(kubelet)
	for _, entry := range dirs {
		if _, known := r.byUID[entry.Name()]; known {
			continue
		}
		if pod := kubeletPod(filepath.Join(kubelet, entry.Name())); pod.Name != "" {
			pod.UID = entry.Name()
			r.learn(pod)
		}
	}
	return r
}

// learn adds a pod, unless its UID is known already.
func (r *register) learn(pod PodRef) {
	if _, known := r.byUID[pod.UID]; !known {
		r.byUID[pod.UID] = pod
	}
}

// kubeletPod reads the name of a pod from the hosts file that the kubelet made
// for it, and the namespace from beside its service account.
func kubeletPod(dir string) PodRef {
	found, _ := filepath.Glob(filepath.Join(dir, "volumes/kubernetes.io~projected/kube-api-access-*/namespace"))
	if len(found) == 0 {
		return PodRef{}
	}
	namespace, err := os.ReadFile(found[0])
	if err != nil {
		return PodRef{}
	}
	hosts, err := os.ReadFile(filepath.Join(dir, "etc-hosts"))
	if err != nil {
		return PodRef{}
	}
	name := ""
	for line := range strings.Lines(string(hosts)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if addr, err := netip.ParseAddr(fields[0]); err == nil && !addr.IsLoopback() && addr.IsGlobalUnicast() {
			name, _, _ = strings.Cut(fields[1], ".")
		}
	}
	return PodRef{Namespace: strings.TrimSpace(string(namespace)), Name: name}
}

// byUIDs returns the first pod of these that has a name.
func (r *register) byUIDs(uids []string) (PodRef, bool) {
	for _, uid := range uids {
		if pod, ok := r.byUID[uid]; ok {
			pod.UID = uid
			return pod, true
		}
	}
	return PodRef{}, false
}

// byAddrs returns the pod that has one of the addresses, if it is only one.
func (r *register) byAddrs(info *nodedump.NetNSInfo) (PodRef, bool) {
	var found []PodRef
	for _, dev := range info.Interfaces {
		for _, a := range dev.Addrs {
			prefix, err := netip.ParsePrefix(a.Prefix)
			if err != nil {
				continue
			}
			for _, pod := range r.byAddr[prefix.Addr()] {
				if !slices.ContainsFunc(found, func(f PodRef) bool { return f.Namespace == pod.Namespace && f.Name == pod.Name }) {
					found = append(found, pod)
				}
			}
		}
	}
	if len(found) != 1 {
		return PodRef{}, false
	}
	return found[0], true
}

// assign gives every space its final key and returns what is known about the
// pods. infos are the dumps of the spaces, in the same order.
func (r *register) assign(spaces []*space, infos []*nodedump.NetNSInfo) (pods []nodedump.PodNetInfo, notes []string) {
	taken := map[string]bool{}
	claim := func(s *space, pod PodRef) {
		key := safeName(pod.Namespace + "_" + pod.Name)
		if taken[key] {
			notes = append(notes, fmt.Sprintf("%s is also in %s: another sandbox of the same pod", key, s.label()))
			return
		}
		taken[key] = true
		s.pod, s.key = pod, key
	}
	for _, s := range spaces { // a UID is surer than an address
		if pod, ok := r.byUIDs(s.uids); ok && !s.host {
			claim(s, pod)
		}
	}
	for i, s := range spaces {
		if _, known := r.byUIDs(s.uids); known || s.host {
			continue
		}
		if pod, ok := r.byAddrs(infos[i]); ok {
			claim(s, pod)
		}
	}
	for i, s := range spaces {
		s.key = uniqueKey(s.label(), s, taken)
		infos[i].Key = s.key
		pods = append(pods, r.inside(s)...)
	}
	slices.SortFunc(pods, func(a, b nodedump.PodNetInfo) int {
		return strings.Compare(a.Namespace+"\x00"+a.Name+"\x00"+a.UID, b.Namespace+"\x00"+b.Name+"\x00"+b.UID)
	})
	return pods, notes
}

// uniqueKey returns a key that no other space has.
func uniqueKey(key string, s *space, taken map[string]bool) string {
	if s.pod.Name == "" && taken[key] {
		key = fmt.Sprintf("%s-%d", key, s.inode)
	}
	taken[key] = true
	return key
}

// inside lists the pods of one space: one, or in the node's own namespace all
// that use it.
func (r *register) inside(s *space) (pods []nodedump.PodNetInfo) {
	if !s.host {
		info := nodedump.PodNetInfo{Namespace: s.pod.Namespace, Name: s.pod.Name, UID: s.pod.UID, Netns: s.key}
		if info.UID == "" && len(s.uids) > 0 {
			info.UID = s.uids[0]
		}
		if info.Name == "" && info.UID == "" {
			return nil
		}
		return []nodedump.PodNetInfo{info}
	}
	named := map[[2]string]bool{} // a static pod has one UID here and one in the cluster
	add := func(uid string, pod PodRef) {
		id := [2]string{pod.Namespace, pod.Name}
		if pod.Name != "" && named[id] {
			return
		}
		named[id] = true
		pods = append(pods, nodedump.PodNetInfo{Namespace: pod.Namespace, Name: pod.Name, UID: uid, Netns: nodedump.HostNetns, HostNetwork: true})
	}
	for _, uid := range s.uids {
		add(uid, r.byUID[uid])
	}
	for uid, pod := range r.byUID {
		if pod.HostNetwork && !slices.Contains(s.uids, uid) {
			add(uid, pod)
		}
	}
	return pods
}

// safeName makes a file name of a name.
func safeName(name string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, name)
	if strings.Trim(safe, ".") == "" {
		return "unnamed"
	}
	return safe
}
