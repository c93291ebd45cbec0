package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
	"github.com/pathsnap/pathsnap/snapshot/rawimport"
)

// A bareFlag is a flag that gives one file of a namespace.
type bareFlag struct{ flag, file, command string }

// bareFiles lists the flags of bare files.
func bareFiles() []bareFlag {
	return []bareFlag{
		{"iptables-save", "iptables-save.txt", "iptables-save"},
		{"iptables-legacy-save", "iptables-legacy-save.txt", "iptables-legacy-save"},
		{"ip6tables-save", "ip6tables-save.txt", "ip6tables-save"},
		{"ip6tables-legacy-save", "ip6tables-legacy-save.txt", "ip6tables-legacy-save"},
		{"nft", "nft.json", "nft -j list ruleset"},
		{"ipset-save", "ipset.txt", "ipset save"},
		{"ipvs", "ipvsadm.txt", "ipvsadm-save -n"},
		{"conntrack", "conntrack.txt", "conntrack -L"},
		{"ip-addr", "ip-addr.json", "ip -j -d addr"},
		{"ip-link", "ip-link.json", "ip -j -d link"},
		{"bridge-link", "bridge-link.json", "bridge -j -d link"},
		{"ip-route4", "ip-route4.json", "ip -j route show table all"},
		{"ip-route6", "ip-route6.json", "ip -j -6 route show table all"},
		{"ip-nexthop", "ip-nexthop.json", "ip -j nexthop"},
		{"ip-rule4", "ip-rule.json", "ip -j rule"},
		{"ip-rule6", "ip-rule6.json", "ip -j -6 rule"},
		{"ip-neigh", "ip-neigh.json", "ip -j neigh"},
		{"bridge-fdb", "bridge-fdb.json", "bridge -j -d fdb"},
		{"bridge-vlan", "bridge-vlan.json", "bridge -j vlan show"},
		{"wg-dump", "wg-dump.txt", "wg show all dump"},
		{"sysctl", "sysctl.txt", "sysctl -a"},
		{"ss", "ss.txt", "ss -tlnuH"},
	}
}

func bareFlags() (flags []cli.Flag) {
	for _, b := range bareFiles() {
		f := &cli.StringFlag{Name: b.flag, Category: "Files of one namespace", Usage: "`FILE` with what \"" + b.command + "\" prints"}
		if short, ok := strings.CutSuffix(b.flag, "4"); ok {
			f.Aliases = []string{short} // as the command itself means IPv4 without -6
		}
		flags = append(flags, f)
	}
	return flags
}

// bare returns the flags of bare files that were given.
func (t *tracing) bare() (given []string) {
	for _, b := range bareFiles() {
		if t.c.String(b.flag) != "" {
			given = append(given, b.flag)
		}
	}
	return given
}

// open reads the namespace.
func (t *tracing) open() (*space, error) {
	name := t.c.Args().First()
	if name == "" {
		return t.openBare()
	}
	if isDir(name) {
		if _, err := os.Stat(filepath.Join(name, snapshot.ManifestName)); errors.Is(err, fs.ErrNotExist) {
			return t.openRaw(name)
		}
	}
	snap, err := openBundle(name, t.std)
	if err != nil {
		return nil, err
	}
	return t.openBundle(snap)
}

// openBare reads the files of the flags.
func (t *tracing) openBare() (*space, error) {
	content, shown := map[string][]byte{}, map[string]string{}
	stdin := ""
	for _, b := range bareFiles() {
		name := t.c.String(b.flag)
		if name == "" {
			shown[b.file] = "--" + b.flag
			continue
		}
		if name == standard && stdin != "" {
			return nil, usagef("--%s and --%s cannot both be on standard input", stdin, b.flag)
		}
		if name == standard {
			stdin = b.flag
		}
		data, err := t.read(name)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", b.flag, err)
		}
		content[b.file], shown[b.file] = data, name
	}
	ns := rawimport.ReadNetNS(nodedump.HostNetns, func(file string) ([]byte, error) {
		if data, ok := content[file]; ok {
			return data, nil
		}
		return nil, fmt.Errorf("%s was not given%w", shown[file], hidden{fs.ErrNotExist})
	}, func(file string) string { return shown[file] })
	if err := ns.Failed(); err != nil {
		return nil, usageError{firstLine(err)}
	}
	ns.Assume()
	return spaceOf(ns, ""), nil
}

// read reads a file, or standard input.
func (t *tracing) read(name string) ([]byte, error) {
	switch {
	case name == standard:
		return io.ReadAll(t.std.in)
	case isDir(name):
		return nil, usagef("%s is a directory, not a file", name)
	}
	return os.ReadFile(name)
}

// hidden is an error that is another one without saying so.
type hidden struct{ error }

func (hidden) Error() string { return "" }

func (h hidden) Unwrap() error { return h.error }

