package rawimport

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// conntrack makes conntrack.json of conntrack.txt.
func (r *reader) conntrack() nodedump.Part {
	list, status, reason := load(r, "conntrack.txt", parseConntrack)
	if status != nodedump.StatusOK && status != nodedump.StatusTruncated {
		return nodedump.Part{Status: status, Reason: reason}
	}
	t := &nodedump.ConnTable{Count: len(list), Entries: list}
	for key, to := range map[string]*int{
		"net.netfilter.nf_conntrack_count": &t.Count, "net.netfilter.nf_conntrack_max": &t.Max,
	} {
		if n, err := strconv.Atoi(r.info.Sysctls[key]); err == nil {
			*to = max(*to, n)
		}
	}
	data, err := snapshot.FormatConntrack(t)
	if err != nil {
		return nodedump.Part{Status: nodedump.StatusFailed, Reason: err.Error()}
	}
	return nodedump.Part{Status: status, Reason: reason, Data: data}
}

// parseConntrack reads "conntrack -L", with or without "-o extended", or
// /proc/net/nf_conntrack, or the conntrack.json of a bundle.
func parseConntrack(data []byte) ([]nodedump.Conn, []bad, error) {
	if isJSON(data) {
		table, err := snapshot.ParseConntrack(data)
		if err != nil {
			return nil, nil, fmt.Errorf("1: %w", err)
		}
		return table.Entries, nil, nil
	}
	var out []nodedump.Conn
	var bads []bad
	n := 0
	for line := range bytes.Lines(data) {
		n++
		fields := strings.Fields(string(line))
		if len(fields) == 0 || fields[0] == "conntrack" {
			continue // the sum that conntrack prints at the end
		}
		c, err := parseConn(fields)
		if err != nil {
			bads = append(bads, bad{n, err})
			continue
		}
		c.Line = n
		out = append(out, c)
	}
	return out, bads, nil
}

// A tuple is one direction of a connection.
type tuple struct{ src, dst, sport, dport string }

func parseConn(fields []string) (nodedump.Conn, error) {
	var c nodedump.Conn
	if fields[0] == "ipv4" || fields[0] == "ipv6" {
		fields = fields[min(2, len(fields)):]
	}
	// protocol, its number, seconds left, and for some protocols a state.
	if len(fields) < 3 {
		return c, errors.New("a connection without addresses")
	}
	c.Protocol = fields[0]
	var tuples []tuple
	for _, f := range fields[2:] {
		key, value, found := strings.Cut(f, "=")
		switch {
		case found:
			tuples = attribute(&c, tuples, key, value)
		case strings.HasPrefix(f, "["):
			c.Status = append(c.Status, strings.Trim(f, "[]"))
		case c.State == "" && len(tuples) == 0 && !isNumber(f):
			c.State = f
		}
	}
	if len(tuples) != 2 {
		return c, fmt.Errorf("a connection with %d directions", len(tuples))
	}
	return c, addresses(&c, tuples)
}

// attribute takes over one key=value. The key src begins a direction.
func attribute(c *nodedump.Conn, tuples []tuple, key, value string) []tuple {
	if key == "src" {
		return append(tuples, tuple{src: value})
	}
	switch key {
	case "mark":
		if n, err := strconv.ParseUint(value, 0, 32); err == nil {
			c.Mark = uint32(n)
		}
	case "zone":
		if n, err := strconv.Atoi(value); err == nil {
			c.Zone = n
		}
	}
	if len(tuples) == 0 {
		return tuples
	}
	t := &tuples[len(tuples)-1]
	switch key {
	case "dst":
		t.dst = value
	case "sport":
		t.sport = value
	case "dport":
		t.dport = value
	case "id": // of an echo: it stands where the port of who asks would be
		if len(tuples) == 1 {
			t.sport = value
		} else {
			t.dport = value
		}
	}
	return tuples
}

// addresses sets the four addresses of a connection.
func addresses(c *nodedump.Conn, tuples []tuple) error {
	for i, to := range [][2]*string{{&c.Src, &c.Dst}, {&c.ReplySrc, &c.ReplyDst}} {
		t := tuples[i]
		for j, from := range [][2]string{{t.src, t.sport}, {t.dst, t.dport}} {
			addr, err := netip.ParseAddr(from[0])
			if err != nil {
				return fmt.Errorf("%q is no address", from[0])
			}
			var port uint64
			if from[1] != "" {
				if port, err = strconv.ParseUint(from[1], 10, 16); err != nil {
					return fmt.Errorf("%q is no port", from[1])
				}
			}
			*to[j] = netip.AddrPortFrom(addr, uint16(port)).String()
			c.Family = 4
			if addr.Is6() {
				c.Family = 6
			}
		}
	}
	return nil
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}
