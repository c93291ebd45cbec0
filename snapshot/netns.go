package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A netnsText is a text of a network namespace and the file it is kept in.
type netnsText struct {
	file string
	part *nodedump.Part
}

// netnsTexts lists the texts of a network namespace.
func netnsTexts(info *nodedump.NetNSInfo) []netnsText {
	return []netnsText{
		{"iptables-save.txt", &info.IPTables},
		{"iptables-legacy-save.txt", &info.IPTablesLegacy},
		{"ip6tables-save.txt", &info.IP6Tables},
		{"ip6tables-legacy-save.txt", &info.IP6TablesLegacy},
		{"nft.json", &info.NFT},
		{"ipset-save.txt", &info.IPSet},
		{"ipvs.json", &info.IPVS},
		{"conntrack.json", &info.Conntrack},
	}
}

// A field is a member of the object in netns.json.
type field struct {
	name  string
	write func(b *lines) error
	read  func(d *LineDecoder) error
}

// netnsFields lists the members of the object in netns.json, in the order they
// are written in.
func netnsFields(n *nodedump.NetNSInfo) []field {
	return []field{
		value("key", &n.Key),
		array("interfaces", &n.Interfaces, func(v *nodedump.Interface, line int) { v.Line = line }),
		array("routes", &n.Routes, func(v *nodedump.Route, line int) { v.Line = line }),
		array("rules", &n.Rules, func(v *nodedump.Rule, line int) { v.Line = line }),
		array("neighbours", &n.Neighbours, func(v *nodedump.Neighbour, line int) { v.Line = line }),
		array("fdb", &n.FDB, func(v *nodedump.FDBEntry, line int) { v.Line = line }),
		array("sockets", &n.Sockets, func(v *nodedump.Socket, line int) { v.Line = line }),
		array("programs", &n.Programs, func(v *nodedump.Program, line int) { v.Line = line }),
		object("sysctls", &n.Sysctls, func(key string, line int) { n.SysctlLines[key] = line }),
		object("sections", &n.Sections, nil),
		object("reasons", &n.Reasons, nil),
	}
}

// formatNetNS writes netns.json.
func formatNetNS(n *nodedump.NetNSInfo) ([]byte, error) { return formatObject(netnsFields(n)) }

// parseNetNS reads netns.json.
func parseNetNS(data []byte) (*nodedump.NetNSInfo, error) {
	n := &nodedump.NetNSInfo{SysctlLines: map[string]int{}}
	if err := parseObject(data, netnsFields(n)); err != nil {
		return nil, err
	}
	return n, nil
}

// FormatConntrack writes conntrack.json, one entry per line.
func FormatConntrack(t *nodedump.ConnTable) ([]byte, error) { return formatObject(conntrackFields(t)) }

// ParseConntrack reads conntrack.json. The Line fields are set.
func ParseConntrack(data []byte) (*nodedump.ConnTable, error) {
	t := &nodedump.ConnTable{}
	if err := parseObject(data, conntrackFields(t)); err != nil {
		return nil, err
	}
	return t, nil
}

func conntrackFields(t *nodedump.ConnTable) []field {
	return []field{
		value("count", &t.Count),
		value("max", &t.Max),
		array("entries", &t.Entries, func(v *nodedump.Conn, line int) { v.Line = line }),
	}
}

// FormatIPVS writes ipvs.json: {"rules": [...]}, the lines of
// "ipvsadm-save -n", one per line.
func FormatIPVS(rules []string) ([]byte, error) { return formatObject(ipvsFields(&rules)) }

// ParseIPVS reads ipvs.json.
func ParseIPVS(data []byte) ([]string, error) {
	var rules []string
	err := parseObject(data, ipvsFields(&rules))
	return rules, err
}

func ipvsFields(rules *[]string) []field {
	return []field{array("rules", rules, func(*string, int) {})}
}

