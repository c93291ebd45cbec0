package route

import (
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// An Entry is one route of a table, for reading.
type Entry struct {
	Prefix   netip.Prefix
	Table    int
	Route    *nodedump.Route // as it was dumped, not to be changed; nil if it was derived from an address
	Text     string          // as ip prints it
	Evidence string          // file:line
}

// Routes returns the routes of a table that are exactly for prefix, in the
// order in which the kernel tries them. Table 0 means every table, the
// smallest number first.
func (f *FIB) Routes(id int, prefix netip.Prefix) []Entry {
	if !prefix.IsValid() {
		return nil
	}
	prefix = netip.PrefixFrom(clean(prefix.Addr()), prefix.Bits()).Masked()
	tables := f.family(prefix.Addr()).tables
	ids := []int{id}
	if id == 0 {
		ids = ids[:0]
		for id := range tables {
			ids = append(ids, id)
		}
		slices.Sort(ids)
	}
	var found []Entry
	for _, id := range ids {
		if tables[id] == nil {
			continue
		}
		entries, _ := tables[id].lpm.Get(prefix)
		for _, e := range entries {
			found = append(found, Entry{e.prefix, e.table, e.route, e.text(), f.evidence(e.line)})
		}
	}
	return found
}

// InTable looks a packet up in one table alone, as if no rule led elsewhere.
// Its Type is TypeNone if the table has no route for it.
func (f *FIB) InTable(id int, q Query) Result {
	q.Src, q.Dst = clean(q.Src), clean(q.Dst)
	none := Result{Type: TypeNone, Src: q.Src}
	fam := f.family(q.Dst)
	t := fam.tables[id]
	if !q.Dst.IsValid() || t == nil {
		return none
	}
	fl := q.flow(&f.devices)
	a := f.lookupTable(fam, t, &fl)
	if a.entry == nil {
		return none
	}
	a.rule = &rule{}
	return f.result(q, a, fam.doubt)
}
