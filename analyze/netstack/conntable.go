package netstack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A connTable is what was dumped of a namespace's conntrack entries.
type connTable struct {
	whole      bool          // every entry was read
	count, max int           // 0 if they are not known
	evictable  bool          // early_drop may make room: an entry is not ASSURED
	all        []*dumpedConn // as dumped
	byTuple    map[connKey]*dumpedConn
	byService  map[serviceKey][]*dumpedConn
}

// A connKey is what conntrack finds an entry by, in either direction.
type connKey struct {
	tuple model.Tuple
	zone  int
}

// A serviceKey is all of an original direction but the client's port.
type serviceKey struct {
	protocol model.Protocol
	client   netip.Addr
	server   netip.AddrPort
}

// A dumpedConn is one entry of conntrack.json.
type dumpedConn struct {
	model.Conn
	assured   bool
	expected  bool // IPS_EXPECTED
	offloaded bool // a flow table carries its packets past the hooks
}

// connFile is conntrack.json, one entry after the other.
type connFile struct {
	Count   int               `json:"count"`
	Max     int               `json:"max"`
	Entries []json.RawMessage `json:"entries"`
}

// newConnTable reads conntrack.json. One bad entry costs that entry.
func newConnTable(part nodedump.Part) (t *connTable, problems []error) {
	t = &connTable{whole: part.Status.Known(), byTuple: map[connKey]*dumpedConn{}, byService: map[serviceKey][]*dumpedConn{}}
	if len(part.Data) == 0 {
		return t, nil
	}
	var file connFile
	if err := json.Unmarshal(part.Data, &file); err != nil {
		t.whole = false
		return t, []error{fmt.Errorf("%s: %w", part.File, err)}
	}
	t.count, t.max = file.Count, file.Max
	line, at := 1, 0
	for _, raw := range file.Entries {
		if n := bytes.Index(part.Data[at:], raw); n >= 0 {
			line += bytes.Count(part.Data[at:at+n], []byte("\n"))
			at += n
		}
		evidence := fmt.Sprintf("%s:%d", part.File, line)
		c, err := readConn(raw, evidence)
		if err != nil {
			problems, t.whole = append(problems, fmt.Errorf("%s: conntrack entry: %w", evidence, err)), false
			continue
		}
		t.add(c)
	}
	t.whole = t.whole && len(file.Entries) >= file.Count
	return t, problems
}

func (t *connTable) add(c *dumpedConn) {
	t.all = append(t.all, c)
	t.byTuple[connKey{c.Original, c.Zone}] = c
	t.byTuple[connKey{c.Reply, c.Zone}] = c
	key := serviceKey{c.Original.Protocol, c.Original.Src.Addr(), c.Original.Dst}
	t.byService[key] = append(t.byService[key], c)
	t.evictable = t.evictable || !c.assured || closing(c.State)
}

// closing reports whether early_drop may take an assured entry in this state
// (tcp_can_early_drop).
func closing(state string) bool {
	switch state {
	case "FIN_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "CLOSE_WAIT":
		return true
	}
	return false
}

func readConn(raw []byte, evidence string) (*dumpedConn, error) {
	var n nodedump.Conn
	if err := json.Unmarshal(raw, &n); err != nil {
		return nil, err
	}
	protocol, err := model.ParseProtocol(n.Protocol)
	if err != nil {
		return nil, err
	}
	var ends [4]netip.AddrPort
	for i, s := range [...]string{n.Src, n.Dst, n.ReplySrc, n.ReplyDst} {
		if ends[i], err = netip.ParseAddrPort(s); err != nil {
			return nil, err
		}
	}
	has := func(status string) bool { return slices.Contains(n.Status, status) }
	return &dumpedConn{
		Conn: model.Conn{
			Original: model.Tuple{Protocol: protocol, Src: ends[0], Dst: ends[1]},
			Reply:    model.Tuple{Protocol: protocol, Src: ends[2], Dst: ends[3]},
			Mark:     n.Mark, Zone: n.Zone, State: n.State, Opening: n.State == "SYN_SENT", Replied: !has("UNREPLIED"), Evidence: evidence,
		},
		assured: has("ASSURED"), expected: has("EXPECTED"), offloaded: has("OFFLOAD") || has("HW_OFFLOAD"),
	}, nil
}

// find returns the entry that a packet with this tuple belongs to, and whether
// the packet goes in its reply direction (nf_conntrack_find_get).
func (t *connTable) find(tuple model.Tuple, zone int) (c *dumpedConn, reply bool) {
	c = t.byTuple[connKey{tuple, zone}]
	return c, c != nil && c.Original != tuple
}

// full reports whether the table has no room for one more entry
// (__nf_conntrack_alloc).
func (t *connTable) full() bool { return t.max > 0 && t.count >= t.max }

// taken reports whether an entry other than mine has the tuple of replies to
// what now looks like this (nf_conntrack_tuple_taken).
func (t *connTable) taken(reply model.Tuple, zone int) *dumpedConn {
	return t.byTuple[connKey{reply, zone}]
}
