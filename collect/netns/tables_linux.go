package netns

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// noModprobe stands for the program with which the save tools load modules:
// it does not exist.
const noModprobe = "--modprobe=/nonexistent"

// readIPTables reads iptables-save.txt; the three below read its siblings.
func (d *dumper) readIPTables() ([]byte, error)       { return d.nftTables("iptables", unix.NFPROTO_IPV4) }
func (d *dumper) readIP6Tables() ([]byte, error)      { return d.nftTables("ip6tables", unix.NFPROTO_IPV6) }
func (d *dumper) readIPTablesLegacy() ([]byte, error) { return d.legacyTables("iptables", "ip") }
func (d *dumper) readIP6TablesLegacy() ([]byte, error) {
	return d.legacyTables("ip6tables", "ip6")
}

// legacyTables saves the tables that the legacy backend has in this namespace,
// one by one: asking for another one would create it.
func (d *dumper) legacyTables(command, family string) ([]byte, error) {
	names, err := os.ReadFile("/proc/thread-self/net/" + family + "_tables_names")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the kernel has no legacy backend
	}
	if err != nil {
		return nil, err
	}
	var all []byte
	tables := strings.Fields(string(names))
	slices.Sort(tables)
	for _, table := range tables {
		out, err := d.run(saveTool(command, "legacy"), noModprobe, "-t", table)
		all = append(all, snapshot.NormalizeTables(out)...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// iptablesNames are the tables that iptables has in nf_tables.
func iptablesNames() []string { return []string{"raw", "mangle", "nat", "filter", "security"} }

// nftTables saves the tables that iptables keeps in nf_tables. If there are
// none nothing is run, because some versions would create them.
func (d *dumper) nftTables(command string, family byte) ([]byte, error) {
	tables, err := d.listTables()
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(tables, func(t nftTable) bool {
		return t.family == family && slices.Contains(iptablesNames(), t.name)
	}) {
		return nil, nil
	}
	out, err := d.run(saveTool(command, "nft"), noModprobe)
	out = snapshot.NormalizeTables(out)
	if i := bytes.Index(out, []byte("incompatible")); i >= 0 {
		d.notes = append(d.notes, fmt.Sprintf("%s: %s-save does not show a table that was not made by it; see nft.json", d.space.label(), command))
	}
	return out, err
}

// An nftTable is a table of nf_tables.
type nftTable struct {
	family byte
	name   string
}

// nftaTableName is the attribute with the name of a table.
const nftaTableName = 1

// listTables lists the tables of nf_tables, without making the kernel load
// it.
func (d *dumper) listTables() ([]nftTable, error) {
	if there, err := d.asks("nf_tables"); !there {
		return nil, err
	}
	msgs, err := d.conn.all(nfDump(unix.NFNL_SUBSYS_NFTABLES, unix.NFT_MSG_GETTABLE, unix.NFPROTO_UNSPEC), d.deadline)
	if lacking(err) {
		return nil, nil
	}
	var tables []nftTable
	for _, msg := range msgs {
		if name := after(msg, 4).str(nftaTableName); name != "" {
			tables = append(tables, nftTable{family: msg[0], name: name})
		}
	}
	return tables, err
}

// asks says whether a part of the kernel may be asked without loading it. If
// even that is not to be known, the error says so.
func (d *dumper) asks(module string) (bool, error) {
	switch d.kernel.has(module) {
	case present:
		return true, nil
	case unsure:
		return false, &statusError{nodedump.StatusDenied, "whether the kernel has " + module + " cannot be told without perhaps loading it"}
	}
	return false, nil
}

// lacking reports whether the kernel said that it does not have what it was
// asked for.
func lacking(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL)
}

// readNFT reads the whole ruleset of nf_tables, one object per line and without
// counters.
func (d *dumper) readNFT() ([]byte, error) {
	tables, err := d.listTables()
	if err != nil || len(tables) == 0 {
		return nil, err
	}
	out, err := d.run(simpleTool("nft"), "--json", "--stateless", "list", "ruleset")
	if err != nil {
		return nil, err
	}
	return splitRuleset(out)
}

// splitRuleset writes every object of a ruleset on a line of its own, so that a
// finding can name the line.
func splitRuleset(text []byte) ([]byte, error) {
	var ruleset struct {
		Objects []json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal(text, &ruleset); err != nil {
		return text, fmt.Errorf("nft printed no JSON: %w", err)
	}
	var out bytes.Buffer
	out.WriteString("{\"nftables\": [\n")
	for i, object := range ruleset.Objects {
		out.Write(object)
		if i < len(ruleset.Objects)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString("]}\n")
	return out.Bytes(), nil
}

// Numbers of the ipset protocol.
const (
	ipsetProtocol     = 6
	ipsetCmdList      = 7
	ipsetAttrProtocol = 1
	ipsetAttrSetName  = 2
	ipsetAttrFlags    = 6
	ipsetListNames    = 1 << 1
	netByteOrder      = 1 << 14
)

// readIPSet saves the sets, if there are any.
func (d *dumper) readIPSet() ([]byte, error) {
	if there, err := d.asks("ip_set"); !there {
		return nil, err
	}
	q := nfDump(unix.NFNL_SUBSYS_IPSET, ipsetCmdList, unix.NFPROTO_IPV4,
		attr(ipsetAttrProtocol, []byte{ipsetProtocol}), attr(ipsetAttrFlags|netByteOrder, []byte{0, 0, 0, ipsetListNames}))
	sets := 0
	msgs, err := d.conn.all(q, d.deadline)
	for _, msg := range msgs {
		if after(msg, 4).has(ipsetAttrSetName) {
			sets++
		}
	}
	if lacking(err) || err == nil && sets == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return d.run(simpleTool("ipset"), "save")
}
