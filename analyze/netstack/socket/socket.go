// Package socket says which listening socket of a network namespace takes a
// packet, as the Linux kernel scores them.
package socket

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Table holds the listening sockets of one network namespace. It is
// immutable and safe for concurrent use.
type Table struct {
	known   bool
	info    *nodedump.NetNSInfo
	byPort  map[key][]listener
	masters map[string]string     // VRF that a device belongs to or is
	owners  map[netip.Addr]string // device that has an address
}

type key struct {
	proto model.Protocol
	port  uint16
}

// A listener is one socket.
type listener struct {
	addr     netip.Addr // unspecified: every address of its family
	v6       bool       // an IPv6 socket
	also4    bool       // an IPv6 socket that takes IPv4 too
	dev      string     // the device it is bound to, "" if none
	open     string     // whether it is transparent: "yes", "no", "" if that is not known
	text     string
	evidence string
}

// New indexes the sockets of info. One bad entry costs that entry and one
// error that begins with its file:line.
func New(info *nodedump.NetNSInfo) (*Table, []error) {
	t := &Table{info: info, byPort: map[key][]listener{}}
	status, listed := info.Sections["sockets"]
	t.known = !listed || status.Known()
	t.masters, t.owners = devices(info)
	var errs []error
	for i := range info.Sockets {
		s := &info.Sockets[i]
		at := info.File
		if s.Line > 0 {
			at = fmt.Sprintf("%s:%d", info.File, s.Line)
		}
		l, port, err := parse(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: socket %s %s: %w", at, s.Protocol, s.Local, err))
			continue
		}
		l.evidence = at
		k := key{model.Protocol(strings.TrimSuffix(s.Protocol, "6")), port}
		t.byPort[k] = append(t.byPort[k], l)
	}
	return t, errs
}

// devices returns the VRF of each device that is or belongs to one, and the
// device of each address.
func devices(info *nodedump.NetNSInfo) (masters map[string]string, owners map[netip.Addr]string) {
	masters, owners = map[string]string{}, map[netip.Addr]string{}
	vrfs := map[int]string{}
	for _, dev := range info.Interfaces {
		if dev.Kind == "vrf" {
			vrfs[dev.Index] = dev.Name
			masters[dev.Name] = dev.Name
		}
		for _, a := range dev.Addrs {
			if p, err := netip.ParsePrefix(a.Prefix); err == nil && owners[p.Addr()] == "" {
				owners[p.Addr()] = dev.Name
			}
		}
	}
	for _, dev := range info.Interfaces {
		if m := vrfs[dev.Master]; m != "" {
			masters[dev.Name] = m
		}
	}
	return masters, owners
}

// parse reads "10.0.0.1:80", "[::]:80", "*:80", and "127.0.0.1%lo:80" of a
// socket that is bound to a device.
func parse(s *nodedump.Socket) (listener, uint16, error) {
	colon := strings.LastIndexByte(s.Local, ':')
	if colon < 0 {
		return listener{}, 0, fmt.Errorf("no port")
	}
	port, err := strconv.ParseUint(s.Local[colon+1:], 10, 16)
	if err != nil {
		return listener{}, 0, err
	}
	host := strings.TrimSuffix(strings.TrimPrefix(s.Local[:colon], "["), "]")
	host, zone, _ := strings.Cut(host, "%")
	l := listener{dev: s.Dev, open: s.Transparent, text: s.Protocol + " " + s.Local}
	if l.dev == "" {
		l.dev = zone
	}
	if s.Process != "" {
		l.text += " (" + s.Process + ")"
	}
	if host == "*" {
		host = "::"
	}
	if l.addr, err = netip.ParseAddr(host); err != nil {
		return l, 0, err
	}
	l.v6 = l.addr.Is6()
	l.also4 = l.v6 && !s.V6Only
	l.addr = l.addr.Unmap()
	return l, uint16(port), nil
}
