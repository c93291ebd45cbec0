package rawimport

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// texts reads the files that stay texts.
func (r *reader) texts() {
	i := r.info
	i.IPTables = r.text("iptables-save.txt", convertTables)
	i.IPTablesLegacy = r.text("iptables-legacy-save.txt", convertTables)
	i.IP6Tables = r.text("ip6tables-save.txt", convertTables)
	i.IP6TablesLegacy = r.text("ip6tables-legacy-save.txt", convertTables)
	i.NFT = r.text("nft.json", convertNFT)
	i.IPSet = r.text("ipset.txt", convertIPSet)
	i.IPVS = r.text("ipvsadm.txt", convertIPVS)
	i.Conntrack = r.conntrack()
}

// text reads a file that stays a text. An empty one says that there is
// nothing: that is what the tools print then.
func (r *reader) text(name string, convert func([]byte) ([]byte, []bad, error)) nodedump.Part {
	given, status, reason := r.read(name)
	if status != nodedump.StatusOK {
		return nodedump.Part{Status: status, Reason: reason}
	}
	data, bads, err := convert(given)
	r.notes(name, bads)
	if r.exact {
		name = r.at(name)
	}
	if r.exact && len(data) > 0 && keepsLines(given, data) {
		data = given
	}
	switch {
	case errors.Is(err, errCut):
		return nodedump.Part{Status: nodedump.StatusTruncated, Reason: name + ": " + err.Error(), Data: data}
	case err != nil:
		return nodedump.Part{Status: nodedump.StatusFailed, Reason: name + ":" + err.Error()}
	case len(bads) > 0:
		reason = fmt.Sprintf("%s:%d: %v", name, bads[0].line, bads[0].err)
		return nodedump.Part{Status: nodedump.StatusTruncated, Reason: lost(reason, len(bads)), Data: data}
	case len(data) == 0:
		return nodedump.Part{Status: nodedump.StatusEmpty}
	default:
		return nodedump.Part{Status: nodedump.StatusOK, Data: data}
	}
}

// keepsLines reports whether a file is itself what its reader wants, so that the
// lines of what was made of it need not be known: all but the rules of IPVS, and
// a JSON text without lines.
func keepsLines(given, made []byte) bool {
	const few = 2
	given = bytes.TrimSpace(given)
	return given[0] != '{' && made[0] != '{' || given[0] == '{' && bytes.Count(given, []byte("\n")) > few
}

// errCut indicates an output that ends too early.
var errCut = errors.New("the last table has no COMMIT")

// convertTables reads iptables-save, with or without -c. Its rules are parsed
// by who uses them.
func convertTables(data []byte) ([]byte, []bad, error) {
	bads, err := checkTables(data)
	if err != nil && !errors.Is(err, errCut) {
		return nil, nil, err
	}
	return snapshot.NormalizeTables(without(data, bads)), bads, err
}

// checkTables looks for lines that iptables-save does not print.
func checkTables(data []byte) (bads []bad, err error) {
	n, begun, inTable := 0, false, false
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSpace(line)
		if _, rule, found := bytes.Cut(line, []byte("]")); found && line[0] == '[' {
			line = bytes.TrimSpace(rule)
		}
		switch {
		case len(line) == 0, line[0] == '#':
		case line[0] == '*':
			begun, inTable = true, true
		case bytes.Equal(line, []byte("COMMIT")):
			inTable = false
		case !begun:
			return nil, fmt.Errorf("%d: %q does not begin a table", n, short(line))
		case line[0] != ':' && line[0] != '-':
			bads = append(bads, bad{n, fmt.Errorf("%q is neither chain nor rule", short(line))})
		}
	}
	if inTable {
		return bads, errCut
	}
	return bads, nil
}

// without leaves out lines.
func without(data []byte, bads []bad) []byte {
	if len(bads) == 0 {
		return data
	}
	n, out := 0, make([]byte, 0, len(data))
	for line := range bytes.Lines(data) {
		if n++; len(bads) > 0 && bads[0].line == n {
			bads = bads[1:]
			continue
		}
		out = append(out, line...)
	}
	return out
}

// convertNFT reads "nft -j list ruleset".
func convertNFT(data []byte) ([]byte, []bad, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil, nil
	}
	if !isJSON(data) {
		return nil, nil, errors.New("1: that is no JSON; print it with nft -j list ruleset")
	}
	out, err := snapshot.NormalizeNFT(data)
	if err != nil {
		return nil, nil, fmt.Errorf("1: %w", err)
	}
	return out, nil, nil
}

// convertIPSet reads "ipset save".
func convertIPSet(data []byte) ([]byte, []bad, error) {
	out, bads := keep(data, "create ", "add ")
	return []byte(strings.Join(out, "")), bads, allBad(out, bads)
}

// convertIPVS reads "ipvsadm-save -n", or the ipvs.json of a bundle.
func convertIPVS(data []byte) ([]byte, []bad, error) {
	if isJSON(data) {
		rules, err := snapshot.ParseIPVS(data)
		if err != nil {
			return nil, nil, fmt.Errorf("1: %w", err)
		}
		out, err := snapshot.FormatIPVS(rules)
		return out, nil, err
	}
	rules, bads := keep(data, "-A ", "-a ")
	if err := allBad(rules, bads); err != nil || len(rules) == 0 {
		return nil, bads, err
	}
	for i := range rules {
		rules[i] = strings.TrimSpace(rules[i])
	}
	out, err := snapshot.FormatIPVS(rules)
	return out, bads, err
}

// keep returns the lines that begin with one of the prefixes.
func keep(data []byte, prefixes ...string) ([]string, []bad) {
	var out []string
	var bads []bad
	n := 0
lines:
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimSpace(string(line))
		if text == "" {
			continue
		}
		for _, prefix := range prefixes {
			if strings.HasPrefix(text, prefix) {
				out = append(out, text+"\n")
				continue lines
			}
		}
		bads = append(bads, bad{n, fmt.Errorf("%q begins with none of %q", short(line), prefixes)})
	}
	return out, bads
}

// allBad refuses a file that has nothing else.
func allBad(good []string, bads []bad) error {
	if len(good) == 0 && len(bads) > 0 {
		return fmt.Errorf("%d: %w, and no other entry", bads[0].line, bads[0].err)
	}
	return nil
}

// short returns the beginning of a line, for a message.
func short(line []byte) []byte {
	const most = 60
	line = bytes.TrimSpace(line)
	return line[:min(most, len(line))]
}