// firstLine is the first of joined errors.
func firstLine(err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(text)
}

// spaceOf makes a space of what was read without a bundle.
func spaceOf(n *rawimport.Namespace, node string) *space {
	ns, _ := netstack.New(n.Info)
	s := &space{ns: ns, node: node, netns: n.Info.Key, rename: n.Origin}
	for _, note := range n.Notes {
		s.unknowns = append(s.unknowns, model.Doubt{What: note})
	}
	for _, d := range ns.Unknowns() {
		s.unknowns = append(s.unknowns, model.Doubt{What: n.Origin(d.What), Evidence: n.Origin(d.Evidence)})
	}
	return s
}

// openRaw reads a namespace of a directory as bundle import takes, or one that
// has the files of a single namespace.
func (t *tracing) openRaw(name string) (*space, error) {
	raw := os.DirFS(name)
	if slices.ContainsFunc(rawimport.Files(), func(file string) bool { _, err := fs.Stat(raw, file); return err == nil }) {
		return spaceOf(rawimport.ReadNetNSDir(raw, ".", name), ""), nil
	}
	dirs, err := rawNodes(raw)
	if err == nil && len(dirs) == 0 {
		err = rawimport.ErrNothing
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var names []string
	for _, dir := range dirs {
		names = append(names, path.Base(dir))
	}
	node, err := t.node(names)
	if err != nil {
		return nil, err
	}
	dir := dirs[slices.Index(names, node)]
	key := strings.Replace(t.c.String("netns"), "/", "_", 1)
	info, err := fs.Stat(raw, path.Join(dir, key))
	switch {
	case err == nil && info.IsDir():
		return spaceOf(rawimport.ReadNetNSDir(raw, path.Join(dir, key), path.Join(name, dir, key)), node), nil
	case strings.HasPrefix(dir, "external/") && key == nodedump.HostNetns:
		return spaceOf(rawimport.ReadNetNSDir(raw, dir, path.Join(name, dir)), node), nil
	}
	return nil, usagef("--netns %s: %s has no directory %s", t.c.String("netns"), path.Join(name, dir), key)
}

// rawNodes returns the directories of the nodes in raw, and of the hosts outside.
func rawNodes(raw fs.FS) (dirs []string, err error) {
	for _, place := range []string{"nodes", "external"} {
		entries, err := fs.ReadDir(raw, place)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if e.IsDir() {
				dirs = append(dirs, place+"/"+e.Name())
			}
		}
	}
	return dirs, nil
}

// node is the node that is meant.
func (t *tracing) node(names []string) (string, error) {
	name := t.c.String("node")
	switch {
	case name == "" && len(names) == 1:
		return names[0], nil
	case name == "" && len(names) == 0:
		return "", usagef("there is no node in the bundle")
	case name == "":
		return "", usagef("--node is missing: which of %s?", someOf(names))
	case !slices.Contains(names, name):
		return "", usagef("--node %s: there are %s", name, someOf(names))
	}
	return name, nil
}

// someOf lists names, or the first of them.
func someOf(names []string) string {
	const most = 10
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// openBundle reads a namespace of a bundle.
func (t *tracing) openBundle(snap *snapshot.Snapshot) (*space, error) {
	nodes := snap.NodeNames()
	all := nodes
	if name := t.c.String("node"); name != "" || len(nodes) == 0 {
		all = slices.Concat(nodes, snap.ExternalNames())
	}
	node, err := t.node(all)
	if err != nil {
		return nil, err
	}
	dump, netns := snap.Node, snap.NetNS
	if !slices.Contains(nodes, node) {
		dump, netns = snap.External, snap.ExternalNetNS
	}
	key := t.c.String("netns")
	if d, err := dump(node); err == nil {
		if key, err = keyOf(d, key); err != nil {
			return nil, err
		}
	} else if key != nodedump.HostNetns {
		return nil, err
	}
	info, err := netns(node, key)
	if err != nil {
		return nil, err
	}
	ns, _ := netstack.New(info)
	return &space{ns: ns, node: node, netns: key, unknowns: ns.Unknowns()}, nil
}

// keyOf finds a namespace by its key, or by its pod.
func keyOf(d *nodedump.NodeNetworkStackDump, name string) (string, error) {
	if slices.Contains(d.Netns, name) {
		return name, nil
	}
	namespace, pod, isPod := strings.Cut(name, "/")
	var known []string
	for i := range d.Pods {
		p := &d.Pods[i]
		if isPod && p.Namespace == namespace && p.Name == pod {
			return p.Netns, nil
		}
		if !p.HostNetwork {
			known = append(known, p.Namespace+"/"+p.Name)
		}
	}
	return "", usagef("--netns %s: node %s has host and %s", name, d.Name, someOf(slices.Concat(known, d.Netns[min(1, len(d.Netns)):])))
}
