package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/policy"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/manifests"
)

// openCluster opens a bundle, or a directory of manifests as if it were one.
// What could not be read of manifests is in problems.
func openCluster(name string, std streams) (snap *snapshot.Snapshot, problems []error, err error) {
	if !isManifests(name) {
		snap, err = openBundle(name, std)
		return snap, nil, err
	}
	snap, problems, err = manifests.Read(os.DirFS(name))
	if err != nil {
		err = fmt.Errorf("directory %s: %w", name, err)
	}
	return snap, problems, err
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// isManifests reports whether openCluster takes a name for a directory of
// manifests.
func isManifests(name string) bool {
	return name != standard && isDir(name) && !isFile(filepath.Join(name, snapshot.ManifestName))
}

// readPolicies compiles the policies of a cluster, which are nothing without its
// pods and NetworkPolicies. What else could not be read is in problems.
func readPolicies(snap *snapshot.Snapshot) (n *policy.NetworkPolicy, ips *k8s.IPCache, problems []error, err error) {
	if _, err := snap.Pods(); err != nil {
		return nil, nil, nil, err
	}
	if some, err := snap.NetworkPolicies(); err != nil && len(some) == 0 {
		return nil, nil, nil, err
	}
	ips, problems = k8s.NewIPCache(snap)
	n, errs := policy.New(snap, ips)
	return n, ips, append(problems, errs...), nil
}
