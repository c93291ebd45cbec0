package rawimport

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Namespace is one network namespace read from the outputs of tools, with no
// bundle made of it. Its evidence names the files as they were given.
type Namespace struct {
	Info  *nodedump.NetNSInfo
	Notes []string // what could not be read, and what is taken for granted instead
	lines map[string][]string
}

// Names of what has no file of its own: the sections of netns.json, and parts
// that other lines were made of.
const (
	sections = "(given)"
	madeIPVS = "(ipvs)"
	madeCT   = "(conntrack)"
	madeNFT  = "(nft)"
)

// Files returns the names of the files that a namespace is read from, in the
// order of docs/bundle-format.md.
func Files() []string {
	return []string{"ip-link.json", "ip-addr.json", "bridge-link.json", "ip-route4.json", "ip-route6.json", "ip-nexthop.json", "ip-rule.json", "ip-rule6.json",
		"ip-neigh.json", "bridge-fdb.json", "bridge-vlan.json", "wg-dump.txt", "ss.txt", "sysctl.txt", "iptables-save.txt", "iptables-legacy-save.txt", "ip6tables-save.txt",
		"ip6tables-legacy-save.txt", "nft.json", "ipset.txt", "ipvsadm.txt", "conntrack.txt"}
}

// ReadNetNS reads one network namespace. open returns the content of one of
// [Files]; an error that is fs.ErrNotExist says that there is none. at returns
// what people call the file.
//
// What was not given stays so, as the statuses in Info say, with two exceptions
// that Notes name: without policy rules, and no route in a table of its own, the
// rules are those that every namespace begins with; and devices printed without
// their kinds are taken for plain ones.
func ReadNetNS(key string, open func(name string) ([]byte, error), at func(name string) string) *Namespace {
	n := &Namespace{Info: &nodedump.NetNSInfo{Key: key, SysctlLines: map[string]int{}}, lines: map[string][]string{}}
	note := func(format string, args ...any) { n.Notes = append(n.Notes, fmt.Sprintf(format, args...)) }
	r := &reader{open: open, at: at, exact: true, key: key, info: n.Info, note: note}
	r.readAll()
	n.take()
	n.number(r)
	n.name(r)
	return n
}

// ReadNetNSDir is ReadNetNS for a directory.
func ReadNetNSDir(raw fs.FS, dir, shown string) *Namespace {
	open := func(name string) ([]byte, error) { return fs.ReadFile(raw, path.Join(dir, name)) }
	key := path.Base(dir)
	if dir == "." {
		key = nodedump.HostNetns
	}
	return ReadNetNS(key, open, func(name string) string { return path.Join(shown, name) })
}

// take takes for granted what can be, and says so.
func (n *Namespace) take() {
	i := n.Info
	if i.Reasons["interfaces"] == undetailed {
		delete(i.Sections, "interfaces")
		delete(i.Reasons, "interfaces")
		n.Notes = append(n.Notes, "the devices were printed without -d: each is taken for a plain one, whatever its kind")
	}
	for version, name := range map[int]string{4: "rules", 6: "rules6"} {
		own := slices.ContainsFunc(i.Routes, func(r nodedump.Route) bool { return r.Family == version && r.Table < 253 || r.Table > 255 })
		some := slices.ContainsFunc(i.Routes, func(r nodedump.Route) bool { return r.Family == version })
		if some && !own && n.section(name) == nodedump.StatusNotCollected {
			i.Sections[name] = nodedump.StatusOK
			if name == "rules" && i.Sections["rules6"] == "" {
				i.Sections["rules6"] = nodedump.StatusNotCollected
				i.Reasons["rules6"] = i.Reasons["rules"]
			}
			n.Notes = append(n.Notes, fmt.Sprintf("no policy rules of IPv%d were given: they are taken to be those that every namespace begins with", version))
		}
	}
	slices.Sort(n.Notes)
}

