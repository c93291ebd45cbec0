package netns

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// maxFile is the most that is kept of one configuration file.
const maxFile = 1 << 20

// configGlobs lists the files of CNI plugins that are collected. OpenShift, k3s and
// MicroK8s have directories of their own for what most have in etc.
func configGlobs() []string {
	const k3s = "var/lib/rancher/k3s/agent/etc/"
	return []string{"etc/cni/net.d/*", "etc/kubernetes/cni/net.d/*", k3s + "cni/net.d/*", "var/snap/microk8s/current/args/cni-network/*.conf*",
		"run/flannel/*", "etc/kube-flannel/*", k3s + "flannel/net-conf.json", "var/lib/calico/nodename"}
}

// configFiles reads the configuration of CNI plugins below root ("/"). Files
// that hold credentials are skipped with a note.
func configFiles(root string) (files map[string]File, notes []string) {
	files = map[string]File{}
	for _, glob := range configGlobs() {
		names, _ := filepath.Glob(filepath.Join(root, glob)) // the patterns are ours
		slices.Sort(names)
		for _, name := range names {
			short := strings.TrimPrefix(strings.TrimPrefix(name, root), "/")
			info, err := os.Stat(name)
			switch {
			case err == nil && !info.Mode().IsRegular():
			case strings.Contains(strings.ToLower(filepath.Base(name)), "kubeconfig"):
				notes = append(notes, short+" was skipped: it holds credentials")
			default:
				file, note := readConfig(name)
				files[short] = file
				if note != "" {
					notes = append(notes, short+" "+note)
				}
			}
		}
	}
	return files, notes
}

// readConfig reads one file.
func readConfig(name string) (file File, note string) {
	f, err := os.Open(name)
	if err != nil {
		status, reason := statusOf(err)
		return File{Status: status, Reason: reason}, ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		status, reason := statusOf(err)
		return File{Status: status, Reason: reason}, ""
	}
	status, reason := nodedump.StatusOK, ""
	if len(data) > maxFile {
		data, status, reason = data[:maxFile], nodedump.StatusTruncated, fmt.Sprintf("longer than %d bytes", maxFile)
	}
	clean, keep := snapshot.Redact(data)
	switch {
	case !keep:
		return File{Status: nodedump.StatusDenied, Reason: "it holds a private key, which is not collected"}, "was skipped: it holds a private key"
	case len(clean) == 0:
		status = nodedump.StatusEmpty
	case string(clean) != string(data):
		note = "was changed: values that look like credentials are left out"
	}
	return File{Data: clean, Status: status, Reason: reason}, note
}
