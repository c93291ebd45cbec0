package netstack

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Tally says how much of one kind there is in a namespace, and how much of it
// was not understood.
type Tally struct {
	What          string // iptables, nftables, routes, interfaces, ...
	Status        nodedump.Status
	Reason        string // why, unless Status is ok or empty
	Read          int    // rules, entries; understood or not
	NotUnderstood int
}

// A Fidelity is how much of a dump the simulation follows.
type Fidelity struct {
	Tallies       []Tally
	Programs      []nodedump.Program // that may do anything to a packet
	NotUnderstood []model.Doubt      // entry by entry, in the order of the files
}

// Fidelity sums up how much of the namespace is understood.
func (ns *NetNS) Fidelity() Fidelity {
	f := Fidelity{Programs: ns.Info.Programs, NotUnderstood: slices.Clone(ns.problems)}
	for i := range ns.Info.Interfaces {
		if dev := &ns.Info.Interfaces[i]; !modelled(dev.Kind) {
			f.NotUnderstood = append(f.NotUnderstood, model.Doubt{What: fmt.Sprintf("device %s: kind %s is not modelled", dev.Name, dev.Kind), Evidence: ns.at(dev.Line)})
		}
	}
	f.Tallies = append(ns.tallyRules(), ns.tallyEntries()...)
	sections := ns.tallySections()
	places := ns.places()
	for _, d := range f.NotUnderstood {
		if at, ok := places[d.Evidence]; ok {
			sections[at].NotUnderstood++
		}
	}
	f.Tallies = append(f.Tallies, sections...)
	return f
}

// modelled reports whether the simulation knows what devices of a kind do.
func modelled(kind string) bool {
	return slices.ContainsFunc(deviceKinds(), func(k DeviceKind) bool {
		return k.Class != Unknown && k.Kind == kindName(&nodedump.Interface{Kind: kind})
	})
}

func tallyOf(what string, p nodedump.Part) Tally {
	status := p.Status
	if status == "" {
		status = nodedump.StatusNotCollected
	}
	return Tally{What: what, Status: status, Reason: p.Reason}
}

// tallyRules counts what has rules.
func (ns *NetNS) tallyRules() (all []Tally) {
	i := ns.Info
	for _, row := range []struct {
		what  string
		part  nodedump.Part
		stats func() (rules, notUnderstood int)
	}{
		{"iptables", i.IPTables, ns.v4.nft.Stats}, {"iptables-legacy", i.IPTablesLegacy, ns.v4.legacy.Stats},
		{"ip6tables", i.IP6Tables, ns.v6.nft.Stats}, {"ip6tables-legacy", i.IP6TablesLegacy, ns.v6.legacy.Stats},
		{"nftables", i.NFT, ns.nft.Stats},
	} {
		t := tallyOf(row.what, row.part)
		t.Read, t.NotUnderstood = row.stats()
		all = append(all, t)
	}
	return all
}

// tallyEntries counts what has a line per entry, and no rules.
func (ns *NetNS) tallyEntries() (all []Tally) {
	i := ns.Info
	for _, row := range []struct {
		what  string
		part  nodedump.Part
		marks []string // what each entry has once, if lines are counted
	}{
		{"ipset", i.IPSet, []string{"create ", "add "}}, {"ipvs", i.IPVS, nil}, {"conntrack", i.Conntrack, []string{`"replySrc"`}},
	} {
		t := tallyOf(row.what, row.part)
		if row.what == "ipvs" {
			services, servers, _ := ns.ipvs.Stats()
			t.Read = services + servers
		}
		for line := range bytes.Lines(row.part.Data) {
			line = bytes.TrimSpace(line)
			if slices.ContainsFunc(row.marks, func(m string) bool {
				return bytes.HasPrefix(line, []byte(m)) || m[0] == '"' && bytes.Contains(line, []byte(m))
			}) {
				t.Read++
			}
		}
		for _, d := range ns.problems {
			if file, line, ok := cutLine(d.Evidence); ok && file == row.part.File && line > 0 {
				t.NotUnderstood++
			}
		}
		all = append(all, t)
	}
	return all
}

func cutLine(evidence string) (file string, line int, ok bool) {
	at := strings.LastIndexByte(evidence, ':')
	if at < 0 {
		return "", 0, false
	}
	line, err := strconv.Atoi(evidence[at+1:])
	return evidence[:at], line, err == nil
}

// tallySections counts the entries of the sections of netns.json, in the order
// in which places numbers them.
func (ns *NetNS) tallySections() (all []Tally) {
	i := ns.Info
	for _, row := range []struct {
		section string
		entries int
	}{
		{"interfaces", len(i.Interfaces)}, {"routes", len(i.Routes)}, {"rules", len(i.Rules)}, {"neighbours", len(i.Neighbours)},
		{"fdb", len(i.FDB)}, {"sockets", len(i.Sockets)}, {"programs", len(i.Programs)}, {"sysctls", len(i.Sysctls)},
	} {
		t := Tally{What: row.section, Status: nodedump.StatusOK, Read: row.entries}
		if row.entries == 0 {
			t.Status = nodedump.StatusEmpty
		}
		if d := ns.Unread(row.section); d != nil {
			t.Status, t.Reason = i.Sections[row.section], i.Reasons[row.section]
		} else if d := ns.Unread(row.section + "6"); d != nil {
			t.Status, t.Reason = nodedump.StatusTruncated, d.What
		}
		all = append(all, t)
	}
	return all
}

// places says of the evidence of each entry of netns.json which section it
// belongs to, by its index in tallySections.
func (ns *NetNS) places() map[string]int {
	places := map[string]int{}
	enter := func(line, section int) {
		if line > 0 {
			places[ns.at(line)] = section
		}
	}
	i := ns.Info
	for k := range i.Interfaces {
		enter(i.Interfaces[k].Line, 0)
	}
	for k := range i.Routes {
		enter(i.Routes[k].Line, 1)
	}
	for k := range i.Rules {
		enter(i.Rules[k].Line, 2)
	}
	for k := range i.Neighbours {
		enter(i.Neighbours[k].Line, 3)
	}
	for k := range i.FDB {
		enter(i.FDB[k].Line, 4)
	}
	for k := range i.Sockets {
		enter(i.Sockets[k].Line, 5)
	}
	return places
}
