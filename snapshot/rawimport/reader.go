package rawimport

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// maxNotes is how many bad entries of one file are noted.
const maxNotes = 20

// A reader reads the files of one network namespace.
type reader struct {
	open   func(name string) ([]byte, error) // an error that is fs.ErrNotExist says that there is no such file, and why unless it is a PathError
	at     func(name string) string          // what people call the file
	exact  bool                              // texts keep their lines
	key    string
	info   *nodedump.NetNSInfo
	note   func(format string, args ...any)
	kernel string
}

// A bad is an entry that could not be read.
type bad struct {
	line int
	err  error
}

// readAll reads all files there may be.
func (r *reader) readAll() {
	r.interfaces()
	r.routes()
	r.nextHops()
	r.rules()
	section(r, "neighbours", "ip-neigh.json", parseNeighbours, &r.info.Neighbours)
	section(r, "fdb", "bridge-fdb.json", parseFDB, &r.info.FDB)
	section(r, "sockets", "ss.txt", parseSockets, &r.info.Sockets)
	r.missing("programs", nodedump.StatusNotCollected, "no file of the raw layout shows tc programs")
	r.sysctls()
	r.texts()
}

// missing says why a section is not there.
func (r *reader) missing(field string, status nodedump.Status, reason string) {
	if r.info.Sections == nil {
		r.info.Sections, r.info.Reasons = map[string]nodedump.Status{}, map[string]string{}
	}
	r.info.Sections[field], r.info.Reasons[field] = status, reason
}

// read reads a file. The status is ok or says why there is no content.
func (r *reader) read(name string) ([]byte, nodedump.Status, string) {
	data, err := r.open(name)
	var p *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist) && errors.As(err, &p):
		return nil, nodedump.StatusNotCollected, name + " is missing"
	case errors.Is(err, fs.ErrNotExist):
		return nil, nodedump.StatusNotCollected, err.Error()
	case errors.Is(err, fs.ErrPermission):
		return nil, nodedump.StatusDenied, err.Error()
	case err != nil:
		return nil, nodedump.StatusFailed, err.Error()
	default:
		return data, nodedump.StatusOK, ""
	}
}

// notes keeps the entries of a file that could not be read.
func (r *reader) notes(name string, bads []bad) {
	for i, b := range bads {
		if i == maxNotes {
			r.note("%s: %d more entries could not be read", r.at(name), len(bads)-i)
			return
		}
		r.note("%s:%d: %v", r.at(name), b.line, b.err)
	}
}

// load reads and parses a file.
func load[T any](r *reader, name string, parse func([]byte) ([]T, []bad, error)) ([]T, nodedump.Status, string) {
	data, status, reason := r.read(name)
	if status != nodedump.StatusOK {
		return nil, status, reason
	}
	list, bads, err := parse(data)
	r.notes(name, bads)
	if r.exact {
		name = r.at(name)
	}
	if err != nil {
		return nil, nodedump.StatusFailed, name + ":" + err.Error()
	}
	if len(bads) == 0 {
		return list, nodedump.StatusOK, ""
	}
	reason = fmt.Sprintf("%s:%d: %v", name, bads[0].line, bads[0].err)
	if len(list) == 0 {
		return nil, nodedump.StatusFailed, reason + ", and no other entry"
	}
	return list, nodedump.StatusTruncated, lost(reason, len(bads))
}

// lost says that entries are missing, for a reason that names the first.
func lost(reason string, n int) string {
	if n == 1 {
		return reason + "; this entry is left out"
	}
	return fmt.Sprintf("%s; this entry and %d more are left out", reason, n-1)
}

// section reads the file of one section.
func section[T any](r *reader, field, name string, parse func([]byte) ([]T, []bad, error), to *[]T) {
	list, status, reason := load(r, name, parse)
	*to = list
	if status != nodedump.StatusOK {
		r.missing(field, status, reason)
	}
}

// A family is an IP version and the file that holds what there is of it.
type family struct {
	version int
	file    string
}

// byFamily reads a section that has one file per IP version. If only that of
// IPv6 is not whole, it is a section of its own, "routes6", lest IPv4 suffer.
func byFamily[T any](r *reader, field string, families [2]family, parse func([]byte, int) ([]T, []bad, error)) []T {
	var all []T
	var statuses [2]nodedump.Status
	var reasons [2]string
	for i, f := range families {
		var list []T
		list, statuses[i], reasons[i] = load(r, f.file, func(data []byte) ([]T, []bad, error) { return parse(data, f.version) })
		all = append(all, list...)
	}
	switch ok := nodedump.StatusOK; {
	case statuses[0] != ok && statuses[1] != ok:
		r.missing(field, statuses[0], reasons[0]+"; "+reasons[1])
	case statuses[0] != ok:
		r.missing(field, statuses[0], reasons[0])
		r.info.Sections[field+"6"] = ok
	case statuses[1] != ok:
		r.missing(field+"6", statuses[1], reasons[1])
	}
	return all
}
