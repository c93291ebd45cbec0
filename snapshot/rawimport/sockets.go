package rawimport

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// parseSockets reads "ss -tlnuH", with or without a header, process names and
// the column of the protocol, which ss leaves out if it was asked for one
// protocol only.
func parseSockets(data []byte) ([]nodedump.Socket, []bad, error) {
	var out []nodedump.Socket
	var bads []bad
	n := 0
	for line := range bytes.Lines(data) {
		n++
		fields := strings.Fields(string(line))
		if len(fields) == 0 || fields[0] == "Netid" || fields[0] == "State" {
			continue
		}
		s, err := parseSocket(fields)
		if err != nil {
			bads = append(bads, bad{n, err})
		} else if s.Protocol != "" {
			s.Line = n
			out = append(out, s)
		}
	}
	return out, bads, nil
}

// parseSocket reads one line. A socket of no interest has no protocol.
func parseSocket(fields []string) (nodedump.Socket, error) {
	var s nodedump.Socket
	switch fields[0] {
	case "LISTEN":
		fields = append([]string{"tcp"}, fields...)
	case "UNCONN":
		fields = append([]string{"udp"}, fields...)
	}
	const protocol, state, local = 0, 1, 4
	if len(fields) <= local {
		return s, errors.New("a socket without a local address")
	}
	switch fields[protocol] {
	case "tcp", "udp", "sctp":
	default:
		return s, nil
	}
	if fields[state] != "LISTEN" && fields[state] != "UNCONN" {
		return s, nil
	}
	var err error
	if s.Local, s.Dev, s.V6Only, err = socketAddr(fields[local]); err != nil {
		return s, err
	}
	s.Protocol = fields[protocol]
	for _, f := range fields[local+1:] {
		if name, ok := strings.CutPrefix(f, `users:(("`); ok {
			s.Process, _, _ = strings.Cut(name, `"`)
		}
		if f == "v6only:1" {
			s.V6Only = true
		}
	}
	return s, nil
}

// socketAddr reads "10.0.0.1:80", "0.0.0.0%eth0:68", "[::]:80" and "*:80",
// which is how ss prints a socket of both families, while "[::]" takes IPv6
// only. Older versions print ":::80" for either.
func socketAddr(text string) (local, dev string, v6only bool, err error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", "", false, fmt.Errorf("%q has no port", text)
	}
	port, err := strconv.ParseUint(text[i+1:], 10, 16)
	if err != nil {
		return "", "", false, fmt.Errorf("%q has no port", text)
	}
	host, dev, _ := strings.Cut(text[:i], "%")
	v6only = host == "[::]"
	if host == "*" {
		host = "::"
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	dev = strings.TrimSuffix(dev, "]")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "", "", false, fmt.Errorf("%q has no address", text)
	}
	return netip.AddrPortFrom(addr, uint16(port)).String(), dev, v6only, nil
}
