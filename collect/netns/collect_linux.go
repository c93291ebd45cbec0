package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Collect dumps this machine. An error means that there is no result at all;
// everything smaller is a status or a note in it.
func Collect(ctx context.Context, o Options) (*Result, error) {
	hostname, err := os.Hostname()
	if err != nil && o.Node == "" {
		return nil, fmt.Errorf("name of this node: %w", err)
	}
	o = o.withDefaults(strings.ToLower(hostname))
	f := newFinder(o)
	host, err := f.host(o.External)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", o.Node, err)
	}
	spaces := []*space{host}
	if !o.External {
		spaces = f.find(host)
	}
	defer func() {
		for _, s := range spaces {
			s.close()
		}
	}()
	m := newMachine(ctx, o, spaces)
	m.owners = socketOwners(ctx, o.SectionTimeout)
	result := m.collect(newRegister("/", o.Pods), f.notes)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, fmt.Errorf("node %s: %w", o.Node, ctx.Err())
	}
	return result, nil // one that ran out of time says so in its parts
}

// newMachine returns a machine with namespaces that are open.
func newMachine(ctx context.Context, o Options, spaces []*space) *machine {
	nl.NativeEndian() // found out at its first call, which must not be in several goroutines
	release := kernelRelease()
	return &machine{ctx: ctx, options: o, release: release, kernel: readKernel("/", release), tools: newToolbox(), spaces: spaces}
}

// collect dumps the namespaces and names them.
func (m *machine) collect(r *register, notes []string) *Result {
	o := m.options
	dumps := m.dumpAll()
	infos := make([]*nodedump.NetNSInfo, len(dumps))
	for i, d := range dumps {
		infos[i] = d.info
	}
	pods, namingNotes := r.assign(m.spaces, infos)
	notes = append(notes, namingNotes...)
	for _, d := range dumps {
		notes = append(notes, d.notes...)
		d.namePeers()
	}
	slices.SortFunc(infos[1:], func(a, b *nodedump.NetNSInfo) int { return strings.Compare(a.Key, b.Key) })
	snapshot.LinkAbove(infos)
	node := &nodedump.NodeNetworkStackDump{Name: o.Node, Kernel: m.release, Modules: m.kernel.modules, External: o.External, Pods: pods}
	if o.External {
		node.Pods = nil
	}
	for _, info := range infos {
		node.Netns = append(node.Netns, info.Key)
	}
	result := &Result{Node: node, Netns: infos}
	if !o.External {
		var fileNotes []string
		result.Files, fileNotes = configFiles("/")
		notes = append(notes, fileNotes...)
	}
	node.Notes, result.Notes = notes, notes
	return result
}

// dumpAll dumps the namespaces, a few at a time.
func (m *machine) dumpAll() []*dumper {
	dumps := make([]*dumper, len(m.spaces))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(runtime.NumCPU(), 4, len(m.spaces)) {
		workers.Go(func() {
			for i := range next {
				dumps[i] = m.dump(m.spaces[i])
			}
		})
	}
	for i := range m.spaces {
		next <- i
	}
	close(next)
	workers.Wait()
	return dumps
}

// namePeers fills PeerNetns, now that the keys are known.
func (d *dumper) namePeers() {
	for i := range d.info.Interfaces {
		dev := &d.info.Interfaces[i]
		if peer := d.peers[dev.Index]; peer != nil {
			dev.PeerNetns = peer.key
		}
	}
}

// kernelRelease returns what uname -r prints.
func kernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
