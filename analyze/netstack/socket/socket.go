// Package socket says which listening socket of a network namespace takes a
// packet, as the Linux kernel scores them.
package socket

import (
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Table holds the listening sockets of one network namespace. It is
// immutable and safe for concurrent use.
type Table struct{}

// New indexes the sockets of info. One bad entry costs that entry and one
// error that begins with its file:line.
func New(info *nodedump.NetNSInfo) (*Table, []error) { return &Table{}, nil }

// A Match says what waits for a packet.
type Match struct {
	Found        bool   // a socket takes the packet
	LoopbackOnly bool   // none does, but the port is served on loopback or on another address or device
	Socket       string // the socket, e.g. "tcp 0.0.0.0:80 (nginx)"; "" if there is none
	Evidence     string // file:line of the socket
	Known        bool   // the sockets of the namespace were collected
}

// Lookup returns the socket that takes p, which is to be delivered here and
// came in by dev ("lo" if it was born here).
func (t *Table) Lookup(p model.Packet, dev string) Match { return Match{} }