// formatObject writes an object that has each entry of its arrays and objects
// on a line of its own.
func formatObject(fields []field) ([]byte, error) {
	b := &lines{}
	b.WriteString("{\n")
	for i, f := range fields {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(quote(f.name))
		b.WriteString(": ")
		if err := f.write(b); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}

// parseObject is the opposite of formatObject. It takes any JSON of that
// shape, in any layout, and skips members that it does not know.
func parseObject(data []byte, fields []field) error {
	d := NewLineDecoder(data)
	err := d.object(func(name string, _ int) error {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			var skipped json.RawMessage
			return d.Decode(&skipped)
		}
		if err := fields[i].read(d); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("line %d: %w", d.Position(), err)
	}
	if d.More() {
		return fmt.Errorf("line %d: data behind the end", d.Position())
	}
	return nil
}

func value[T any](name string, v *T) field {
	return field{name, func(b *lines) error { return b.add(*v) }, func(d *LineDecoder) error { return d.Decode(v) }}
}

func array[T any](name string, list *[]T, setLine func(*T, int)) field {
	write := func(b *lines) error {
		return b.list('[', ']', len(*list), func(i int) error { return b.add((*list)[i]) })
	}
	read := func(d *LineDecoder) error {
		*list = nil
		return d.array(func(line int) error {
			var v T
			if err := d.Decode(&v); err != nil {
				return err
			}
			setLine(&v, line)
			*list = append(*list, v)
			return nil
		})
	}
	return field{name, write, read}
}

func object[V ~string](name string, m *map[string]V, setLine func(string, int)) field {
	write := func(b *lines) error {
		keys := slices.Sorted(maps.Keys(*m))
		return b.list('{', '}', len(keys), func(i int) error {
			b.WriteString(quote(keys[i]) + ": ")
			return b.add((*m)[keys[i]])
		})
	}
	read := func(d *LineDecoder) error {
		*m = nil
		return d.object(func(key string, line int) error {
			var v V
			if err := d.Decode(&v); err != nil {
				return err
			}
			if *m == nil {
				*m = map[string]V{}
			}
			(*m)[key] = v
			if setLine != nil {
				setLine(key, line)
			}
			return nil
		})
	}
	return field{name, write, read}
}

// lines builds a JSON text.
type lines struct{ bytes.Buffer }

func (b *lines) add(v any) error {
	data, err := compactJSON(v)
	b.Write(data)
	return err
}

// list writes n entries between brackets, one per line.
func (b *lines) list(opening, closing byte, n int, entry func(i int) error) error {
	b.WriteByte(opening)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		if err := entry(i); err != nil {
			return err
		}
	}
	if n > 0 {
		b.WriteByte('\n')
	}
	b.WriteByte(closing)
	return nil
}

// A LineDecoder reads JSON and knows the line it is on.
type LineDecoder struct {
	*json.Decoder
	data   []byte
	offset int // up to where lines were counted
	line   int // of offset
}

// NewLineDecoder returns a LineDecoder at the first line of data.
func NewLineDecoder(data []byte) *LineDecoder {
	return &LineDecoder{Decoder: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1}
}

// Position returns the line of the next token.
func (d *LineDecoder) Position() int {
	at := int(d.InputOffset())
	for at < len(d.data) && bytes.IndexByte([]byte(" \t\r\n,"), d.data[at]) >= 0 {
		at++
	}
	d.line += bytes.Count(d.data[d.offset:at], []byte("\n"))
	d.offset = at
	return d.line
}

// array calls entry before each element of an array, which it must decode.
// null is an empty array.
func (d *LineDecoder) array(entry func(line int) error) error {
	if open, err := d.open('['); err != nil || !open {
		return err
	}
	for d.More() {
		if err := entry(d.Position()); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// object calls member behind each key of an object, whose value it must
// decode. null is an empty object.
func (d *LineDecoder) object(member func(key string, line int) error) error {
	if open, err := d.open('{'); err != nil || !open {
		return err
	}
	for d.More() {
		line := d.Position()
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%v is no key", t)
		}
		if err := member(key, line); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// open reads an opening bracket, or null.
func (d *LineDecoder) open(bracket json.Delim) (bool, error) {
	t, err := d.Token()
	switch {
	case err != nil:
		return false, err
	case t == nil:
		return false, nil
	case t != bracket:
		return false, errors.New("expected " + bracket.String())
	}
	return true, nil
}