// Assume takes the files for all that there is to know of the namespace: rules
// that were not given do not exist, and without sysctls packets are forwarded and
// all else is as the kernel begins with. Notes say so. Without routes nothing is
// assumed of them.
//
// Rules of iptables-nft are left open where nft was given: it shows whether there
// are some.
func (n *Namespace) Assume() {
	i := n.Info
	parts := []*nodedump.Part{&i.IPTablesLegacy, &i.IP6TablesLegacy, &i.NFT, &i.IPVS, &i.Conntrack}
	if i.NFT.Status == nodedump.StatusNotCollected {
		parts = append(parts, &i.IPTables, &i.IP6Tables)
	}
	for _, p := range parts {
		if p.Status == nodedump.StatusNotCollected {
			p.Status = nodedump.StatusEmpty
			n.Notes = append(n.Notes, p.Reason+": taken as empty")
		}
	}
	if n.section("sysctls") == nodedump.StatusNotCollected {
		i.Sysctls = map[string]string{"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}
		n.Notes = append(n.Notes, i.Reasons["sysctls"]+": packets are taken to be forwarded, and all else to be as the kernel begins with")
		delete(i.Sections, "sysctls")
		delete(i.Reasons, "sysctls")
	}
	slices.Sort(n.Notes)
}

// section is the status of a section; that of IPv6 alone may be the one of both.
func (n *Namespace) section(name string) nodedump.Status {
	status, found := n.Info.Sections[name]
	if both, is6 := strings.CutSuffix(name, "6"); !found && is6 {
		status = n.Info.Sections[both]
	}
	return status
}

// number gives each entry of a section a line that no other has, and remembers
// where it was read.
func (n *Namespace) number(r *reader) {
	i := n.Info
	i.File = sections
	enter := func(line *int, file string) {
		n.lines[sections] = append(n.lines[sections], lineOf(r.at(file), *line))
		*line = len(n.lines[sections])
	}
	devices := "ip-link.json"
	if _, err := r.open(devices); err != nil {
		devices = "ip-addr.json"
	}
	for k := range i.Interfaces {
		enter(&i.Interfaces[k].Line, devices)
	}
	routes6 := "ip-route6.json"
	if _, err := r.open(routes6); err != nil {
		routes6 = "ip-route4.json" // which has them all
	}
	for k := range i.Routes {
		enter(&i.Routes[k].Line, map[int]string{4: "ip-route4.json", 6: routes6}[i.Routes[k].Family])
	}
	for k := range i.Rules {
		enter(&i.Rules[k].Line, map[int]string{4: "ip-rule.json", 6: "ip-rule6.json"}[i.Rules[k].Family])
	}
	for k := range i.Neighbours {
		enter(&i.Neighbours[k].Line, "ip-neigh.json")
	}
	for k := range i.FDB {
		enter(&i.FDB[k].Line, "bridge-fdb.json")
	}
	for k := range i.Sockets {
		enter(&i.Sockets[k].Line, "ss.txt")
	}
	for key, line := range i.SysctlLines {
		enter(&line, "sysctl.txt")
		i.SysctlLines[key] = line
	}
}

// name names the files of the parts.
func (n *Namespace) name(r *reader) {
	i := n.Info
	for _, t := range []struct {
		part       *nodedump.Part
		file, made string
	}{
		{&i.IPTables, "iptables-save.txt", ""}, {&i.IPTablesLegacy, "iptables-legacy-save.txt", ""},
		{&i.IP6Tables, "ip6tables-save.txt", ""}, {&i.IP6TablesLegacy, "ip6tables-legacy-save.txt", ""},
		{&i.IPSet, "ipset.txt", ""}, {&i.NFT, "nft.json", madeNFT}, {&i.IPVS, "ipvsadm.txt", madeIPVS}, {&i.Conntrack, "conntrack.txt", madeCT},
	} {
		given, err := r.open(t.file)
		if err != nil {
			continue
		}
		t.part.File = r.at(t.file)
		if t.made != "" && !bytes.Equal(given, t.part.Data) && len(t.part.Data) > 0 {
			n.lines[t.made] = madeLines(given, t.part.Data, t.part.File)
			t.part.File = t.made
		}
	}
}

// madeLines says of each line that was made of a file where it was read: the
// entries come in the order of the lines of the file that are one.
func madeLines(given, made []byte, at string) (lines []string) {
	var from []int
	n := 0
	for line := range bytes.Lines(given) {
		if n++; len(bytes.TrimSpace(line)) > 0 && !bytes.HasPrefix(line, []byte("conntrack ")) {
			from = append(from, n)
		}
	}
	entry := 0
	for line := range bytes.Lines(made) {
		switch isEntry := line[0] == '"' && line[len(line)-2] != '[' || line[0] == '{' && len(line) > 2; {
		case isEntry && isJSON(given):
			entry++
			lines = append(lines, fmt.Sprintf("%s:1 (entry %d)", at, entry))
		case isEntry && entry < len(from):
			lines = append(lines, lineOf(at, from[entry]))
			entry++
		default:
			lines = append(lines, at)
		}
	}
	return lines
}

func lineOf(file string, line int) string {
	if line == 0 {
		return file
	}
	return file + ":" + strconv.Itoa(line)
}

// Origin replaces in a text what it says of places in Info by the files and
// lines that were given. A place that is no entry is "".
func (n *Namespace) Origin(text string) string {
	for _, token := range []string{sections, madeIPVS, madeCT, madeNFT} {
		for strings.Contains(text, token) {
			text = n.replace(text, token)
		}
	}
	return text
}

func (n *Namespace) replace(text, token string) string {
	before, after, _ := strings.Cut(text, token)
	digits, where := "", ""
	if rest, found := strings.CutPrefix(after, ":"); found {
		digits = rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	}
	if line, err := strconv.Atoi(digits); err == nil && line >= 1 && line <= len(n.lines[token]) {
		where, after = n.lines[token][line-1], after[len(digits)+1:]
	}
	return before + where + after
}

// Failed returns why files that were given could not be read at all.
func (n *Namespace) Failed() error {
	var errs []error
	i := n.Info
	for _, section := range []string{"interfaces", "routes", "routes6", "rules", "rules6", "neighbours", "fdb", "sockets", "sysctls"} {
		if s := i.Sections[section]; s == nodedump.StatusFailed || s == nodedump.StatusDenied {
			errs = append(errs, errors.New(i.Reasons[section]))
		}
	}
	for _, p := range []nodedump.Part{i.IPTables, i.IPTablesLegacy, i.IP6Tables, i.IP6TablesLegacy, i.NFT, i.IPSet, i.IPVS, i.Conntrack} {
		if p.Status == nodedump.StatusFailed || p.Status == nodedump.StatusDenied {
			errs = append(errs, errors.New(p.Reason))
		}
	}
	return errors.Join(errs...)
}
