package netns

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A space is one network namespace of the machine, held open.
type space struct {
	ns    vns.NsHandle
	inode uint64
	name  string   // file name under /run/netns, if it has one
	pids  []int    // processes in it, ascending
	uids  []string // of the pods whose processes are in it, in order of pids
	host  bool
	key   string // final name
	pod   PodRef // zero if not known
}

// A place is a way to open a namespace.
type place struct {
	path, name string
	pid        int
}

// close lets the namespace go.
func (s *space) close() { _ = s.ns.Close() }

// label names the space before its key is known.
func (s *space) label() string {
	switch {
	case s.host:
		return "host"
	case s.key != "":
		return s.key
	case s.name != "":
		return "netns-" + safeName(s.name)
	}
	return "netns-" + strconv.FormatUint(s.inode, 10)
}

// A finder looks for the namespaces of the machine.
type finder struct {
	proc   string // "/proc"
	dirs   []string
	mounts bool // also every namespace that is mounted anywhere
	notes  []string
}

// newFinder returns a finder for the options.
func newFinder(o Options) *finder {
	f := &finder{proc: "/proc", dirs: o.NetnsDirs}
	if f.dirs == nil {
		f.mounts = true
		f.dirs = []string{"/run/netns", "/var/run/netns", "/var/run/docker/netns"}
		for _, dir := range f.dirs {
			f.dirs = append(f.dirs, "/proc/1/root"+dir)
		}
	}
	return f
}

// host opens the node's own namespace: that of process 1, or the one this
// process is in where that may not be read.
func (f *finder) host(own bool) (*space, error) {
	if !own {
		if ns, err := vns.GetFromPath(filepath.Join(f.proc, "1/ns/net")); err == nil {
			return newSpace(ns, true)
		}
	}
	ns, err := vns.GetFromPath("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("own network namespace: %w", err)
	}
	return newSpace(ns, true)
}

// newSpace reads the identity of an open namespace.
func newSpace(ns vns.NsHandle, host bool) (*space, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(ns), &stat); err != nil {
		ns.Close()
		return nil, fmt.Errorf("identify network namespace: %w", err)
	}
	if kind, err := unix.IoctlRetInt(int(ns), unix.NS_GET_NSTYPE); err == nil && kind != unix.CLONE_NEWNET {
		ns.Close()
		return nil, errors.New("not a network namespace")
	}
	return &space{ns: ns, inode: stat.Ino, host: host}, nil
}

// find returns every namespace of the machine, the host's first and then by
// inode, all of them open.
func (f *finder) find(host *space) []*space {
	places := map[uint64][]place{}
	f.processes(places)
	for _, dir := range f.dirs {
		f.named(dir, places)
	}
	if f.mounts {
		f.mounted(places)
	}
	out := []*space{host}
	for inode, ways := range places {
		if inode == host.inode {
			host.adopt(ways)
			continue
		}
		s, err := openAny(inode, ways)
		if err != nil {
			f.notes = append(f.notes, fmt.Sprintf("network namespace %d went away: %v", inode, err))
			continue
		}
		out = append(out, s)
	}
	slices.SortFunc(out[1:], func(a, b *space) int {
		if a.inode < b.inode {
			return -1
		}
		return 1
	})
	f.cgroups(out)
	return out
}

// adopt takes over the processes and the name that lead to a space.
func (s *space) adopt(ways []place) {
	for _, way := range ways {
		if way.pid != 0 {
			s.pids = append(s.pids, way.pid)
		}
		if s.name == "" {
			s.name = way.name
		}
	}
	slices.Sort(s.pids)
}

// openAny opens a namespace by the first way that still works.
func openAny(inode uint64, ways []place) (*space, error) {
	slices.SortFunc(ways, func(a, b place) int {
		if a.pid != b.pid {
			return a.pid - b.pid
		}
		return strings.Compare(a.path, b.path)
	})
	var failures []error
	for _, way := range ways {
		ns, err := vns.GetFromPath(way.path)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		s, err := newSpace(ns, false)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if s.inode != inode { // the process id was used again
			s.close()
			failures = append(failures, fmt.Errorf("%s is another one now", way.path))
			continue
		}
		s.adopt(ways)
		return s, nil
	}
	return nil, errors.Join(failures...)
}

// processes adds the namespaces that processes are in.
func (f *finder) processes(places map[uint64][]place) {
	entries, err := os.ReadDir(f.proc)
	if err != nil {
		f.notes = append(f.notes, fmt.Sprintf("no processes to be seen: %v", err))
	}
	denied := 0
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		name := filepath.Join(f.proc, entry.Name(), "ns/net")
		inode, err := linkInode(name)
		if errors.Is(err, fs.ErrPermission) {
			denied++
		}
		if err == nil {
			places[inode] = append(places[inode], place{path: name, pid: pid})
		}
	}
	if denied > 0 {
		f.notes = append(f.notes, fmt.Sprintf("the network namespaces of %d processes may not be read", denied))
	}
}

// linkInode returns the inode in a link such as "net:[4026531840]".
func linkInode(name string) (uint64, error) {
	target, err := os.Readlink(name)
	if err != nil {
		return 0, err
	}
	return nsInode(target)
}

// nsInode returns the inode in "net:[4026531840]".
func nsInode(text string) (uint64, error) {
	digits, ok := strings.CutPrefix(text, "net:[")
	if !ok {
		return 0, fmt.Errorf("%q is not a network namespace", text)
	}
	return strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 64)
}

// named adds the namespaces that a directory holds.
func (f *finder) named(dir string, places map[uint64][]place) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // most machines lack most of these directories
	}
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		var stat unix.Stat_t
		var fsys unix.Statfs_t
		if unix.Stat(name, &stat) != nil || unix.Statfs(name, &fsys) != nil || fsys.Type != unix.NSFS_MAGIC {
			continue
		}
		places[stat.Ino] = append(places[stat.Ino], place{path: name, name: entry.Name()})
	}
}

// mounted adds the namespaces that are mounted anywhere this process sees.
func (f *finder) mounted(places map[uint64][]place) {
	table, err := os.Open(filepath.Join(f.proc, "self/mountinfo"))
	if err != nil {
		return
	}
	defer table.Close()
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		// id parent major:minor root mountpoint options ... - type source options
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		if inode, err := nsInode(fields[3]); err == nil {
			places[inode] = append(places[inode], place{path: fields[4], name: filepath.Base(fields[4])})
		}
	}
}

// cgroups notes for each namespace which pods its processes belong to.
func (f *finder) cgroups(spaces []*space) {
	matcher := newCgroupMatcher()
	for _, s := range spaces {
		for _, pid := range s.pids {
			text, err := os.ReadFile(filepath.Join(f.proc, strconv.Itoa(pid), "cgroup"))
			if err != nil {
				continue // it has ended
			}
			if uid := podUID(matcher, string(text)); uid != "" && !slices.Contains(s.uids, uid) {
				s.uids = append(s.uids, uid)
			}
		}
	}
}
