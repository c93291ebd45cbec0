package netns

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A machine is what the dumps of all namespaces share.
type machine struct {
	ctx     context.Context // of the one Collect that this lives for
	options Options
	release string
	kernel  kernel
	tools   *toolbox
	owners  map[uint64]string // process names by socket inode
	spaces  []*space
}

// A dumper reads one namespace. It runs on a thread that is inside it.
type dumper struct {
	*machine
	space    *space
	conn     connection
	deadline time.Time // of the section that is being read
	names    map[int]string
	peers    map[int]*space // where the far ends of devices are, by ifindex
	info     *nodedump.NetNSInfo
	notes    []string
}

// A section is one field of netns.json.
type section struct {
	name string
	read func(*dumper) error
}

// sections lists the fields of netns.json in the order in which they are
// read: the interfaces first, because the rest needs their names.
func sections() []section {
	return []section{
		{"interfaces", (*dumper).readInterfaces},
		{"vlans", (*dumper).readVLANs},
		{"wireguard", (*dumper).readWireGuard},
		{"routes", (*dumper).readRoutes},
		{"rules", (*dumper).readRules},
		{"neighbours", (*dumper).readNeighbours},
		{"fdb", (*dumper).readFDB},
		{"sockets", (*dumper).readSockets},
		{"programs", (*dumper).readPrograms},
		{"sysctls", (*dumper).readSysctls},
	}
}

// A text is one file beside netns.json.
type text struct {
	name string
	read func(*dumper) (data []byte, err error) // no data and no error: there is nothing of it
	part func(*nodedump.NetNSInfo) *nodedump.Part
}

// texts lists the files beside netns.json.
func texts() []text {
	return []text{
		{"iptables-save.txt", (*dumper).readIPTables, func(i *nodedump.NetNSInfo) *nodedump.Part { return &i.IPTables }},
		{"iptables-legacy-save.txt", (*dumper).readIPTablesLegacy, func(i *nodedump.NetNSInfo) *nodedump.Part { return &i.IPTablesLegacy }},
		{"ip6tables-save.txt", (*dumper).readIP6Tables, func(i *nodedump.NetNSInfo) *nodedump.Part { return &i.IP6Tables }},
		{"ip6tables-legacy-save.txt", (*dumper).readIP6TablesLegacy, func(i *nodedump.NetNSInfo) *nodedump.Part { return &i.IP6TablesLegacy }},
		{"nft.json", (*dumper).readNFT, func(i *nodedump.NetNSInfo) *nodedump.Part { return &i.NFT }},
		{"ipset-save.txt", (*dumper).readIPSet, func(i *nodedump.NetNSInfo) *nodedump.Part { return &i.IPSet }},
		{"ipvs.json", (*dumper).readIPVS, func(i *nodedump.NetNSInfo) *nodedump.Part { return &i.IPVS }},
		{"conntrack.json", (*dumper).readConntrack, func(i *nodedump.NetNSInfo) *nodedump.Part { return &i.Conntrack }},
	}
}

// dump reads a namespace whole. Whatever fails is noted in the result; a
// namespace that cannot be entered has nothing but failed sections.
func (m *machine) dump(s *space) *dumper {
	d := &dumper{machine: m, space: s, names: map[int]string{}, peers: map[int]*space{}, info: emptyInfo()}
	err := inside(s.ns, func() error {
		for _, section := range sections() {
			d.section(section)
		}
		for _, text := range texts() {
			d.text(text)
		}
		return nil
	})
	d.conn.close()
	if err != nil {
		d.lost(err)
	}
	return d
}

// emptyInfo returns a dump in which nothing is null.
func emptyInfo() *nodedump.NetNSInfo {
	return &nodedump.NetNSInfo{
		Interfaces: []nodedump.Interface{}, Routes: []nodedump.Route{}, Rules: []nodedump.Rule{},
		Neighbours: []nodedump.Neighbour{}, FDB: []nodedump.FDBEntry{}, Sockets: []nodedump.Socket{},
		Programs: []nodedump.Program{}, Sysctls: map[string]string{},
	}
}

// lost marks every part of a namespace that could not be entered.
func (d *dumper) lost(err error) {
	d.notes = append(d.notes, fmt.Sprintf("%s: %v", d.space.label(), err))
	status, reason := statusOf(err)
	for _, section := range sections() {
		d.fail(section.name, status, reason)
	}
	for _, text := range texts() {
		*text.part(d.info) = nodedump.Part{Status: status, Reason: reason}
	}
}

// fail notes how a section ended.
func (d *dumper) fail(name string, status nodedump.Status, reason string) {
	if d.info.Sections == nil {
		d.info.Sections, d.info.Reasons = map[string]nodedump.Status{}, map[string]string{}
	}
	d.info.Sections[name], d.info.Reasons[name] = status, reason
}

// section reads one field.
func (d *dumper) section(s section) {
	start := d.begin()
	err := d.ctx.Err()
	if err == nil {
		err = s.read(d)
	}
	status, reason := statusOf(err)
	if err != nil {
		d.fail(s.name, status, reason)
	}
	d.progress(s.name, status, reason, start)
}

// text reads one file.
func (d *dumper) text(t text) {
	start := d.begin()
	var data []byte
	err := d.ctx.Err()
	if err == nil {
		data, err = t.read(d)
	}
	status, reason := statusOf(err)
	if err == nil && len(data) == 0 {
		status = nodedump.StatusEmpty
	}
	*t.part(d.info) = nodedump.Part{Status: status, Reason: reason, Data: data}
	d.progress(t.name, status, reason, start)
}

// begin starts the clock of a section.
func (d *dumper) begin() time.Time {
	now := time.Now()
	d.deadline = now.Add(d.options.SectionTimeout)
	if end, ok := d.ctx.Deadline(); ok && end.Before(d.deadline) {
		d.deadline = end
	}
	return now
}

// progress tells the caller about a part.
func (d *dumper) progress(part string, status nodedump.Status, reason string, start time.Time) {
	d.options.Progress(Event{
		Node: d.options.Node, Netns: d.space.label(), Part: part,
		Status: status, Reason: strings.TrimSpace(reason), Took: time.Since(start),
	})
}
