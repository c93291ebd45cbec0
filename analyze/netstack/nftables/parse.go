package nftables

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Parse reads the JSON of "nft -j list ruleset". It always returns a usable
// Ruleset; what could not be read is one error each.
func Parse(part nodedump.Part) (*Ruleset, []error) {
	p := &parser{file: part.File, data: part.Data, lines: 1, tables: map[tableKey]*tableInfo{}}
	p.read()
	r := &Ruleset{part: part}
	r.part.Data = nil
	for _, t := range p.order {
		if info := p.tables[t]; !info.iptables(t) {
			r.bases = append(r.bases, info.basesOf()...)
			r.rules += info.rules
		}
	}
	return r, p.errs
}

type tableKey struct{ family, name string }

// tableInfo is what is kept of a table.
type tableInfo struct {
	bases   []Base
	rules   int
	perName map[string]int // rules by chain
}

type parser struct {
	file   string
	data   []byte
	tables map[tableKey]*tableInfo
	order  []tableKey
	errs   []error

	lines, counted int // newlines of data[:counted], plus one
}

// object is one entry of the array "nftables"; one of its fields is set.
type object struct {
	Table *struct{ Family, Name string }
	Chain *chainObject
	Rule  *struct{ Family, Table, Chain string }
}

type chainObject struct {
	Family, Table, Name, Type, Hook, Policy string
	Prio                                    int
}

var errArray = errors.New(`no array "nftables"`)

// read goes through the array one entry at a time.
func (p *parser) read() {
	if len(bytes.TrimSpace(p.data)) == 0 {
		return
	}
	dec := json.NewDecoder(bytes.NewReader(p.data))
	if err := enter(dec); err != nil {
		p.fail(dec, err)
		return
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			p.fail(dec, err)
			return
		}
		var o object
		if err := json.Unmarshal(raw, &o); err != nil {
			p.fail(dec, err)
			continue
		}
		p.take(&o, p.lineAt(dec.InputOffset()-int64(len(raw))))
	}
	if _, err := dec.Token(); err != nil {
		p.fail(dec, err)
	}
}

// enter reads up to the first entry.
func enter(dec *json.Decoder) error {
	for _, want := range []json.Token{json.Delim('{'), "nftables", json.Delim('[')} {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		if t != want {
			return errArray
		}
	}
	return nil
}

func (p *parser) fail(dec *json.Decoder, err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	p.errs = append(p.errs, &netfilter.UnsupportedError{File: p.file, Line: p.lineAt(dec.InputOffset()), What: fmt.Sprintf("nftables JSON: %v", err)})
}

// lineAt returns the line of an offset, which must not be before the last.
func (p *parser) lineAt(offset int64) int {
	if at := int(offset); at > p.counted && at <= len(p.data) {
		p.lines += bytes.Count(p.data[p.counted:at], []byte{'\n'})
		p.counted = at
	}
	return p.lines
}

func (p *parser) take(o *object, line int) {
	switch {
	case o.Table != nil:
		p.table(o.Table.Family, o.Table.Name)
	case o.Chain != nil && o.Chain.Hook != "":
		c := o.Chain
		t := p.table(c.Family, c.Table)
		t.bases = append(t.bases, Base{
			Family: c.Family, Table: c.Table, Name: c.Name, Type: c.Type, Hook: c.Hook,
			Priority: c.Prio, Policy: c.Policy, Line: line,
		})
	case o.Rule != nil:
		t := p.table(o.Rule.Family, o.Rule.Table)
		t.rules++
		t.perName[o.Rule.Chain]++
	}
}

func (p *parser) table(family, name string) *tableInfo {
	k := tableKey{family, name}
	t, ok := p.tables[k]
	if !ok {
		t = &tableInfo{perName: map[string]int{}}
		p.tables[k] = t
		p.order = append(p.order, k)
	}
	return t
}

func (t *tableInfo) basesOf() []Base {
	for i := range t.bases {
		t.bases[i].Rules = t.perName[t.bases[i].Name]
	}
	return t.bases
}

// iptables reports whether a table is one that iptables-nft made, so that
// iptables-save shows it: it has the name of one and no other base chains.
func (t *tableInfo) iptables(k tableKey) bool {
	if k.family != "ip" && k.family != "ip6" {
		return false
	}
	for _, b := range t.bases {
		if b.Hook != strings.ToLower(b.Name) || b.Name != strings.ToUpper(b.Name) || !standard(k, &b) {
			return false
		}
	}
	switch k.name {
	case "filter", "nat", "mangle", "raw", "security":
		return true
	}
	return false
}

// standard reports whether b has the type and priority that iptables-nft
// gives it.
func standard(k tableKey, b *Base) bool {
	typ, prio := "filter", 0
	switch k.name {
	case "raw":
		prio = -300
	case "mangle":
		prio = -150
		if b.Hook == "output" {
			typ = "route"
		}
	case "nat":
		typ, prio = "nat", -100
		if b.Hook == "input" || b.Hook == "postrouting" {
			prio = 100
		}
	case "security":
		prio = 50
	}
	return b.Type == typ && b.Priority == prio
}
