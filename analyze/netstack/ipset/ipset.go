// Package ipset reads the text of "ipset save" and answers whether a packet
// is a member of a set, as the kernel would.
package ipset

import (
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Dir says which end of a packet one dimension of a set is compared with.
type Dir uint8

// The directions, as "-m set --match-set NAME src,dst" names them.
const (
	Src Dir = iota
	Dst
)

// A Query is the question whether a packet is in a set.
type Query struct {
	Packet          model.Packet
	In, Out         string // devices; "" where there is none
	PhysIn, PhysOut string // bridge ports, of a bridged packet
	Dirs            []Dir  // one per dimension of the set
	ReturnNomatch   bool   // entries marked nomatch are what is asked for
}

// Sets are all sets of one network namespace. They never change.
type Sets struct {
	part nodedump.Part
	sets map[string]*set
}

type set struct{}

// Parse reads the text of "ipset save". It always returns usable Sets; each
// line that could not be read is one [netfilter.UnsupportedError].
func Parse(part nodedump.Part) (*Sets, []error) {
	return &Sets{part: part, sets: map[string]*set{}}, nil
}

// Test reports whether q is a member of the set called name. It is Maybe for a
// set that is not in the dump, or that was not understood.
func (s *Sets) Test(name string, q Query) netfilter.Answer { return netfilter.Maybe }
